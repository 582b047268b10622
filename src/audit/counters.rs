//! What became of records, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the record of accesses.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failures: AtomicU64,
    /// Accesses that the writer has, or that wait for it.
    pub(super) waiting: AtomicU64,
}

/// Their values at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Accesses that were written.
    pub written: u64,
    /// Accesses that happened and were not written.
    pub lost: u64,
    /// Attempts to write that failed.
    pub failures: u64,
}

impl Counters {
    /// The writer is given up: what waits for it is lost. Gives how many accesses these are.
    pub fn give_up(&self) -> u64 {
        let waiting = self.waiting.swap(0, Ordering::Relaxed);
        self.lost.fetch_add(waiting, Ordering::Relaxed);
        waiting
    }

    pub(super) fn settled(&self, count: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(count));
        // It always succeeds.
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default();
    }

    /// Their values now.
    pub fn totals(&self) -> Totals {
        Totals {
            written: self.written.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}
