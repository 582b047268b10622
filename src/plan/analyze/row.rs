//! Row constructors: `(phone, id) = (?, ?)` and `(phone, id) IN ((?, ?), …)` become comparisons of their values one by
//! one, which have the same truth table, NULL included.

use super::construct;
use super::expression::{bare, column_path};
use super::predicate::{ColumnOperand, value};
use super::{Analysis, Refusal, Scope};
use crate::plan::scope::Clause;
use crate::plan::{Comparison, Pair, Splice, SpliceKind};
use crate::policy::ColumnId;
use crate::sql::tree::{BinaryOp, Expr, ExprKind, LiteralKind};

/// A comparison of a row constructor with others.
pub(super) struct ComparedRows<'e> {
    comparison: Comparison,
    /// The row whose values are repeated for each of the others, and so must be columns.
    columns: &'e [Expr],
    others: Vec<&'e [Expr]>,
}

impl<'e> ComparedRows<'e> {
    /// The comparison that an expression consists of.
    pub(super) fn of(expr: &'e Expr) -> Option<Self> {
        if let ExprKind::In { operand, list, negated } = &expr.kind {
            let comparison = if *negated { Comparison::NotEqual } else { Comparison::Equal };
            let others = list.iter().map(row).collect::<Option<_>>()?;
            return Some(Self { comparison, columns: row(operand)?, others });
        }
        let ExprKind::Binary { op, left, right } = &expr.kind else { return None };
        let comparison = comparison(*op)?;
        let (columns, others) = match (row(left)?, row(right)?) {
            (values, columns) if !are_columns(values) && are_columns(columns) => (columns, vec![values]),
            (columns, values) => (columns, vec![values]),
        };
        Some(Self { comparison, columns, others })
    }
}

fn comparison(op: BinaryOp) -> Option<Comparison> {
    if op == BinaryOp::Equal {
        Some(Comparison::Equal)
    } else if op == BinaryOp::NotEqual {
        Some(Comparison::NotEqual)
    } else if op == BinaryOp::NullSafeEqual {
        Some(Comparison::NullSafeEqual)
    } else {
        None
    }
}

fn row(expr: &Expr) -> Option<&[Expr]> {
    if let ExprKind::Row(values) = &bare(expr).kind { Some(values) } else { None }
}

fn are_columns(values: &[Expr]) -> bool {
    values.iter().all(|value| column_path(value).is_some())
}

/// By what IN compares a column that is not protected: servers that look at all rows for it must see what they see in one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    Text,
    Integer,
    Param,
    Null,
}

impl Compared {
    fn of(expr: &Expr) -> Option<Self> {
        let kind = &bare(expr).kind;
        if let ExprKind::Param(_) = kind {
            return Some(Self::Param);
        }
        let of_literals =
            [(LiteralKind::String, Self::Text), (LiteralKind::Integer, Self::Integer), (LiteralKind::Null, Self::Null)];
        of_literals
            .into_iter()
            .find_map(|(literal, compared)| (*kind == ExprKind::Literal(literal)).then_some(compared))
    }
}

impl Analysis<'_> {
    /// Visits a comparison of rows. One without a protected column is the server's.
    pub(super) fn compared_rows(
        &mut self,
        whole: &Expr,
        rows: &ComparedRows<'_>,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let columns =
            rows.columns.iter().map(|value| self.column_operand(value, scope)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = columns.iter().flatten().map(|operand| operand.column).next() else {
            self.values(rows.columns, scope, construct::ROW)?;
            return rows.others.iter().try_for_each(|row| self.values(*row, scope, construct::ROW));
        };
        // Of `<=>` the server announces that it is never NULL, of what stands for it that it may be.
        if (rows.comparison, scope.clause) == (Comparison::NullSafeEqual, Clause::SelectList) {
            return Err(self.unsupported(first, construct::NULL_SAFE_LISTED));
        }
        self.values(rows.others.iter().copied().flatten(), scope, construct::ROW)?;
        let as_long = |row: &&[Expr]| row.len() == columns.len();
        if !are_columns(rows.columns) || !rows.others.iter().all(as_long) {
            return Err(self.unsupported(first, construct::ROW));
        }
        self.compared_alike(first, &columns, rows)?;
        let planned = rows.others.iter().map(|row| {
            let pairs = rows.columns.iter().zip(&columns).zip(*row);
            pairs.map(|((name, operand), other)| self.pair(rows.comparison, name, *operand, other)).collect()
        });
        let planned = planned.collect::<Result<_, _>>()?;
        let kind = SpliceKind::Rows { comparison: rows.comparison, rows: planned };
        self.splices.push(Splice { tokens: whole.tokens, column: first, kind, subject: None });
        Ok(())
    }

    fn pair(
        &self,
        comparison: Comparison,
        name: &Expr,
        operand: Option<ColumnOperand>,
        other: &Expr,
    ) -> Result<Pair, Refusal> {
        let protected = match operand {
            None => None,
            Some(operand) => {
                let Some(value) = value(other) else {
                    return Err(self.unsupported(operand.column, construct::COMPARE_EXPRESSION));
                };
                let comparison = match comparison {
                    Comparison::Equal | Comparison::NotEqual => Comparison::Equal,
                    Comparison::NullSafeEqual => Comparison::NullSafeEqual,
                };
                Some(self.searched(other.tokens, operand, comparison, vec![value])?)
            }
        };
        let column_tokens = operand.map_or(name.tokens, |operand| operand.tokens);
        Ok(Pair { column_tokens, other_tokens: other.tokens, protected })
    }

    /// Refuses several rows where a column that is not protected is compared with values of several kinds.
    fn compared_alike(
        &self,
        first: ColumnId,
        columns: &[Option<ColumnOperand>],
        rows: &ComparedRows<'_>,
    ) -> Result<(), Refusal> {
        if rows.others.len() < 2 {
            return Ok(());
        }
        for at in (0..columns.len()).filter(|at| columns.get(*at).is_some_and(Option::is_none)) {
            let mut known = None;
            for value in rows.others.iter().filter_map(|row| row.get(at)) {
                match (Compared::of(value), known) {
                    (Some(Compared::Null), _) => {}
                    (Some(kind), None) => known = Some(kind),
                    (Some(kind), Some(known)) if kind == known => {}
                    (Some(_) | None, _) => return Err(self.unsupported(first, construct::ROW_KINDS)),
                }
            }
        }
        Ok(())
    }
}
