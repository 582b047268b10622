//! Accepting clients, and ending them on shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::catalog::CatalogRefresh;
use super::end::End;
use super::exchange::tell;
use super::keys::KeyRefresh;
use super::lease::WriteLease;
use super::login;
use super::peer::{Peer, Side};
use super::rates::Tallies;
use super::registry::{Place, Registry};
use super::rsa::LoginKey;
use super::session::{Session, Shared};
use super::settings::{ClientTls, ServerTls, Settings};
use super::snapshot::Snapshot;
use super::stream::Stream;
use crate::audit::Audit;
use crate::budget::Ledger;
use crate::client_error::Complaint;
use crate::events::Events;
use crate::explain::ShadowTable;
use crate::plan::PlanCache;
use crate::wire::err::SqlState;

/// Why the data plane could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No RSA key for clients without TLS.
    #[error("an RSA key could not be generated")]
    LoginKey,
}

/// How a data plane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Every client was done.
    Complete,
    /// The drain time was over and clients were cut off.
    CutShort,
}

/// What the data plane is given by the composition.
#[derive(Debug)]
pub struct Parts {
    /// Addresses, TLS, time-outs, limits.
    pub settings: Settings,
    /// Policy, catalog, keys.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The channel to the catalog loader.
    pub catalog: CatalogRefresh,
    /// The channel to the key task.
    pub keys: KeyRefresh,
    /// Until when protected columns may be written.
    pub lease: WriteLease,
    /// Shadow mode: nothing is sealed, opened or refused, and what would be is counted here.
    pub shadow: Option<Arc<ShadowTable>>,
    /// Where firewall hits are reported.
    pub events: Arc<Events>,
    /// Where accesses are recorded; `None`: nowhere.
    pub audit: Option<Arc<Audit>>,
    /// What accounts have been shown.
    pub budgets: Arc<Ledger>,
    /// Where connections are listed.
    pub registry: Arc<Registry>,
    /// Ends everything: idle clients at once, running statements and open transactions within the drain time-out.
    pub shutdown: CancellationToken,
}

/// Serves clients until `shutdown` is cancelled and the last one is gone.
pub async fn serve(listeners: Vec<TcpListener>, parts: Parts) -> Result<Drain, ServeError> {
    let Parts { settings, snapshot, catalog, keys, lease, shadow, events, audit, budgets, registry, shutdown } = parts;
    let key = match (&settings.client_tls, &settings.server.tls) {
        (ClientTls::Off | ClientTls::Offered(_), ServerTls::Required { .. }) => {
            Some(LoginKey::generate().map_err(|_| ServeError::LoginKey)?)
        }
        (ClientTls::Required(_), _) | (ClientTls::Off | ClientTls::Offered(_), ServerTls::Off) => None,
    };
    let drain = settings.timeouts.drain;
    let plans = Arc::new(PlanCache::new(settings.limits.plans_max, settings.limits.plan_bytes_max));
    let settings = Arc::new(settings);
    let tallies = Tallies::new();
    let shutdown_of_all = shutdown.clone();
    let shared = Arc::new(Shared {
        settings,
        snapshot,
        catalog,
        keys,
        lease,
        shadow,
        events,
        audit,
        tallies,
        budgets,
        plans,
        key,
        shutdown: shutdown_of_all,
    });
    let tracker = TaskTracker::new();
    let abort = CancellationToken::new();
    // Listeners outlive the shutdown, so that late clients are told instead of left in the backlog.
    let closed = CancellationToken::new();
    let turned_away = Arc::new(Semaphore::new(shared.settings.limits.turned_away_max.min(Semaphore::MAX_PERMITS)));
    let mut accepting = tokio::task::JoinSet::new();
    for listener in listeners {
        let acceptor = Acceptor {
            shared: shared.clone(),
            registry: registry.clone(),
            turned_away: turned_away.clone(),
            tracker: tracker.clone(),
            abort: abort.clone(),
        };
        accepting.spawn(acceptor.run(listener, closed.clone()));
    }
    shutdown.cancelled().await;
    tracker.close();
    let outcome = match tokio::time::timeout(drain, tracker.wait()).await {
        Ok(()) => Drain::Complete,
        Err(_) => {
            let connections = registry.totals().connections;
            tracing::warn!(connections, "the drain time is over: connections that are still busy are closed");
            abort.cancel();
            tracker.wait().await;
            Drain::CutShort
        }
    };
    closed.cancel();
    while accepting.join_next().await.is_some() {}
    Ok(outcome)
}

struct Acceptor {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    /// How many more clients may be told that there is no place for them.
    turned_away: Arc<Semaphore>,
    tracker: TaskTracker,
    abort: CancellationToken,
}

impl Acceptor {
    async fn run(self, listener: TcpListener, closed: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = closed.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.welcome(stream, address),
                Err(error) => {
                    // Out of descriptors: trying again at once would only burn the processor.
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn welcome(&self, stream: TcpStream, address: SocketAddr) {
        if self.shared.shutdown.is_cancelled() {
            self.turn_away(stream, Complaint::ShuttingDown);
            return;
        }
        let Some(place) = self.registry.enter(address, self.shared.settings.limits.connections_max) else {
            self.turn_away(stream, Complaint::TooManyConnections);
            return;
        };
        let span = tracing::info_span!("connection", id = place.connection.id, client = %address);
        let (shared, abort) = (self.shared.clone(), self.abort.clone());
        let serve = async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = serve_client(stream, address, shared, place) => {}
            }
        };
        self.tracker.spawn(serve.instrument(span));
    }

    /// Says why there is no place. Whoever takes nothing holds a descriptor meanwhile: of many at once, most are closed without
    /// a word.
    fn turn_away(&self, stream: TcpStream, complaint: Complaint) {
        let Ok(permit) = self.turned_away.clone().try_acquire_owned() else { return };
        let stall = Duration::from_secs(1);
        self.tracker.spawn(async move {
            let mut client = Peer::new(Side::Client, Stream::Plain(stream), stall);
            if tell(&mut client, complaint, SqlState::Absent, 0).await.is_ok() {
                client.close().await;
            }
            drop(permit);
        });
    }
}

async fn serve_client(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>, place: Place) {
    let settings = shared.settings.clone();
    let login = login::run(stream, address.ip(), &settings, shared.key.as_ref());
    let logged_in = match login::within(settings.timeouts.login, login).await {
        Ok(logged_in) => logged_in,
        Err(end) => {
            log_end(&end);
            return;
        }
    };
    let mut session = Session::new(logged_in, shared, place);
    let end = session.run().await;
    log_end(&end);
    session.client.close().await;
}

fn log_end(end: &End) {
    match end {
        End::ClientClosed | End::Drained | End::ServerClosed => tracing::debug!(reason = %end, "connection ended"),
        End::LoginRefused | End::Told(_) => tracing::info!(reason = %end, "connection ended"),
        End::Client(_)
        | End::Server(_)
        | End::ClientMalformed(_)
        | End::ServerMalformed(_)
        | End::Stalled
        | End::LoginTimeout => {
            let cause = std::error::Error::source(end).map(ToString::to_string);
            tracing::warn!(reason = %end, cause, "connection ended");
        }
    }
}
