//! Tables that the catalog does not know, in statements that name nothing protected. One of them may be a view over
//! protected data that was made on the server itself since the catalog was read: its columns have the view's own names,
//! so nothing in the result tells.
//!
//! Common table expressions are known where they are in sight. Tables of the server's own databases are nobody's views.

use super::scope::TableNames;
use super::text::Text;
use crate::schema::Catalog;
use crate::sql::tree::{Path, Query, QueryBody, Statement, TableReference, TokenIndex, With};
use crate::sql::walk::{self, Visitor};

/// The server's own databases, which the catalog leaves out.
const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// What is done about tables that the catalog does not know, for a role that does not see all values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The statement is refused for them, so that the catalog is read again first.
    First,
    /// It was read for this statement: what it does not know is no view over protected data.
    Again,
}

/// The first table of a statement that the catalog does not know, as written.
pub(super) fn unknown_table(
    text: &Text<'_>,
    statement: &Statement,
    catalog: &Catalog,
    default_database: Option<&str>,
) -> Option<String> {
    let mut found = Found { text: *text, paths: Vec::new(), commons: Vec::new() };
    walk::statement(&mut found, statement);
    let mut written = statement;
    while let Statement::Explain(inner) = written {
        written = inner;
    }
    match written {
        Statement::Insert(insert) => found.paths.push(&insert.table),
        Statement::Update(update) => found.with(update.with.as_ref(), TokenIndex::MAX),
        Statement::Delete(delete) => found.with(delete.with.as_ref(), TokenIndex::MAX),
        Statement::Query(_) | Statement::Explain(_) => {}
    }
    let rule = TableNames::of(catalog.lower_case_table_names);
    let is_unknown = |path: &&&Path| {
        let (database, table) = match path.parts.as_slice() {
            [_] if found.is_common(path, rule) => return false,
            [table] => match default_database {
                Some(database) => (database.into(), text.name(*table)),
                // The server refuses it.
                None => return false,
            },
            [database, table] => (text.name(*database), text.name(*table)),
            _ => return true,
        };
        let is_system = SYSTEM.iter().any(|system| database.eq_ignore_ascii_case(system));
        !is_system && !table.eq_ignore_ascii_case("DUAL") && catalog.table(&database, &table).is_none()
    };
    found.paths.iter().find(is_unknown).map(|path| text.path(path))
}

/// A common table expression, and the tokens where its name means it.
struct Common<'a> {
    name: std::borrow::Cow<'a, str>,
    first: TokenIndex,
    last: TokenIndex,
}

struct Found<'t, 'a> {
    text: Text<'a>,
    paths: Vec<&'t Path>,
    commons: Vec<Common<'a>>,
}

impl Found<'_, '_> {
    /// Each expression is in sight behind itself, and in itself if it is recursive, up to the end of the query.
    fn with(&mut self, with: Option<&With>, last: TokenIndex) {
        let Some(with) = with else { return };
        let before = with.tables.first().and_then(|table| usize::try_from(table.name).ok()?.checked_sub(1));
        let is_recursive = before.is_some_and(|at| self.text.is(at, "RECURSIVE"));
        for table in &with.tables {
            let first = if is_recursive { table.query.tokens.first } else { table.query.tokens.last };
            self.commons.push(Common { name: self.text.name(table.name), first, last });
        }
    }

    fn is_common(&self, path: &Path, rule: TableNames) -> bool {
        let at = path.tokens.first;
        let name = self.text.path(path);
        self.commons.iter().any(|common| {
            (common.first..=common.last).contains(&at) && at != common.first && rule.equal(&common.name, &name)
        })
    }
}

impl<'t> Visitor<'t> for Found<'t, '_> {
    fn query(&mut self, query: &'t Query) {
        self.with(query.with.as_ref(), query.tokens.last);
        if let QueryBody::Table(path) = &query.body {
            self.paths.push(path);
        }
    }

    fn table(&mut self, table: &'t TableReference) {
        if let TableReference::Named { path, .. } = table {
            self.paths.push(path);
        }
    }
}
