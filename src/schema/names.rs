//! Fully qualified names as the server stores them (`org_table`, `org_name`), never aliases.

use std::fmt;
use std::sync::Arc;

/// A base table or view: database and table name, both as the catalog spells them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableRef {
    /// Name of the database (schema).
    pub database: Arc<str>,
    /// Name of the table.
    pub table: Arc<str>,
}

impl TableRef {
    /// Builds a name from its parts.
    pub fn new(database: impl Into<Arc<str>>, table: impl Into<Arc<str>>) -> Self {
        Self { database: database.into(), table: table.into() }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// A column of a base table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnRef {
    /// Name of the database (schema).
    pub database: Arc<str>,
    /// Name of the table.
    pub table: Arc<str>,
    /// Name of the column.
    pub column: Arc<str>,
}

impl ColumnRef {
    /// Builds a name from its parts.
    pub fn new(database: impl Into<Arc<str>>, table: impl Into<Arc<str>>, column: impl Into<Arc<str>>) -> Self {
        Self { database: database.into(), table: table.into(), column: column.into() }
    }

    /// The table that holds the column.
    pub fn table_ref(&self) -> TableRef {
        TableRef { database: self.database.clone(), table: self.table.clone() }
    }
}

impl fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.database, self.table, self.column)
    }
}
