//! The data plane's counters as metrics. They are read when somebody asks, so that counting costs nothing more.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use super::health::Readiness;
use crate::proxy::Registry;

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
            ("server_bytes", "Bytes of commands written to the server", totals.bytes_to_server),
        ] {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
