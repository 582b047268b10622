//! What a verification is told beforehand: which segments were put away on purpose.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::ChainId;

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
