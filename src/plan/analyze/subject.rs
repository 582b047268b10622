//! Whose the rows are that a statement writes, for columns whose values have a key for each data subject, and what their
//! envelopes are bound to, for columns whose values are bound to their rows.
//!
//! The server must store what the statement says: a row that is sealed under one person's key and belongs to another
//! would outlive the erasure of its owner, and one that is bound to another value could not be read. So whatever is not a
//! plain literal or parameter is refused.

use super::construct::{self, Construct, Stating};
use super::expression::{bare, column_path};
use super::{Analysis, Meaning, Refusal, Scope, Verb, fold};
use crate::plan::scope::Source;
use crate::plan::{SubjectSource, SubjectValue, Value};
use crate::policy::{ColumnId, ProtectedColumn};
use crate::schema::{SubjectForm, SubjectPlace, Table};
use crate::sql::tree::{Assignment, BinaryOp, Expr, ExprKind, LiteralKind, Path, UnaryOp};

/// What a clause says of whose its rows are.
pub(super) enum Owner<'e> {
    /// The values of a new row, by folded column names.
    Row(Vec<(Box<str>, &'e Expr)>),
    /// The conditions that every changed row meets.
    Conditions(Vec<&'e Expr>),
    /// Nothing: any row may be met.
    Anybody,
    /// Nothing that is known of: rows of several tables are joined.
    Rows,
}

impl<'e> Owner<'e> {
    /// That of a row: values, and the folded names of the columns that they go into.
    pub(super) fn of_row<'n>(
        row: impl IntoIterator<Item = &'e Expr>,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        Self::Row(names.into_iter().map(Box::from).zip(row).collect())
    }

    /// That of the rows which a condition finds: what AND joins at its top.
    pub(super) fn of_condition(filter: Option<&'e Expr>) -> Self {
        let mut conditions = Vec::new();
        let mut open: Vec<&Expr> = filter.into_iter().collect();
        while let Some(expr) = open.pop() {
            if let ExprKind::Binary { op: BinaryOp::And, left, right } = &bare(expr).kind {
                open.extend([&**left, &**right]);
            } else {
                conditions.push(bare(expr));
            }
        }
        Self::Conditions(conditions)
    }
}

impl Analysis<'_> {
    /// Whose a value is that goes into a protected column, or what it is bound to. `None`: nothing of the kind is asked for.
    pub(super) fn subject_of(
        &self,
        column: ColumnId,
        sealed: Value,
        owner: &Owner<'_>,
        scope: &Scope<'_>,
    ) -> Result<Option<SubjectSource>, Refusal> {
        let (Some(protected), Some((name, refused))) = (self.cx.policy.column(column), self.stated(column)) else {
            return Ok(None);
        };
        let form = self.stated_form(protected, name).ok_or_else(|| self.unsupported(column, refused.unfit))?;
        let name = fold(name);
        let (value, place, construct) = match owner {
            Owner::Row(values) => {
                let given = values.iter().find(|(target, _)| *target == name).map(|(_, expr)| *expr);
                (given.and_then(subject_value), SubjectPlace::Stored, refused.unknown)
            }
            Owner::Conditions(conditions) => {
                let mut found = None;
                for condition in conditions {
                    if found.is_none() {
                        found = self.compared_with(condition, &name, scope)?;
                    }
                }
                (found, SubjectPlace::Compared, refused.filter)
            }
            Owner::Rows => return Err(self.unsupported(column, construct::MULTI_TABLE)),
            Owner::Anybody => return Err(self.unsupported(column, refused.duplicate)),
        };
        let value = value.ok_or_else(|| self.unsupported(column, construct))?;
        match (sealed, value) {
            (Value::Literal(_), SubjectValue::Literal(_)) | (Value::Param(_), SubjectValue::Param(_)) => {}
            (Value::Literal(_) | Value::Param(_) | Value::Pattern(_) | Value::Null, _) => {
                return Err(self.unsupported(column, refused.mixed));
            }
        }
        Ok(Some(SubjectSource { value, form, place }))
    }

    /// The column whose value writes must state, and what is refused for its sake; `None` if there is none.
    pub(super) fn stated(&self, column: ColumnId) -> Option<(&'_ str, &'static Stating)> {
        let protected = self.cx.policy.column(column)?;
        let refused = if protected.subject.is_some() { &construct::SUBJECT } else { &construct::BIND };
        protected.stated().map(|name| (&**name, refused))
    }

    /// How the values of that column are read; `None` if it cannot be relied on.
    pub(super) fn stated_form(&self, protected: &ProtectedColumn, name: &str) -> Option<SubjectForm> {
        let names = &protected.column;
        let column = self.cx.catalog.table(&names.database, &names.table)?.column(name)?;
        SubjectForm::of(column).ok()
    }

    /// The value in `subject = value`.
    fn compared_with(&self, condition: &Expr, name: &str, scope: &Scope<'_>) -> Result<Option<SubjectValue>, Refusal> {
        let ExprKind::Binary { op: BinaryOp::Equal, left, right } = &condition.kind else { return Ok(None) };
        for (operand, other) in [(left, right), (right, left)] {
            if let (Some(path), Some(value)) = (column_path(operand), subject_value(other))
                && self.is_named(path, name)
                && matches!(self.meaning(path, scope, Verb::Select)?, Meaning::Unprotected)
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn is_named(&self, path: &Path, name: &str) -> bool {
        path.parts.last().is_some_and(|part| *self.folded(*part) == *name)
    }

    /// Refuses assignments to columns of a table whose values writes must state.
    pub(super) fn keeps_stated(
        &self,
        table: &Table,
        assignments: &[Assignment],
        construct: impl Fn(&Stating) -> Construct,
    ) -> Result<(), Refusal> {
        for column in self.cx.policy.columns_of(&table.name) {
            let Some((name, refused)) = self.stated(*column) else { continue };
            let name = fold(name);
            if assignments.iter().any(|assignment| self.is_named(&assignment.column, &name)) {
                return Err(self.unsupported_to_all(*column, construct(refused)));
            }
        }
        Ok(())
    }

    /// The same for all tables of an UPDATE, whichever of them a name means.
    pub(super) fn keep_stated(&self, sources: &[Source], assignments: &[Assignment]) -> Result<(), Refusal> {
        let protected = sources.iter().flat_map(|source| &source.columns).filter_map(|column| column.protected);
        for column in protected {
            let names = self.cx.policy.column(column).map(|found| &found.column);
            if let Some(table) = names.and_then(|names| self.cx.catalog.table(&names.database, &names.table)) {
                self.keeps_stated(table, assignments, |refused| refused.change)?;
            }
        }
        Ok(())
    }
}

/// The value that an expression stands for, if it may say whose a row is.
fn subject_value(expr: &Expr) -> Option<SubjectValue> {
    let expr = bare(expr);
    if let ExprKind::Param(ordinal) = &expr.kind {
        return Some(SubjectValue::Param(*ordinal));
    }
    let is_literal = if let ExprKind::Unary { op: UnaryOp::Minus | UnaryOp::Plus, operand } = &expr.kind {
        matches!(operand.kind, ExprKind::Literal(LiteralKind::Integer))
    } else {
        matches!(expr.kind, ExprKind::Literal(LiteralKind::String | LiteralKind::Hex | LiteralKind::Integer))
    };
    is_literal.then_some(SubjectValue::Literal(expr.tokens))
}
