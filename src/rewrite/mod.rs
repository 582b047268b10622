//! Carrying a plan out on bytes: statements, parameters, column definitions, rows.
//!
//! No sockets, no tasks, no decisions: what happens to a value stands in the plan, which policy has agreed to. Bytes
//! come from clients and servers: nothing here panics on any input, and on an error nothing is left in the output.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

#[cfg(any())]
mod charset;
mod error;
#[cfg(any())]
mod fit;
#[cfg(any())]
mod long_data;
#[cfg(any())]
mod metadata;
#[cfg(any())]
mod params;
#[cfg(any())]
mod row;
#[cfg(any())]
mod search;
#[cfg(any())]
mod statement;
#[cfg(any())]
mod value;

#[cfg(any())]
mod fixture;

#[cfg(any())]
use crate::keys::KeyRing;
#[cfg(any())]
use crate::policy::Policy;
#[cfg(any())]
use crate::schema::Charset;
#[cfg(any())]
use crate::sql::Dialect;

pub use error::RewriteError;
#[cfg(any())]
pub use long_data::{LongData, LongDataRoute};
#[cfg(any())]
pub use metadata::{column_definition, names_protected};
#[cfg(any())]
pub use params::{ParamMap, ParamTypes, execute};
#[cfg(any())]
pub use row::RowPlan;
#[cfg(any())]
pub use statement::{Rewritten, statement};

#[cfg(any())]
/// Most bytes of a statement or parameter packet that a rewrite makes: the largest `max_allowed_packet` there is.
const PAYLOAD_OCTETS_MAX: usize = 1 << 30;

/// What a rewrite depends on beside the plan. All of it belongs to the snapshot that the plan was made with.
#[cfg(any())]
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What is protected.
    pub policy: &'a Policy,
    /// The keys.
    pub ring: &'a KeyRing,
    /// How the server reads statements, and the character set of the client's strings.
    pub dialect: Dialect,
    /// `character_set_results`; `None` if it is NULL and nothing is converted.
    pub results_charset: Option<Charset>,
    /// The collation id that the server sends with text columns under `results_charset`. Not read if that is `None`.
    pub results_collation_id: u16,
}
