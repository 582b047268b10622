//! CASE, IF or ELT that choose by a condition which depends on no row: a probe whose two answers differ.
//!
//! A query builder that knows no truth values writes them as `CASE WHEN 0 = 0 THEN 1 ELSE 0 END`: a constant as a whole.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::{is_constant, literal};
use crate::sql::tree::{Expr, ExprKind};

pub(super) const RULE: Rule = Rule {
    id: RuleId("constant-choice"),
    summary: "CASE, IF or ELT over a constant condition, in a statement that works on rows",
    weight: Weight::Points(10),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = (CASE WHEN (1=1) THEN 1 ELSE (SELECT 1 UNION SELECT 2) END)",
        "SELECT a FROM t ORDER BY IF(1=1, a, b)",
        "SELECT a FROM t WHERE id = ELT(2=2, 1)",
        "SELECT a FROM t WHERE id = CASE 5 WHEN 5 THEN 1 ELSE (SELECT 1 UNION SELECT 2) END",
        "SELECT a FROM t WHERE id = 1 UNION SELECT IF(USER() LIKE 'root%', a, b) FROM u",
    ],
    passes: &[
        "SELECT IF(1=1, 'a', 'b')",
        "SELECT CASE WHEN price > 10 THEN 'dear' ELSE 'cheap' END FROM t",
        "SELECT IF(shown, a, b) FROM t",
        "SELECT ELT(kind, 'x', 'y') FROM t",
        "SELECT CASE kind WHEN 1 THEN 'x' END FROM t",
        "SELECT IF(?, a, b) FROM t",
        "UPDATE t SET a = CASE id WHEN 1 THEN 'x' WHEN 2 THEN 'y' END WHERE id IN (1, 2)",
        "SELECT CASE WHEN TRUE THEN a END FROM t",
        "SELECT a FROM t WHERE shown = (CASE WHEN 0 = 0 THEN 1 ELSE 0 END)",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    // A literal alone is a switch that a template left: no answer depends on it.
    let chosen = |condition: &Expr| literal(condition).is_none() && is_constant(reading, condition);
    let chooses = |expr: &Expr| {
        if let ExprKind::Case { operand, whens, .. } = &expr.kind {
            let by_constant = match operand {
                None => whens.iter().any(|(when, _)| chosen(when)),
                Some(operand) => {
                    is_constant(reading, operand) && whens.iter().any(|(when, _)| is_constant(reading, when))
                }
            };
            return by_constant && !is_constant(reading, expr);
        }
        reading.call(expr).is_some_and(|(name, args)| {
            let suspicious = match &*name {
                "IF" => !is_constant(reading, expr),
                "ELT" => true,
                _ => false,
            };
            suspicious && args.first().is_some_and(chosen)
        })
    };
    reading.reads_or_writes() && reading.exprs().iter().any(|expr| chooses(expr))
}
