//! `candado firewall`: its profiles, exceptions and events; and `test`, what it says of statements off line.
//!
//! For `test` no server is asked and no key is opened: signatures need neither catalog nor policy. Texts are shown with placeholders
//! alone: what is judged may come from a log.

mod acting;
mod exception;
mod exchange;
mod log;
mod profile;

use std::collections::{HashMap, HashSet};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::Failure;
use super::output::Output;
use super::script::{Piece, Source};
use crate::plan::{self, Inspection, PlanCache, Refusal, Scratch};
use crate::policy::{Access, Account, FirewallMode, Policy, Role, RoleId};
use crate::schema::{Catalog, Charset, ServerKind, ServerVersion};
use crate::sql::{Dialect, SqlMode};
use crate::{explain, firewall};

/// Octets of decisions that are kept while a log is judged.
const CACHE_OCTETS_MAX: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum FirewallCommand {
    /// Judge statements from an argument, a file or a general log, without running them.
    ///
    /// Says which would be refused in mode `block`, and by which rule: for an application's CI, and before an account is
    /// moved from `observe` to `block`. Ends with 0 if every statement passes, with 1 if one is refused, and with 64 if the
    /// command line or the file is wrong.
    #[command(after_help = "Examples:
  candado firewall test \"SELECT name FROM customers WHERE id = 1 OR 1 = 1\"
  candado firewall test --file statements.sql --json
  candado firewall test --general-log --file /var/lib/mysql/general.log")]
    Test(Arguments),
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

/// What is judged, and how its text is to be read.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The server that the statements are for.
    #[arg(long, value_enum, default_value_t = Server::Mysql)]
    server: Server,
    /// The session's SQL mode.
    #[arg(long, default_value = "STRICT_TRANS_TABLES")]
    sql_mode: String,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Server {
    /// MySQL 8.0 and later.
    Mysql,
    /// MariaDB 10.6 and later.
    Mariadb,
}

impl Server {
    /// Versions decide which versioned comments are executed; these execute what today's servers do.
    fn version(self) -> ServerVersion {
        match self {
            Self::Mysql => ServerVersion { kind: ServerKind::MySql, number: 90_700 },
            Self::Mariadb => ServerVersion { kind: ServerKind::MariaDb, number: 101_100 },
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// Statements that were judged.
    statements: usize,
    /// Digests among them.
    digests: usize,
    /// Digests that are refused, in the order in which they came.
    refused: Vec<Hit>,
}

/// A digest that is refused.
#[derive(Debug, Serialize)]
struct Hit {
    rule: &'static str,
    /// As events name it; none for a text that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Statements of it.
    count: usize,
    /// The line of the first.
    line: usize,
    /// The text with placeholders, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Carries a command out.
pub(super) fn run(command: &FirewallCommand) -> Result<(), Failure> {
    match command {
        FirewallCommand::Test(arguments) => test(arguments),
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

/// Judges and prints.
fn test(arguments: &Arguments) -> Result<(), Failure> {
    let mode = SqlMode::from_variable(&arguments.sql_mode.to_ascii_uppercase());
    let dialect = Dialect { mode, charset: Charset::Utf8mb4, server: arguments.server.version() };
    let input = arguments.source.read()?;
    let report = judge(&arguments.source.statements(&input, &dialect, None)?, dialect);
    Output::new().answer(arguments.json, &report, || report.text())?;
    if report.refused.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

fn judge(pieces: &[Piece<'_>], dialect: Dialect) -> Report {
    let catalog = Catalog::new(0, dialect.server, 0, HashSet::new(), Vec::new(), Vec::new());
    let role = Role { name: "any".into(), default_access: Access::Deny, columns: HashMap::new() };
    let policy = Policy::new(0, Vec::new(), vec![role], Vec::new(), RoleId(0), FirewallMode::Block);
    let account = Account { user: "any".into(), host: "%".into() };
    let cache = PlanCache::new(1, CACHE_OCTETS_MAX);
    let mut scratch = Scratch::default();
    let mut digests = HashSet::new();
    let mut refused: Vec<Hit> = Vec::new();
    for Piece { line, sql, database } in pieces {
        let digest = firewall::digest(sql, &dialect);
        let inspection = Inspection {
            dialect,
            default_database: database.as_deref(),
            catalog: &catalog,
            policy: &policy,
            role: RoleId(0),
            account: &account,
            firewall: FirewallMode::Block,
            profile: None,
            cache: &cache,
            scratch: &mut scratch,
        };
        if let Err(Refusal::Firewall { rule }) = plan::inspect(sql, inspection) {
            match refused.iter_mut().find(|hit| hit.digest.is_some() && hit.digest == digest && hit.rule == rule) {
                Some(hit) => hit.count += 1,
                None => {
                    let text = explain::of_text(sql, &dialect);
                    refused.push(Hit { rule, digest: digest.clone(), count: 1, line: *line, text });
                }
            }
        }
        digests.extend(digest);
    }
    Report { statements: pieces.len(), digests: digests.len(), refused }
}

impl Report {
    fn text(&self) -> String {
        let (refused, digests, statements) = (self.refused.len(), self.digests, self.statements);
        let total = format!("{refused} of {digests} digests refused ({statements} statements)");
        self.refused.iter().map(Hit::block).chain([total]).collect::<Vec<_>>().join("\n")
    }
}

impl Hit {
    fn block(&self) -> String {
        let Self { rule, digest, count, line, text } = self;
        let (text, digest) = (text.as_deref().unwrap_or("(cannot be read)"), digest.as_deref().unwrap_or("-"));
        format!("line {line:<7} {count:>6} x  {rule}\n    {text}\n    digest {digest}")
    }
}
