//! `candado.toml` as used: typed, with defaults filled in and paths made absolute.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::audit;
use crate::control::Signers;
use crate::events;
use crate::keys::{KeyFileSettings, VaultSettings};

/// All settings of a process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients connect.
    pub listen: Listen,
    /// The database server behind us.
    pub server: Server,
    /// The account for key store and catalog.
    pub control: Control,
    /// The account that converts existing rows (`candado column`), if one is written.
    pub backfill: Option<Control>,
    /// What wraps data keys.
    pub keys: Keys,
    /// Who approves acts that cannot be undone.
    pub approval: Signers,
    /// How open keys are proved anew.
    pub revalidation: Revalidation,
    /// `policy.toml`.
    pub policy: PathBuf,
    /// Which of the policy's environments this one is, if it has any.
    pub environment: Option<String>,
    /// Bounds on what peers can make us do.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
    /// Where firewall events go.
    pub events: events::Settings,
    /// How accesses are recorded, if they are.
    pub audit: Option<audit::Settings>,
    /// Liveness, readiness and metrics, if wanted.
    pub health: Option<Health>,
    /// Shadow mode, if the process is in it.
    pub shadow: Option<Shadow>,
    /// What clients get while keys are missing.
    pub not_ready: NotReady,
    /// What the process asks of the system.
    pub process: Process,
    /// Files that hold secrets, by the settings that name them. The key file is not among them: it is refused if others may
    /// read it.
    pub secret_files: Vec<(&'static str, PathBuf)>,
}

/// Where clients connect.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificate for TLS towards clients.
    pub tls: Option<ListenTls>,
    /// Whether clients may stay without TLS.
    pub plaintext: Plaintext,
}

/// TLS towards clients.
#[derive(Clone, Debug)]
pub struct ListenTls {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM. With it, clients must show one.
    pub client_ca: Option<PathBuf>,
}

/// Whether a connection may go without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// It may: the other end is on this machine.
    Loopback,
    /// It may, over a network: somebody wrote `allow_plaintext = true`. Warned about at every start.
    Allowed,
    /// It may not.
    Refused,
}

/// The database server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS towards it.
    pub tls: ServerTls,
}

/// TLS towards the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTls {
    /// None.
    Off(Plaintext),
    /// The certificate must come from the authority; its names are not compared.
    VerifyCa {
        /// The authority, PEM.
        ca: PathBuf,
    },
    /// The certificate must come from the authority and carry the server's name.
    VerifyFull {
        /// The authority, PEM.
        ca: PathBuf,
        /// The name to expect: that of `server.address` unless written.
        name: String,
    },
}

/// The account for key store and catalog.
#[derive(Clone)]
pub struct Control {
    /// User name.
    pub user: String,
    /// Password, read from a file or the environment.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What wraps data keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A key file on this machine. Protects against a database dump, not against the owner of the machine.
    File(KeyFileSettings),
    /// AWS KMS.
    AwsKms {
        /// ARN of the key-encryption key; it names the region too.
        kek: String,
        /// Another endpoint than the region's, e.g. a VPC endpoint.
        endpoint: Option<String>,
    },
    /// The transit engine of HashiCorp Vault.
    Vault(VaultSettings),
}

/// How open keys are proved anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revalidation {
    /// Each key is unwrapped again after this time, give or take a fifth.
    pub every: Duration,
    /// How long an open key is used while the key provider gives no answer that counts.
    pub grace: Duration,
}

/// Bounds on what peers can make us do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at one time.
    pub connections_max: u32,
    /// Bytes of one command that is analysed, and of one row that is rewritten.
    pub packet_octets_max: u32,
    /// From accepting a connection to the server's OK.
    pub login_timeout: Duration,
    /// How long a client may be silent between statements; `None` leaves it to the server's `wait_timeout`.
    pub idle_timeout: Option<Duration>,
    /// Connecting to the server.
    pub connect_timeout: Duration,
    /// A peer that takes no byte for that long is given up.
    pub write_timeout: Duration,
    /// From the signal to end to closing connections that are still busy.
    pub drain_timeout: Duration,
    /// Plans kept.
    pub plans_max: u32,
}

/// Logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Form of a line.
    pub format: LogFormat,
    /// Least level that is written.
    pub level: LogLevel,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object for each line.
    Json,
}

/// Least level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And what happens to the process.
    Info,
    /// And what happens to connections.
    Debug,
    /// And what happens to statements: digests, never text.
    Trace,
}

/// Liveness, readiness and metrics over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// Shadow mode: nothing is sealed, opened or refused, and what would be is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The file that the report is written to.
    pub report: PathBuf,
    /// How often it is written.
    pub interval: Duration,
    /// Most lines that are kept.
    pub lines_max: u32,
}

/// What clients get while keys are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// Connections are refused.
    Refuse,
    /// Statements that touch nothing protected work.
    PassthroughUnprotected,
}

/// What the process asks of the system, beyond what it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Keeping memory out of swap.
    pub memory_lock: MemoryLock,
}

/// Whether memory must stay out of swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLock {
    /// It is kept out where the system allows that; a warning says if not.
    IfAllowed,
    /// Without it, nothing starts.
    Required,
}
