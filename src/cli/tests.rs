use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    fn walk(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.starts_with("Examples:\n  "), "{} gives no example", command.get_name());
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&Cli::command());
}

#[test]
fn wrong_usage_is_told_from_help() {
    let help = Cli::try_parse_from(["candado", "--help"]).unwrap_err();
    assert!(!help.use_stderr());
    for wrong in [&["candado"][..], &["candado", "sreve"], &["candado", "keys"], &["candado", "check", "--jsn"]] {
        assert!(Cli::try_parse_from(wrong).unwrap_err().use_stderr(), "{wrong:?}");
    }
    assert!(Cli::try_parse_from(["candado", "check", "--json", "-c", "x.toml"]).is_ok());
}

#[test]
fn what_nothing_is_listed_of_is_said_in_words() {
    let expected =
        "no budget is elevated\nnothing is counted: in this minute and day no account has used anything of a budget";
    assert_eq!(budget::text(&[], &[]), expected);
    let shown = table::table(["a", "b"], [["1".to_owned(), "2".to_owned()]], "none");
    assert!(shown.contains(" 1   2 ") && !shown.contains("none"), "{shown}");
}
