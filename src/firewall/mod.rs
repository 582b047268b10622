//! Judging a statement for SQL injection, on tokens and tree, never on raw text.
//!
//! The hard signatures of this version (layers 0 to 2 of the design) are decided once per digest: the verdict is kept with
//! the plan. Each rule is a file below [`rules`] with its documentation, statements that it must refuse and look-alikes
//! that it must let pass. Modes, answers and the event log belong to the callers.

mod reading;
pub mod rules;
#[cfg(test)]
mod tests;

pub use reading::{Reading, Words};
pub use rules::RuleId;

/// What the firewall says of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule matched.
    Pass,
    /// The first rule that matched.
    Hit(RuleId),
}

/// Judges one statement. `reading.statement` is `None` for statements other than DML and for DML that the parser cannot
/// read: only rules on tokens apply then.
pub fn judge(reading: &Reading<'_>) -> Verdict {
    rules::ALL.iter().find(|rule| (rule.matches)(reading)).map_or(Verdict::Pass, |rule| Verdict::Hit(rule.id))
}
