//! Budgets: how many protected cells an account has been shown, and the end of a result that would be too much.
//!
//! Counted is by account, over all of its connections to this proxy and for as long as the process runs; replicas count
//! each for itself. A row is opened only if all of its protected cells fit what is left, and charged when it is: between the
//! two, each other connection of the account may be charged one row. A minute and a day begin with the first cell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::decision::Desk;
use super::registry::Connection;
use super::statement::Opening;
use crate::client_error::{ClientError, Complaint};
use crate::policy::{Account, Budget};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Accounts that are counted; those of whom nothing is left to count go first.
const ACCOUNTS_MAX: usize = 20_000;

/// What all accounts have been shown.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    by_account: Mutex<HashMap<Account, Arc<Spending>>>,
}

/// What one account has been shown.
#[derive(Debug, Default)]
pub(super) struct Spending {
    windows: Mutex<[Window; 2]>,
}

/// Cells since the window began.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Instant>,
    cells: u64,
    told: Told,
}

/// Whether somebody was warned in this window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

impl Window {
    fn begin_anew_after(&mut self, length: Duration, now: Instant) {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= length) {
            *self = Self { since: Some(now), ..Self::default() };
        }
    }
}

impl Budgets {
    /// The count of an account. Where there is no room, one that nobody else sees.
    fn of(&self, account: &Account) -> Arc<Spending> {
        let mut accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spending) = accounts.get(account) {
            return spending.clone();
        }
        if accounts.len() >= ACCOUNTS_MAX {
            let now = Instant::now();
            accounts.retain(|_, spending| Arc::strong_count(spending) > 1 || !spending.is_over(now));
        }
        let spending = Arc::<Spending>::default();
        if accounts.len() < ACCOUNTS_MAX {
            accounts.insert(account.clone(), spending.clone());
        } else {
            tracing::warn!("too many accounts: what a further one is shown is counted for each result alone");
        }
        spending
    }
}

impl Spending {
    /// Whether so many cells more fit the limits.
    fn affords(&self, cells: u64, budget: &Budget, now: Instant) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = [(budget.minute, MINUTE), (budget.day, DAY)];
        windows.iter_mut().zip(limits).all(|(window, (limit, length))| {
            window.begin_anew_after(length, now);
            limit.is_none_or(|limit| window.cells.saturating_add(cells) <= limit)
        })
    }

    /// Adds cells. Gives the limit of which the warning part has been reached just now.
    fn charge(&self, cells: u64, budget: &Budget, now: Instant) -> Option<u64> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = [(budget.minute, MINUTE), (budget.day, DAY)];
        let mut reached = None;
        for (window, (limit, length)) in windows.iter_mut().zip(limits) {
            window.begin_anew_after(length, now);
            window.cells = window.cells.saturating_add(cells);
            let warned =
                |limit: &u64| u128::from(window.cells) * 100 >= u128::from(*limit) * u128::from(budget.warn_percent);
            if let Some(limit) = limit.filter(warned).filter(|_| window.told == Told::No) {
                window.told = Told::Yes;
                reached = Some(limit);
            }
        }
        reached
    }

    fn is_over(&self, now: Instant) -> bool {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.iter().all(|window| window.since.is_none_or(|since| now.saturating_duration_since(since) >= DAY))
    }
}

/// What a result may still show.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Budget,
    spending: Arc<Spending>,
    /// Cells of the statement's results so far.
    shown: u64,
}

impl Purse {
    /// For the answer to the statement at hand; `None` if the account's role has no budget.
    pub(super) fn of(opening: &Opening, desk: &mut Desk) -> Option<Self> {
        let role = desk.rights(&opening.snapshot).role;
        let budget = *opening.snapshot.policy.budget(role)?;
        Some(Self { budget, spending: desk.shared.budgets.of(&desk.state.account), shown: 0 })
    }

    /// Before a row with so many protected cells is opened.
    pub(super) fn check(&self, cells: u64, connection: &Connection) -> Result<(), ClientError> {
        let fits = self.budget.statement.is_none_or(|limit| self.shown.saturating_add(cells) <= limit);
        if fits && self.spending.affords(cells, &self.budget, Instant::now()) {
            return Ok(());
        }
        connection.counters.over_budget();
        tracing::warn!(
            target: "candado::budget",
            alarm = true,
            connection = connection.id,
            statement = connection.statement(),
            "a result was ended: the budget of its account's role is spent"
        );
        Err(Complaint::BudgetSpent.into())
    }

    /// So many cells more have been shown.
    pub(super) fn charge(&mut self, more: u64, connection: &Connection) {
        self.shown = self.shown.saturating_add(more);
        if let Some(limit) = self.spending.charge(more, &self.budget, Instant::now()) {
            connection.counters.near_budget();
            tracing::warn!(
                target: "candado::budget",
                connection = connection.id,
                statement = connection.statement(),
                limit,
                warn_percent = self.budget.warn_percent,
                "an account has been shown most of what its role's budget allows"
            );
        }
    }
}

#[cfg(test)]
mod tests;
