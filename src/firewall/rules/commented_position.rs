//! ORDER BY or GROUP BY a number, and a comment behind it: counting the columns of a query before a UNION.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::literal;
use crate::sql::Marks;
use crate::sql::tree::{LiteralKind, OrderItem};

pub(super) const RULE: Rule = Rule {
    id: RuleId("commented-position"),
    summary: "ORDER BY or GROUP BY a position, ended by a comment",
    weight: Weight::Points(10),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 ORDER BY 5 -- ",
        "SELECT a FROM t WHERE name = 'x' ORDER BY 1, 2#' LIMIT 1",
        "SELECT a FROM t WHERE id = 1 GROUP BY 3 -- -",
    ],
    passes: &[
        "SELECT a FROM t ORDER BY 1",
        "SELECT a FROM t ORDER BY 1 /* by name */",
        "SELECT a, b FROM t ORDER BY a -- newest first",
        "SELECT a FROM t ORDER BY 1 LIMIT 3 -- first page",
        "SELECT a, COUNT(*) FROM t GROUP BY 1 -- by name\nORDER BY 2",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    let ends = |list: &[OrderItem]| {
        list.last().is_some_and(|item| {
            literal(&item.expr) == Some(LiteralKind::Integer) && reading.is_last(item.expr.tokens.last)
        })
    };
    let commented = reading.last().is_some_and(|last| last.marks.intersects(Marks::DASH_AFTER | Marks::HASH_AFTER));
    commented
        && (reading.queries().iter().any(|query| ends(&query.order_by))
            || reading.selects().iter().any(|select| ends(&select.group_by)))
}
