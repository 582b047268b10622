//! Proving that nothing was changed, taken out, put in or cut off. Pure but for reading: files, keys and anchors are the
//! caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, Read};

use super::anchors::{Along, AnchorStore, Anchored};
use super::chain::{ChainId, Mark, NOTHING_BEFORE};
use super::line::{Head, Parsed};
use super::retention::PutAway;
use crate::crypto::AccessKey;

/// A line that is longer is none.
const LINE_OCTETS_MAX: u64 = 64 << 20;
/// Findings that are kept.
const FOUND_MAX: usize = 1000;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The line is no record.
    Unreadable,
    /// The file's last line has no end.
    Torn,
    /// The file does not begin with a segment's head, or one stands in the midst of it.
    Headless,
    /// There is no access key for the segment: another deployment's, another name's, or an audit key that is gone.
    NoKey {
        /// The audit key that it names.
        kid: u32,
    },
    /// The record was changed, exchanged, or put in: its code does not fit the record before it.
    Altered {
        /// The record's number.
        seq: u64,
    },
    /// Records are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A record stands where another one belongs, or a second time.
    Misplaced {
        /// The record.
        seq: u64,
    },
    /// Earlier segments of the chain are in no file, and nobody said that they were put away.
    BeginningMissing {
        /// The first segment that is there.
        segment: u64,
    },
    /// The segment does not go on where the one before ends.
    OtherSegment {
        /// Its number.
        segment: u64,
    },
    /// An anchor names records behind the last one.
    CutOff {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// An anchor names another code for the record, or two anchors name two.
    NotAsAnchored {
        /// The record.
        seq: u64,
    },
    /// An anchor names a record of the same proxy of which no file was given.
    ChainMissing {
        /// The chain.
        chain: ChainId,
        /// The last record that is known to have been there.
        seq: u64,
    },
}

impl Breach {
    /// One word for machines.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Torn => "torn",
            Self::Headless => "headless",
            Self::NoKey { .. } => "no_key",
            Self::Altered { .. } => "altered",
            Self::Missing { .. } => "missing",
            Self::Misplaced { .. } => "misplaced",
            Self::BeginningMissing { .. } => "beginning_missing",
            Self::OtherSegment { .. } => "other_segment",
            Self::CutOff { .. } => "cut_off",
            Self::NotAsAnchored { .. } => "not_as_anchored",
            Self::ChainMissing { .. } => "chain_missing",
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("the line is no record"),
            Self::Torn => f.write_str("the last line has no end: the process ended while it wrote, or somebody cut it"),
            Self::Headless => f.write_str("no segment begins here, or a second one does"),
            Self::NoKey { kid } => write!(f, "there is no access key from audit key {kid} for this segment"),
            Self::Altered { seq } => {
                write!(f, "record {seq} was changed, or does not belong here: its code does not fit the record before")
            }
            Self::Missing { from, to } if from == to => write!(f, "record {from} is not there"),
            Self::Missing { from, to } => write!(f, "records {from} to {to} are not there"),
            Self::Misplaced { seq } => write!(f, "record {seq} stands where another one belongs"),
            Self::BeginningMissing { segment } => write!(
                f,
                "the chain begins with segment {segment}: those before it are in no file given; say --from {segment} if they \
                 were put away on purpose"
            ),
            Self::OtherSegment { segment } => {
                write!(f, "segment {segment} does not go on where the one before it ends")
            }
            Self::CutOff { from, to } => {
                write!(f, "records {from} to {to} were cut off the end: the database has an anchor of the last one")
            }
            Self::NotAsAnchored { seq } => write!(f, "record {seq} is not the one that the database has an anchor of"),
            Self::ChainMissing { chain, seq } => write!(
                f,
                "chain {chain} of the same proxy is in none of the files: the database has an anchor of its record {seq}; say \
                 --gone {chain} if it was put away on purpose"
            ),
        }
    }
}

/// A breach, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// What.
    pub breach: Breach,
}

/// What a verification says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Records that were read.
    pub records: u64,
    /// Accesses among them.
    pub accesses: u64,
    /// Accesses that were lost, as gaps tell.
    pub lost: u64,
    /// What is wrong, in order. Empty: the record is intact.
    pub found: Vec<Found>,
    /// For each chain the first and the last record that was read.
    pub chains: BTreeMap<ChainId, (u64, u64)>,
    /// Anchors that were compared.
    pub anchors: u64,
}

/// A chain as far as it was read.
#[derive(Debug)]
struct Known {
    name: String,
    first: u64,
    last: Mark,
    place: Place,
    segment: u64,
}

/// Reads files in the given order. Segments of a chain must follow each other, from its first one or the first that was not
/// put away; chains may follow each other in any order.
///
/// # Errors
/// A file cannot be read, or the anchors cannot.
pub fn verify<R: BufRead>(
    files: impl IntoIterator<Item = (String, io::Result<R>)>,
    key: impl Fn(&str, u32, &str) -> Option<AccessKey>,
    anchors: &mut impl AnchorStore,
    put_away: &PutAway,
) -> io::Result<Verdict> {
    let (anchors, known) = (Along::new(anchors), BTreeMap::new());
    let mut verifier = Verifier { key, anchors, put_away, known, verdict: Verdict::default() };
    for (name, reader) in files {
        verifier.file(&name, reader?)?;
    }
    verifier.finish()
}

struct Verifier<'a, K, S> {
    key: K,
    anchors: Along<'a, S>,
    put_away: &'a PutAway,
    known: BTreeMap<ChainId, Known>,
    verdict: Verdict,
}

/// A segment under way.
struct Segment {
    key: Option<AccessKey>,
    chain: ChainId,
    last: Mark,
}

impl<K: Fn(&str, u32, &str) -> Option<AccessKey>, S: AnchorStore> Verifier<'_, K, S> {
    fn file(&mut self, name: &str, mut reader: impl BufRead) -> io::Result<()> {
        let mut place = Place { file: name.to_owned(), line: 0 };
        let mut segment: Option<Segment> = None;
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.by_ref().take(LINE_OCTETS_MAX).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            place.line = place.line.saturating_add(1);
            let Some(text) = line.strip_suffix(b"\n") else {
                self.found(&place, Breach::Torn);
                break;
            };
            let Some(parsed) = Parsed::read(text) else {
                self.found(&place, Breach::Unreadable);
                continue;
            };
            match (&mut segment, parsed.head()) {
                (None, Some(head)) => segment = Some(self.head(&place, &parsed, head)?),
                (None, None) => {
                    self.found(&place, Breach::Headless);
                    return Ok(());
                }
                (Some(_), Some(_)) => self.found(&place, Breach::Headless),
                (Some(segment), None) => self.record(&place, &parsed, segment)?,
            }
        }
        if place.line == 0 {
            place.line = 1;
            self.found(&place, Breach::Headless);
        }
        Ok(())
    }

    /// A segment's first record.
    fn head(&mut self, place: &Place, parsed: &Parsed<'_>, head: Head) -> io::Result<Segment> {
        let key = (self.key)(&head.deployment, head.kid, &head.name);
        if key.is_none() {
            self.found(place, Breach::NoKey { kid: head.kid });
        }
        let before = Mark { seq: parsed.seq.saturating_sub(1), mac: head.before };
        let mut follows = head.segment > 1 || (head.before == NOTHING_BEFORE && parsed.seq == 1);
        if let Some(known) = self.known.get(&head.chain) {
            let (last, segment) = (known.last, known.segment);
            if parsed.seq > last.seq.saturating_add(1) {
                let missing = Breach::Missing { from: last.seq.saturating_add(1), to: before.seq };
                self.found(place, missing);
            } else {
                follows = last.seq == before.seq && last.mac == before.mac && head.segment > segment;
            }
        } else {
            if head.segment > self.put_away.begins(head.chain) {
                self.found(place, Breach::BeginningMissing { segment: head.segment });
            }
            if self.anchors.compare(head.chain, before)? == Anchored::Contradicts {
                self.found(place, Breach::NotAsAnchored { seq: before.seq });
            }
        }
        if !follows {
            self.found(place, Breach::OtherSegment { segment: head.segment });
        }
        let entered = self.known.entry(head.chain).or_insert_with(|| Known {
            name: head.name.clone(),
            first: parsed.seq,
            last: before,
            place: place.clone(),
            segment: head.segment,
        });
        entered.segment = head.segment;
        let mut segment = Segment { key, chain: head.chain, last: before };
        self.record(place, parsed, &mut segment)?;
        Ok(segment)
    }

    fn record(&mut self, place: &Place, parsed: &Parsed<'_>, segment: &mut Segment) -> io::Result<()> {
        let seq = parsed.seq;
        let Some(mac) = parsed.code() else {
            self.found(place, Breach::Unreadable);
            return Ok(());
        };
        self.verdict.records = self.verdict.records.saturating_add(1);
        let due = segment.last.seq.saturating_add(1);
        let fits = |segment: &Segment| {
            segment.key.as_ref().is_none_or(|key| key.is_mac(&segment.last.mac, parsed.signed.as_bytes(), &mac))
        };
        if seq > due {
            self.found(place, Breach::Missing { from: due, to: seq.saturating_sub(1) });
        } else if seq < due {
            self.found(place, Breach::Misplaced { seq });
            return Ok(());
        } else if !fits(segment) {
            self.found(place, Breach::Altered { seq });
        }
        segment.last = Mark { seq, mac };
        if self.anchors.compare(segment.chain, segment.last)? == Anchored::Contradicts {
            self.found(place, Breach::NotAsAnchored { seq });
        }
        match (parsed.access(), parsed.lost()) {
            (Some(access), _) if access.is_begun() => {}
            (Some(_), _) => self.verdict.accesses = self.verdict.accesses.saturating_add(1),
            (None, Some(lost)) => self.verdict.lost = self.verdict.lost.saturating_add(lost),
            (None, None) if matches!(parsed.kind, b'a' | b'g') => self.found(place, Breach::Unreadable),
            (None, None) => {}
        }
        if let Some(known) = self.known.get_mut(&segment.chain) {
            known.last = segment.last;
            known.place = place.clone();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Verdict> {
        let mut behind = Vec::new();
        for (chain, known) in &self.known {
            if let Some(to) = self.anchors.rest(*chain)?.filter(|to| *to > known.last.seq) {
                behind.push((known.place.clone(), Breach::CutOff { from: known.last.seq.saturating_add(1), to }));
            }
        }
        for (chain, seq) in std::mem::take(&mut self.anchors.contradicted) {
            let file = self.known.get(&chain).map_or_else(String::new, |known| known.name.clone());
            self.found(&Place { file, line: 0 }, Breach::NotAsAnchored { seq });
        }
        behind.into_iter().for_each(|(place, breach)| self.found(&place, breach));
        let names: BTreeSet<String> = self.known.values().map(|known| known.name.clone()).collect();
        for name in names {
            for (chain, seq) in self.anchors.chains(&name)? {
                if !self.known.contains_key(&chain) && !self.put_away.is_gone(chain) {
                    self.found(&Place { file: name.clone(), line: 0 }, Breach::ChainMissing { chain, seq });
                }
            }
        }
        self.verdict.anchors = self.anchors.compared;
        self.verdict.chains = self.known.iter().map(|(chain, known)| (*chain, (known.first, known.last.seq))).collect();
        Ok(self.verdict)
    }

    fn found(&mut self, place: &Place, breach: Breach) {
        if self.verdict.found.len() < FOUND_MAX {
            self.verdict.found.push(Found { place: place.clone(), breach });
        }
    }
}
