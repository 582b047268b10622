//! What the firewall and its sinks have done, for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Outcome;

/// Hits of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// The rule.
    pub rule: &'static str,
    /// The account's mode.
    pub mode: &'static str,
    /// What became of the statements.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
}

/// What became of one sink's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkCount {
    /// `file`, `syslog` or `http`.
    pub sink: &'static str,
    /// Events that it took.
    pub delivered: u64,
    /// Events that were lost: the queue was full, the receiver refused them for good, or the process ended first.
    pub dropped: u64,
    /// Attempts that failed.
    pub failures: u64,
}

/// Counters of one sink.
#[derive(Debug, Default)]
pub(super) struct SinkCounters {
    pub(super) delivered: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// Hits that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    rule: &'static str,
    mode: &'static str,
    outcome: Outcome,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Counters {
    /// There are a few dozen rules, and only hits come here.
    rules: Mutex<BTreeMap<Kind, u64>>,
    pub(super) suppressed: AtomicU64,
    pub(super) sighted: AtomicU64,
    sinks: Mutex<Vec<(&'static str, Arc<SinkCounters>)>>,
}

impl Counters {
    pub(super) fn hit(&self, rule: &'static str, mode: &'static str, outcome: Outcome) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        *rules.entry(Kind { rule, mode, outcome }).or_default() += 1;
    }

    pub(super) fn sink(&self, name: &'static str) -> Arc<SinkCounters> {
        let counters = Arc::new(SinkCounters::default());
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).push((name, counters.clone()));
        counters
    }

    /// Hits by rule, mode and outcome, in that order.
    pub fn rules(&self) -> Vec<RuleCount> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(Kind { rule, mode, outcome }, count): (&Kind, &u64)| RuleCount {
            rule,
            mode,
            outcome: *outcome,
            count: *count,
        };
        rules.iter().map(of).collect()
    }

    /// Hits that made no event, because enough of their kind had.
    pub fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    /// Results that showed bait.
    pub fn sighted(&self) -> u64 {
        self.sighted.load(Ordering::Relaxed)
    }

    /// The sinks that are configured.
    pub fn sinks(&self) -> Vec<SinkCount> {
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(sink, counters): &(&'static str, Arc<SinkCounters>)| SinkCount {
            sink,
            delivered: counters.delivered.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            failures: counters.failures.load(Ordering::Relaxed),
        };
        sinks.iter().map(of).collect()
    }
}
