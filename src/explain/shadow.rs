//! What shadow mode has seen: a bounded table of statements by digest, role and outcome, and the lines of its report.
//!
//! Statements stand in it with placeholders, and without names that the schema does not know: it outlives them, and others
//! read it. Writing it somewhere, and when, is the caller's work.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Audience, Explained, Names, Verdict, of_text};
use crate::firewall::{self, LatestNames, Vocabulary};
use crate::plan::{Admitted, Refusal};
use crate::policy::{Policy, RoleId};
use crate::schema::Catalog;
use crate::sql::{Dialect, ReservedWords};

/// Characters of a text that are kept: bulk inserts go on for megabytes.
const TEXT_CHARS_MAX: usize = 2000;

/// How a statement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// To be run.
    Executed,
    /// To be prepared: it is counted when it is run.
    Prepared,
}

/// Statements so far, by what would have become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowTotals {
    /// They would have gone out as they came.
    pub relayed: u64,
    /// Values or comparisons in them would have been replaced.
    pub rewritten: u64,
    /// They would have been refused.
    pub refused: u64,
    /// Statements among these that are not in the table, because it was full.
    pub not_listed: u64,
}

/// The report's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowHead {
    /// The version that wrote it. No other line has this field.
    pub candado_shadow: String,
    /// When the process began to look, in seconds since 1970.
    pub began_s: u64,
    /// When the report was written, in seconds since 1970.
    pub written_s: u64,
    /// Sums.
    #[serde(flatten)]
    pub totals: ShadowTotals,
}

/// One line of the report: statements of one digest, for one role, with one outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowLine {
    /// As firewall events name it; none for a text that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The role of those who sent them.
    pub role: String,
    /// The default database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// How often they were run.
    pub executed: u64,
    /// How often they were prepared.
    pub prepared: u64,
    /// What would have become of them. Refused ones have a text here, too, if they can be read.
    #[serde(flatten)]
    pub explained: Explained,
}

/// Who sent a statement, and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The text.
    pub sql: &'a [u8],
    /// How the server reads it.
    pub dialect: Dialect,
    /// The session's default database.
    pub database: Option<&'a str>,
    /// The sender's role.
    pub role: RoleId,
    /// The names that may be shown.
    pub catalog: &'a Catalog,
}

/// The table. Shared by all connections.
#[derive(Debug)]
pub struct ShadowTable {
    lines_max: usize,
    names: LatestNames,
    lines: Mutex<HashMap<[u8; 32], ShadowLine>>,
    relayed: AtomicU64,
    rewritten: AtomicU64,
    refused: AtomicU64,
    not_listed: AtomicU64,
}

impl ShadowTable {
    /// An empty table that takes so many lines.
    pub fn new(lines_max: usize) -> Self {
        Self {
            lines_max,
            names: LatestNames::default(),
            lines: Mutex::default(),
            relayed: AtomicU64::new(0),
            rewritten: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            not_listed: AtomicU64::new(0),
        }
    }

    /// Counts a statement and what would have become of it.
    pub fn note(&self, sent: Sent<'_>, decision: &Result<Admitted<'_>, Refusal>, policy: &Policy, occasion: Occasion) {
        let verdict = match decision {
            Ok(admitted) if admitted.plan().splices.is_empty() && admitted.plan().bound.is_none() => Verdict::Relayed,
            Ok(_) => Verdict::Rewritten,
            Err(_) => Verdict::Refused,
        };
        match (occasion, verdict) {
            (Occasion::Prepared, _) => {}
            (Occasion::Executed, Verdict::Relayed) => count(&self.relayed),
            (Occasion::Executed, Verdict::Rewritten) => count(&self.rewritten),
            (Occasion::Executed, Verdict::Refused) => count(&self.refused),
        }
        let (key, digest) = key(sent, decision, verdict);
        let names = self.names.of(sent.catalog);
        let vocabulary = Vocabulary { names: &names, reserved: &ReservedWords::of_catalog(sent.catalog) };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let full = lines.len() >= self.lines_max;
        let line = match lines.entry(key) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(_) if full => {
                if occasion == Occasion::Executed {
                    count(&self.not_listed);
                }
                return;
            }
            Entry::Vacant(place) => place.insert(line(sent, decision, policy, vocabulary, digest)),
        };
        let counter = match occasion {
            Occasion::Executed => &mut line.executed,
            Occasion::Prepared => &mut line.prepared,
        };
        *counter = counter.saturating_add(1);
    }

    /// Sums.
    pub fn totals(&self) -> ShadowTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShadowTotals {
            relayed: read(&self.relayed),
            rewritten: read(&self.rewritten),
            refused: read(&self.refused),
            not_listed: read(&self.not_listed),
        }
    }

    /// The lines: refused ones first, and the most frequent ones first among these and among the others.
    pub fn lines(&self) -> Vec<ShadowLine> {
        let mut lines: Vec<ShadowLine> =
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let order = |line: &ShadowLine| {
            let passes = line.explained.verdict != Verdict::Refused;
            (passes, std::cmp::Reverse(line.executed), line.digest.clone(), line.role.clone())
        };
        lines.sort_by_cached_key(order);
        lines
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What tells lines apart, and the statement's digest.
fn key(sent: Sent<'_>, decision: &Result<Admitted<'_>, Refusal>, verdict: Verdict) -> ([u8; 32], Option<String>) {
    let digest = firewall::digest(sent.sql, &sent.dialect);
    let database = sent.database.unwrap_or_default();
    let reason = decision.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let mut hash = Sha256::new();
    // Each part with its length, so that none runs into the next.
    for part in [digest.as_deref().unwrap_or_default(), database, verdict.name(), &reason] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(sent.role.0.to_le_bytes());
    (hash.finalize().into(), digest)
}

fn line(
    sent: Sent<'_>,
    decision: &Result<Admitted<'_>, Refusal>,
    policy: &Policy,
    vocabulary: Vocabulary<'_>,
    digest: Option<String>,
) -> ShadowLine {
    let mut explained = Explained::of(decision, policy, Audience::Reader(vocabulary));
    if decision.is_err() {
        explained.text = of_text(sent.sql, &sent.dialect, Names::Known(vocabulary));
    }
    if let Some(text) = &mut explained.text
        && let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX)
    {
        text.truncate(end);
        text.push('…');
    }
    ShadowLine {
        digest,
        role: policy.role(sent.role).map(|role| role.name.to_string()).unwrap_or_default(),
        database: sent.database.map(str::to_owned),
        executed: 0,
        prepared: 0,
        explained,
    }
}
