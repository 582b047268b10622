//! How many hits become events: a bucket of tokens for each account, client address and rule, and one for all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::policy::Account;

/// Buckets that are kept. More accounts, addresses and rules than that at one time share one bucket.
const BUCKETS_MAX: usize = 4096;
/// Looking through all buckets costs as much as many hits: not more often than this.
const SWEEP: Duration = Duration::from_secs(1);
/// A bucket holds what comes in so many seconds.
const BURST_S: u32 = 10;
/// All together may make so many times the events of one bucket.
const ALL_FACTOR: u32 = 20;

/// Whose hits share a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    user: Arc<str>,
    host: Arc<str>,
    address: IpAddr,
    rule: &'static str,
}

/// Whether a hit becomes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It does, and speaks for so many others before it that did not.
    Event {
        /// How many.
        suppressed: u64,
    },
    /// It is only counted.
    Suppressed,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    suppressed: u64,
}

impl Bucket {
    fn full(per_second: u32, now: Instant) -> Self {
        Self { tokens: f64::from(per_second.saturating_mul(BURST_S)), filled: now, suppressed: 0 }
    }

    fn fill(&mut self, per_second: u32, now: Instant) {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * f64::from(per_second);
        self.tokens = (self.tokens + gained).min(f64::from(per_second.saturating_mul(BURST_S)));
        self.filled = now;
    }

    fn is_full(&self, per_second: u32) -> bool {
        self.tokens >= f64::from(per_second.saturating_mul(BURST_S)) && self.suppressed == 0
    }
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Sampler {
    per_second: u32,
    sources: HashMap<Source, Bucket>,
    others: Bucket,
    all: Bucket,
    /// When buckets that are full were last dropped.
    swept: Instant,
}

impl Sampler {
    /// So many events a second for one source.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let all = Bucket::full(per_second.saturating_mul(ALL_FACTOR), now);
        Self { per_second, sources: HashMap::new(), others: Bucket::full(per_second, now), all, swept: now }
    }

    /// Takes a token for a hit, if there is one.
    pub(super) fn admit(&mut self, account: &Account, address: IpAddr, rule: &'static str, now: Instant) -> Admission {
        let per_second = self.per_second;
        self.all.fill(per_second.saturating_mul(ALL_FACTOR), now);
        let source = Source { user: account.user.clone(), host: account.host.clone(), address, rule };
        let is_full = self.sources.len() >= BUCKETS_MAX && !self.sources.contains_key(&source);
        if is_full && now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            // Who has been silent for long enough is as good as new.
            self.sources.retain(|_, bucket| {
                bucket.fill(per_second, now);
                !bucket.is_full(per_second)
            });
        }
        let bucket = if self.sources.len() < BUCKETS_MAX || self.sources.contains_key(&source) {
            self.sources.entry(source).or_insert_with(|| Bucket::full(per_second, now))
        } else {
            &mut self.others
        };
        bucket.fill(per_second, now);
        if bucket.tokens < 1.0 || self.all.tokens < 1.0 {
            bucket.suppressed += 1;
            return Admission::Suppressed;
        }
        bucket.tokens -= 1.0;
        self.all.tokens -= 1.0;
        Admission::Event { suppressed: std::mem::take(&mut bucket.suppressed) }
    }
}
