//! Plans and refusals by digest, shared by all connections.
//!
//! The key is the whole digest text behind a prefix of everything else that a decision depends on, and a hit compares it
//! byte for byte, so a forged hash cannot borrow another statement's plan. What must not be remembered is
//! decided by [`super::inspect`](fn@super::inspect).

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::protected_names::ProtectedNames;
use super::{QueryPlan, Refusal};
use crate::firewall::LatestNames;
use crate::firewall::profile::Sighting;
use crate::policy::Policy;
use crate::schema::Catalog;

/// Bytes that an entry holds beside its key: plan, counters, slots. An estimate that errs on the large side.
const ENTRY_OCTETS: u64 = 512;

/// What was decided about a digest.
#[derive(Clone, Debug)]
pub(super) enum Decision {
    /// It may pass.
    Admit {
        /// What happens to it.
        plan: Arc<QueryPlan>,
        /// The firewall rule that matched under a mode that only observes.
        observed: Option<&'static str>,
        /// Where statements of the digest are counted, if the account is learned about.
        sighting: Option<Arc<Sighting>>,
    },
    /// It may not. The account in it is the one that asked first.
    Refuse(Arc<Refusal>),
}

/// A bounded cache of decisions.
pub struct PlanCache {
    decisions: Cache<Box<[u8]>, Decision, ByOctets, RandomState>,
    names: ArcSwapOption<ProtectedNames>,
    /// The names that the catalog knows.
    pub(super) catalog_names: LatestNames,
}

impl PlanCache {
    /// Makes a cache that holds at most `entries_max` decisions and about `octets_max` bytes.
    pub fn new(entries_max: u32, octets_max: u64) -> Self {
        let entries_max = entries_max.max(1);
        // An entry weighs at least its share, so the one bound on weight bounds the number of entries too.
        let weight_min = octets_max / u64::from(entries_max) + 1;
        let decisions = Cache::with(
            usize::try_from(entries_max).unwrap_or(usize::MAX),
            octets_max,
            ByOctets { weight_min },
            RandomState::new(),
            DefaultLifecycle::default(),
        );
        Self { decisions, names: ArcSwapOption::empty(), catalog_names: LatestNames::default() }
    }

    /// How many decisions are held.
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<Decision> {
        self.decisions.get(key)
    }

    pub(super) fn keep(&self, key: &[u8], decision: Decision) {
        self.decisions.insert(key.into(), decision);
    }

    /// The dangerous names of a policy and a catalog; collected once for each pair of versions.
    pub(super) fn names(&self, policy: &Policy, catalog: &Catalog) -> Arc<ProtectedNames> {
        if let Some(names) = self.names.load_full()
            && names.is_of(policy, catalog)
        {
            return names;
        }
        let names = Arc::new(ProtectedNames::collect(policy, catalog));
        self.names.store(Some(names.clone()));
        names
    }
}

impl fmt::Debug for PlanCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

/// Weighs an entry by the bytes that it holds.
#[derive(Clone, Debug)]
struct ByOctets {
    weight_min: u64,
}

impl Weighter<Box<[u8]>, Decision> for ByOctets {
    fn weight(&self, key: &Box<[u8]>, decision: &Decision) -> u64 {
        let splices = match decision {
            Decision::Admit { plan, .. } => {
                plan.splices.iter().map(|splice| splice.parts().len()).sum::<usize>().saturating_mul(128)
            }
            Decision::Refuse(_) => 0,
        };
        (key.len().saturating_add(splices) as u64).saturating_add(ENTRY_OCTETS).max(self.weight_min)
    }
}
