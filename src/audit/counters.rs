//! What became of records, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the record of accesses.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failures: AtomicU64,
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
    /// Their values now.
    pub fn totals(&self) -> Totals {
        Totals {
            written: self.written.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}
