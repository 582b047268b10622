//! `PROCEDURE ANALYSE(…)`, a clause behind LIMIT that old servers run and attackers use to provoke errors.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;

pub(super) const RULE: Rule = Rule {
    id: RuleId("procedure-analyse"),
    summary: "PROCEDURE ANALYSE",
    weight: Weight::Hard,
    matches,
    refuses: &["SELECT a FROM t LIMIT 1 PROCEDURE ANALYSE(1, 2)", "SELECT a FROM t procedure analyse()"],
    passes: &["DROP PROCEDURE analyse", "SELECT analyse FROM t"],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.has_word("SELECT")
        && reading.words().windows(2).any(|pair| {
            matches!(pair, [first, second]
                if reading.is_word(*first, "PROCEDURE")
                    && reading.is_word(*second, "ANALYSE")
                    && reading.followed_by_parenthesis(*second))
        })
}
