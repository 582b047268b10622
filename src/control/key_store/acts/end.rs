//! The end of a key: retired once it is proven that no row needs it, destroyed after a time of grace and a second proof.
//! And the end of a whole keyset without any proof, which is an erasure.
//!
//! What a proof is: a finished scan of one column (`candado column verify` records it) that began after the last proxy
//! can have written under the key, is fresh, and counted no cell with the key's id. One is needed for every column of
//! policy that uses the keyset.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{AUDIT_KEYSET, ActError, By, Change, ControlError, Done, Family, Header, KeyStore, Run, Session};
use crate::control::approval::{GuardedAct, Request};
use crate::control::key_store::fence::last_arrival;
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{Act, KeyState, Siblings};
use crate::policy::Policy;

/// The server's code for a table that does not exist.
const NO_SUCH_TABLE: u16 = 1146;

/// What must be proven before a key is put aside.
#[derive(Clone, Debug)]
pub struct Proofs<'a> {
    /// Names the columns.
    pub policy: &'a Policy,
    /// How old a proof may be.
    pub age_max: Duration,
    /// How long a statement may be under way from a proxy to the server (`limits.write_timeout_s`).
    pub write_timeout: Duration,
}

/// A column for which no proof holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingProof {
    /// The column as policy names it.
    pub column: String,
    /// What is wrong.
    pub why: WhyNoProof,
}

/// Why nothing is proven about a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNoProof {
    /// It was never scanned to the end.
    None,
    /// The scan began before every proxy had certainly stopped writing under the key, or while a transaction from before
    /// was open.
    TooEarly,
    /// The scan began too long ago.
    TooOld,
    /// The scan found cells under the key.
    Found {
        /// How many.
        cells: u64,
    },
    /// The record of the scan cannot be read.
    Unreadable,
}

impl fmt::Display for MissingProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, why } = self;
        match why {
            WhyNoProof::None => write!(f, "{column} was never verified; run `candado column verify {column}`"),
            WhyNoProof::TooEarly => {
                write!(
                    f,
                    "{column} was verified before every proxy had stopped writing under the key, or while a transaction \
                     from before was open; verify it again"
                )
            }
            WhyNoProof::TooOld => write!(f, "{column} was verified too long ago; verify it again"),
            WhyNoProof::Found { cells } => write!(
                f,
                "{column} holds {cells} cells under the key; re-encrypt or re-index it (`candado column reencrypt`, \
                 `candado column reindex`) and verify it again"
            ),
            WhyNoProof::Unreadable => write!(f, "the record of the verification of {column} cannot be read"),
        }
    }
}

/// Several of them in one line.
pub(super) fn list(missing: &[MissingProof]) -> String {
    missing.iter().map(MissingProof::to_string).collect::<Vec<_>>().join("; ")
}

/// Backups that hold rows under a key. Times are UTC, `YYYY-MM-DDThh:mm:ssZ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backups {
    /// When the key began to write.
    pub from: String,
    /// When it was certain that no row needed it any more; `None` if that was never proven.
    pub until: Option<String>,
}

impl fmt::Display for Backups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.until {
            Some(until) => write!(f, "backups taken between {} and {until} need this key", self.from),
            None => write!(f, "backups taken since {} need this key", self.from),
        }
    }
}

/// A key that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The act.
    pub done: Done,
    /// Backups that need the key; `None` if it never wrote.
    pub backups: Option<Backups>,
    /// Wraps that were deleted.
    pub wraps_deleted: u64,
}

/// A keyset that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shredded {
    /// The keyset.
    pub keyset: Arc<str>,
    /// Every key that was destroyed.
    pub changes: Vec<Change>,
    /// Wraps that were deleted.
    pub wraps_deleted: u64,
    /// The KEKs that made them, `provider:reference`: as long as they live, a backup of the key store opens.
    pub keks: Vec<String>,
    /// The epoch that tells proxies.
    pub epoch: u64,
}

/// Activation, then whether it ever wrote, seconds in the state.
type TimesRow = (String, bool, u64);
/// When the scan finished, whether it began late enough, whether it is fresh, counts by key id, counts by index version.
type ProofRow = (String, bool, bool, Option<String>, Option<String>);

impl KeyStore {
    /// Puts keys aside that no row needs: all of them, or none. They can be restored.
    pub async fn retire_keys(
        &self,
        kids: &[KeyId],
        proofs: &Proofs<'_>,
        run: Run,
        by: By<'_>,
    ) -> Result<Vec<Ending>, ActError> {
        self.transaction("retire keys", run, async |session, header| {
            let (before, mut header) = (header, header);
            let mut endings = Vec::new();
            for kid in kids.iter().copied() {
                let family = self.family_of(session, kid).await?;
                let changes = family.siblings().apply(kid, Act::Retire)?;
                self.all_replicas(session, before).await?;
                let until = self.needless(session, &family, kid, proofs).await?;
                let act = (GuardedAct::Retire, kid, changes);
                let ending = self.finish(session, header, &family, act, until, by).await?;
                header.epoch = ending.done.epoch;
                endings.push(ending);
            }
            Ok(endings)
        })
        .await
    }

    /// Deletes the wraps of a key. A key that never wrote needs no proof and no grace; any other must have been retired
    /// or suspended for `grace`, and no row may need it.
    pub async fn destroy_key(
        &self,
        kid: KeyId,
        proofs: &Proofs<'_>,
        grace: Duration,
        run: Run,
        by: By<'_>,
    ) -> Result<Ending, ActError> {
        self.transaction("destroy a key", run, async |session, header| {
            let family = self.family_of(session, kid).await?;
            let changes = family.siblings().apply(kid, Act::Destroy)?;
            let (_, wrote, passed_s) = self.times(session, kid).await?;
            let mut until = None;
            if wrote {
                let grace_s = grace.as_secs();
                if passed_s < grace_s {
                    let state = family.row(kid)?.state;
                    return Err(ActError::Grace { kid, state, passed_s, grace_s });
                }
                self.all_replicas(session, header).await?;
                until = self.needless(session, &family, kid, proofs).await?;
            }
            self.finish(session, header, &family, (GuardedAct::Destroy, kid, changes), until, by).await
        })
        .await
    }

    /// Destroys all keys of a keyset, whatever state they are in and whatever rows need them.
    pub async fn shred_keyset(&self, keyset: &str, run: Run, by: By<'_>) -> Result<Shredded, ActError> {
        if keyset == AUDIT_KEYSET {
            return Err(ActError::Reserved { keyset: keyset.into() });
        }
        self.transaction("shred a keyset", run, async |session, header| {
            let id = self.keyset_id(session, keyset).await?;
            let keyset: Arc<str> = keyset.into();
            let keks = self.keks_of(session, id).await?;
            let subject = format!("keyset {keyset}");
            let wanted =
                Request { act: GuardedAct::Shred, subject: subject.clone(), epoch: header.epoch, row_version: 0 };
            let approved = self.approval(session, wanted, by).await?;
            let (mut changes, mut wraps_deleted) = (Vec::new(), 0_u64);
            for purpose in [KeyPurpose::Data, KeyPurpose::Index, KeyPurpose::Subject, KeyPurpose::Audit] {
                let family = self.family(session, id, keyset.clone(), purpose).await?;
                let destroyed = Siblings::shred(&family.siblings())?;
                self.carry_out(session, &family, &destroyed, Some(&approved), by).await?;
                for change in &destroyed {
                    wraps_deleted = wraps_deleted.saturating_add(self.delete_wraps(session, change.kid).await?);
                }
                changes.extend(destroyed);
            }
            let subjects = self.erase_subjects(session, id).await?;
            let before = json!({ "keks": keks, "wraps": wraps_deleted, "subject_keys": subjects });
            let after = json!({ "approval": approved.facts() });
            by.record(session, "keyset.shred", subject, before, after).await?;
            let epoch = self.raise_epoch(session, header.epoch).await?;
            Ok(Shredded { keyset, changes, wraps_deleted, keks, epoch })
        })
        .await
    }

    async fn finish(
        &self,
        session: &mut Session,
        header: Header,
        family: &Family,
        (act, kid, changes): (GuardedAct, KeyId, Vec<Change>),
        until: Option<String>,
        by: By<'_>,
    ) -> Result<Ending, ActError> {
        let approved = self.approved(session, header, family, kid, act, by).await?;
        let (from, wrote, _) = self.times(session, kid).await?;
        self.carry_out(session, family, &changes, Some(&approved), by).await?;
        let destroyed = changes.iter().any(|change| change.to == KeyState::Destroyed);
        let wraps_deleted = if destroyed { self.delete_wraps(session, kid).await? } else { 0 };
        let done = self.done(session, header, family, kid, changes).await?;
        let backups = wrote.then_some(Backups { from, until });
        Ok(Ending { done, backups, wraps_deleted })
    }

    async fn delete_wraps(&self, session: &mut Session, kid: KeyId) -> Result<u64, ActError> {
        let sql = format!("DELETE FROM {}.wrapped_key WHERE kid = ?", self.schema);
        Ok(session.change(&sql, (kid.number(),)).await?.rows)
    }

    async fn keks_of(&self, session: &mut Session, keyset_id: u32) -> Result<Vec<String>, ActError> {
        let sql = format!(
            "SELECT DISTINCT CONCAT(w.provider, ':', w.kek_ref) AS kek FROM {schema}.wrapped_key w \
             JOIN {schema}.data_key k ON k.kid = w.kid WHERE k.keyset_id = ? ORDER BY kek",
            schema = self.schema
        );
        Ok(session.rows_with(&sql, (keyset_id,)).await?)
    }

    /// Since when the key wrote (or existed, if it never did), whether it ever wrote, and how long it has been in its
    /// state.
    async fn times(&self, session: &mut Session, kid: KeyId) -> Result<TimesRow, ActError> {
        let sql = format!(
            "SELECT DATE_FORMAT(COALESCE(activated_at, created_at), '%Y-%m-%dT%H:%i:%sZ'), activated_at IS NOT NULL, \
             CAST(GREATEST(0, TIMESTAMPDIFF(SECOND, COALESCE(changed_at, activated_at, created_at), \
             UTC_TIMESTAMP(6))) AS UNSIGNED) FROM {}.data_key WHERE kid = ?",
            self.schema
        );
        let rows: Vec<TimesRow> = session.rows_with(&sql, (kid.number(),)).await?;
        Ok(rows.into_iter().next().ok_or(ControlError::Malformed { what: "a key's times" })?)
    }

    /// Proof that nothing needs the key, and since when.
    async fn needless(
        &self,
        session: &mut Session,
        family: &Family,
        kid: KeyId,
        proofs: &Proofs<'_>,
    ) -> Result<Option<String>, ActError> {
        match family.purpose {
            KeyPurpose::Subject => self.wraps_no_subject(session, kid).await.map(Some),
            KeyPurpose::Data | KeyPurpose::Index | KeyPurpose::Audit => self.proven(session, family, kid, proofs).await,
        }
    }

    /// Since when no column holds the key: the end of the last of the scans that prove it.
    async fn proven(
        &self,
        session: &mut Session,
        family: &Family,
        kid: KeyId,
        proofs: &Proofs<'_>,
    ) -> Result<Option<String>, ActError> {
        let columns = proofs.policy.columns().iter().filter(|column| column.keyset == family.keyset);
        let (mut missing, mut until) = (Vec::new(), None);
        let mut count = 0_usize;
        for column in columns {
            count = count.saturating_add(1);
            let proof = self.proof(session, family, kid, &column.context, proofs).await;
            match proof {
                Ok(Ok(finished)) => until = until.max(Some(finished)),
                Ok(Err(why)) => missing.push(MissingProof { column: column.column.to_string(), why }),
                // The table of proofs is missing, and the connection is closed: nothing was ever verified.
                Err(ActError::Store(ControlError::Refused { code: NO_SUCH_TABLE, .. })) => {
                    let why = WhyNoProof::None;
                    missing.push(MissingProof { column: column.column.to_string(), why });
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if count == 0 {
            return Err(ActError::NoColumns { keyset: family.keyset.clone() });
        }
        if missing.is_empty() { Ok(until) } else { Err(ActError::NotProven { kid, missing }) }
    }

    /// Looks at the newest finished scan of a column. An older one that found nothing counts for nothing if a newer one
    /// found something.
    async fn proof(
        &self,
        session: &mut Session,
        family: &Family,
        kid: KeyId,
        context: &str,
        proofs: &Proofs<'_>,
    ) -> Result<Result<String, WhyNoProof>, ActError> {
        let sql = format!(
            "SELECT DATE_FORMAT(p.finished_at, '%Y-%m-%dT%H:%i:%sZ'), \
             p.started_at > COALESCE(k.deactivated_at, k.changed_at, k.created_at) + INTERVAL {lease} SECOND, \
             p.started_at > UTC_TIMESTAMP(6) - INTERVAL {age} SECOND, \
             CAST(p.by_kid AS CHAR), CAST(p.by_index_version AS CHAR) \
             FROM {schema}.proof p JOIN {schema}.data_key k ON k.kid = ? \
             WHERE p.context = ? AND p.finished_at IS NOT NULL ORDER BY p.proof_id DESC LIMIT 1",
            schema = self.schema,
            lease = last_arrival(proofs.write_timeout).as_secs(),
            age = proofs.age_max.as_secs(),
        );
        let rows: Vec<ProofRow> = session.rows_with(&sql, (kid.number(), context.as_bytes().to_vec())).await?;
        let Some((finished, late_enough, fresh, by_kid, by_index)) = rows.into_iter().next() else {
            return Ok(Err(WhyNoProof::None));
        };
        let (counts, name) = match family.purpose {
            KeyPurpose::Index => (by_index, family.row(kid)?.version.to_string()),
            KeyPurpose::Data | KeyPurpose::Audit | KeyPurpose::Subject => (by_kid, kid.to_string()),
        };
        Ok(match counts.as_deref().map(serde_json::from_str::<BTreeMap<String, u64>>) {
            None | Some(Err(_)) => Err(WhyNoProof::Unreadable),
            Some(Ok(counts)) => match counts.get(&name).copied().unwrap_or(0) {
                _ if !late_enough => Err(WhyNoProof::TooEarly),
                0 if fresh => Ok(finished),
                0 => Err(WhyNoProof::TooOld),
                cells => Err(WhyNoProof::Found { cells }),
            },
        })
    }
}
