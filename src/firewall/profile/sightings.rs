//! What has been seen of accounts that are learned about, until it is in the store. Bounded: what does not fit is not
//! kept, and counted. The statement's way ends here; the store's task comes and takes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::shape::Shape;
use crate::firewall::Digest;

/// Sightings that are held, over all accounts.
const HELD_MAX: usize = 20_000;

/// An account as the server knows it, `user@host`, and a database; empty if none is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The account.
    pub account: Box<str>,
    /// The database.
    pub database: Box<str>,
}

/// A digest that was seen at a place. Plans keep it, so that every statement of the digest is counted.
#[derive(Debug)]
pub struct Sighting {
    /// Where.
    pub place: Place,
    /// The digest.
    pub digest: Digest,
    /// What a statement of it is made of; `None` if it is known by its digest alone.
    pub shape: Option<Shape>,
    /// The text for people.
    pub text: Box<str>,
    seen: AtomicU64,
    stored: AtomicU64,
}

impl Sighting {
    /// Counts a statement.
    pub fn count(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }

    /// How many statements are not in the store yet.
    pub fn pending(&self) -> u64 {
        self.seen.load(Ordering::Relaxed).saturating_sub(self.stored.load(Ordering::Relaxed))
    }

    /// So many are in the store now, or will never be.
    pub fn settled(&self, count: u64) {
        self.stored.fetch_add(count, Ordering::Relaxed);
    }
}

/// All sightings.
#[derive(Debug, Default)]
pub struct Sightings {
    held: Mutex<HashMap<(Place, Digest), Arc<Sighting>>>,
    passed_over: AtomicU64,
}

impl Sightings {
    /// The sighting of a digest at a place. `describe` is asked for shape and text if it is the first one. `None` if
    /// there is no room.
    pub fn of(
        &self,
        place: &Place,
        digest: Digest,
        describe: impl FnOnce() -> (Option<Shape>, String),
    ) -> Option<Arc<Sighting>> {
        let key = (place.clone(), digest);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sighting) = held.get(&key) {
            return Some(sighting.clone());
        }
        if held.len() >= HELD_MAX {
            self.passed_over.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let (shape, text) = describe();
        let sighting = Arc::new(Sighting {
            place: place.clone(),
            digest,
            shape,
            text: text.into(),
            seen: AtomicU64::default(),
            stored: AtomicU64::default(),
        });
        held.insert(key, sighting.clone());
        Some(sighting)
    }

    /// Sightings with statements that are not in the store. Those that nobody can add to any more are let go.
    pub fn pending(&self) -> Vec<Arc<Sighting>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, sighting| sighting.pending() > 0 || Arc::strong_count(sighting) > 1);
        held.values().filter(|sighting| sighting.pending() > 0).cloned().collect()
    }

    /// How many digests found no room since the last question.
    pub fn passed_over(&self) -> u64 {
        self.passed_over.swap(0, Ordering::Relaxed)
    }
}
