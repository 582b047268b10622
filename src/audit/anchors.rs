//! Anchors as a verification goes along them: chain by chain in the order of its records, a page at a time, however many
//! there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use super::chain::{ChainId, Code, Mark};

/// Where an anchor stands among those of its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnchorPlace {
    /// The record's number.
    pub seq: u64,
    /// The anchor's own number: of one record there may be several, and the first of them counts.
    pub number: u64,
}

/// Where anchors are kept.
pub trait AnchorStore {
    /// The next anchors of a chain behind that place, in order, with the codes of their records. None: there are no more.
    ///
    /// # Errors
    /// They cannot be read.
    fn page(&mut self, chain: ChainId, behind: AnchorPlace) -> io::Result<Vec<(AnchorPlace, Code)>>;

    /// Each chain of a proxy of that name, and the last of its records that has an anchor.
    ///
    /// # Errors
    /// They cannot be read.
    fn chains(&mut self, name: &str) -> io::Result<Vec<(ChainId, u64)>>;
}

/// There are none at hand.
#[derive(Clone, Copy, Debug)]
pub struct NoAnchors;

impl AnchorStore for NoAnchors {
    fn page(&mut self, _: ChainId, _: AnchorPlace) -> io::Result<Vec<(AnchorPlace, Code)>> {
        Ok(Vec::new())
    }

    fn chains(&mut self, _: &str) -> io::Result<Vec<(ChainId, u64)>> {
        Ok(Vec::new())
    }
}

/// Whether a record is the one that was anchored, as far as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchored {
    Fits,
    Contradicts,
}

/// Anchors of all chains, as far as their records were read.
pub(super) struct Along<'a, S> {
    store: &'a mut S,
    chains: BTreeMap<ChainId, Followed>,
    /// Anchors that were compared.
    pub(super) compared: u64,
    /// Records of which two anchors say different things, and which were not read themselves.
    pub(super) contradicted: BTreeSet<(ChainId, u64)>,
}

#[derive(Debug, Default)]
struct Followed {
    waiting: VecDeque<(AnchorPlace, Code)>,
    /// Up to where anchors were asked for.
    asked: AnchorPlace,
    more: More,
    /// The first anchor of the last record that was passed.
    passed: Option<(u64, Code)>,
}

/// Whether there may be more anchors than wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum More {
    #[default]
    Perhaps,
    No,
}

impl Followed {
    /// The next anchor, if it is of a record up to that one.
    fn next(&mut self, up_to: u64, chain: ChainId, store: &mut impl AnchorStore) -> io::Result<Option<(u64, Code)>> {
        if self.waiting.is_empty() && self.more == More::Perhaps {
            self.waiting = store.page(chain, self.asked)?.into();
            match self.waiting.back() {
                Some((last, _)) if *last > self.asked => self.asked = *last,
                Some(_) | None => self.more = More::No,
            }
        }
        let next = self.waiting.pop_front_if(|(place, _)| place.seq <= up_to);
        Ok(next.map(|(place, code)| (place.seq, code)))
    }

    /// The record of an anchor was not read: the first one counts, since a later one could be written for a history that was
    /// made up.
    fn pass(&mut self, seq: u64, code: Code) -> Anchored {
        match self.passed {
            Some((known, first)) if known == seq && first == code => Anchored::Fits,
            Some((known, _)) if known == seq => Anchored::Contradicts,
            Some(_) | None => {
                self.passed = Some((seq, code));
                Anchored::Fits
            }
        }
    }
}

impl<'a, S: AnchorStore> Along<'a, S> {
    pub(super) fn new(store: &'a mut S) -> Self {
        Self { store, chains: BTreeMap::new(), compared: 0, contradicted: BTreeSet::new() }
    }

    /// Compares a record with its anchors. Those of records that were not read are passed.
    pub(super) fn compare(&mut self, chain: ChainId, record: Mark) -> io::Result<Anchored> {
        let mut anchored = Anchored::Fits;
        let followed = self.chains.entry(chain).or_default();
        while let Some((seq, code)) = followed.next(record.seq, chain, self.store)? {
            self.compared = self.compared.saturating_add(1);
            if seq < record.seq && followed.pass(seq, code) == Anchored::Contradicts {
                self.contradicted.insert((chain, seq));
            } else if seq == record.seq && code != record.mac {
                anchored = Anchored::Contradicts;
            }
        }
        Ok(anchored)
    }

    /// Passes all that is left of a chain. Returns the last record that has an anchor there.
    pub(super) fn rest(&mut self, chain: ChainId) -> io::Result<Option<u64>> {
        let mut last = None;
        let followed = self.chains.entry(chain).or_default();
        while let Some((seq, code)) = followed.next(u64::MAX, chain, self.store)? {
            self.compared = self.compared.saturating_add(1);
            if followed.pass(seq, code) == Anchored::Contradicts {
                self.contradicted.insert((chain, seq));
            }
            last = Some(seq);
        }
        Ok(last)
    }

    /// Chains of a proxy of that name.
    pub(super) fn chains(&mut self, name: &str) -> io::Result<Vec<(ChainId, u64)>> {
        self.store.chains(name)
    }
}
