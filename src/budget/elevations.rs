//! Budgets that are greater for a while, as this proxy believes them. When one ends, a proxy knows from when it first heard of
//! it on: whoever writes to the table can end it early, and not lengthen it by beginning it again.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Elevated, Happening, Notice};
use crate::policy::Account;

/// Requests whose end is remembered. Of more than that the oldest are forgotten: long before, they are over and can no longer
/// be begun.
const ENDS_MAX: usize = 10_000;

/// Those that hold, and the ends of all.
#[derive(Debug, Default)]
pub(super) struct Elevations {
    running: Vec<Elevated>,
    /// By request.
    ends: BTreeMap<u64, Instant>,
}

impl Elevations {
    /// Takes what holds now, in place of what held before. Gives what is new.
    pub(super) fn replace(&mut self, believed: Vec<Elevated>, now: Instant) -> Vec<Notice> {
        let shortened = believed.into_iter().map(|one| {
            let end = self.ends.entry(one.request).or_insert(one.until);
            *end = one.until.min(*end);
            Elevated { until: *end, ..one }
        });
        let running: Vec<_> = shortened.filter(|one| now < one.until).collect();
        while self.ends.len() > ENDS_MAX {
            self.ends.pop_first();
        }
        let before = std::mem::replace(&mut self.running, running);
        let among = |one: &Elevated, many: &[Elevated]| many.iter().any(|other| other.request == one.request);
        let begun = self.running.iter().filter(|one| !among(one, &before)).map(|one| one.notice(Happening::Begun));
        let over = before.iter().filter(|one| !among(one, &self.running)).map(|one| one.notice(Happening::Over));
        begun.chain(over).collect()
    }

    /// The greatest one that an account has.
    pub(super) fn of(&self, account: &Account) -> Option<(u32, Instant)> {
        if self.running.is_empty() {
            return None;
        }
        let name = format!("{}@{}", account.user, account.host);
        let own = self.running.iter().filter(|one| *one.account == *name);
        own.max_by_key(|one| one.factor).map(|one| (one.factor, one.until))
    }

    /// Whether none holds.
    pub(super) fn are_none(&self) -> bool {
        self.running.is_empty()
    }

    /// How many hold.
    pub(super) fn count(&self) -> u64 {
        self.running.len() as u64
    }
}
