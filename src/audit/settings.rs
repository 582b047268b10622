//! How accesses are recorded, as used.

use std::path::PathBuf;

use crate::events::SyslogSettings;

/// How accesses are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether results wait for their records.
    pub mode: Mode,
    /// The file with the proxy's access key.
    pub key_file: PathBuf,
    /// Where records go.
    pub target: Target,
    /// Records that wait for the writer.
    pub queue_max: usize,
    /// Seconds between anchors in the database.
    pub anchor_s: u32,
}

/// Whether results wait for their records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The record is written before the result's last packet goes out.
    Strict,
    /// It is handed over, and may be lost if there is no room for it.
    Fast,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, one segment after the other.
    File(Segments),
    /// Standard output.
    Stdout,
    /// A syslog daemon, one datagram for each record.
    Syslog(SyslogSettings),
}

/// A file that makes room for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The segment that is being written. Full ones are `path.000001` and so on; none is ever deleted.
    pub path: PathBuf,
    /// From this size on the next segment begins.
    pub octets_max: u64,
    /// When what was written is on the disk.
    pub sync: Sync,
}

/// When what was written is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before a record counts as written: it outlasts a power cut.
    Always,
    /// When the system thinks fit: it outlasts the process.
    System,
}

/// Why the record cannot be begun or gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The access key cannot be read.
    #[error(transparent)]
    Key(#[from] super::KeyFileError),
    /// The file cannot be opened or written.
    #[error("[audit] {path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The end of the file does not fit the access key.
    #[error(
        "[audit] the end of {path} does not fit the access key: somebody changed it, or the key is another one; run \
         `candado audit verify`, then move the file away"
    )]
    OtherEnd {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes the file.
    #[error("[audit] another process writes {path}: each proxy needs a file of its own")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Records cannot be written elsewhere.
    #[error("[audit] nothing can be written to {target}")]
    Target {
        /// `standard output` or `syslog`.
        target: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// No random number for the chain's name.
    #[error("[audit] the system gives no random numbers")]
    NoRandom,
}
