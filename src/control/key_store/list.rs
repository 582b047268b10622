//! `keys list`: what the key store holds, for people. No secrets are in it, wrapped or not.

use super::{ControlError, KeyStore, LEASE};
use crate::crypto::KeyPurpose;
use crate::keys::{Inactive, KeyState};

/// The whole listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyListing {
    /// The deployment id.
    pub deployment: String,
    /// The current epoch.
    pub epoch: u64,
    /// Keys in order of their ids.
    pub keys: Vec<ListedKey>,
    /// Proxies that have reported, most recent first.
    pub replicas: Vec<ListedReplica>,
}

/// One key. Times are UTC, `YYYY-MM-DDThh:mm:ssZ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// Its id.
    pub kid: u32,
    /// Its keyset.
    pub keyset: String,
    /// `data`, `index`, `audit` or `subject`.
    pub purpose: String,
    /// Its version within keyset and purpose.
    pub version: u16,
    /// Its state's name.
    pub state: String,
    /// The key check value in hexadecimal; `None` until a proxy has opened the key.
    pub kcv: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it became active.
    pub activated_at: Option<String>,
    /// When it stopped writing.
    pub deactivated_at: Option<String>,
    /// When it came into its state.
    pub changed_at: String,
    /// The KEKs that wrap it, `provider:reference`, the preferred one first.
    pub keks: Vec<String>,
}

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedReplica {
    /// Its instance id in hexadecimal.
    pub instance: String,
    /// Host and port, as it calls itself.
    pub name: String,
    /// The epoch it works with.
    pub epoch: u64,
    /// Seconds since it was last seen, by the server's clock.
    pub last_seen_seconds: u64,
    /// Its program version.
    pub version: String,
}

/// Id, keyset, purpose, version, state, check value; made, activated, deactivated, came into its state.
type KeyRow = (u32, String, String, u16, String, Option<String>, String, Option<String>, Option<String>, String);

impl ListedReplica {
    /// Whether acts wait for it.
    pub fn living(&self) -> bool {
        self.last_seen_seconds <= LEASE.as_secs()
    }
}

impl KeyListing {
    /// Keysets that had keys for a purpose, and have none that is active.
    pub fn inactive(&self) -> Vec<Inactive> {
        let mut inactive = Vec::new();
        for key in &self.keys {
            let Some(purpose) = KeyPurpose::from_name(&key.purpose) else { continue };
            let found = Inactive { keyset: key.keyset.as_str().into(), purpose };
            let is_active = |other: &ListedKey| {
                other.state == KeyState::Active.name() && (&other.keyset, &other.purpose) == (&key.keyset, &key.purpose)
            };
            if !self.keys.iter().any(is_active) && !inactive.contains(&found) {
                inactive.push(found);
            }
        }
        inactive
    }
}

impl KeyStore {
    /// Reads the listing, as of one moment.
    pub async fn list(&self) -> Result<KeyListing, ControlError> {
        let mut session = self.session("list the key store").await?;
        session.control("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        let (deployment, epoch) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        let schema = &self.schema;
        let keks: Vec<(u32, String)> = session
            .rows(&format!(
                "SELECT kid, CONCAT(provider, ':', kek_ref) FROM {schema}.wrapped_key ORDER BY kid, priority, provider"
            ))
            .await?;
        let rows: Vec<KeyRow> = session
            .rows(&format!(
                "SELECT k.kid, s.name, k.purpose, k.version, k.state, LOWER(HEX(k.kcv)), {}, {}, {}, {} \
                 FROM {schema}.data_key k JOIN {schema}.keyset s ON s.keyset_id = k.keyset_id ORDER BY k.kid",
                time("k.created_at"),
                time("k.activated_at"),
                time("k.deactivated_at"),
                time("COALESCE(k.changed_at, k.activated_at, k.created_at)"),
            ))
            .await?;
        let replicas: Vec<(String, String, u64, u64, String)> = session
            .rows(&format!(
                "SELECT LOWER(HEX(instance_id)), name, loaded_epoch, \
                 CAST(GREATEST(0, TIMESTAMPDIFF(SECOND, last_seen, UTC_TIMESTAMP(6))) AS UNSIGNED), version \
                 FROM {schema}.replica ORDER BY last_seen DESC"
            ))
            .await?;
        session.control("COMMIT").await?;
        let keys = rows
            .into_iter()
            .map(|row: KeyRow| {
                let (kid, keyset, purpose, version, state, kcv, created_at, activated_at, deactivated_at, changed_at) =
                    row;
                let keks = keks.iter().filter(|(of, _)| *of == kid).map(|(_, kek)| kek.clone()).collect();
                ListedKey {
                    kid,
                    keyset,
                    purpose,
                    version,
                    state,
                    kcv,
                    created_at,
                    activated_at,
                    deactivated_at,
                    changed_at,
                    keks,
                }
            })
            .collect();
        let replicas = replicas
            .into_iter()
            .map(|(instance, name, epoch, last_seen_seconds, version)| ListedReplica {
                instance,
                name,
                epoch,
                last_seen_seconds,
                version,
            })
            .collect();
        Ok(KeyListing { deployment: deployment.hyphenated().to_string(), epoch, keys, replicas })
    }
}

/// A time as people and machines read it.
fn time(expression: &str) -> String {
    format!("DATE_FORMAT({expression}, '%Y-%m-%dT%H:%i:%sZ')")
}
