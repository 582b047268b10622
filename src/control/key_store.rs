//! The key store in schema `candado`: wrapped keys, their states and the epoch. Only ciphertext and public facts pass
//! through here; opening keys is [`super::key_task`]'s work, and what the states mean is the key ring's.
//!
//! Tables and the accounts that may do what: `keys-policy/schema.sql`.

mod acts;
mod fence;
mod init;
mod list;
mod stage;
mod subjects;

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use uuid::Uuid;

use super::{ControlError, Pool, Session};
use crate::crypto::{KCV_LENGTH, KeyId, KeyPurpose, Stage};
use crate::keys::{KekRef, KeyRecord, KeyState, ProviderKind, Stages, WrappedKey};
pub use acts::{
    ActError, AuditRotation, Backups, By, Carriage, Done, Ending, ErasedSubject, ForeignKeyset, MissingProof, NewKey,
    OldWrap, Proofs, Rewrapped, RewrappedSubjects, Run, Shredded, StoredWrap, SubjectCount, WhyNoProof,
};
pub use fence::{Acknowledged, Behind, Fence, LEASE, Lacks, wait_for_fence};
pub use init::{CreatedKey, InitReport, Initialisation};
pub use list::{KeyListing, ListedKey, ListedReplica};
pub(super) use stage::StageChange;
pub(super) use subjects::{BATCH, StoredSubject};

/// The schema's usual name.
pub const SCHEMA: &str = "candado";

/// Characters of a proxy's name that are kept.
const NAME_CHARS_MAX: usize = 255;

/// Everything that a proxy needs from the key store, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKeys {
    /// The deployment that all wraps are bound to.
    pub deployment: Uuid,
    /// Grows with every change.
    pub epoch: u64,
    /// All keys that ever existed, in order of their ids.
    pub records: Vec<KeyRecord>,
    /// Stages of columns by their context; a column that is not here is sealed.
    pub stages: Stages,
}

/// What a proxy tells about itself at every poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The proxy, the same after a restart.
    pub instance: [u8; 16],
    /// What people call it: host and port.
    pub name: Arc<str>,
    /// This start of it.
    pub boot: [u8; 16],
    /// The epoch it works with.
    pub epoch: u64,
    /// [`crate::keys::KeyRing::digest`] of the ring it made of it.
    pub digest: [u8; 32],
    /// [`crate::policy::Policy::digest`] of the policy that it works with.
    pub policy_digest: [u8; 32],
}

/// Id, keyset, purpose, version, state, check value.
type KeyRow = (u32, String, String, u16, String, Option<Vec<u8>>);

/// The key store of one deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyStore {
    pub(super) pool: Pool,
    /// Quoted, ready to stand in a statement.
    pub(super) schema: Arc<str>,
}

impl KeyStore {
    /// A key store in a schema of the given name, usually [`SCHEMA`].
    pub fn new(pool: Pool, schema: &str) -> Self {
        Self { pool, schema: format!("`{}`", schema.replace('`', "``")).into() }
    }

    /// Reads the epoch: one row by primary key.
    pub async fn epoch(&self) -> Result<u64, ControlError> {
        let mut session = self.session("read the key store's epoch").await?;
        let (_, epoch) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        Ok(epoch)
    }

    /// Reads everything, as of one moment.
    pub async fn load(&self) -> Result<StoredKeys, ControlError> {
        let mut session = self.session("load the key store").await?;
        session.control("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        let (deployment, epoch) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        let records = self.records(&mut session).await?;
        let stages = self.stages(&mut session).await?;
        session.control("COMMIT").await?;
        Ok(StoredKeys { deployment, epoch, records, stages })
    }

    /// Publishes a key check value if the key has none yet, and returns the one that counts. The caller compares.
    pub async fn publish_kcv(&self, kid: KeyId, kcv: [u8; KCV_LENGTH]) -> Result<[u8; KCV_LENGTH], ControlError> {
        let mut session = self.session("publish a key check value").await?;
        let schema = &self.schema;
        let update = format!("UPDATE {schema}.data_key SET kcv = ? WHERE kid = ? AND kcv IS NULL");
        session.change(&update, (kcv.to_vec(), kid.number())).await?;
        let select = format!("SELECT kcv FROM {schema}.data_key WHERE kid = ?");
        let rows: Vec<Option<Vec<u8>>> = session.rows_with(&select, (kid.number(),)).await?;
        let stored = rows.into_iter().next().flatten().and_then(|bytes| bytes.try_into().ok());
        stored.ok_or(ControlError::Malformed { what: "a key without a check value" })
    }

    /// Reports a proxy as alive.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<(), ControlError> {
        let mut session = self.session("report this proxy as alive").await?;
        // VALUES() is the one spelling that both products read.
        let sql = format!(
            "INSERT INTO {}.replica \
             (instance_id, name, boot_id, loaded_epoch, loaded_digest, policy_digest, last_seen, version) \
             VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6), ?) ON DUPLICATE KEY UPDATE \
             name = VALUES(name), boot_id = VALUES(boot_id), loaded_epoch = VALUES(loaded_epoch), loaded_digest = VALUES(loaded_digest), \
             policy_digest = VALUES(policy_digest), last_seen = VALUES(last_seen), version = VALUES(version)",
            self.schema
        );
        let Heartbeat { instance, boot, epoch, digest, policy_digest, .. } = *beat;
        let version = env!("CARGO_PKG_VERSION");
        let name: String = beat.name.chars().take(NAME_CHARS_MAX).collect();
        let params = (instance.to_vec(), name, boot.to_vec(), epoch, digest.to_vec(), policy_digest.to_vec(), version);
        session.change(&sql, params).await?;
        Ok(())
    }

    pub(super) async fn session(&self, doing: &'static str) -> Result<Session, ControlError> {
        self.pool.session(doing, self.pool.operation_timeout).await
    }

    /// Deployment and epoch.
    pub(super) async fn header(&self, session: &mut Session) -> Result<(Uuid, u64), ControlError> {
        let sql = format!("SELECT deployment, epoch FROM {}.epoch WHERE id = 1", self.schema);
        let rows: Vec<(String, u64)> = session.rows(&sql).await?;
        let (deployment, epoch) = rows.into_iter().next().ok_or(ControlError::NotInitialised)?;
        Ok((parse_deployment(&deployment)?, epoch))
    }

    /// All keys that ever existed, with their wraps.
    pub(super) async fn records(&self, session: &mut Session) -> Result<Vec<KeyRecord>, ControlError> {
        let mut wraps = self.wraps(session).await?;
        let sql = format!(
            "SELECT k.kid, s.name, k.purpose, k.version, k.state, k.kcv FROM {schema}.data_key k \
             JOIN {schema}.keyset s ON s.keyset_id = k.keyset_id ORDER BY k.kid",
            schema = self.schema
        );
        let rows: Vec<KeyRow> = session.rows(&sql).await?;
        rows.into_iter()
            .map(|(kid, keyset, purpose, version, state, kcv)| {
                let malformed = |what| ControlError::Malformed { what };
                let kid = KeyId::new(kid).ok_or(malformed("key id 0"))?;
                let kcv = kcv.map(<[u8; KCV_LENGTH]>::try_from).transpose();
                Ok(KeyRecord {
                    kid,
                    keyset: keyset.into(),
                    purpose: KeyPurpose::from_name(&purpose).ok_or(malformed("a key's purpose"))?,
                    version: NonZeroU16::new(version).ok_or(malformed("key version 0"))?,
                    state: KeyState::from_name(&state).ok_or(malformed("a key's state"))?,
                    kcv: kcv.map_err(|_| malformed("a key check value"))?,
                    wraps: wraps.remove(&kid).unwrap_or_default(),
                })
            })
            .collect()
    }

    async fn stages(&self, session: &mut Session) -> Result<Stages, ControlError> {
        let sql = format!("SELECT context, stage FROM {}.column_stage", self.schema);
        let rows: Vec<(Vec<u8>, String)> = session.rows(&sql).await?;
        rows.into_iter()
            .map(|(context, stage)| {
                let malformed = |what| ControlError::Malformed { what };
                let context = String::from_utf8(context).map_err(|_| malformed("a column's context"))?;
                Ok((context.into(), Stage::from_name(&stage).ok_or(malformed("a column's stage"))?))
            })
            .collect()
    }

    /// Wraps by key, the preferred one first. A provider that this program does not know is passed over: another wrap
    /// of the same key may serve.
    async fn wraps(&self, session: &mut Session) -> Result<HashMap<KeyId, Vec<WrappedKey>>, ControlError> {
        let sql = format!(
            "SELECT kid, provider, kek_ref, wrapped FROM {}.wrapped_key ORDER BY kid, priority, provider, kek_ref",
            self.schema
        );
        let rows: Vec<(u32, String, String, Vec<u8>)> = session.rows(&sql).await?;
        let mut wraps: HashMap<KeyId, Vec<WrappedKey>> = HashMap::new();
        for (kid, provider, reference, blob) in rows {
            let kid = KeyId::new(kid).ok_or(ControlError::Malformed { what: "key id 0" })?;
            let Some(provider) = ProviderKind::from_name(&provider) else {
                tracing::warn!(%kid, provider, "wrap of a provider that this version does not know");
                continue;
            };
            wraps.entry(kid).or_default().push(WrappedKey { kek: KekRef::new(provider, reference), blob });
        }
        Ok(wraps)
    }
}

fn parse_deployment(text: &str) -> Result<Uuid, ControlError> {
    Uuid::parse_str(text).map_err(|_| ControlError::Malformed { what: "the deployment id" })
}
