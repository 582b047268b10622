//! `candado serve`: the proxy itself, from the first signal handler to the last.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{Configured, Failure, lock_memory, runtime};
use crate::app::{self, Running, StartError, process};
use crate::config;
use crate::proxy::Drain;
use crate::telemetry::{self, Destination};

/// Serves until a signal ends it.
pub(super) fn run(arguments: &Configured) -> Result<(), Failure> {
    let settings = config::load(&arguments.config)?;
    telemetry::init(settings.log, Destination::Stderr).context("cannot start logging")?;
    lock_memory(&settings)?;
    process::tell_of_slow_aes();
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
        StartError::Policy(_) | StartError::Tls(_) | StartError::Provider(_) | StartError::Events(_) => {
            Failure::Usage(error.into())
        }
        StartError::Bind { .. } => Failure::Failed(error.into()),
    }
}

fn announce(running: &Running) {
    tracing::info!(address = %running.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(address) = running.health_address() {
        tracing::info!(%address, "health endpoint listening");
    }
}
