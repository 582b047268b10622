//! The commands of the candado program, one file each.
//!
//! Results go to standard output, messages and logs to standard error. Exit codes: 0 done, 1 failed, cut short or
//! something found, 64 the command line or a file is wrong.

mod account;
mod approvals;
mod audit;
mod budget;
mod check;
mod column;
mod demo;
mod explain;
mod firewall;
mod inspect;
mod keys;
mod moment;
mod output;
mod roles;
mod script;
mod serve;
mod shadow_report;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::process::{self, Children};
use crate::config::Settings;

/// The answer is yes, with a reservation.
const EXIT_RESERVED: u8 = 2;

/// EX_USAGE of sysexits.h: the command line or a file is wrong.
const EXIT_USAGE: u8 = 64;

/// Encrypts protected columns of MySQL and MariaDB on the wire, decrypts them on the way back, and refuses SQL injection.
#[derive(Debug, Parser)]
#[command(name = "candado", version, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Examples:
  candado demo
  candado check --config /etc/candado/candado.toml
  candado serve --config /etc/candado/candado.toml

Exit codes: 0 done, 1 failed or something found, 2 intact with a reservation (audit verify), 64 wrong
command line or configuration.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients until SIGTERM or SIGINT.
    ///
    /// SIGTERM and SIGINT end the process when clients are done (exit code 0) or the drain time is over (1); a second one
    /// ends it at once (1). SIGHUP reads policy and certificates again: connections stay, and a file that is wrong changes
    /// nothing. SIGUSR1 writes the report of shadow mode.
    #[command(after_help = "Examples:
  candado serve --config /etc/candado/candado.toml
  CANDADO_CONFIG=/etc/candado/candado.toml candado serve")]
    Serve(Configured),
    /// Show what Candado does, on throw-away servers and real sample data.
    ///
    /// Starts a private MySQL (or MariaDB) in a temporary directory and Candado in front of it. Uses nothing of yours
    /// and leaves nothing behind. On a terminal it stays up, with two lines to connect with, until Ctrl-C.
    #[command(after_help = "Examples:
  candado demo
  candado demo --server mariadb --once")]
    Demo(demo::Arguments),
    /// Check configuration, policy, TLS files, key provider, key store and the live schema.
    ///
    /// Changes nothing. Prints the ALTER statements that are missing. Run it before `serve`, and after each change.
    /// Ends with 0 if all is well, with 1 if something is wrong or could not be asked, and with 64 if the configuration
    /// itself cannot be used.
    #[command(after_help = "Examples:
  candado check --config /etc/candado/candado.toml
  candado check --json | jq '.items[] | select(.verdict != \"ok\")'")]
    Check(check::Arguments),
    /// Tell what becomes of statements: relayed, rewritten or refused, and why.
    ///
    /// Nothing is run: the catalog is read from the configured server, and the planner of `serve` decides. Texts are shown
    /// with placeholders, never with values. Ends with 0 if every statement passes, with 1 if one is refused or the server
    /// could not be asked, and with 64 if the command line or a file is wrong. Over a connection, EXPLAIN CANDADO SELECT ..
    /// tells the same of one statement.
    #[command(after_help = "Examples:
  candado explain --database shop \"SELECT name FROM customers WHERE phone = '090-1234-5678'\"
  candado explain --file statements.sql --account app --json
  candado explain --shadow /var/lib/candado/shadow.jsonl")]
    Explain(explain::Arguments),
    /// See what the statement firewall did and would do, and manage its profiles and exceptions.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado firewall test --file statements.sql
  candado firewall test --general-log --file general.log --json
  candado firewall status --config /etc/candado/candado.toml
  candado firewall log events.jsonl --rule delay")]
    Firewall(firewall::FirewallCommand),
    /// Make keys, list them, and lead them through their life.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado keys list --config /etc/candado/candado.toml
  candado keys rotate contact --config /etc/candado/candado.toml")]
    Keys(keys::Command),
    /// Encrypt and decrypt columns that hold rows already, and renew what is encrypted.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado column encrypt shop.customers.phone shop.customers.address --dry-run
  candado column status --json")]
    Column(column::Command),
    /// Verify and read the records: of all acts on keys and columns, and of accesses to protected cells.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado audit verify --head 41:9f2c..e1
  candado audit list --act key.destroy
  candado audit export --output record.jsonl")]
    Audit(audit::Command),
    /// Show acts that wait for the approval of another person.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado approvals list
  candado approvals show 12")]
    Approvals(approvals::Command),
    /// Approve an act that somebody else wants to carry out.
    ///
    /// Read what you sign: the text is printed. It names the act and its subject, and holds for nothing else; it expires,
    /// and serves once. Enough signatures by others than the one who asks, and he can repeat the act.
    #[command(
        after_help = "Examples:\n  candado approve 12 --key ben.pem\n  candado approve 12 --signature request.sig"
    )]
    Approve(approvals::ApproveArguments),
    /// List what accounts have been shown of their budgets, and elevate a budget for a while.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado budget list
  candado budget elevate support@% --minutes 30 --factor 10 --reason \"incident 4711\"")]
    Budget(budget::Command),
    /// Tell who sees what of the protected columns, and why.
    #[command(subcommand)]
    #[command(after_help = "Examples:
  candado roles who support@10.0.0.%
  candado roles list --json")]
    Roles(roles::Command),
    /// Print the fields of a sealed value. Needs no key and opens nothing.
    #[command(after_help = "Examples:
  candado inspect 0xC1FE1D01100001EC88E68B...
  mysql -N -e 'SELECT HEX(phone) FROM shop.customers LIMIT 1' | candado inspect --json")]
    Inspect(inspect::Arguments),
}

impl Command {
    fn children(&self) -> Children {
        match self {
            Self::Demo(_) => Children::Privileged,
            Self::Serve(_)
            | Self::Check(_)
            | Self::Explain(_)
            | Self::Firewall(_)
            | Self::Keys(_)
            | Self::Column(_)
            | Self::Audit(_)
            | Self::Approvals(_)
            | Self::Approve(_)
            | Self::Budget(_)
            | Self::Roles(_)
            | Self::Inspect(_) => Children::Unprivileged,
        }
    }
}

/// Commands that need the configuration.
#[derive(Debug, Args)]
struct Configured {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", env = "CANDADO_CONFIG", default_value = "candado.toml")]
    config: PathBuf,
}

/// Which of the policy's environments is meant.
#[derive(Debug, Args)]
struct InEnvironment {
    /// One of the policy's environments; without it the one that the configuration names.
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
}

impl InEnvironment {
    /// The settings for it.
    fn of(&self, settings: Settings) -> Settings {
        Settings { environment: self.environment.clone().or(settings.environment), ..settings }
    }
}

/// Commands that need the configuration and print facts.
#[derive(Debug, Args)]
struct Facts {
    #[command(flatten)]
    configured: Configured,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Why a command did not succeed.
#[derive(Debug)]
enum Failure {
    /// The command line or a file is wrong.
    Usage(anyhow::Error),
    /// It could not be done.
    Failed(anyhow::Error),
    /// It was done, and the answer is no; everything has been printed.
    Found,
    /// It was done, and the answer is yes with a reservation; everything has been printed.
    Reserved,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::Usage(error.into())
    }
}

impl From<crate::policy::written::Problems> for Failure {
    fn from(problems: crate::policy::written::Problems) -> Self {
        Self::Usage(problems.into())
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no errors. Nobody is left to tell if printing fails.
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    for shortcoming in process::close(cli.command.children()) {
        output::note(shortcoming);
    }
    let outcome = match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Firewall(command) => firewall::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Column(command) => column::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Approvals(command) => approvals::run(&command),
        Command::Approve(arguments) => approvals::approve(&arguments),
        Command::Budget(command) => budget::run(&command),
        Command::Roles(command) => roles::run(&command),
        Command::Inspect(arguments) => inspect::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Found) => ExitCode::FAILURE,
        Err(Failure::Reserved) => ExitCode::from(EXIT_RESERVED),
        Err(Failure::Usage(error)) => {
            output::complain(&error);
            ExitCode::from(EXIT_USAGE)
        }
        Err(Failure::Failed(error)) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Keeps keys out of swap. For commands that open keys, before they do.
fn lock_memory(settings: &Settings) -> Result<(), Failure> {
    process::lock_memory_as(settings.process.memory_lock).map_err(|error| Failure::Failed(error.into()))
}

/// A runtime for a command, and the process's one TLS provider.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    use anyhow::Context;
    // An error means that the provider is set already, which is what is wanted.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
