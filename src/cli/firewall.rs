//! `candado firewall`: its profiles, exceptions and events; and `test`, what it says of statements off line.

mod acting;
mod exception;
mod exchange;
mod learned;
mod log;
mod offline;
mod profile;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum FirewallCommand {
    /// Judge statements from an argument, a file or a general log, without running them.
    ///
    /// Says which would be refused in mode `block`, and by which rule: for an application's CI, and before an account is
    /// moved from `observe` to `block`. With `--learn` it says which would be refused in mode `protect` by a profile that
    /// has the statements of other files and is frozen, and what they have more than the nearest known one. Ends with 0 if
    /// every statement passes, with 1 if one is refused, and with 64 if the command line or a file is wrong.
    #[command(after_help = "Examples:
  candado firewall test \"SELECT name FROM customers WHERE id = 1 OR 1 = 1\"
  candado firewall test --file statements.sql --json
  candado firewall test --general-log --file /var/lib/mysql/general.log
  candado firewall test --learn known.sql \"SELECT name FROM customers WHERE id = 2-1\"
  candado firewall test --general-log --learn monday.log --learn tuesday.log --file wednesday.log")]
    Test(offline::Arguments),
    /// Show how far profiles have grown, and whether they are ripe to be frozen.
    ///
    /// One line for each account and database: the account's mode in policy, whether the profile takes digests, how many it
    /// has, and how many were new in each of the last hours. A profile is ripe when nothing new has come through a whole
    /// round of the application's work, rare jobs included.
    #[command(after_help = "Examples:\n  candado firewall status\n  candado firewall status --json")]
    Status(profile::StatusArguments),
    /// Let a profile take digests, again if it was frozen.
    ///
    /// Digests are taken while policy has the account in mode `learn`.
    #[command(
        after_help = "Examples:\n  candado firewall learn app@% shop -u candado_security --password-env SECURITY"
    )]
    Learn(profile::PlaceArguments),
    /// End a profile's learning.
    ///
    /// It takes no more digests. In mode `learn`, what `protect` would refuse is then logged; when nothing honest is among it,
    /// set the account's mode to `protect` in policy and reload.
    #[command(
        after_help = "Examples:\n  candado firewall freeze app@% shop -u candado_security --password-env SECURITY"
    )]
    Freeze(profile::PlaceArguments),
    /// Take a digest out of a profile: one that should not have been learned.
    #[command(after_help = "Examples:\n  candado firewall forget 3f0c..9a app@% shop -u candado_security \
        --password-env SECURITY")]
    Forget(profile::ForgetArguments),
    /// Allow an account a digest that the firewall refuses.
    ///
    /// The digest is that of the log's event, or of `firewall test`. It is allowed to that account alone, in every database,
    /// until it expires; what cannot be read, and several statements at once, are not allowed by an exception.
    #[command(after_help = "Examples:\n  candado firewall allow 3f0c..9a --account app@% --reason 'monthly report' \
        --author ana --expires 2027-01-31 -u candado_security --password-env SECURITY")]
    Allow(exception::AllowArguments),
    /// Take an exception back.
    #[command(after_help = "Examples:\n  candado firewall disallow 3f0c..9a --account app@% -u candado_security \
        --password-env SECURITY")]
    Disallow(exception::DisallowArguments),
    /// List exceptions: for whom, why, by whom, until when.
    #[command(after_help = "Examples:\n  candado firewall exceptions --json")]
    Exceptions(exception::ListArguments),
    /// Write profiles as text, for review and for another deployment.
    #[command(after_help = "Examples:\n  candado firewall export --output profiles.txt\n  \
        candado firewall export --account app@% --database shop")]
    Export(exchange::ExportArguments),
    /// Add digests from a text that `export` wrote.
    ///
    /// What the profiles have already stays. Frozen profiles take them too: this is how a reviewed change gets in. Lines that
    /// are wrong are named, and nothing is added then.
    #[command(after_help = "Examples:\n  candado firewall import profiles.txt -u candado_security \
        --password-env SECURITY")]
    Import(exchange::ImportArguments),
    /// Search the events that the firewall has written to a file.
    ///
    /// Reads files that `[events.file]` names, moved ones too, and needs neither server nor configuration.
    #[command(after_help = "Examples:
  candado firewall log events.jsonl --account app --from 2026-03-04
  candado firewall log events.jsonl.1 events.jsonl --rule constant-union --json
  candado firewall log events.jsonl --id 18:42")]
    Log(log::Arguments),
}

/// Carries a command out.
pub(super) fn run(command: &FirewallCommand) -> Result<(), Failure> {
    match command {
        FirewallCommand::Test(arguments) => offline::test(arguments),
        FirewallCommand::Status(arguments) => profile::status(arguments),
        FirewallCommand::Learn(arguments) => profile::learn(arguments),
        FirewallCommand::Freeze(arguments) => profile::freeze(arguments),
        FirewallCommand::Forget(arguments) => profile::forget(arguments),
        FirewallCommand::Allow(arguments) => exception::allow(arguments),
        FirewallCommand::Disallow(arguments) => exception::disallow(arguments),
        FirewallCommand::Exceptions(arguments) => exception::list(arguments),
        FirewallCommand::Export(arguments) => exchange::export(arguments),
        FirewallCommand::Import(arguments) => exchange::import(arguments),
        FirewallCommand::Log(arguments) => log::run(arguments),
    }
}
