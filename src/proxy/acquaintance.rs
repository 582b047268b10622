//! What is known of the session's account in its database, looked up once for each version of what is known.

use std::sync::Arc;

use super::decision::Desk;
use super::snapshot::Snapshot;
use crate::firewall::profile::{AccountProfile, Profiles};
use crate::policy::FirewallMode;

/// What was looked up, and by what.
#[derive(Debug)]
pub(super) struct Acquaintance {
    profiles: Arc<Profiles>,
    database: Option<Arc<str>>,
    found: Arc<AccountProfile>,
}

impl Acquaintance {
    /// What was found.
    pub(super) fn found(&self) -> &AccountProfile {
        &self.found
    }
}

impl Desk {
    /// What is known of the account in that database; nothing where the firewall refuses nothing.
    pub(super) fn profile(
        &mut self,
        firewall: FirewallMode,
        snapshot: &Snapshot,
        database: Option<&Arc<str>>,
    ) -> Option<Arc<AccountProfile>> {
        if !firewall.refuses() {
            return None;
        }
        if let Some(known) = &self.acquaintance
            && Arc::ptr_eq(&known.profiles, &snapshot.profiles)
            && known.database.as_ref() == database
        {
            return Some(known.found.clone());
        }
        let found = Arc::new(snapshot.profiles.of(&self.state.account, database.map(|name| &**name)));
        let (profiles, database) = (snapshot.profiles.clone(), database.cloned());
        self.acquaintance = Some(Acquaintance { profiles, database, found: found.clone() });
        Some(found)
    }
}
