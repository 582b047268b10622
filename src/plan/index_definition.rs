//! Indexes that a role without the values would make over protected columns, or make narrower. The server makes a UNIQUE one
//! only if no two rows are alike, and one over an expression only if that has a value for each row: both are questions about
//! the values. A column that is dropped leaves the indexes that it is in, and what is left of a UNIQUE one asks the same.

use super::made::made_columns;
use super::protected_names::fold;
use super::refusal::{Subject, Verb};
use super::text::Text;
use super::{Refusal, alter};
use crate::policy::{Access, Account, ColumnId, Policy, ProtectedColumn, RoleId};
use crate::schema::Catalog;
use crate::sql::{DdlObject, DdlVerb, StatementClass, TokenKind};

/// What a decision about the definition of an index needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexDefinition<'a> {
    pub(super) text: Text<'a>,
    pub(super) policy: &'a Policy,
    pub(super) catalog: &'a Catalog,
    pub(super) role: RoleId,
    pub(super) account: &'a Account,
    pub(super) default_database: Option<&'a str>,
}

impl IndexDefinition<'_> {
    /// Refuses CREATE INDEX, and ALTER TABLE that adds an index, over a column that the role does not see or one that the
    /// server makes from such a column; and ALTER TABLE that drops a column beside one.
    pub(super) fn refusal(&self, class: StatementClass) -> Option<Refusal> {
        let text = &self.text;
        if class == (StatementClass::Ddl { verb: DdlVerb::Create, object: DdlObject::Index }) {
            let first = (1..text.tokens.len()).find(|at| text.is(*at, "ON"))? + 1;
            let last = if text.is_kind(first + 1, TokenKind::Dot) { first + 2 } else { first };
            return self.hidden(last).find_map(|(id, column)| self.denied(id, column, (last + 1, text.tokens.len())));
        }
        if class != (StatementClass::Ddl { verb: DdlVerb::Alter, object: DdlObject::Table }) {
            return None;
        }
        let last = alter::target(text)?;
        alter::clauses(text, last + 1).into_iter().find_map(|clause| match () {
            () if alter::adds_index(text, clause.0) => {
                self.hidden(last).find_map(|(id, column)| self.denied(id, column, clause))
            }
            () if alter::drops_column(text, clause.0) => {
                self.hidden(last).next().map(|(_, hidden)| Refusal::Unsupported {
                    subject: Subject::Column(hidden.column.clone()),
                    construct: "ALTER TABLE that drops a column beside one whose values the role does not see",
                    remedy: "have it run by somebody who sees them",
                })
            }
            () => None,
        })
    }

    /// The columns that the role does not see of the table whose name ends there.
    fn hidden(&self, last: usize) -> impl Iterator<Item = (ColumnId, &ProtectedColumn)> {
        let table = self.text.name_at(last).map(|name| fold(&name));
        let is_qualified = last.checked_sub(1).is_some_and(|dot| self.text.is_kind(dot, TokenKind::Dot));
        let qualifier = last.checked_sub(2).filter(|_| is_qualified).and_then(|at| self.text.name_at(at));
        let database = qualifier.as_deref().or(self.default_database).map(fold);
        let protected = (0_u32..).map(ColumnId).zip(self.policy.columns());
        protected.filter(move |(id, protected)| {
            let column = &protected.column;
            self.policy.access(self.role, *id).0 != Access::Plain
                && table.as_deref() == Some(&*fold(&column.table))
                && database.as_deref().is_none_or(|name| *name == *fold(&column.database))
        })
    }

    fn denied(&self, id: ColumnId, protected: &ProtectedColumn, (first, end): (usize, usize)) -> Option<Refusal> {
        let names = |wanted: &str| {
            let wanted = fold(wanted);
            (first..end).filter_map(|at| self.text.name_at(at)).any(|name| *fold(&name) == *wanted)
        };
        let column = &protected.column;
        let table = self.catalog.table(&column.database, &column.table);
        let made = table.map(|table| made_columns(table, self.policy, self.catalog)).unwrap_or_default();
        let is_named = names(&column.column) || made.iter().any(|made| made.from == id && names(&made.name));
        let account = self.account.clone();
        is_named.then(|| Refusal::Denied { verb: Verb::Index, column: column.clone(), account })
    }
}
