//! Keeps the catalog fresh: loads it at the start, every minute, and when a connection asks because DDL passed or a name
//! was unknown. Requests are coalesced, and loads are spaced so that clients cannot make the server do nothing else.
//!
//! Publishing is the caller's function; it runs before any request that waited for the load is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Backoff, CatalogLoader, ControlError};
use crate::schema::Catalog;

/// Requests that may wait at once. A connection whose request does not fit is told so and treats the catalog as stale.
const REQUESTS_MAX: usize = 1_024;
/// How often the catalog is loaded unasked: finds DDL that did not pass the proxy.
const PERIOD: Duration = Duration::from_secs(60);
/// The shortest time between the end of one load and the start of the next.
const SPACING_MIN: Duration = Duration::from_millis(20);
/// A catalog this young is not loaded again because the period is over.
const FRESH: Duration = Duration::from_secs(1);

/// The catalog could not be loaded, or nobody is there to load it. The old snapshot stays, and must be taken as stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalog could not be loaded")]
pub struct NotRefreshed;

type Reply = oneshot::Sender<Result<Arc<Catalog>, NotRefreshed>>;

/// Asks a [`CatalogTask`] for a fresh catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogRequests {
    requests: mpsc::Sender<Reply>,
}

impl CatalogRequests {
    /// Waits for a catalog whose load began after this call. It is already published when this returns. Cancel-safe: the load
    /// goes on.
    pub async fn refresh(&self) -> Result<Arc<Catalog>, NotRefreshed> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(reply).map_err(|_| NotRefreshed)?;
        answer.await.unwrap_or(Err(NotRefreshed))
    }
}

type Publish = Box<dyn Fn(&Arc<Catalog>) + Send + Sync>;

/// The task. Made with its request handle by [`CatalogTask::new`], run by the application's task tracker.
pub struct CatalogTask {
    loader: CatalogLoader,
    publish: Publish,
    requests: mpsc::Receiver<Reply>,
    version: u64,
    current: Option<(Arc<Catalog>, Instant)>,
}

impl std::fmt::Debug for CatalogTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogTask").field("version", &self.version).finish_non_exhaustive()
    }
}

impl CatalogTask {
    /// Makes the task and the handle that connections ask through. `publish` is called with every new snapshot.
    pub fn new(
        loader: CatalogLoader,
        publish: impl Fn(&Arc<Catalog>) + Send + Sync + 'static,
    ) -> (Self, CatalogRequests) {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let task = Self { loader, publish: Box::new(publish), requests, version: 0, current: None };
        (task, CatalogRequests { requests: sender })
    }

    /// Runs until the token is cancelled.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let ended = shutdown.clone();
        tokio::select! {
            () = ended.cancelled() => {}
            () = self.serve() => {}
        }
        tracing::debug!("catalog task ended");
    }

    async fn serve(&mut self) {
        self.load_first().await;
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        period.reset();
        let mut next_load = Instant::now();
        loop {
            let mut waiting = Vec::new();
            tokio::select! {
                _ = period.tick() => {}
                request = self.requests.recv() => match request {
                    Some(request) => waiting.push(request),
                    // All handles are gone: only the period is left.
                    None => { period.tick().await; }
                },
            }
            sleep_until(next_load).await;
            while let Ok(request) = self.requests.try_recv() {
                waiting.push(request);
            }
            if waiting.is_empty() && self.age().is_some_and(|age| age < FRESH) {
                continue;
            }
            let began = Instant::now();
            let outcome = self.load().await;
            for reply in waiting {
                // A connection that went away needs no answer.
                drop(reply.send(outcome.clone()));
            }
            // At most a third of the time goes into loading, however often it is asked for.
            next_load = Instant::now() + SPACING_MIN.max(began.elapsed() * 2);
        }
    }

    fn age(&self) -> Option<Duration> {
        self.current.as_ref().map(|(_, began)| began.elapsed())
    }

    /// The first load is tried until it succeeds: without a catalog no statement can be judged.
    async fn load_first(&mut self) {
        let mut backoff = Backoff::new();
        while self.load().await.is_err() {
            backoff.wait().await;
        }
    }

    async fn load(&mut self) -> Result<Arc<Catalog>, NotRefreshed> {
        let began = Instant::now();
        let version = self.version.saturating_add(1);
        let mut loaded = self.loader.load(version).await;
        if let Err(ControlError::Unreachable { .. }) = loaded {
            // The server closes connections that were idle for long, and all of them when it restarts: one failure
            // says something about a connection, two say something about the server.
            loaded = self.loader.load(version).await;
        }
        match loaded {
            Ok(catalog) => {
                let catalog = self.adopt(catalog);
                self.current = Some((catalog.clone(), began));
                Ok(catalog)
            }
            Err(error) => {
                log_failure(&error, self.current.is_some());
                Err(NotRefreshed)
            }
        }
    }

    /// Publishes a loaded catalog, unless it equals the one before: plans are cached by version, and a load that found
    /// no change must not empty the cache.
    fn adopt(&mut self, mut loaded: Catalog) -> Arc<Catalog> {
        if let Some((current, _)) = &self.current {
            let version = std::mem::replace(&mut loaded.version, current.version);
            if loaded == **current {
                return current.clone();
            }
            loaded.version = version;
        }
        self.version = loaded.version;
        let catalog = Arc::new(loaded);
        (self.publish)(&catalog);
        // Who waits for this line finds it in use.
        tracing::info!(version = catalog.version, tables = catalog.tables().count(), "catalog loaded");
        catalog
    }
}

fn log_failure(error: &ControlError, old_one: bool) {
    if old_one {
        tracing::warn!(cause = %error.chain(), "catalog not loaded; the previous one stays in use");
    } else {
        tracing::error!(cause = %error.chain(), "catalog not loaded; no statement can be judged yet");
    }
}
