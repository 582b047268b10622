//! Entries without an audit key: the emergency brake, when the key cannot be opened. They stand behind the end that the
//! head names, each with a digest that binds it to the one before. The first entry under a key that follows names the
//! last digest, and so seals them all.
//!
//! Until then, whoever writes to the database can take such entries away, or put others in their place with digests of
//! his own. What was noted elsewhere shows it.

use serde_json::{Value, json};

use super::append::{code, next};
use super::canonical::{NO_KEY, NOTHING_BEFORE};
use super::{Actor, BRAKE, ControlError, Entry, KeyStore, Note, Recorder, Session, StoredEntry};

impl Recorder {
    /// Adds an entry in the caller's transaction, if its act is the brake. The head stays where it is.
    pub(super) async fn append_unsealed(&self, session: &mut Session, entry: &Entry) -> Result<u64, ControlError> {
        if entry.act != BRAKE {
            return Err(ControlError::BrakeAlone);
        }
        let end = self.lock_end(session).await?;
        let mut unsealed = next(session, end, entry, NO_KEY).await?;
        unsealed.mac = unsealed.link();
        Ok(self.insert(session, unsealed).await?.seq)
    }

    /// The last entry, or the one that the head names if that is later. Nothing is checked: the brake goes in whatever
    /// somebody did to the record.
    async fn lock_end(&self, session: &mut Session) -> Result<Note, ControlError> {
        let head = format!("SELECT seq, mac FROM {}.event_head WHERE id = 1 FOR UPDATE", self.schema);
        let last = format!("SELECT seq, mac FROM {}.event ORDER BY seq DESC LIMIT 1 LOCK IN SHARE MODE", self.schema);
        let mut end = Note { seq: 0, mac: NOTHING_BEFORE };
        for sql in [head, last] {
            let rows: Vec<(u64, Vec<u8>)> = session.rows(&sql).await?;
            if let Some((seq, mac)) = rows.into_iter().next().filter(|(seq, _)| *seq >= end.seq) {
                end = Note { seq, mac: code(mac)? };
            }
        }
        Ok(end)
    }
}

impl KeyStore {
    /// Seals what was written without an audit key. Returns the numbers of the first and the last of these entries; `None`
    /// if there is none.
    pub async fn seal_record(&self, actor: &Actor, recorder: &Recorder) -> Result<Option<(u64, u64)>, ControlError> {
        let session = self.session("seal the record of acts").await?;
        let sealed = session.transaction(async |session| recorder.seal(session, actor).await).await;
        sealed.map_err(ControlError::or_not_initialised)
    }
}

/// The end of the entries that stand behind the head, if every one is the brake's, without a key, and linked to the one
/// before; the head itself if there is none.
pub(super) fn linked(head: Note, tail: &[StoredEntry]) -> Option<Note> {
    tail.iter().try_fold(head, |end, entry| {
        let follows = end.seq.checked_add(1) == Some(entry.seq) && entry.prev == end.mac;
        let is_whole = !entry.is_sealed() && entry.act == BRAKE && entry.mac == entry.link();
        (follows && is_whole).then_some(Note { seq: entry.seq, mac: entry.mac })
    })
}

/// Says which entries were sealed late.
pub(super) fn sealing_entry(actor: &Actor, from: u64, to: u64) -> Entry {
    Entry {
        actor: actor.clone(),
        act: "record.seal",
        subject: "entries without an audit key".to_owned(),
        before: Value::Null,
        after: json!({ "from": from, "to": to }),
    }
}
