//! The names that the schema knows: databases, tables, columns and routines.

use std::collections::HashSet;

use crate::schema::Catalog;

/// All names of a catalog, folded.
#[derive(Debug)]
pub(super) struct Names {
    version: u64,
    names: HashSet<Box<str>>,
}

impl Names {
    /// Collects them. Made once for each version of the catalog.
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut names = HashSet::new();
        for table in catalog.tables() {
            names.insert(fold(&table.name.database));
            names.insert(fold(&table.name.table));
            names.extend(table.columns.iter().map(|column| fold(&column.name)));
        }
        for routine in catalog.routines() {
            names.insert(fold(&routine.database));
            names.insert(fold(&routine.name));
        }
        Self { version: catalog.version, names }
    }

    /// Whether they are those of that catalog.
    pub(super) fn are_of(&self, catalog: &Catalog) -> bool {
        self.version == catalog.version
    }

    /// Whether something is called so.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains(&fold(name))
    }
}

fn fold(name: &str) -> Box<str> {
    name.to_lowercase().into_boxed_str()
}
