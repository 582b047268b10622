//! Names that the schema knows: those that may be kept and shown. Any other name in a statement may be a value in the
//! wrong place, such as one in double quotes under ANSI_QUOTES.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::schema::Catalog;

/// What stands for a name that the schema does not know.
pub const UNKNOWN: &str = "<id>";

/// The servers' own databases, which the catalog leaves out.
const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// Names of databases, tables, columns and routines, in lower case.
#[derive(Debug)]
pub struct CatalogNames {
    version: u64,
    names: HashSet<Box<str>>,
}

impl CatalogNames {
    /// Collects the names of a catalog.
    pub fn collect(catalog: &Catalog) -> Self {
        let mut names: HashSet<Box<str>> = SYSTEM.into_iter().map(Box::from).collect();
        for table in catalog.tables() {
            names.insert(table.name.database.to_lowercase().into());
            names.insert(table.name.table.to_lowercase().into());
            names.extend(table.columns.iter().map(|column| column.name.to_lowercase().into()));
        }
        names.extend(catalog.routines().map(|routine| routine.name.to_lowercase().into()));
        Self { version: catalog.version, names }
    }

    fn is_of(&self, catalog: &Catalog) -> bool {
        self.version == catalog.version
    }

    /// Whether the schema knows the name.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains(name.to_lowercase().as_str())
    }

    /// The name, or `<id>`.
    pub fn shown<'n>(&self, name: Cow<'n, str>) -> Cow<'n, str> {
        if self.knows(&name) { name } else { Cow::Borrowed(UNKNOWN) }
    }
}

/// The names of the catalog that was asked about last: collected once for each version.
#[derive(Debug, Default)]
pub struct LatestNames(ArcSwapOption<CatalogNames>);

impl LatestNames {
    /// The names of a catalog.
    pub fn of(&self, catalog: &Catalog) -> Arc<CatalogNames> {
        match self.0.load_full().filter(|names| names.is_of(catalog)) {
            Some(names) => names,
            None => {
                let names = Arc::new(CatalogNames::collect(catalog));
                self.0.store(Some(names.clone()));
                names
            }
        }
    }
}

/// Whether a database is the server's own.
pub(in crate::firewall) fn is_system(database: &str) -> bool {
    SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(database))
}
