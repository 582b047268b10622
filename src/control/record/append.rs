//! Writing: opening the audit key, beginning a record, adding an entry.

use std::sync::Arc;

use super::canonical::{Code, NOTHING_BEFORE};
use super::keys::{AuditKeys, is_audit_key};
use super::{ControlError, Entry, KeyStore, Recorder, Session, StoredEntry, StoredHead};
use crate::crypto::AuditKey;
use crate::keys::{KeyState, Unwrapper};

impl Recorder {
    /// Opens the audit keys with the key provider. Check values are compared, and that of the active key is published if
    /// it has none.
    pub async fn open(store: &KeyStore, unwrapper: &dyn Unwrapper) -> Result<Self, ControlError> {
        let mut session = store.session("open the record of acts").await?;
        Self::open_in(&mut session, store, unwrapper).await.map_err(ControlError::or_not_initialised)
    }

    /// The same inside a transaction, in which the key may have been made.
    pub(in crate::control) async fn open_in(
        session: &mut Session,
        store: &KeyStore,
        unwrapper: &dyn Unwrapper,
    ) -> Result<Self, ControlError> {
        let (deployment, _) = store.header(session).await?;
        let records = store.records(session).await?;
        let active = records.iter().find(|record| is_audit_key(record) && record.state == KeyState::Active);
        let active = active.ok_or(ControlError::NoAuditKey)?;
        let keys = AuditKeys::open(&records, deployment, unwrapper).await?;
        if let (None, Some(kcv)) = (active.kcv, keys.kcv(active.kid.number())) {
            let sql = format!("UPDATE {}.data_key SET kcv = ? WHERE kid = ? AND kcv IS NULL", store.schema);
            session.change(&sql, (kcv.to_vec(), active.kid.number())).await?;
        }
        Ok(Self { schema: Arc::clone(&store.schema), keys: Arc::new(keys), kid: active.kid.number() })
    }

    /// Begins the record of a new key store: a head that says that there is nothing yet. Fails if there is a head
    /// already; a record is begun once.
    pub(in crate::control) async fn begin(&self, session: &mut Session) -> Result<(), ControlError> {
        let head = StoredHead::sealed(self.key()?, self.kid, 0, NOTHING_BEFORE);
        let sql = format!("INSERT INTO {}.event_head (id, seq, kid, mac, seal) VALUES (1, ?, ?, ?, ?)", self.schema);
        session.change(&sql, (head.seq, head.kid, head.mac.to_vec(), head.seal.to_vec())).await?;
        Ok(())
    }

    /// Adds an entry in the caller's transaction, and returns its number. The entry is there if and only if the act is.
    ///
    /// Locks the head until the transaction ends, so that appends follow each other without a gap or a fork. Whoever
    /// locks other rows too, such as the epoch, does so before, or two acts could wait for each other. Not cancel-safe:
    /// drop the session, not the future.
    pub(in crate::control) async fn append(&self, session: &mut Session, entry: &Entry) -> Result<u64, ControlError> {
        let head = self.lock_head(session).await?;
        let entry = self.seal(session, &head, entry).await?;
        let next = StoredHead::sealed(self.key()?, self.kid, entry.seq, entry.mac);
        // DATETIME takes no `T` and no `Z`.
        let at = entry.at.trim_end_matches('Z').replace('T', " ");
        let sql = format!(
            "INSERT INTO {}.event (seq, kid, at, actor, act, subject, value_before, value_after, prev, mac) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.schema
        );
        let StoredEntry { seq, kid, actor, act, subject, before, after, prev, mac, at: _ } = entry;
        session.change(&sql, (seq, kid, at, actor, act, subject, before, after, prev.to_vec(), mac.to_vec())).await?;
        let sql = format!("UPDATE {}.event_head SET seq = ?, kid = ?, mac = ?, seal = ? WHERE id = 1", self.schema);
        let changed = session.change(&sql, (next.seq, next.kid, next.mac.to_vec(), next.seal.to_vec())).await?;
        if changed.rows == 1 { Ok(seq) } else { Err(ControlError::Malformed { what: "the head of the record" }) }
    }

    /// Locks the head and checks its code: nothing is added to a record whose end somebody moved.
    async fn lock_head(&self, session: &mut Session) -> Result<StoredHead, ControlError> {
        let sql = format!("SELECT seq, kid, mac, seal FROM {}.event_head WHERE id = 1 FOR UPDATE", self.schema);
        let rows: Vec<(u64, u32, Vec<u8>, Vec<u8>)> = session.rows(&sql).await?;
        let (seq, kid, mac, seal) = rows.into_iter().next().ok_or(ControlError::RecordNotBegun)?;
        let head = StoredHead { seq, kid, mac: code(mac)?, seal: code(seal)? };
        // An earlier audit key may have sealed it; one that is not known at all seals nothing.
        let known = self.keys.key(head.kid).is_some_and(|key| key.is_head_mac(&head.canonical(), &head.seal));
        if known { Ok(head) } else { Err(ControlError::RecordForged) }
    }

    /// Makes the next entry. The time is read under the lock, so that times follow the order of the numbers.
    async fn seal(&self, session: &mut Session, head: &StoredHead, entry: &Entry) -> Result<StoredEntry, ControlError> {
        let malformed = |what| ControlError::Malformed { what };
        let times: Vec<String> = session.rows("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')").await?;
        let mut sealed = StoredEntry {
            seq: head.seq.checked_add(1).ok_or(malformed("the number of the last entry"))?,
            kid: self.kid,
            at: times.into_iter().next().ok_or(malformed("the server's time"))?,
            actor: entry.actor.name().to_owned(),
            act: entry.act.to_owned(),
            subject: entry.subject.clone(),
            before: entry.before.to_string(),
            after: entry.after.to_string(),
            prev: head.mac,
            mac: NOTHING_BEFORE,
        };
        sealed.mac = self.key()?.entry_mac(&sealed.canonical());
        Ok(sealed)
    }

    /// The active audit key.
    fn key(&self) -> Result<&AuditKey, ControlError> {
        self.keys.key(self.kid).ok_or(ControlError::NoAuditKey)
    }
}

/// A code as the server gives it.
pub(super) fn code(bytes: Vec<u8>) -> Result<Code, ControlError> {
    bytes.try_into().map_err(|_| ControlError::Malformed { what: "a code of the record" })
}
