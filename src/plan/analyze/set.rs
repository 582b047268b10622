//! UNION, INTERSECT and EXCEPT over protected columns. Envelopes of equal values differ, so rows with some are not compared
//! as they are: all rows are put together by UNION ALL and grouped by index prefixes, and by the other columns as they
//! are. What that is written like is [`crate::rewrite`]'s.

use super::construct;
use super::output::protected_of;
use super::query::Place;
use super::{Analysis, Refusal, ResultName, Scope, Usage, Verb};
use crate::plan::scope::{Label, Output};
use crate::plan::{SetColumn, SetPart, SetRows, Splice, SpliceKind};
use crate::policy::ColumnId;
use crate::sql::tree::{Query, QueryBody, Select, SelectItem, SetOperator, TokenIndex, TokenRange};

/// Words behind SELECT that hold for the whole result, or are wrong in a nested query.
const OF_WHOLE_RESULT: &[&str] =
    &["SQL_CALC_FOUND_ROWS", "SQL_BUFFER_RESULT", "SQL_CACHE", "SQL_NO_CACHE", "HIGH_PRIORITY"];

/// A set operation without its left operand.
struct Step<'t> {
    operator: SetOperator,
    right: &'t Query,
    /// The operator's tokens.
    tokens: TokenRange,
}

impl Analysis<'_> {
    /// Visits the operands of a set operation, and of those that its left operand consists of.
    pub(super) fn set_operation(
        &mut self,
        query: &Query,
        outer: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Vec<Output>, Refusal> {
        let (first, steps) = chain(query);
        let around = self.outermost.replace(usize::MAX);
        let mut outputs = self.query(first, outer, place)?;
        for step in &steps {
            let right = self.query(step.right, outer, place)?;
            outputs = self.together(outputs, &right)?;
        }
        let outermost = self.outermost.get();
        self.outermost.set(around.min(outermost));
        let Some(any) = protected_of(&outputs) else { return Ok(outputs) };
        if steps.iter().all(|step| step.operator == SetOperator::UnionAll) {
            return Ok(outputs);
        }
        if outer.is_some_and(|outer| outermost <= outer.depth()) {
            return Err(self.unsupported(any, construct::SET_OUTWARD));
        }
        self.comparable_rows(first, &steps, &outputs)?;
        Ok(self.compare_rows(first, &steps, any, outputs))
    }

    /// The columns of a set operation. A column is opened by one grant, so all of its rows must come from one protected
    /// column.
    fn together(&self, left: Vec<Output>, right: &[Output]) -> Result<Vec<Output>, Refusal> {
        let Some(any) = protected_of(&left).or_else(|| protected_of(right)) else { return Ok(left) };
        if left.len() != right.len() {
            return Err(self.unsupported(any, construct::UNION));
        }
        for (left, right) in left.iter().zip(right) {
            if left.protected != right.protected {
                let column = left.protected.or(right.protected).unwrap_or(any);
                return Err(self.unsupported(column, construct::UNION));
            }
        }
        Ok(left)
    }

    /// Whether rows can be compared, and the operands stand within a nested query.
    fn comparable_rows(&self, first: &Query, steps: &[Step<'_>], outputs: &[Output]) -> Result<(), Refusal> {
        for column in outputs.iter().filter_map(|output| output.protected) {
            self.may(column, Usage::Used(Verb::Select))?;
            self.taggable(column, construct::SET_INDEX)?;
            if steps.iter().any(|step| step.operator == SetOperator::Counting) {
                return Err(self.unsupported(column, construct::SET_COUNTING));
            }
            let mut operands = std::iter::once(first).chain(steps.iter().map(|step| step.right));
            if operands.any(|operand| self.holds_for_all(operand)) {
                return Err(self.unsupported(column, construct::SET_LOCKING));
            }
        }
        Ok(())
    }

    /// Refuses to lock what is compared: the rows are locked where they are read, and that is deeper inside now.
    pub(super) fn not_locked(&self, query: &Query, outputs: &[Output]) -> Result<(), Refusal> {
        match (query.locking, protected_of(outputs)) {
            (Some(_), Some(column)) if compares(query) => Err(self.unsupported(column, construct::SET_LOCKING)),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Whether an operand says something that does not belong into a nested query.
    fn holds_for_all(&self, operand: &Query) -> bool {
        operand.locking.is_some()
            || match &operand.body {
                QueryBody::Parenthesised(inner) => self.holds_for_all(inner),
                QueryBody::SetOperation { left, right, .. } => self.holds_for_all(left) || self.holds_for_all(right),
                QueryBody::Select(select) => self.options_of(select).any(|at| self.cx.text.is_any(at, OF_WHOLE_RESULT)),
                QueryBody::Table(_) | QueryBody::Values(_) => false,
            }
    }

    /// The tokens between SELECT and its list.
    fn options_of(&self, select: &Select) -> std::ops::Range<usize> {
        let position = |token: TokenIndex| usize::try_from(token).unwrap_or(usize::MAX);
        let list = select.items.first().map(|item| match item {
            SelectItem::Star(token) => *token,
            SelectItem::QualifiedStar(path) => path.tokens.first,
            SelectItem::Expr { expr, .. } => expr.tokens.first,
        });
        position(select.tokens.first)..list.map_or(0, position)
    }

    /// Writes the operators anew, the last one first: what leaves no equal rows makes it needless that operations within
    /// leave none.
    fn compare_rows(
        &mut self,
        first: &Query,
        steps: &[Step<'_>],
        any: ColumnId,
        mut outputs: Vec<Output>,
    ) -> Vec<Output> {
        let columns = outputs.iter().map(|output| SetColumn {
            name: match &output.label {
                Label::Name(name) if !name.is_empty() => Some(name.clone()),
                Label::Name(_) | Label::Text(_) | Label::Lost(_) | Label::Unknown => None,
            },
            protected: output.protected,
        });
        let columns: Vec<SetColumn> = columns.collect();
        let mut is_grouped = false;
        for step in steps.iter().rev() {
            let rows = match step.operator {
                SetOperator::UnionAll => continue,
                SetOperator::Union if is_grouped => SetRows::All,
                SetOperator::Union => SetRows::Different,
                SetOperator::Intersect => SetRows::Common,
                SetOperator::Except | SetOperator::Counting => SetRows::Left,
            };
            is_grouped = true;
            let operands = TokenRange { first: first.tokens.first, last: step.right.tokens.last };
            let part = SetPart { rows, operands, columns: columns.clone() };
            self.splices.push(Splice { tokens: step.tokens, column: any, kind: SpliceKind::Set(part), subject: None });
        }
        for output in &mut outputs {
            output.label = match std::mem::replace(&mut output.label, Label::Unknown) {
                Label::Name(name) if !name.is_empty() => Label::Name(name),
                Label::Text(tokens) => Label::Lost(Some(tokens)),
                Label::Name(_) | Label::Unknown => Label::Lost(None),
                Label::Lost(tokens) => Label::Lost(tokens),
            };
        }
        outputs
    }

    /// Names of the statement's result that it has lost on its way.
    pub(super) fn restored(&mut self, outputs: &[Output]) -> Result<(), Refusal> {
        let Some(column) = protected_of(outputs) else { return Ok(()) };
        for (output, found) in outputs.iter().enumerate() {
            match &found.label {
                Label::Name(_) | Label::Text(_) | Label::Unknown => {}
                Label::Lost(Some(tokens)) => self.names.push(ResultName { output, tokens: *tokens, column }),
                Label::Lost(None) => return Err(self.unsupported(column, construct::UNNAMED)),
            }
        }
        Ok(())
    }

    /// Refuses to compare rows of a common table expression that names itself: the server reads it in one form alone.
    pub(super) fn not_recursive(&self, query: &Query, outputs: &[Output]) -> Result<(), Refusal> {
        match protected_of(outputs) {
            Some(column) if compares(query) => Err(self.unsupported(column, construct::SET_RECURSIVE)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a query compares rows, parentheses aside.
fn compares(query: &Query) -> bool {
    match &query.body {
        QueryBody::Parenthesised(inner) => compares(inner),
        QueryBody::SetOperation { .. } => {
            let (first, steps) = chain(query);
            compares(first) || steps.iter().any(|step| step.operator != SetOperator::UnionAll || compares(step.right))
        }
        QueryBody::Select(_) | QueryBody::Table(_) | QueryBody::Values(_) => false,
    }
}

/// The first operand of set operations that stand one behind the other, and the others.
fn chain(query: &Query) -> (&Query, Vec<Step<'_>>) {
    let (mut first, mut steps) = (query, Vec::new());
    while let QueryBody::SetOperation { operator, left, right } = &first.body {
        let tokens =
            TokenRange { first: left.tokens.last.saturating_add(1), last: right.tokens.first.saturating_sub(1) };
        steps.push(Step { operator: *operator, right, tokens });
        first = left;
    }
    steps.reverse();
    (first, steps)
}
