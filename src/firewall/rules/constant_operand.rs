//! A condition that depends on no row, joined to others by OR, XOR or AND: the tautology and its blind sisters.
//!
//! Query builders write one too, but first (`WHERE 1 = 1 AND …`), as a word (`AND TRUE`), or one that never holds
//! (`0 = 1` for an empty list). None of these helps an injector, who comes behind what the application wrote.

use std::collections::HashSet;

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::firewall::constant::{bare, is_constant, is_never_true, literal};
use crate::sql::tree::{BinaryOp, Expr, ExprKind, LiteralKind, TokenRange, UnaryOp};

pub(super) const RULE: Rule = Rule {
    id: RuleId("constant-operand"),
    summary: "a constant operand of OR, XOR or AND that is not the first of its condition",
    weight: Weight::Points(10),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 OR 1 = 1",
        "SELECT a FROM t WHERE name = 'x' OR 'a' = 'a'",
        "SELECT a FROM t WHERE id = 1 AND 1 = 1",
        "SELECT a FROM t WHERE id = 1 AND 5 BETWEEN 1 AND 9 AND shown = 1",
        "SELECT a FROM t WHERE id = 1 OR 1 = 1 AND shown = 1",
        "SELECT a FROM t WHERE id = 1 OR (1 = 1 OR shown = 1)",
        "SELECT a FROM t WHERE id = 1 XOR 1",
        "SELECT a FROM t WHERE (id = 1 OR NOT 1 = 2)",
        "SELECT a FROM t WHERE id = 1 OR 'x' LIKE 'x'",
        "SELECT a FROM t WHERE id = 1 OR (SELECT 1)",
        "SELECT a FROM t WHERE id = 1 OR CHAR_LENGTH('abc') > 2",
        "SELECT a FROM t WHERE id = 1 AND DATABASE() = 'shop'",
        "SELECT a FROM t WHERE id = 1 AND @@version LIKE '8%'",
        "SELECT a FROM t WHERE id = 1 OR TRUE",
        "DELETE FROM t WHERE id = 1 OR 2 > 1",
        "SELECT a FROM t WHERE id = 1 AND 2188 = 4379",
        "SELECT a FROM t WHERE name = 'x' + (SELECT 0x41 WHERE 4379 = 4379 AND 2188 = 9671) + ''",
        "DELETE FROM t WHERE id = 1 OR (id NOT IN (NULL) OR (1 = 1))",
        "DELETE FROM t WHERE id = 1 OR id NOT IN (NULL) OR 1 = 1",
        "UPDATE t SET a = 1 WHERE id = 1 OR 0x31 = '1'",
        "SELECT a, COUNT(*) FROM t GROUP BY a HAVING a > 1 OR 1 = 1",
        "SELECT a FROM t JOIN u ON t.id = u.id OR 1 = 1",
    ],
    passes: &[
        "SELECT a FROM t WHERE 1 = 1",
        "SELECT a FROM t WHERE 1 = 1 AND id = 2 AND shown = 1",
        "SELECT a FROM t WHERE 1=1 AND (shown = 1 OR owner = 7)",
        "SELECT a FROM t WHERE 1 = 0 OR id = 2",
        "SELECT a FROM t WHERE (1 = 1 AND id = 2)",
        "SELECT a FROM t WHERE id = 1 AND (1 = 1 AND shown = 1)",
        "SELECT a FROM t WHERE 1=1 AND 0 = 1",
        "SELECT a FROM t WHERE id = 1 AND (0 = 1)",
        "SELECT a FROM t WHERE id = 1 OR 0 = 1",
        "SELECT a FROM t WHERE id = 1 AND 1 != 1",
        "SELECT a FROM t WHERE id = 1 AND 1 = 2",
        "SELECT 1 = 1 OR 1 = 1",
        "SELECT a FROM t WHERE shown = 1 AND (id NOT IN (NULL) OR (1 = 1))",
        "SELECT a FROM t WHERE id = 1 AND TRUE",
        "SELECT a FROM t WHERE id = 1 AND FALSE",
        "SELECT a FROM t WHERE id BETWEEN 1 AND 9",
        "SELECT a FROM t WHERE id = ? OR ? = ''",
        "SELECT a FROM t WHERE @all = 1 OR id = 2",
        "SELECT a FROM t WHERE id = 1 OR note = '1 OR 1=1'",
        "SELECT a FROM t WHERE id = 1 OR EXISTS (SELECT 1 FROM u WHERE u.t = t.id)",
        "SELECT a FROM t WHERE id = 1 AND created < NOW()",
        "SELECT a FROM t WHERE id = 1 AND NOW() > '2026-01-01'",
        "SELECT a, COUNT(1) FROM t GROUP BY a HAVING a > 1 OR COUNT(1) > 1",
        "SELECT a FROM t LEFT JOIN u ON 1 = 1 WHERE u.id IS NULL",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    let mut search = Search { reading, seen: HashSet::new() };
    reading.reads_or_writes()
        && reading.exprs().iter().any(|expr| {
            logical(expr).is_some() && !search.seen.contains(&expr.tokens) && search.condition(expr, Place::First, None)
        })
}

/// Where an operand stands in its condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before everything else.
    First,
    /// Before everything else inside of parentheses that stand later.
    FirstInside,
    /// Behind something.
    Later,
}

struct Search<'r, 'a> {
    reading: &'r Reading<'a>,
    seen: HashSet<TokenRange>,
}

impl Search<'_, '_> {
    /// Whether a condition holds a suspicious operand; `joined` is the operator that joins it to others.
    fn condition(&mut self, expr: &Expr, place: Place, joined: Option<BinaryOp>) -> bool {
        if let Some((op, left, right)) = logical(expr) {
            self.seen.insert(expr.tokens);
            let is_empty_list = op == BinaryOp::Or && joined != Some(BinaryOp::Or) && excludes_nothing(left);
            return self.operand(left, place, op) || !is_empty_list && self.operand(right, Place::Later, op);
        }
        if let ExprKind::Parenthesised(inner) = &expr.kind {
            let inside = if place == Place::First { Place::First } else { Place::FirstInside };
            return self.condition(inner, inside, joined);
        }
        if let ExprKind::Unary { op: UnaryOp::Not, operand } = &expr.kind {
            return self.condition(operand, place, joined);
        }
        false
    }

    fn operand(&mut self, expr: &Expr, place: Place, op: BinaryOp) -> bool {
        if !is_constant(self.reading, expr) {
            return self.condition(expr, place, Some(op));
        }
        let is_and = op == BinaryOp::And;
        let is_builders = match place {
            Place::First => true,
            Place::FirstInside => is_and,
            Place::Later => false,
        };
        let is_harmless =
            || (is_and && literal(expr) == Some(LiteralKind::Boolean)) || is_never_true(self.reading, expr);
        !is_builders && !is_harmless()
    }
}

/// `x NOT IN (NULL)`: with `OR 1 = 1` behind it, a query builder's exclusion of an empty list. Where it is itself joined
/// by OR, it is not taken for one.
fn excludes_nothing(expr: &Expr) -> bool {
    let ExprKind::In { list, negated: true, .. } = &bare(expr).kind else { return false };
    matches!(list.as_slice(), [only] if literal(only) == Some(LiteralKind::Null))
}

fn logical(expr: &Expr) -> Option<(BinaryOp, &Expr, &Expr)> {
    let ExprKind::Binary { op: op @ (BinaryOp::And | BinaryOp::Or | BinaryOp::Xor), left, right } = &expr.kind else {
        return None;
    };
    Some((*op, left, right))
}
