//! `candado budget`: what accounts have been shown of their budgets, and a greater budget for a while.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::account::Account;
use super::approvals::asked;
use super::output::Output;
use super::table::table;
use super::{Failure, lock_memory, runtime};
use crate::app::{control_settings, operator, provider};
use crate::config::Settings;
use crate::control::{
    ControlError, Elevation, FACTOR_MAX, KeyStore, ListedElevation, ListedWindow, MINUTES_MAX, Pool, Recorder, SCHEMA,
};

/// The longest reason, and the longest account.
const REASON_CHARS_MAX: usize = 400;
const ACCOUNT_CHARS_MAX: usize = 336;

/// What can be done about budgets.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Elevate an account's budget for a while. Needs the approval of a second person.
    ///
    /// The first run files a request and prints its number. When enough others have run `candado approve`, run the same
    /// command again: from then on, and for so many minutes of the server's clock, all proxies allow the account so many
    /// times its cells in a result, a minute and a day, and its different rows. It ends by itself.
    #[command(after_help = "Examples:\n  candado budget elevate support@% --minutes 30 --factor 10 \\\n    \
        --reason \"incident 4711: callers to be found\" --user candado_security --password-file secret")]
    Elevate(ElevateArguments),
    /// List what accounts have been shown in their present minute and day and have searched for, and elevations.
    #[command(after_help = "Examples:\n  candado budget list --json")]
    List(ListArguments),
}

/// Whose budget is elevated, how far, for how long and why.
#[derive(Debug, Args)]
pub(super) struct ElevateArguments {
    /// The account, as the server's CURRENT_USER() has it.
    #[arg(value_name = "USER@HOST", value_parser = of)]
    of: String,
    /// For how many minutes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MINUTES_MAX)))]
    minutes: u32,
    /// How many times as much it may be shown.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=i64::from(FACTOR_MAX)))]
    factor: u32,
    /// Why. It stands in what the second person signs, and in the record.
    #[arg(long, value_parser = reason)]
    reason: String,
    #[command(flatten)]
    account: Account,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// How budgets are listed.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    account: Account,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Elevate(arguments) => elevate(arguments),
        Command::List(arguments) => list(arguments),
    }
}

fn of(text: &str) -> Result<String, String> {
    let has_host = text.rsplit_once('@').is_some_and(|(_, host)| !host.is_empty());
    if has_host && text.chars().count() <= ACCOUNT_CHARS_MAX {
        Ok(text.to_owned())
    } else {
        Err("an account is written user@host, as the server's CURRENT_USER() has it: app@%".to_owned())
    }
}

fn reason(text: &str) -> Result<String, String> {
    let count = text.chars().count();
    let fits = !text.trim().is_empty() && count <= REASON_CHARS_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("1 to {REASON_CHARS_MAX} characters on one line")) }
}

fn with_store<T>(settings: &Settings, work: impl AsyncFnOnce(&KeyStore) -> anyhow::Result<T>) -> anyhow::Result<T> {
    runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(settings));
        let outcome = work(&KeyStore::new(pool.clone(), SCHEMA)).await;
        pool.close().await;
        outcome
    })
}

fn elevate(arguments: &ElevateArguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    lock_memory(&settings)?;
    let ElevateArguments { of, minutes, factor, reason, .. } = arguments;
    let elevation = Elevation { account: of.clone(), factor: *factor, minutes: *minutes, reason: reason.clone() };
    let done = with_store(&settings, async |store| carry_out(&settings, store, &elevation).await);
    let output = Output::new();
    match done {
        Ok(ends_at) => {
            let facts = json!({ "act": "elevate-budget", "done": true, "account": of, "ends_at": ends_at });
            let text =
                format!("{of} may be shown {factor} times its budget until {ends_at}; proxies know within two seconds");
            Ok(output.answer(arguments.json, &facts, || text)?)
        }
        Err(error) if arguments.json => {
            output.json(&json!({ "act": "elevate-budget", "done": false, "refused": format!("{error:#}") }))?;
            Err(Failure::Found)
        }
        Err(error) => Err(Failure::Failed(error)),
    }
}

/// Elevates, or asks for the approval that is missing.
async fn carry_out(settings: &Settings, store: &KeyStore, elevation: &Elevation) -> anyhow::Result<String> {
    let opening = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
    let recorder = Recorder::open(store, opening.unwrapper.as_ref()).await;
    let recorder = recorder.context("acts cannot be recorded, so none is done")?;
    let actor = store.actor(&operator()).await.context("the key store cannot be used")?;
    let refused = match store.elevate_budget(elevation, &settings.approval, &actor, &recorder).await {
        Ok(ends_at) => return Ok(ends_at),
        Err(refused) => refused,
    };
    if !matches!(&refused, ControlError::Approval(reason) if reason.wants_new_request()) {
        return Err(refused.into());
    }
    let wanted = store.wanted_elevation(elevation).await?;
    let request = store.ask_for_approval(&wanted, &settings.approval, &actor, &recorder).await;
    let request = request.context("approval cannot be asked for")?;
    Err(anyhow::Error::from(refused).context(asked(&request)))
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    let listed = with_store(&settings, async |store| Ok(store.list_budgets(&settings.approval).await?));
    let (elevations, windows) = listed?;
    let facts = json!({
        "elevations": elevations.iter().map(elevation_facts).collect::<Vec<_>>(),
        "windows": windows.iter().map(window_facts).collect::<Vec<_>>(),
    });
    Ok(Output::new().answer(arguments.json, &facts, || text(&elevations, &windows))?)
}

/// Elevations, and below them what is counted.
pub(super) fn text(elevations: &[ListedElevation], windows: &[ListedWindow]) -> String {
    format!("{}\n{}", elevation_table(elevations), window_table(windows))
}

fn elevation_facts(listed: &ListedElevation) -> Value {
    let ListedElevation { request, elevation, began_at, ends_at, condition, approved_by } = listed;
    json!({
        "request": request, "account": elevation.account, "factor": elevation.factor, "minutes": elevation.minutes,
        "reason": elevation.reason, "began_at": began_at, "ends_at": ends_at, "condition": condition.name(),
        "approved_by": approved_by,
    })
}

fn window_facts(window: &ListedWindow) -> Value {
    let ListedWindow { account, span, began_at, taken } = window;
    json!({ "account": account, "span": span, "began_at": began_at, "taken": taken })
}

fn elevation_table(elevations: &[ListedElevation]) -> String {
    let headings = ["request", "account", "factor", "until (UTC)", "condition", "approved by", "reason"];
    let rows =
        elevations.iter().map(|ListedElevation { request, elevation, ends_at, condition, approved_by, .. }| {
            [
                request.to_string(),
                elevation.account.clone(),
                elevation.factor.to_string(),
                short(ends_at),
                condition.name().to_owned(),
                approved_by.join(", "),
                elevation.reason.clone(),
            ]
        });
    table(headings, rows, "no budget is elevated")
}

fn window_table(windows: &[ListedWindow]) -> String {
    let rows = windows.iter().map(|ListedWindow { account, span, began_at, taken }| {
        [account.clone(), short(began_at), span.clone(), taken.to_string()]
    });
    let none = "nothing is counted: in this minute and day no account has used anything of a budget";
    table(["account", "since (UTC)", "span", "taken"], rows, none)
}

/// A time without fractions.
fn short(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}
