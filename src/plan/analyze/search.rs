//! Searches that policy grants to a role that does not see the values: `=`, `<=>` and IN with values, joined by AND, OR
//! and parentheses, in the WHERE of a query.
//!
//! Whatever else stands there goes the way of every condition, on which such a role is denied. So a search tells, for
//! each value that the client wrote, which rows have it; nothing compares columns with one another, and nothing asks
//! for the rows that do not have it.

use super::expression::column_path;
use super::predicate::{ColumnOperand, value};
use super::{Analysis, Certainty, Meaning, Refusal, Scope};
use crate::plan::{Comparison, GrantedSearch, Value};
use crate::policy::Access;
use crate::sql::tree::{BinaryOp, Expr, ExprKind, Statement};

/// Whether granted searches may be made in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Searches {
    /// A query: its rows go to the client, and are counted.
    Granted,
    /// It writes, or the server describes it.
    Withheld,
}

impl Searches {
    pub(super) fn of(statement: &Statement) -> Self {
        match statement {
            Statement::Query(_) => Self::Granted,
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Explain(_) => {
                Self::Withheld
            }
        }
    }
}

impl Analysis<'_> {
    /// Visits the WHERE of a query.
    pub(super) fn filter(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<(), Refusal> {
        if let ExprKind::Parenthesised(inner) = &expr.kind {
            return self.filter(inner, scope);
        }
        if let ExprKind::Binary { op: BinaryOp::And | BinaryOp::Or, left, right } = &expr.kind {
            self.filter(left, scope)?;
            return self.filter(right, scope);
        }
        match self.granted_search(expr, scope)? {
            Some((operand, comparison, values)) => {
                self.searches.push(GrantedSearch {
                    tokens: expr.tokens,
                    column: operand.column,
                    values: u32::try_from(values.len()).unwrap_or(u32::MAX),
                });
                self.search(expr, operand, comparison, values)
            }
            None => self.condition(expr, scope),
        }
    }

    /// The search that an expression is, if policy grants it.
    fn granted_search(
        &self,
        expr: &Expr,
        scope: &Scope<'_>,
    ) -> Result<Option<(ColumnOperand, Comparison, Vec<Value>)>, Refusal> {
        match self.granted {
            Searches::Granted => {}
            Searches::Withheld => return Ok(None),
        }
        let (operand, comparison, values): (&Expr, _, Vec<&Expr>) =
            if let ExprKind::In { operand, list, negated: false } = &expr.kind {
                (operand, Comparison::Equal, list.iter().collect())
            } else if let ExprKind::Binary { op: op @ (BinaryOp::Equal | BinaryOp::NullSafeEqual), left, right } =
                &expr.kind
            {
                let comparison = if *op == BinaryOp::Equal { Comparison::Equal } else { Comparison::NullSafeEqual };
                match column_path(left) {
                    Some(_) => (left, comparison, vec![right]),
                    None => (right, comparison, vec![left]),
                }
            } else {
                return Ok(None);
            };
        let Some(found) = self.granted_operand(operand, scope)? else { return Ok(None) };
        let values: Option<Vec<Value>> = values.into_iter().map(value).collect();
        // With NULL alone it is no search, but a test of NULL.
        let values = values.filter(|values| values.iter().any(|value| *value != Value::Null));
        Ok(values.map(|values| (found, comparison, values)))
    }

    /// The column that an operand consists of, if the role may search by it and may not see its values.
    fn granted_operand(&self, operand: &Expr, scope: &Scope<'_>) -> Result<Option<ColumnOperand>, Refusal> {
        let Some(path) = column_path(operand) else { return Ok(None) };
        let rule = self.table_names();
        let meaning = self.with_name(path, |qualifier, column| scope.resolve(qualifier, column, rule))?;
        let Meaning::Protected(columns) = meaning else { return Ok(None) };
        let [column] = columns.as_slice() else { return Ok(None) };
        let is_granted = self.cx.policy.search(self.cx.role).is_some_and(|grant| grant.covers(*column));
        let is_grouped = self.with_name(path, |qualifier, column| scope.is_grouped(qualifier, column, rule))?;
        let is_clear = self.certainty(path, scope)? == Certainty::Certain;
        let sees = self.access(*column) == Access::Plain;
        self.note_depth(path, scope)?;
        let fits = is_granted && is_clear && !is_grouped && !sees;
        Ok(fits.then_some(ColumnOperand { column: *column, tokens: path.tokens }))
    }
}
