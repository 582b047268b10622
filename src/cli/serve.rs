//! `candado serve`: the proxy itself, from the first signal handler to the last.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::check::hint;
use super::{Configured, Failure, lock_memory, runtime};
use crate::app::{self, Running, StartError, process};
use crate::config;
use crate::control::chain;
use crate::proxy::Drain;
use crate::telemetry::{self, Destination};

/// Serves until a signal ends it.
pub(super) fn run(arguments: &Configured) -> Result<(), Failure> {
    let settings = config::load(&arguments.config)?;
    telemetry::init(settings.log, Destination::Stderr).context("cannot start logging")?;
    lock_memory(&settings)?;
    process::tell_of_slow_aes();
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        // Handlers first: a signal during the start must not kill the process half way.
        let mut signals = Signals::listen()?;
        let keys = settings.keys.clone();
        let running = app::start(settings).await.map_err(|error| failure(error, &keys))?;
        announce(&running);
        match serve(&running, &mut signals).await {
            Ended::BySignal => {}
            Ended::ByDefect => {
                running.end().await;
                return Err(Failure::Failed(anyhow::anyhow!("the data plane ended; the log says why")));
            }
            Ended::ShadowRefused => {
                running.end().await;
                return Err(Failure::Failed(anyhow::anyhow!(
                    "no shadow mode: a protected column holds or may hold sealed values; the log says which"
                )));
            }
        }
        tokio::select! {
            drain = running.end() => match drain {
                Drain::Complete => Ok(()),
                Drain::CutShort => Err(Failure::Failed(anyhow::anyhow!(
                    "ended, but clients that were still busy when the drain time was over were cut off"
                ))),
            },
            _ = signals.interrupt.recv() => Err(Failure::Failed(anyhow::anyhow!("ended at once by a second signal"))),
            _ = signals.terminate.recv() => Err(Failure::Failed(anyhow::anyhow!("ended at once by a second signal"))),
        }
    });
    // Everything that ends has ended. A thread that waits for a disk or a pipe is not waited for.
    runtime.shutdown_background();
    served
}

/// The signals that the process listens to.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            hangup: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
            user: signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?,
        })
    }
}

/// Why serving ends.
enum Ended {
    BySignal,
    ByDefect,
    ShadowRefused,
}

/// Serves until there is a reason to end.
async fn serve(running: &Running, signals: &mut Signals) -> Ended {
    // One wait over all rounds: what becomes of the columns later is told to clients, statement by statement.
    let mut shadow_refused = std::pin::pin!(running.shadow_refused());
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => return Ended::BySignal,
            _ = signals.terminate.recv() => return Ended::BySignal,
            _ = signals.hangup.recv() => running.reload(),
            _ = signals.user.recv() => running.report_shadow(),
            () = &mut shadow_refused => return Ended::ShadowRefused,
            () = running.ended() => return Ended::ByDefect,
        }
    }
}

/// What is wrong with files is a matter of usage; what the machine refuses is a failure.
fn failure(error: StartError, keys: &config::Keys) -> Failure {
    match error {
        StartError::Policy(_) | StartError::Tls(_) | StartError::Events(_) => Failure::Usage(error.into()),
        StartError::Provider(_) => Failure::Usage(anyhow::anyhow!("{}{}", chain(&error), hint(keys, None))),
        StartError::Audit(_) => Failure::Failed(error.into()),
        StartError::Bind { .. } => Failure::Failed(error.into()),
    }
}

fn announce(running: &Running) {
    tracing::info!(address = %running.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(address) = running.health_address() {
        tracing::info!(%address, "health endpoint listening");
    }
}
