//! Carrying a plan out on bytes: statements, parameters, column definitions, rows.
//!
//! No sockets, no tasks, no decisions: what happens to a value stands in the plan, which policy has agreed to. Bytes
//! come from clients and servers: nothing here panics on any input, and on an error nothing is left in the output.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod charset;
mod error;
mod fit;
mod form;
mod long_data;
mod mask;
mod metadata;
mod name;
mod params;
mod row;
mod search;
mod sort;
mod statement;
mod subject;
mod unify;
mod value;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use crate::keys::KeyRing;
use crate::policy::Policy;
use crate::schema::{Catalog, Charset};
use crate::sql::Dialect;

pub use error::{RewriteError, WantedSubject};
pub use form::ResultColumn;
pub use long_data::{LongData, LongDataRoute};
pub use metadata::{another_view, column_definition, names_protected};
pub use name::{ColumnName, column_names};
pub use params::{ParamMap, ParamTypes, execute, execute_copied, sort_bounds};
pub use row::RowPlan;
pub use sort::{RowCells, Sorter, Window};
pub use statement::{Rewritten, statement};
pub use unify::{Unification, Unifications, conversion, lookup, not_allowed, too_many_rows};

/// Most bytes of a statement or parameter packet that a rewrite makes: the largest `max_allowed_packet` there is.
const PAYLOAD_OCTETS_MAX: usize = 1 << 30;

/// What a rewrite depends on beside the plan. All of it belongs to the snapshot that the plan was made with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What is protected.
    pub policy: &'a Policy,
    /// The keys.
    pub ring: &'a KeyRing,
    /// How columns are stored that are not sealed yet, or not any more.
    pub catalog: &'a Catalog,
    /// How the server reads statements, and the character set of the client's strings.
    pub dialect: Dialect,
    /// `character_set_results`; `None` if it is NULL and nothing is converted.
    pub results_charset: Option<Charset>,
    /// The collation id that the server sends with text columns under `results_charset`. Not read if that is `None`.
    pub results_collation_id: u16,
}

/// Text of our own in the character set of results.
pub fn result_text(charset: Option<Charset>, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    charset::put_converted(charset.unwrap_or(Charset::Utf8mb4), text.as_bytes(), &mut out);
    out
}
