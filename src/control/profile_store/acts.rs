//! What people do with profiles and exceptions. Each act is one transaction, and an entry of the record of acts in it.

use serde_json::{Value, json};

use super::ProfileStore;
use crate::control::{Actor, ControlError, Entry, Recorder, Session};
use crate::firewall::Digest;
use crate::firewall::profile::Place;
use crate::firewall::profile::entry::ProfileEntry;

/// A digest that an account is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The account, `user@host`.
    pub account: String,
    /// The digest.
    pub digest: Digest,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub author: String,
    /// Until when, as the server reads a time in UTC; `None` for good.
    pub expires_at: Option<String>,
}

/// Why an act was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] ControlError),
    /// Nothing was learned there.
    #[error("there is no profile of account {account} in database `{database}`: see `candado firewall status`")]
    NoProfile {
        /// The account.
        account: String,
        /// The database.
        database: String,
    },
    /// The profile does not have the digest.
    #[error("the profile does not have that digest")]
    NoDigest,
    /// There is no such exception.
    #[error("account {account} has no exception for that digest: see `candado firewall exceptions`")]
    NoException {
        /// The account.
        account: String,
    },
    /// An exception that ends before it begins.
    #[error("an exception ends in the future: --expires says when, or `never`")]
    Over,
}

impl ProfileError {
    /// A word for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "failed",
            Self::NoProfile { .. } => "no-profile",
            Self::NoDigest => "no-digest",
            Self::NoException { .. } => "no-exception",
            Self::Over => "over",
        }
    }
}

/// Acts of one person.
#[derive(Debug)]
pub struct ProfileActs<'a> {
    /// The tables.
    pub store: &'a ProfileStore,
    /// Who.
    pub actor: &'a Actor,
    /// Where it is recorded.
    pub recorder: &'a Recorder,
}

impl ProfileActs<'_> {
    /// Ends a profile's learning. Returns how many digests it has.
    pub async fn freeze(&self, place: &Place) -> Result<u64, ProfileError> {
        self.transaction("freeze a profile", async |session| {
            let (id, before) = self.lock(session, place).await?.ok_or_else(|| no_profile(place))?;
            let schema = self.schema();
            let update = format!(
                "UPDATE {schema}.firewall_profile SET frozen_at = COALESCE(frozen_at, UTC_TIMESTAMP(6)), \
                 version = version + 1 WHERE profile_id = ?"
            );
            session.change(&update, (id,)).await?;
            let select = format!("SELECT COUNT(*) FROM {schema}.firewall_digest WHERE profile_id = ?");
            let counts: Vec<u64> = session.rows_with(&select, (id,)).await?;
            let digests = counts.first().copied().unwrap_or_default();
            let after = json!({ "frozen": true, "digests": digests });
            self.record(session, "firewall.freeze", subject(place), json!({ "frozen": before }), after).await?;
            Ok(digests)
        })
        .await
    }

    /// Lets a profile take digests: a new one, or again one that was frozen.
    pub async fn learn(&self, place: &Place) -> Result<(), ProfileError> {
        self.transaction("let a profile learn", async |session| {
            let before = self.thaw(session, place).await?;
            self.record(session, "firewall.learn", subject(place), before, json!({ "frozen": false })).await
        })
        .await
    }

    async fn thaw(&self, session: &mut Session, place: &Place) -> Result<Value, ProfileError> {
        let schema = self.schema();
        match self.lock(session, place).await? {
            Some((id, frozen)) => {
                let update = format!(
                    "UPDATE {schema}.firewall_profile SET frozen_at = NULL, version = version + 1 WHERE profile_id = ?"
                );
                session.change(&update, (id,)).await?;
                Ok(json!({ "frozen": frozen }))
            }
            None => {
                self.make(session, place).await?;
                Ok(Value::Null)
            }
        }
    }

    /// Takes a digest out of a profile.
    pub async fn forget(&self, place: &Place, digest: Digest) -> Result<(), ProfileError> {
        self.transaction("take a digest out of a profile", async |session| {
            let (id, _) = self.lock(session, place).await?.ok_or_else(|| no_profile(place))?;
            let schema = self.schema();
            let delete = format!("DELETE FROM {schema}.firewall_digest WHERE profile_id = ? AND digest = ?");
            if session.change(&delete, (id, digest.0.to_vec())).await?.rows == 0 {
                return Err(ProfileError::NoDigest);
            }
            self.changed(session, id).await?;
            let before = json!({ "digest": digest.to_string() });
            self.record(session, "firewall.forget", subject(place), before, Value::Null).await
        })
        .await
    }

    /// Allows an account a digest. An earlier exception for it is replaced.
    pub async fn allow(&self, exception: &Exception) -> Result<(), ProfileError> {
        self.transaction("allow a digest", async |session| {
            let Exception { account, digest, reason, author, expires_at } = exception;
            if let Some(end) = expires_at {
                let left: Vec<bool> =
                    session.rows_with("SELECT COALESCE(CAST(? AS DATETIME(6)) > UTC_TIMESTAMP(6), 0)", (end,)).await?;
                if left != [true] {
                    return Err(ProfileError::Over);
                }
            }
            let before = self.exception(session, account, *digest).await?;
            let replace = format!(
                "INSERT INTO {}.firewall_exception (account, digest, reason, author, allowed_at, expires_at) \
                 VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6), ?) ON DUPLICATE KEY UPDATE reason = VALUES(reason), \
                 author = VALUES(author), allowed_at = VALUES(allowed_at), expires_at = VALUES(expires_at)",
                self.schema()
            );
            session.change(&replace, (account, digest.0.to_vec(), reason, author, expires_at)).await?;
            let after = json!({ "reason": reason, "author": author, "expires": expires_at });
            self.record(session, "firewall.allow", of_account(account, *digest), before, after).await
        })
        .await
    }

    /// Takes an exception back.
    pub async fn disallow(&self, account: &str, digest: Digest) -> Result<(), ProfileError> {
        self.transaction("take an exception back", async |session| {
            let before = self.exception(session, account, digest).await?;
            let delete = format!("DELETE FROM {}.firewall_exception WHERE account = ? AND digest = ?", self.schema());
            if session.change(&delete, (account, digest.0.to_vec())).await?.rows == 0 {
                return Err(ProfileError::NoException { account: account.to_owned() });
            }
            self.record(session, "firewall.disallow", of_account(account, digest), before, Value::Null).await
        })
        .await
    }

    /// Adds reviewed digests, to frozen profiles as well. What is there stays; the earlier time and the higher count win.
    /// Returns how many were new.
    pub async fn import(&self, entries: &[ProfileEntry]) -> Result<u64, ProfileError> {
        self.transaction("import profiles", async |session| {
            let mut added = 0;
            let mut places: Vec<&Place> = entries.iter().map(|entry| &entry.place).collect();
            places.sort();
            places.dedup();
            for place in places {
                let id = match self.lock(session, place).await? {
                    Some((id, _)) => id,
                    None => self.make(session, place).await?,
                };
                let mut new = 0;
                for entry in entries.iter().filter(|entry| entry.place == *place) {
                    new += self.put(session, id, entry).await?;
                }
                self.changed(session, id).await?;
                added += new;
                let after = json!({ "added": new });
                self.record(session, "firewall.import", subject(place), Value::Null, after).await?;
            }
            Ok(added)
        })
        .await
    }

    /// 1 if the digest is new to the profile.
    async fn put(&self, session: &mut Session, id: u32, entry: &ProfileEntry) -> Result<u64, ProfileError> {
        let schema = self.schema();
        let key = (id, entry.digest.0.to_vec());
        // DATETIME takes no `T` and no `Z`.
        let first_seen = entry.first_seen.trim_end_matches('Z').replace('T', " ");
        session.renew();
        let select = format!("SELECT seen FROM {schema}.firewall_digest WHERE profile_id = ? AND digest = ?");
        let there: Vec<u64> = session.rows_with(&select, key.clone()).await?;
        if there.is_empty() {
            let insert = format!(
                "INSERT INTO {schema}.firewall_digest (profile_id, digest, normal_text, shape, first_seen, seen) \
                 VALUES (?, ?, ?, ?, ?, ?)"
            );
            let shape = entry.shape.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            session.change(&insert, (key.0, key.1, &entry.text, shape, first_seen, entry.seen)).await?;
            return Ok(1);
        }
        let update = format!(
            "UPDATE {schema}.firewall_digest SET first_seen = LEAST(first_seen, CAST(? AS DATETIME(6))), \
             seen = GREATEST(seen, ?) WHERE profile_id = ? AND digest = ?"
        );
        session.change(&update, (first_seen, entry.seen, key.0, key.1)).await?;
        Ok(0)
    }

    /// Id of a profile, and whether it is frozen. Its row stays locked.
    async fn lock(&self, session: &mut Session, place: &Place) -> Result<Option<(u32, bool)>, ProfileError> {
        let sql = format!(
            "SELECT profile_id, frozen_at IS NOT NULL FROM {}.firewall_profile \
             WHERE account = ? AND database_name = ? FOR UPDATE",
            self.schema()
        );
        let rows: Vec<(u32, bool)> = session.rows_with(&sql, (&*place.account, &*place.database)).await?;
        Ok(rows.into_iter().next())
    }

    async fn make(&self, session: &mut Session, place: &Place) -> Result<u32, ProfileError> {
        let insert = format!(
            "INSERT INTO {}.firewall_profile (account, database_name, created_at) VALUES (?, ?, UTC_TIMESTAMP(6))",
            self.schema()
        );
        session.change(&insert, (&*place.account, &*place.database)).await?;
        Ok(self.lock(session, place).await?.ok_or_else(|| no_profile(place))?.0)
    }

    async fn changed(&self, session: &mut Session, id: u32) -> Result<(), ProfileError> {
        let update =
            format!("UPDATE {}.firewall_profile SET version = version + 1 WHERE profile_id = ?", self.schema());
        session.change(&update, (id,)).await?;
        Ok(())
    }

    async fn exception(&self, session: &mut Session, account: &str, digest: Digest) -> Result<Value, ProfileError> {
        let sql = format!(
            "SELECT reason, author, DATE_FORMAT(expires_at, '%Y-%m-%dT%H:%i:%sZ') FROM {}.firewall_exception \
             WHERE account = ? AND digest = ?",
            self.schema()
        );
        let rows: Vec<(String, String, Option<String>)> = session.rows_with(&sql, (account, digest.0.to_vec())).await?;
        let value = |(reason, author, expires)| json!({ "reason": reason, "author": author, "expires": expires });
        Ok(rows.into_iter().next().map_or(Value::Null, value))
    }

    async fn record(
        &self,
        session: &mut Session,
        act: &'static str,
        subject: String,
        before: Value,
        after: Value,
    ) -> Result<(), ProfileError> {
        let entry = Entry { actor: self.actor.clone(), act, subject, before, after };
        self.recorder.append(session, &entry).await?;
        Ok(())
    }

    /// Runs `work` and commits, or takes everything back if it fails.
    async fn transaction<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, ProfileError>,
    ) -> Result<T, ProfileError> {
        self.store.session(doing).await?.transaction(work).await
    }

    fn schema(&self) -> &str {
        &self.store.store.schema
    }
}

fn no_profile(place: &Place) -> ProfileError {
    ProfileError::NoProfile { account: place.account.to_string(), database: place.database.to_string() }
}

fn subject(place: &Place) -> String {
    format!("profile {} in `{}`", place.account, place.database)
}

fn of_account(account: &str, digest: Digest) -> String {
    format!("digest {digest} of {account}")
}
