//! `keys init`: creates what policy needs and the key store lacks. Runs under the security team's account.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{ControlError, KeyStore, Session, parse_deployment};
use crate::control::record::{self, AUDIT_KEYSET, Entry, Recorder};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{EncryptionContext, KekAdmin, KekRef, KeyState, Unwrapper};
use crate::policy::Policy;

/// Limit for the whole work, every call to the key provider included.
const INIT_LIMIT: Duration = Duration::from_secs(120);
/// Replicas that have not been seen for so long are forgotten.
const FORGET_DAYS: u32 = 30;

/// What `keys init` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitReport {
    /// The deployment of this key store: needed in KMS policies.
    pub deployment: Uuid,
    /// The epoch after the work.
    pub epoch: u64,
    /// Keys that were made now. Empty if everything was there.
    pub created: Vec<CreatedKey>,
    /// Keysets and purposes that have keys, but none that is active: revoked on purpose, so none was made.
    pub without_active: Vec<(Arc<str>, KeyPurpose)>,
}

/// A new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedKey {
    /// Its id.
    pub kid: KeyId,
    /// Its keyset.
    pub keyset: Arc<str>,
    /// Its purpose.
    pub purpose: KeyPurpose,
    /// Its version.
    pub version: NonZeroU16,
}

/// What `keys init` works with.
#[derive(Clone, Copy, Debug)]
pub struct Initialisation<'a> {
    /// The policy whose keysets need keys.
    pub policy: &'a Policy,
    /// Makes keys.
    pub admin: &'a dyn KekAdmin,
    /// Opens the audit key.
    pub unwrapper: &'a dyn Unwrapper,
    /// Wraps new keys.
    pub kek: &'a KekRef,
    /// Counts only if the key store has none yet, and must agree if it has.
    pub deployment: Option<Uuid>,
    /// The person who runs it, as the system knows him.
    pub operator: &'a str,
}

impl KeyStore {
    /// Creates the audit key, and the keysets, data keys and index keys that policy needs and the key store does not
    /// have, in one transaction, and raises the epoch if there were any. Running it again changes nothing.
    ///
    /// The first key of a keyset and purpose is active at once: nobody can have written under another one. The audit key
    /// is made first, so that everything else can be recorded.
    pub async fn init(&self, with: Initialisation<'_>) -> Result<InitReport, ControlError> {
        let session = self.pool.session("initialise the key store", INIT_LIMIT).await?;
        let report = session.transaction(async |session| self.init_in(session, with).await).await;
        report.map_err(ControlError::or_not_initialised)
    }

    /// Keysets and purposes for which [`KeyStore::init`] would make a key. Changes nothing.
    pub async fn missing_keys(&self, policy: &Policy) -> Result<Vec<(Arc<str>, KeyPurpose)>, ControlError> {
        let records = match self.load().await {
            Ok(stored) => stored.records,
            Err(ControlError::NotInitialised) => vec![],
            Err(error) => return Err(error),
        };
        let mut missing = wanted(policy);
        missing.retain(|(keyset, purpose)| {
            !records.iter().any(|record| record.keyset == *keyset && record.purpose == *purpose)
        });
        Ok(missing)
    }

    async fn init_in(&self, session: &mut Session, with: Initialisation<'_>) -> Result<InitReport, ControlError> {
        let (deployment, epoch) = self.lock_header(session, with.deployment).await?;
        let mut created = Vec::new();
        let mut without_active = Vec::new();
        for (keyset, purpose) in wanted(with.policy) {
            let keyset_id = self.keyset(session, &keyset).await?;
            match self.existing(session, keyset_id, purpose).await? {
                Existing::None => {
                    created.push(self.create(session, deployment, with, (keyset_id, &keyset), purpose).await?);
                }
                Existing::Active => {}
                Existing::Inactive => without_active.push((keyset, purpose)),
            }
        }
        let epoch = if created.is_empty() {
            epoch
        } else {
            self.record(session, with, deployment, &created).await?;
            self.raise_epoch(session, epoch).await?
        };
        let forget = format!(
            "DELETE FROM {}.replica WHERE last_seen < UTC_TIMESTAMP(6) - INTERVAL {FORGET_DAYS} DAY",
            self.schema
        );
        session.change(&forget, ()).await?;
        Ok(InitReport { deployment, epoch, created, without_active })
    }

    /// Records what was made. A new audit key begins the record.
    async fn record(
        &self,
        session: &mut Session,
        with: Initialisation<'_>,
        deployment: Uuid,
        created: &[CreatedKey],
    ) -> Result<(), ControlError> {
        let recorder = Recorder::open_in(session, self, with.unwrapper).await?;
        let actor = record::actor(session, with.operator).await?;
        let entry = |act, subject, after| Entry { actor: actor.clone(), act, subject, before: Value::Null, after };
        if created.iter().any(|key| key.purpose == KeyPurpose::Audit) {
            recorder.begin(session).await?;
            let subject = format!("deployment {}", deployment.hyphenated());
            let after = json!({ "version": env!("CARGO_PKG_VERSION"), "kek": with.kek.to_string() });
            recorder.append(session, &entry("keys.init", subject, after)).await?;
        }
        for key in created {
            let after = json!({
                "keyset": &*key.keyset, "purpose": key.purpose.name(), "version": key.version.get(),
                "state": KeyState::Active.name(), "keks": [with.kek.to_string()],
            });
            recorder.append(session, &entry("key.create", format!("key {}", key.kid), after)).await?;
        }
        Ok(())
    }

    /// Makes the epoch row if there is none, and locks it: two runs at once do their work one after the other.
    async fn lock_header(&self, session: &mut Session, wanted: Option<Uuid>) -> Result<(Uuid, u64), ControlError> {
        let fresh = wanted.unwrap_or_else(Uuid::new_v4).hyphenated().to_string();
        // ON DUPLICATE KEY UPDATE takes the exclusive lock at once, where a SELECT before or after an INSERT could end
        // in a deadlock of two first runs.
        let sql = format!(
            "INSERT INTO {}.epoch (id, epoch, deployment) VALUES (1, 0, ?) ON DUPLICATE KEY UPDATE id = id",
            self.schema
        );
        session.change(&sql, (fresh,)).await?;
        let sql = format!("SELECT deployment, epoch FROM {}.epoch WHERE id = 1 FOR UPDATE", self.schema);
        let rows: Vec<(String, u64)> = session.rows(&sql).await?;
        let (found, epoch) = rows.into_iter().next().ok_or(ControlError::NotInitialised)?;
        let deployment = parse_deployment(&found)?;
        if wanted.is_some_and(|wanted| wanted != deployment) {
            return Err(ControlError::OtherDeployment { found });
        }
        Ok((deployment, epoch))
    }

    async fn keyset(&self, session: &mut Session, name: &str) -> Result<u32, ControlError> {
        let sql = format!("SELECT keyset_id FROM {}.keyset WHERE name = ?", self.schema);
        let rows: Vec<u32> = session.rows_with(&sql, (name,)).await?;
        if let Some(id) = rows.first() {
            return Ok(*id);
        }
        let sql = format!("INSERT INTO {}.keyset (name, created_at) VALUES (?, UTC_TIMESTAMP(6))", self.schema);
        let id = session.change(&sql, (name,)).await?.id;
        id.and_then(|id| u32::try_from(id).ok()).ok_or(ControlError::Malformed { what: "a keyset's id" })
    }

    async fn existing(
        &self,
        session: &mut Session,
        keyset_id: u32,
        purpose: KeyPurpose,
    ) -> Result<Existing, ControlError> {
        let sql = format!("SELECT state FROM {}.data_key WHERE keyset_id = ? AND purpose = ?", self.schema);
        let states: Vec<String> = session.rows_with(&sql, (keyset_id, purpose.name())).await?;
        Ok(match states.as_slice() {
            [] => Existing::None,
            states if states.iter().any(|state| state == "active") => Existing::Active,
            _ => Existing::Inactive,
        })
    }

    async fn create(
        &self,
        session: &mut Session,
        deployment: Uuid,
        with: Initialisation<'_>,
        (keyset_id, keyset): (u32, &Arc<str>),
        purpose: KeyPurpose,
    ) -> Result<CreatedKey, ControlError> {
        let version = NonZeroU16::MIN;
        let sql = format!(
            "INSERT INTO {}.data_key (keyset_id, purpose, version, state, created_at, activated_at) \
             VALUES (?, ?, ?, 'active', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
            self.schema
        );
        let changed = session.change(&sql, (keyset_id, purpose.name(), version.get())).await?;
        let kid = changed.id.and_then(|id| u32::try_from(id).ok()).and_then(KeyId::new);
        let kid = kid.ok_or(ControlError::Malformed { what: "a key's id" })?;
        let context = EncryptionContext { deployment, keyset: keyset.clone(), purpose, kid };
        let wrapped = with
            .admin
            .generate_wrapped(with.kek, &context)
            .await
            .map_err(|source| ControlError::Provider { keyset: keyset.to_string(), source })?;
        let sql = format!(
            "INSERT INTO {}.wrapped_key (kid, provider, kek_ref, wrapped, wrapped_at) \
             VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))",
            self.schema
        );
        let params = (kid.number(), wrapped.kek.provider.name(), wrapped.kek.reference.as_ref(), wrapped.blob);
        session.change(&sql, params).await?;
        Ok(CreatedKey { kid, keyset: keyset.clone(), purpose, version })
    }

    /// Tells proxies that something has changed. Returns the new epoch.
    pub(super) async fn raise_epoch(&self, session: &mut Session, epoch: u64) -> Result<u64, ControlError> {
        let sql = format!("UPDATE {}.epoch SET epoch = epoch + 1 WHERE id = 1", self.schema);
        session.change(&sql, ()).await?;
        Ok(epoch.saturating_add(1))
    }
}

enum Existing {
    None,
    Active,
    Inactive,
}

/// The keys that there must be, in the order in which they are made: the audit key, and what policy needs.
fn wanted(policy: &Policy) -> Vec<(Arc<str>, KeyPurpose)> {
    let mut wanted = vec![(AUDIT_KEYSET.into(), KeyPurpose::Audit)];
    wanted.extend(needed(policy));
    wanted
}

/// The keys that policy needs: one for the data of each keyset, one for its indexes if any of its columns has one, and one
/// for the keys of data subjects if any of its columns has such.
fn needed(policy: &Policy) -> BTreeSet<(Arc<str>, KeyPurpose)> {
    let mut needed = BTreeSet::new();
    for column in policy.columns() {
        needed.insert((column.keyset.clone(), KeyPurpose::Data));
        if column.index.is_some() {
            needed.insert((column.keyset.clone(), KeyPurpose::Index));
        }
        if column.subject.is_some() {
            needed.insert((column.keyset.clone(), KeyPurpose::Subject));
        }
    }
    needed
}
