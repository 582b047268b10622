//! What changes of the key store a proxy believes. Whoever can write to the database must not be able to bring a key
//! back that was put aside, or to exchange one: such a change is refused until a person restarts the proxy.

use std::collections::HashMap;

use super::StoredKeys;
use crate::crypto::KeyId;
use crate::keys::{KeyRecord, KeyState};

/// Compares what was believed last with what the store says now. The error says what cannot be.
pub(super) fn check(before: &StoredKeys, now: &StoredKeys) -> Result<(), String> {
    if now.deployment != before.deployment {
        return Err("it belongs to another deployment".to_owned());
    }
    if now.epoch < before.epoch {
        return Err(format!("its epoch went back from {} to {}", before.epoch, now.epoch));
    }
    let records = by_id(now);
    for old in &before.records {
        let kid = old.kid;
        let Some(new) = records.get(&kid) else { return Err(format!("key {kid} is gone")) };
        if (&new.keyset, new.purpose, new.version) != (&old.keyset, old.purpose, old.version) {
            return Err(format!("key {kid} became another key"));
        }
        if old.kcv.is_some() && new.kcv != old.kcv {
            return Err(format!("key {kid} has another check value"));
        }
        // Several acts may lie between two polls.
        if !old.state.leads_to(new.state) {
            return Err(format!("key {kid} went from {} to {}", old.state, new.state));
        }
    }
    Ok(())
}

/// Keys that were usable and are not any more, for a reason that cannot wait. A retired key is proven unused; it leaves
/// with the next ring.
pub(super) fn revoked(before: &StoredKeys, now: &StoredKeys) -> Vec<KeyId> {
    let records = by_id(now);
    let barred = |old: &&KeyRecord| match records.get(&old.kid).map(|new| new.state) {
        Some(KeyState::Suspended | KeyState::Destroyed) => old.state.may_decrypt(),
        Some(KeyState::Pending | KeyState::Active | KeyState::DecryptOnly | KeyState::Retired) | None => false,
    };
    before.records.iter().filter(barred).map(|record| record.kid).collect()
}

fn by_id(stored: &StoredKeys) -> HashMap<KeyId, &KeyRecord> {
    stored.records.iter().map(|record| (record.kid, record)).collect()
}

#[cfg(test)]
mod tests;
