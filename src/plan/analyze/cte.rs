//! Common table expressions: which names they bring into sight, and what their columns carry.

use super::construct;
use super::query::Place;
use super::{Analysis, Cte, Refusal, Scope, SourceColumn};
use crate::plan::scope::{Label, Made, Output};
use crate::sql::tree::{CommonTable, Query, QueryBody, TokenIndex, With};

impl Analysis<'_> {
    /// Brings common table expressions into sight, each seeing the ones before it, and itself if it is recursive.
    pub(super) fn with(&mut self, with: Option<&With>, outer: Option<&Scope<'_>>) -> Result<(), Refusal> {
        let Some(with) = with else { return Ok(()) };
        self.kept_names(with.tables.iter().flat_map(|table| table.columns.iter().copied()))?;
        if with.tables.first().is_some_and(|table| self.follows_recursive(table.name)) {
            return self.with_recursive(with, outer);
        }
        for table in &with.tables {
            let outputs = self.query(&table.query, outer, Place::Carried)?;
            let columns = Some(self.renamed(outputs, &table.columns)?);
            self.ctes.push(Cte { name: self.cx.text.name(table.name).into(), columns });
        }
        Ok(())
    }

    fn follows_recursive(&self, name: TokenIndex) -> bool {
        name.checked_sub(1)
            .and_then(|before| self.cx.text.token(before))
            .is_some_and(|token| self.cx.text.bytes(token).eq_ignore_ascii_case(b"RECURSIVE"))
    }

    /// With RECURSIVE, MariaDB lets an expression name a later one, so all names are in sight from the beginning; one
    /// that is met before its query has been read is refused.
    fn with_recursive(&mut self, with: &With, outer: Option<&Scope<'_>>) -> Result<(), Refusal> {
        let first = self.ctes.len();
        for table in &with.tables {
            self.ctes.push(Cte { name: self.cx.text.name(table.name).into(), columns: None });
        }
        for (at, table) in (first..).zip(&with.tables) {
            let columns = self.recursive(table, at, outer)?;
            self.carries(at, columns);
        }
        Ok(())
    }

    /// What a recursive expression carries: what its first SELECT does, which cannot name it. Its query is read with
    /// that, and must come to the same.
    fn recursive(
        &mut self,
        table: &CommonTable,
        at: usize,
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<SourceColumn>, Refusal> {
        if let QueryBody::SetOperation { .. } = &table.query.body {
            let (splices, searches) = (self.splices.len(), self.searches.len());
            let supposed = self.query(leftmost(&table.query), outer, Place::Carried)?;
            self.splices.truncate(splices);
            self.searches.truncate(searches);
            let columns = self.renamed(supposed.clone(), &table.columns)?;
            self.carries(at, columns);
            let found = self.query(&table.query, outer, Place::Carried)?;
            self.not_recursive(&table.query, &found)?;
            if !supposed.iter().map(|output| output.protected).eq(found.iter().map(|output| output.protected)) {
                return Err(self.unsupported_data(construct::RECURSIVE));
            }
            return self.renamed(found, &table.columns);
        }
        let outputs = self.query(&table.query, outer, Place::Carried)?;
        self.renamed(outputs, &table.columns)
    }

    fn carries(&mut self, at: usize, columns: Vec<SourceColumn>) {
        if let Some(cte) = self.ctes.get_mut(at) {
            cte.columns = Some(columns);
        }
    }

    /// Columns of a derived table or common table expression: the given names, else those of its query.
    pub(super) fn renamed(&self, outputs: Vec<Output>, columns: &[TokenIndex]) -> Result<Vec<SourceColumn>, Refusal> {
        let mut given = columns.iter();
        let renamed = outputs.into_iter().map(|output| {
            let given = given.next();
            let label = match (given, output.label) {
                (Some(column), _) => Some(self.cx.text.name(*column).into()),
                (None, Label::Name(name)) => Some(name),
                (None, Label::Text(_) | Label::Unknown) => None,
                (None, Label::Lost(_)) => return Err(self.unsupported_data(construct::UNNAMED)),
            };
            Ok(SourceColumn {
                name: given.map(|column| self.folded(*column)).or(output.name),
                protected: output.protected,
                visibility: super::Visibility::Visible,
                spelled: None,
                label,
                made: Made::Nowise,
            })
        });
        renamed.collect()
    }
}

/// The first operand of a set operation.
fn leftmost(query: &Query) -> &Query {
    let mut query = query;
    loop {
        query = match &query.body {
            QueryBody::SetOperation { left, .. } => left,
            QueryBody::Parenthesised(inner) => inner,
            QueryBody::Select(_) | QueryBody::Table(_) | QueryBody::Values(_) => return query,
        };
    }
}
