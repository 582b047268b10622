//! What is protected, how it is searched, and who may see it.
//!
//! [`mod@file`] holds `policy.toml` as written; [`Policy`] is the checked form that statements are judged by. Knows neither
//! keys nor SQL.

mod budget;
mod column;
pub mod file;
#[expect(clippy::module_inception, reason = "the module's one central type")]
mod policy;
mod rates;
mod role;
#[cfg(test)]
mod tests;
pub mod written;

pub use budget::Budget;
pub use column::{ColumnId, IndexSpec, LogicalType, Normaliser, Padding, ProtectedColumn, TextSize};
pub use file::RESERVED_KEYSET;
pub use policy::{Access, DecryptGrant, Policy};
pub use rates::{Rates, Reaction};
pub use role::{Account, AccountPattern, FirewallMode, Role, RoleId};
