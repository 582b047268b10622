//! Who was shown how much of which column on which day.

use std::collections::BTreeMap;

use super::Accessed;
use super::line::unescaped;

/// Sums of one day, account, role and column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Statements.
    pub statements: u64,
    /// Rows of their results.
    pub rows: u64,
    /// Cells shown as their values.
    pub opened: u64,
    /// Cells shown as masks.
    pub masked: u64,
    /// Values that were searched for by roles that do not see the column.
    pub searched: u64,
}

/// What is summed up together, as lines spell it.
type Key = (Box<str>, Box<str>, Box<str>, Box<str>);

/// Sums over accesses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    totals: BTreeMap<Key, Total>,
}

impl Report {
    /// Adds an access, when it ends.
    pub fn add(&mut self, access: &Accessed<'_>) {
        if access.is_begun() {
            return;
        }
        let day = access.at.get(..10).unwrap_or(access.at);
        for (column, share) in access.shares() {
            let key = (day.into(), access.account.into(), access.role.into(), column.into());
            let total = self.totals.entry(key).or_default();
            total.statements = total.statements.saturating_add(1);
            total.rows = total.rows.saturating_add(access.rows);
            total.opened = total.opened.saturating_add(share.opened);
            total.masked = total.masked.saturating_add(share.masked);
            total.searched = total.searched.saturating_add(share.searched);
        }
    }

    /// Adds another report.
    pub fn merge(&mut self, other: Self) {
        for (key, sums) in other.totals {
            let total = self.totals.entry(key).or_default();
            total.statements = total.statements.saturating_add(sums.statements);
            total.rows = total.rows.saturating_add(sums.rows);
            total.opened = total.opened.saturating_add(sums.opened);
            total.masked = total.masked.saturating_add(sums.masked);
            total.searched = total.searched.saturating_add(sums.searched);
        }
    }

    /// Day, account, role, column and sums, in this order.
    pub fn totals(&self) -> impl Iterator<Item = ([String; 4], Total)> {
        self.totals.iter().map(|((day, account, role, column), total)| {
            ([day, account, role, column].map(|text| unescaped(text)), *total)
        })
    }
}
