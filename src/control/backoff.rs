//! Waiting between attempts: exponential with full jitter, so that many proxies that lost the same service do not come
//! back in step.

use std::time::Duration;

/// The upper bound of the first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The upper bound that later waits grow to.
const LAST: Duration = Duration::from_secs(10);

/// Growing waits from 0.2 to 10 seconds.
#[derive(Debug)]
pub(super) struct Backoff {
    bound: Duration,
}

impl Backoff {
    /// Starts at the shortest wait.
    pub(super) fn new() -> Self {
        Self { bound: FIRST }
    }

    /// The next wait: anything from nothing to the bound, which doubles each time.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.bound.mul_f64(fraction());
        self.bound = LAST.min(self.bound * 2);
        wait
    }

    /// Waits. Cancel-safe.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

/// A number from 0 to 1. Without randomness it is 1: the wait is then the longest.
pub(super) fn fraction() -> f64 {
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}
