//! Text spelled in numbers, as an injector writes it who may not use quotes: `CHAR(97,98)`, `CONCAT(0x61, …)`.
//!
//! A sign, not a proof: honest statements compare with hexadecimal literals, and some write a line break as `CHAR(13,10)`.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::literal;
use crate::sql::tree::{Expr, LiteralKind};

pub(super) const RULE: Rule = Rule {
    id: RuleId("spelled-text"),
    summary: "CHAR of three numbers or more, or CONCAT with hexadecimal text",
    weight: Weight::Points(6),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 OR name = CHAR(97,98,99) -- AND owner = 7",
        "SELECT a FROM t WHERE id = 1 AND name = CONCAT(0x61, name, 0x62) # '",
    ],
    passes: &[
        "SELECT a FROM t WHERE name = CHAR(97,98,99)",
        "SELECT CONCAT(a, CHAR(13,10), b) FROM t",
        "SELECT a FROM t WHERE hash = 0x6162",
        "SELECT CONCAT(a, 0x0A, b) FROM t",
        "SELECT CHAR(a, b, c) FROM t",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    let counts = |args: &[Expr], kind| args.iter().filter(|arg| literal(arg) == Some(kind)).count();
    reading.exprs().iter().any(|expr| {
        reading.call(expr).is_some_and(|(name, args)| match &*name {
            "CHAR" => counts(args, LiteralKind::Integer) > 2,
            "CONCAT" | "CONCAT_WS" => counts(args, LiteralKind::Hex) > 1,
            _ => false,
        })
    })
}
