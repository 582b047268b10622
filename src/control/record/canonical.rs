//! The bytes that are authenticated: `record.md` says which. Pure.

use sha2::{Digest, Sha256};

use crate::crypto::{AUDIT_MAC_LENGTH, AuditKey};

const ENTRY_MAGIC: &[u8; 18] = b"CANDADO ENTRY 1\0\0\0";
const HEAD_MAGIC: &[u8; 18] = b"CANDADO HEAD 1\0\0\0\0";

const LINK_MAGIC: &[u8; 18] = b"CANDADO LINK 1\0\0\0\0";

/// What an entry names as its key that was written without one.
pub(super) const NO_KEY: u32 = 0;

/// An authentication code.
pub(super) type Code = [u8; AUDIT_MAC_LENGTH];

/// What the first entry names as the code of the one before.
pub(super) const NOTHING_BEFORE: Code = [0; AUDIT_MAC_LENGTH];

/// An entry of the record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// The audit key that authenticates it; 0 if it was written without one.
    pub kid: u32,
    /// When, UTC: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What.
    pub act: String,
    /// To what.
    pub subject: String,
    /// How it was before: the text of a JSON value.
    pub before: String,
    /// How it was afterwards: the text of a JSON value.
    pub after: String,
    /// The code of the entry before.
    pub prev: Code,
    /// The entry's own code; without an audit key, a digest that only links the entries.
    pub mac: Code,
}

/// Where the record ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHead {
    /// Number of the last entry.
    pub seq: u64,
    /// The audit key that authenticates the head.
    pub kid: u32,
    /// The last entry's code.
    pub mac: Code,
    /// The head's own code.
    pub seal: Code,
}

impl StoredEntry {
    /// Whether it was written under an audit key.
    pub fn is_sealed(&self) -> bool {
        self.kid != NO_KEY
    }

    /// The code of an entry that is written without an audit key: anybody can compute it. It binds the entry to those
    /// before it, so that the next code under a key covers all of them.
    pub(super) fn link(&self) -> Code {
        Sha256::new_with_prefix(LINK_MAGIC).chain_update(self.canonical()).finalize().into()
    }

    /// The bytes under the entry's code.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut bytes = ENTRY_MAGIC.to_vec();
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.kid.to_be_bytes());
        bytes.extend_from_slice(&self.prev);
        for text in [&self.at, &self.actor, &self.act, &self.subject, &self.before, &self.after] {
            // No column holds 4 GiB; a length that were cut short would still not authenticate another text.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

impl StoredHead {
    /// The head of a record whose last entry is that one.
    pub(super) fn sealed(key: &AuditKey, kid: u32, seq: u64, mac: Code) -> Self {
        let mut head = Self { seq, kid, mac, seal: NOTHING_BEFORE };
        head.seal = key.head_mac(&head.canonical());
        head
    }

    /// The bytes under the head's code.
    pub(super) fn canonical(&self) -> Vec<u8> {
        [&HEAD_MAGIC[..], &self.seq.to_be_bytes(), &self.kid.to_be_bytes(), &self.mac].concat()
    }
}
