//! The times over which cells, different rows and searches are added up.

use std::time::Duration;

use crate::policy::Budget;

/// A minute or a day of cells, a minute of searches, or a day of different rows. It begins with the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// 60 seconds.
    Minute,
    /// 24 hours.
    Day,
    /// 60 seconds, in which values are counted that are searched for and not seen.
    Searches,
    /// 24 hours, in which it is told which cells are different.
    Rows,
}

impl Span {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Minute, Self::Day, Self::Searches, Self::Rows];

    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Searches => "searches",
            Self::Rows => "rows",
        }
    }

    /// The name of its limit in policy.
    pub const fn limit_name(self) -> &'static str {
        match self {
            Self::Minute => "cells_per_minute",
            Self::Day => "cells_per_day",
            Self::Searches => "per_minute",
            Self::Rows => "distinct_rows_per_day",
        }
    }

    /// How long it is.
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute | Self::Searches => Duration::from_secs(60),
            Self::Day | Self::Rows => Duration::from_secs(86_400),
        }
    }

    /// What a budget allows in it. Searches are none of its business.
    pub fn limit(self, budget: &Budget) -> Option<u64> {
        match self {
            Self::Minute => budget.minute,
            Self::Day => budget.day,
            Self::Searches => None,
            Self::Rows => budget.rows,
        }
    }
}
