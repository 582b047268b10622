//! Conditions: comparisons of a protected column with values become searches of its blind index.

use super::construct;
use super::expression::{bare, column_path};
use super::row::ComparedRows;
use super::{Analysis, Certainty, Meaning, Refusal, Remember, Scope, Usage, Verb};
use crate::plan::scope::{Clause, Search};
use crate::plan::{Comparison, Splice, SpliceKind, Value};
use crate::policy::ColumnId;
use crate::sql;
use crate::sql::tree::{BinaryOp, Expr, ExprKind, LiteralKind, MatchOp, TokenRange, UnaryOp};

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
        if let Some(rows) = ComparedRows::of(expr) {
            return self.compared_rows(expr, &rows, scope);
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
                match scope.clause {
                    Clause::Condition => self.comparison(expr, Comparison::NullSafeEqual, left, right, scope),
                    // Of `<=>` the server announces that it is never NULL, of what stands for it that it may be.
                    Clause::SelectList => {
                        self.value(left, scope, construct::NULL_SAFE_LISTED)?;
                        self.value(right, scope, construct::NULL_SAFE_LISTED)
                    }
                }
            }
            ExprKind::Match { op: MatchOp::Like, operands, negated } => self.like(expr, operands, *negated, scope),
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

    /// The protected column that an operand consists of, parentheses aside. A name that could mean two is refused, and
    /// so is one that stands for the values of many rows.
    pub(super) fn column_operand(&self, operand: &Expr, scope: &Scope<'_>) -> Result<Option<ColumnOperand>, Refusal> {
        self.operand_as(operand, scope, Usage::Used(Verb::Select))
    }

    /// The same for a column of a select list.
    pub(super) fn listed_column(&self, operand: &Expr, scope: &Scope<'_>) -> Result<Option<ColumnOperand>, Refusal> {
        self.operand_as(operand, scope, Usage::Shown)
    }

    fn operand_as(&self, operand: &Expr, scope: &Scope<'_>, usage: Usage) -> Result<Option<ColumnOperand>, Refusal> {
        let found = self.resolved_as(operand, scope, usage)?;
        if let (Some(found), Some(path)) = (found, column_path(operand)) {
            let rule = self.table_names();
            if self.with_name(path, |qualifier, column| scope.is_grouped(qualifier, column, rule))? {
                return Err(self.unsupported(found.column, construct::GROUPED));
            }
        }
        Ok(found)
    }

    /// The same for a column by whose values rows may be grouped.
    pub(super) fn resolved_operand(&self, operand: &Expr, scope: &Scope<'_>) -> Result<Option<ColumnOperand>, Refusal> {
        self.resolved_as(operand, scope, Usage::Used(Verb::Select))
    }

    fn resolved_as(&self, operand: &Expr, scope: &Scope<'_>, usage: Usage) -> Result<Option<ColumnOperand>, Refusal> {
        let Some(path) = column_path(operand) else { return Ok(None) };
        match self.meaning_as(path, scope, usage)? {
            Meaning::Protected(columns) => match columns.as_slice() {
                [column] if self.certainty(path, scope)? == Certainty::Certain => {
                    Ok(Some(ColumnOperand { column: *column, tokens: path.tokens }))
                }
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
            (Some(left), Some(right)) => return self.match_columns(whole, comparison, (left, right), scope),
        };
        if let ExprKind::Subquery(query) = &bare(other).kind {
            let whole = if std::ptr::eq(other, right) { left } else { right };
            return self.compared_with_query(whole, query, scope).map(drop);
        }
        // Resolution goes on, so that a denied column inside the other operand is answered as denied.
        self.value(other, scope, construct::COMPARE_EXPRESSION)?;
        let value = value(other).ok_or_else(|| self.unsupported(operand.column, construct::COMPARE_EXPRESSION))?;
        if value == Value::Null {
            return Ok(());
        }
        self.search(whole, operand, comparison, vec![value])
    }

    /// Two columns of one index domain have equal prefixes where their values are equal.
    pub(super) fn match_columns(
        &mut self,
        whole: &Expr,
        comparison: Comparison,
        (left, right): (ColumnOperand, ColumnOperand),
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        if !self.is_comparable(left.column, right.column) {
            return Err(self.unsupported(left.column, construct::COMPARE_COLUMNS));
        }
        self.splices.push(Splice {
            tokens: whole.tokens,
            column: left.column,
            kind: SpliceKind::Match {
                left: self.tagged(left, scope),
                right: self.tagged(right, scope),
                other: right.column,
                comparison,
            },
            subject: None,
        });
        Ok(())
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

    /// LIKE with a literal or a parameter that holds no wildcard is equality, as which some libraries write what ignores
    /// case. Whether there is one is seen by the literal's value, so such a decision does not hold for the digest.
    fn like(&mut self, whole: &Expr, operands: &[Expr], negated: bool, scope: &Scope<'_>) -> Result<(), Refusal> {
        let refused = construct::pattern(MatchOp::Like);
        let [operand, pattern] = operands else { return self.values(operands, scope, refused) };
        let Some(column) = self.column_operand(operand, scope)? else {
            self.value(operand, scope, refused)?;
            return self.value(pattern, scope, refused);
        };
        self.value(pattern, scope, refused)?;
        self.remember = Remember::No;
        let value = match value(pattern) {
            // NULL, whatever the column holds.
            Some(Value::Null) => return Ok(()),
            // Seen when it comes.
            Some(Value::Param(param)) => Value::Pattern(param),
            Some(literal) if self.is_without_wildcard(literal) => literal,
            Some(_) => return Err(self.unsupported(column.column, construct::PATTERN_WILDCARD)),
            None => return Err(self.unsupported(column.column, refused)),
        };
        let comparison = if negated { Comparison::NotEqual } else { Comparison::Equal };
        self.search(whole, column, comparison, vec![value])
    }

    fn is_without_wildcard(&self, value: Value) -> bool {
        let Value::Literal(range) = value else { return false };
        let tokens = usize::try_from(range.first)
            .ok()
            .zip(usize::try_from(range.last).ok())
            .and_then(|(first, last)| self.cx.text.tokens.get(first..=last))
            .unwrap_or_default();
        let text = sql::literal_text(self.cx.text.sql, tokens, &self.cx.dialect);
        // A backslash that is left makes the next character an ordinary one.
        text.is_ok_and(|text| !text.iter().any(|byte| matches!(byte, b'%' | b'_' | b'\\')))
    }

    pub(super) fn search(
        &mut self,
        whole: &Expr,
        operand: ColumnOperand,
        comparison: Comparison,
        values: Vec<Value>,
    ) -> Result<(), Refusal> {
        let splice = self.searched(whole.tokens, operand, comparison, values)?;
        self.splices.push(splice);
        Ok(())
    }

    /// A search in the place of those tokens.
    pub(super) fn searched(
        &self,
        tokens: TokenRange,
        operand: ColumnOperand,
        comparison: Comparison,
        values: Vec<Value>,
    ) -> Result<Splice, Refusal> {
        if self.cx.policy.column(operand.column).is_none_or(|column| column.index.is_none()) {
            return Err(self.unsupported(operand.column, construct::NO_INDEX));
        }
        let kind = SpliceKind::Search { column_tokens: operand.tokens, comparison, values };
        Ok(Splice { tokens, column: operand.column, kind, subject: None })
    }
}

/// The value that an expression stands for, if it is one that can be sealed or searched for.
pub(super) fn value(expr: &Expr) -> Option<Value> {
    let expr = bare(expr);
    if let ExprKind::Param(ordinal) = &expr.kind {
        return Some(Value::Param(*ordinal));
    }
    let ExprKind::Literal(kind) = &expr.kind else { return None };
    match kind {
        LiteralKind::String | LiteralKind::Hex => Some(Value::Literal(expr.tokens)),
        LiteralKind::Null => Some(Value::Null),
        LiteralKind::Bit
        | LiteralKind::Integer
        | LiteralKind::Decimal
        | LiteralKind::Float
        | LiteralKind::Boolean
        | LiteralKind::Temporal => None,
    }
}

fn is_null(expr: &Expr) -> bool {
    value(expr) == Some(Value::Null)
}
