//! What is known of accounts, as the data plane holds it: an immutable snapshot with profiles and exceptions.
//!
//! Parts that did not change keep their stamp from snapshot to snapshot. Stamps are part of the plan cache's key, so that
//! a verdict is remembered for as long as what it was made of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::distance::{FAR, added, distance};
use super::shape::Shape;
use super::sightings::{Place, Sightings};
use crate::firewall::Digest;
use crate::policy::Account;

/// Whether a profile takes digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It does.
    Learning,
    /// Somebody said that it is complete.
    Frozen,
}

/// The digests of one account in one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Whether it takes digests.
    pub growth: Growth,
    digests: HashSet<Digest>,
    shapes: HashMap<Box<str>, HashSet<Shape>>,
}

/// How a statement stands to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Its digest is known.
    Known,
    /// It is not, and this is how much it has more than the nearest known one, in points.
    Unknown(u32),
}

impl Profile {
    /// A profile of digests, with the shapes of those that have one.
    pub fn new(growth: Growth, known: impl IntoIterator<Item = (Digest, Option<Shape>)>) -> Self {
        let mut profile = Self { growth, digests: HashSet::new(), shapes: HashMap::new() };
        for (digest, shape) in known {
            profile.digests.insert(digest);
            if let Some(shape) = shape {
                profile.shapes.entry(shape.head().into()).or_default().insert(shape);
            }
        }
        profile
    }

    /// How many digests are known.
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether the digest is known.
    pub fn has(&self, digest: Digest) -> bool {
        self.digests.contains(&digest)
    }

    /// How a statement stands to it. `shape` is asked for only if the digest is unknown.
    pub fn novelty(&self, digest: Digest, shape: impl FnOnce() -> Option<Shape>) -> Novelty {
        if self.has(digest) {
            return Novelty::Known;
        }
        let Some(shape) = shape() else { return Novelty::Unknown(FAR) };
        let mut nearest = FAR;
        for known in self.of_kind(&shape) {
            nearest = nearest.min(distance(&shape, known));
            if nearest == 0 {
                break;
            }
        }
        Novelty::Unknown(nearest)
    }

    /// The known shape that has the fewest points less than this one, for people; `None` if none is of its kind.
    pub fn nearest(&self, shape: &Shape) -> Option<&Shape> {
        let points = |known: &&Shape| added(shape, known).fold(0_u32, |sum, (_, points)| sum.saturating_add(points));
        self.of_kind(shape).min_by_key(points)
    }

    /// The known shapes of the same kind of statement.
    fn of_kind(&self, shape: &Shape) -> impl Iterator<Item = &Shape> {
        self.shapes.get(shape.head()).into_iter().flatten()
    }
}

/// Something with a number that no other content has had in this process. 0 is nothing at all.
#[derive(Clone, Debug)]
pub struct Stamped<T> {
    /// The number.
    pub stamp: u64,
    /// The content.
    pub content: Arc<T>,
}

/// Digests that somebody allowed an account, whatever is said against them.
pub type Exceptions = HashSet<Digest>;

/// Whether the store has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loaded {
    /// Not yet: nothing is known of anybody.
    #[default]
    No,
    /// It has.
    Yes,
}

/// All that is known. By default the store was not read.
#[derive(Debug, Default)]
pub struct Profiles {
    loaded: Loaded,
    version: u64,
    last_stamp: u64,
    profiles: HashMap<Place, Stamped<Profile>>,
    exceptions: HashMap<Box<str>, Stamped<Exceptions>>,
    sightings: Arc<Sightings>,
}

impl Profiles {
    /// What the store has now. What did not change keeps its stamp.
    #[must_use]
    pub fn next(&self, profiles: HashMap<Place, Arc<Profile>>, exceptions: HashMap<Box<str>, Exceptions>) -> Self {
        let mut last_stamp = self.last_stamp;
        let profiles = profiles
            .into_iter()
            .map(|(place, profile)| {
                let before = self.profiles.get(&place);
                let kept = before.filter(|kept| Arc::ptr_eq(&kept.content, &profile) || *kept.content == *profile);
                let stamped = kept.cloned().unwrap_or_else(|| stamped(&mut last_stamp, profile));
                (place, stamped)
            })
            .collect();
        let exceptions = exceptions
            .into_iter()
            .map(|(account, digests)| {
                let kept = self.exceptions.get(&account).filter(|kept| *kept.content == digests);
                let stamped = kept.cloned().unwrap_or_else(|| stamped(&mut last_stamp, Arc::new(digests)));
                (account, stamped)
            })
            .collect();
        let mut next = Self {
            loaded: Loaded::Yes,
            version: self.version,
            last_stamp,
            profiles,
            exceptions,
            sightings: self.sightings.clone(),
        };
        if !next.admits_all_of(self) {
            next.version = next.version.saturating_add(1);
        }
        next
    }

    /// Whether nothing is different.
    pub fn same_as(&self, other: &Self) -> bool {
        let stamps = |profiles: &Self| -> HashSet<u64> {
            let of_profiles = profiles.profiles.values().map(|stamped| stamped.stamp);
            of_profiles.chain(profiles.exceptions.values().map(|stamped| stamped.stamp)).collect()
        };
        self.loaded == other.loaded && stamps(self) == stamps(other)
    }

    /// Whether whatever the other ones let pass still passes.
    fn admits_all_of(&self, other: &Self) -> bool {
        let has_profile = |(place, before): (&Place, &Stamped<Profile>)| {
            self.profiles.get(place).is_some_and(|now| {
                now.stamp == before.stamp
                    || now.content.growth == before.content.growth
                        && before.content.digests.is_subset(&now.content.digests)
            })
        };
        let has_exceptions = |account: &str, before: &Stamped<Exceptions>| {
            self.exceptions.get(account).is_some_and(|now| before.content.is_subset(&now.content))
        };
        other.profiles.iter().all(has_profile)
            && other.exceptions.iter().all(|(account, before)| has_exceptions(account, before))
    }

    /// Whether there is neither a profile nor an exception.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty() && self.exceptions.is_empty()
    }

    /// Grows with every change after which something may be refused that passed before.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the store has been read.
    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Where new digests are noted.
    pub fn sightings(&self) -> &Arc<Sightings> {
        &self.sightings
    }

    /// A profile.
    pub fn profile(&self, place: &Place) -> Option<&Arc<Profile>> {
        self.profiles.get(place).map(|stamped| &stamped.content)
    }

    /// What an account in a database is judged by.
    pub fn of(&self, account: &Account, database: Option<&str>) -> AccountProfile {
        let name: Box<str> = format!("{}@{}", account.user, account.host).into();
        let exceptions = self.exceptions.get(&name).cloned();
        let place = Place { account: name, database: database.unwrap_or_default().into() };
        let profile = self.profiles.get(&place).cloned();
        let (loaded, sightings) = (self.loaded, self.sightings.clone());
        AccountProfile { loaded, place, profile, exceptions, sightings, novel: AtomicU32::default() }
    }
}

fn stamped<T>(last: &mut u64, content: Arc<T>) -> Stamped<T> {
    *last = last.saturating_add(1);
    Stamped { stamp: *last, content }
}

/// What one account in one database is judged by, beside signatures.
#[derive(Debug)]
pub struct AccountProfile {
    /// Whether the store has been read.
    pub loaded: Loaded,
    /// Who and where.
    pub place: Place,
    /// What is known of it.
    pub profile: Option<Stamped<Profile>>,
    /// What is allowed to the account.
    pub exceptions: Option<Stamped<Exceptions>>,
    /// Where new digests are noted.
    pub sightings: Arc<Sightings>,
    novel: AtomicU32,
}

impl AccountProfile {
    /// Notes that a statement was met that the profile does not know.
    pub fn note_novel(&self) {
        self.novel.fetch_add(1, Ordering::Relaxed);
    }

    /// How many such statements were met since the last question.
    pub fn take_novel(&self) -> u32 {
        self.novel.swap(0, Ordering::Relaxed)
    }

    /// Whether somebody allowed the digest.
    pub fn allows(&self, digest: Digest) -> bool {
        self.exceptions.as_ref().is_some_and(|exceptions| exceptions.content.contains(&digest))
    }

    /// Whether new digests are taken.
    pub fn growth(&self) -> Growth {
        self.profile.as_ref().map_or(Growth::Learning, |profile| profile.content.growth)
    }

    /// How a statement stands to what is known.
    pub fn novelty(&self, digest: Digest, shape: impl FnOnce() -> Option<Shape>) -> Novelty {
        match &self.profile {
            Some(profile) => profile.content.novelty(digest, shape),
            None => Novelty::Unknown(FAR),
        }
    }
}
