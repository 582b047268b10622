//! Connections of the control plane. The only file that knows how `mysql_async` connects, times out and fails; what is
//! asked over a connection is the callers' business.
//!
//! Every step has a limit. A connection that failed in any way is closed, never reused, so that an open transaction
//! ends with it.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{ClientIdentity, Conn, DriverError, OptsBuilder, Params, PoolConstraints, PoolOpts, SslOpts};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use super::ControlError;

/// Connections that the control plane keeps at most: one for each task that may ask at the same moment, of keys, keys of
/// data subjects, catalog, profiles and anchors.
const CONNECTIONS_MAX: usize = 5;
/// Those of the counts of budgets: so many accounts are settled at a time, so that one which waits for its row keeps few.
pub(super) const COUNTING_MAX: usize = 4;
/// How long a failed connection may take to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_millis(200);
/// The name to compare when no name is to be compared. `mysql_async` passes over a verification error only if its text
/// holds this word, and rustls prints the expected name in that error and in no other: a wrong authority, an expired
/// certificate and a bad signature are still refused.
const NAME_NOT_CHECKED: &str = "NotValidForName";
/// Set on every connection, whatever the server's defaults are: times in UTC, strict writes. No order is promised.
const SETUP: [&str; 2] = [
    "SET SESSION time_zone = '+00:00', SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
];
/// Set besides: bounded waits for locks.
const PATIENT: &str = "SET SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 5";
/// Set in its place where statements of clients wait for the answer: the server's shortest.
const IMPATIENT: &str = "SET SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1";

/// How the control connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all. For loopback alone; the configuration sees to that.
    Off,
    /// TLS; the server's certificate must come from the authority, whatever name it carries. MySQL's own certificates,
    /// made at its first start, carry no name at all.
    AuthorityOnly {
        /// The authority to trust, PEM.
        ca_file: PathBuf,
    },
    /// TLS; the server's certificate must verify and carry its name.
    Verified {
        /// Authorities to trust, PEM. `None`: the public ones.
        ca_file: Option<PathBuf>,
        /// The name that the certificate must carry, if it is not the host that is dialled.
        server_name: Option<String>,
        /// Our own certificate chain and key, PEM, for accounts that require one.
        identity: Option<(PathBuf, PathBuf)>,
    },
}

/// The server and the control account.
#[derive(Clone)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account name.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<String>,
    /// Protection of the connection.
    pub tls: Tls,
    /// Limit for one operation: connecting, or one exchange with the key store.
    pub operation_timeout: Duration,
    /// Limit for loading the whole catalog.
    pub catalog_timeout: Duration,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, user, password: _, tls, operation_timeout, catalog_timeout } = self;
        f.debug_struct("Settings")
            .field("host", host)
            .field("port", port)
            .field("user", user)
            .field("tls", tls)
            .field("operation_timeout", operation_timeout)
            .field("catalog_timeout", catalog_timeout)
            .finish_non_exhaustive()
    }
}

/// Connections to the server under the control account. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {
    connections: mysql_async::Pool,
    pub(super) operation_timeout: Duration,
    pub(super) catalog_timeout: Duration,
}

impl Pool {
    /// Prepares the pool; connects to nothing yet. Must be called inside a tokio runtime, after the process has chosen
    /// its TLS provider.
    pub fn new(settings: &Settings) -> Self {
        Self::with_connections(settings, CONNECTIONS_MAX)
    }

    /// The same with another number of connections at most.
    pub fn with_connections(settings: &Settings, connections_max: usize) -> Self {
        Self::with_waits(settings, connections_max, PATIENT)
    }

    /// A pool for the counts of budgets, which wait for nobody else's connections and hardly for locks.
    pub fn of_counts(settings: &Settings) -> Self {
        Self::with_waits(settings, COUNTING_MAX, IMPATIENT)
    }

    fn with_waits(settings: &Settings, connections_max: usize, waits: &'static str) -> Self {
        let ssl = match &settings.tls {
            Tls::Off => None,
            Tls::AuthorityOnly { ca_file } => Some(
                ssl_options(Some(ca_file), Some(&NAME_NOT_CHECKED.to_owned()), None)
                    .with_danger_skip_domain_validation(true),
            ),
            Tls::Verified { ca_file, server_name, identity } => {
                Some(ssl_options(ca_file.as_ref(), server_name.as_ref(), identity.as_ref()))
            }
        };
        // Without `Some` here the library would look for the server's socket file on loopback and leave TCP.
        let options = OptsBuilder::default()
            .ip_or_hostname(settings.host.clone())
            .tcp_port(settings.port)
            .user(Some(settings.user.clone()))
            .pass(Some(settings.password.as_str()))
            .prefer_socket(Some(false))
            .tcp_keepalive(Some(Duration::from_secs(10)))
            .stmt_cache_size(Some(16_usize))
            .setup(SETUP.into_iter().chain([waits]).collect::<Vec<_>>())
            .ssl_opts(ssl)
            .pool_opts(PoolOpts::default().with_constraints(constraints(connections_max)));
        Self {
            connections: mysql_async::Pool::new(options),
            operation_timeout: settings.operation_timeout,
            catalog_timeout: settings.catalog_timeout,
        }
    }

    /// Takes a connection for an operation that must end within `limit`, connecting included.
    pub(super) async fn session(&self, doing: &'static str, limit: Duration) -> Result<Session, ControlError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.connections.get_conn()).await {
            Ok(Ok(conn)) => Ok(Session { conn: Some(conn), doing, limit, deadline }),
            Ok(Err(error)) => Err(classify(error, doing)),
            Err(_) => Err(ControlError::TimedOut { doing, limit }),
        }
    }

    /// Closes all idle connections. Called once, at the end.
    pub async fn close(self) {
        // At shutdown there is nobody left to tell, and the sockets close in any case.
        drop(timeout(GOODBYE_MAX, self.connections.disconnect()).await);
    }
}

fn constraints(connections_max: usize) -> PoolConstraints {
    PoolConstraints::new(0, connections_max).unwrap_or_default()
}

fn ssl_options(
    ca_file: Option<&PathBuf>,
    server_name: Option<&String>,
    identity: Option<&(PathBuf, PathBuf)>,
) -> SslOpts {
    let mut options = SslOpts::default();
    if let Some(file) = ca_file {
        options = options.with_root_certs(vec![file.clone().into()]).with_disable_built_in_roots(true);
    }
    if let Some((chain, key)) = identity {
        options = options.with_client_identity(Some(ClientIdentity::new(chain.clone().into(), key.clone().into())));
    }
    options.with_danger_tls_hostname_override(server_name.cloned())
}

/// A connection on loan, with the limit of the operation it serves.
pub(super) struct Session {
    conn: Option<Conn>,
    doing: &'static str,
    limit: Duration,
    deadline: Instant,
}

/// What a statement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// Rows that it changed.
    pub(super) rows: u64,
    /// The AUTO_INCREMENT value that it drew, if any.
    pub(super) id: Option<u64>,
}

impl Session {
    /// Runs a statement without parameters and returns all rows.
    pub(super) async fn rows<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>, ControlError> {
        let conn = self.conn.as_mut().ok_or(ControlError::Malformed { what: "use of a closed connection" })?;
        let answer = timeout_at(self.deadline, conn.query(sql)).await;
        self.settle(answer).await
    }

    /// Runs a statement with parameters and returns all rows.
    pub(super) async fn rows_with<T: FromRow + Send + 'static>(
        &mut self,
        sql: &str,
        params: impl Into<Params> + Send,
    ) -> Result<Vec<T>, ControlError> {
        let conn = self.conn.as_mut().ok_or(ControlError::Malformed { what: "use of a closed connection" })?;
        let answer = timeout_at(self.deadline, conn.exec(sql, params.into())).await;
        self.settle(answer).await
    }

    /// Runs a statement with parameters that returns no rows.
    pub(super) async fn change(
        &mut self,
        sql: &str,
        params: impl Into<Params> + Send,
    ) -> Result<Changed, ControlError> {
        let conn = self.conn.as_mut().ok_or(ControlError::Malformed { what: "use of a closed connection" })?;
        let answer = timeout_at(self.deadline, conn.exec_drop(sql, params.into())).await;
        let changed = Changed { rows: conn.affected_rows(), id: conn.last_insert_id() };
        self.settle(answer).await.map(|()| changed)
    }

    /// Runs a statement that is put together for the occasion, without parameters and rows.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<Changed, ControlError> {
        let conn = self.conn.as_mut().ok_or(ControlError::Malformed { what: "use of a closed connection" })?;
        let answer = timeout_at(self.deadline, conn.query_drop(sql)).await;
        let changed = Changed { rows: conn.affected_rows(), id: conn.last_insert_id() };
        self.settle(answer).await.map(|()| changed)
    }

    /// Starts the limit anew, for whoever keeps a connection for many operations.
    pub(super) fn renew(&mut self) {
        self.deadline = Instant::now() + self.limit;
    }

    /// Runs a statement of transaction control.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), ControlError> {
        let conn = self.conn.as_mut().ok_or(ControlError::Malformed { what: "use of a closed connection" })?;
        let answer = timeout_at(self.deadline, conn.query_drop(sql)).await;
        self.settle(answer).await
    }

    /// Runs `work` in a transaction and commits, or takes everything back if it fails.
    pub(super) async fn transaction<T, E: From<ControlError>>(
        self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction_until("COMMIT", work).await
    }

    /// The same with another end.
    pub(super) async fn transaction_until<T, E: From<ControlError>>(
        mut self,
        end: &'static str,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let outcome = async {
            self.control("START TRANSACTION").await?;
            let done = work(&mut self).await?;
            self.control(end).await?;
            Ok(done)
        }
        .await;
        if outcome.is_err() {
            self.abandon().await;
        }
        outcome
    }

    /// Closes the connection, and with it an open transaction.
    pub(super) async fn abandon(&mut self) {
        if let Some(conn) = self.conn.take() {
            // The connection is marked as closed before the first byte of the goodbye is sent.
            drop(timeout(GOODBYE_MAX, conn.disconnect()).await);
        }
    }

    async fn settle<T>(
        &mut self,
        answer: Result<Result<T, mysql_async::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, ControlError> {
        let error = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => classify(error, self.doing),
            Err(_) => ControlError::TimedOut { doing: self.doing, limit: self.limit },
        };
        self.abandon().await;
        Err(error)
    }
}

pub(super) fn classify(error: mysql_async::Error, doing: &'static str) -> ControlError {
    match error {
        mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            ControlError::Plugin { doing, plugin: name }
        }
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => ControlError::WithoutTls { doing },
        mysql_async::Error::Server(error) => ControlError::Refused { doing, code: error.code, source: Box::new(error) },
        other @ (mysql_async::Error::Driver(_)
        | mysql_async::Error::Io(_)
        | mysql_async::Error::Other(_)
        | mysql_async::Error::Url(_)) => unreachable_or_untrusted(&other, doing),
    }
}

/// The library puts the one cause that matters into several layers, each of which prints all that is inside.
fn unreachable_or_untrusted(error: &mysql_async::Error, doing: &'static str) -> ControlError {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    let io = innermost.downcast_ref::<std::io::Error>();
    let tls = io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls.or_else(|| innermost.downcast_ref()) {
        Some(source @ rustls::Error::InvalidCertificate(_)) => {
            ControlError::Untrusted { doing, source: source.clone() }
        }
        Some(_) | None => ControlError::Unreachable { doing, source: innermost.to_string().into() },
    }
}
