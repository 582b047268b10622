//! A UNION whose later branch fills columns of the first with constants: the injector counts columns or pads them.
//!
//! Honest unions put a constant where the first branch has one too (`'order' AS kind … UNION … 'invoice'`), or append one
//! fixed row with a label (`UNION SELECT 0, 'All'`).

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::sql::tree::{Expr, ExprKind, LiteralKind, Query, QueryBody, Select, SelectItem};

pub(super) const RULE: Rule = Rule {
    id: RuleId("constant-union"),
    summary: "a UNION branch of constants behind a filtered branch that reads a table",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT name, price FROM products WHERE id = 1 UNION SELECT 1, 2",
        "SELECT name, price, note FROM products WHERE id = -1 UNION ALL SELECT NULL, NULL, NULL",
        "SELECT name, price FROM products WHERE id = 1 UNION SELECT password, NULL FROM users",
        "SELECT a, b, c FROM t WHERE d = 'x' UNION ALL SELECT NULL, CONCAT(0x7171, 0x7178), NULL",
        "SELECT a, b FROM t WHERE d = 'x' UNION SELECT user(), @@version",
    ],
    passes: &[
        "SELECT id, 'order' AS kind FROM orders WHERE c = 1 UNION ALL SELECT id, 'invoice' FROM invoices WHERE c = 1",
        "SELECT id, name FROM categories WHERE shown = 1 UNION SELECT 0, 'All'",
        "SELECT 1, 2 UNION SELECT 3, 4",
        "SELECT a, b FROM t WHERE c = 1 UNION SELECT a, b FROM u WHERE c = 1",
        "SELECT id, note, created FROM a WHERE x = 1 UNION ALL SELECT id, NULL, created FROM b WHERE x = 1",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.queries().iter().any(|query| {
        let mut branches = Vec::new();
        collect(query, &mut branches);
        branches.split_first().is_some_and(|(first, later)| {
            !later.is_empty()
                && !first.from.is_empty()
                && first.filter.is_some()
                && later.iter().any(|branch| suspicious(reading, first, branch))
        })
    })
}

/// The branches of a set operation, in source order; one SELECT alone is one branch.
fn collect<'t>(query: &'t Query, branches: &mut Vec<&'t Select>) {
    match &query.body {
        QueryBody::Select(select) => branches.push(select),
        QueryBody::SetOperation { left, right, .. } => {
            collect(left, branches);
            collect(right, branches);
        }
        QueryBody::Parenthesised(inner) => collect(inner, branches),
        QueryBody::Table(_) | QueryBody::Values(_) => {}
    }
}

fn suspicious(reading: &Reading<'_>, first: &Select, branch: &Select) -> bool {
    let items = branch.items.len();
    let padded = branch
        .items
        .iter()
        .enumerate()
        .filter(|(position, item)| {
            let known = first.items.get(*position);
            constant_item(reading, item) && !known.is_some_and(|known| constant_item(reading, known))
        })
        .count();
    let nearly_all = padded > 0 && padded + 1 >= items.max(2);
    nearly_all && !labelled_row(reading, branch)
}

fn constant_item(reading: &Reading<'_>, item: &SelectItem) -> bool {
    match item {
        SelectItem::Star(_) | SelectItem::QualifiedStar(_) => false,
        SelectItem::Expr { expr, .. } => constant(reading, expr),
    }
}

fn constant(reading: &Reading<'_>, expr: &Expr) -> bool {
    if let ExprKind::Parenthesised(inner) | ExprKind::Cast(inner) | ExprKind::Unary { operand: inner, .. } = &expr.kind
    {
        return constant(reading, inner);
    }
    matches!(expr.kind, ExprKind::Literal(_) | ExprKind::SystemVariable)
        || reading.is_session_value(expr)
        || reading.call(expr).is_some_and(|(_, args)| !args.is_empty() && args.iter().all(|arg| constant(reading, arg)))
}

/// One fixed row of plain literals with a text among them, from no table: an entry such as "All" for a list.
fn labelled_row(reading: &Reading<'_>, branch: &Select) -> bool {
    let kinds: Option<Vec<LiteralKind>> = branch.items.iter().map(|item| plain_literal(reading, item)).collect();
    branch.from.is_empty()
        && kinds.is_some_and(|kinds| {
            kinds.contains(&LiteralKind::String)
                && !kinds.contains(&LiteralKind::Hex)
                && !kinds.contains(&LiteralKind::Null)
        })
}

/// The kind of an item that is a literal. An empty string pads like NULL and counts as it.
fn plain_literal(reading: &Reading<'_>, item: &SelectItem) -> Option<LiteralKind> {
    let SelectItem::Expr { expr, .. } = item else { return None };
    let ExprKind::Literal(kind) = expr.kind else { return None };
    Some(if reading.is_empty_string(expr) { LiteralKind::Null } else { kind })
}
