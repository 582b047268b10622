//! `candado serve`: the proxy itself, from the first signal handler to the last.

use anyhow::Context;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::output::note;
use super::{Configured, Failure, runtime};
use crate::app::{self, Running, StartError};
use crate::config;
use crate::proxy::Drain;
use crate::telemetry::{self, Destination};

/// Serves until a signal ends it.
pub(super) fn run(arguments: &Configured) -> Result<(), Failure> {
    let settings = config::load(&arguments.config)?;
    telemetry::init(settings.log, Destination::Stderr).context("cannot start logging")?;
    keep_memory_private();
    tell_of_slow_aes();
    runtime()?.block_on(async {
        // Handlers first: a signal during the start must not kill the process half way.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let running = app::start(settings).await.map_err(failure)?;
        announce(&running);
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hangup.recv() => running.reload(),
                () = running.ended() => {
                    running.end().await;
                    return Err(Failure::Failed(anyhow::anyhow!("the data plane ended; the log says why")));
                }
            }
        }
        tokio::select! {
            drain = running.end() => match drain {
                Drain::Complete => Ok(()),
                Drain::CutShort => Err(Failure::Failed(anyhow::anyhow!(
                    "ended, but clients that were still busy when the drain time was over were cut off"
                ))),
            },
            _ = interrupt.recv() => Err(Failure::Failed(anyhow::anyhow!("ended at once by a second signal"))),
            _ = terminate.recv() => Err(Failure::Failed(anyhow::anyhow!("ended at once by a second signal"))),
        }
    })
}

/// What is wrong with files is a matter of usage; what the machine refuses is a failure.
fn failure(error: StartError) -> Failure {
    match error {
        StartError::Policy(_) | StartError::Tls(_) | StartError::Provider(_) => Failure::Usage(error.into()),
        StartError::Bind { .. } => Failure::Failed(error.into()),
    }
}

fn announce(running: &Running) {
    tracing::info!(address = %running.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(address) = running.health_address() {
        tracing::info!(%address, "health endpoint listening");
    }
}

/// Without AES instructions envelopes take several times as long, and the time of each shows more of its key.
fn tell_of_slow_aes() {
    if !aes::hardware_accelerated() {
        tracing::warn!("this processor has no AES instructions: sealing and opening are slow");
    }
}

/// Keys and values are in this process's memory: no core dump, and no other process of the same user may read it. A
/// system that does not know these settings is told about, not refused.
fn keep_memory_private() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        note(format_args!("core dumps cannot be switched off: {error}"));
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        note(format_args!("the process's memory cannot be closed to others: {error}"));
    }
}
