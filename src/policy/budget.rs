//! How many protected cells an account of a role may be shown.

use serde::Deserialize;
use toml::Spanned;

use super::written::Text;

/// Limits on cells that are opened or masked. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// In one result.
    pub statement: Option<u64>,
    /// In a minute, over all of the account's connections.
    pub minute: Option<u64>,
    /// In a day, over all of the account's connections.
    pub day: Option<u64>,
    /// Different rows of a table in a day: for each protected column, cells that are different as they are stored.
    pub rows: Option<u64>,
    /// From this part of a minute's or a day's limit on, in hundredths, the log warns.
    pub warn_percent: u8,
}

impl Budget {
    /// Different rows that a day may have at most: each one that was shown is remembered for the day.
    pub const ROWS_MAX: u64 = 1_000_000;

    /// The same with that many times as many cells.
    #[must_use]
    pub fn times(&self, factor: u32) -> Self {
        let times = |limit: Option<u64>| limit.map(|limit| limit.saturating_mul(factor.into()));
        Self {
            statement: times(self.statement),
            minute: times(self.minute),
            day: times(self.day),
            rows: times(self.rows).map(|rows| rows.min(Self::ROWS_MAX)),
            ..*self
        }
    }
}

/// `[budget.ROLE]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenBudget {
    cells_per_statement: Option<Spanned<u64>>,
    cells_per_minute: Option<Spanned<u64>>,
    cells_per_day: Option<Spanned<u64>>,
    distinct_rows_per_day: Option<Spanned<u64>>,
    warn_percent: Option<Spanned<u8>>,
}

/// A limit above this one is none.
const CELLS_MAX: u64 = 1_000_000_000_000;
const WARN_PERCENT: u8 = 80;

impl WrittenBudget {
    /// What it says, with what is wrong with it noted.
    pub(super) fn checked(&self, text: &mut Text<'_>) -> Budget {
        let mut limit = |written: &Option<Spanned<u64>>, name: &str| {
            let written = written.as_ref()?;
            if !(1..=CELLS_MAX).contains(written.get_ref()) {
                text.wrong(&written.span(), format!("{name} is 1 to {CELLS_MAX}"));
            }
            Some(*written.get_ref())
        };
        let statement = limit(&self.cells_per_statement, "cells_per_statement");
        let minute = limit(&self.cells_per_minute, "cells_per_minute");
        let day = limit(&self.cells_per_day, "cells_per_day");
        let rows = self.distinct_rows_per_day.as_ref().map(|written| {
            if !(1..=Budget::ROWS_MAX).contains(written.get_ref()) {
                text.wrong(&written.span(), format!("distinct_rows_per_day is 1 to {}", Budget::ROWS_MAX));
            }
            *written.get_ref()
        });
        let warn_percent = match &self.warn_percent {
            None => WARN_PERCENT,
            Some(written) => {
                if !(1..=100).contains(written.get_ref()) {
                    text.wrong(&written.span(), "warn_percent is 1 to 100");
                }
                *written.get_ref()
            }
        };
        Budget { statement, minute, day, rows, warn_percent }
    }
}

#[cfg(test)]
mod tests;
