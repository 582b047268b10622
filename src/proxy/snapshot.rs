//! What statements are judged by at one moment.

use std::sync::Arc;

use crate::firewall::profile::Profiles;
use crate::keys::KeyRing;
use crate::policy::Policy;
use crate::schema::Catalog;

/// Policy, catalog and keys. Published as a whole; a statement keeps the one it began with.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is protected and who may see it.
    pub policy: Arc<Policy>,
    /// What the server holds.
    pub catalog: Arc<Catalog>,
    /// What is known of accounts that the firewall learns about.
    pub profiles: Arc<Profiles>,
    /// The keys. `None` while there are none: then nothing protected is read or written.
    pub ring: Option<Arc<KeyRing>>,
}

impl Snapshot {
    /// The keys, if they are those of this policy: column ids of another one would name other columns.
    pub(super) fn keys(&self) -> Option<&KeyRing> {
        self.ring.as_deref().filter(|ring| ring.policy_version() == self.policy.version())
    }
}
