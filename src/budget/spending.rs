//! What one account has been shown and has searched for, over all of its connections to this proxy.

use std::collections::hash_map::RandomState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::distinct::Distinct;
use super::ledger::Common;
use super::window::{Sharing, Window};
use super::{Answer, Claim, Digests, RowAnswer, RowClaim, Seen, Settling, Span, Stored, Verdict};
use crate::policy::{Account, Budget};
use crate::schema::ColumnRef;

/// How often a row asks for its cells: what came may have gone to other connections of the account.
const ASKED_MAX: usize = 8;
/// How long a result waits for a share at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one account has been shown.
#[derive(Debug)]
pub struct Spending {
    account: Account,
    room: Room,
    windows: Mutex<Windows>,
    distinct: Mutex<Distinct>,
    /// Makes digests that nobody else can make.
    own_digests: RandomState,
    common: Arc<Common>,
    /// Set while the database does not take this account's counts, whatever it does with those of others.
    alone: AtomicBool,
    /// Set while it takes its cells and not its searches: the table is from before these were counted.
    searches_alone: AtomicBool,
    /// The same of its different rows.
    rows_alone: AtomicBool,
    /// Counts the answers that came.
    answers: watch::Sender<u64>,
}

/// Whether an account is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It is.
    Some,
    /// There is no room: it is shown nothing that a budget limits.
    None,
}

#[derive(Debug, Default)]
struct Windows {
    minute: Window,
    day: Window,
    searches: Window,
    /// How many times as much the account may be shown, and until when.
    elevated: Option<(u32, Instant)>,
}

impl Windows {
    /// Those in which cells are counted, in the order in which they are asked.
    fn of_cells(&mut self) -> [(Span, &mut Window); 2] {
        [(Span::Minute, &mut self.minute), (Span::Day, &mut self.day)]
    }

    fn all(&mut self) -> [(Span, &mut Window); 3] {
        [(Span::Minute, &mut self.minute), (Span::Day, &mut self.day), (Span::Searches, &mut self.searches)]
    }

    /// `None` for different rows, which no number stands for.
    fn window(&mut self, span: Span) -> Option<&mut Window> {
        match span {
            Span::Minute => Some(&mut self.minute),
            Span::Day => Some(&mut self.day),
            Span::Searches => Some(&mut self.searches),
            Span::Rows => None,
        }
    }

    /// A budget as it is now.
    fn present(&self, budget: &Budget, now: Instant) -> Budget {
        match self.elevated {
            Some((factor, until)) if now < until => budget.times(factor),
            Some(_) | None => *budget,
        }
    }
}

impl Spending {
    pub(super) fn new(account: &Account, room: Room, common: Arc<Common>) -> Self {
        Self {
            account: account.clone(),
            room,
            windows: Mutex::default(),
            distinct: Mutex::default(),
            own_digests: RandomState::new(),
            common,
            alone: AtomicBool::default(),
            searches_alone: AtomicBool::default(),
            rows_alone: AtomicBool::default(),
            answers: watch::Sender::default(),
        }
    }

    /// Whether so many cells more fit the limits.
    pub fn affords(&self, cells: u64, budget: &Budget, now: Instant) -> Verdict {
        if cells == 0 {
            return Verdict::Fits;
        }
        if self.room == Room::None {
            return Verdict::Spent;
        }
        let sharing = self.sharing();
        let mut windows = self.lock();
        let budget = &windows.present(budget, now);
        let mut verdict = Verdict::Fits;
        let mut wanting = false;
        for (span, window) in windows.of_cells() {
            window.roll(now);
            let Some(limit) = span.limit(budget) else { continue };
            let was_wanting = window.is_wanting();
            match (verdict, window.affords(cells, limit, sharing)) {
                (_, Verdict::Fits) => {}
                (Verdict::Fits | Verdict::Unasked, other) => verdict = other,
                (Verdict::Spent, Verdict::Unasked | Verdict::Spent) => {}
            }
            wanting |= window.is_wanting() && !was_wanting;
        }
        drop(windows);
        if wanting {
            self.want(verdict, sharing);
        }
        verdict
    }

    /// Whether one result may show so many cells.
    pub fn affords_result(&self, cells: u64, budget: &Budget, now: Instant) -> bool {
        let fits = |budget: &Budget| budget.statement.is_none_or(|limit| cells <= limit);
        fits(budget) || fits(&self.lock().present(budget, now))
    }

    /// A cell of that column, by its bytes as they are stored.
    pub fn seen(&self, column: &ColumnRef, bytes: &[u8], stored: Stored) -> Seen {
        Seen::of(column, bytes, stored, &self.own_digests)
    }

    /// Whether the cells of a row are not too many different ones.
    pub fn affords_row(&self, row: &[Seen], budget: &Budget, now: Instant) -> Verdict {
        let Some(limit) = self.lock().present(budget, now).rows else { return Verdict::Fits };
        if self.room == Room::None {
            return Verdict::Spent;
        }
        self.with_rows(|rows, sharing| rows.affords(row, limit, sharing, now))
    }

    /// Adds the cells of a row. Gives the limit of which the warning part has been reached just now.
    pub fn charge_row(&self, row: Vec<Seen>, budget: &Budget, now: Instant) -> Option<u64> {
        let limit = self.lock().present(budget, now).rows?;
        self.with_rows(|rows, _| rows.charge(row, limit, budget.warn_percent, now))
    }

    fn with_rows<T>(&self, act: impl FnOnce(&mut Distinct, Sharing) -> T) -> T {
        let sharing = self.sharing_of(Span::Rows);
        let mut rows = self.distinct();
        let was_wanting = rows.is_wanting();
        let done = act(&mut rows, sharing);
        let wanting = rows.is_wanting() && !was_wanting;
        drop(rows);
        if wanting {
            self.want(Verdict::Unasked, sharing);
        }
        done
    }

    /// Adds cells. Gives the limit of which the warning part has been reached just now.
    pub fn charge(&self, cells: u64, budget: &Budget, now: Instant) -> Option<(Span, u64)> {
        let mut windows = self.lock();
        let budget = &windows.present(budget, now);
        let mut reached = None;
        for (span, window) in windows.of_cells() {
            window.roll(now);
            let limit = span.limit(budget).map(|limit| (limit, budget.warn_percent));
            reached = window.charge(cells, span, limit, now).map(|limit| (span, limit)).or(reached);
        }
        reached
    }

    /// Counts a search for so many values, if it fits the limit of a minute.
    pub fn search(&self, values: u64, per_minute: u64, now: Instant) -> Verdict {
        if self.room == Room::None {
            return Verdict::Spent;
        }
        let sharing = self.sharing_of(Span::Searches);
        let mut windows = self.lock();
        let window = &mut windows.searches;
        window.roll(now);
        let was_wanting = window.is_wanting();
        let verdict = window.affords(values, per_minute, sharing);
        if verdict == Verdict::Fits {
            window.charge(values, Span::Searches, None, now);
        }
        let wanting = window.is_wanting() && !was_wanting;
        drop(windows);
        if wanting {
            self.want(verdict, sharing);
        }
        verdict
    }

    /// Something is wanted that was not. What was refused is asked for with the next poll.
    fn want(&self, verdict: Verdict, sharing: Sharing) {
        match (verdict, sharing) {
            (Verdict::Fits | Verdict::Unasked, Sharing::Shared) => self.common.asking.notify_one(),
            (Verdict::Fits | Verdict::Unasked, Sharing::Alone) | (Verdict::Spent, Sharing::Shared | Sharing::Alone) => {
            }
        }
    }

    /// The same when the database has been asked, as by [`Self::ask`]. Cancel-safe: what is counted is so when this returns.
    pub async fn ask_to_search(&self, values: u64, per_minute: u64) -> Verdict {
        self.asked(|now| self.search(values, per_minute, now)).await
    }

    /// Whether a row's different cells fit, when the database has been told of them, as by [`Self::ask`]. They are counted then,
    /// shown or not. Cancel-safe.
    pub async fn ask_for_row(&self, row: &[Seen], budget: &Budget) -> Verdict {
        let fits = |now| {
            let verdict = self.affords_row(row, budget, now);
            if verdict == Verdict::Unasked
                && let Some(limit) = self.lock().present(budget, now).rows
            {
                self.distinct().wait(row, limit);
            }
            verdict
        };
        self.asked(fits).await
    }

    /// Whether so many cells more fit, when the database has been asked for them. Waits for a bounded time: if no answer
    /// comes, this proxy counts the account alone from now on. [`Verdict::Unasked`] if nothing that came was enough, though
    /// more may be left. Cancel-safe.
    pub async fn ask(&self, cells: u64, budget: &Budget) -> Verdict {
        self.asked(|now| self.affords(cells, budget, now)).await
    }

    async fn asked(&self, fits: impl Fn(Instant) -> Verdict) -> Verdict {
        let mut answers = self.answers.subscribe();
        for _ in 0..ASKED_MAX {
            // In this order: an answer to what is wanted from here on is a change.
            answers.borrow_and_update();
            match fits(Instant::now()) {
                Verdict::Unasked => self.common.asking.notify_one(),
                verdict @ (Verdict::Fits | Verdict::Spent) => return verdict,
            }
            if !matches!(timeout(PATIENCE, answers.changed()).await, Ok(Ok(()))) {
                self.alone("no answer came in time");
                return fits(Instant::now());
            }
        }
        Verdict::Unasked
    }

    /// Takes the database's answer to a claim that was sent at that moment.
    pub fn answered(&self, claim: &Claim, answer: &Answer, asked: Instant) {
        if let Some(window) = self.lock().window(claim.span) {
            window.answered(claim, answer, asked);
        }
        self.is_known(claim.span);
    }

    /// Takes rows that wait, between the reading of what all proxies have told and the telling: the claim tells of them, too.
    pub fn admit_rows(&self, claim: &mut RowClaim, read: &Digests) {
        self.distinct().admit(claim, read);
    }

    /// The same of different rows. Gives what is to be asked next, if that was not all.
    pub fn rows_answered(&self, claim: &RowClaim, answer: &RowAnswer, asked: Instant) -> Option<RowClaim> {
        self.is_known(Span::Rows);
        self.distinct().answered(claim, answer, asked)
    }

    fn is_known(&self, span: Span) {
        match span {
            Span::Minute | Span::Day => {}
            Span::Searches => self.searches_alone.store(false, Ordering::Relaxed),
            Span::Rows => self.rows_alone.store(false, Ordering::Relaxed),
        }
    }

    /// The database has not taken a claim, for certain.
    pub fn not_taken(&self, claim: &Claim) {
        if let Some(window) = self.lock().window(claim.span) {
            window.not_taken(claim);
        }
    }

    /// The database does not take this account's counts: this proxy counts it alone. Says so once.
    pub fn alone(&self, cause: &str) {
        if !self.alone.swap(true, Ordering::Relaxed) {
            self.tell_alone(cause);
        }
    }

    /// It does not know this kind of count, and takes others: this proxy counts it alone. Says so once.
    pub fn unknown(&self, span: Span, cause: &str) {
        let alone = match span {
            Span::Minute | Span::Day => &self.alone,
            Span::Searches => &self.searches_alone,
            Span::Rows => &self.rows_alone,
        };
        if !alone.swap(true, Ordering::Relaxed) {
            self.tell_alone(cause);
        }
    }

    fn tell_alone(&self, cause: &str) {
        tracing::error!(
            target: "candado::budget",
            alarm = true,
            user = %self.account.user,
            host = %self.account.host,
            cause,
            "an account's budget is counted by this proxy alone: the database does not take what it is shown"
        );
    }

    /// It has taken them.
    pub fn shared(&self) {
        if self.alone.swap(false, Ordering::Relaxed) {
            tracing::info!(
                target: "candado::budget",
                user = %self.account.user,
                host = %self.account.host,
                "an account's budget is counted together with all proxies again"
            );
        }
    }

    /// Whether this account's counts are the trouble.
    pub fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// Whether they are, or those of one kind.
    pub(super) fn is_anything_alone(&self) -> bool {
        self.is_alone() || [Span::Searches, Span::Rows].into_iter().any(|span| self.is_unknown(span))
    }

    /// Whether the database does not know this kind of count.
    fn is_unknown(&self, span: Span) -> bool {
        match span {
            Span::Minute | Span::Day => false,
            Span::Searches => self.searches_alone.load(Ordering::Relaxed),
            Span::Rows => self.rows_alone.load(Ordering::Relaxed),
        }
    }

    fn sharing_of(&self, span: Span) -> Sharing {
        if self.is_unknown(span) { Sharing::Alone } else { self.sharing() }
    }

    fn sharing(&self) -> Sharing {
        if self.is_alone() { Sharing::Alone } else { self.common.sharing() }
    }

    /// All of an account's claims are answered, or will not be: whoever waits tries again.
    pub fn settled(&self) {
        self.answers.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// How many times as much the account may be shown, and until when.
    pub(super) fn elevate(&self, elevated: Option<(u32, Instant)>) {
        self.lock().elevated = elevated;
    }

    pub(super) fn claims(&self, settling: Settling, now: Instant) -> Vec<Claim> {
        let mut windows = self.lock();
        let claims = windows.all().into_iter().filter_map(|(span, window)| {
            window.roll(now);
            self.claiming(span, settling).and_then(|sharing| window.claim(span, settling, sharing))
        });
        claims.collect()
    }

    pub(super) fn claim_rows(&self, settling: Settling, now: Instant) -> Option<RowClaim> {
        self.claiming(Span::Rows, settling).and_then(|sharing| self.distinct().claim(settling, sharing, now))
    }

    /// How the account's counts of a kind are counted; `None`: they are left for the poll.
    fn claiming(&self, span: Span, settling: Settling) -> Option<Sharing> {
        let is_unknown = self.is_unknown(span);
        let sharing = if self.is_alone() || is_unknown { Sharing::Alone } else { Sharing::Shared };
        (!is_unknown || settling != Settling::WhatIsWanted).then_some(sharing)
    }

    /// Whether nothing is counted. Gives back the memory of what is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let distinct = self.distinct().is_over(now);
        let mut windows = self.lock();
        let idle = windows.all().into_iter().all(|(_, window)| {
            window.roll(now);
            window.is_idle()
        });
        idle && distinct
    }

    #[cfg(test)]
    pub(super) fn remembers_rows(&self) -> bool {
        !self.distinct().is_empty()
    }

    fn distinct(&self) -> MutexGuard<'_, Distinct> {
        self.distinct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
