//! `candado column`: converting the rows that are already there. Arguments and answers; the work is
//! [`crate::control::column`]'s.

mod account;
mod progress;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};

use super::keys::{HINT, may_not_write};
use super::output::Output;
use super::{Configured, Facts, Failure, approvals, runtime};
use crate::app::control_settings;
use crate::control::column::{
    Allowed, ColumnError, Engine, Limits, Options, Outcome, Pause, Rehearsal, Statements, Verb, Weight,
};
use crate::control::{KeyStore, Pool, SCHEMA};
use crate::policy;
use crate::schema::{ColumnRef, TableRef};
use account::{Account, Opened};
use progress::Progress;

/// Connections beside those of the workers, which have two each: key store, monitor, presence, lead, verification, one to spare.
const OTHER_CONNECTIONS: usize = 6;

/// What can be done with columns that hold rows.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Encrypt the rows that are there, while the application goes on.
    ///
    /// From stage `plain` to `sealed`: preflight, statements that make the table fit, every proxy seals what it writes,
    /// rows are converted, every cell is verified, a CHECK constraint keeps plaintext out. Ended anywhere, the same
    /// command goes on from there. Several processes may run it at once.
    #[command(after_help = "Examples:\n  candado column encrypt shop.customers.phone shop.customers.address --ddl run")]
    Encrypt(Work),
    /// Decrypt the rows, the way back: from stage `sealed` to `plain`.
    #[command(after_help = "Examples:\n  candado column decrypt shop.customers.phone --ddl run")]
    Decrypt(Work),
    /// Seal again what is not under the active data key, after `keys rotate`.
    #[command(after_help = "Examples:\n  candado column reencrypt shop.customers.phone --rows-per-second 5000")]
    Reencrypt(Work),
    /// Seal again what is not under the active index key, after a rotation of the index key.
    #[command(after_help = "Examples:\n  candado column reindex shop.customers.phone")]
    Reindex(Work),
    /// Examine every cell and write a proof for each column. Changes nothing else, at any time, beside any job.
    ///
    /// Without columns: all of the policy. Keys are retired and destroyed on the ground of these proofs. Exit code 1 if a
    /// cell does not open, or its blind index is not its value's.
    #[command(after_help = "Examples:\n  candado column verify shop.customers.phone --json")]
    Verify(Verify),
    /// List jobs with progress, rate and remaining time.
    #[command(after_help = "Examples:\n  candado column status --json")]
    Status(Facts),
    /// Let the unfinished job of a table rest, in all processes.
    #[command(after_help = "Examples:\n  candado column pause shop.customers")]
    Pause(OfTable),
    /// Let it go on.
    #[command(after_help = "Examples:\n  candado column resume shop.customers")]
    Resume(OfTable),
    /// Give the unfinished job of a table up, and say what can be done then.
    ///
    /// Nothing is lost: the columns stay at a stage at which every row is read and written.
    #[command(after_help = "Examples:\n  candado column abort shop.customers")]
    Abort(OfTable),
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
    /// Begin although a trigger runs for every row that is changed.
    #[arg(long)]
    allow_triggers: bool,
    /// Tell what would be found and done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Columns, `database.table.column`.
    #[arg(value_name = "COLUMN", value_parser = column)]
    columns: Vec<ColumnRef>,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    account: Account,
}

/// Arguments of verbs that are about a table's job.
#[derive(Debug, Args)]
pub(super) struct OfTable {
    /// The table, `database.table`.
    #[arg(value_name = "TABLE", value_parser = table)]
    table: TableRef,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    account: Account,
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

fn table(written: &str) -> Result<TableRef, String> {
    let column = policy::file::column_ref(&format!("{written}.c"));
    column.map(|column| column.table_ref()).ok_or_else(|| "a table is named `database.table`".to_owned())
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Encrypt(arguments) => work(Verb::Encrypt, arguments),
        Command::Decrypt(arguments) => work(Verb::Decrypt, arguments),
        Command::Reencrypt(arguments) => work(Verb::Reencrypt, arguments),
        Command::Reindex(arguments) => work(Verb::Reindex, arguments),
        Command::Verify(arguments) => verify(arguments),
        Command::Status(arguments) => status(arguments),
        Command::Pause(arguments) => pause(arguments, Pause::On),
        Command::Resume(arguments) => pause(arguments, Pause::Off),
        Command::Abort(arguments) => abort(arguments),
    }
}

fn work(verb: Verb, arguments: &Work) -> Result<(), Failure> {
    let output = Output::new();
    let progress = Arc::new(Progress::new());
    let (outcome, rehearsal) = runtime()?.block_on(async {
        tokio::select! {
            answer = Box::pin(carry_out(verb, arguments, progress.clone())) => answer,
            () = interrupted() => {
                progress.end();
                Err(Failure::Failed(anyhow!("interrupted: what was done stays done, and the same command goes on from there")))
            }
        }
    })?;
    if let Some(outcome) = outcome {
        output.answer(arguments.json, &report::outcome(verb, &outcome), || report::text(verb, &outcome))?;
    }
    if let Some(rehearsal) = rehearsal {
        output.answer(arguments.json, &report::rehearsal(verb, &rehearsal), || report::rehearsed(verb, &rehearsal))?;
        if rehearsal.remarks.iter().any(|remark| remark.weight == Weight::Blocks) {
            return Err(Failure::Found);
        }
    }
    Ok(())
}

/// What a job came to, or would.
async fn carry_out(
    verb: Verb,
    arguments: &Work,
    progress: Arc<Progress>,
) -> Result<(Option<Outcome>, Option<Rehearsal>), Failure> {
    let connections_max = usize::from(arguments.workers).saturating_mul(2).saturating_add(OTHER_CONNECTIONS);
    let opened = Opened::new(&arguments.configured, &arguments.account, connections_max).await?;
    let engine = opened.engine(options(arguments), progress.clone()).await?;
    let answer = if arguments.dry_run {
        engine.rehearse(verb, &arguments.columns).await.map(|rehearsal| (None, Some(rehearsal)))
    } else {
        Box::pin(engine.run(verb, &arguments.columns)).await.map(|outcome| (Some(outcome), None))
    };
    progress.end();
    let answer = match answer {
        Err(refused) => Err(asked(&engine, refused).await),
        Ok(answer) => Ok(answer),
    };
    drop(engine);
    opened.close().await;
    answer
}

/// Ends with Ctrl-C. Where it cannot be listened for, it ends the process by itself.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
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
        allowed: Allowed { triggers: arguments.allow_triggers },
    }
}

/// For verbs that convert nothing.
fn no_work() -> Options {
    Options {
        workers: 1,
        limits: Limits::default(),
        statements: Statements::Print,
        patience: Duration::ZERO,
        allowed: Allowed::default(),
    }
}

fn verify(arguments: &Verify) -> Result<(), Failure> {
    let progress = Arc::new(Progress::new());
    let proofs = runtime()?.block_on(async {
        let opened = Opened::new(&arguments.facts.configured, &arguments.account, OTHER_CONNECTIONS).await?;
        let engine = opened.engine(no_work(), progress.clone()).await?;
        let all = || opened.policy.columns().iter().map(|column| column.column.clone()).collect();
        let columns: Vec<ColumnRef> = if arguments.columns.is_empty() { all() } else { arguments.columns.clone() };
        let proofs = engine.verify(&columns).await;
        progress.end();
        drop(engine);
        opened.close().await;
        proofs.map_err(failure)
    })?;
    let document: Vec<_> = proofs.iter().map(report::proof).collect();
    Output::new().answer(arguments.facts.json, &document, || report::proofs(&proofs))?;
    if proofs.iter().any(|proof| proof.faults > 0) { Err(Failure::Found) } else { Ok(()) }
}

fn status(arguments: &Facts) -> Result<(), Failure> {
    let settings = crate::config::load(&arguments.configured.config)?;
    let jobs = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(&settings));
        let jobs = Engine::status(&KeyStore::new(pool.clone(), SCHEMA)).await.context("jobs cannot be listed");
        pool.close().await;
        jobs
    })?;
    let document: Vec<_> = jobs.iter().map(report::job).collect();
    Output::new().answer(arguments.json, &document, || report::jobs(&jobs))?;
    Ok(())
}

fn pause(arguments: &OfTable, pause: Pause) -> Result<(), Failure> {
    let job = of_table(arguments, async |engine| engine.pause(&arguments.table, pause).await)?;
    let (word, text) = match pause {
        Pause::On => ("paused", "rests; `candado column resume` lets it go on"),
        Pause::Off => ("resumed", "goes on, where a process runs it"),
    };
    let document = serde_json::json!({ "job": job, "table": arguments.table.to_string(), "done": word });
    Output::new().answer(arguments.facts.json, &document, || format!("job {job} of {} {text}", arguments.table))?;
    Ok(())
}

fn abort(arguments: &OfTable) -> Result<(), Failure> {
    let advice = of_table(arguments, async |engine| engine.abort(&arguments.table).await)?;
    let document =
        serde_json::json!({ "job": advice.job, "table": arguments.table.to_string(), "advice": &advice.text });
    let text = || format!("job {} of {} is given up: {}", advice.job, arguments.table, advice.text);
    Output::new().answer(arguments.facts.json, &document, text)?;
    Ok(())
}

fn of_table<T>(arguments: &OfTable, act: impl AsyncFnOnce(&Engine) -> Result<T, ColumnError>) -> Result<T, Failure> {
    runtime()?.block_on(async {
        let opened = Opened::new(&arguments.facts.configured, &arguments.account, OTHER_CONNECTIONS).await?;
        let engine = opened.engine(no_work(), Arc::new(Progress::new())).await?;
        let outcome = act(&engine).await;
        drop(engine);
        opened.close().await;
        outcome.map_err(failure)
    })
}

/// Asks for an approval where one is missing, and says how it is given.
async fn asked(engine: &Engine, refused: ColumnError) -> Failure {
    let ColumnError::NotApproved { wanted, source } = &refused else { return failure(refused) };
    if !source.wants_new_request() {
        return failure(refused);
    }
    let context = match engine.ask_for_approval(wanted).await {
        Ok(request) => approvals::asked(&request),
        Err(error) => format!("and approval cannot be asked for: {}", error.chain()),
    };
    Failure::Failed(anyhow::Error::new(refused).context(context))
}

/// What the command line or a file must mend is told apart from what could not be done.
fn failure(error: ColumnError) -> Failure {
    if error.is_usage() {
        return Failure::Usage(error.into());
    }
    let may_not_keep = matches!(&error, ColumnError::Control(refused) if may_not_write(refused));
    let error = anyhow::Error::new(error);
    Failure::Failed(if may_not_keep {
        error.context(format!("the job cannot be kept in the key store{HINT}"))
    } else {
        error
    })
}
