//! `candado firewall test`: what the firewall says of statements off line.
//!
//! No server is asked and no key is opened: signatures need neither catalog nor policy, and a profile is made from
//! statements. Texts are shown with placeholders alone: what is judged may come from a log.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::Failure;
use super::super::output::Output;
use super::super::script::{Piece, Source, read_file, sql_mode};
use super::learned::{Distance, Learned};
use crate::control::counted;
use crate::firewall::Digest;
use crate::firewall::profile::{AccountProfile, PROFILE};
use crate::plan::{self, Admitted, Inspection, Lookup, PlanCache, Refusal, Scratch};
use crate::policy::{Access, Account, FirewallMode, Policy, Role, RoleId};
use crate::schema::{Catalog, Charset, ServerKind, ServerVersion};
use crate::sql::{Dialect, SqlMode};
use crate::{explain, firewall};

/// Octets of decisions that are kept while a log is judged.
const CACHE_OCTETS_MAX: u64 = 64 << 20;

/// What is judged, and how its text is to be read.
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Judge as in mode `protect`, with a profile of this file's statements; may be given several times. `--general-log`
    /// and `--sql-mode` hold for it too. Names of tables and columns that are in none of these files are unknown: statements
    /// that create the tables may be in them.
    #[arg(long, value_name = "FILE")]
    learn: Vec<PathBuf>,
    /// The server that the statements are for.
    #[arg(long, value_enum, default_value_t = Server::Mysql)]
    server: Server,
    /// The session's SQL mode.
    #[arg(long, default_value = "STRICT_TRANS_TABLES", value_parser = sql_mode)]
    sql_mode: SqlMode,
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
pub(super) struct Report {
    /// Statements that were judged.
    statements: usize,
    /// Digests among them.
    digests: usize,
    /// How the digests stand to the profile that was learned, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Standing>,
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
    /// What it has more than the nearest known one, if the profile refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<Distance>,
}

/// Digests by how they stand to a profile. Those that a signature refuses are in none.
#[derive(Debug, Default, Serialize)]
struct Standing {
    /// Digests of the profile.
    learned: usize,
    /// Digests that are in it, and those of transactions.
    known: usize,
    /// Digests that are not, and pass.
    near: usize,
    /// Digests that are not, and are refused.
    far: usize,
}

/// Judges and prints.
pub(super) fn test(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { source, learn, server, sql_mode, json } = arguments;
    let dialect = Dialect { mode: *sql_mode, charset: Charset::Utf8mb4, server: server.version() };
    let files = learn.iter().map(|path| read_file(path)).collect::<Result<Vec<_>, _>>()?;
    let mut known = Vec::new();
    for file in &files {
        known.extend(source.statements(file, &dialect, None)?);
    }
    let learned = if learn.is_empty() { None } else { Some(Learned::of(&known, dialect)?) };
    let input = source.read()?;
    let pieces = source.statements(&input, &dialect, None)?;
    if pieces.is_empty() {
        return Err(Failure::Usage(anyhow!("there is no statement to judge")));
    }
    let report = judge(&pieces, dialect, learned.as_ref());
    Output::new().answer(*json, &report, || report.text())?;
    if report.refused.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

/// The data plane's door, without a connection: an account without rights to anything protected, because nothing is.
#[derive(Debug)]
pub(super) struct Door<'a> {
    dialect: Dialect,
    catalog: &'a Catalog,
    profile: Option<&'a AccountProfile>,
    mode: FirewallMode,
    policy: Policy,
    account: Account,
    cache: PlanCache,
    scratch: Scratch,
}

impl<'a> Door<'a> {
    pub(super) fn new(
        dialect: Dialect,
        catalog: &'a Catalog,
        mode: FirewallMode,
        profile: Option<&'a AccountProfile>,
    ) -> Self {
        let role = Role { name: "any".into(), default_access: Access::Deny, columns: HashMap::new() };
        let policy = Policy::new(0, Vec::new(), vec![role], Vec::new(), RoleId(0), mode);
        let account = Account { user: "any".into(), host: "%".into() };
        let cache = PlanCache::new(1, CACHE_OCTETS_MAX);
        Self { dialect, catalog, profile, mode, policy, account, cache, scratch: Scratch::default() }
    }

    pub(super) fn inspect<'s>(&'s mut self, piece: &'s Piece<'_>) -> Result<Admitted<'s>, Refusal> {
        let inspection = Inspection {
            lookup: Lookup::Again,
            dialect: self.dialect,
            default_database: piece.database.as_deref(),
            catalog: self.catalog,
            policy: &self.policy,
            role: RoleId(0),
            account: &self.account,
            firewall: self.mode,
            profile: self.profile,
            cache: &self.cache,
            scratch: &mut self.scratch,
        };
        plan::inspect(piece.sql, inspection)
    }
}

pub(super) fn judge(pieces: &[Piece<'_>], dialect: Dialect, learned: Option<&Learned>) -> Report {
    let nothing = Catalog::new(0, dialect.server, 0, HashSet::new(), Vec::new(), Vec::new());
    let mut door = match learned {
        None => Door::new(dialect, &nothing, FirewallMode::Block, None),
        Some(learned) => Door::new(dialect, &learned.catalog, FirewallMode::Protect, Some(&learned.profile)),
    };
    let mut standing = Standing { learned: learned.map_or(0, Learned::len), ..Standing::default() };
    let mut digests = HashSet::new();
    let mut refused: Vec<Hit> = Vec::new();
    for piece in pieces {
        let digest = firewall::digest(piece.sql, &dialect);
        let is_new = digest.as_ref().is_some_and(|digest| digests.insert(digest.clone()));
        let verdict = door.inspect(piece).map(|_| ());
        if let (true, Some(learned)) = (is_new, learned) {
            standing.count(&verdict, learned.knows(piece.sql, digest.as_deref().and_then(Digest::parse)));
        }
        let Err(Refusal::Firewall { rule }) = verdict else { continue };
        match refused.iter_mut().find(|hit| hit.digest.is_some() && hit.digest == digest && hit.rule == rule) {
            Some(hit) => hit.count += 1,
            None => {
                let text = explain::of_text(piece.sql, &dialect, explain::Names::AsWritten);
                let far = learned.filter(|_| rule == PROFILE.0);
                let distance = far.map(|learned| learned.distance(piece.sql));
                refused.push(Hit { rule, digest, count: 1, line: piece.line, text, distance });
            }
        }
    }
    Report { statements: pieces.len(), digests: digests.len(), profile: learned.map(|_| standing), refused }
}

impl Standing {
    fn count(&mut self, verdict: &Result<(), Refusal>, is_known: bool) {
        match verdict {
            Ok(()) if is_known => self.known += 1,
            Ok(()) => self.near += 1,
            Err(Refusal::Firewall { rule }) if *rule == PROFILE.0 => self.far += 1,
            Err(_) => {}
        }
    }
}

impl Report {
    pub(super) fn text(&self) -> String {
        let (refused, digests, statements) = (self.refused.len(), self.digests, self.statements);
        let total = format!(
            "{refused} of {} refused ({})",
            counted(digests, "digest", "digests"),
            counted(statements, "statement", "statements")
        );
        let profile = self.profile.as_ref().map(|Standing { learned, known, near, far }| {
            format!("{known} known, {near} near, {far} far from the {learned} digests of the profile")
        });
        self.refused.iter().map(Hit::block).chain([total]).chain(profile).collect::<Vec<_>>().join("\n")
    }
}

impl Hit {
    fn block(&self) -> String {
        let Self { rule, digest, count, line, text, distance } = self;
        let (text, digest) = (text.as_deref().unwrap_or("(cannot be read)"), digest.as_deref().unwrap_or("-"));
        let distance = distance.as_ref().map(|distance| format!("\n    {distance}")).unwrap_or_default();
        format!("line {line:<7} {count:>6} x  {rule}\n    {text}\n    digest {digest}{distance}")
    }
}
