//! Names of databases, tables and columns, the catalog of the connected server, character sets, and the order
//! of collations.
//!
//! Knows nothing of SQL text, keys or sockets. The catalog is filled by [`crate::control`].

mod catalog;
mod collation;
mod names;
mod sort_order;
mod subject;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, Column, GeneratedColumn, Routine, ServerKind, ServerVersion, Table, TableKind, UniqueKey};
pub use collation::Charset;
pub use names::{ColumnRef, TableRef};
pub use sort_order::SortOrder;
pub use subject::{Blanks, SubjectForm, SubjectPlace, UnclearSubject, UnfitSubject};
