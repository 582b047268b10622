//! `GROUP BY` over `FLOOR(RAND(0)*2)` with COUNT: the duplicate-key error that repeats a value.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;

pub(super) const RULE: Rule = Rule {
    id: RuleId("floor-rand"),
    summary: "FLOOR(RAND(..)) together with COUNT and GROUP BY",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 AND (SELECT 1 FROM (SELECT COUNT(*), CONCAT(user(), FLOOR(RAND(0)*2)) x \
         FROM information_schema.plugins GROUP BY x) y)",
        "SELECT COUNT(*), FLOOR(RAND(0) * 2) AS x FROM t GROUP BY x",
    ],
    passes: &[
        "SELECT FLOOR(RAND() * 100)",
        "SELECT FLOOR(price) AS p, COUNT(*) FROM t GROUP BY p",
        "SELECT a FROM t ORDER BY RAND() LIMIT 3",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.has_call(&["COUNT"])
        && reading.has_word("GROUP")
        && reading.exprs().iter().any(|expr| {
            reading.call(expr).is_some_and(|(name, args)| {
                &*name == "FLOOR"
                    && args.iter().any(|arg| {
                        reading
                            .below(arg)
                            .iter()
                            .any(|inner| reading.call(inner).is_some_and(|(name, _)| &*name == "RAND"))
                    })
            })
        })
}
