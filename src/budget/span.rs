//! The times over which cells are added up.

use std::time::Duration;

use crate::policy::Budget;

/// A minute or a day. It begins with the first cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// 60 seconds.
    Minute,
    /// 24 hours.
    Day,
}

impl Span {
    /// Both, in the order in which they are asked.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Day];

    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }

    /// How long it is.
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Day => Duration::from_secs(86_400),
        }
    }

    /// What a budget allows in it.
    pub fn limit(self, budget: &Budget) -> Option<u64> {
        match self {
            Self::Minute => budget.minute,
            Self::Day => budget.day,
        }
    }
}
