//! `candado audit access-key`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;

use crate::app::{control_settings, provider};
use crate::audit::ProxyKey;
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::control::{AuditKeys, KeyStore, Pool, SCHEMA};
use crate::keys::KeyState;

/// Whose key, and where it goes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
    /// The proxy's name in the record: letters, digits and `. _ : -`.
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    /// The file to write, for `[audit] key_file`. An existing one is never overwritten.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    let fits = ProxyKey::is_name(text);
    fits.then(|| text.to_owned())
        .ok_or_else(|| "a name has letters, digits and . _ : -, at most 100 of them".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    lock_memory(&settings)?;
    let key: anyhow::Result<ProxyKey> = runtime()?.block_on(async {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let pool = Pool::new(&control_settings(&settings));
        let key = make(&KeyStore::new(pool.clone(), SCHEMA), &provider, &arguments.name).await;
        pool.close().await;
        key
    });
    let key = key?;
    let told = || format!("cannot write {}", arguments.output.display());
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&arguments.output);
    let mut file = file.with_context(told)?;
    file.write_all(key.to_be_written().as_bytes()).and_then(|()| file.sync_all()).with_context(told)?;
    let path = arguments.output.display().to_string();
    Output::new().answer(arguments.json, &json!({ "name": key.name, "audit_key": key.kid, "file": path }), || {
        format!("the access key of {} is in {path}: give it to that proxy alone", key.name)
    })?;
    Ok(())
}

async fn make(store: &KeyStore, provider: &provider::Opening, name: &str) -> anyhow::Result<ProxyKey> {
    let (deployment, records) = store.audit_key_records().await.context("the key store cannot be read")?;
    let active = records.iter().find(|record| record.state == KeyState::Active);
    let kid = active.ok_or_else(|| anyhow!("there is no active audit key: run `candado keys init`"))?.kid.number();
    let keys = AuditKeys::open(&records, deployment, provider.unwrapper.as_ref()).await;
    let key = keys.context("no access key can be made")?.access_key(kid, name);
    let key = key.ok_or_else(|| anyhow!("audit key {kid} is not open"))?;
    Ok(ProxyKey { deployment: deployment.hyphenated().to_string(), kid, name: name.to_owned(), key })
}
