//! `candado explain`: what the proxy would do with statements, without running them.
//!
//! The catalog is read from the configured server; no key is opened and nothing is sent on behalf of the statements.
//! Their texts are shown with placeholders alone: what is explained may come from a log.

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Serialize;

use super::output::Output;
use super::script::{Piece, Source};
use super::{Configured, Failure, runtime, sketch};
use crate::app::{control_settings, load_policy};
use crate::client_error::ClientError;
use crate::config::{self, Settings};
use crate::control::{CatalogLoader, Pool};
use crate::plan::{self, Admitted, CellAction, Inspection, Outputs, PlanCache, Refusal, Scratch, SpliceKind};
use crate::policy::{Access, Account, ColumnId, FirewallMode, Policy, RoleId};
use crate::schema::{Catalog, Charset};
use crate::sql::{Dialect, SqlMode};

/// What is explained, and for whom.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    source: Source,
    /// The account that sends them, USER or USER@HOST. Without it, one whose role may read every column.
    #[arg(long)]
    account: Option<String>,
    /// The default database; USE among the statements changes it.
    #[arg(long)]
    database: Option<String>,
    /// The session's SQL mode.
    #[arg(long, default_value = "STRICT_TRANS_TABLES")]
    sql_mode: String,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// What becomes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It goes out as it came.
    Relayed,
    /// Values or comparisons in it are replaced.
    Rewritten,
    /// It is not sent.
    Refused,
}

/// What is said about one statement.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Explained {
    /// The line on which it begins.
    line: usize,
    verdict: Verdict,
    /// Its text with placeholders, unless it is refused: a text that cannot be read cannot be stripped of its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Columns whose values are sealed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seals: Vec<String>,
    /// Columns whose blind index answers a comparison.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    index: Vec<String>,
    /// Columns whose values are opened in the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    opens: Vec<String>,
    /// The error that the client gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorShown>,
}

/// An error as a client sees it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ErrorShown {
    code: u16,
    sqlstate: String,
    text: String,
}

/// All statements.
#[derive(Debug, Serialize)]
struct Report {
    statements: Vec<Explained>,
}

/// Explains and prints.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = config::load(&arguments.configured.config)?;
    let policy = load_policy(&settings, 1).map_err(|error| Failure::Usage(error.into()))?;
    let reader = Reader::of(arguments.account.as_deref(), &policy)?;
    let input = arguments.source.read()?;
    let catalog = runtime()?.block_on(catalog(&settings))?;
    let mode = SqlMode::from_variable(&arguments.sql_mode.to_ascii_uppercase());
    let dialect = Dialect { mode, charset: Charset::Utf8mb4, server: catalog.server };
    let pieces = arguments.source.statements(&input, &dialect, arguments.database.as_deref())?;
    let report = Explainer { catalog: &catalog, policy: &policy, reader, dialect }.explain(&pieces);
    Output::new().answer(arguments.json, &report, || report.text())?;
    let refused = report.statements.iter().any(|statement| statement.verdict == Verdict::Refused);
    if refused { Err(Failure::Found) } else { Ok(()) }
}

async fn catalog(settings: &Settings) -> anyhow::Result<Catalog> {
    let pool = Pool::new(&control_settings(settings));
    let catalog = CatalogLoader::new(pool.clone()).load(1).await;
    pool.close().await;
    catalog.context("the catalog cannot be loaded")
}

/// Who sends the statements.
struct Reader {
    account: Account,
    role: RoleId,
    firewall: FirewallMode,
}

impl Reader {
    fn of(account: Option<&str>, policy: &Policy) -> Result<Self, Failure> {
        let Some(written) = account else { return Self::of_all(policy) };
        let (user, host) = written.rsplit_once('@').unwrap_or((written, "%"));
        let account = Account { user: user.into(), host: host.into() };
        let (role, firewall) = policy.resolve(&account);
        Ok(Self { account, role, firewall })
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
            let line = *line;
            let admitted = plan::inspect(
                sql,
                Inspection {
                    dialect: self.dialect,
                    default_database: database.as_deref(),
                    catalog: self.catalog,
                    policy: self.policy,
                    role: self.reader.role,
                    account: &self.reader.account,
                    firewall: self.reader.firewall,
                    cache: &cache,
                    scratch: &mut scratch,
                },
            );
            statements.push(match admitted {
                Ok(admitted) => self.admitted(line, &admitted),
                Err(refusal) => refused(line, &refusal),
            });
        }
        Report { statements }
    }

    fn admitted(&self, line: usize, admitted: &Admitted<'_>) -> Explained {
        let plan = admitted.plan();
        let (mut seals, mut index, mut opens) = (Vec::new(), Vec::new(), Vec::new());
        for splice in &plan.splices {
            match &splice.kind {
                SpliceKind::Seal(_) => self.note(splice.column, &mut seals),
                SpliceKind::Constant(_) | SpliceKind::Operand | SpliceKind::NullIf { .. } => {}
                SpliceKind::Search { .. } => self.note(splice.column, &mut index),
                // Prefixes of both are compared, by no index of the server's.
                SpliceKind::Match { .. } | SpliceKind::Tag { .. } | SpliceKind::AnyOf { .. } => {}
            }
        }
        match &plan.outputs {
            Outputs::Relay => {}
            Outputs::Columns(cells) => {
                for cell in cells {
                    match cell {
                        CellAction::Relay => {}
                        CellAction::Open(grant) => self.note(grant.column(), &mut opens),
                    }
                }
            }
        }
        let verdict = if plan.splices.is_empty() { Verdict::Relayed } else { Verdict::Rewritten };
        Explained { line, verdict, text: Some(sketch::text(admitted)), seals, index, opens, error: None }
    }

    fn note(&self, column: ColumnId, names: &mut Vec<String>) {
        let name = self.policy.column(column).map(|found| found.column.to_string()).unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

fn refused(line: usize, refusal: &Refusal) -> Explained {
    let error = ClientError::from(refusal);
    // The client does not hear of the rule; who explains statements wrote them.
    let text = match refusal {
        Refusal::Firewall { rule } => format!("{} (firewall rule {rule})", error.text),
        Refusal::Denied { .. } | Refusal::Unsupported { .. } | Refusal::UnknownName { .. } | Refusal::NotReady => {
            error.text
        }
    };
    let sqlstate = error.sqlstate.iter().copied().map(char::from).collect();
    Explained {
        line,
        verdict: Verdict::Refused,
        text: None,
        seals: Vec::new(),
        index: Vec::new(),
        opens: Vec::new(),
        error: Some(ErrorShown { code: error.code, sqlstate, text }),
    }
}

impl Report {
    fn text(&self) -> String {
        let blocks: Vec<String> = self.statements.iter().map(Explained::block).collect();
        blocks.join("\n")
    }
}

impl Explained {
    fn block(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Relayed => "relayed",
            Verdict::Rewritten => "rewritten",
            Verdict::Refused => "REFUSED",
        };
        let text = match (&self.text, &self.error) {
            (Some(text), _) => text.clone(),
            (None, Some(error)) => format!("{} ({}): {}", error.code, error.sqlstate, error.text),
            (None, None) => String::new(),
        };
        let mut lines = vec![format!("line {:<5} {verdict:<9}  {text}", self.line)];
        for (what, columns) in [("seals", &self.seals), ("index", &self.index), ("opens", &self.opens)] {
            if !columns.is_empty() {
                lines.push(format!("           {what:<9}  {}", columns.join(", ")));
            }
        }
        lines.join("\n")
    }
}
