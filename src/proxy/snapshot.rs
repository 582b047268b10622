//! What statements are judged by at one moment.

use std::sync::Arc;

use crate::policy::Policy;
use crate::schema::Catalog;

/// Policy, catalog and keys. Published as a whole; a statement keeps the one it began with.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is protected and who may see it.
    pub policy: Arc<Policy>,
    /// What the server holds.
    pub catalog: Arc<Catalog>,
}
