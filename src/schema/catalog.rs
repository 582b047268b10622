//! An immutable snapshot of what the server holds: tables, views, routines, version, reserved words.
//!
//! Name comparison follows the server: columns, views' and routines' names fold case, databases and tables fold case
//! unless `lower_case_table_names` is 0. Loading it is [`crate::control`]'s work.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::TableRef;

/// Which product answers on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// MySQL or a close fork (Percona Server).
    MySql,
    /// MariaDB.
    MariaDb,
}

/// Kind and version of the server, as its greeting told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerVersion {
    /// The product.
    pub kind: ServerKind,
    /// The version as versioned comments spell it: 9.7.4 is 90704, 10.11.6 is 101106.
    pub number: u32,
}

/// Whether a table's rows are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// A base table.
    Base,
    /// A view.
    View,
}

/// One column of a table, as `information_schema.COLUMNS` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name as declared.
    pub name: Arc<str>,
    /// `DATA_TYPE` in lower case: `varbinary`, `varchar`, `int`.
    pub data_type: Arc<str>,
    /// `COLUMN_TYPE`: the type with its length and attributes.
    pub column_type: Arc<str>,
    /// `CHARACTER_OCTET_LENGTH`: the most bytes a string column takes.
    pub octets_max: Option<u64>,
    /// The column's character set name, for character types.
    pub charset: Option<Arc<str>>,
    /// Its collation, for character types.
    pub collation: Option<Arc<str>>,
    /// Whether the column takes NULL.
    pub nullable: bool,
    /// `EXTRA` in lower case: `auto_increment`, `virtual generated`, `invisible`.
    pub extra: Arc<str>,
}

impl Column {
    /// An invisible column takes no part in `*` nor in an INSERT without a column list.
    pub fn is_invisible(&self) -> bool {
        self.extra.contains("invisible")
    }

    /// Whether the server keeps values byte for byte and compares them so. Text is converted between character sets and
    /// compared by a collation.
    pub fn keeps_bytes(&self) -> bool {
        ["varbinary", "binary", "tinyblob", "blob", "mediumblob", "longblob"].contains(&&*self.data_type)
    }
}

/// A table or view with its columns in ordinal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its full name as declared.
    pub name: TableRef,
    /// Base table or view.
    pub kind: TableKind,
    /// Columns in ordinal order, invisible ones included.
    pub columns: Vec<Column>,
    /// The view's text for a view; empty for a base table. `None` when the control account may not read it.
    pub definition: Option<Arc<str>>,
}

impl Table {
    /// Finds a column by name, case-insensitively as MySQL does.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name) || fold(&column.name) == fold(name))
    }
}

/// A UNIQUE or primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// The table.
    pub table: TableRef,
    /// Its columns, whole or by a prefix.
    pub columns: Vec<Arc<str>>,
}

/// A column that the server makes from others of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedColumn {
    /// The table.
    pub table: TableRef,
    /// The column.
    pub column: Arc<str>,
    /// The server's text of its expression. `None` when the control account may not read it.
    pub expression: Option<Arc<str>>,
}

/// A stored procedure, function, trigger or event: text that runs inside the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routine {
    /// The database it lives in.
    pub database: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its body. `None` when the control account may not read it; callers then assume the worst.
    pub definition: Option<Arc<str>>,
}

/// The snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Grows by one with every load; part of the plan cache's key.
    pub version: u64,
    /// The server's kind and version.
    pub server: ServerVersion,
    /// `@@lower_case_table_names`.
    pub lower_case_table_names: u8,
    /// Words that cannot be a bare name (`information_schema.KEYWORDS` where RESERVED = 1), in upper case.
    pub reserved_words: HashSet<Box<str>>,
    tables: HashMap<(Box<str>, Box<str>), Table>,
    routines: HashMap<(Box<str>, Box<str>), Vec<Routine>>,
    unique_keys: HashMap<(Box<str>, Box<str>), Vec<UniqueKey>>,
    generated: HashMap<(Box<str>, Box<str>), Vec<GeneratedColumn>>,
}

impl Catalog {
    /// Builds a snapshot from loaded rows.
    pub fn new(
        version: u64,
        server: ServerVersion,
        lower_case_table_names: u8,
        reserved_words: HashSet<Box<str>>,
        tables: Vec<Table>,
        routines: Vec<Routine>,
    ) -> Self {
        let mut catalog = Self {
            version,
            server,
            lower_case_table_names,
            reserved_words,
            tables: HashMap::with_capacity(tables.len()),
            routines: HashMap::new(),
            unique_keys: HashMap::new(),
            generated: HashMap::new(),
        };
        for table in tables {
            let key = catalog.table_key(&table.name.database, &table.name.table);
            catalog.tables.insert(key, table);
        }
        for routine in routines {
            let key = (fold(&routine.database), fold(&routine.name));
            catalog.routines.entry(key).or_default().push(routine);
        }
        catalog
    }

    /// The same with the UNIQUE keys of its tables.
    #[must_use]
    pub fn with_unique_keys(mut self, keys: impl IntoIterator<Item = UniqueKey>) -> Self {
        for key in keys {
            let table = self.table_key(&key.table.database, &key.table.table);
            self.unique_keys.entry(table).or_default().push(key);
        }
        self
    }

    /// The same with the generated columns of its tables.
    #[must_use]
    pub fn with_generated_columns(mut self, columns: impl IntoIterator<Item = GeneratedColumn>) -> Self {
        for column in columns {
            let table = self.table_key(&column.table.database, &column.table.table);
            self.generated.entry(table).or_default().push(column);
        }
        self
    }

    /// The generated columns of a table.
    pub fn generated_columns(&self, database: &str, table: &str) -> &[GeneratedColumn] {
        self.generated.get(&self.table_key(database, table)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a column is part of a UNIQUE key of its table.
    pub fn is_in_unique_key(&self, database: &str, table: &str, column: &str) -> bool {
        let keys = self.unique_keys.get(&self.table_key(database, table)).map(Vec::as_slice).unwrap_or_default();
        keys.iter().flat_map(|key| &key.columns).any(|part| fold(part) == fold(column))
    }

    /// Finds a table or view. `None` means that the snapshot does not know it, not that it does not exist.
    pub fn table(&self, database: &str, table: &str) -> Option<&Table> {
        self.tables.get(&self.table_key(database, table))
    }

    /// Whether the snapshot has a table of the database.
    pub fn has_tables_of(&self, database: &str) -> bool {
        let (database, _) = self.table_key(database, "");
        self.tables.keys().any(|(of, _)| *of == database)
    }

    /// All tables and views, in no order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values()
    }

    /// Procedures and functions of that name (a procedure and a function may share one).
    pub fn routines_named(&self, database: &str, name: &str) -> &[Routine] {
        self.routines.get(&(fold(database), fold(name))).map_or(&[], Vec::as_slice)
    }

    /// All routines, in no order.
    pub fn routines(&self) -> impl Iterator<Item = &Routine> {
        self.routines.values().flatten()
    }

    fn table_key(&self, database: &str, table: &str) -> (Box<str>, Box<str>) {
        if self.lower_case_table_names == 0 { (database.into(), table.into()) } else { (fold(database), fold(table)) }
    }
}

/// Case folding of identifiers: simple lower-casing, as the server's `utf8_general_ci` names need.
fn fold(name: &str) -> Box<str> {
    name.to_lowercase().into_boxed_str()
}
