//! One minute or one day of one account, as one proxy knows it.

use std::time::Instant;

use super::{Answer, Claim, Settling, Span, Verdict, advance, share};

/// Cells that were shown, and cells that may be. Behind a limit stand the cells of all proxies: those that this one was
/// given, and those that were given to others.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Counts the windows of this proxy, so that an answer about an earlier one is known.
    serial: u64,
    /// When it began, as the database has it; `None` while that has not been asked.
    name: Option<Box<str>>,
    /// When it is over; `None` before its first cell.
    until: Option<Instant>,
    /// Cells that this proxy has shown.
    cells: u64,
    /// Cells that the database has given this proxy.
    granted: u64,
    /// Cells that it has given to others, as of the last answer; `None`: there was none.
    others: Option<u64>,
    /// Cells that somebody waits for, or was refused.
    wanted: u64,
    /// The limit under which they are wanted: an account has the budget of the role that it uses, so it may have several.
    /// `None`: nobody has asked under one.
    limit: Option<u64>,
    /// Cells that had been shown when it was last looked after.
    cells_before: u64,
    /// The greatest limit of which somebody was warned.
    told: u64,
}

/// Who else is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All proxies, by way of the database.
    Shared,
    /// This proxy alone: the database cannot be written.
    Alone,
}

impl Window {
    /// Begins anew if it is over.
    pub(super) fn roll(&mut self, now: Instant) {
        if self.until.is_some_and(|until| now >= until) {
            *self = Self { serial: self.serial.wrapping_add(1), limit: self.limit, ..Self::default() };
        }
    }

    /// Whether so many cells more fit a limit. The cells are counted once, whatever limit they were shown under.
    pub(super) fn affords(&mut self, cells: u64, limit: u64, sharing: Sharing) -> Verdict {
        let mine = self.cells.saturating_add(cells);
        if mine > limit {
            // Nothing that comes back makes room for it in this window: other proxies keep what they may still show.
            return Verdict::Spent;
        }
        let waiting = self.limit.filter(|_| self.is_wanting());
        self.limit = Some(waiting.map_or(limit, |before| before.max(limit)));
        let others = self.others.unwrap_or_default();
        match sharing {
            Sharing::Alone if mine.saturating_add(others) <= limit => Verdict::Fits,
            Sharing::Alone => self.refuse(cells),
            Sharing::Shared => {
                let in_advance = advance(limit).min(limit.saturating_sub(others.saturating_add(self.granted)));
                // Cells may have been given under a greater limit.
                if mine <= self.granted.saturating_add(in_advance).min(limit.saturating_sub(others)) {
                    if in_advance > 0 && self.is_low(mine, limit) {
                        self.wanted = self.wanted.max(1);
                    }
                    return Verdict::Fits;
                }
                let nothing_is_left = self.others.is_some() && others.saturating_add(self.granted) >= limit;
                if nothing_is_left { self.refuse(cells) } else { self.wait(cells) }
            }
        }
    }

    /// Whether less than half of a share is left behind so many cells.
    fn is_low(&self, cells: u64, limit: u64) -> bool {
        self.granted.saturating_sub(cells) <= share(limit) / 2
    }

    /// What others have not used comes back, so the database is asked again.
    fn refuse(&mut self, cells: u64) -> Verdict {
        self.wanted = self.wanted.max(cells);
        Verdict::Spent
    }

    fn wait(&mut self, cells: u64) -> Verdict {
        self.wanted = self.wanted.max(cells);
        Verdict::Unasked
    }

    /// Adds cells. Gives the limit if the warning part of it has been reached just now.
    pub(super) fn charge(&mut self, cells: u64, span: Span, limit: Option<(u64, u8)>, now: Instant) -> Option<u64> {
        self.until = Some(self.until.unwrap_or_else(|| now + span.length()));
        self.cells = self.cells.saturating_add(cells);
        let (limit, percent) = limit?;
        self.limit.get_or_insert(limit);
        let all = self.cells.saturating_add(self.others.unwrap_or_default());
        if self.told >= limit || u128::from(all) * 100 < u128::from(limit) * u128::from(percent) {
            return None;
        }
        self.told = limit;
        Some(limit)
    }

    /// Whether somebody waits, or soon would.
    pub(super) fn is_wanting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether nothing is lost with it. Cells to which there is no limit are not remembered for a day.
    pub(super) fn is_idle(&self) -> bool {
        self.until.is_none() || self.limit.is_none()
    }

    /// What the database is to be told and asked; who is counted alone asks in any case, to learn whether that is over.
    /// Cells that are given back are no longer there.
    pub(super) fn claim(&mut self, span: Span, settling: Settling, sharing: Sharing) -> Option<Claim> {
        let limit = self.limit?;
        let mut wanted = std::mem::take(&mut self.wanted);
        // A share may have come since somebody wanted one.
        if self.granted >= self.cells.saturating_add(wanted) && !self.is_low(self.cells, limit) {
            wanted = 0;
        }
        let gives_back = match settling {
            Settling::Everything => true,
            Settling::WhatRests => std::mem::replace(&mut self.cells_before, self.cells) == self.cells && wanted == 0,
            Settling::WhatIsWanted => false,
        };
        if settling == Settling::Everything {
            wanted = 0;
        }
        let returned = if gives_back { self.granted.saturating_sub(self.cells) } else { 0 };
        let owed = self.cells.saturating_sub(self.granted);
        if owed == 0 && returned == 0 && wanted == 0 && sharing == Sharing::Shared {
            return None;
        }
        self.granted = self.granted.saturating_sub(returned);
        let (serial, window, shown) = (self.serial, self.name.clone(), self.cells);
        Some(Claim { span, serial, window, shown, owed, returned, wanted, limit })
    }

    /// The database has not taken a claim: what it would have given back is still there.
    pub(super) fn not_taken(&mut self, claim: &Claim) {
        if claim.serial == self.serial {
            self.granted = self.granted.saturating_add(claim.returned);
        }
    }

    /// Takes the database's answer to a claim that was sent at that moment.
    pub(super) fn answered(&mut self, claim: &Claim, answer: &Answer, asked: Instant) {
        if claim.serial != self.serial {
            return;
        }
        let same = self.name.as_ref().is_none_or(|name| *name == answer.window);
        if !same {
            // The database's began anew before ours did: what was shown since the claim belongs to that one.
            let (serial, cells) = (self.serial.wrapping_add(1), self.cells.saturating_sub(claim.shown));
            *self = Self { serial, cells, limit: self.limit, ..Self::default() };
        }
        self.name = Some(answer.window.clone());
        self.until = Some(asked + answer.ends_in);
        self.granted = self.granted.saturating_add(answer.granted);
        self.others = Some(answer.taken.saturating_sub(self.granted));
    }
}
