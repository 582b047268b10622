//! Indexes that a role without the values would make over protected columns. The server makes a UNIQUE one only if no two
//! rows are alike, and one over an expression only if that has a value for each row: both are questions about the values.

use super::Refusal;
use super::made::made_columns;
use super::protected_names::fold;
use super::refusal::Verb;
use super::text::Text;
use crate::policy::{Access, Account, ColumnId, Policy, RoleId};
use crate::schema::Catalog;
use crate::sql::{DdlObject, DdlVerb, StatementClass};

/// What a decision about the definition of an index needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexDefinition<'a> {
    pub(super) text: Text<'a>,
    pub(super) policy: &'a Policy,
    pub(super) catalog: &'a Catalog,
    pub(super) role: RoleId,
    pub(super) account: &'a Account,
}

impl IndexDefinition<'_> {
    /// Refuses CREATE INDEX and ALTER TABLE that name a table and a column of it that the role does not see, or one that the
    /// server makes from such a column.
    pub(super) fn refusal(&self, class: StatementClass) -> Option<Refusal> {
        let StatementClass::Ddl { verb: DdlVerb::Create | DdlVerb::Alter, object: DdlObject::Index | DdlObject::Table } =
            class
        else {
            return None;
        };
        if class == (StatementClass::Ddl { verb: DdlVerb::Create, object: DdlObject::Table }) {
            return None;
        }
        let protected = (0_u32..).map(ColumnId).zip(self.policy.columns());
        let mut hidden = protected.filter(|(id, _)| self.policy.access(self.role, *id).0 != Access::Plain);
        hidden.find_map(|(id, protected)| {
            let column = &protected.column;
            let is_named = self.names(&column.table) && (self.names(&column.column) || self.names_made(id));
            let account = self.account.clone();
            is_named.then(|| Refusal::Denied { verb: Verb::Index, column: column.clone(), account })
        })
    }

    fn names(&self, wanted: &str) -> bool {
        self.text.names().any(|(_, name)| *fold(&name) == *fold(wanted))
    }

    fn names_made(&self, from: ColumnId) -> bool {
        let column = self.policy.column(from).map(|protected| &protected.column);
        let table = column.and_then(|column| self.catalog.table(&column.database, &column.table));
        let made = table.map(|table| made_columns(table, self.policy, self.catalog)).unwrap_or_default();
        made.iter().any(|made| made.from == from && self.names(&made.name))
    }
}
