//! `candado demo`: Candado in front of a private server, on sample customers that nobody here wrote.
//!
//! Everything lives in one temporary directory and in this process, except the database server, which a watchdog ends
//! with this process. Nothing of the user's is touched: no file, no port that is taken, no running server.

mod client;
mod search;
mod server;
mod story;

use std::io::IsTerminal;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::{Output, note};
use super::{Failure, runtime};

/// What can be said to the demo.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The database server to start: MySQL where it can be had, else MariaDB.
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
    server: Kind,
    /// End after the story, also on a terminal.
    #[arg(long)]
    once: bool,
}

/// Which server the demo starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// MySQL, and MariaDB where MySQL cannot be had.
    Auto,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// Tells the story.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let stay = !arguments.once && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let runtime = runtime()?;
    let ended = CancellationToken::new();
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let kind = arguments.server;
        let (told, handle) = (ended.clone(), tokio::runtime::Handle::current());
        // The story runs programs and waits for them. A signal ends it at the next step, so that nothing it has started
        // is left behind; its temporary directory goes when it returns.
        let mut story = tokio::task::spawn_blocking(move || story::tell(kind, stay, &told, &handle, &Output::new()));
        let outcome = tokio::select! {
            outcome = &mut story => outcome,
            _ = interrupt.recv() => end(&ended, story).await,
            _ = terminate.recv() => end(&ended, story).await,
            _ = hangup.recv() => end(&ended, story).await,
        };
        outcome.context("the demo broke off")?
    })?;
    Ok(())
}

async fn end<T>(ended: &CancellationToken, story: tokio::task::JoinHandle<T>) -> Result<T, tokio::task::JoinError> {
    note("ending");
    ended.cancel();
    story.await
}
