//! What people read of profiles: how far they have grown, what they hold, and what is allowed beside them.

use std::collections::HashMap;

use serde::Serialize;

use super::{ProfileStore, digest};
use crate::control::ControlError;
use crate::firewall::profile::entry::ProfileEntry;
use crate::firewall::profile::{Place, Shape};
use crate::policy::Account;

/// Hours of which [`ListedProfile`] tells how many digests were new.
pub(super) const HOURS: usize = 24;

/// A profile as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedProfile {
    /// The account, `user@host`.
    pub account: String,
    /// The database; empty where none is chosen.
    pub database: String,
    /// Since when it is frozen.
    pub frozen_at: Option<String>,
    /// When its first digest came.
    pub created_at: String,
    /// Digests that are known.
    pub digests: u64,
    /// Statements of them that were seen while it took digests.
    pub seen: u64,
    /// Digests that were seen first in each of the last 24 hours, the newest first: few and then none say that the
    /// profile is ripe.
    pub new_by_hour: Vec<u64>,
}

impl ListedProfile {
    /// The account in its two halves.
    pub fn named(&self) -> Account {
        let (user, host) = self.account.rsplit_once('@').unwrap_or((&self.account, ""));
        Account { user: user.into(), host: host.into() }
    }
}

/// An exception as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedException {
    /// The account, `user@host`.
    pub account: String,
    /// The digest.
    pub digest: String,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub author: String,
    /// Since when.
    pub allowed_at: String,
    /// Until when; `None` for good.
    pub expires_at: Option<String>,
    /// Whether it is over.
    pub expired: bool,
}

/// Id, account, database, frozen at, created at, digests, seen.
type ProfileRow = (u32, String, String, Option<String>, String, u64, u64);
/// Account, database, digest, text, shape, first seen, seen.
type EntryRow = (String, String, Vec<u8>, String, String, String, u64);
/// Account, digest, reason, author, allowed at, expires at, expired.
type ExceptionRow = (String, String, String, String, String, Option<String>, bool);

impl ProfileStore {
    /// All profiles.
    pub async fn list(&self) -> Result<Vec<ListedProfile>, ControlError> {
        let mut session = self.session("list the firewall's profiles").await?;
        let schema = &self.store.schema;
        let sql = format!(
            "SELECT p.profile_id, p.account, p.database_name, {}, {}, CAST(COUNT(d.digest) AS UNSIGNED), \
             CAST(COALESCE(SUM(d.seen), 0) AS UNSIGNED) FROM {schema}.firewall_profile p \
             LEFT JOIN {schema}.firewall_digest d ON d.profile_id = p.profile_id \
             GROUP BY p.profile_id, p.account, p.database_name, p.frozen_at, p.created_at \
             ORDER BY p.account, p.database_name",
            time("p.frozen_at"),
            time("p.created_at"),
        );
        let rows: Vec<ProfileRow> = session.rows(&sql).await?;
        let sql = format!(
            "SELECT profile_id, CAST(hour AS UNSIGNED), CAST(COUNT(*) AS UNSIGNED) FROM (SELECT profile_id, \
             GREATEST(TIMESTAMPDIFF(HOUR, first_seen, UTC_TIMESTAMP(6)), 0) AS hour FROM {schema}.firewall_digest \
             WHERE first_seen > UTC_TIMESTAMP(6) - INTERVAL {HOURS} HOUR) recent GROUP BY profile_id, hour"
        );
        let hours: Vec<(u32, u64, u64)> = session.rows(&sql).await?;
        let mut by_hour: HashMap<u32, Vec<u64>> = HashMap::new();
        for (id, hour, count) in hours {
            let counts = by_hour.entry(id).or_insert_with(|| vec![0; HOURS]);
            if let Some(place) = usize::try_from(hour).ok().and_then(|hour| counts.get_mut(hour)) {
                *place = count;
            }
        }
        let profile = |(id, account, database, frozen_at, created_at, digests, seen)| {
            let new_by_hour = by_hour.remove(&id).unwrap_or_else(|| vec![0; HOURS]);
            ListedProfile { account, database, frozen_at, created_at, digests, seen, new_by_hour }
        };
        Ok(rows.into_iter().map(profile).collect())
    }

    /// The digests of profiles: of one account or of all, in one database or in all.
    pub async fn export(
        &self,
        account: Option<&str>,
        database: Option<&str>,
    ) -> Result<Vec<ProfileEntry>, ControlError> {
        let mut session = self.session("read the firewall's profiles").await?;
        let schema = &self.store.schema;
        let sql = format!(
            "SELECT p.account, p.database_name, d.digest, d.normal_text, d.shape, {}, d.seen \
             FROM {schema}.firewall_digest d JOIN {schema}.firewall_profile p ON p.profile_id = d.profile_id \
             WHERE (? IS NULL OR p.account = ?) AND (? IS NULL OR p.database_name = ?) \
             ORDER BY p.account, p.database_name, d.normal_text, d.digest",
            time("d.first_seen"),
        );
        let rows: Vec<EntryRow> = session.rows_with(&sql, (account, account, database, database)).await?;
        rows.into_iter()
            .map(|(account, database, bytes, text, shape, first_seen, seen)| {
                let place = Place { account: account.into(), database: database.into() };
                let shape = Shape::parse(&shape);
                Ok(ProfileEntry { place, digest: digest(bytes)?, text, shape, first_seen, seen })
            })
            .collect()
    }

    /// All exceptions, those that are over included.
    pub async fn exceptions(&self) -> Result<Vec<ListedException>, ControlError> {
        let mut session = self.session("list the firewall's exceptions").await?;
        let sql = format!(
            "SELECT account, LOWER(HEX(digest)), reason, author, {}, {}, \
             COALESCE(expires_at <= UTC_TIMESTAMP(6), 0) FROM {}.firewall_exception ORDER BY account, allowed_at",
            time("allowed_at"),
            time("expires_at"),
            self.store.schema,
        );
        let rows: Vec<ExceptionRow> = session.rows(&sql).await?;
        let exception = |(account, digest, reason, author, allowed_at, expires_at, expired)| ListedException {
            account,
            digest,
            reason,
            author,
            allowed_at,
            expires_at,
            expired,
        };
        Ok(rows.into_iter().map(exception).collect())
    }
}

/// A time as people and machines read it.
fn time(expression: &str) -> String {
    format!("DATE_FORMAT({expression}, '%Y-%m-%dT%H:%i:%sZ')")
}
