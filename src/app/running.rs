//! A proxy that runs: its tasks, its reload, and its end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::Board;
use super::health::{self, Readiness};
use super::metrics::{Accesses, Budgets, DataPlane, Firewall, Keys, Shadow};
use super::record::Record;
use super::shadow::Report;
use super::tls::Identity;
use super::{gate, load_policy};
use crate::audit::Audit;
use crate::budget::Ledger;
use crate::config::Settings;
use crate::control::{Pool, chain};
use crate::events::Events;
use crate::policy::Policy;
use crate::proxy::{self, CatalogRefresh, Drain, KeyRefresh, Parts, Registry, WriteLease};

/// A proxy that runs.
#[derive(Debug)]
pub struct Running {
    /// Shadow mode's report, in that mode.
    pub(super) shadow: Option<Arc<Report>>,
    pub(super) address: SocketAddr,
    pub(super) health: Option<SocketAddr>,
    pub(super) settings: Settings,
    pub(super) identity: Option<Identity>,
    pub(super) board: Arc<Board>,
    /// The newest policy that was read; its keys are fetched by the control plane.
    pub(super) policies: watch::Sender<Arc<Policy>>,
    pub(super) policy_version: AtomicU64,
    pub(super) pool: Pool,
    /// Ends the data plane; the control plane goes on until it is drained.
    pub(super) shutdown: CancellationToken,
    /// Ends everything else.
    pub(super) stop: CancellationToken,
    pub(super) data_plane: TaskTracker,
    /// How the data plane ended.
    pub(super) drain: Arc<OnceLock<Drain>>,
    pub(super) tasks: TaskTracker,
    pub(super) events: Arc<Events>,
    /// Where accesses are recorded; `None`: nowhere.
    pub(super) audit: Option<Arc<Audit>>,
    /// What keeps that record.
    pub(super) record: Option<Record>,
    /// What accounts have been shown.
    pub(super) budgets: Arc<Ledger>,
}

impl Running {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health is told.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health
    }

    /// Waits until catalog and keys are there. Cancel-safe.
    pub async fn ready(&self) {
        let mut readiness = self.board.readiness();
        // The sender lives as long as this value.
        drop(readiness.wait_for(|readiness| *readiness == Readiness::Ready).await);
    }

    /// Waits until it turns out that shadow mode cannot begin. Never returns outside of that mode, nor once it has begun.
    /// Cancel-safe.
    pub async fn shadow_refused(&self) {
        if self.shadow.is_none() {
            return std::future::pending().await;
        }
        let mut readiness = self.board.readiness();
        let decided = |readiness: &Readiness| matches!(readiness, Readiness::Ready | Readiness::ShadowOver);
        // The sender lives as long as this value.
        let refused = readiness.wait_for(decided).await.is_ok_and(|found| *found == Readiness::ShadowOver);
        if !refused {
            std::future::pending().await
        }
    }

    /// Writes the report of shadow mode now, if the process is in that mode.
    pub fn report_shadow(&self) {
        match &self.shadow {
            Some(report) => report.ask(),
            None => tracing::info!("there is no report: this is not shadow mode"),
        }
    }

    /// Waits until the data plane has ended, which it does by itself only on a defect. Cancel-safe.
    pub async fn ended(&self) {
        self.data_plane.wait().await;
    }

    /// Reads policy and certificate again, and opens the events' file again. What is wrong is logged and changes nothing;
    /// connections stay.
    pub fn reload(&self) {
        self.events.reopen();
        let version = self.policy_version.load(Ordering::Relaxed).saturating_add(1);
        match load_policy(&self.settings, version) {
            Ok(policy) => {
                self.policy_version.store(version, Ordering::Relaxed);
                let policy = Arc::new(policy);
                self.board.policy(policy.clone());
                self.policies.send_replace(policy);
                tracing::info!(version, "policy read; it is in force as soon as its keys are there");
            }
            Err(error) => tracing::error!(cause = chain(&error), "policy not read; the old one stays in force"),
        }
        match self.identity.as_ref().map(Identity::reload) {
            Some(Ok(())) => tracing::info!("certificate read again"),
            Some(Err(error)) => {
                tracing::error!(cause = chain(&error), "certificate not read; the old one stays in use")
            }
            None => {}
        }
    }

    /// Ends in good order: idle clients at once, running statements and open transactions within the drain time, then
    /// everything else.
    pub async fn end(self) -> Drain {
        tracing::info!("draining");
        self.shutdown.cancel();
        self.data_plane.wait().await;
        self.stop.cancel();
        // The writer ends when this was the last way to it.
        drop(self.audit);
        if let Some(record) = self.record {
            record.end().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.pool.close().await;
        tracing::info!("ended");
        self.drain.get().copied().unwrap_or(Drain::Complete)
    }

    pub(super) fn spawn_health(&self, listener: Option<TcpListener>, registry: &Arc<Registry>, keys: Keys) {
        let Some(listener) = listener else { return };
        let mut metrics = crate::telemetry::registry();
        let data_plane = DataPlane { registry: registry.clone(), readiness: self.board.readiness() };
        metrics.register_collector(Box::new(data_plane));
        metrics.register_collector(Box::new(keys));
        metrics.register_collector(Box::new(Shadow { table: self.shadow.as_ref().map(|report| report.table()) }));
        metrics.register_collector(Box::new(Firewall { counters: self.events.counters().clone() }));
        if let Some(audit) = &self.audit {
            metrics.register_collector(Box::new(Accesses { counters: audit.counters().clone() }));
        }
        metrics.register_collector(Box::new(Budgets { ledger: self.budgets.clone() }));
        let (readiness, draining) = (self.board.readiness(), self.shutdown.clone());
        let readiness = move || if draining.is_cancelled() { Readiness::Draining } else { *readiness.borrow() };
        let snapshot = self.board.snapshot();
        let remarks = move || {
            let ring = snapshot.load().ring.clone();
            ring.iter().flat_map(|ring| ring.inactive()).map(ToString::to_string).collect()
        };
        let endpoint = Arc::new(health::Endpoint::new(readiness, remarks, metrics));
        self.tasks.spawn(health::serve(listener, endpoint, self.tasks.clone(), self.stop.clone()));
    }

    pub(super) fn spawn_shadow(&self) {
        let Some(report) = &self.shadow else { return };
        tracing::warn!(
            alarm = true,
            "SHADOW MODE: nothing is sealed, opened or refused; what would be is counted and reported"
        );
        self.tasks.spawn(report.clone().run(self.tasks.clone(), self.stop.clone()));
    }

    /// What the data plane is made of.
    pub(super) fn parts(
        &self,
        settings: proxy::Settings,
        catalog: CatalogRefresh,
        keys: KeyRefresh,
        lease: WriteLease,
        registry: Arc<Registry>,
    ) -> Parts {
        let (snapshot, shutdown) = (self.board.snapshot(), self.shutdown.clone());
        let (shadow, events) = (self.shadow.as_ref().map(|report| report.table()), self.events.clone());
        let audit = self.audit.clone();
        let budgets = self.budgets.clone();
        Parts { settings, snapshot, catalog, keys, lease, shadow, events, audit, budgets, registry, shutdown }
    }

    pub(super) fn spawn_data_plane(&self, listener: TcpListener, parts: Parts) {
        let (readiness, shutdown) = (self.board.readiness(), self.shutdown.clone());
        let drain = self.drain.clone();
        self.data_plane.spawn(async move {
            gate::wait(&listener, readiness, &shutdown).await;
            match proxy::serve(vec![listener], parts).await {
                Ok(outcome) => drop(drain.set(outcome)),
                Err(error) => tracing::error!(cause = chain(&error), "the data plane ended"),
            }
        });
        self.data_plane.close();
    }
}
