//! Replacing the audit key. The old one vouches for the new one: the entry of its activation, with the check value, is
//! still under the old key. The next entry, and the head, are under the new one. The old one goes on verifying.

use std::num::NonZeroU16;

use serde_json::{Value, json};

use super::create::{next_version, usable};
use super::{ActError, By, ControlError, KeyStore, Run};
use crate::control::record::{AUDIT_KEYSET, Entry, Recorder};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{Act, EncryptionContext, KekAdmin, KekRef, KeyState, Unwrapper};

/// An audit key that was replaced, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRotation {
    /// The key that recorded until now.
    pub old: KeyId,
    /// The new one; `None` after a rehearsal.
    pub new: Option<KeyId>,
    /// Its version.
    pub version: NonZeroU16,
    /// The epoch afterwards.
    pub epoch: u64,
}

impl KeyStore {
    /// Makes another audit key and lets it record from now on, in one transaction. Proxies have nothing to do with it. Other
    /// programs that have opened the old key are told to start again when they act next.
    pub async fn rotate_audit_key(
        &self,
        admin: &dyn KekAdmin,
        kek: &KekRef,
        unwrapper: &dyn Unwrapper,
        run: Run,
        by: By<'_>,
    ) -> Result<AuditRotation, ActError> {
        self.transaction("replace the audit key", run, async |session, header| {
            let (keyset_id, family) = self.family_named(session, AUDIT_KEYSET, KeyPurpose::Audit).await?;
            let old = family.rows.iter().find(|row| row.state == KeyState::Active).map(|row| row.kid);
            let old = old.ok_or(ControlError::NoAuditKey)?;
            family.siblings().may_create()?;
            let version = next_version(&family)?;
            let provider = |source| ControlError::Provider { keyset: AUDIT_KEYSET.to_owned(), source };
            if run == Run::Rehearsal {
                usable(admin.describe(kek).await).map_err(provider)?;
                return Ok(AuditRotation { old, new: None, version, epoch: header.epoch.saturating_add(1) });
            }
            let purpose = KeyPurpose::Audit;
            let new = self.insert_key(session, keyset_id, purpose, version).await?;
            let context =
                EncryptionContext { deployment: header.deployment, keyset: AUDIT_KEYSET.into(), purpose, kid: new };
            let wrapped = admin.generate_wrapped(kek, &context).await.map_err(provider)?;
            self.put_wrap(session, new, &wrapped, 0).await?;
            let (subject, state) = (format!("key {new}"), KeyState::Pending.name());
            let after = json!({
                "keyset": AUDIT_KEYSET, "purpose": purpose.name(), "version": version.get(), "state": state,
                "keks": [wrapped.kek.to_string()],
            });
            by.record(session, "key.create", subject.clone(), Value::Null, after).await?;
            let recorder = Recorder::open_in(session, self, unwrapper).await?;
            let kcv = recorder.check_value(new).ok_or(ControlError::NoAuditKey)?;
            let (_, family) = self.family_named(session, AUDIT_KEYSET, purpose).await?;
            self.carry_out(session, &family, &family.siblings().apply(new, Act::Activate)?, None, by).await?;
            let (before, after) = (json!({ "key": old.number() }), json!({ "key": new.number(), "check_value": kcv }));
            by.record(session, "record.key", subject.clone(), before.clone(), after.clone()).await?;
            let entry = Entry { actor: by.actor.clone(), act: "record.key", subject, before, after };
            recorder.under(new).append(session, &entry).await?;
            let epoch = self.raise_epoch(session, header.epoch).await?;
            Ok(AuditRotation { old, new: Some(new), version, epoch })
        })
        .await
    }
}
