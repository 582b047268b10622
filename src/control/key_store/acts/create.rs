//! A new key: pending, wrapped by the key provider, never seen by anybody.

use std::num::NonZeroU16;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{AUDIT_KEYSET, ActError, By, ControlError, Family, KeyStore, Run, Session};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{EncryptionContext, KekAdmin, KekDescription, KekRef, KekStatus, KeyError, KeyState};

/// The key store has no keyset of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key store has no keyset `{name}`; it has: {}. `candado keys init` makes the keysets that policy names",
    known.join(", ")
)]
pub struct ForeignKeyset {
    /// The name that was asked for.
    pub name: Arc<str>,
    /// Those that there are.
    pub known: Vec<String>,
}

/// A key that was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its id; `None` after a rehearsal, since an id that was drawn is used up.
    pub kid: Option<KeyId>,
    /// Its keyset.
    pub keyset: Arc<str>,
    /// Its purpose.
    pub purpose: KeyPurpose,
    /// Its version.
    pub version: NonZeroU16,
    /// The key-encryption key that wraps it.
    pub kek: KekRef,
    /// The epoch that tells proxies.
    pub epoch: u64,
}

impl KeyStore {
    /// Makes a pending key. One of a keyset and purpose may be pending at a time, and an index key cannot be made while
    /// an older one is still looked up.
    pub async fn create_key(
        &self,
        keyset: &str,
        purpose: KeyPurpose,
        admin: &dyn KekAdmin,
        kek: &KekRef,
        run: Run,
        by: By<'_>,
    ) -> Result<NewKey, ActError> {
        if keyset == AUDIT_KEYSET {
            return Err(ActError::Reserved { keyset: keyset.into() });
        }
        self.transaction("create a key", run, async |session, header| {
            let (keyset_id, family) = self.family_named(session, keyset, purpose).await?;
            family.siblings().may_create()?;
            let version = next_version(&family)?;
            let provider = |source| ControlError::Provider { keyset: keyset.to_owned(), source };
            let keyset = family.keyset.clone();
            if run == Run::Rehearsal {
                usable(admin.describe(kek).await).map_err(provider)?;
                let epoch = header.epoch.saturating_add(1);
                return Ok(NewKey { kid: None, keyset, purpose, version, kek: kek.clone(), epoch });
            }
            let kid = self.insert_key(session, keyset_id, purpose, version).await?;
            let context = EncryptionContext { deployment: header.deployment, keyset: keyset.clone(), purpose, kid };
            let wrapped = admin.generate_wrapped(kek, &context).await.map_err(provider)?;
            self.put_wrap(session, kid, &wrapped, 0).await?;
            let after = json!({
                "keyset": &*keyset, "purpose": purpose.name(), "version": version.get(),
                "state": KeyState::Pending.name(), "keks": [wrapped.kek.to_string()],
            });
            by.record(session, "key.create", format!("key {kid}"), Value::Null, after).await?;
            let epoch = self.raise_epoch(session, header.epoch).await?;
            Ok(NewKey { kid: Some(kid), keyset, purpose, version, kek: wrapped.kek, epoch })
        })
        .await
    }

    /// The id of the key that waits for its activation, if there is one.
    pub async fn pending_key(&self, keyset: &str, purpose: KeyPurpose) -> Result<Option<KeyId>, ActError> {
        let mut session = self.session("look for a pending key").await?;
        let (_, family) = self.family_named(&mut session, keyset, purpose).await?;
        Ok(family.rows.iter().find(|row| row.state == KeyState::Pending).map(|row| row.kid))
    }

    /// The keys of a keyset and purpose, with the keyset's number.
    pub(super) async fn family_named(
        &self,
        session: &mut Session,
        keyset: &str,
        purpose: KeyPurpose,
    ) -> Result<(u32, Family), ActError> {
        let id = self.keyset_id(session, keyset).await?;
        Ok((id, self.family(session, id, keyset.into(), purpose).await?))
    }

    pub(super) async fn keyset_id(&self, session: &mut Session, keyset: &str) -> Result<u32, ActError> {
        let sql = format!("SELECT keyset_id, name FROM {}.keyset ORDER BY name", self.schema);
        let rows: Vec<(u32, String)> = session.rows(&sql).await.map_err(ControlError::or_not_initialised)?;
        if let Some((id, _)) = rows.iter().find(|(_, name)| name == keyset) {
            return Ok(*id);
        }
        let known = rows.into_iter().map(|(_, name)| name).collect();
        Err(ForeignKeyset { name: keyset.into(), known }.into())
    }

    pub(super) async fn insert_key(
        &self,
        session: &mut Session,
        keyset_id: u32,
        purpose: KeyPurpose,
        version: NonZeroU16,
    ) -> Result<KeyId, ActError> {
        let sql = format!(
            "INSERT INTO {}.data_key (keyset_id, purpose, version, state, created_at, changed_at) \
             VALUES (?, ?, ?, 'pending', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
            self.schema
        );
        let changed = session.change(&sql, (keyset_id, purpose.name(), version.get())).await?;
        let kid = changed.id.and_then(|id| u32::try_from(id).ok()).and_then(KeyId::new);
        Ok(kid.ok_or(ControlError::Malformed { what: "a key's id" })?)
    }
}

/// Versions are never given twice either: a destroyed key keeps its own.
pub(super) fn next_version(family: &Family) -> Result<NonZeroU16, ActError> {
    let Family { keyset, purpose, rows } = family;
    match rows.iter().map(|row| row.version).max() {
        None => Ok(NonZeroU16::MIN),
        Some(newest) => {
            newest.checked_add(1).ok_or_else(|| ActError::NoMoreVersions { keyset: keyset.clone(), purpose: *purpose })
        }
    }
}

pub(super) fn usable(answer: Result<KekDescription, KeyError>) -> Result<(), KeyError> {
    match answer?.status {
        KekStatus::Enabled => Ok(()),
        KekStatus::Disabled => Err(KeyError::Disabled),
        KekStatus::PendingDeletion => Err(KeyError::PendingDeletion),
    }
}
