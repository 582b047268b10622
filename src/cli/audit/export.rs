//! `candado audit export`.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::app::control_settings;
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, runtime};
use crate::control::{KeyStore, Line, Pool, SCHEMA};

/// What is written where.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
    /// The file to write. An existing one is never overwritten.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    let entries = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(&settings));
        let entries = write(&KeyStore::new(pool.clone(), SCHEMA), &arguments.output).await;
        pool.close().await;
        entries
    })?;
    let output = Output::new();
    let path = arguments.output.display();
    if arguments.json {
        output.json(&serde_json::json!({ "entries": entries, "file": path.to_string() }))?
    } else {
        output.line(format!("{entries} entries written to {path}"))?
    }
    Ok(())
}

async fn write(store: &KeyStore, path: &Path) -> anyhow::Result<u64> {
    let (deployment, keys) = store.audit_key_records().await.context("the key store cannot be read")?;
    let told = || format!("cannot write {}", path.display());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(told)?;
    let mut file = BufWriter::new(file);
    put(&mut file, &Line::First { deployment, keys }).with_context(told)?;
    let mut entries: u64 = 0;
    let mut outcome = Ok(());
    let head = store.read_record(1, |entry| {
        outcome = put(&mut file, &Line::Entry(entry));
        if outcome.is_err() {
            return ControlFlow::Break(());
        }
        entries = entries.saturating_add(1);
        ControlFlow::Continue(())
    });
    let head = head.await.context("the record cannot be read")?;
    outcome.with_context(told)?;
    if let Some(head) = head {
        put(&mut file, &Line::Head(head)).with_context(told)?;
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(told)?;
    file.sync_all().with_context(told)?;
    Ok(entries)
}

fn put(file: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    writeln!(file, "{}", line.write()?)?;
    Ok(())
}
