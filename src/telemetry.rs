//! Logging and metrics: the tracing subscriber, and the registry that `/metrics` prints.
//!
//! What may be logged is decided where it is logged: digests, names and codes, never statement text or values. This file
//! sees to it that no dependency is more talkative than that, whatever level is wanted: above INFO they print requests,
//! headers and bytes.

use std::fs::File;
use std::io::IsTerminal;
use std::sync::Mutex;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat, LogLevel};

/// The least level at which dependencies may speak.
const DEPENDENCIES_MAX: LevelFilter = LevelFilter::INFO;

/// Where log lines go.
#[derive(Debug)]
pub enum Destination {
    /// Standard error.
    Stderr,
    /// A file.
    File(File),
}

/// Starts logging. The environment has no say in it.
///
/// # Errors
/// Logging was started before.
pub fn init(log: Log, destination: Destination) -> Result<(), TryInitError> {
    let terminal = matches!(destination, Destination::Stderr) && std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let writer = match destination {
        Destination::Stderr => BoxMakeWriter::new(std::io::stderr),
        Destination::File(file) => BoxMakeWriter::new(Mutex::new(file)),
    };
    let lines = fmt::layer().with_writer(writer);
    let lines = if json {
        lines.json().flatten_event(true).with_ansi(false).boxed()
    } else {
        lines.with_ansi(terminal).with_target(false).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(targets(log.level))).try_init()
}

/// Our own events from the wanted level on; those of dependencies from INFO on at most.
fn targets(level: LogLevel) -> Targets {
    let level = LevelFilter::from_level(match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    });
    Targets::new().with_default(level.min(DEPENDENCIES_MAX)).with_target(env!("CARGO_CRATE_NAME"), level)
}

/// A registry that knows which program it belongs to.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("candado");
    let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
    registry.register("build", "Always 1; the label is the program's version", build);
    registry
}

#[cfg(test)]
mod tests;
