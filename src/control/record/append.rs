//! Writing: opening the audit key, beginning a record, adding an entry. What is written without a key is [`super::brake`]'s.

use std::sync::Arc;

use super::canonical::{Code, NOTHING_BEFORE};
use super::keys::{AuditKeys, is_audit_key};
use super::{Actor, ControlError, Entry, KeyStore, Note, Recorder, Sealing, Session, StoredEntry, StoredHead, brake};
use crate::crypto::AuditKey;
use crate::keys::{KeyState, Unwrapper};

impl Recorder {
    /// Opens the audit keys with the key provider. Check values are compared, and published for keys that have none.
    pub async fn open(store: &KeyStore, unwrapper: &dyn Unwrapper) -> Result<Self, ControlError> {
        let mut session = store.session("open the record of acts").await?;
        Self::open_in(&mut session, store, unwrapper).await.map_err(ControlError::or_not_initialised)
    }

    /// The same inside a transaction, in which a key may have been made.
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
        for record in records.iter().filter(|record| record.kcv.is_none()) {
            let Some(kcv) = keys.kcv(record.kid.number()) else { continue };
            let sql = format!("UPDATE {}.data_key SET kcv = ? WHERE kid = ? AND kcv IS NULL", store.schema);
            session.change(&sql, (kcv.to_vec(), record.kid.number())).await?;
        }
        let sealing = Sealing { keys: Arc::new(keys), kid: active.kid.number() };
        Ok(Self { schema: Arc::clone(&store.schema), sealing: Some(sealing) })
    }

    /// Begins the record of a new key store: a head that says that there is nothing yet. Fails if there is a head
    /// already; a record is begun once.
    pub(in crate::control) async fn begin(&self, session: &mut Session) -> Result<(), ControlError> {
        let sealing = self.sealing()?;
        let head = StoredHead::sealed(sealing.key()?, sealing.kid, 0, NOTHING_BEFORE);
        let sql = format!("INSERT INTO {}.event_head (id, seq, kid, mac, seal) VALUES (1, ?, ?, ?, ?)", self.schema);
        session.change(&sql, (head.seq, head.kid, head.mac.to_vec(), head.seal.to_vec())).await?;
        Ok(())
    }

    /// Adds an entry in the caller's transaction, and returns its number. The entry is there if and only if the act is.
    /// Entries that were written without an audit key are sealed first.
    ///
    /// Locks the head until the transaction ends, so that appends follow each other without a gap or a fork. Whoever
    /// locks other rows too, such as the epoch, does so before, or two acts could wait for each other. Not cancel-safe:
    /// drop the session, not the future.
    pub(in crate::control) async fn append(&self, session: &mut Session, entry: &Entry) -> Result<u64, ControlError> {
        let Some(sealing) = &self.sealing else { return self.append_unsealed(session, entry).await };
        let end = self.sealed_end(session, sealing, &entry.actor).await?;
        let end = self.put_sealed(session, sealing, end, entry).await?;
        self.move_head(session, sealing, end).await?;
        Ok(end.seq)
    }

    /// Seals what was written without an audit key, as an act of its own. Returns the numbers of the first and the last
    /// of these entries; `None` if there is none.
    pub(super) async fn seal(&self, session: &mut Session, actor: &Actor) -> Result<Option<(u64, u64)>, ControlError> {
        let sealing = self.sealing()?;
        let head = self.lock_head(session, sealing).await?;
        let end = self.sealed_end(session, sealing, actor).await?;
        if end.seq == head.seq {
            return Ok(None);
        }
        self.move_head(session, sealing, end).await?;
        // The last one is the entry that seals.
        Ok(Some((head.seq.saturating_add(1), end.seq.saturating_sub(1))))
    }

    /// Locks the head, and returns the end of the record under an audit key: an entry that seals what was written
    /// without one is added where it is missing.
    async fn sealed_end(&self, session: &mut Session, sealing: &Sealing, actor: &Actor) -> Result<Note, ControlError> {
        let head = self.lock_head(session, sealing).await?;
        let head = Note { seq: head.seq, mac: head.mac };
        let tail = self.entries_after(session, head.seq).await?;
        let end = brake::linked(head, &tail).ok_or(ControlError::RecordForged)?;
        if end == head {
            return Ok(head);
        }
        let entry = brake::sealing_entry(actor, head.seq.saturating_add(1), end.seq);
        self.put_sealed(session, sealing, end, &entry).await
    }

    async fn put_sealed(
        &self,
        session: &mut Session,
        sealing: &Sealing,
        end: Note,
        entry: &Entry,
    ) -> Result<Note, ControlError> {
        let mut next = next(session, end, entry, sealing.kid).await?;
        next.mac = sealing.key()?.entry_mac(&next.canonical());
        self.insert(session, next).await
    }

    /// Writes an entry, and returns it as the new end.
    pub(super) async fn insert(&self, session: &mut Session, entry: StoredEntry) -> Result<Note, ControlError> {
        let end = Note { seq: entry.seq, mac: entry.mac };
        // DATETIME takes no `T` and no `Z`.
        let at = entry.at.trim_end_matches('Z').replace('T', " ");
        let sql = format!(
            "INSERT INTO {}.event (seq, kid, at, actor, act, subject, value_before, value_after, prev, mac) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.schema
        );
        let StoredEntry { seq, kid, actor, act, subject, before, after, prev, mac, at: _ } = entry;
        session.change(&sql, (seq, kid, at, actor, act, subject, before, after, prev.to_vec(), mac.to_vec())).await?;
        Ok(end)
    }

    async fn move_head(&self, session: &mut Session, sealing: &Sealing, end: Note) -> Result<(), ControlError> {
        let next = StoredHead::sealed(sealing.key()?, sealing.kid, end.seq, end.mac);
        let sql = format!("UPDATE {}.event_head SET seq = ?, kid = ?, mac = ?, seal = ? WHERE id = 1", self.schema);
        let changed = session.change(&sql, (next.seq, next.kid, next.mac.to_vec(), next.seal.to_vec())).await?;
        if changed.rows == 1 { Ok(()) } else { Err(ControlError::Malformed { what: "the head of the record" }) }
    }

    /// Locks the head and checks its code: nothing is added to a record whose end somebody moved.
    async fn lock_head(&self, session: &mut Session, sealing: &Sealing) -> Result<StoredHead, ControlError> {
        let sql = format!("SELECT seq, kid, mac, seal FROM {}.event_head WHERE id = 1 FOR UPDATE", self.schema);
        let rows: Vec<(u64, u32, Vec<u8>, Vec<u8>)> = session.rows(&sql).await?;
        let (seq, kid, mac, seal) = rows.into_iter().next().ok_or(ControlError::RecordNotBegun)?;
        let head = StoredHead { seq, kid, mac: code(mac)?, seal: code(seal)? };
        // An earlier audit key may have sealed it; a later one means that this program opened its keys before.
        match sealing.keys.key(head.kid) {
            Some(key) if key.is_head_mac(&head.canonical(), &head.seal) => Ok(head),
            Some(_) => Err(ControlError::RecordForged),
            None => Err(ControlError::AuditKeyReplaced { kid: head.kid }),
        }
    }

    fn sealing(&self) -> Result<&Sealing, ControlError> {
        self.sealing.as_ref().ok_or(ControlError::BrakeAlone)
    }
}

impl Sealing {
    /// The active audit key.
    fn key(&self) -> Result<&AuditKey, ControlError> {
        self.keys.key(self.kid).ok_or(ControlError::NoAuditKey)
    }
}

/// Makes the next entry, without its code. The time is read under the lock, so that times follow the order of the numbers.
pub(super) async fn next(
    session: &mut Session,
    end: Note,
    entry: &Entry,
    kid: u32,
) -> Result<StoredEntry, ControlError> {
    let malformed = |what| ControlError::Malformed { what };
    let times: Vec<String> = session.rows("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')").await?;
    Ok(StoredEntry {
        seq: end.seq.checked_add(1).ok_or(malformed("the number of the last entry"))?,
        kid,
        at: times.into_iter().next().ok_or(malformed("the server's time"))?,
        actor: entry.actor.name().to_owned(),
        act: entry.act.to_owned(),
        subject: entry.subject.clone(),
        before: entry.before.to_string(),
        after: entry.after.to_string(),
        prev: end.mac,
        mac: NOTHING_BEFORE,
    })
}

/// A code as the server gives it.
pub(in crate::control) fn code(bytes: Vec<u8>) -> Result<Code, ControlError> {
    bytes.try_into().map_err(|_| ControlError::Malformed { what: "a code of the record" })
}
