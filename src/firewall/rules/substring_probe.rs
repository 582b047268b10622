//! Reading a value one character at a time: ORD, ASCII or a comparison over a substring of a sub-query or system value.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::compares;
use crate::sql::tree::{Expr, ExprKind};

pub(super) const RULE: Rule = Rule {
    id: RuleId("substring-probe"),
    summary: "ORD, ASCII or a comparison of a substring of a sub-query or system value",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 AND ORD(MID((SELECT password FROM users LIMIT 1), 1, 1)) > 64",
        "SELECT a FROM t WHERE id = 1 AND ASCII(SUBSTRING(DATABASE(), 1, 1)) > 100",
        "SELECT a FROM t WHERE id = 1 AND SUBSTR((SELECT password FROM users LIMIT 1), 1, 1) = 'a'",
        "SELECT a FROM t WHERE id = 1 AND MID(@@version, 1, 1) = 5",
        "SELECT a FROM t WHERE id = 1 AND 'r' <= LEFT((SELECT user()), 1)",
        "SELECT a FROM t WHERE SUBSTRING((SELECT 'x') FROM 1 FOR 1) IN ('a', 'b')",
    ],
    passes: &[
        "SELECT SUBSTRING(VERSION(), 1, 1)",
        "SELECT a FROM t WHERE SUBSTRING(code, 1, 2) = 'DE'",
        "SELECT a FROM t WHERE ASCII(LEFT(name, 1)) BETWEEN 65 AND 90",
        "SELECT LEFT((SELECT name FROM u WHERE id = 1), 20) FROM t",
    ],
};

const CUT: [&str; 6] = ["MID", "SUBSTR", "SUBSTRING", "LEFT", "RIGHT", "SUBSTRING_INDEX"];

fn matches(reading: &Reading<'_>) -> bool {
    reading.reads_or_writes() && reading.exprs().iter().any(|expr| probes(reading, expr))
}

fn probes(reading: &Reading<'_>, expr: &Expr) -> bool {
    if let Some((name, args)) = reading.call(expr) {
        return ["ORD", "ASCII"].contains(&&*name) && args.iter().any(|arg| cut_value(reading, arg));
    }
    if let ExprKind::Binary { op, left, right } = &expr.kind {
        return compares(*op) && (cut_value(reading, left) || cut_value(reading, right));
    }
    let operands: &[Expr] = if let ExprKind::In { operand, .. } = &expr.kind {
        std::slice::from_ref(&**operand)
    } else if let ExprKind::Between { operands, .. } = &expr.kind {
        &**operands
    } else if let ExprKind::Match { operands, .. } = &expr.kind {
        operands.get(..1).unwrap_or_default()
    } else {
        &[]
    };
    operands.iter().any(|operand| cut_value(reading, operand))
}

/// Whether the expression is, but for parentheses and casts, a substring of a sub-query or system value.
fn cut_value(reading: &Reading<'_>, expr: &Expr) -> bool {
    if let ExprKind::Parenthesised(inner) | ExprKind::Cast(inner) | ExprKind::Collate(inner) = &expr.kind {
        return cut_value(reading, inner);
    }
    let read = |inner: &Expr| {
        matches!(inner.kind, ExprKind::Subquery(_) | ExprKind::SystemVariable) || reading.is_session_value(inner)
    };
    reading.call(expr).is_some_and(|(name, args)| {
        CUT.contains(&&*name) && args.first().is_some_and(|value| reading.below(value).into_iter().any(read))
    })
}
