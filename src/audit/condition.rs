//! Whether records can be written, as the writer and those who wait for it last found.

use std::sync::atomic::{AtomicBool, Ordering};

/// Known to the data plane and to the writer.
#[derive(Debug, Default)]
pub(super) struct Condition {
    failing: AtomicBool,
}

impl Condition {
    /// Whether the last attempt succeeded.
    pub(super) fn is_well(&self) -> bool {
        !self.failing.load(Ordering::Acquire)
    }

    /// A record was written. Whether that is news.
    pub(super) fn recovers(&self) -> bool {
        // Nearly always it is none: a read that all share.
        !self.is_well() && self.failing.swap(false, Ordering::AcqRel)
    }

    /// A record was not written. Whether that is news.
    pub(super) fn fails(&self) -> bool {
        !self.failing.swap(true, Ordering::AcqRel)
    }
}
