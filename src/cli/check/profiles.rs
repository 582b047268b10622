//! Whether the firewall's profiles can be read, and whether accounts that are protected by one have one.

use super::{Report, Verdict};
use crate::control::{KeyStore, Pool, ProfileStore, SCHEMA, chain};
use crate::policy::{FirewallMode, Policy};

impl Report {
    /// Says nothing where all is well: most accounts have no profile.
    pub(super) async fn profiles(&mut self, pool: &Pool, policy: Option<&Policy>) {
        let store = ProfileStore::new(KeyStore::new(pool.clone(), SCHEMA));
        let profiles = match (store.list().await, store.exceptions().await) {
            (Ok(profiles), Ok(_)) => profiles,
            (Err(error), _) | (Ok(_), Err(error)) => {
                let cause = chain(&error);
                let text = format!("profiles and exceptions cannot be read; run keys-policy/schema.sql again: {cause}");
                self.add("firewall", Verdict::Wrong, text);
                return;
            }
        };
        let protected = policy.into_iter().flat_map(Policy::accounts);
        for (pattern, _) in protected.filter(|(_, firewall)| *firewall == FirewallMode::Protect) {
            if !profiles.iter().any(|profile| profile.digests > 0 && pattern.matches(&profile.named())) {
                let text = format!("account {pattern}: mode `protect` without a profile refuses everything");
                self.add("firewall", Verdict::Warning, text);
            }
        }
    }
}
