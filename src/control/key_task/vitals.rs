//! How the key task is doing, in numbers that may be read at any time: for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Numbers of a running [`super::KeyTask`].
#[derive(Debug, Default)]
pub struct Vitals {
    moments: Mutex<Moments>,
    refusals: AtomicU64,
    lost: AtomicU64,
    inactive: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    store_read: Option<Instant>,
    oldest_proof: Option<Instant>,
}

impl Vitals {
    /// Numbers of a task that has read the key store and has had a key proved.
    #[cfg(test)]
    pub(crate) fn of_a_running_task() -> Self {
        let vitals = Self::default();
        vitals.read_store(Instant::now());
        vitals.keys(Some(Instant::now()), 0);
        vitals
    }

    /// How long ago the key store was read; `None` if it never was.
    pub fn store_read(&self) -> Option<Duration> {
        self.moments().store_read.map(|at| at.elapsed())
    }

    /// How long ago the key provider opened the key that has waited longest for it; `None` without keys.
    pub fn oldest_proof(&self) -> Option<Duration> {
        self.moments().oldest_proof.map(|at| at.elapsed())
    }

    /// How often the key provider refused to open a key.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Keys that were open and are lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Keysets without an active key, counted for each purpose.
    pub fn inactive(&self) -> u64 {
        self.inactive.load(Ordering::Relaxed)
    }

    pub(super) fn published(&self, inactive: usize) {
        self.inactive.store(inactive as u64, Ordering::Relaxed);
    }

    pub(super) fn read_store(&self, at: Instant) {
        self.change(|moments| moments.store_read = Some(at));
    }

    pub(super) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn keys(&self, oldest_proof: Option<Instant>, lost: usize) {
        self.lost.store(lost as u64, Ordering::Relaxed);
        self.change(|moments| moments.oldest_proof = oldest_proof);
    }

    fn moments(&self) -> Moments {
        *self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Moments)) {
        change(&mut self.moments.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
