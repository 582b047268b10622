//! `candado audit seal`.

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::app::{control_settings, operator, provider};
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::control::{KeyStore, Pool, Recorder, SCHEMA};

/// Under which account.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    lock_memory(&settings)?;
    let sealed: anyhow::Result<Option<(u64, u64)>> = runtime()?.block_on(async {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let pool = Pool::new(&control_settings(&settings));
        let sealed = seal(&KeyStore::new(pool.clone(), SCHEMA), &provider).await;
        pool.close().await;
        sealed
    });
    let sealed = sealed?;
    let facts = json!({ "sealed": sealed.map(|(from, to)| json!({ "from": from, "to": to })) });
    Output::new().answer(arguments.json, &facts, || match sealed {
        Some((from, to)) => format!("entries {from} to {to} are under the audit key from now on"),
        None => "every entry is under the audit key already".to_owned(),
    })?;
    Ok(())
}

async fn seal(store: &KeyStore, provider: &provider::Opening) -> anyhow::Result<Option<(u64, u64)>> {
    let recorder = Recorder::open(store, provider.unwrapper.as_ref()).await;
    let recorder = recorder.context("the record cannot be sealed")?;
    let actor = store.actor(&operator()).await.context("the key store cannot be used")?;
    store.seal_record(&actor, &recorder).await.context("the record cannot be sealed")
}
