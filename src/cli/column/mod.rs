//! `candado column`: converting the rows that are already there. Arguments and answers; the work is
//! [`crate::control::column`]'s.

mod account;
mod progress;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::output::Output;
use super::{Configured, Failure, runtime};
use crate::control::column::{ColumnError, Engine, Limits, Options, Statements, Verb};
use crate::policy;
use crate::schema::ColumnRef;
use account::{Account, Opened};
use progress::Progress;

/// What can be done with columns that hold rows.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Encrypt the rows that are there, while the application goes on.
    ///
    /// From stage `plain` to `sealed`: preflight, statements that make the table fit, every proxy seals what it writes,
    /// rows are converted, every cell is verified, a CHECK constraint keeps plaintext out. Ended anywhere, the same
    /// command goes on from there. Several processes may run it at once.
    #[command(after_help = "Example:\n  candado column encrypt shop.customers.phone shop.customers.address --ddl run")]
    Encrypt(Work),
    /// Decrypt the rows, the way back: from stage `sealed` to `plain`.
    #[command(after_help = "Example:\n  candado column decrypt shop.customers.phone --ddl run")]
    Decrypt(Work),
    /// Seal again what is not under the active data key, after `keys rotate`.
    #[command(after_help = "Example:\n  candado column reencrypt shop.customers.phone --rows-per-second 5000")]
    Reencrypt(Work),
    /// Seal again what is not under the active index key, after a rotation of the index key.
    #[command(after_help = "Example:\n  candado column reindex shop.customers.phone")]
    Reindex(Work),
}

/// Arguments of the verbs that work.
#[derive(Debug, Args)]
pub(super) struct Work {
    /// Columns of one table, `database.table.column`.
    #[arg(required = true, value_name = "COLUMN", value_parser = column)]
    columns: Vec<ColumnRef>,
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    account: Account,
    /// What to do with statements that change the table.
    #[arg(long, value_enum, default_value_t = Ddl::Print)]
    ddl: Ddl,
    /// Workers of this process.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    #[command(flatten)]
    brakes: Brakes,
    /// How long proxies and old transactions are waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// What slows the walk down.
#[derive(Debug, Args)]
struct Brakes {
    /// Convert at most so many rows each second.
    #[arg(long, value_name = "N")]
    rows_per_second: Option<u64>,
    /// Rest while the server runs more threads than this (Threads_running).
    #[arg(long, value_name = "N")]
    threads_running_max: Option<u64>,
    /// Rest while replication of this server is more seconds behind than this.
    #[arg(long, value_name = "SECONDS")]
    lag_max: Option<u64>,
    /// Rest while this query gives anything but 0 or NULL.
    #[arg(long, value_name = "SELECT")]
    throttle_query: Option<String>,
    /// Rest while this file exists.
    #[arg(long, value_name = "FILE")]
    flag_file: Option<PathBuf>,
}

/// What is done with statements that change the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ddl {
    /// Print them and stop; go on after somebody has run them.
    Print,
    /// Run them.
    Run,
}

fn column(written: &str) -> Result<ColumnRef, String> {
    policy::file::column_ref(written).ok_or_else(|| "a column is named `database.table.column`".to_owned())
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Encrypt(arguments) => work(Verb::Encrypt, arguments),
        Command::Decrypt(arguments) => work(Verb::Decrypt, arguments),
        Command::Reencrypt(arguments) => work(Verb::Reencrypt, arguments),
        Command::Reindex(arguments) => work(Verb::Reindex, arguments),
    }
}

fn work(verb: Verb, arguments: &Work) -> Result<(), Failure> {
    let output = Output::new();
    let progress = Arc::new(Progress::new());
    let outcome = runtime()?.block_on(async {
        let opened = Opened::new(&arguments.configured, &arguments.account, usize::from(arguments.workers) + 6).await?;
        let engine = Engine::new(
            opened.store.clone(),
            opened.unwrapper.clone(),
            opened.policy.clone(),
            opened.acts().await?,
            options(arguments),
            progress.clone(),
        );
        let outcome = engine.run(verb, &arguments.columns).await;
        progress.end();
        opened.close().await;
        outcome.map_err(failure)
    })?;
    if arguments.json {
        output.json(&report::outcome(verb, &outcome))?
    } else {
        output.line(report::text(verb, &outcome))?
    }
    Ok(())
}

fn options(arguments: &Work) -> Options {
    let brakes = &arguments.brakes;
    Options {
        workers: usize::from(arguments.workers),
        limits: Limits {
            rows_per_second: brakes.rows_per_second,
            threads_running_max: brakes.threads_running_max,
            lag_seconds_max: brakes.lag_max,
            query: brakes.throttle_query.clone(),
            flag_file: brakes.flag_file.clone(),
        },
        statements: match arguments.ddl {
            Ddl::Print => Statements::Print,
            Ddl::Run => Statements::Run,
        },
        patience: Duration::from_secs(arguments.patience),
    }
}

/// What the command line or a file must mend is told apart from what could not be done.
fn failure(error: ColumnError) -> Failure {
    match &error {
        ColumnError::NoColumn | ColumnError::NotProtected { .. } | ColumnError::TwoTables { .. } => {
            Failure::Usage(error.into())
        }
        _ => Failure::Failed(anyhow::Error::from(error).context("the job did not end")),
    }
}
