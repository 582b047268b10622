//! The keys of single data subjects, wrapped: a row for each, which stays when the key is destroyed, so that none is ever
//! made again for the same person. Opening and making keys is the caller's work, with a key ring.

use std::fmt::Write as _;

use super::{ControlError, KeyStore, Session};
use crate::crypto::{KeyId, SubjectDigest, SubjectKeys, SubjectWrap};

/// Keys that one statement asks for or stores.
pub(in crate::control) const BATCH: usize = 500;

/// One stored key of a data subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct StoredSubject {
    pub(in crate::control) kid: KeyId,
    pub(in crate::control) keyset: String,
    pub(in crate::control) subject: SubjectDigest,
    /// `None`: destroyed.
    pub(in crate::control) wrap: Option<SubjectWrap>,
}

/// Id, keyset, digest, subject key, wrap.
type SubjectRow = (u32, String, Vec<u8>, u32, Option<Vec<u8>>);

impl KeyStore {
    /// The keys of these ids, as far as they exist. At most [`BATCH`].
    pub(in crate::control) async fn subjects_by_kid(&self, kids: &[KeyId]) -> Result<Vec<StoredSubject>, ControlError> {
        let list: Vec<String> = kids.iter().take(BATCH).map(KeyId::to_string).collect();
        let mut session = self.session("read keys of data subjects").await?;
        self.subject_rows(&mut session, &format!("t.kid IN ({})", list.join(", "))).await
    }

    /// The keys of these data subjects of a keyset, as far as they have any. At most [`BATCH`].
    pub(in crate::control) async fn subjects_of(
        &self,
        keyset: &str,
        subjects: &[SubjectDigest],
    ) -> Result<Vec<StoredSubject>, ControlError> {
        let list: Vec<String> = subjects.iter().take(BATCH).map(|subject| format!("x'{subject}'")).collect();
        let mut session = self.session("read keys of data subjects").await?;
        let name = data_encoding::HEXLOWER.encode(keyset.as_bytes());
        let condition = format!("s.name = CONVERT(x'{name}' USING ascii) AND t.subject IN ({})", list.join(", "));
        self.subject_rows(&mut session, &condition).await
    }

    /// Makes keys for data subjects that have none, under the subject key that is active in the database as well as in
    /// the ring: a proxy that has not heard of a rotation makes none. Of several that make one, the first one's stays. Under
    /// REPEATABLE READ, which control connections have, the row of the subject key stays locked until the keys are stored:
    /// a rotation waits for them.
    pub(in crate::control) async fn make_subjects(
        &self,
        keys: &SubjectKeys,
        subjects: &[SubjectDigest],
    ) -> Result<(), ControlError> {
        let Some(active) = keys.active() else { return Ok(()) };
        let mut new = String::new();
        for subject in subjects.iter().take(BATCH) {
            let wrap = keys.mint(subject);
            let wrap =
                wrap.map_err(|_| ControlError::Malformed { what: "the key of a data subject cannot be made" })?;
            let blob = data_encoding::HEXLOWER.encode(&wrap.blob);
            let separator = if new.is_empty() { "" } else { " UNION ALL " };
            // Writing to a string cannot fail.
            write!(new, "{separator}SELECT x'{subject}' AS subject, x'{blob}' AS wrapped").unwrap_or_default();
        }
        let sql = format!(
            "INSERT IGNORE INTO {schema}.subject_key (keyset_id, subject, sk_kid, wrapped, created_at) \
             SELECT k.keyset_id, n.subject, k.kid, n.wrapped, UTC_TIMESTAMP(6) FROM {schema}.data_key k \
             JOIN ({new}) n WHERE k.kid = {active} AND k.state = 'active' AND k.purpose = 'subject'",
            schema = self.schema
        );
        self.session("make keys of data subjects").await?.execute(&sql).await?;
        Ok(())
    }

    async fn subject_rows(&self, session: &mut Session, condition: &str) -> Result<Vec<StoredSubject>, ControlError> {
        let sql = format!(
            "SELECT t.kid, s.name, t.subject, t.sk_kid, t.wrapped FROM {schema}.subject_key t \
             JOIN {schema}.keyset s ON s.keyset_id = t.keyset_id WHERE {condition}",
            schema = self.schema
        );
        let rows: Vec<SubjectRow> = session.rows(&sql).await?;
        rows.into_iter().map(stored).collect()
    }
}

fn stored((kid, keyset, subject, wrapped_by, blob): SubjectRow) -> Result<StoredSubject, ControlError> {
    let malformed = |what| ControlError::Malformed { what };
    let kid = KeyId::new(kid).filter(|kid| kid.is_of_subject()).ok_or(malformed("the id of a data subject's key"))?;
    let subject = subject.try_into().map_err(|_| malformed("the digest of a data subject"))?;
    let wrapped_by = KeyId::new(wrapped_by).ok_or(malformed("key id 0"))?;
    let wrap = blob.map(|blob| SubjectWrap { wrapped_by, blob });
    Ok(StoredSubject { kid, keyset, subject: SubjectDigest(subject), wrap })
}
