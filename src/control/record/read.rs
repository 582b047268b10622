//! Reading the record as of one moment, in pieces.

use std::ops::ControlFlow;
use std::time::Duration;

use uuid::Uuid;

use super::append::code;
use super::keys::is_audit_key;
use super::{ControlError, KeyStore, Recorder, Session, StoredEntry, StoredHead};
use crate::keys::KeyRecord;

/// Limit for reading the whole record.
const READ_LIMIT: Duration = Duration::from_secs(600);
/// Entries that are read at once.
const PIECE: u64 = 500;

/// As in [`super::StoredEntry`].
type Row = (u64, u32, String, String, String, String, String, String, Vec<u8>, Vec<u8>);

impl KeyStore {
    /// The deployment, and the audit keys with their wraps.
    pub async fn audit_key_records(&self) -> Result<(Uuid, Vec<KeyRecord>), ControlError> {
        let mut session = self.session("read the audit keys").await?;
        let (deployment, _) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        let mut records = self.records(&mut session).await?;
        records.retain(is_audit_key);
        Ok((deployment, records))
    }

    /// Reads entries from that number on, in order, until `each` says that it is enough; then the head, as of the same
    /// moment.
    pub async fn read_record(
        &self,
        from: u64,
        mut each: impl FnMut(StoredEntry) -> ControlFlow<()>,
    ) -> Result<Option<StoredHead>, ControlError> {
        let mut session = self.pool.session("read the record of acts", READ_LIMIT).await?;
        session.control("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        let head = self.head(&mut session).await.map_err(ControlError::or_not_initialised)?;
        let mut next = from;
        'pieces: loop {
            let entries = self.piece(&mut session, next).await?;
            let Some(last) = entries.last() else { break };
            next = last.seq.saturating_add(1);
            for entry in entries {
                if each(entry).is_break() {
                    break 'pieces;
                }
            }
        }
        session.control("COMMIT").await?;
        Ok(head)
    }

    async fn head(&self, session: &mut Session) -> Result<Option<StoredHead>, ControlError> {
        let sql = format!("SELECT seq, kid, mac, seal FROM {}.event_head WHERE id = 1", self.schema);
        let rows: Vec<(u64, u32, Vec<u8>, Vec<u8>)> = session.rows(&sql).await?;
        let head = rows.into_iter().next();
        head.map(|(seq, kid, mac, seal)| Ok(StoredHead { seq, kid, mac: code(mac)?, seal: code(seal)? })).transpose()
    }

    async fn piece(&self, session: &mut Session, from: u64) -> Result<Vec<StoredEntry>, ControlError> {
        let sql = format!("{} WHERE seq >= ? ORDER BY seq LIMIT {PIECE}", select(&self.schema));
        entries(session.rows_with(&sql, (from,)).await?)
    }
}

impl Recorder {
    /// The entries behind that one, as they are now, in the caller's transaction.
    pub(super) async fn entries_after(
        &self,
        session: &mut Session,
        seq: u64,
    ) -> Result<Vec<StoredEntry>, ControlError> {
        let sql = format!("{} WHERE seq > ? ORDER BY seq LOCK IN SHARE MODE", select(&self.schema));
        entries(session.rows_with(&sql, (seq,)).await?)
    }
}

fn select(schema: &str) -> String {
    format!(
        "SELECT seq, kid, DATE_FORMAT(at, '%Y-%m-%dT%H:%i:%s.%fZ'), actor, act, subject, value_before, value_after, \
         prev, mac FROM {schema}.event"
    )
}

fn entries(rows: Vec<Row>) -> Result<Vec<StoredEntry>, ControlError> {
    rows.into_iter()
        .map(|(seq, kid, at, actor, act, subject, before, after, prev, mac)| {
            let (prev, mac) = (code(prev)?, code(mac)?);
            Ok(StoredEntry { seq, kid, at, actor, act, subject, before, after, prev, mac })
        })
        .collect()
}
