//! The audit keys, opened: the active one that writes, and earlier ones that still verify what they wrote.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{AUDIT_KEYSET, ControlError};
use crate::crypto::{AccessKey, AuditKey, KCV_LENGTH, KeyPurpose, KeySecret};
use crate::keys::{KeyError, KeyRecord, Unwrapper};

/// Audit keys by their ids.
#[derive(Debug, Default)]
pub struct AuditKeys {
    keys: BTreeMap<u32, (AuditKey, [u8; KCV_LENGTH])>,
}

impl AuditKeys {
    /// Opens every audit key among the records that may be used.
    pub async fn open(
        records: &[KeyRecord],
        deployment: Uuid,
        unwrapper: &dyn Unwrapper,
    ) -> Result<Self, ControlError> {
        let name = deployment.hyphenated().to_string();
        let mut keys = BTreeMap::new();
        for record in records.iter().filter(|record| is_audit_key(record) && record.state.may_decrypt()) {
            let secret = unwrap(record, deployment, unwrapper).await?;
            let kcv = secret.kcv(record.kid, record.purpose);
            keys.insert(record.kid.number(), (AuditKey::new(secret, &name), kcv));
        }
        if keys.is_empty() { Err(ControlError::NoAuditKey) } else { Ok(Self { keys }) }
    }

    /// One key alone, for known answers.
    #[cfg(test)]
    pub(super) fn only(kid: u32, key: AuditKey) -> Self {
        Self { keys: BTreeMap::from([(kid, (key, [0; KCV_LENGTH]))]) }
    }

    /// The key under which the proxy of that name records accesses, made from the audit key of that id.
    pub fn access_key(&self, kid: u32, name: &str) -> Option<AccessKey> {
        self.key(kid).map(|key| key.access_key(name))
    }

    /// The key of that id.
    pub(super) fn key(&self, kid: u32) -> Option<&AuditKey> {
        self.keys.get(&kid).map(|(key, _)| key)
    }

    /// The check value of the key of that id.
    pub(super) fn kcv(&self, kid: u32) -> Option<[u8; KCV_LENGTH]> {
        self.keys.get(&kid).map(|(_, kcv)| *kcv)
    }
}

/// Whether a key is one of the record's.
pub(super) fn is_audit_key(record: &KeyRecord) -> bool {
    record.purpose == KeyPurpose::Audit && &*record.keyset == AUDIT_KEYSET
}

/// Opens an audit key with the first of its wraps that gives the right key.
async fn unwrap(record: &KeyRecord, deployment: Uuid, unwrapper: &dyn Unwrapper) -> Result<KeySecret, ControlError> {
    let kid = record.kid;
    let context = record.encryption_context(deployment);
    let mut failure = ControlError::AuditKey { kid: kid.number(), source: KeyError::NotFound };
    for wrapped in record.wraps.iter().filter(|wrapped| wrapped.kek.provider == unwrapper.kind()) {
        match unwrapper.unwrap(wrapped, &context).await {
            Ok(secret) if record.kcv.is_none_or(|kcv| secret.has_kcv(kid, record.purpose, &kcv)) => return Ok(secret),
            Ok(_) => failure = ControlError::AuditKeyWrong { kid: kid.number() },
            Err(source) => failure = ControlError::AuditKey { kid: kid.number(), source },
        }
    }
    Err(failure)
}
