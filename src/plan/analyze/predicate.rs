//! Conditions of WHERE and ON: comparisons of a protected column with values become searches of its blind index.

use super::construct;
use super::expression::{bare, column_path};
use super::{Analysis, Meaning, Refusal, Scope, Verb};
use crate::plan::scope::Search;
use crate::plan::{Comparison, Splice, SpliceKind, Value};
use crate::policy::ColumnId;
use crate::sql::tree::{BinaryOp, Expr, ExprKind, LiteralKind, TokenRange, UnaryOp};

/// A protected column standing alone as an operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnOperand {
    pub(super) column: ColumnId,
    pub(super) tokens: TokenRange,
}

impl Analysis<'_> {
    /// Visits a condition: comparisons joined by AND, OR, XOR, NOT and parentheses.
    pub(super) fn condition(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<(), Refusal> {
        if scope.search == Search::Refused {
            return self.value(expr, scope, construct::BOOLEAN);
        }
        match &expr.kind {
            ExprKind::Parenthesised(inner) | ExprKind::Unary { op: UnaryOp::Not, operand: inner } => {
                self.condition(inner, scope)
            }
            ExprKind::Binary { op: BinaryOp::And | BinaryOp::Or | BinaryOp::Xor, left, right } => {
                self.condition(left, scope)?;
                self.condition(right, scope)
            }
            ExprKind::Binary { op: BinaryOp::Equal, left, right } => {
                self.comparison(expr, Comparison::Equal, left, right, scope)
            }
            ExprKind::Binary { op: BinaryOp::NotEqual, left, right } => {
                self.comparison(expr, Comparison::NotEqual, left, right, scope)
            }
            ExprKind::Binary { op: BinaryOp::NullSafeEqual, left, right } => {
                if self.null_test(left, right, scope)? {
                    return Ok(());
                }
                self.comparison(expr, Comparison::NullSafeEqual, left, right, scope)
            }
            ExprKind::In { operand, list, negated } => self.in_list(expr, operand, list, *negated, scope),
            // No wildcard of our own: whatever is neither a connective nor a comparison is judged as a value.
            ExprKind::Column(_)
            | ExprKind::Literal(_)
            | ExprKind::Param(_)
            | ExprKind::UserVariable
            | ExprKind::SystemVariable
            | ExprKind::Assign(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::Is { .. }
            | ExprKind::Between { .. }
            | ExprKind::InQuery { .. }
            | ExprKind::Match { .. }
            | ExprKind::Quantified { .. }
            | ExprKind::Exists(_)
            | ExprKind::Subquery(_)
            | ExprKind::Row(_)
            | ExprKind::Case { .. }
            | ExprKind::Function(_)
            | ExprKind::Cast(_)
            | ExprKind::Collate(_)
            | ExprKind::Interval(_)
            | ExprKind::Values(_)
            | ExprKind::Default(_)
            | ExprKind::JsonExtract(_)
            | ExprKind::Odbc(_) => self.value(expr, scope, construct::BOOLEAN),
        }
    }

    /// The protected column that an operand consists of, parentheses aside. A name that could mean two is refused.
    pub(super) fn column_operand(&self, operand: &Expr, scope: &Scope<'_>) -> Result<Option<ColumnOperand>, Refusal> {
        let Some(path) = column_path(operand) else { return Ok(None) };
        match self.meaning(path, scope, Verb::Select)? {
            Meaning::Protected(columns) => match columns.as_slice() {
                [column] => Ok(Some(ColumnOperand { column: *column, tokens: path.tokens })),
                _ => Err(self.unknown_column(path)),
            },
            Meaning::Unprotected => Ok(None),
            Meaning::Unknown => Err(self.unknown_column(path)),
        }
    }

    /// Whether a `<=>` compares a protected column with a literal NULL, which the server may do by itself.
    pub(super) fn null_test(&self, left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<bool, Refusal> {
        Ok((is_null(right) && self.column_operand(left, scope)?.is_some())
            || (is_null(left) && self.column_operand(right, scope)?.is_some()))
    }

    fn comparison(
        &mut self,
        whole: &Expr,
        comparison: Comparison,
        left: &Expr,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let (operand, other) = match (self.column_operand(left, scope)?, self.column_operand(right, scope)?) {
            (None, None) => {
                self.value(left, scope, construct::COMPARE_EXPRESSION)?;
                return self.value(right, scope, construct::COMPARE_EXPRESSION);
            }
            (Some(operand), None) => (operand, right),
            (None, Some(operand)) => (operand, left),
            (Some(operand), Some(_)) => return Err(self.unsupported(operand.column, construct::COMPARE_EXPRESSION)),
        };
        // Resolution goes on, so that a denied column inside the other operand is answered as denied.
        self.value(other, scope, construct::COMPARE_EXPRESSION)?;
        let value = value(other).ok_or_else(|| self.unsupported(operand.column, construct::COMPARE_EXPRESSION))?;
        if value == Value::Null {
            return Ok(());
        }
        self.search(whole, operand, comparison, vec![value])
    }

    fn in_list(
        &mut self,
        whole: &Expr,
        operand: &Expr,
        list: &[Expr],
        negated: bool,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let Some(column) = self.column_operand(operand, scope)? else {
            self.value(operand, scope, construct::COMPARE_EXPRESSION)?;
            return self.values(list, scope, construct::COMPARE_EXPRESSION);
        };
        self.values(list, scope, construct::COMPARE_EXPRESSION)?;
        let values: Option<Vec<Value>> = list.iter().map(value).collect();
        let values = values.ok_or_else(|| self.unsupported(column.column, construct::COMPARE_EXPRESSION))?;
        if values.iter().all(|value| *value == Value::Null) {
            return Ok(());
        }
        let comparison = if negated { Comparison::NotEqual } else { Comparison::Equal };
        self.search(whole, column, comparison, values)
    }

    fn search(
        &mut self,
        whole: &Expr,
        operand: ColumnOperand,
        comparison: Comparison,
        values: Vec<Value>,
    ) -> Result<(), Refusal> {
        if self.cx.policy.column(operand.column).is_none_or(|column| column.index.is_none()) {
            return Err(self.unsupported(operand.column, construct::NO_INDEX));
        }
        self.splices.push(Splice {
            tokens: whole.tokens,
            column: operand.column,
            kind: SpliceKind::Search { column_tokens: operand.tokens, comparison, values },
            subject: None,
        });
        Ok(())
    }
}

/// The value that an expression stands for, if it is one that can be sealed or searched for.
pub(super) fn value(expr: &Expr) -> Option<Value> {
    let expr = bare(expr);
    match &expr.kind {
        ExprKind::Literal(LiteralKind::String | LiteralKind::Hex) => Some(Value::Literal(expr.tokens)),
        ExprKind::Literal(LiteralKind::Null) => Some(Value::Null),
        ExprKind::Param(ordinal) => Some(Value::Param(*ordinal)),
        ExprKind::Literal(
            LiteralKind::Bit
            | LiteralKind::Integer
            | LiteralKind::Decimal
            | LiteralKind::Float
            | LiteralKind::Boolean
            | LiteralKind::Temporal,
        )
        | ExprKind::Column(_)
        | ExprKind::UserVariable
        | ExprKind::SystemVariable
        | ExprKind::Assign(_)
        | ExprKind::Parenthesised(_)
        | ExprKind::Unary { .. }
        | ExprKind::Binary { .. }
        | ExprKind::Is { .. }
        | ExprKind::Between { .. }
        | ExprKind::In { .. }
        | ExprKind::InQuery { .. }
        | ExprKind::Match { .. }
        | ExprKind::Quantified { .. }
        | ExprKind::Exists(_)
        | ExprKind::Subquery(_)
        | ExprKind::Row(_)
        | ExprKind::Case { .. }
        | ExprKind::Function(_)
        | ExprKind::Cast(_)
        | ExprKind::Collate(_)
        | ExprKind::Interval(_)
        | ExprKind::Values(_)
        | ExprKind::Default(_)
        | ExprKind::JsonExtract(_)
        | ExprKind::Odbc(_) => None,
    }
}

fn is_null(expr: &Expr) -> bool {
    value(expr) == Some(Value::Null)
}
