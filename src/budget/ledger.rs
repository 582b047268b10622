//! What all accounts have been shown, and whose counts the database is to be asked about.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::distinct::Distinct;
use super::window::{Sharing, Window};
use super::{Answer, Claim, Due, Elevated, Seen, Settling, Span, Verdict};
use crate::policy::{Account, Budget};
use crate::schema::ColumnRef;

/// Accounts that are counted; those of whom nothing is left to count go first.
const ACCOUNTS_MAX: usize = 20_000;
/// How often a row asks for its cells: what came may have gone to other connections of the account.
const ASKED_MAX: usize = 8;
/// How long a result waits for a share at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What all accounts have been shown.
#[derive(Debug, Default)]
pub struct Ledger {
    by_account: Mutex<HashMap<Account, Arc<Spending>>>,
    /// Budgets that are greater for a while.
    elevated: Mutex<Vec<Elevated>>,
    common: Arc<Common>,
}

/// What one account has been shown.
#[derive(Debug, Default)]
pub struct Spending {
    windows: Mutex<Windows>,
    distinct: Mutex<Distinct>,
    common: Arc<Common>,
    /// Counts the answers that came.
    answers: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Windows {
    by_span: [Window; 2],
    /// The account's budget when it was last used, as policy has it.
    budget: Option<Budget>,
    /// How many times as much it may be shown, and until when.
    elevated: Option<(u32, Instant)>,
}

impl Windows {
    /// A budget as it is now.
    fn present(&self, budget: &Budget, now: Instant) -> Budget {
        match self.elevated {
            Some((factor, until)) if now < until => budget.times(factor),
            Some(_) | None => *budget,
        }
    }
}

/// What all accounts share.
#[derive(Debug, Default)]
struct Common {
    alone: AtomicBool,
    asking: Notify,
}

/// For metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Whether all proxies are counted together.
    pub shared: bool,
    /// Budgets that are greater for a while.
    pub elevated: u64,
}

impl Ledger {
    /// The count of an account. Where there is no room, one that nobody else sees.
    pub fn of(&self, account: &Account) -> Arc<Spending> {
        let mut accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spending) = accounts.get(account) {
            return spending.clone();
        }
        if accounts.len() >= ACCOUNTS_MAX {
            let now = Instant::now();
            accounts.retain(|_, spending| Arc::strong_count(spending) > 1 || !spending.is_over(now));
        }
        let windows = Windows { elevated: self.elevation_of(account), ..Windows::default() };
        let spending =
            Arc::new(Spending { windows: windows.into(), common: self.common.clone(), ..Spending::default() });
        if accounts.len() < ACCOUNTS_MAX {
            accounts.insert(account.clone(), spending.clone());
        } else {
            tracing::warn!("too many accounts: what a further one is shown is counted for each result alone");
        }
        spending
    }

    /// What the database is to be asked.
    pub fn due(&self, settling: Settling, now: Instant) -> Vec<Due> {
        let accounts: Vec<_> = {
            let accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.iter().map(|(account, spending)| (account.clone(), spending.clone())).collect()
        };
        let due = accounts.into_iter().filter_map(|(account, spending)| {
            let claims = spending.claims(settling, now);
            (!claims.is_empty()).then_some(Due { account, spending, claims })
        });
        due.collect()
    }

    /// Waits until somebody wants a share. Cancel-safe.
    pub async fn wanted(&self) {
        self.common.asking.notified().await;
    }

    /// The database can be written: all proxies are counted together.
    pub fn shared(&self) {
        if self.common.alone.swap(false, Ordering::Relaxed) {
            tracing::info!(target: "candado::budget", "budgets are counted together with all proxies again");
        }
    }

    /// It cannot: this proxy counts alone.
    pub fn alone(&self, cause: &str) {
        self.common.alone(cause);
    }

    /// Budgets that are greater for a while, in place of those before.
    pub fn elevate(&self, elevated: Vec<Elevated>) {
        {
            let mut before = self.elevated.lock().unwrap_or_else(PoisonError::into_inner);
            let is_among = |one: &Elevated, many: &[Elevated]| many.iter().any(|other| other.request == one.request);
            for Elevated { account, factor, request, .. } in elevated.iter().filter(|one| !is_among(one, &before)) {
                let text = "the budget of an account is elevated";
                tracing::warn!(target: "candado::budget", alarm = true, %account, factor, request, "{text}");
            }
            for Elevated { account, request, .. } in before.iter().filter(|one| !is_among(one, &elevated)) {
                let text = "the budget of an account is no longer elevated";
                tracing::warn!(target: "candado::budget", %account, request, "{text}");
            }
            if before.is_empty() && elevated.is_empty() {
                return;
            }
            *before = elevated;
        }
        let accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, spending) in accounts.iter() {
            spending.lock().elevated = self.elevation_of(account);
        }
    }

    /// The greatest one that an account has.
    fn elevation_of(&self, account: &Account) -> Option<(u32, Instant)> {
        let elevated = self.elevated.lock().unwrap_or_else(PoisonError::into_inner);
        if elevated.is_empty() {
            return None;
        }
        let name = format!("{}@{}", account.user, account.host);
        let own = elevated.iter().filter(|one| *one.account == *name);
        own.max_by_key(|one| one.factor).map(|one| (one.factor, one.until))
    }

    /// For metrics.
    pub fn totals(&self) -> Totals {
        let elevated = self.elevated.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        Totals { shared: self.common.sharing() == Sharing::Shared, elevated }
    }
}

impl Common {
    fn sharing(&self) -> Sharing {
        if self.alone.load(Ordering::Relaxed) { Sharing::Alone } else { Sharing::Shared }
    }

    /// Says so once.
    fn alone(&self, cause: &str) {
        if !self.alone.swap(true, Ordering::Relaxed) {
            tracing::error!(
                target: "candado::budget",
                alarm = true,
                cause,
                "budgets are counted by this proxy alone: the database cannot be told what accounts are shown"
            );
        }
    }
}

impl Spending {
    /// Whether so many cells more fit the limits.
    pub fn affords(&self, cells: u64, budget: &Budget, now: Instant) -> Verdict {
        if cells == 0 {
            return Verdict::Fits;
        }
        let sharing = self.common.sharing();
        let mut windows = self.lock();
        windows.budget = Some(*budget);
        let budget = &windows.present(budget, now);
        let mut verdict = Verdict::Fits;
        let mut wanting = false;
        for (span, window) in Span::ALL.into_iter().zip(&mut windows.by_span) {
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
        // What was refused is asked for with the next poll.
        if wanting && verdict != Verdict::Spent && sharing == Sharing::Shared {
            self.common.asking.notify_one();
        }
        verdict
    }

    /// Whether one result may show so many cells.
    pub fn affords_result(&self, cells: u64, budget: &Budget, now: Instant) -> bool {
        let fits = |budget: &Budget| budget.statement.is_none_or(|limit| cells <= limit);
        fits(budget) || fits(&self.lock().present(budget, now))
    }

    /// A cell of that column, by its bytes as they are stored.
    pub fn seen(&self, column: &ColumnRef, stored: &[u8]) -> Seen {
        Seen { column: column.clone(), digest: self.distinct().digest(stored) }
    }

    /// Whether the cells of a row are not too many different ones.
    pub fn affords_row(&self, row: &[Seen], budget: &Budget, now: Instant) -> bool {
        let limit = self.lock().present(budget, now).rows;
        limit.is_none_or(|limit| self.distinct().affords(row, limit, now))
    }

    /// Adds the cells of a row. Gives the limit of which the warning part has been reached just now.
    pub fn charge_row(&self, row: Vec<Seen>, budget: &Budget, now: Instant) -> Option<u64> {
        let limit = self.lock().present(budget, now).rows?;
        self.distinct().charge(row, limit, budget.warn_percent, now)
    }

    /// Adds cells. Gives the limit of which the warning part has been reached just now.
    pub fn charge(&self, cells: u64, budget: &Budget, now: Instant) -> Option<u64> {
        let mut windows = self.lock();
        let budget = &windows.present(budget, now);
        let mut reached = None;
        for (span, window) in Span::ALL.into_iter().zip(&mut windows.by_span) {
            window.roll(now);
            let limit = span.limit(budget).map(|limit| (limit, budget.warn_percent));
            reached = window.charge(cells, span, limit, now).or(reached);
        }
        reached
    }

    /// Whether so many cells more fit, when the database has been asked for them. Waits for a bounded time: if no answer
    /// comes, this proxy counts alone from now on. Cancel-safe.
    pub async fn ask(&self, cells: u64, budget: &Budget) -> Verdict {
        let mut answers = self.answers.subscribe();
        for _ in 0..ASKED_MAX {
            // In this order: an answer to what is wanted from here on is a change.
            answers.borrow_and_update();
            match self.affords(cells, budget, Instant::now()) {
                Verdict::Unasked => self.common.asking.notify_one(),
                verdict @ (Verdict::Fits | Verdict::Spent) => return verdict,
            }
            if !matches!(timeout(PATIENCE, answers.changed()).await, Ok(Ok(()))) {
                self.common.alone("no answer came in time");
                return self.affords(cells, budget, Instant::now());
            }
        }
        Verdict::Spent
    }

    /// Takes the database's answer to a claim that was sent at that moment.
    pub fn answered(&self, claim: &Claim, answer: &Answer, asked: Instant) {
        let mut windows = self.lock();
        let window = Span::ALL.into_iter().zip(&mut windows.by_span).find(|(span, _)| *span == claim.span);
        if let Some((_, window)) = window {
            window.answered(claim, answer, asked);
        }
        drop(windows);
    }

    /// All of an account's claims are answered, or will not be: whoever waits tries again.
    pub fn settled(&self) {
        self.answers.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn claims(&self, settling: Settling, now: Instant) -> Vec<Claim> {
        let mut windows = self.lock();
        let Some(budget) = windows.budget.map(|budget| windows.present(&budget, now)) else { return Vec::new() };
        let by_span = Span::ALL.into_iter().zip(&mut windows.by_span);
        let claims = by_span.filter_map(|(span, window)| {
            window.roll(now);
            window.claim(span, span.limit(&budget)?, settling)
        });
        claims.collect()
    }

    fn is_over(&self, now: Instant) -> bool {
        let mut windows = self.lock();
        let idle = windows.by_span.iter_mut().all(|window| {
            window.roll(now);
            window.is_idle()
        });
        idle && self.distinct().is_over(now)
    }

    fn distinct(&self) -> MutexGuard<'_, Distinct> {
        self.distinct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
