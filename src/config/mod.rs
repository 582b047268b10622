//! `candado.toml`: as written (`file.rs`), and as used ([`Settings`]).
//!
//! Everything is checked and typed before anything binds or connects. Every default is the safe one. Secrets are read
//! from files or from the environment; the file itself holds none.

mod approval;
mod audit;
mod events;
mod file;
mod keys;
mod settings;
#[cfg(test)]
mod tests;

pub use file::{control, load, load_keys, parse};
pub use settings::{
    Control, Health, Keys, Limits, Listen, ListenTls, Log, LogFormat, LogLevel, MemoryLock, NotReady, Plaintext,
    Process, Revalidation, Server, ServerTls, Settings, Shadow,
};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no configuration file.
    #[error("there is no {path}: name the configuration with --config FILE, or in CANDADO_CONFIG")]
    Missing {
        /// The file that was looked for.
        path: std::path::PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An environment variable is missing.
    #[error("environment variable {name} is not set")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file says something that cannot be.
    #[error(transparent)]
    Problems(#[from] crate::policy::written::Problems),
}
