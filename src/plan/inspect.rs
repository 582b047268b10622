//! The one door to the server: a statement is sent only as [`Admitted`], and only [`inspect`] makes one.

use std::sync::Arc;

use super::cache::Decision;
use super::judge::Judge;
use super::text::Text;
use super::{Effect, Lookup, Naming, PlanCache, QueryPlan, Refusal};
use crate::firewall::profile::{AccountProfile, Growth, Loaded, Sighting};
use crate::firewall::rules::PARSE;
use crate::policy::{Account, FirewallMode, Policy, RoleId};
use crate::schema::{Catalog, Charset, ServerKind};
use crate::sql::{self, Dialect, Token};

/// Longer keys are not remembered: such statements are bulk inserts that hardly come twice alike.
const KEY_OCTETS_MAX: usize = 32 * 1024;

/// Everything beside the statement that a decision depends on.
#[derive(Debug)]
pub struct Inspection<'a> {
    /// How the server reads the statement's bytes.
    pub dialect: Dialect,
    /// The session's default database.
    pub default_database: Option<&'a str>,
    /// What the server holds.
    pub catalog: &'a Catalog,
    /// What is protected.
    pub policy: &'a Policy,
    /// The role of the account.
    pub role: RoleId,
    /// The account that the server authenticated.
    pub account: &'a Account,
    /// Whether the catalog was read again for this statement.
    pub lookup: Lookup,
    /// How the firewall treats the account.
    pub firewall: FirewallMode,
    /// What is known of the account. Without it nothing is allowed as an exception, and modes that compare with a profile
    /// know no statement.
    pub profile: Option<&'a AccountProfile>,
    /// Decisions made before, shared by all connections.
    pub cache: &'a PlanCache,
    /// The connection's buffers.
    pub scratch: &'a mut Scratch,
}

/// Buffers that a connection keeps from statement to statement.
#[derive(Debug, Default)]
pub struct Scratch {
    tokens: Vec<Token>,
    key: Vec<u8>,
}

/// A statement that may be sent, with its plan.
#[derive(Clone, Debug)]
pub struct Admitted<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    plan: Arc<QueryPlan>,
    observed: Option<&'static str>,
    sighting: Option<Arc<Sighting>>,
}

impl<'a> Admitted<'a> {
    /// Notes that the statement was sent, for the account's profile if that takes new ones.
    pub fn note_sent(&self) {
        if let Some(sighting) = &self.sighting {
            sighting.count();
        }
    }

    /// The statement as the client wrote it.
    pub fn sql(&self) -> &'a [u8] {
        self.sql
    }

    /// Its executed tokens.
    pub fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    /// What happens to it and to its result.
    pub fn plan(&self) -> &Arc<QueryPlan> {
        &self.plan
    }

    /// The firewall rule that matched, for an account whose firewall mode only observes.
    pub fn observed(&self) -> Option<&'static str> {
        self.observed
    }
}

/// Whether a decision holds for every statement of the same digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remember {
    /// It does.
    Yes,
    /// The value of a literal had a part in it.
    No,
}

impl Remember {
    /// What holds if both do.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, Self::Yes) => Self::Yes,
            (Self::No, _) | (_, Self::No) => Self::No,
        }
    }
}

/// What MySQL's command-line client sends when it has connected, to learn whether the server knows dollar quotes. It reads
/// nothing; a server that knows them answers with a syntax error. Refused, it would be an event of the firewall for each
/// start of that client.
const CLIENTS_QUESTION: &[u8] = b"select $$";

/// Decides about a statement. A digest met before costs the lexer, the digest and a lookup.
pub fn inspect<'a>(sql: &'a [u8], cx: Inspection<'a>) -> Result<Admitted<'a>, Refusal> {
    let Scratch { tokens, key } = cx.scratch;
    tokens.clear();
    let guarded = !cx.policy.columns().is_empty() || cx.firewall.refuses();
    if sql::lex(sql, &cx.dialect, tokens).is_err() {
        tokens.clear();
        if sql == CLIENTS_QUESTION {
            let plan = Arc::new(QueryPlan::relay(Effect::None, 0));
            return Ok(Admitted { sql, tokens, plan, observed: None, sighting: None });
        }
        if guarded {
            return Err(Refusal::Firewall { rule: PARSE.0 });
        }
        let plan = Arc::new(QueryPlan { named: Naming::Maybe, ..QueryPlan::relay(Effect::Catalog, 0) });
        let observed = (cx.firewall == FirewallMode::Observe).then_some(PARSE.0);
        return Ok(Admitted { sql, tokens, plan, observed, sighting: None });
    }
    let tokens: &'a [Token] = tokens;
    let text = Text { sql, tokens };
    begin_key(
        key,
        &KeyParts {
            dialect: cx.dialect,
            default_database: cx.default_database,
            catalog: cx.catalog,
            policy: cx.policy,
            role: cx.role,
            firewall: cx.firewall,
            profile: cx.profile,
        },
    );
    sql::normalise(sql, tokens, key);
    let decision = match cx.cache.find(key) {
        Some(decision) => decision,
        None => {
            let names = cx.cache.names(cx.policy, cx.catalog);
            let judge = Judge {
                dialect: cx.dialect,
                default_database: cx.default_database,
                catalog: cx.catalog,
                policy: cx.policy,
                names: &names,
                role: cx.role,
                account: cx.account,
                lookup: cx.lookup,
                firewall: cx.firewall,
                profile: cx.profile,
                cache: cx.cache,
            };
            let (decision, remember) = judge.decide(text);
            if remember == Remember::Yes && key.len() <= KEY_OCTETS_MAX {
                cx.cache.keep(key, decision.clone());
            }
            decision
        }
    };
    match decision {
        Decision::Admit { plan, observed, sighting } => Ok(Admitted { sql, tokens, plan, observed, sighting }),
        Decision::Refuse(refusal) => Err(of_account(&refusal, cx.account)),
    }
}

/// A refusal kept from another account of the same role names that account.
fn of_account(refusal: &Refusal, account: &Account) -> Refusal {
    match refusal {
        Refusal::Denied { verb, column, account: _ } => {
            Refusal::Denied { verb: *verb, column: column.clone(), account: account.clone() }
        }
        Refusal::Firewall { .. }
        | Refusal::Administration
        | Refusal::Unsupported { .. }
        | Refusal::UnknownName { .. }
        | Refusal::NotReady => refusal.clone(),
    }
}

/// What of an inspection a cache key begins with.
#[derive(Clone, Copy)]
struct KeyParts<'a> {
    dialect: Dialect,
    default_database: Option<&'a str>,
    catalog: &'a Catalog,
    policy: &'a Policy,
    role: RoleId,
    firewall: FirewallMode,
    profile: Option<&'a AccountProfile>,
}

/// What is known of the account: its exceptions, and its profile where the mode compares with one. Sightings belong to
/// one account, so its name is in the key then; while a profile grows, no decision depends on what it holds.
fn begin_profile_key(key: &mut Vec<u8>, firewall: FirewallMode, profile: Option<&AccountProfile>) {
    let Some(known) = profile.filter(|_| firewall.refuses()) else { return };
    let exceptions = known.exceptions.as_ref().map_or(0, |exceptions| exceptions.stamp);
    key.extend_from_slice(&exceptions.to_le_bytes());
    if !firewall.has_profile() {
        return;
    }
    let grows = firewall == FirewallMode::Learn && known.growth() == Growth::Learning;
    let stamp = known.profile.as_ref().filter(|_| !grows).map_or(0, |profile| profile.stamp);
    key.extend_from_slice(&stamp.to_le_bytes());
    key.push(match known.loaded {
        Loaded::No => 0,
        Loaded::Yes => 1,
    });
    key.extend_from_slice(&(known.place.account.len() as u64).to_le_bytes());
    key.extend_from_slice(known.place.account.as_bytes());
}

/// Begins a cache key with everything that a decision depends on beside the digest. Parts of variable length carry their
/// length.
fn begin_key(key: &mut Vec<u8>, cx: &KeyParts<'_>) {
    let KeyParts { dialect, default_database, catalog, policy, role, firewall, profile } = *cx;
    key.clear();
    key.extend_from_slice(&catalog.version.to_le_bytes());
    key.extend_from_slice(&policy.version().to_le_bytes());
    key.extend_from_slice(&role.0.to_le_bytes());
    key.extend_from_slice(&dialect.server.number.to_le_bytes());
    let database = default_database.unwrap_or_default();
    key.extend_from_slice(&(database.len() as u64).to_le_bytes());
    key.extend_from_slice(&[
        match dialect.server.kind {
            ServerKind::MySql => 0,
            ServerKind::MariaDb => 1,
        },
        dialect.mode.bits(),
        match dialect.charset {
            Charset::Utf8mb4 => 0,
            Charset::Utf8mb3 => 1,
            Charset::Ascii => 2,
            Charset::Latin1 => 3,
            Charset::Binary => 4,
        },
        match firewall {
            FirewallMode::Off => 0,
            FirewallMode::Observe => 1,
            FirewallMode::Block => 2,
            FirewallMode::Learn => 3,
            FirewallMode::Protect => 4,
        },
        u8::from(default_database.is_some()),
    ]);
    key.extend_from_slice(database.as_bytes());
    begin_profile_key(key, firewall, profile);
}
