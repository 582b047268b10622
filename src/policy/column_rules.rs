//! What policy says of a protected column beside its format, all in one place. What one role may do with it is the role's.

use std::sync::Arc;

use super::{HashCosts, Honey, Mask, SortRule};

/// What policy says of one protected column beside its format. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRules {
    /// How the proxy sorts by it, if it does.
    pub sort: Option<SortRule>,
    /// What a hash must cost to be stored, if the column takes nothing but hashes of passwords.
    pub password_hash: Option<HashCosts>,
    /// What of it is bait, if anything is.
    pub honey: Option<Arc<Honey>>,
    /// What roles see for which it is masked, and which have no other mask for it.
    pub mask: Option<Arc<Mask>>,
}
