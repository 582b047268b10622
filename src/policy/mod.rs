//! What is protected, how it is searched, and who may see it.
//!
//! [`mod@file`] holds `policy.toml` as written; [`Policy`] is the checked form that statements are judged by. Knows neither
//! keys nor SQL.

mod access;
mod account;
mod budget;
mod column;
mod column_rules;
mod environment;
pub mod file;
mod honey;
mod mask;
mod mysql_role;
mod password_hash;
#[expect(clippy::module_inception, reason = "the module's one central type")]
mod policy;
mod rates;
mod role;
mod routine;
mod search;
mod sort;
mod stated;
#[cfg(test)]
mod tests;
pub mod written;

pub use access::{Basis, Right};
pub use budget::Budget;
pub use column::{Bind, ColumnId, IndexSpec, LogicalType, Normaliser, Padding, ProtectedColumn, TextSize, Unbound};
pub use column_rules::ColumnRules;
pub use file::RESERVED_KEYSET;
pub use honey::{Honey, HoneyReaction};
pub use mask::{AddressPart, HIDDEN, Mask, PSEUDONYM_CHARS, Piece, Reads};
pub use mysql_role::MysqlRole;
pub use password_hash::{HashCosts, NotAHash, PasswordHash, Pbkdf2Digest};
pub use policy::{Access, Binding, DecryptGrant, Policy};
pub use rates::{Rates, Reaction};
pub use role::{Account, AccountPattern, FirewallMode, Role, RoleId};
pub use routine::AllowedRoutine;
pub use search::SearchGrant;
pub use sort::SortRule;
