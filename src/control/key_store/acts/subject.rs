//! Acts on keys of single data subjects: one is destroyed so that a person's values become unreadable, and all are wrapped
//! again under a new subject key, after which the old one can be destroyed and old backups of the table open nothing.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{ActError, By, ControlError, KeyStore, Run, Session};
use crate::control::approval::{GuardedAct, Request};
use crate::control::key_store::subjects::BATCH;
use crate::control::key_task::opening;
use crate::crypto::{KeyId, KeyPurpose, SubjectDigest, SubjectKeys, SubjectWrap, WrappingKey};
use crate::keys::{KeyState, Unwrapper};

/// A data subject whose key was destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedSubject {
    /// The keyset.
    pub keyset: Arc<str>,
    /// The key's id, which stands in the person's envelopes.
    pub kid: KeyId,
    /// The subject key that wrapped it.
    pub wrapped_by: KeyId,
    /// Since when the key existed, UTC.
    pub since: String,
    /// The epoch that tells proxies.
    pub epoch: u64,
}

/// What wrapping again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewrappedSubjects {
    /// Keys that were wrapped again.
    pub keys: u64,
    /// The subject key that wraps them now.
    pub wrapped_by: KeyId,
}

/// Keys of data subjects under one subject key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectCount {
    /// The subject key.
    pub wrapped_by: u32,
    /// Keys that live.
    pub living: u64,
    /// Keys that were destroyed while it wrapped them.
    pub erased: u64,
}

impl fmt::Display for SubjectCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wrapped_by, living, erased } = self;
        write!(f, "under key {wrapped_by}: {living} living, {erased} erased")
    }
}

impl KeyStore {
    /// Destroys the key of one data subject. Its row stays, so that no other key is ever made for the person.
    pub async fn shred_subject(
        &self,
        keyset: &str,
        subject: &SubjectDigest,
        run: Run,
        by: By<'_>,
    ) -> Result<ErasedSubject, ActError> {
        self.transaction("destroy the key of a data subject", run, async |session, header| {
            let keyset_id = self.keyset_id(session, keyset).await?;
            let keyset: Arc<str> = keyset.into();
            let (kid, wrapped_by, since, lives) = self.subject_row(session, keyset_id, &keyset, subject).await?;
            if !lives {
                return Err(ActError::SubjectGone { keyset });
            }
            let named = format!("data subject {subject} (keyset {keyset}, key {kid})");
            let wanted =
                Request { act: GuardedAct::Shred, subject: named.clone(), epoch: header.epoch, row_version: 0 };
            let approved = self.approval(session, wanted, by).await?;
            let sql = format!(
                "UPDATE {}.subject_key SET wrapped = NULL, destroyed_at = UTC_TIMESTAMP(6) \
                 WHERE kid = ? AND destroyed_at IS NULL",
                self.schema
            );
            if session.change(&sql, (kid.number(),)).await?.rows != 1 {
                return Err(ActError::Changed { kid });
            }
            let before = json!({ "keyset": &*keyset, "wrapped_by": wrapped_by.number(), "since": since });
            let after = json!({ "approval": approved.facts() });
            by.record(session, "subject.shred", named, before, after).await?;
            let epoch = self.raise_epoch(session, header.epoch).await?;
            Ok(ErasedSubject { keyset, kid, wrapped_by, since, epoch })
        })
        .await
    }

    /// The row of a data subject, locked: id, subject key, since when, and whether the key lives.
    async fn subject_row(
        &self,
        session: &mut Session,
        keyset_id: u32,
        keyset: &Arc<str>,
        subject: &SubjectDigest,
    ) -> Result<(KeyId, KeyId, String, bool), ActError> {
        let sql = format!(
            "SELECT kid, sk_kid, DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%sZ'), destroyed_at IS NULL \
             FROM {}.subject_key WHERE keyset_id = ? AND subject = ? FOR UPDATE",
            self.schema
        );
        let rows: Vec<(u32, u32, String, bool)> = session.rows_with(&sql, (keyset_id, subject.0.to_vec())).await?;
        let unknown = || ActError::UnknownSubject { keyset: keyset.clone() };
        let (kid, wrapped_by, since, lives) = rows.into_iter().next().ok_or_else(unknown)?;
        let id = |number| KeyId::new(number).ok_or(ControlError::Malformed { what: "key id 0" });
        Ok((id(kid)?, id(wrapped_by)?, since, lives))
    }

    /// Destroys the keys of all data subjects of a keyset; returns how many lived.
    pub(super) async fn erase_subjects(&self, session: &mut Session, keyset_id: u32) -> Result<u64, ActError> {
        let sql = format!(
            "UPDATE {}.subject_key SET wrapped = NULL, destroyed_at = UTC_TIMESTAMP(6) \
             WHERE keyset_id = ? AND destroyed_at IS NULL",
            self.schema
        );
        Ok(session.change(&sql, (keyset_id,)).await?.rows)
    }

    /// Proves that no living key of a data subject is wrapped under a subject key, and gives the moment. None can come
    /// back: a key is made only under the subject key that is active, in one statement with the test that it is.
    pub(super) async fn wraps_no_subject(&self, session: &mut Session, kid: KeyId) -> Result<String, ActError> {
        let sql = format!(
            "SELECT COUNT(*), DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%sZ') FROM {}.subject_key \
             WHERE sk_kid = ? AND wrapped IS NOT NULL",
            self.schema
        );
        let rows: Vec<(u64, String)> = session.rows_with(&sql, (kid.number(),)).await?;
        match rows.into_iter().next() {
            Some((0, now)) => Ok(now),
            Some((keys, _)) => Err(ActError::SubjectsLeft { kid, keys }),
            None => Err(ControlError::Malformed { what: "a count" }.into()),
        }
    }

    /// Living and erased data subjects of a keyset, by subject key.
    pub async fn count_subjects(&self, keyset: &str) -> Result<Vec<SubjectCount>, ActError> {
        let mut session = self.session("count data subjects").await?;
        let keyset_id = self.keyset_id(&mut session, keyset).await?;
        let sql = format!(
            "SELECT sk_kid, COUNT(wrapped), COUNT(*) FROM {}.subject_key WHERE keyset_id = ? \
             GROUP BY sk_kid ORDER BY sk_kid",
            self.schema
        );
        let rows: Vec<(u32, u64, u64)> = session.rows_with(&sql, (keyset_id,)).await?;
        let count = |(wrapped_by, living, all): (u32, u64, u64)| SubjectCount {
            wrapped_by,
            living,
            erased: all.saturating_sub(living),
        };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Wraps all living keys of data subjects of a keyset under its active subject key, in batches that each are whole;
    /// run again, it goes on. `progress` hears how many are done. A rehearsal counts and opens the subject keys.
    pub async fn rewrap_subjects(
        &self,
        keyset: &str,
        unwrapper: &Arc<dyn Unwrapper>,
        run: Run,
        by: By<'_>,
        mut progress: impl FnMut(u64),
    ) -> Result<RewrappedSubjects, ActError> {
        let keys = self.open_subject_keys(keyset, unwrapper).await?;
        let active = keys.active().ok_or_else(|| ActError::UnknownSubject { keyset: keyset.into() })?;
        if run == Run::Rehearsal {
            let left = self.count_subjects(keyset).await?;
            let left = left.iter().filter(|count| count.wrapped_by != active.number()).map(|count| count.living);
            return Ok(RewrappedSubjects { keys: left.sum(), wrapped_by: active });
        }
        let mut done = 0_u64;
        loop {
            match self.rewrap_batch(keyset, &keys, active).await? {
                0 => break,
                batch => done = done.saturating_add(batch),
            }
            progress(done);
        }
        if done > 0 {
            let mut session = self.session("record that keys of data subjects were wrapped again").await?;
            session.control("START TRANSACTION").await?;
            let after = json!({ "keys": done, "wrapped_by": active.number() });
            by.record(&mut session, "subject.rewrap", format!("keyset {keyset}"), Value::Null, after).await?;
            session.control("COMMIT").await?;
        }
        Ok(RewrappedSubjects { keys: done, wrapped_by: active })
    }

    async fn open_subject_keys(&self, keyset: &str, unwrapper: &Arc<dyn Unwrapper>) -> Result<SubjectKeys, ActError> {
        let stored = self.load().await?;
        let named: Arc<str> = keyset.into();
        let usable = stored.records.iter().filter(|record| {
            record.keyset == named && record.purpose == KeyPurpose::Subject && record.state.may_decrypt()
        });
        let (mut active, mut others) = (None, Vec::new());
        for record in usable {
            let opened = opening::open(self.clone(), unwrapper.clone(), record.clone(), stored.deployment).await;
            let failed = |source| ActError::SubjectKeys { keyset: named.clone(), source: Box::new(source) };
            let (record, secret) = opened.map_err(failed)?;
            let key = (record.kid, WrappingKey::new(&secret));
            if record.state == KeyState::Active { active = Some(key) } else { others.push(key) }
        }
        Ok(SubjectKeys::new(stored.deployment.into_bytes(), named, active, others))
    }

    /// Wraps some keys again that are under another subject key, all or none; returns how many.
    async fn rewrap_batch(&self, keyset: &str, keys: &SubjectKeys, active: KeyId) -> Result<u64, ActError> {
        let mut session = self.session("wrap keys of data subjects again").await?;
        session.control("START TRANSACTION").await?;
        let sql = format!(
            "SELECT t.kid, t.subject, t.sk_kid, t.wrapped FROM {schema}.subject_key t \
             JOIN {schema}.keyset s ON s.keyset_id = t.keyset_id \
             WHERE s.name = ? AND t.wrapped IS NOT NULL AND t.sk_kid <> ? ORDER BY t.kid LIMIT {BATCH}",
            schema = self.schema
        );
        let rows: Vec<(u32, Vec<u8>, u32, Vec<u8>)> = session.rows_with(&sql, (keyset, active.number())).await?;
        let sql = format!(
            "UPDATE {}.subject_key SET wrapped = ?, sk_kid = ? WHERE kid = ? AND sk_kid = ? AND wrapped IS NOT NULL",
            self.schema
        );
        let mut done = 0_u64;
        for (kid, subject, wrapped_by, blob) in rows {
            let malformed = |what| ControlError::Malformed { what };
            let subject: [u8; 32] = subject.try_into().map_err(|_| malformed("the digest of a data subject"))?;
            let old_key = KeyId::new(wrapped_by).ok_or(malformed("key id 0"))?;
            let old = SubjectWrap { wrapped_by: old_key, blob };
            let new = keys.rewrap(&SubjectDigest(subject), &old);
            let new = new
                .map_err(|source| ActError::SubjectKeys { keyset: keys.keyset().clone(), source: Box::new(source) })?;
            // Somebody may have destroyed it since it was read; then it is left alone.
            session.change(&sql, (new.blob, active.number(), kid, wrapped_by)).await?;
            done = done.saturating_add(1);
        }
        session.control("COMMIT").await?;
        Ok(done)
    }
}
