//! The chain: numbers, times and codes of records.

use std::fmt;

use data_encoding::HEXLOWER;

use super::Line;
use crate::crypto::{AUDIT_MAC_LENGTH, AccessKey};

/// An authentication code.
pub(super) type Code = [u8; AUDIT_MAC_LENGTH];

/// What the first record stands behind.
pub(super) const NOTHING_BEFORE: Code = [0; AUDIT_MAC_LENGTH];

/// Tells one chain from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub [u8; 8]);

impl ChainId {
    /// Reads its text form.
    pub fn read(text: &str) -> Option<Self> {
        Some(Self(HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Where a chain ends: what is anchored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// Whose record it is.
    pub name: String,
    /// Which of that name.
    pub chain: ChainId,
    /// The last record's number.
    pub seq: u64,
    /// Its code.
    pub mac: [u8; AUDIT_MAC_LENGTH],
}

/// Gives records their numbers and codes.
#[derive(Debug)]
pub struct Chain {
    key: AccessKey,
    seq: u64,
    mac: Code,
}

/// A place in the chain to which it can be put back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) seq: u64,
    pub(super) mac: Code,
}

impl Chain {
    /// A chain that goes on behind that record.
    pub(super) fn behind(key: AccessKey, mark: Mark) -> Self {
        Self { key, seq: mark.seq, mac: mark.mac }
    }

    /// A chain without a record.
    pub fn new(key: AccessKey) -> Self {
        Self::behind(key, Mark { seq: 0, mac: NOTHING_BEFORE })
    }

    /// Where it ends.
    pub(super) fn mark(&self) -> Mark {
        Mark { seq: self.seq, mac: self.mac }
    }

    /// Takes back what was put since.
    pub(super) fn put_back(&mut self, mark: Mark) {
        (self.seq, self.mac) = (mark.seq, mark.mac);
    }

    /// Appends a record's line, with its line feed.
    pub fn put(&mut self, line: &Line, at: &str, out: &mut Vec<u8>) {
        self.seq = self.seq.saturating_add(1);
        let mut text = format!("{}\t{}\t{at}\t", line.kind(), self.seq);
        line.put_fields(&mut text);
        text.push('\t');
        self.mac = self.key.mac(&self.mac, text.as_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(HEXLOWER.encode(&self.mac).as_bytes());
        out.push(b'\n');
    }
}
