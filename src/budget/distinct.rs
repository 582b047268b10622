//! How many different rows an account was shown: for each protected column the cells that are different as they are stored.
//!
//! A sealed cell is another one whenever it is written, so a cell stands for a row for as long as nobody writes it. All proxies
//! know an envelope by the first 64 bits of the SHA-256 of its bytes, and tell each other by way of the database. Two that agree
//! in them count as one: among a million cells there are such two once in 37 million days, and nobody brings it about, because
//! proxies make envelopes around random bytes, and what others make does not open. A value that is not sealed yet is counted
//! by each proxy for itself, by a digest that nobody else could make: what the database is told must not say what it is.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::window::Sharing;
use super::{Settling, Span, Verdict, advance};
use crate::policy::Budget;
use crate::schema::ColumnRef;

/// Cells that the database is told of at once.
const TOLD_MAX: usize = 4096;
/// How long cells that nobody waits for are gathered before the database is told of them.
const GATHERED_FOR: Duration = Duration::from_secs(5);
/// Columns of which others may tell. No policy has so many.
const COLUMNS_MAX: usize = 10_000;

/// A cell that an account is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its column.
    pub column: ColumnRef,
    /// Digest of its bytes.
    pub digest: u64,
    /// What it holds.
    pub stored: Stored,
}

impl Seen {
    /// A cell of that column. `own` is this proxy's.
    pub(super) fn of(column: &ColumnRef, bytes: &[u8], stored: Stored, own: &RandomState) -> Self {
        let digest = match stored {
            Stored::Envelope => {
                let digest: [u8; 32] = Sha256::digest(bytes).into();
                digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
            }
            Stored::Value => own.hash_one(bytes),
        };
        Self { column: column.clone(), digest, stored }
    }
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// An envelope, which all proxies know by the same digest.
    Envelope,
    /// A value that is not sealed yet.
    Value,
}

/// Digests of different cells by column.
pub type Digests = Vec<(ColumnRef, Vec<u64>)>;

/// What a proxy tells the database of the different cells of one account's day, and asks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowClaim {
    serial: u64,
    /// The day that it is about, by the database's name; `None`: the present one.
    pub day: Option<Box<str>>,
    /// How far the proxy has read what all have told.
    pub since: u64,
    /// Cells that were shown.
    pub shown: Digests,
    /// Whether somebody waits for the answer, or soon would.
    pub is_wanted: bool,
}

impl RowClaim {
    /// Cells of which nobody has told, when these have just been read.
    pub fn untold(&self, read: &Digests) -> Digests {
        let told = by_column(read);
        let of = |(column, digests): &(ColumnRef, Vec<u64>)| {
            let is_told = |digest: &u64| told.get(column).is_some_and(|told| told.contains(digest));
            (column.clone(), digests.iter().copied().filter(|digest| !is_told(digest)).collect::<Vec<_>>())
        };
        self.shown.iter().map(of).filter(|(_, digests)| !digests.is_empty()).collect()
    }
}

/// What the database answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAnswer {
    /// The present day, by the moment at which it began.
    pub day: Box<str>,
    /// When it is over.
    pub ends_in: Duration,
    /// Cells that proxies have told of.
    pub read: Digests,
    /// How far they have been read.
    pub since: u64,
    /// Whether these are all. If not, nothing was told.
    pub reading: Reading,
}

/// Whether all has been read that proxies have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// There may be more.
    Some,
    /// There was no more.
    All,
}

/// The cells of one account's day.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// Counts the days of this proxy, so that an answer about an earlier one is known.
    serial: u64,
    /// The day as the database has it; `None` while that has not been asked.
    day: Option<Box<str>>,
    until: Option<Instant>,
    by_column: HashMap<ColumnRef, Cells>,
    /// How far it has been read what all proxies have told.
    since: u64,
    /// Rows that wait until others have been asked for theirs, with the limit of each.
    waiting: Vec<(Vec<Seen>, u64)>,
    /// When the database was told of cells the last time.
    told_at: Option<Instant>,
    /// Whether somebody waits for the database, or soon would.
    wanted: bool,
    /// Whether something was refused: what is counted may have changed elsewhere.
    refused: bool,
    /// The greatest limit of which somebody was warned.
    warned: u64,
}

/// Those of one column.
#[derive(Debug, Default)]
struct Cells {
    /// Shown by this proxy or, as far as that is known, by others.
    all: HashSet<u64>,
    /// Those of this proxy that the database has not been told of.
    untold: Vec<u64>,
}

impl Distinct {
    /// Whether so many different cells are not too many in any column.
    pub(super) fn affords(&mut self, row: &[Seen], limit: u64, sharing: Sharing, now: Instant) -> Verdict {
        self.roll(now);
        let mut verdict = Verdict::Fits;
        for Seen { column, .. } in row {
            match self.affords_in(column, row, limit, sharing) {
                Verdict::Fits => {}
                Verdict::Unasked => verdict = Verdict::Unasked,
                Verdict::Spent => {
                    self.refused = true;
                    return Verdict::Spent;
                }
            }
        }
        self.wanted |= verdict == Verdict::Unasked;
        verdict
    }

    fn affords_in(&self, column: &ColumnRef, row: &[Seen], limit: u64, sharing: Sharing) -> Verdict {
        let (new, sealed) = self.new_in(column, row);
        if new == 0 {
            return Verdict::Fits;
        }
        let cells = self.by_column.get(column);
        if cells.map_or(0, |of| of.all.len()).saturating_add(new) as u64 > limit {
            return Verdict::Spent;
        }
        let untold = cells.map_or(0, |of| of.untold.len());
        let in_advance = sealed == 0 || untold.saturating_add(sealed) as u64 <= advance(limit);
        match sharing {
            Sharing::Shared if !in_advance => Verdict::Unasked,
            Sharing::Shared | Sharing::Alone => Verdict::Fits,
        }
    }

    /// How many different cells of a row's column are new, and how many of them are envelopes.
    fn new_in(&self, column: &ColumnRef, row: &[Seen]) -> (usize, usize) {
        let cells = self.by_column.get(column);
        let mut new = HashSet::new();
        let is_new = |cell: &&Seen| cell.column == *column && !cells.is_some_and(|of| of.all.contains(&cell.digest));
        let sealed =
            row.iter().filter(is_new).filter(|cell| new.insert(cell.digest) && cell.stored == Stored::Envelope);
        let sealed = sealed.count();
        (new.len(), sealed)
    }

    /// Has a row wait until the database has been told of it: it may be shown then, whatever is shown in advance meanwhile.
    pub(super) fn wait(&mut self, row: &[Seen], limit: u64) {
        if !self.waiting.iter().any(|(waiting, of)| waiting == row && *of == limit) {
            self.waiting.push((row.to_vec(), limit));
        }
        self.wanted = true;
    }

    /// Takes rows that wait and fit, now that the database has said what all proxies have told and nobody else can tell
    /// anything: they are counted, and told of with the claim, before they are shown. Whoever waits for another one asks again.
    pub(super) fn admit(&mut self, claim: &mut RowClaim, read: &Digests) {
        if claim.serial != self.serial {
            return;
        }
        for (column, digests) in read {
            self.add(column, digests);
        }
        for (row, limit) in std::mem::take(&mut self.waiting) {
            let told: usize = claim.shown.iter().map(|(_, digests)| digests.len()).sum();
            let is_of_day = claim.serial == self.serial;
            if is_of_day
                && told < TOLD_MAX
                && self.affords(&row, limit, Sharing::Alone, Instant::now()) == Verdict::Fits
            {
                self.take(&row, claim);
            }
        }
    }

    fn take(&mut self, row: &[Seen], claim: &mut RowClaim) {
        for Seen { column, digest, stored } in row {
            let cells = self.by_column.entry(column.clone()).or_default();
            if cells.all.insert(*digest) && *stored == Stored::Envelope {
                cells.untold.push(*digest);
                match claim.shown.iter_mut().find(|(of, _)| of == column) {
                    Some((_, digests)) => digests.push(*digest),
                    None => claim.shown.push((column.clone(), vec![*digest])),
                }
            }
        }
    }

    /// Adds the cells of a row. Gives the limit if the warning part of it has been reached just now.
    pub(super) fn charge(&mut self, row: Vec<Seen>, limit: u64, percent: u8, now: Instant) -> Option<u64> {
        self.roll(now);
        self.until = Some(self.until.unwrap_or_else(|| now + Span::Rows.length()));
        let mut most = 0;
        for Seen { column, digest, stored } in row {
            let cells = self.by_column.entry(column).or_default();
            if cells.all.insert(digest) && stored == Stored::Envelope {
                cells.untold.push(digest);
                // The database is told before somebody has to wait for that.
                self.wanted |= cells.untold.len() as u64 > advance(limit) / 2;
            }
            most = most.max(cells.all.len() as u64);
        }
        if self.warned >= limit || u128::from(most) * 100 < u128::from(limit) * u128::from(percent) {
            return None;
        }
        self.warned = limit;
        Some(limit)
    }

    /// Whether somebody waits, or soon would.
    pub(super) fn is_wanting(&self) -> bool {
        self.wanted
    }

    /// What the database is to be told and asked; who is counted alone asks in any case, to learn whether that is over.
    pub(super) fn claim(&mut self, settling: Settling, sharing: Sharing, now: Instant) -> Option<RowClaim> {
        self.roll(now);
        let wanted = std::mem::take(&mut self.wanted);
        let owes = self.by_column.values().any(|cells| !cells.untold.is_empty());
        let is_time = self.told_at.is_none_or(|told| now.saturating_duration_since(told) >= GATHERED_FOR);
        let asks = match settling {
            Settling::WhatIsWanted => wanted,
            Settling::WhatRests => {
                let refused = std::mem::take(&mut self.refused);
                wanted || refused || (owes && is_time) || (sharing == Sharing::Alone && self.until.is_some())
            }
            Settling::Everything => owes,
        };
        if !asks {
            return None;
        }
        if owes {
            self.told_at = Some(now);
        }
        Some(self.next_claim(wanted))
    }

    fn next_claim(&self, is_wanted: bool) -> RowClaim {
        let mut left = TOLD_MAX;
        let mut shown = Vec::new();
        for (column, Cells { untold, .. }) in self.by_column.iter().filter(|(_, cells)| !cells.untold.is_empty()) {
            let told: Vec<_> = untold.iter().copied().take(left).collect();
            left = left.saturating_sub(told.len());
            shown.push((column.clone(), told));
        }
        RowClaim { serial: self.serial, day: self.day.clone(), since: self.since, shown, is_wanted }
    }

    /// Takes the database's answer to a claim that was sent at that moment. Gives what is to be asked next, where the answer
    /// was not all, or more is to be told.
    pub(super) fn answered(&mut self, claim: &RowClaim, answer: &RowAnswer, asked: Instant) -> Option<RowClaim> {
        if claim.serial != self.serial {
            return None;
        }
        let same = self.day.as_ref().is_none_or(|day| *day == answer.day);
        if !same || answer.reading == Reading::All {
            self.are_told(&claim.shown);
        }
        if !same {
            self.begin_anew();
        }
        self.are_told(&answer.read);
        for (column, digests) in &answer.read {
            self.add(column, digests);
        }
        self.day = Some(answer.day.clone());
        self.until = Some(asked + answer.ends_in);
        self.since = answer.since;
        let told: usize = claim.shown.iter().map(|(_, digests)| digests.len()).sum();
        (answer.reading == Reading::Some || told >= TOLD_MAX).then(|| self.next_claim(claim.is_wanted))
    }

    /// The database's day began anew before ours did: what was shown since the claim belongs to that one.
    fn begin_anew(&mut self) {
        self.serial = self.serial.wrapping_add(1);
        self.warned = 0;
        self.by_column.retain(|_, cells| {
            cells.all = cells.untold.iter().copied().collect();
            !cells.untold.is_empty()
        });
    }

    fn are_told(&mut self, told: &Digests) {
        for (column, digests) in by_column(told) {
            if let Some(cells) = self.by_column.get_mut(column) {
                cells.untold.retain(|digest| !digests.contains(digest));
            }
        }
    }

    /// Cells that others have shown. More than any limit allows are not remembered.
    fn add(&mut self, column: &ColumnRef, digests: &[u64]) {
        if self.by_column.len() >= COLUMNS_MAX && !self.by_column.contains_key(column) {
            return;
        }
        let cells = self.by_column.entry(column.clone()).or_default();
        for digest in digests {
            if cells.all.len() as u64 > Budget::ROWS_MAX {
                return;
            }
            cells.all.insert(*digest);
        }
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
            *self = Self { serial: self.serial.wrapping_add(1), ..Self::default() };
        }
    }
}

fn by_column(digests: &Digests) -> HashMap<&ColumnRef, HashSet<u64>> {
    let mut by_column: HashMap<_, HashSet<u64>> = HashMap::new();
    for (column, digests) in digests {
        by_column.entry(column).or_default().extend(digests);
    }
    by_column
}
