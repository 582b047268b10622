//! What was found in files: which accesses are the newest, and which results that have begun have ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::document;
use crate::audit::{Accessed, Parsed};

/// A statement, by its client and its reference.
type Statement = (String, String);

/// Time and number of a record.
type Place = (String, u64);

/// What was found in one file: the newest ones, and how many there were.
#[derive(Default)]
pub(super) struct Hits {
    /// Lines by time, then by number, then as they were found.
    kept: BTreeMap<(Place, u64), Box<str>>,
    /// Those whose end has not been found.
    begun: HashMap<Statement, (Place, u64)>,
    pub(super) count: u64,
    /// How many were found, also those that another one stands for.
    found: u64,
}

impl Hits {
    pub(super) fn keep(&mut self, access: &Accessed<'_>, limit: usize) {
        let of_statement = statement(access);
        // The record of the end stands for both.
        if let Some(begun) = self.begun.remove(&of_statement) {
            self.drop(&begun);
        }
        self.count = self.count.saturating_add(1);
        self.found = self.found.saturating_add(1);
        let place = (place(access), self.found);
        if access.is_begun() {
            self.begun.insert(of_statement, place.clone());
        }
        self.kept.insert(place, access.line.into());
        // Those whose end may yet be found make no room.
        if self.kept.len() > limit.saturating_add(self.begun.len()) {
            self.kept.pop_first();
        }
    }

    fn drop(&mut self, begun: &(Place, u64)) {
        self.kept.remove(begun);
        self.count = self.count.saturating_sub(1);
    }

    /// The statements of which no end was found where they had begun.
    pub(super) fn open(all: &[Self]) -> HashSet<Statement> {
        all.iter().flat_map(|hits| hits.begun.keys().cloned()).collect()
    }

    /// Drops those whose end is elsewhere.
    pub(super) fn close(&mut self, ends: &Ends) {
        for (statement, begun) in std::mem::take(&mut self.begun) {
            if ends.is_over(&statement, &begun.0) {
                self.drop(&begun);
            }
        }
    }

    /// The newest ones of all files, oldest first. Files of several proxies lie over each other in time.
    pub(super) fn newest(all: Vec<Self>, limit: usize) -> Vec<Value> {
        let mut kept: Vec<_> = all.into_iter().flat_map(|hits| hits.kept).collect();
        kept.sort_by(|((place, _), _), ((other, _), _)| place.cmp(other));
        let older = kept.len().saturating_sub(limit);
        let newest = kept.iter().skip(older).filter_map(|(_, line)| Parsed::read(line.as_bytes())?.access());
        newest.map(|access| document(&access)).collect()
    }
}

/// What was recorded of statements of which only the beginning was found: an end may be in another file, or name other
/// columns.
#[derive(Default)]
pub(super) struct Ends(HashMap<Statement, BTreeMap<Place, Stage>>);

/// How far a result was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begun,
    Ended,
}

impl Ends {
    pub(super) fn note(&mut self, access: &Accessed<'_>, open: &HashSet<Statement>) {
        let statement = statement(access);
        if open.contains(&statement) {
            let stage = if access.is_begun() { Stage::Begun } else { Stage::Ended };
            self.0.entry(statement).or_default().insert(place(access), stage);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (statement, stages) in other.0 {
            self.0.entry(statement).or_default().extend(stages);
        }
    }

    /// Whether what comes next of the statement, behind that place, is an end.
    fn is_over(&self, statement: &Statement, begun: &Place) -> bool {
        let next = self.0.get(statement).and_then(|stages| stages.iter().find(|(place, _)| *place > begun));
        next.is_some_and(|(_, stage)| *stage == Stage::Ended)
    }
}

fn statement(access: &Accessed<'_>) -> Statement {
    (access.client.to_owned(), access.reference.to_owned())
}

fn place(access: &Accessed<'_>) -> Place {
    (access.at.to_owned(), access.seq)
}
