//! Judging a statement for SQL injection, on tokens and tree, never on raw text.
//!
//! Signatures (layers 0 to 3 of the design) are decided once per digest: the verdict is kept with the plan. A hard one
//! refuses by itself; the others give points, and enough points refuse. Each rule is a file below [`rules`] with its
//! documentation, statements that it must refuse and look-alikes that it must let pass. Modes, answers and the event log belong to the callers.

mod constant;
mod digest;
mod outline;
pub mod profile;
mod reading;
pub mod rules;
#[cfg(test)]
mod tests;

pub use digest::Digest;
pub use outline::{CatalogNames, LatestNames, UNKNOWN, Vocabulary, outline};
pub use reading::{Reading, Words};
pub use rules::RuleId;
use rules::{Rule, Weight};

use crate::sql::{self, Dialect, StatementClass, TokenKind};

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

/// Everything that the rules find, for the event of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The rules that match, in their order.
    pub rules: Vec<RuleId>,
    /// The sum of their points; a hard rule counts as much as is enough to refuse.
    pub score: u32,
}

/// Asks every rule, where [`judge`] stops when it knows enough. For the few statements that become events.
pub fn findings(sql: &[u8], dialect: &Dialect, reserved: &sql::ReservedWords<'_>) -> Findings {
    let mut tokens = Vec::new();
    if sql::lex(sql, dialect, &mut tokens).is_err() {
        return Findings::default();
    }
    while tokens.pop_if(|token| token.kind == TokenKind::Semicolon).is_some() {}
    let class = sql::statement_class(sql, &tokens);
    let is_read = matches!(class, StatementClass::Dml | StatementClass::Explain);
    let statement = if is_read { sql::parse(sql, &tokens, dialect, reserved).ok() } else { None };
    let reading = Reading::new(sql, &tokens, class, statement.as_ref());
    let mut findings = Findings::default();
    for rule in rules::ALL.iter().filter(|rule| (rule.matches)(&reading)) {
        findings.rules.push(rule.id);
        findings.score = findings.score.saturating_add(match rule.weight {
            Weight::Hard => rules::POINTS_MAX,
            Weight::Points(points) => u32::from(points),
        });
    }
    findings
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
