//! Views that were replaced on the server itself since the catalog was read.
//!
//! A column that is announced as another one than the catalog knows has the catalog read again, and its result is refused:
//! the plan was made for another view. What still differs then is something else, such as a temporary table of that name,
//! and passes as long as the catalog says the same.

use std::collections::BTreeMap;

use super::decision::Desk;
use crate::plan::Lookup;
use crate::rewrite;
use crate::schema::{Catalog, TableRef};
use crate::wire::column::ColumnDefinition;

/// The views that a connection found to be announced as others.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<TableRef, Doubt>);

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// A result was refused, and the catalog has to be read again.
    Raised,
    /// Of the catalog of that version it is known that the view differs without having been replaced.
    Settled(u64),
}

impl Doubts {
    /// Whether a view that differs refuses its result, under that version of a catalog that was, or was not, just read.
    fn refuse(&mut self, view: &TableRef, version: u64, lookup: Lookup) -> bool {
        match (self.0.get(view), lookup) {
            (Some(Doubt::Settled(settled)), _) if *settled == version => return false,
            (Some(Doubt::Raised), Lookup::Again) => {
                self.0.insert(view.clone(), Doubt::Settled(version));
                return false;
            }
            (Some(Doubt::Settled(_) | Doubt::Raised) | None, Lookup::First | Lookup::Again) => {}
        }
        self.0.insert(view.clone(), Doubt::Raised);
        true
    }
}

impl Desk {
    /// Whether a column definition is of another view than the catalog knows by that name. The catalog is read again before
    /// the next command then.
    pub(super) fn finds_another_view(&mut self, definition: &ColumnDefinition<'_>, catalog: &Catalog) -> bool {
        let (database, results) = (self.state.database.as_deref(), self.state.results.charset());
        let Some(view) = rewrite::another_view(definition, catalog, database, results) else { return false };
        let lookup = if self.has_looked_up() { Lookup::Again } else { Lookup::First };
        let is_refused = self.doubts.refuse(view, catalog.version, lookup);
        if is_refused {
            self.want_catalog();
            tracing::info!(
                connection = self.connection.id,
                "a view is not the one that the catalog knows: it is read again"
            );
        }
        is_refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_after_the_catalog_was_read_is_refused_once() {
        let (mut doubts, view) = (Doubts::default(), TableRef { database: "shop".into(), table: "named".into() });
        // That the catalog was read for something else settles nothing.
        assert!(doubts.refuse(&view, 1, Lookup::Again));
        assert!(!doubts.refuse(&view, 1, Lookup::Again));
        // It is known from then on, however long ago the catalog was read.
        assert!(!doubts.refuse(&view, 1, Lookup::First));
        // Another catalog may know another view, and another name another one.
        assert!(doubts.refuse(&view, 2, Lookup::First));
        assert!(doubts.refuse(&view, 2, Lookup::First), "it has not been read");
        assert!(!doubts.refuse(&view, 3, Lookup::Again));
        assert!(doubts.refuse(&TableRef { table: "other".into(), ..view }, 3, Lookup::First));
    }
}
