//! A comment that ends the statement behind a closing condition: a sign that something was cut off.
//!
//! A sign, not a proof: people end statements with remarks.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::sql::Marks;

pub(super) const RULE: Rule = Rule {
    id: RuleId("open-end"),
    summary: "a comment to the end of the statement",
    weight: Weight::Points(4),
    matches,
    refuses: &["SELECT a FROM t WHERE id = 1 AND name = CHAR(97,98,99) -- ORDER BY a"],
    passes: &["SELECT a FROM t WHERE id = 1 -- ORDER BY a", "SELECT a FROM t # by name"],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.is_dml() && reading.last().is_some_and(|last| last.marks.intersects(Marks::DASH_AFTER | Marks::HASH_AFTER))
}
