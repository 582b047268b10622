//! The data plane alone, inside the test process, in front of a real server.

use std::sync::Arc;

use arc_swap::ArcSwap;
use candado::events::Events;
use candado::policy::{FirewallMode, Policy, RoleId};
use candado::proxy::{
    self, CatalogRefresh, ClientTls, KeyRefresh, KeyRequest, Limits, Parts, Registry, ServerTls, Settings, Snapshot,
    Timeouts, WithoutKeys, WriteLease,
};
use candado::schema::{Catalog, ServerKind, ServerVersion};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::server::Server;

/// A running data plane; ends with the value.
pub(crate) struct DataPlane {
    pub(crate) port: u16,
    pub(crate) registry: Arc<Registry>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// What connections ask the control plane for, which the test plays.
    pub(crate) key_requests: mpsc::Receiver<KeyRequest>,
    shutdown: CancellationToken,
    runtime: Option<Runtime>,
    served: Option<tokio::task::JoinHandle<proxy::Drain>>,
}

/// Settings for a server without TLS on either side.
pub(crate) fn settings(server: &Server) -> Settings {
    Settings {
        server: proxy::Server { host: server.host.clone(), port: server.port, tls: ServerTls::Off },
        client_tls: ClientTls::Off,
        timeouts: Timeouts::default(),
        limits: Limits::default(),
        without_keys: WithoutKeys::RelayUnprotected,
    }
}

impl DataPlane {
    /// Starts with nothing protected.
    pub(crate) fn start(settings: Settings) -> Self {
        let policy = Policy::new(1, vec![], vec![], vec![], RoleId(0), FirewallMode::Off);
        let version = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
        let catalog = Catalog::new(1, version, 0, Default::default(), vec![], vec![]);
        let snapshot =
            Snapshot { profiles: Arc::default(), policy: Arc::new(policy), catalog: Arc::new(catalog), ring: None };
        Self::start_with(settings, snapshot)
    }

    pub(crate) fn start_with(settings: Settings, snapshot: Snapshot) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, mut asked) = mpsc::channel::<proxy::RefreshRequest>(8);
        runtime.spawn(async move {
            while let Some(request) = asked.recv().await {
                // The asking side may have given up.
                request.send(()).unwrap_or(());
            }
        });
        let (key_requests, asked_for_keys) = mpsc::channel(8);
        let (snapshot, lease) = (Arc::new(ArcSwap::from_pointee(snapshot)), WriteLease::new());
        // As a key task would that reports all the time.
        lease.extend(std::time::Instant::now() + std::time::Duration::from_secs(3600));
        let (registry, shutdown) = (Arc::<Registry>::default(), CancellationToken::new());
        let parts = Parts {
            budgets: Arc::default(),
            shadow: None,
            settings,
            snapshot: snapshot.clone(),
            catalog: CatalogRefresh::new(requests),
            keys: KeyRefresh::new(key_requests),
            lease,
            events: Arc::new(Events::new(&candado::events::Settings::default()).unwrap().0),
            audit: None,
            registry: registry.clone(),
            shutdown: shutdown.clone(),
        };
        let served = runtime.spawn(async move { proxy::serve(vec![listener], parts).await.unwrap() });
        Self {
            port,
            registry,
            snapshot,
            key_requests: asked_for_keys,
            shutdown,
            runtime: Some(runtime),
            served: Some(served),
        }
    }

    /// Begins the shutdown.
    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Waits until the last connection is gone.
    pub(crate) fn wait(&mut self) {
        if let (Some(runtime), Some(served)) = (&self.runtime, self.served.take()) {
            runtime.block_on(served).unwrap();
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
