//! The write lease: until when protected columns may be written.
//!
//! A proxy that the key store has not heard of for a while may work with keys, or with stages of columns, that all others
//! have left behind, and whoever waits for the others does not wait for it. So it stops sealing. The control plane says
//! until when the lease holds; here the clock is read, at the moment at which a value is sealed or a statement that holds
//! sealed values is executed. Nothing is awaited between that moment and the first byte towards the server. A statement
//! that is on its way then may reach the server later, but not without bound: a peer that takes no bytes, or does not
//! acknowledge them, loses the connection after `write_timeout_s`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The lease. Clones are the same lease.
#[derive(Clone, Debug)]
pub struct WriteLease {
    began: Instant,
    /// Nanoseconds after `began`.
    until: Arc<AtomicU64>,
}

impl WriteLease {
    /// A lease that does not hold until it is extended.
    #[expect(clippy::new_without_default, reason = "an expired lease is nobody's default")]
    pub fn new() -> Self {
        Self { began: Instant::now(), until: Arc::default() }
    }

    /// Lets it hold until then. Never shortens it.
    pub fn extend(&self, until: Instant) {
        let nanoseconds = until.saturating_duration_since(self.began).as_nanos();
        self.until.fetch_max(u64::try_from(nanoseconds).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        self.began.elapsed().as_nanos() < u128::from(self.until.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_holds_from_its_extension_to_its_end() {
        let lease = WriteLease::new();
        assert!(!lease.holds(), "never extended");
        lease.extend(Instant::now());
        assert!(!lease.holds(), "over");
        let other = lease.clone();
        other.extend(Instant::now() + Duration::from_secs(3600));
        assert!(lease.holds());
        lease.extend(Instant::now());
        assert!(lease.holds(), "a late answer takes nothing back");
    }
}
