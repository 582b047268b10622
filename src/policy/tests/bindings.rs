//! Whom entries of policy name, by account and by role of the server's own.

use super::*;

fn with(accounts: &str) -> Result<Policy, String> {
    let (head, _) = GOOD.split_once("[[account]]").unwrap();
    parse("policy.toml", &format!("{head}{accounts}"), 1).map_err(|problems| problems.to_string())
}

#[test]
fn a_role_of_the_servers_binds_whoever_has_it() {
    let policy = with(
        "[[account]]\nuser = \"support\"\nmysql_role = \"night\"\nrole = \"support\"\n\
         [[account]]\nmysql_role = \"reporting\"\nrole = \"engineer\"\n\
         [[account]]\nuser = \"support\"\nrole = \"support\"\nfirewall = \"observe\"\n",
    )
    .unwrap();
    let entry = |user: &str, current_role: &str| {
        policy.binding_of(&account(user, "%"), &MysqlRole::active(current_role)).map(|(entry, _)| entry)
    };
    assert_eq!(entry("support", "`night`@`%`"), Some(1));
    assert_eq!(entry("support", "`reporting`@`%`,`night`@`%`"), Some(1));
    assert_eq!(entry("support", "`reporting`@`%`"), Some(2));
    assert_eq!(entry("support", "NONE"), Some(3));
    assert_eq!(entry("anybody", "reporting"), Some(2));
    // Another host's role, a role in other letters, and a name that only holds the role's.
    for other in ["`reporting`@`localhost`", "`Reporting`@`%`", "`night`@`%`", "`x``reporting`@`%`"] {
        assert_eq!(entry("anybody", other), None, "{other}");
    }
    let (role, firewall) = policy.resolve_with(&account("anybody", "%"), &MysqlRole::active("NONE"));
    assert_eq!((&*policy.role(role).unwrap().name, firewall), ("unlisted", FirewallMode::Block));
}

#[test]
fn entries_that_can_never_match_are_mistakes() {
    let role = "[[account]]\nmysql_role = \"reporting\"\nrole = \"engineer\"\n";
    for (accounts, said) in [
        (
            format!("{role}[[account]]\nuser = \"ana\"\nmysql_role = \"reporting\"\nrole = \"support\"\n"),
            Some("an earlier entry takes all accounts of this one (user `ana`)"),
        ),
        (
            format!("{role}{role}"),
            Some("an earlier entry takes all accounts of this one (every account with MySQL role reporting@%)"),
        ),
        (
            "[[account]]\nuser = \"ana\"\nrole = \"support\"\n[[account]]\nuser = \"ana\"\nmysql_role = \"x\"\nrole = \"support\"\n"
                .to_owned(),
            Some("an earlier entry takes all accounts of this one (user `ana`)"),
        ),
        (format!("{role}[[account]]\nuser = \"ana\"\nrole = \"support\"\n"), None),
        (format!("[[account]]\nuser = \"ana\"\nrole = \"support\"\n{role}"), None),
        ("[[account]]\nrole = \"support\"\n".to_owned(), Some("an account has a `user`, a `mysql_role`, or both")),
        (format!("{role}host = \"%\"\n"), Some("host belongs to a `user`")),
        ("[[account]]\nmysql_role = \"\"\nrole = \"support\"\n".to_owned(), Some("mysql_role is `name` or `name@host`")),
    ] {
        match (with(&accounts), said) {
            (Ok(_), None) => {}
            (Err(problems), Some(said)) => assert!(problems.contains(said), "{accounts}: {problems}"),
            (found, _) => panic!("{accounts}: {found:?}"),
        }
    }
}
