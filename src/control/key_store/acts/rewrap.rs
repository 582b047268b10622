//! Wrapping keys again: under a newer version of the same key-encryption key, or under another one. The provider does it
//! without handing a key out; here one wrap at a time is exchanged, if nobody exchanged it meanwhile.

use serde_json::{Value, json};

use super::{ActError, By, ControlError, KeyStore, Run, Session};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{EncryptionContext, KekAdmin, KekRef, ProviderKind, WrappedKey};

/// A wrap as the key store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWrap {
    /// What it is bound to; names the key.
    pub context: EncryptionContext,
    /// The wrap.
    pub wrapped: WrappedKey,
    /// Grows each time that it is exchanged.
    pub wrap_version: u32,
    /// Its place among the wraps of the key: the lowest is tried first.
    pub priority: u8,
}

/// What becomes of the wrap that another one was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldWrap {
    /// It stays, and is tried first.
    Keep,
    /// It goes.
    Replace,
}

impl OldWrap {
    const fn name(self) -> &'static str {
        match self {
            Self::Keep => "kept",
            Self::Replace => "replaced",
        }
    }
}

/// A wrap that was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// The key.
    pub kid: KeyId,
    /// The KEK that the key came from.
    pub from: KekRef,
    /// The KEK that wraps it now.
    pub to: KekRef,
}

/// Kid, keyset, purpose, provider, KEK, blob, version, priority.
type WrapRow = (u32, String, String, String, String, Vec<u8>, u32, u8);

impl KeyStore {
    /// All wraps that this program understands, by key and priority.
    pub async fn stored_wraps(&self) -> Result<Vec<StoredWrap>, ControlError> {
        let mut session = self.session("read the wraps").await?;
        let (deployment, _) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        let sql = format!(
            "SELECT k.kid, s.name, k.purpose, w.provider, w.kek_ref, w.wrapped, w.wrap_version, w.priority \
             FROM {schema}.wrapped_key w JOIN {schema}.data_key k ON k.kid = w.kid \
             JOIN {schema}.keyset s ON s.keyset_id = k.keyset_id ORDER BY k.kid, w.priority, w.provider, w.kek_ref",
            schema = self.schema
        );
        let rows: Vec<WrapRow> = session.rows(&sql).await?;
        let understood =
            rows.into_iter().filter_map(|(kid, keyset, purpose, provider, kek, blob, version, priority)| {
                let kek = KekRef::new(ProviderKind::from_name(&provider)?, kek);
                Some((kid, keyset, purpose, WrappedKey { kek, blob }, version, priority))
            });
        understood
            .map(|(kid, keyset, purpose, wrapped, wrap_version, priority)| {
                let malformed = |what| ControlError::Malformed { what };
                let kid = KeyId::new(kid).ok_or(malformed("key id 0"))?;
                let purpose = KeyPurpose::from_name(&purpose).ok_or(malformed("a key's purpose"))?;
                let context = EncryptionContext { deployment, keyset: keyset.into(), purpose, kid };
                Ok(StoredWrap { context, wrapped, wrap_version, priority })
            })
            .collect()
    }

    /// Wraps one key again, under `to`. A wrap under `to` that is there already is renewed; then [`OldWrap`] says what
    /// becomes of the one that it was made from. The provider is asked before the transaction begins.
    pub async fn rewrap_key(
        &self,
        old: &StoredWrap,
        to: &KekRef,
        old_wrap: OldWrap,
        admin: &dyn KekAdmin,
        run: Run,
        by: By<'_>,
    ) -> Result<Rewrapped, ActError> {
        let kid = old.context.kid;
        let fresh = admin.rewrap(&old.wrapped, to, &old.context).await;
        let fresh = fresh.map_err(|source| ActError::Rewrap { kid, source })?;
        self.transaction("exchange a wrap", run, async |session, header| {
            if fresh.kek == old.wrapped.kek {
                self.renew_wrap(session, old, &fresh).await?;
            } else {
                match old_wrap {
                    OldWrap::Keep => self.touch_wrap(session, old).await?,
                    OldWrap::Replace => self.delete_wrap(session, old).await?,
                }
                let priority = match old_wrap {
                    OldWrap::Keep => self.last_priority(session, kid).await?.saturating_add(1),
                    OldWrap::Replace => old.priority,
                };
                self.put_wrap(session, kid, &fresh, priority).await?;
            }
            let after = json!({ "kek": fresh.kek.to_string(), "old": old_wrap.name() });
            by.record(session, "key.rewrap", format!("key {kid}"), before(old), after).await?;
            // Proxies go on asking the provider about the wraps that they loaded: they must learn of new ones.
            self.raise_epoch(session, header.epoch).await?;
            Ok(Rewrapped { kid, from: old.wrapped.kek.clone(), to: fresh.kek.clone() })
        })
        .await
    }

    /// Deletes a wrap of a key that has another one.
    pub async fn drop_wrap(&self, old: &StoredWrap, run: Run, by: By<'_>) -> Result<u64, ActError> {
        self.transaction("delete a wrap", run, async |session, header| {
            self.delete_wrap(session, old).await?;
            let kid = old.context.kid;
            let sql = format!("SELECT COUNT(*) FROM {}.wrapped_key WHERE kid = ?", self.schema);
            let left: Vec<u64> = session.rows_with(&sql, (kid.number(),)).await?;
            if left.first().is_none_or(|left| *left == 0) {
                return Err(ActError::Changed { kid });
            }
            by.record(session, "key.drop_wrap", format!("key {kid}"), before(old), Value::Null).await?;
            self.raise_epoch(session, header.epoch).await.map_err(ActError::from)
        })
        .await
    }

    /// Records that a key-encryption key got new material. Its provider has done it already; no wrap has changed.
    pub async fn record_kek_rotation(&self, kek: &KekRef, by: By<'_>) -> Result<(), ActError> {
        self.transaction("record the rotation of a key-encryption key", Run::Real, async |session, _| {
            by.record(session, "kek.rotate", format!("kek {kek}"), Value::Null, Value::Null).await
        })
        .await
    }

    /// Adds a wrap, or renews the one under the same KEK. Not in one statement: on MariaDB, ON DUPLICATE KEY UPDATE takes
    /// the right to change every column.
    pub(super) async fn put_wrap(
        &self,
        session: &mut Session,
        kid: KeyId,
        wrapped: &WrappedKey,
        priority: u8,
    ) -> Result<(), ActError> {
        let WrappedKey { kek, blob } = wrapped;
        let sql = format!(
            "UPDATE {}.wrapped_key SET wrapped = ?, wrapped_at = UTC_TIMESTAMP(6), wrap_version = wrap_version + 1 \
             WHERE kid = ? AND provider = ? AND kek_ref = ?",
            self.schema
        );
        let (provider, reference) = (kek.provider.name(), kek.reference.as_ref());
        let renewed = session.change(&sql, (blob.clone(), kid.number(), provider, reference)).await?;
        if renewed.rows == 0 {
            let sql = format!(
                "INSERT INTO {}.wrapped_key (kid, provider, kek_ref, wrapped, wrapped_at, priority) \
                 VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6), ?)",
                self.schema
            );
            session.change(&sql, (kid.number(), provider, reference, blob.clone(), priority)).await?;
        }
        Ok(())
    }

    /// Compare-and-set of a wrap under the same KEK.
    async fn renew_wrap(&self, session: &mut Session, old: &StoredWrap, new: &WrappedKey) -> Result<(), ActError> {
        let sql = format!(
            "UPDATE {}.wrapped_key SET wrapped = ?, wrapped_at = UTC_TIMESTAMP(6), wrap_version = wrap_version + 1 \
             WHERE kid = ? AND provider = ? AND kek_ref = ? AND wrap_version = ?",
            self.schema
        );
        let (kid, provider, kek, version) = identity(old);
        let changed = session.change(&sql, (new.blob.clone(), kid, provider, kek, version)).await?;
        exactly_one(changed.rows, old)
    }

    /// Makes sure that a wrap that stays is still the one that was read.
    pub(super) async fn touch_wrap(&self, session: &mut Session, old: &StoredWrap) -> Result<(), ActError> {
        let sql = format!(
            "SELECT 1 FROM {}.wrapped_key WHERE kid = ? AND provider = ? AND kek_ref = ? AND wrap_version = ? FOR UPDATE",
            self.schema
        );
        let found: Vec<u8> = session.rows_with(&sql, identity(old)).await?;
        exactly_one(found.len() as u64, old)
    }

    async fn delete_wrap(&self, session: &mut Session, old: &StoredWrap) -> Result<(), ActError> {
        let sql = format!(
            "DELETE FROM {}.wrapped_key WHERE kid = ? AND provider = ? AND kek_ref = ? AND wrap_version = ?",
            self.schema
        );
        let changed = session.change(&sql, identity(old)).await?;
        exactly_one(changed.rows, old)
    }

    pub(super) async fn last_priority(&self, session: &mut Session, kid: KeyId) -> Result<u8, ActError> {
        let sql = format!("SELECT COALESCE(MAX(priority), 0) FROM {}.wrapped_key WHERE kid = ?", self.schema);
        let rows: Vec<u8> = session.rows_with(&sql, (kid.number(),)).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}

/// The wrap that goes or is added to, for the record.
fn before(wrap: &StoredWrap) -> Value {
    json!({ "kek": wrap.wrapped.kek.to_string(), "wrap_version": wrap.wrap_version })
}

fn identity(wrap: &StoredWrap) -> (u32, &'static str, &str, u32) {
    let kek = &wrap.wrapped.kek;
    (wrap.context.kid.number(), kek.provider.name(), &kek.reference, wrap.wrap_version)
}

fn exactly_one(rows: u64, wrap: &StoredWrap) -> Result<(), ActError> {
    match rows {
        1 => Ok(()),
        _ => Err(ActError::Changed { kid: wrap.context.kid }),
    }
}
