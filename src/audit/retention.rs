//! What a verification is told beforehand: which segments were put away on purpose, and what the database has anchors of.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::ChainId;
use super::line::Parsed;
use super::verify::Anchor;

/// Anchors that are held: four years of one a minute.
const ANCHORS_MAX: usize = 2_000_000;

/// Segments that were put away on purpose. Of all others the absence is a breach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutAway {
    /// With which segment chains may begin, where nothing is said of them.
    any: Option<u64>,
    /// With which segment a chain may begin.
    chains: BTreeMap<ChainId, u64>,
    /// Chains of which no segment need be there.
    gone: BTreeSet<ChainId>,
}

impl PutAway {
    /// Segments before that one were put away, of one chain or of all that nothing else is said of.
    pub fn before(&mut self, chain: Option<ChainId>, segment: u64) {
        match chain {
            Some(chain) => drop(self.chains.insert(chain, segment)),
            None => self.any = Some(segment),
        }
    }

    /// All segments of a chain were put away.
    pub fn all_of(&mut self, chain: ChainId) {
        self.gone.insert(chain);
    }

    /// The last segment that a chain may begin with.
    pub(super) fn begins(&self, chain: ChainId) -> u64 {
        self.chains.get(&chain).copied().or(self.any).unwrap_or(1)
    }

    /// Whether no segment of the chain need be there.
    pub(super) fn is_gone(&self, chain: ChainId) -> bool {
        self.gone.contains(&chain)
    }
}

/// There are more anchors of the chains than are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database has more than {ANCHORS_MAX} anchors of the chains in these files")]
pub struct TooManyAnchors;

/// The anchors that a verification needs: all of the chains in its files, and of the other chains of the same proxies the
/// newest each. How many others there are is no matter.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    chains: BTreeSet<ChainId>,
    names: BTreeSet<String>,
    kept: Vec<Anchor>,
    others: BTreeMap<ChainId, Anchor>,
}

impl Anchors {
    /// Takes note of a file, by its first line. What is no head of a segment has no anchors.
    pub fn expect(&mut self, first_line: &[u8]) {
        if let Some(head) = Parsed::read(first_line).and_then(|parsed| parsed.head()) {
            self.chains.insert(head.chain);
            self.names.insert(head.name);
        }
    }

    /// Takes an anchor; older ones come first.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, anchor: Anchor) -> Result<(), TooManyAnchors> {
        if self.chains.contains(&anchor.chain) {
            self.kept.push(anchor);
        } else if self.names.contains(&anchor.name)
            && self.others.get(&anchor.chain).is_none_or(|known| known.seq < anchor.seq)
        {
            self.others.insert(anchor.chain, anchor);
        }
        let held = self.kept.len().saturating_add(self.others.len());
        if held > ANCHORS_MAX { Err(TooManyAnchors) } else { Ok(()) }
    }

    /// The anchors, in order for each chain.
    pub fn into_vec(self) -> Vec<Anchor> {
        let Self { mut kept, others, .. } = self;
        kept.extend(others.into_values());
        kept
    }
}
