//! Operators between literals where the application wrote one literal: `''=''`, `'a'-'b'`, `name = 'a' = 'b'`.
//!
//! They turn a quoted value into a number or a truth value without a word of SQL.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::{compares, literal};
use crate::sql::tree::{BinaryFamily, Expr, ExprKind, LiteralKind};

pub(super) const RULE: Rule = Rule {
    id: RuleId("literal-chain"),
    summary: "a comparison compared again with a string, or arithmetic between strings",
    weight: Weight::Points(10),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE name = 'x' = 'y'",
        "SELECT a FROM t WHERE name = '' = '' AND pass = 'x'",
        "SELECT a FROM t WHERE name = 'x'-'y'",
        "SELECT a FROM t WHERE name = ''+''",
        "SELECT a FROM t WHERE name = 'x' ^ '1'",
        "SELECT a FROM t WHERE name = 'x' * 0",
        "INSERT INTO t (a) VALUES ('x' & 'y')",
    ],
    passes: &[
        "SELECT a FROM t WHERE name = 'x'",
        "SELECT a FROM t WHERE name = 'x' 'y'",
        "SELECT a FROM t WHERE day = '2026-01-01' + INTERVAL 1 DAY",
        "SELECT a FROM t WHERE n = 3 - 1",
        "SELECT a FROM t WHERE (a = 'x') = shown",
        "SELECT a = b = c FROM t",
        "SELECT a FROM t WHERE note = '''='''",
        "SELECT price - '5' FROM t",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.exprs().iter().any(|expr| {
        let ExprKind::Binary { op, left, right } = &expr.kind else { return false };
        let strings = [left, right].into_iter().filter(|side| literal(side) == Some(LiteralKind::String)).count();
        if compares(*op) {
            return is_comparison(left) && strings > 0;
        }
        op.family() == BinaryFamily::Arithmetic && strings > 0 && literal(left).is_some() && literal(right).is_some()
    })
}

fn is_comparison(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Binary { op, .. } if compares(op))
}
