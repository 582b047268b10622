//! `candado audit list`.

use std::ops::ControlFlow;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::app::control_settings;
use crate::cli::account::Account;
use crate::cli::moment::moment;
use crate::cli::output::Output;
use crate::cli::table::table;
use crate::cli::{Failure, runtime};
use crate::control::{KeyStore, Pool, SCHEMA, StoredEntry};

/// Which entries are shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
    /// Acts of that name, or whose name begins with it: `key.destroy`, `key`.
    #[arg(long, value_name = "ACT")]
    act: Option<String>,
    /// Acts on that subject, exactly.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Acts of somebody whose name holds this.
    #[arg(long, value_name = "TEXT")]
    actor: Option<String>,
    /// Acts at that time or later, UTC: `2026-03-04`, or as far as you like in `2026-03-04T05:06:07`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<String>,
    /// Acts before that time, UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// The newest so many of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    let entries: anyhow::Result<Vec<StoredEntry>> = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(&settings));
        let mut entries = std::collections::VecDeque::new();
        let store = KeyStore::new(pool.clone(), SCHEMA);
        let read = store.read_record(1, |entry| {
            if arguments.wants(&entry) {
                entries.push_back(entry);
            }
            if entries.len() > arguments.limit {
                entries.pop_front();
            }
            ControlFlow::Continue(())
        });
        let read = read.await.context("the record cannot be read");
        pool.close().await;
        read.map(|_| entries.into())
    });
    let entries = entries?;
    let output = Output::new();
    if arguments.json {
        let entries: Vec<Value> = entries.iter().map(document).collect();
        output.json(&json!({ "entries": entries }))?
    } else {
        output.line(text(&entries))?
    }
    Ok(())
}

impl Arguments {
    fn wants(&self, entry: &StoredEntry) -> bool {
        let act =
            |name: &str| entry.act.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.act.as_deref().is_none_or(act)
            && self.subject.as_ref().is_none_or(|subject| *subject == entry.subject)
            && self.actor.as_ref().is_none_or(|actor| entry.actor.contains(actor.as_str()))
            && self.from.as_ref().is_none_or(|from| entry.at >= *from)
            && self.until.as_ref().is_none_or(|until| entry.at < *until)
    }
}

fn document(entry: &StoredEntry) -> Value {
    // What is not JSON is a broken entry; it is shown as the text that it is.
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    json!({
        "seq": entry.seq, "at": entry.at, "actor": entry.actor, "act": entry.act, "subject": entry.subject,
        "before": value(&entry.before), "after": value(&entry.after), "sealed": entry.is_sealed(),
    })
}

fn text(entries: &[StoredEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        let shown = |text: &str| if text == "null" { "–".to_owned() } else { text.to_owned() };
        [
            entry.seq.to_string(),
            entry.at.get(..19).unwrap_or(&entry.at).replace('T', " "),
            entry.actor.clone(),
            if entry.is_sealed() { entry.act.clone() } else { format!("{} (without the audit key)", entry.act) },
            entry.subject.clone(),
            shown(&entry.before),
            shown(&entry.after),
        ]
    });
    let table = table(["entry", "when (UTC)", "who", "act", "on", "before", "after"], rows, "no such act is recorded");
    format!("{table}\nnot verified: `candado audit verify` does that")
}
