//! What all accounts have been shown, and whose counts the database is to be asked about.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::elevations::Elevations;
use super::spending::{Room, Spending};
use super::window::Sharing;
use super::{Due, Elevated, Notice, Settling};
use crate::policy::Account;

/// Accounts that are counted; those of whom nothing is left to count go first.
pub(super) const ACCOUNTS_MAX: usize = 20_000;
/// How often room is looked for, and the lack of it told, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What all accounts have been shown.
#[derive(Debug, Default)]
pub struct Ledger {
    by_account: Mutex<HashMap<Account, Arc<Spending>>>,
    /// When room was looked for the last time that there was none.
    swept: Mutex<Option<Instant>>,
    /// Budgets that are greater for a while.
    elevations: Mutex<Elevations>,
    common: Arc<Common>,
}

/// What all accounts share.
#[derive(Debug, Default)]
pub(super) struct Common {
    alone: AtomicBool,
    pub(super) asking: Notify,
}

/// For metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Whether all proxies are counted together.
    pub shared: bool,
    /// Accounts among these that this proxy counts alone.
    pub alone: u64,
    /// Budgets that are greater for a while.
    pub elevated: u64,
}

impl Ledger {
    /// The count of an account. Where there is no room, one that affords nothing, until a minute or a day of another account
    /// is over.
    pub fn of(&self, account: &Account) -> Arc<Spending> {
        let mut accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spending) = accounts.get(account) {
            return spending.clone();
        }
        if accounts.len() >= ACCOUNTS_MAX && self.is_time_to_sweep(Instant::now()) {
            forget_what_is_over(&mut accounts, Instant::now());
            if accounts.len() >= ACCOUNTS_MAX {
                tracing::warn!(
                    target: "candado::budget",
                    alarm = true,
                    accounts = ACCOUNTS_MAX,
                    "too many accounts with budgets: a further one is shown no protected cells"
                );
            }
        }
        let room = if accounts.len() < ACCOUNTS_MAX { Room::Some } else { Room::None };
        let spending = Arc::new(Spending::new(account, room, self.common.clone()));
        match room {
            Room::Some => {
                spending.elevate(self.elevation_of(account));
                accounts.insert(account.clone(), spending.clone());
            }
            Room::None => {}
        }
        spending
    }

    /// A walk through all accounts holds everybody up: not each further account has one.
    pub(super) fn is_time_to_sweep(&self, now: Instant) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = swept.is_none_or(|before| now.saturating_duration_since(before) >= SWEEP_EVERY);
        if is_time {
            *swept = Some(now);
        }
        is_time
    }

    /// What the database is to be asked. Those for whom somebody waits come first; those whose counts it did not take are left
    /// for the poll, and come last.
    pub fn due(&self, settling: Settling, now: Instant) -> Vec<Due> {
        let accounts: Vec<_> = {
            let mut accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
            match settling {
                Settling::WhatIsWanted => {}
                Settling::WhatRests | Settling::Everything => forget_what_is_over(&mut accounts, now),
            }
            let asked = accounts.iter().filter(|(_, one)| settling != Settling::WhatIsWanted || !one.is_alone());
            asked.map(|(account, spending)| (account.clone(), spending.clone())).collect()
        };
        let due = accounts.into_iter().filter_map(|(account, spending)| {
            let (claims, rows) = (spending.claims(settling, now), spending.claim_rows(settling, now));
            (!claims.is_empty() || rows.is_some()).then_some(Due { account, spending, claims, rows })
        });
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|one| (one.spending.is_alone(), !one.is_wanted()));
        due
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

    /// Budgets that are greater for a while, in place of those before. Gives what is new.
    pub fn elevate(&self, elevated: Vec<Elevated>, now: Instant) -> Vec<Notice> {
        let notices = {
            let mut elevations = self.elevations.lock().unwrap_or_else(PoisonError::into_inner);
            if elevations.are_none() && elevated.is_empty() {
                return Vec::new();
            }
            elevations.replace(elevated, now)
        };
        let accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, spending) in accounts.iter() {
            spending.elevate(self.elevation_of(account));
        }
        notices
    }

    fn elevation_of(&self, account: &Account) -> Option<(u32, Instant)> {
        self.elevations.lock().unwrap_or_else(PoisonError::into_inner).of(account)
    }

    #[cfg(test)]
    pub(super) fn is_counted(&self, account: &Account) -> bool {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner).contains_key(account)
    }

    /// For metrics.
    pub fn totals(&self) -> Totals {
        let elevated = self.elevations.lock().unwrap_or_else(PoisonError::into_inner).count();
        let accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        let alone = accounts.values().filter(|spending| spending.is_anything_alone()).count() as u64;
        Totals { shared: self.common.sharing() == Sharing::Shared, alone, elevated }
    }
}

/// Takes accounts out of which nothing is left to count, and gives back what the others need no more.
fn forget_what_is_over(accounts: &mut HashMap<Account, Arc<Spending>>, now: Instant) {
    accounts.retain(|_, spending| {
        let is_over = spending.is_over(now);
        Arc::strong_count(spending) > 1 || !is_over
    });
}

impl Common {
    pub(super) fn sharing(&self) -> Sharing {
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
