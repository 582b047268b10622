//! Counters of the data plane and of the key task as metrics. They are read when somebody asks, so that counting costs nothing more.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use super::health::Readiness;
use crate::audit;
use crate::budget::Ledger;
use crate::control::{KeysState, Vitals};
use crate::events::{Counters, SinkCount};
use crate::explain::ShadowTable;
use crate::proxy::{Registry, WriteLease};

/// Reads counters and readiness on demand.
#[derive(Debug)]
pub(super) struct DataPlane {
    pub(super) registry: Arc<Registry>,
    pub(super) readiness: watch::Receiver<Readiness>,
}

impl Collector for DataPlane {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let totals = self.registry.totals();
        let ready = i64::from(*self.readiness.borrow() == Readiness::Ready);
        let connections = i64::try_from(totals.connections).unwrap_or(i64::MAX);
        for (name, help, value) in [
            ("ready", "1 when catalog and keys are loaded", ready),
            ("connections", "Client connections that exist", connections),
        ] {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        for (name, help, value) in [
            ("connections_accepted", "Client connections since start", totals.accepted),
            ("statements", "Statements received", totals.statements),
            ("refusals", "Statements that were not sent to the server", totals.refusals),
            ("client_bytes", "Bytes of answers written to clients", totals.bytes_to_client),
            ("unknown_keys", "Stored values met whose key was not known here", totals.unknown_keys),
            ("repreparations", "Prepared statements prepared again unseen by clients", totals.repreparations),
            ("over_budget", "Results ended because a budget for protected cells was spent", totals.over_budget),
            ("near_budget", "Times that an account was shown most of what its budget allows", totals.near_budget),
            ("searches", "Values that roles which do not see them searched for", totals.searches),
            ("searches_refused", "Statements refused because of too many searches", totals.searches_refused),
            ("server_bytes", "Bytes of commands written to the server", totals.bytes_to_server),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// Reads on demand what shadow mode has seen.
#[derive(Debug)]
pub(super) struct Shadow {
    /// `None` outside of shadow mode.
    pub(super) table: Option<Arc<ShadowTable>>,
}

impl Collector for Shadow {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metric = ConstGauge::new(i64::from(self.table.is_some()));
        let help = "1 in shadow mode, in which nothing is protected";
        metric.encode(encoder.encode_descriptor("shadow_mode", help, None, metric.metric_type())?)?;
        let Some(table) = &self.table else { return Ok(()) };
        let totals = table.totals();
        for (name, help, value) in [
            ("shadow_relayed", "Statements of shadow mode that would go out as they came", totals.relayed),
            ("shadow_rewritten", "Statements of shadow mode that would be rewritten", totals.rewritten),
            ("shadow_refused", "Statements of shadow mode that would be refused", totals.refused),
            ("shadow_not_listed", "Statements among these that the full table has no line for", totals.not_listed),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// Reads on demand how the keys are doing.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) vitals: Arc<Vitals>,
    pub(super) lease: WriteLease,
    pub(super) state: watch::Receiver<KeysState>,
}

impl Collector for Keys {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // What has never happened has no age: the metric is missing then.
        for (name, help, age) in [
            ("key_store_read_age_seconds", "Time since the key store was read", self.vitals.store_read()),
            (
                "key_provider_proof_age_seconds",
                "Time since the key provider opened the key that has waited longest for it",
                self.vitals.oldest_proof(),
            ),
        ] {
            let Some(age) = age else { continue };
            let metric = ConstGauge::new(age.as_secs_f64());
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let lost = i64::try_from(self.vitals.lost()).unwrap_or(i64::MAX);
        let inactive = i64::try_from(self.vitals.inactive()).unwrap_or(i64::MAX);
        let ready = i64::from(*self.state.borrow() == KeysState::Ready);
        for (name, help, value) in [
            ("keys_ready", "1 while a key ring is published", ready),
            ("write_lease", "1 while protected columns may be written", i64::from(self.lease.holds())),
            ("keysets_inactive", "Keysets without an active key, whose columns are not written", inactive),
            ("keys_lost", "Keys in use that the key provider does not open any more", lost),
        ] {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let metric = ConstCounter::new(self.vitals.refusals());
        let help = "Refusals of the key provider to open a key";
        metric.encode(encoder.encode_descriptor("key_refusals", help, None, metric.metric_type())?)
    }
}

/// Reads on demand how budgets are counted.
#[derive(Debug)]
pub(super) struct Budgets {
    pub(super) ledger: Arc<Ledger>,
}

impl Collector for Budgets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let totals = self.ledger.totals();
        let elevated = i64::try_from(totals.elevated).unwrap_or(i64::MAX);
        let alone = i64::try_from(totals.alone).unwrap_or(i64::MAX);
        let shared = "1 while budgets are counted together with all proxies, 0 while this one counts alone";
        for (name, help, value) in [
            ("budgets_shared", shared, i64::from(totals.shared)),
            ("budget_accounts_alone", "Accounts whose budgets this proxy counts alone for their own reasons", alone),
            ("budget_elevations", "Budgets that are elevated for a while", elevated),
        ] {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// Reads on demand what became of the record of accesses.
#[derive(Debug)]
pub(super) struct Accesses {
    pub(super) counters: Arc<audit::Counters>,
}

impl Collector for Accesses {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let totals = self.counters.totals();
        for (name, help, value) in [
            ("audit_written", "Accesses to protected cells that were recorded", totals.written),
            ("audit_lost", "Accesses to protected cells that happened and were not recorded", totals.lost),
            ("audit_failures", "Attempts to write the record of accesses that failed", totals.failures),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// Reads on demand what the firewall and its sinks have done.
#[derive(Debug)]
pub(super) struct Firewall {
    pub(super) counters: Arc<Counters>,
}

impl Collector for Firewall {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Statements that a firewall rule matched";
        let mut family = encoder.encode_descriptor("firewall_rule", help, None, MetricType::Counter)?;
        for hits in self.counters.rules() {
            let labels = [("rule", hits.rule), ("mode", hits.mode), ("outcome", hits.outcome.name())];
            ConstCounter::new(hits.count).encode(family.encode_family(&labels)?)?;
        }
        let metric = ConstCounter::new(self.counters.suppressed());
        let help = "Statements that a firewall rule matched and that made no event of their own";
        metric.encode(encoder.encode_descriptor("firewall_events_suppressed", help, None, metric.metric_type())?)?;
        let metric = ConstCounter::new(self.counters.sighted());
        let help = "Results that showed honey, or were refused for it";
        metric.encode(encoder.encode_descriptor("honey_shown", help, None, metric.metric_type())?)?;
        type Read = fn(&SinkCount) -> u64;
        let of_sinks: [(&str, &str, Read); 3] = [
            ("firewall_events_delivered", "Firewall events that a sink took", |sink| sink.delivered),
            ("firewall_events_dropped", "Firewall events that a sink lost", |sink| sink.dropped),
            ("firewall_events_failures", "Attempts to deliver firewall events that failed", |sink| sink.failures),
        ];
        for (name, help, read) in of_sinks {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for sink in self.counters.sinks() {
                ConstCounter::new(read(&sink)).encode(family.encode_family(&[("sink", sink.sink)])?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
