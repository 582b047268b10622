//! What the data plane is told at start: addresses, TLS, time-outs, limits. Checked by [`crate::config`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Everything the data plane is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server is and how it is reached.
    pub server: Server,
    /// What clients are offered.
    pub client_tls: ClientTls,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
    /// What is done while no key ring is there.
    pub without_keys: WithoutKeys,
}

/// Where the server is and how it is reached.
#[derive(Clone, Debug)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Encryption.
    pub tls: ServerTls,
}

/// Encryption towards the server.
#[derive(Clone)]
pub enum ServerTls {
    /// None: the configuration allowed it for this server.
    Off,
    /// Always; a server that does not offer it is not used.
    Required {
        /// Trust anchors and versions.
        connector: TlsConnector,
        /// The name that the server's certificate must have.
        name: ServerName<'static>,
    },
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::Required { name, .. } => f.debug_struct("Required").field("name", name).finish_non_exhaustive(),
        }
    }
}

/// Encryption towards clients.
#[derive(Clone)]
pub enum ClientTls {
    /// None: the configuration allowed it for this listener.
    Off,
    /// For clients that ask.
    Offered(TlsAcceptor),
    /// A client without it is refused with error 3159.
    Required(TlsAcceptor),
}

impl ClientTls {
    pub(super) fn acceptor(&self) -> Option<&TlsAcceptor> {
        match self {
            Self::Off => None,
            Self::Offered(acceptor) | Self::Required(acceptor) => Some(acceptor),
        }
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Offered(_) => "Offered",
            Self::Required(_) => "Required",
        })
    }
}

/// Time-outs. Every wait of the data plane has one of these or ends when a peer closes.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP connect to the server.
    pub connect: Duration,
    /// From accepting a client to its first OK.
    pub login: Duration,
    /// How long a client may be silent between commands; `None` leaves it to the server's `wait_timeout`.
    pub idle: Option<Duration>,
    /// How long a peer may take nothing of what is written to it, and unacknowledged bytes may stay in the network.
    pub write_stall: Duration,
    /// How long running statements may take to end on shutdown.
    pub drain: Duration,
    /// How long a client waits for the catalog after its own DDL.
    pub catalog: Duration,
    /// How long a client waits for a key that its ring does not know.
    pub unknown_key: Duration,
    /// How long a client waits for keys of data subjects that its statement seals with.
    pub subject_keys: Duration,
    /// How long a client waits for the write lease: long enough for a poll that hangs, and another one.
    pub lease: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            login: Duration::from_secs(10),
            idle: None,
            write_stall: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            catalog: Duration::from_secs(10),
            unknown_key: Duration::from_secs(2),
            subject_keys: Duration::from_secs(5),
            lease: Duration::from_secs(8),
        }
    }
}

/// Limits on what peers may demand.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; the next one gets error 1040.
    pub connections_max: usize,
    /// Clients that are turned away with an error at a time; beyond them connections are closed without.
    pub turned_away_max: usize,
    /// Bytes of one command, and so of one SQL statement.
    pub command_bytes_max: usize,
    /// Prepared statements of one connection.
    pub prepared_max: usize,
    /// Bytes of their texts.
    pub prepared_bytes_max: usize,
    /// Bytes of long data held for protected parameters of one connection.
    pub long_data_bytes_max: usize,
    /// Bytes of one row that is opened.
    pub row_bytes_max: usize,
    /// Plans that are remembered, over all connections.
    pub plans_max: u32,
    /// Bytes of remembered plans.
    pub plan_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 2_000,
            turned_away_max: 64,
            command_bytes_max: 64 << 20,
            prepared_max: 16_382,
            prepared_bytes_max: 16 << 20,
            long_data_bytes_max: 16 << 20,
            row_bytes_max: 64 << 20,
            plans_max: 20_000,
            plan_bytes_max: 64 << 20,
        }
    }
}

/// What is done while no key ring is there. Protected data is refused in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutKeys {
    /// Every statement is refused.
    RefuseAll,
    /// Statements that touch nothing protected pass.
    RelayUnprotected,
}

/// The client's address as the server's `performance_schema` shows it.
pub(super) fn display_address(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// Settings shared by all connections.
pub(super) type SharedSettings = Arc<Settings>;
