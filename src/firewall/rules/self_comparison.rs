//! A column compared with itself behind OR: true for every row that has a value, and no literal in sight.
//!
//! Alone or behind AND it asks for rows that have a value, as object-relational mappers do.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::{bare, compares};
use crate::sql::tree::{BinaryOp, Expr, ExprKind, Path, UnaryOp};

pub(super) const RULE: Rule = Rule {
    id: RuleId("self-comparison"),
    summary: "a column compared with itself, as an operand of OR or XOR",
    weight: Weight::Points(10),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 OR id = id",
        "SELECT a FROM t WHERE a = 2 OR t.id = (t.ID) AND shown = 1",
        "SELECT a FROM t WHERE name = '' OR name LIKE name",
        "DELETE FROM t WHERE a = 1 OR `b` >= b",
    ],
    passes: &[
        "SELECT a FROM t JOIN u ON t.id = u.id",
        "SELECT a FROM t x JOIN t y ON x.id = y.id WHERE x.id < y.id",
        "UPDATE t SET a = a WHERE id = 1",
        "SELECT a FROM t WHERE name LIKE CONCAT(name, '%')",
        "SELECT a FROM t WHERE a = 2 OR id = t.id",
        "SELECT a FROM t WHERE t.id = (t.id) AND shown = 1",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.exprs().iter().any(|expr| {
        let ExprKind::Binary { op: BinaryOp::Or | BinaryOp::Xor, left, right } = &expr.kind else { return false };
        [left, right].into_iter().any(|operand| compares_itself(reading, bare(operand)))
    })
}

fn compares_itself(reading: &Reading<'_>, expr: &Expr) -> bool {
    if let ExprKind::Unary { op: UnaryOp::Not, operand } = &expr.kind {
        return compares_itself(reading, bare(operand));
    }
    if let ExprKind::Binary { op, left, right } = &expr.kind {
        if *op == BinaryOp::And {
            return compares_itself(reading, bare(left)) || compares_itself(reading, bare(right));
        }
        return compares(*op) && same_column(reading, left, right);
    }
    let ExprKind::Match { operands, .. } = &expr.kind else { return false };
    matches!(operands.as_slice(), [left, right, ..] if same_column(reading, left, right))
}

/// One name under the same qualifier. An unqualified name may be another table's column.
fn same_column(reading: &Reading<'_>, left: &Expr, right: &Expr) -> bool {
    let (Some(left), Some(right)) = (column(left), column(right)) else { return false };
    left.parts.len() == right.parts.len()
        && left
            .parts
            .iter()
            .zip(&right.parts)
            .all(|(left, right)| reading.name(*left).eq_ignore_ascii_case(&reading.name(*right)))
}

fn column(expr: &Expr) -> Option<&Path> {
    if let ExprKind::Column(path) = &bare(expr).kind { Some(path) } else { None }
}
