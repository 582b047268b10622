//! Composition: configuration → key provider → key store → policy → catalog → listener and health endpoint; spawn, wait,
//! drain. The data plane and the control plane meet only here.

mod board;
mod gate;
pub mod health;
mod metrics;
mod operator;
pub mod process;
pub mod provider;
mod record;
mod running;
mod shadow;
pub mod tls;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::{Audit, AuditError};
use crate::budget::{Happening, Ledger, Notice};
use crate::config::{NotReady, Plaintext, ServerTls, Settings};
use crate::control::{
    AnchorTask, BudgetTask, CatalogLoader, CatalogRequests, CatalogTask, KeyRequests, KeyStore, KeyTask, KeysState,
    Pool, ProfileStore, ProfileTask, Revalidation, SCHEMA, SubjectRequests, SubjectTask, Vitals,
};
use crate::events::{Events, Outcome, SettingsError};
use crate::policy::{Account, Policy, written::Problems};
use crate::proxy::{CatalogRefresh, KeyRefresh, KeyRequest, KeysWanted, RefreshRequest, Registry, WriteLease};
use crate::schema::{Catalog, ServerKind, ServerVersion};
use crate::{control, crypto, policy, proxy};
use board::{Board, Mode};
pub use operator::operator;
use record::Record;
pub use running::Running;
use shadow::Report;
use tls::Identity;

/// Limit for one operation of the control plane.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit for loading the catalog.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests for a fresh catalog, or for a key, that may wait at once; more wait in their connections.
const REFRESHES_MAX: usize = 256;

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The key provider cannot be used.
    #[error(transparent)]
    Provider(#[from] provider::ProviderError),
    /// A sink of firewall events cannot be used.
    #[error(transparent)]
    Events(#[from] SettingsError),
    /// Accesses cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It cannot be read.
    #[error("cannot read the policy {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It says something that cannot be.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// Reads the configured policy.
///
/// # Errors
/// The file cannot be read or used.
pub fn load_policy(settings: &Settings, version: u64) -> Result<Policy, PolicyError> {
    let path = &settings.policy;
    let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Read { path: path.clone(), source })?;
    Ok(policy::file::parse_for(&path.display().to_string(), &text, version, settings.environment.as_deref())?)
}

/// The environments of the configured policy.
///
/// # Errors
/// The file cannot be read.
pub fn environments(settings: &Settings) -> Result<Vec<String>, PolicyError> {
    let path = &settings.policy;
    let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Read { path: path.clone(), source })?;
    Ok(policy::file::environments(&path.display().to_string(), &text)?)
}

/// What the control plane is told.
pub fn control_settings(settings: &Settings) -> control::Settings {
    control::Settings {
        host: settings.server.host.clone(),
        port: settings.server.port,
        user: settings.control.user.clone(),
        password: settings.control.password.clone(),
        tls: tls::towards_server_for_control(&settings.server),
        operation_timeout: OPERATION_TIMEOUT,
        catalog_timeout: CATALOG_TIMEOUT,
    }
}

/// Starts the proxy. Returns when it listens; whether it is ready is another matter.
///
/// # Errors
/// What a change of files or configuration must mend. A server or key service that does not answer is no error: it is
/// waited for.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    warn_of_plaintext(&settings);
    let policy = Arc::new(load_policy(&settings, 1)?);
    let identity = settings.listen.tls.as_ref().map(Identity::load).transpose()?;
    let proxy_settings = proxy_settings(&settings, identity.as_ref())?;
    let (events, workers) = Events::new(&settings.events)?;
    let provider = provider::unwrapper(&settings.keys).await?;
    let listener = bind(settings.listen.address).await?;
    let health_listener = match settings.health {
        Some(health) => Some(bind(health.address).await?),
        None => None,
    };
    let mode = if settings.shadow.is_some() { Mode::Shadow } else { Mode::Protecting };
    let board = Arc::new(Board::new(policy.clone(), Arc::new(no_catalog()), mode));
    let (shutdown, stop) = (CancellationToken::new(), CancellationToken::new());
    let (tasks, data_plane) = (TaskTracker::new(), TaskTracker::new());
    let registry = Arc::new(Registry::default());
    for worker in workers {
        tasks.spawn(worker.run(stop.clone()));
    }
    let pool = Pool::new(&control_settings(&settings));
    let (audit, record) = spawn_audit(&settings, &pool, &tasks)?.unzip();
    let (catalog, requests) = spawn_catalog(&board, &pool, &tasks, &stop);
    spawn_profiles(&board, &pool, &tasks, &stop);
    let events = Arc::new(events);
    let budgets = spawn_budgets(&settings, &events, &tasks, &stop);
    tasks.spawn_blocking(crypto::warm_up);
    let instance = instance(&local(&listener, settings.listen.address)?);
    let revalidation = Revalidation { every: settings.revalidation.every, grace: settings.revalidation.grace };
    let keys = Keys { provider, policy, instance, revalidation, catalog: requests };
    let keys = spawn_keys(&board, &pool, keys, &tasks, &stop);
    let shadow = settings.shadow.as_ref().map(|shadow| Arc::new(Report::new(shadow)));
    let running = Running {
        shadow,
        address: local(&listener, settings.listen.address)?,
        health: health_listener.as_ref().map(|listener| local(listener, settings.listen.address)).transpose()?,
        identity,
        policies: keys.policies,
        policy_version: AtomicU64::new(1),
        pool,
        board,
        shutdown,
        stop,
        data_plane,
        drain: Arc::default(),
        tasks,
        events,
        audit,
        record,
        budgets,
        settings,
    };
    let key_metrics = metrics::Keys { vitals: keys.vitals, lease: keys.lease.clone(), state: keys.state };
    running.spawn_health(health_listener, &registry, key_metrics);
    running.spawn_shadow();
    let parts = running.parts(proxy_settings, catalog, keys.refresh, keys.lease, registry);
    running.spawn_data_plane(listener, parts);
    Ok(running)
}

/// The way to the record of accesses, and what keeps it.
type Kept = (Arc<Audit>, Record);

/// Begins the record of accesses, or goes on with it. Writer and anchors end when nobody can hand anything over.
fn spawn_audit(settings: &Settings, pool: &Pool, tasks: &TaskTracker) -> Result<Option<Kept>, AuditError> {
    let Some(settings) = &settings.audit else { return Ok(None) };
    let (audit, writer, end) = Audit::begin(settings)?;
    let counters = audit.counters().clone();
    let record = Record { writer: TaskTracker::new(), counters, given_up: CancellationToken::new() };
    record.writer.spawn_blocking(move || writer.run());
    let every = Duration::from_secs(settings.anchor_s.into());
    let anchors = AnchorTask::new(KeyStore::new(pool.clone(), SCHEMA), end, every);
    tasks.spawn(anchors.run(record.given_up.clone()));
    Ok(Some((Arc::new(audit), record)))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
}

fn local(listener: &TcpListener, wanted: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Bind { address: wanted, source })
}

fn warn_of_plaintext(settings: &Settings) {
    if settings.listen.plaintext == Plaintext::Allowed {
        tracing::warn!("clients may connect over the network without TLS: passwords and values can be read on the way");
    }
    if settings.server.tls == ServerTls::Off(Plaintext::Allowed) {
        tracing::warn!("the server is on another machine and reached without TLS: what is not protected can be read");
    }
}

/// Stands for the catalog until one is loaded. The gate stays shut as long, so no statement meets it.
fn no_catalog() -> Catalog {
    let server = ServerVersion { kind: ServerKind::MySql, number: 0 };
    Catalog::new(0, server, 0, HashSet::new(), Vec::new(), Vec::new())
}

fn proxy_settings(settings: &Settings, identity: Option<&Identity>) -> Result<proxy::Settings, tls::TlsError> {
    let limits = &settings.limits;
    let octets_max = usize::try_from(limits.packet_octets_max).unwrap_or(usize::MAX);
    Ok(proxy::Settings {
        server: proxy::Server {
            host: settings.server.host.clone(),
            port: settings.server.port,
            tls: tls::towards_server(&settings.server)?,
        },
        client_tls: tls::towards_clients(&settings.listen, identity)?,
        timeouts: proxy::Timeouts {
            connect: limits.connect_timeout,
            login: limits.login_timeout,
            idle: limits.idle_timeout,
            write_stall: limits.write_timeout,
            drain: limits.drain_timeout,
            ..proxy::Timeouts::default()
        },
        limits: proxy::Limits {
            connections_max: usize::try_from(limits.connections_max).unwrap_or(usize::MAX),
            command_bytes_max: octets_max,
            // One statement always fits.
            prepared_bytes_max: octets_max.max(proxy::Limits::default().prepared_bytes_max),
            row_bytes_max: octets_max,
            plans_max: limits.plans_max,
            ..proxy::Limits::default()
        },
        without_keys: match settings.not_ready {
            NotReady::Refuse => proxy::WithoutKeys::RefuseAll,
            NotReady::PassthroughUnprotected => proxy::WithoutKeys::RelayUnprotected,
        },
    })
}

/// Starts loading the catalog; gives the data plane's way and the control plane's way to ask for a fresh one.
fn spawn_catalog(
    board: &Arc<Board>,
    pool: &Pool,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> (CatalogRefresh, CatalogRequests) {
    let publish = board.clone();
    let (task, requests) = CatalogTask::new(CatalogLoader::new(pool.clone()), move |catalog| publish.catalog(catalog));
    tasks.spawn(task.run(stop.clone()));
    let (sender, receiver) = mpsc::channel(REFRESHES_MAX);
    tasks.spawn(pass_on(receiver, requests.clone(), tasks.clone(), stop.clone()));
    (CatalogRefresh::new(sender), requests)
}

/// Starts reading profiles, and storing what is learned.
fn spawn_profiles(board: &Arc<Board>, pool: &Pool, tasks: &TaskTracker, stop: &CancellationToken) {
    let publish = board.clone();
    let store = ProfileStore::new(KeyStore::new(pool.clone(), SCHEMA));
    let task = ProfileTask::new(store, move |profiles| publish.profiles(profiles));
    tasks.spawn(task.run(stop.clone()));
}

/// Starts counting what accounts are shown together with all proxies.
fn spawn_budgets(
    settings: &Settings,
    events: &Arc<Events>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<Ledger> {
    let (ledger, pool) = (Arc::<Ledger>::default(), Pool::of_counts(&control_settings(settings)));
    let events = events.clone();
    let tell = move |notice: &Notice| tell_of_elevation(&events, notice);
    tasks.spawn(BudgetTask::new(pool, ledger.clone(), settings.approval.clone(), tell).run(stop.clone()));
    ledger
}

/// Tells the sinks of events what became of an elevation.
fn tell_of_elevation(events: &Events, notice: &Notice) {
    let (rule, outcome) = match notice.happening {
        Happening::Begun => ("elevation-begun", Outcome::Observed),
        Happening::Over => ("elevation-over", Outcome::Observed),
        Happening::NotBelieved => ("elevation-not-believed", Outcome::Refused),
    };
    let (user, host) = notice.account.rsplit_once('@').unwrap_or((&notice.account, ""));
    events.announce(rule, outcome, &Account { user: user.into(), host: host.into() });
}

/// Carries requests from the data plane to the control plane, which do not know each other.
async fn pass_on(
    mut receiver: mpsc::Receiver<RefreshRequest>,
    requests: CatalogRequests,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => return,
            request = receiver.recv() => request,
        };
        let Some(request) = request else { return };
        let requests = requests.clone();
        tasks.spawn(async move {
            // Without an answer the connection counts its catalog as stale. It may also have gone away meanwhile.
            if requests.refresh().await.is_ok() && request.send(()).is_err() {
                tracing::trace!("nobody waits for the catalog any more");
            }
        });
    }
}

/// What the key task is made of.
struct Keys {
    provider: provider::Opening,
    policy: Arc<Policy>,
    instance: String,
    revalidation: Revalidation,
    catalog: CatalogRequests,
}

/// What others have to do with the key task.
struct KeyLinks {
    /// Tells it of a new policy.
    policies: watch::Sender<Arc<Policy>>,
    refresh: KeyRefresh,
    lease: WriteLease,
    vitals: Arc<Vitals>,
    state: watch::Receiver<KeysState>,
}

/// Starts fetching keys.
fn spawn_keys(board: &Arc<Board>, pool: &Pool, keys: Keys, tasks: &TaskTracker, stop: &CancellationToken) -> KeyLinks {
    let (sender, policies) = watch::channel(keys.policy);
    let (publish, lease) = (board.clone(), WriteLease::new());
    let extended = lease.clone();
    let store = KeyStore::new(pool.clone(), SCHEMA);
    let snapshot = board.snapshot();
    let (subject_task, subjects) = SubjectTask::new(store.clone(), move || snapshot.load().ring.clone());
    tasks.spawn(subject_task.run(stop.clone()));
    let task = KeyTask::new(store, keys.provider.unwrapper, policies, move |ring| match ring {
        Some(ring) => publish.ring(ring),
        None => publish.no_ring(),
    })
    .with_instance(&keys.instance)
    .with_revalidation(keys.revalidation)
    .with_catalog(keys.catalog)
    .with_lease(move |until| extended.extend(until));
    tasks.spawn(follow_keys(task.state(), board.clone()));
    let (requests, vitals, state) = (task.requests(), task.vitals(), task.state());
    tasks.spawn(task.run(stop.clone()));
    let (asking, asked) = mpsc::channel(REFRESHES_MAX);
    tasks.spawn(pass_keys_on(asked, (requests, subjects), tasks.clone(), stop.clone()));
    KeyLinks { policies: sender, refresh: KeyRefresh::new(asking), lease, vitals, state }
}

/// Carries requests for keys and for the lease from the data plane to the control plane.
async fn pass_keys_on(
    mut asked: mpsc::Receiver<KeyRequest>,
    (requests, subjects): (KeyRequests, SubjectRequests),
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => return,
            request = asked.recv() => request,
        };
        let Some(KeyRequest { wanted, mut done }) = request else { return };
        let (requests, subjects) = (requests.clone(), subjects.clone());
        tasks.spawn(async move {
            let is_there = match wanted {
                KeysWanted::Key(kid) => requests.find(kid).await,
                KeysWanted::Lease => requests.renew_lease().await,
                KeysWanted::Subjects(wanted) => {
                    let wanted = wanted.into_iter().map(|one| (one.keyset, one.subject)).collect();
                    tokio::select! {
                        is_there = subjects.keys_of(wanted) => is_there,
                        () = done.closed() => false,
                    }
                }
                KeysWanted::SubjectKeys(kids) => subjects.find(kids).await,
            };
            // The connection may have gone away meanwhile.
            if is_there && done.send(()).is_err() {
                tracing::trace!("nobody waits for keys any more");
            }
        });
    }
}

/// Carries the reason why there are no keys to the board. Ends with the key task.
async fn follow_keys(mut state: watch::Receiver<KeysState>, board: Arc<Board>) {
    while state.changed().await.is_ok() {
        // In a statement of its own: the value stays locked as long as it is borrowed.
        let newest = *state.borrow_and_update();
        match newest {
            KeysState::Missing(why) => board.keys_missing(why),
            // The ring itself says so.
            KeysState::Ready => {}
        }
    }
}

/// What the key store calls this replica: host and port, which stay the same from start to start.
fn instance(address: &SocketAddr) -> String {
    format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), address.port())
}
