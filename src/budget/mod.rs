//! Budgets: how many protected cells each account has been shown, by this proxy and by all of them.
//!
//! Behind all proxies of a deployment stands one sum for each account and minute or day, in the database. A proxy takes a
//! share of what is left ([`share`]), shows cells from it, and asks for another before it is used up; nobody who is within
//! a share waits for the database. Cells that are shown without a share are at most [`advance`] for each proxy, so together
//! they show at most the limit, and that much for each proxy. What a proxy has not used for a second goes back. Where the
//! database cannot be written, each proxy counts alone: all accounts, or the one whose row is held. A limit belongs to the
//! question and not to the count: an account is counted once, whatever roles it uses, and each of them asks under its own.
//! Searches by columns that a role does not see are counted in the same way, by the minute. Of different rows a share would say
//! nothing, because another proxy may have shown the same ones: each tells which it has shown, by digests, and reads what others
//! have told, before it shows more than [`advance`] of which it has not told.
//!
//! Who asks the database is the control plane; whose rows are opened, the data plane's business.

mod distinct;
mod elevations;
mod ledger;
mod span;
mod spending;
#[cfg(test)]
mod tests;
mod window;

use std::time::Duration;

use crate::policy::Account;
pub use distinct::{Digests, Reading, RowAnswer, RowClaim, Seen, Stored};
pub use ledger::{Ledger, Totals};
pub use span::Span;
pub use spending::Spending;

/// Cells that a proxy takes at once: a sixteenth of the limit.
pub const fn share(limit: u64) -> u64 {
    limit.div_ceil(16)
}

/// Cells that a proxy may show of a limit without a share, at most: a hundredth of it, rounded up.
pub const fn advance(limit: u64) -> u64 {
    limit.div_ceil(100)
}

/// Whether cells fit a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They do.
    Fits,
    /// The database may have some left: [`Spending::ask`].
    Unasked,
    /// They do not.
    Spent,
}

/// How much of an account's counts the database is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// What somebody waits for.
    WhatIsWanted,
    /// That, and shares that nobody has used since the last time go back.
    WhatRests,
    /// All shares go back: the proxy ends.
    Everything,
}

/// What a proxy tells the database of one account's minute or day, and asks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where it is counted.
    pub span: Span,
    serial: u64,
    /// The window that it is about, by the database's name; `None`: the present one.
    pub window: Option<Box<str>>,
    shown: u64,
    /// Cells that were shown in advance.
    pub owed: u64,
    /// Cells that are given back.
    pub returned: u64,
    /// Cells that somebody waits for; 0: none are asked for.
    pub wanted: u64,
    /// What the budget allows.
    pub limit: u64,
}

impl Claim {
    /// Cells that are given of what is left: what somebody waits for, or a share, which grows smaller towards the end so
    /// that other proxies get theirs.
    pub fn granted_of(&self, left: u64) -> u64 {
        if self.wanted == 0 { 0 } else { share(self.limit).min(left / 4).max(self.wanted).min(left) }
    }
}

/// A budget that is greater for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevated {
    /// The request that was approved.
    pub request: u64,
    /// The account, `user@host`.
    pub account: Box<str>,
    /// How many times as much it may be shown.
    pub factor: u32,
    /// Until when.
    pub until: std::time::Instant,
}

impl Elevated {
    /// That this became of it.
    pub fn notice(&self, happening: Happening) -> Notice {
        Notice { happening, request: self.request, account: self.account.clone(), factor: self.factor }
    }
}

/// What somebody should hear of an elevation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What became of it.
    pub happening: Happening,
    /// The request that was approved.
    pub request: u64,
    /// The account, `user@host`.
    pub account: Box<str>,
    /// How many times as much it may be shown.
    pub factor: u32,
}

/// What became of an elevation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It holds from now on.
    Begun,
    /// It does not hold any more.
    Over,
    /// It does not hold: nobody has signed what the table says.
    NotBelieved,
}

/// What the database answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The present window, by the moment at which it began.
    pub window: Box<str>,
    /// When it is over.
    pub ends_in: Duration,
    /// Cells that all proxies together have been given in it.
    pub taken: u64,
    /// Cells among these that the claim brought.
    pub granted: u64,
}

/// Everything that is to be asked for one account.
#[derive(Debug)]
pub struct Due {
    /// The account.
    pub account: Account,
    /// Where the answer belongs.
    pub spending: std::sync::Arc<Spending>,
    /// The claims.
    pub claims: Vec<Claim>,
    /// That about different rows.
    pub rows: Option<RowClaim>,
}

impl Due {
    /// Whether somebody waits for the answer, or soon would.
    pub fn is_wanted(&self) -> bool {
        self.claims.iter().any(|claim| claim.wanted > 0) || self.rows.as_ref().is_some_and(|rows| rows.is_wanted)
    }
}
