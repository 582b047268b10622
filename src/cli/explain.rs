//! `candado explain`: what the proxy would do with statements, without running them.
//!
//! The catalog is read from the configured server; no key is opened and nothing is sent on behalf of the statements.
//! Their texts are shown with placeholders alone: what is explained may come from a log.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Serialize;

use super::account::client;
use super::output::{Output, note};
use super::script::{Piece, Source, sql_mode};
use super::{Configured, Failure, InEnvironment, runtime, shadow_report};
use crate::app::{control_settings, load_policy};
use crate::config::{self, Server, Settings};
use crate::control::{CatalogLoader, Pool};
use crate::explain::{self, Audience, Explained, Verdict};
use crate::plan::{self, Inspection, Lookup, PlanCache, Refusal, Scratch, UnknownName};
use crate::policy::{Access, Account, ColumnId, FirewallMode, Policy, RoleId};
use crate::schema::{Catalog, Charset};
use crate::sql::{Dialect, SqlMode};

/// What is explained, and for whom.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    place: InEnvironment,
    #[command(flatten)]
    source: Source,
    /// Summarise the report of shadow mode instead; neither configuration nor server is needed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sql", "file", "general_log", "account"])]
    shadow: Option<PathBuf>,
    /// The account that sends them, USER or USER@HOST. Without it, one whose role may read every column.
    #[arg(long, value_parser = client)]
    account: Option<Account>,
    /// The default database; USE among the statements changes it.
    #[arg(long)]
    database: Option<String>,
    /// The session's SQL mode.
    #[arg(long, default_value = "STRICT_TRANS_TABLES", value_parser = sql_mode)]
    sql_mode: SqlMode,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// What is said about one statement, and where it stands.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Placed {
    /// The line on which it begins.
    line: usize,
    #[serde(flatten)]
    explained: Explained,
    /// Whether it was refused for a bare name of a table that is not known.
    #[serde(skip)]
    is_lost: bool,
}

/// All statements.
#[derive(Debug, Serialize)]
struct Report {
    statements: Vec<Placed>,
}

/// Explains and prints.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.shadow {
        return shadow_report::run(path, arguments.json);
    }
    let settings = arguments.place.of(config::load(&arguments.configured.config)?);
    let policy = load_policy(&settings, 1).map_err(|error| Failure::Usage(error.into()))?;
    let reader = Reader::of(arguments.account.as_ref(), &policy)?;
    let input = arguments.source.read()?;
    let catalog = runtime()?.block_on(catalog(&settings))?;
    if let Some(database) = arguments.database.as_deref().filter(|name| !catalog.has_tables_of(name)) {
        return Err(Failure::Usage(anyhow!("--database: {}", unseen(database))));
    }
    let dialect = Dialect { mode: arguments.sql_mode, charset: Charset::Utf8mb4, server: catalog.server };
    let pieces = arguments.source.statements(&input, &dialect, arguments.database.as_deref())?;
    if pieces.is_empty() {
        return Err(Failure::Usage(anyhow!("there is no statement to explain")));
    }
    let used: BTreeSet<&str> = pieces.iter().filter_map(|piece| piece.database.as_deref()).collect();
    for database in used.into_iter().filter(|name| !catalog.has_tables_of(name)) {
        note(format_args!("USE: {}", unseen(database)));
    }
    let report = Explainer { catalog: &catalog, policy: &policy, reader, dialect }.explain(&pieces);
    let lost = pieces.iter().zip(&report.statements).any(|(piece, placed)| piece.database.is_none() && placed.is_lost);
    if lost {
        note("no default database: name it with --database, or with USE among the statements");
    }
    Output::new().answer(arguments.json, &report, || report.text())?;
    let refused = report.statements.iter().any(|statement| statement.explained.verdict == Verdict::Refused);
    if refused { Err(Failure::Found) } else { Ok(()) }
}

async fn catalog(settings: &Settings) -> anyhow::Result<Catalog> {
    let pool = Pool::new(&control_settings(settings));
    let catalog = CatalogLoader::new(pool.clone()).load(1).await;
    pool.close().await;
    let Server { host, port, .. } = &settings.server;
    catalog.with_context(|| format!("the catalog cannot be loaded from {host}:{port}"))
}

fn unseen(database: &str) -> String {
    format!(
        "no table of database {database} is visible: it does not exist, is empty, or the control account may not see it"
    )
}

/// Who sends the statements.
struct Reader {
    account: Account,
    role: RoleId,
    firewall: FirewallMode,
}

impl Reader {
    fn of(account: Option<&Account>, policy: &Policy) -> Result<Self, Failure> {
        let Some(account) = account else { return Self::of_all(policy) };
        let (role, firewall) = policy.resolve(account);
        Ok(Self { account: account.clone(), role, firewall })
    }

    /// One that may read every column.
    fn of_all(policy: &Policy) -> Result<Self, Failure> {
        let columns = u32::try_from(policy.columns().len()).unwrap_or(u32::MAX);
        let reads_all = |role: &RoleId| (0..columns).all(|id| policy.access(*role, ColumnId(id)).0 == Access::Plain);
        let role = (0..u16::MAX).map(RoleId).take_while(|role| policy.role(*role).is_some()).find(reads_all);
        let role = match (role, policy.columns()) {
            (Some(role), _) => role,
            (None, []) => RoleId(0),
            (None, [_, ..]) => {
                return Err(Failure::Usage(anyhow!("no role may read every column: name an account with --account")));
            }
        };
        let account = Account { user: "explain".into(), host: "%".into() };
        Ok(Self { account, role, firewall: FirewallMode::Block })
    }
}

/// What statements are explained with.
struct Explainer<'a> {
    catalog: &'a Catalog,
    policy: &'a Policy,
    reader: Reader,
    dialect: Dialect,
}

impl Explainer<'_> {
    fn explain(&self, pieces: &[Piece<'_>]) -> Report {
        let cache = PlanCache::new(1, 1 << 20);
        let mut scratch = Scratch::default();
        let mut statements = Vec::new();
        for Piece { line, sql, database } in pieces {
            // As a connection would be answered.
            let sql = explain::asked(sql, &self.dialect).unwrap_or(sql);
            let decision = plan::inspect(
                sql,
                Inspection {
                    lookup: Lookup::Again,
                    dialect: self.dialect,
                    default_database: database.as_deref(),
                    catalog: self.catalog,
                    policy: self.policy,
                    role: self.reader.role,
                    account: &self.reader.account,
                    firewall: self.reader.firewall,
                    profile: None,
                    cache: &cache,
                    scratch: &mut scratch,
                },
            );
            let is_lost = matches!(&decision, Err(Refusal::UnknownName { name: UnknownName::Table(name) }) if !name.contains('.'));
            let explained = Explained::of(&decision, self.policy, Audience::Operator);
            statements.push(Placed { line: *line, explained, is_lost });
        }
        Report { statements }
    }
}

impl Report {
    fn text(&self) -> String {
        let blocks: Vec<String> = self.statements.iter().map(Placed::block).collect();
        blocks.join("\n")
    }
}

impl Placed {
    fn block(&self) -> String {
        let Self { line, explained, is_lost: _ } = self;
        let verdict = match explained.verdict {
            Verdict::Relayed => "relayed",
            Verdict::Rewritten => "rewritten",
            Verdict::Refused => "REFUSED",
        };
        let text = match (&explained.text, &explained.error) {
            (Some(text), _) => text.clone(),
            (None, Some(error)) => format!("{} ({}): {}", error.code, error.sqlstate, error.text),
            (None, None) => String::new(),
        };
        let mut lines = vec![format!("line {line:<5} {verdict:<9}  {text}")];
        for (what, columns) in [("seals", &explained.seals), ("index", &explained.index), ("opens", &explained.opens)] {
            if !columns.is_empty() {
                lines.push(format!("           {what:<9}  {}", columns.join(", ")));
            }
        }
        lines.join("\n")
    }
}
