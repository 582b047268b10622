//! Judging a statement for SQL injection, on tokens and tree, never on raw text.
//!
//! Signatures (layers 0 to 3 of the design) are decided once per digest: the verdict is kept with the plan. A hard one
//! refuses by itself; the others give points, and enough points refuse. Each rule is a file below [`rules`] with its
//! documentation, statements that it must refuse and look-alikes that it must let pass. Modes, answers and the event log belong to the callers.

mod constant;
mod digest;
pub mod profile;
mod reading;
pub mod rules;
#[cfg(test)]
mod tests;

pub use digest::Digest;
pub use reading::{Reading, Words};
pub use rules::RuleId;
use rules::{Rule, Weight};

use crate::sql::{self, Dialect};

/// What the firewall says of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule matched.
    Pass,
    /// The first hard rule that matched, or the heaviest of those whose points were enough.
    Hit(RuleId),
}

/// How events, reports, profiles and exceptions name a statement, as hexadecimal digits. `None` if it cannot be read.
pub fn digest(sql: &[u8], dialect: &Dialect) -> Option<String> {
    let mut tokens = Vec::new();
    sql::lex(sql, dialect, &mut tokens).ok()?;
    Some(Digest::of(sql, &tokens).to_string())
}

/// Judges one statement. `reading.statement` is `None` for statements other than DML and for DML that the parser cannot
/// read: only rules on tokens apply then.
pub fn judge(reading: &Reading<'_>) -> Verdict {
    judge_by(rules::ALL.iter(), reading)
}

fn judge_by<'r>(rules: impl Iterator<Item = &'r Rule>, reading: &Reading<'_>) -> Verdict {
    let mut points = 0_u32;
    let mut heaviest: Option<(u8, RuleId)> = None;
    for rule in rules {
        if !(rule.matches)(reading) {
            continue;
        }
        match rule.weight {
            Weight::Hard => return Verdict::Hit(rule.id),
            Weight::Points(more) => {
                points = points.saturating_add(u32::from(more));
                if heaviest.is_none_or(|(most, _)| more > most) {
                    heaviest = Some((more, rule.id));
                }
            }
        }
    }
    match heaviest {
        Some((_, rule)) if points >= rules::POINTS_MAX => Verdict::Hit(rule),
        Some(_) | None => Verdict::Pass,
    }
}
