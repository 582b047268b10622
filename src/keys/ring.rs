//! The key ring: one immutable snapshot of all keys that the protected columns of a policy use.
//!
//! Loading and unwrapping keys, and publishing a new ring, are the control plane's work.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{KeyPurpose, KeyRecord, KeyState, Stages};
use crate::crypto::{
    ColumnKeys, ColumnKeysError, DataKey, DataMaterial, IndexKey, IndexKeys, IndexMaterial, IndexVersion, KeyId,
    KeySecret, SubjectKeys, WrappingKey,
};
use crate::policy::{ColumnId, Policy, ProtectedColumn};
use crate::schema::ColumnRef;

/// Why keys and policy do not make a ring. There is then no ring: a column is never served with some of its keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Two records have one id.
    #[error("key {kid} is recorded twice")]
    DuplicateKey {
        /// The id.
        kid: KeyId,
    },
    /// Two records have one keyset, purpose and version.
    #[error("keyset {keyset} has two {purpose} keys of version {version}")]
    DuplicateVersion {
        /// The keyset.
        keyset: Arc<str>,
        /// The purpose.
        purpose: KeyPurpose,
        /// The version.
        version: u16,
    },
    /// The state allows reading, and the secret is not there.
    #[error("{purpose} key {kid} of keyset {keyset} is not unwrapped")]
    NotUnwrapped {
        /// The key.
        kid: KeyId,
        /// Its keyset.
        keyset: Arc<str>,
        /// Its purpose.
        purpose: KeyPurpose,
    },
    /// The record has no check value. The first unwrap publishes it before it makes a ring.
    #[error("{purpose} key {kid} of keyset {keyset} has no check value yet")]
    NoCheckValue {
        /// The key.
        kid: KeyId,
        /// Its keyset.
        keyset: Arc<str>,
        /// Its purpose.
        purpose: KeyPurpose,
    },
    /// The secret is not the one that the check value commits to.
    #[error("{purpose} key {kid} of keyset {keyset} does not match its check value")]
    CheckValue {
        /// The key.
        kid: KeyId,
        /// Its keyset.
        keyset: Arc<str>,
        /// Its purpose.
        purpose: KeyPurpose,
    },
    /// A protected column needs a key and its keyset has never had one.
    #[error("keyset {keyset} has no {purpose} key: run `candado keys init`")]
    NoKey {
        /// The keyset.
        keyset: Arc<str>,
        /// The purpose.
        purpose: KeyPurpose,
    },
    /// A keyset has more than one active key for a purpose.
    #[error("keyset {keyset} has more than one active {purpose} key")]
    SeveralActiveKeys {
        /// The keyset.
        keyset: Arc<str>,
        /// The purpose.
        purpose: KeyPurpose,
    },
    /// Policy says something of the column that the format cannot do.
    #[error("column {column}: {error}")]
    Column {
        /// The column.
        column: ColumnRef,
        /// What is wrong.
        error: ColumnKeysError,
    },
}

/// A keyset that had keys for a purpose, and has none that is active: its columns are not written until there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "keyset {keyset} has no active {purpose} key: its columns are not written, and what is under its suspended keys is \
     neither read nor searched; `candado keys rotate {keyset} --purpose {purpose}` makes another one"
)]
pub struct Inactive {
    /// The keyset.
    pub keyset: Arc<str>,
    /// The purpose.
    pub purpose: KeyPurpose,
}

/// All keys of a policy's protected columns, ready for use. Immutable, but for what is opened of data subjects' keys; a new
/// state of the key store is a new ring.
pub struct KeyRing {
    policy_version: u64,
    version: u64,
    digest: [u8; 32],
    /// `None` for a column that lost a key which it cannot do without.
    columns: Vec<Option<ColumnKeys>>,
    inactive: Vec<Inactive>,
    /// Keys of single data subjects by keyset. What is open of them belongs to this ring: the next one, which every
    /// change of the key store brings, begins with none.
    subjects: BTreeMap<Arc<str>, Arc<SubjectKeys>>,
}

impl KeyRing {
    /// The keys of a protected column. `None` if the id belongs to another policy snapshot, or if the column lost a key
    /// that it cannot do without: then it is neither read nor written.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnKeys> {
        self.columns.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    /// The keys of single data subjects of a keyset; `None` if it has no subject key that may be used.
    pub fn subjects(&self, keyset: &str) -> Option<&Arc<SubjectKeys>> {
        self.subjects.get(keyset)
    }

    /// The same of every keyset that has any.
    pub fn all_subjects(&self) -> impl Iterator<Item = &Arc<SubjectKeys>> {
        self.subjects.values()
    }

    /// Whether protected columns exist and every one of them lost a key that it cannot do without.
    pub fn serves_nothing(&self) -> bool {
        !self.columns.is_empty() && self.columns.iter().all(Option::is_none)
    }

    /// Keysets of the policy that have no active key for a purpose.
    pub fn inactive(&self) -> &[Inactive] {
        &self.inactive
    }

    /// The policy snapshot whose column ids the ring understands.
    pub fn policy_version(&self) -> u64 {
        self.policy_version
    }

    /// The key store's version (epoch) that the ring was built from.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A digest of ids, keysets, purposes, versions, states and check values of all records and of the columns' stages:
    /// two replicas with equal digests hold the same keys and write the same way. Contains no secret.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("version", &self.version)
            .field("policy_version", &self.policy_version)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// What a secret becomes once its check value is right.
enum Unwrapped {
    Data(DataKey),
    Index(IndexKey),
    Subject(WrappingKey),
    /// Its state allows no use, or no column uses its purpose; the secret is wiped already.
    Nothing,
    /// Its state allows use, and the provider does not open it any more.
    Lost,
}

/// The active subject key of a keyset, and others that open.
type FoundSubjectKeys = (Option<(KeyId, WrappingKey)>, Vec<(KeyId, WrappingKey)>);

struct Entry {
    record: KeyRecord,
    key: Unwrapped,
}

/// Gathers records and secrets and makes a ring of them. Secrets are wiped when it is dropped or has built.
#[derive(Default)]
pub struct RingBuilder {
    entries: BTreeMap<KeyId, Entry>,
    versions: HashSet<(Arc<str>, KeyPurpose, u16)>,
    stages: Stages,
    deployment: Uuid,
}

impl RingBuilder {
    /// A builder without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how far columns are. Without it all are sealed.
    #[must_use]
    pub fn with_stages(mut self, stages: Stages) -> Self {
        self.stages = stages;
        self
    }

    /// Says which deployment wrapped the keys of single data subjects. Without it none of them opens.
    #[must_use]
    pub fn of_deployment(mut self, deployment: Uuid) -> Self {
        self.deployment = deployment;
        self
    }

    /// Adds a key. Its secret is needed where the state allows reading, and ignored elsewhere; it must match the
    /// record's check value.
    pub fn add(&mut self, record: KeyRecord, secret: Option<KeySecret>) -> Result<(), RingError> {
        let key = Self::check(&record, secret)?;
        self.insert(record, key)
    }

    /// Adds a key that was open once and that its provider does not open any more. Columns that write with it, or are
    /// searched by it, are served no longer; one that only reads older values with it goes on without these.
    pub fn add_lost(&mut self, record: KeyRecord) -> Result<(), RingError> {
        self.insert(record, Unwrapped::Lost)
    }

    fn insert(&mut self, record: KeyRecord, key: Unwrapped) -> Result<(), RingError> {
        let version = record.version.get();
        if !self.versions.insert((Arc::clone(&record.keyset), record.purpose, version)) {
            return Err(RingError::DuplicateVersion { keyset: record.keyset, purpose: record.purpose, version });
        }
        let kid = record.kid;
        match self.entries.insert(kid, Entry { record, key }) {
            None => Ok(()),
            Some(_) => Err(RingError::DuplicateKey { kid }),
        }
    }

    fn check(record: &KeyRecord, secret: Option<KeySecret>) -> Result<Unwrapped, RingError> {
        let (kid, purpose) = (record.kid, record.purpose);
        let keyset = || Arc::clone(&record.keyset);
        if !record.state.may_decrypt() {
            return Ok(Unwrapped::Nothing);
        }
        let Some(secret) = secret else { return Err(RingError::NotUnwrapped { kid, keyset: keyset(), purpose }) };
        let Some(kcv) = &record.kcv else { return Err(RingError::NoCheckValue { kid, keyset: keyset(), purpose }) };
        if !secret.has_kcv(kid, purpose, kcv) {
            return Err(RingError::CheckValue { kid, keyset: keyset(), purpose });
        }
        Ok(match purpose {
            KeyPurpose::Data => Unwrapped::Data(DataKey::new(secret)),
            KeyPurpose::Index => Unwrapped::Index(IndexKey::new(secret)),
            KeyPurpose::Subject => Unwrapped::Subject(WrappingKey::new(&secret)),
            KeyPurpose::Audit => Unwrapped::Nothing,
        })
    }

    /// Makes the ring of a policy. `version` is the key store's.
    pub fn build(mut self, policy: &Policy, version: u64) -> Result<KeyRing, RingError> {
        self.check_active()?;
        let digest = self.digest();
        let subjects = self.subjects();
        let columns = (0..)
            .map(ColumnId)
            .zip(policy.columns())
            .map(|(id, column)| self.column_keys(id, column, subjects.get(&column.keyset)))
            .collect::<Result<_, _>>()?;
        let inactive = self.inactive(policy)?;
        Ok(KeyRing { policy_version: policy.version(), version, digest, columns, inactive, subjects })
    }

    /// Keysets without an active key. One that never had a key is no keyset that somebody braked: there is no ring then.
    fn inactive(&self, policy: &Policy) -> Result<Vec<Inactive>, RingError> {
        let mut inactive = Vec::new();
        for column in policy.columns() {
            let index = column.index.as_ref().map(|_| KeyPurpose::Index);
            let subject = column.subject.as_ref().map(|_| KeyPurpose::Subject);
            for purpose in [Some(KeyPurpose::Data), index, subject].into_iter().flatten() {
                let found = Inactive { keyset: Arc::clone(&column.keyset), purpose };
                let records = self.entries.values().map(|entry| &entry.record);
                let family = records.filter(|record| record.keyset == found.keyset && record.purpose == purpose);
                let states: Vec<KeyState> = family.map(|record| record.state).collect();
                if states.is_empty() {
                    return Err(RingError::NoKey { keyset: found.keyset, purpose });
                }
                if !states.into_iter().any(KeyState::may_encrypt) && !inactive.contains(&found) {
                    inactive.push(found);
                }
            }
        }
        Ok(inactive)
    }

    /// Takes the subject keys out, by keyset.
    fn subjects(&mut self) -> BTreeMap<Arc<str>, Arc<SubjectKeys>> {
        let mut found: BTreeMap<Arc<str>, FoundSubjectKeys> = BTreeMap::new();
        for Entry { record, key } in self.entries.values_mut() {
            if !matches!(key, Unwrapped::Subject(_)) {
                continue;
            }
            if let Unwrapped::Subject(key) = std::mem::replace(key, Unwrapped::Nothing) {
                let (active, others) = found.entry(Arc::clone(&record.keyset)).or_default();
                if record.state.may_encrypt() {
                    *active = Some((record.kid, key));
                } else {
                    others.push((record.kid, key));
                }
            }
        }
        let deployment = self.deployment.into_bytes();
        found
            .into_iter()
            .map(|(keyset, (active, others))| {
                (Arc::clone(&keyset), Arc::new(SubjectKeys::new(deployment, keyset, active, others)))
            })
            .collect()
    }

    fn check_active(&self) -> Result<(), RingError> {
        let mut seen = HashSet::new();
        for Entry { record, .. } in self.entries.values().filter(|entry| entry.record.state == KeyState::Active) {
            if !seen.insert((&record.keyset, record.purpose)) {
                let keyset = Arc::clone(&record.keyset);
                return Err(RingError::SeveralActiveKeys { keyset, purpose: record.purpose });
            }
        }
        Ok(())
    }

    /// The keys of a column; `None` if one is lost that it cannot do without. Look-ups take every index key: without one
    /// of them rows would be missed. A retired one is proven to be in no row.
    fn column_keys(
        &self,
        id: ColumnId,
        column: &ProtectedColumn,
        subjects: Option<&Arc<SubjectKeys>>,
    ) -> Result<Option<ColumnKeys>, RingError> {
        let mut keys = IndexKeys::All;
        let (mut data, mut readable, mut barred) = (None, Vec::new(), Vec::new());
        let (mut index, mut searchable) = (None, Vec::new());
        for entry in self.entries.values().filter(|entry| entry.record.keyset == column.keyset) {
            let record = &entry.record;
            let writes = record.state.may_encrypt();
            match &entry.key {
                Unwrapped::Data(key) if writes => data = Some((record.kid, key)),
                Unwrapped::Data(key) => readable.push((record.kid, key)),
                Unwrapped::Index(key) if writes => index = Some((IndexVersion(record.version), key)),
                Unwrapped::Index(key) => searchable.push((IndexVersion(record.version), key)),
                // Reading goes on for as long as nothing has to be opened with it.
                Unwrapped::Lost if record.purpose == KeyPurpose::Subject && (!writes || column.subject.is_none()) => {}
                Unwrapped::Lost if record.purpose == KeyPurpose::Data && !writes => barred.push(record.kid),
                Unwrapped::Lost if record.purpose != KeyPurpose::Index || column.index.is_some() => return Ok(None),
                Unwrapped::Lost => {}
                Unwrapped::Nothing if record.purpose == KeyPurpose::Data => barred.push(record.kid),
                Unwrapped::Nothing if record.purpose == KeyPurpose::Index && record.state == KeyState::Suspended => {
                    keys = IndexKeys::SomeBarred;
                }
                Unwrapped::Subject(_) | Unwrapped::Nothing => {}
            }
        }
        if index.is_none() && searchable.is_empty() {
            keys = IndexKeys::SomeBarred;
        }
        let index = column.index.as_ref().map(|_| IndexMaterial { active: index, readable: searchable, keys });
        // Without an active subject key nobody's values can be sealed; what the data key sealed is still read.
        let is_braked = column.subject.is_some() && subjects.is_none_or(|subjects| subjects.active().is_none());
        let active = if is_braked {
            readable.extend(data);
            None
        } else {
            data
        };
        let stage = self.stages.get(&column.context).copied().unwrap_or_default();
        ColumnKeys::new(id, column, &DataMaterial { active, readable, barred }, index.as_ref())
            .map(|keys| {
                let keys = keys.at(stage);
                Some(match subjects {
                    Some(subjects) => keys.with_subjects(subjects.clone()),
                    None => keys,
                })
            })
            .map_err(|error| RingError::Column { column: column.column.clone(), error })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"candado/v1/ring");
        for Entry { record, key } in self.entries.values() {
            if matches!(key, Unwrapped::Lost) {
                hash.update(b"lost");
            }
            hash.update(record.kid.number().to_be_bytes());
            for text in [&*record.keyset, record.purpose.name(), record.state.name()] {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
            hash.update(record.version.get().to_be_bytes());
            hash.update([u8::from(record.kcv.is_some())]);
            hash.update(record.kcv.unwrap_or_default());
        }
        for (context, stage) in &self.stages {
            for text in [&**context, stage.name()] {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
        }
        hash.finalize().into()
    }
}

impl fmt::Debug for RingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBuilder").field("keys", &self.entries.len()).finish_non_exhaustive()
    }
}
