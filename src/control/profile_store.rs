//! Profiles and exceptions of the statement firewall in schema `candado`: reading them, and adding what a proxy has learned.
//!
//! What people do with them is module `acts`'s. Digests, shapes and normalised texts pass through here, never a statement.

mod acts;
mod list;

use std::collections::HashMap;
use std::sync::Arc;

use super::{ControlError, KeyStore, Session};
use crate::firewall::Digest;
use crate::firewall::profile::{Exceptions, Growth, Place, Profile, Shape, Sighting};
pub use acts::{Exception, ProfileActs, ProfileError};
pub use list::{ListedException, ListedProfile};

/// Digests that one profile holds at most; what comes later is not learned.
pub(super) const DIGESTS_MAX: usize = 10_000;

/// The firewall's tables of one deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProfileStore {
    store: KeyStore,
}

/// Profiles that were read before, by their ids: those with an unchanged version are not read again.
pub(super) type Held = HashMap<u32, (u64, Arc<Profile>)>;

/// Everything, as of one moment.
#[derive(Debug)]
pub(super) struct StoredProfiles {
    pub(super) profiles: HashMap<Place, Arc<Profile>>,
    pub(super) exceptions: HashMap<Box<str>, Exceptions>,
}

/// What became of sightings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// They are stored.
    Stored,
    /// The profile is frozen and takes nothing.
    Frozen,
}

/// Id, account, database, whether it is frozen, version.
type ProfileRow = (u32, String, String, bool, u64);

impl ProfileStore {
    /// The tables beside a key store.
    pub fn new(store: KeyStore) -> Self {
        Self { store }
    }

    async fn session(&self, doing: &'static str) -> Result<Session, ControlError> {
        self.store.session(doing).await
    }

    /// Reads what has changed. `held` is brought up to date.
    pub(super) async fn load(&self, held: &mut Held) -> Result<StoredProfiles, ControlError> {
        let mut session = self.session("read the firewall's profiles").await?;
        session.control("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        let rows = self.rows(&mut session).await?;
        let mut now = Held::new();
        let mut profiles = HashMap::new();
        for (id, account, database, frozen, version) in rows {
            let kept = held.get(&id).filter(|(kept, _)| *kept == version).map(|(_, profile)| profile.clone());
            let profile = match kept {
                Some(profile) => profile,
                None => {
                    let growth = if frozen { Growth::Frozen } else { Growth::Learning };
                    session.renew();
                    Arc::new(Profile::new(growth, self.digests(&mut session, id).await?))
                }
            };
            now.insert(id, (version, profile.clone()));
            profiles.insert(Place { account: account.into(), database: database.into() }, profile);
        }
        let exceptions = self.exceptions_now(&mut session).await?;
        session.control("COMMIT").await?;
        *held = now;
        Ok(StoredProfiles { profiles, exceptions })
    }

    async fn rows(&self, session: &mut Session) -> Result<Vec<ProfileRow>, ControlError> {
        let sql = format!(
            "SELECT profile_id, account, database_name, frozen_at IS NOT NULL, version FROM {}.firewall_profile \
             ORDER BY profile_id",
            self.store.schema
        );
        session.rows(&sql).await
    }

    async fn digests(&self, session: &mut Session, id: u32) -> Result<Vec<(Digest, Option<Shape>)>, ControlError> {
        let sql = format!("SELECT digest, shape FROM {}.firewall_digest WHERE profile_id = ?", self.store.schema);
        let rows: Vec<(Vec<u8>, String)> = session.rows_with(&sql, (id,)).await?;
        rows.into_iter().map(|(bytes, shape)| Ok((digest(bytes)?, Shape::parse(&shape)))).collect()
    }

    async fn exceptions_now(&self, session: &mut Session) -> Result<HashMap<Box<str>, Exceptions>, ControlError> {
        let sql = format!(
            "SELECT account, digest FROM {}.firewall_exception \
             WHERE expires_at IS NULL OR expires_at > UTC_TIMESTAMP(6)",
            self.store.schema
        );
        let rows: Vec<(String, Vec<u8>)> = session.rows(&sql).await?;
        let mut exceptions: HashMap<Box<str>, Exceptions> = HashMap::new();
        for (account, bytes) in rows {
            exceptions.entry(account.into()).or_default().insert(digest(bytes)?);
        }
        Ok(exceptions)
    }

    /// Stores sightings of one place, in one transaction. `fresh` are those that the profile may not have yet.
    ///
    /// The profile's row is locked first: nothing is added behind the back of somebody who freezes it.
    pub(super) async fn learn(
        &self,
        place: &Place,
        fresh: &[(Arc<Sighting>, u64)],
        known: &[(Arc<Sighting>, u64)],
    ) -> Result<Learned, ControlError> {
        let mut session = self.session("store what the firewall has learned").await?;
        session.control("START TRANSACTION").await?;
        let id = if fresh.is_empty() {
            self.id_of(&mut session, place).await?.filter(|(_, frozen)| !frozen).map(|(id, _)| id)
        } else {
            self.growing(&mut session, place).await?
        };
        let Some(id) = id else {
            session.control("ROLLBACK").await?;
            return Ok(Learned::Frozen);
        };
        for (sighting, count) in known {
            self.count(&mut session, id, sighting.digest, *count).await?;
        }
        let insert = format!(
            "INSERT INTO {}.firewall_digest (profile_id, digest, normal_text, shape, first_seen, seen) \
             VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6), ?)",
            self.store.schema
        );
        for (sighting, count) in fresh {
            // Another proxy may have brought it. MariaDB lets ON DUPLICATE KEY UPDATE pass only with more privileges.
            if self.count(&mut session, id, sighting.digest, *count).await? {
                continue;
            }
            let shape = sighting.shape.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            session.change(&insert, (id, sighting.digest.0.to_vec(), &*sighting.text, shape, *count)).await?;
        }
        session.control("COMMIT").await?;
        Ok(Learned::Stored)
    }

    /// Adds to the count of a digest; whether the profile has it.
    async fn count(&self, session: &mut Session, id: u32, digest: Digest, count: u64) -> Result<bool, ControlError> {
        let update = format!(
            "UPDATE {}.firewall_digest SET seen = seen + ? WHERE profile_id = ? AND digest = ?",
            self.store.schema
        );
        session.renew();
        Ok(session.change(&update, (count, id, digest.0.to_vec())).await?.rows > 0)
    }

    /// The id of a profile that takes digests, its row locked and its version raised; made if there is none. `None` if
    /// it is frozen.
    async fn growing(&self, session: &mut Session, place: &Place) -> Result<Option<u32>, ControlError> {
        let schema = &self.store.schema;
        let update = format!(
            "UPDATE {schema}.firewall_profile SET version = version + 1 \
             WHERE account = ? AND database_name = ? AND frozen_at IS NULL"
        );
        if session.change(&update, (&*place.account, &*place.database)).await?.rows == 0 {
            if self.id_of(session, place).await?.is_some() {
                return Ok(None);
            }
            let insert = format!(
                "INSERT INTO {schema}.firewall_profile (account, database_name, created_at) \
                 VALUES (?, ?, UTC_TIMESTAMP(6))"
            );
            session.change(&insert, (&*place.account, &*place.database)).await?;
        }
        Ok(self.id_of(session, place).await?.map(|(id, _)| id))
    }

    /// Id of a profile, and whether it is frozen.
    async fn id_of(&self, session: &mut Session, place: &Place) -> Result<Option<(u32, bool)>, ControlError> {
        let sql = format!(
            "SELECT profile_id, frozen_at IS NOT NULL FROM {}.firewall_profile \
             WHERE account = ? AND database_name = ?",
            self.store.schema
        );
        let rows: Vec<(u32, bool)> = session.rows_with(&sql, (&*place.account, &*place.database)).await?;
        Ok(rows.into_iter().next())
    }
}

fn digest(bytes: Vec<u8>) -> Result<Digest, ControlError> {
    bytes.try_into().map(Digest).map_err(|_| ControlError::Malformed { what: "a digest of the firewall" })
}
