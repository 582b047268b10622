//! INSERT … SELECT: a query whose columns go into columns of a table.
//!
//! A protected column takes constants, which are sealed where they stand, and its own values, whose envelopes fit all of its
//! rows and are copied by the server as they are. What comes out of one protected column goes into no other.

use super::carry::{Carried, Constant, Others};
use super::construct;
use super::expression::bare;
use super::output::protected_of;
use super::predicate::value;
use super::query::Place;
use super::subject::Owner;
use super::{Analysis, Refusal, Scope};
use crate::plan::{Splice, SpliceKind, Value};
use crate::policy::ColumnId;
use crate::sql::tree::{Expr, Query, QueryBody, SelectItem};

/// A column that an INSERT gives a value.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: Box<str>,
    pub(super) protected: Option<ColumnId>,
}

impl Analysis<'_> {
    /// Plans the query of an INSERT.
    pub(super) fn fill(&mut self, query: &Query, targets: &[Target]) -> Result<(), Refusal> {
        self.one_type_each(query, targets)?;
        self.filled = targets.to_vec();
        let outputs = self.query(query, None, Place::Filling)?;
        self.filled.clear();
        let protected = targets.iter().find_map(|target| target.protected);
        if outputs.len() != targets.len()
            && let Some(column) = protected.or_else(|| protected_of(&outputs))
        {
            return Err(self.unsupported(column, construct::ROW_LENGTH));
        }
        for (output, target) in outputs.iter().zip(targets) {
            if output.protected != target.protected
                && let Some(column) = target.protected.or(output.protected)
            {
                let into =
                    if target.protected.is_some() { construct::INSERT_QUERY } else { construct::INSERT_ELSEWHERE };
                return Err(self.unsupported(column, into));
            }
        }
        Ok(())
    }

    /// Refuses set operations where a value that is stored must be the one that is written: the server finds one type for
    /// all operands first.
    fn one_type_each(&self, query: &Query, targets: &[Target]) -> Result<(), Refusal> {
        let mut body = &query.body;
        while let QueryBody::Parenthesised(inner) = body {
            body = &inner.body;
        }
        let QueryBody::SetOperation { .. } = body else { return Ok(()) };
        let stated = targets.iter().find_map(|target| Some((target.protected?, self.stated(target.protected?)?)));
        stated.map_or(Ok(()), |(column, (_, refused))| Err(self.unsupported(column, refused.unknown)))
    }

    /// The protected column that is filled by that column of the query.
    pub(super) fn target(&self, place: Place, at: usize) -> Option<ColumnId> {
        match place {
            Place::Filling => self.filled.get(at)?.protected,
            Place::Top | Place::Enclosed | Place::Carried | Place::Tagged(_) | Place::Nested(_) | Place::Exists => None,
        }
    }

    /// Notes that a column's cells go into its own rows.
    pub(super) fn copied(&mut self, carried: Option<ColumnId>, target: Option<ColumnId>) -> Result<(), Refusal> {
        let Some(column) = carried.filter(|carried| Some(*carried) == target) else { return Ok(()) };
        if self.stated(column).is_some() {
            return Err(self.unsupported(column, construct::COPY));
        }
        if !self.copies.contains(&column) {
            self.copies.push(column);
        }
        Ok(())
    }

    /// Plans an expression of the select list that goes into a protected column; tells whose envelopes come out of it.
    pub(super) fn filling(
        &mut self,
        expr: &Expr,
        column: ColumnId,
        items: &[SelectItem],
        scope: &Scope<'_>,
    ) -> Result<Option<ColumnId>, Refusal> {
        let carried = match value(expr) {
            Some(Value::Null) => return Ok(Some(column)),
            Some(value @ (Value::Literal(_) | Value::Param(_) | Value::Pattern(_))) => {
                Carried { constants: vec![Constant { value, tokens: bare(expr).tokens }], ..Carried::default() }
            }
            None => self.carried(expr, scope)?,
        };
        match (carried.column, carried.others) {
            (None, Others::None) => {}
            (Some(own), Others::None) if own == column => self.copied(Some(column), Some(column))?,
            (Some(_), Others::None) => return Err(self.unsupported(column, construct::COPY)),
            (_, Others::Some) => return Err(self.unsupported(column, construct::INSERT_QUERY)),
        }
        let owner = self.owner(items);
        for Constant { value, tokens } in &carried.constants {
            let subject = self.subject_of(column, *value, &owner, scope)?;
            self.splices.push(Splice { tokens: *tokens, column, kind: SpliceKind::Seal(*value), subject });
        }
        Ok(Some(column))
    }

    /// Whose the rows are that a select list makes. Behind a star it is not known which column an expression fills.
    fn owner<'e>(&self, items: &'e [SelectItem]) -> Owner<'e> {
        let exprs = items.iter().map_while(|item| match item {
            SelectItem::Expr { expr, .. } => Some(expr),
            SelectItem::Star(_) | SelectItem::QualifiedStar(_) => None,
        });
        Owner::of_row(exprs, self.filled.iter().map(|target| &*target.name))
    }
}
