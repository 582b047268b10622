//! The record in a file, one JSON object on each line: `record.md` says which. Text in, text out; files are the
//! caller's.

use std::num::NonZeroU16;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::canonical::Code;
use super::{AUDIT_KEYSET, StoredEntry, StoredHead};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{KekRef, KeyRecord, KeyState, ProviderKind, WrappedKey};

const FORMAT: u32 = 1;

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first one: whose record it is, and the wrapped keys that verify it.
    First {
        /// The deployment.
        deployment: Uuid,
        /// The audit keys.
        keys: Vec<KeyRecord>,
    },
    /// An entry.
    Entry(StoredEntry),
    /// The last one.
    Head(StoredHead),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFirst {
    candado_record: u32,
    deployment: String,
    keys: Vec<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    kid: u32,
    version: NonZeroU16,
    state: String,
    check_value: Option<String>,
    wraps: Vec<WrittenWrap>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWrap {
    provider: String,
    kek: String,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    seq: u64,
    kid: u32,
    at: String,
    actor: String,
    act: String,
    subject: String,
    before: String,
    after: String,
    prev: String,
    mac: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLast {
    head: WrittenHead,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHead {
    seq: u64,
    kid: u32,
    mac: String,
    seal: String,
}

impl Line {
    /// The line's text, without its line feed.
    ///
    /// # Errors
    /// Never for lines of a key store; JSON cannot hold everything.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::First { deployment, keys } => serde_json::to_string(&WrittenFirst {
                candado_record: FORMAT,
                deployment: deployment.hyphenated().to_string(),
                keys: keys.iter().map(WrittenKey::new).collect(),
            }),
            Self::Entry(entry) => serde_json::to_string(&WrittenEntry::new(entry)),
            Self::Head(head) => serde_json::to_string(&WrittenLast {
                head: WrittenHead {
                    seq: head.seq,
                    kid: head.kid,
                    mac: HEXLOWER.encode(&head.mac),
                    seal: HEXLOWER.encode(&head.seal),
                },
            }),
        }
    }

    /// Reads a line; `None` for what is none.
    pub fn read(text: &str) -> Option<Self> {
        if let Ok(entry) = serde_json::from_str::<WrittenEntry>(text) {
            return entry.read().map(Self::Entry);
        }
        if let Ok(WrittenLast { head: WrittenHead { seq, kid, mac, seal } }) = serde_json::from_str(text) {
            return Some(Self::Head(StoredHead { seq, kid, mac: code(&mac)?, seal: code(&seal)? }));
        }
        let first: WrittenFirst = serde_json::from_str(text).ok()?;
        let keys = first.keys.iter().map(WrittenKey::read).collect::<Option<Vec<_>>>()?;
        let deployment = Uuid::parse_str(&first.deployment).ok()?;
        (first.candado_record == FORMAT).then_some(Self::First { deployment, keys })
    }
}

impl WrittenKey {
    fn new(key: &KeyRecord) -> Self {
        let wrap = |wrap: &WrappedKey| WrittenWrap {
            provider: wrap.kek.provider.name().to_owned(),
            kek: wrap.kek.reference.to_string(),
            wrapped: BASE64.encode(&wrap.blob),
        };
        Self {
            kid: key.kid.number(),
            version: key.version,
            state: key.state.name().to_owned(),
            check_value: key.kcv.map(|kcv| HEXLOWER.encode(&kcv)),
            wraps: key.wraps.iter().map(wrap).collect(),
        }
    }

    fn read(&self) -> Option<KeyRecord> {
        let wrap = |wrap: &WrittenWrap| {
            let kek = KekRef::new(ProviderKind::from_name(&wrap.provider)?, wrap.kek.as_str());
            Some(WrappedKey { kek, blob: BASE64.decode(wrap.wrapped.as_bytes()).ok()? })
        };
        let kcv = match &self.check_value {
            Some(text) => Some(HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?),
            None => None,
        };
        Some(KeyRecord {
            kid: KeyId::new(self.kid)?,
            keyset: AUDIT_KEYSET.into(),
            purpose: KeyPurpose::Audit,
            version: self.version,
            state: KeyState::from_name(&self.state)?,
            kcv,
            wraps: self.wraps.iter().map(wrap).collect::<Option<Vec<_>>>()?,
        })
    }
}

impl WrittenEntry {
    fn new(entry: &StoredEntry) -> Self {
        let StoredEntry { seq, kid, at, actor, act, subject, before, after, prev, mac } = entry.clone();
        let (prev, mac) = (HEXLOWER.encode(&prev), HEXLOWER.encode(&mac));
        Self { seq, kid, at, actor, act, subject, before, after, prev, mac }
    }

    fn read(self) -> Option<StoredEntry> {
        let Self { seq, kid, at, actor, act, subject, before, after, prev, mac } = self;
        let (prev, mac) = (code(&prev)?, code(&mac)?);
        Some(StoredEntry { seq, kid, at, actor, act, subject, before, after, prev, mac })
    }
}

fn code(text: &str) -> Option<Code> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
