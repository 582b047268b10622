//! Where events go, as used.

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::SyslogSettings;
use crate::http::AddressError;

/// What becomes of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether they stand in the proxy's own log.
    pub log: LogSink,
    /// Events a second for one account, client address and rule; ten seconds' worth may come at once.
    pub per_second_max: u32,
    /// Events that wait for one sink.
    pub queue_max: usize,
    /// A file.
    pub file: Option<FileSettings>,
    /// A syslog daemon.
    pub syslog: Option<SyslogSettings>,
    /// A collector that takes OCSF over HTTP.
    pub http: Option<HttpSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { log: LogSink::On, per_second_max: 10, queue_max: 10_000, file: None, syslog: None, http: None }
    }
}

/// Whether events stand in the proxy's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSink {
    /// They do.
    On,
    /// They do not.
    Off,
}

/// A file of JSON lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Where it is.
    pub path: PathBuf,
    /// From this size on it is moved to `path.1`, and `path.1` to `path.2`.
    pub octets_max: u64,
    /// Files that are kept beside the current one.
    pub files_max: u32,
}

/// A collector that takes batches over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// `https://host:port/path`, or `http://` to a loopback address.
    pub url: String,
    /// Authorities that its certificate must come from, PEM.
    pub ca_file: Option<PathBuf>,
    /// What stands behind `Authorization: Bearer`.
    pub token: Option<Token>,
    /// Events in one request.
    pub batch_max: usize,
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// Read anew for each request.
    File(PathBuf),
    /// From the environment.
    Text(Arc<Zeroizing<String>>),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

/// Why a sink cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The collector's address is none that events may be sent to, or the file with its authorities cannot be used.
    #[error("[events.http] {0}")]
    Collector(#[from] AddressError),
}
