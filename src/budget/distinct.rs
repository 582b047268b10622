//! How many different rows an account was shown: for each protected column the cells that are different as they are stored.
//!
//! A sealed cell is another one whenever it is written, so a cell stands for a row for as long as nobody writes it. Exact but
//! for cells whose keyed 64-bit digests are equal; counted by this proxy, from the first cell of a day.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::time::Instant;

use super::Span;
use crate::schema::ColumnRef;

/// A cell that an account is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its column.
    pub column: ColumnRef,
    /// Digest of its bytes.
    pub digest: u64,
}

/// The cells of one account's day.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    digests: RandomState,
    until: Option<Instant>,
    by_column: HashMap<ColumnRef, HashSet<u64>>,
    /// The greatest limit of which somebody was warned.
    told: u64,
}

impl Distinct {
    /// What a stored cell is known by.
    pub(super) fn digest(&self, stored: &[u8]) -> u64 {
        self.digests.hash_one(stored)
    }

    /// Whether so many different cells are not too many in any column.
    pub(super) fn affords(&mut self, row: &[Seen], limit: u64, now: Instant) -> bool {
        self.roll(now);
        row.iter().all(|Seen { column, .. }| {
            let seen = self.by_column.get(column);
            let is_new = |cell: &&Seen| cell.column == *column && !seen.is_some_and(|seen| seen.contains(&cell.digest));
            let all = seen.map_or(0, HashSet::len).saturating_add(row.iter().filter(is_new).count());
            all as u64 <= limit || !row.iter().any(|cell| is_new(&cell))
        })
    }

    /// Adds the cells of a row. Gives the limit if the warning part of it has been reached just now.
    pub(super) fn charge(&mut self, row: Vec<Seen>, limit: u64, percent: u8, now: Instant) -> Option<u64> {
        self.roll(now);
        self.until = Some(self.until.unwrap_or_else(|| now + Span::Day.length()));
        let mut most = 0;
        for Seen { column, digest } in row {
            let seen = self.by_column.entry(column).or_default();
            seen.insert(digest);
            most = most.max(seen.len() as u64);
        }
        if self.told >= limit || u128::from(most) * 100 < u128::from(limit) * u128::from(percent) {
            return None;
        }
        self.told = limit;
        Some(limit)
    }

    /// Whether nothing is counted.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        self.roll(now);
        self.until.is_none()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_column.is_empty()
    }

    /// Gives back the memory of a day that is over.
    fn roll(&mut self, now: Instant) {
        if self.until.is_some_and(|until| now >= until) {
            // Digests of the row at hand have been made already.
            *self = Self { digests: self.digests.clone(), ..Self::default() };
        }
    }
}
