//! What the record proves: nothing was changed, taken out, put in, exchanged, or cut off. Pure; entries come one after
//! the other, so that a long record needs little memory.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use super::canonical::{Code, NOTHING_BEFORE};
use super::{AuditKeys, BRAKE, StoredEntry, StoredHead};

/// Breaches that are kept; a record that is broken in more places is broken.
const BREACHES_MAX: usize = 1000;

/// A note of one entry, kept where nobody who writes to the database can change it: `SEQ:MAC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The entry's number.
    pub seq: u64,
    /// Its code.
    pub mac: Code,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, HEXLOWER.encode(&self.mac))
    }
}

impl FromStr for Note {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(':').and_then(|(seq, mac)| {
            let mac = HEXLOWER_PERMISSIVE.decode(mac.as_bytes()).ok()?;
            Some(Self { seq: seq.parse().ok()?, mac: mac.try_into().ok()? })
        });
        parts.ok_or("a note is SEQ:MAC, as `candado audit verify` prints it")
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Content and code of an entry disagree.
    Altered {
        /// The entry.
        seq: u64,
    },
    /// Entries are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// An entry does not name the code of the one before.
    Unlinked {
        /// The entry.
        seq: u64,
    },
    /// An entry stands where another one belongs, or a second time.
    Misplaced {
        /// The entry.
        seq: u64,
        /// The last entry in order.
        after: u64,
    },
    /// An entry names an audit key that there is none of.
    UnknownKey {
        /// The entry.
        seq: u64,
        /// The key it names.
        kid: u32,
    },
    /// An entry is not under an audit key, and its act is none that may be recorded without.
    NotSealed {
        /// The entry.
        seq: u64,
    },
    /// The head is not there.
    HeadMissing,
    /// The head's code is wrong.
    HeadForged,
    /// The head names entries that are not there.
    CutOff {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// There are entries behind the one that the head names.
    BeyondHead {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The head names another code for the last entry.
    OtherEnd {
        /// The entry.
        seq: u64,
    },
    /// An entry is not the one that was noted.
    NotAsNoted {
        /// The entry.
        seq: u64,
    },
    /// The record ends before the entry that was noted.
    ShorterThanNoted {
        /// The noted entry.
        seq: u64,
        /// The last one that there is.
        last: u64,
    },
    /// A line of a file is no entry.
    Unreadable {
        /// The line, from 1.
        line: u64,
    },
}

impl Breach {
    /// The entry that it is about, or the first of them.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Altered { seq }
            | Self::Unlinked { seq }
            | Self::Misplaced { seq, .. }
            | Self::UnknownKey { seq, .. }
            | Self::NotSealed { seq }
            | Self::OtherEnd { seq }
            | Self::NotAsNoted { seq }
            | Self::ShorterThanNoted { seq, .. } => Some(*seq),
            Self::Missing { from, .. } | Self::CutOff { from, .. } | Self::BeyondHead { from, .. } => Some(*from),
            Self::HeadMissing | Self::HeadForged | Self::Unreadable { .. } => None,
        }
    }

    /// One word for machines.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Altered { .. } => "altered",
            Self::Missing { .. } => "missing",
            Self::Unlinked { .. } => "unlinked",
            Self::Misplaced { .. } => "misplaced",
            Self::UnknownKey { .. } => "unknown_key",
            Self::NotSealed { .. } => "not_sealed",
            Self::HeadMissing => "head_missing",
            Self::HeadForged => "head_forged",
            Self::CutOff { .. } => "cut_off",
            Self::BeyondHead { .. } => "beyond_head",
            Self::OtherEnd { .. } => "other_end",
            Self::NotAsNoted { .. } => "not_as_noted",
            Self::ShorterThanNoted { .. } => "shorter_than_noted",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span =
            |from: u64, to: u64| if from == to { format!("entry {from}") } else { format!("entries {from} to {to}") };
        match *self {
            Self::Altered { seq } => {
                write!(f, "entry {seq} was changed, or somebody without the audit key wrote it: its code does not fit")
            }
            Self::Missing { from, to } => write!(f, "{}: not there", span(from, to)),
            Self::Unlinked { seq } => {
                write!(f, "entry {seq} does not follow the one before it: one of them was replaced")
            }
            Self::Misplaced { seq, after } => write!(f, "entry {seq} stands behind entry {after}"),
            Self::UnknownKey { seq, kid } => write!(f, "entry {seq} names audit key {kid}, which cannot be opened"),
            Self::NotSealed { seq } => {
                write!(
                    f,
                    "entry {seq} is not under an audit key, and is none that may be recorded without: it was put in"
                )
            }
            Self::HeadMissing => f.write_str("the head is missing: entries may have been cut off the end"),
            Self::HeadForged => f.write_str("the head was changed: entries may have been cut off the end"),
            Self::CutOff { from, to } => {
                write!(f, "{}: cut off the end; the head still names the last one", span(from, to))
            }
            Self::BeyondHead { from, to } => write!(f, "{}: behind the end that the head names", span(from, to)),
            Self::OtherEnd { seq } => write!(f, "entry {seq} is not the one that the head names"),
            Self::NotAsNoted { seq } => write!(f, "entry {seq} is not the one that was noted"),
            Self::ShorterThanNoted { seq, last } => {
                write!(f, "entry {seq} was noted, and the record ends at {last}: the end was cut off, or put back")
            }
            Self::Unreadable { line } => write!(f, "line {line} of the file cannot be read"),
        }
    }
}

/// Entries of the emergency brake that were written without an audit key, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// The entry under an audit key that sealed them later. `None`: whoever writes to the database can still exchange
    /// them or take them away.
    pub sealed_by: Option<u64>,
}

impl fmt::Display for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, sealed_by } = self;
        match sealed_by {
            Some(seq) => {
                write!(f, "entries {from} to {to} were written without the audit key, and sealed by entry {seq}")
            }
            None => write!(
                f,
                "entries {from} to {to} were written without the audit key and are not sealed: compare them with what is \
                 known, then run `candado audit seal`"
            ),
        }
    }
}

/// What a verification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that were read.
    pub entries: u64,
    /// The last entry: to be noted elsewhere. `None` if there is no entry.
    pub end: Option<Note>,
    /// What is wrong, in order. Empty: the record is intact.
    pub breaches: Vec<Breach>,
    /// What was written without an audit key, in order.
    pub unsealed: Vec<Unsealed>,
}

/// A verification under way.
#[derive(Debug)]
pub struct Verifier<'k> {
    keys: &'k AuditKeys,
    since: Option<Note>,
    noted: Option<Note>,
    noted_seen: bool,
    entries: u64,
    last: Option<Note>,
    /// The last entry under an audit key.
    sealed: Option<Note>,
    breaches: Vec<Breach>,
    unsealed: Vec<Unsealed>,
}

impl<'k> Verifier<'k> {
    /// `since`: an entry that was noted when everything up to it was verified; reading begins with it. `noted`: the end
    /// of an earlier verification, which must be there unchanged.
    pub fn new(keys: &'k AuditKeys, since: Option<Note>, noted: Option<Note>) -> Self {
        let (breaches, unsealed) = (Vec::new(), Vec::new());
        Self { keys, since, noted, noted_seen: false, entries: 0, last: None, sealed: None, breaches, unsealed }
    }

    /// The entry with which reading begins.
    pub fn from(&self) -> u64 {
        self.since.map_or(1, |note| note.seq)
    }

    /// Takes the next entry.
    pub fn entry(&mut self, entry: &StoredEntry) {
        let seq = entry.seq;
        self.entries = self.entries.saturating_add(1);
        match self.keys.key(entry.kid) {
            None if !entry.is_sealed() && entry.mac != entry.link() => self.found(Breach::Altered { seq }),
            None if !entry.is_sealed() && entry.act != BRAKE => self.found(Breach::NotSealed { seq }),
            None if !entry.is_sealed() => {}
            None => self.found(Breach::UnknownKey { seq, kid: entry.kid }),
            Some(key) if key.is_entry_mac(&entry.canonical(), &entry.mac) => {}
            Some(_) => self.found(Breach::Altered { seq }),
        }
        let due = self.last.map_or(self.from(), |last| last.seq.saturating_add(1));
        if seq < due {
            let after = self.last.map_or(due, |last| last.seq);
            self.found(Breach::Misplaced { seq, after });
            return;
        }
        if seq > due {
            self.found(Breach::Missing { from: due, to: seq.saturating_sub(1) });
        } else if !self.follows(entry) {
            self.found(Breach::Unlinked { seq });
        }
        for note in [self.since, self.noted].into_iter().flatten() {
            if note.seq == seq && note.mac != entry.mac {
                self.found(Breach::NotAsNoted { seq });
            }
        }
        self.noted_seen |= self.noted.is_some_and(|note| note.seq == seq);
        self.last = Some(Note { seq, mac: entry.mac });
        self.seals(entry);
    }

    /// Keeps which entries are under no key, and by which one they were sealed later.
    fn seals(&mut self, entry: &StoredEntry) {
        let seq = entry.seq;
        let known = self.unsealed.len();
        let open = self.unsealed.last_mut().filter(|unsealed| unsealed.sealed_by.is_none());
        match (open, entry.is_sealed()) {
            (Some(unsealed), true) => unsealed.sealed_by = Some(seq),
            (Some(unsealed), false) => unsealed.to = seq,
            (None, false) if known < BREACHES_MAX => {
                self.unsealed.push(Unsealed { from: seq, to: seq, sealed_by: None });
            }
            (None, _) => {}
        }
        if entry.is_sealed() {
            self.sealed = Some(Note { seq, mac: entry.mac });
        }
    }

    /// Says that a line of a file is no entry.
    pub fn unreadable(&mut self, line: u64) {
        self.found(Breach::Unreadable { line });
    }

    /// Takes the head, and says what was found.
    pub fn finish(mut self, head: Option<&StoredHead>) -> Verdict {
        let last = self.last.unwrap_or(Note { seq: self.from().saturating_sub(1), mac: NOTHING_BEFORE });
        match head {
            None => self.found(Breach::HeadMissing),
            Some(head) => self.head(head, last),
        }
        for note in [self.since.filter(|_| self.last.is_none()), self.noted.filter(|_| !self.noted_seen)] {
            if let Some(note) = note.filter(|note| note.seq > last.seq) {
                self.found(Breach::ShorterThanNoted { seq: note.seq, last: last.seq });
            }
        }
        Verdict { entries: self.entries, end: self.last, breaches: self.breaches, unsealed: self.unsealed }
    }

    /// The head names the last entry under an audit key; what was written without one stands behind it.
    fn head(&mut self, head: &StoredHead, last: Note) {
        let genuine = self.keys.key(head.kid).is_some_and(|key| key.is_head_mac(&head.canonical(), &head.seal));
        // Nothing under a key may have been read since a note.
        let sealed = self.sealed.unwrap_or(Note { seq: self.from().saturating_sub(1).min(head.seq), mac: head.mac });
        if !genuine {
            self.found(Breach::HeadForged);
        } else if head.seq > last.seq {
            self.found(Breach::CutOff { from: last.seq.saturating_add(1), to: head.seq });
        } else if head.seq < sealed.seq {
            self.found(Breach::BeyondHead { from: head.seq.saturating_add(1), to: sealed.seq });
        } else if (head.seq, head.mac) != (sealed.seq, sealed.mac) {
            self.found(Breach::OtherEnd { seq: head.seq });
        }
    }

    /// Whether the entry names the code of the one before. Of the first one that is read since a note, nothing is known.
    fn follows(&self, entry: &StoredEntry) -> bool {
        match self.last {
            Some(last) => entry.prev == last.mac,
            None => entry.seq > 1 || entry.prev == NOTHING_BEFORE,
        }
    }

    fn found(&mut self, finding: Breach) {
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(finding);
        }
    }
}
