//! `candado audit verify FILE..`: the record of accesses.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use crate::app::{control_settings, provider};
use crate::audit::{Anchor, Found, ProxyKey, Verdict, verify};
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::config::MemoryLock;
use crate::control::{AuditKeys, KeyStore, Pool, SCHEMA};
use crate::crypto::AccessKey;

/// What one line read at once may hold.
const BUFFER: usize = 1 << 20;

/// Verifies files, oldest first, with the audit keys and anchors of the key store, or with an access key alone.
pub(super) fn run(account: &Account, files: &[PathBuf], key_file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let verdict = match key_file {
        Some(path) => with_key_file(files, path)?,
        None => with_key_store(account, files)?,
    };
    let output = Output::new();
    if json {
        output.json(&document(&verdict))?
    } else {
        output.line(text(&verdict, key_file))?
    }
    if verdict.found.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

fn with_key_file(files: &[PathBuf], path: &Path) -> Result<Verdict, Failure> {
    let locked = crate::app::process::lock_memory_as(MemoryLock::IfAllowed);
    locked.map_err(|error| Failure::Failed(error.into()))?;
    let held = ProxyKey::load(path).map_err(|error| Failure::Usage(error.into()))?;
    let key = |deployment: &str, kid: u32, name: &str| {
        let fits = (deployment, kid, name) == (held.deployment.as_str(), held.kid, held.name.as_str());
        if fits { AccessKey::read(&held.key.to_be_written()) } else { None }
    };
    Ok(verify(open(files), key, &[]).context("a file cannot be read")?)
}

fn with_key_store(account: &Account, files: &[PathBuf]) -> Result<Verdict, Failure> {
    let settings = account.settings()?;
    lock_memory(&settings)?;
    let held: anyhow::Result<(String, AuditKeys, Vec<Anchor>)> = runtime()?.block_on(async {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let pool = Pool::new(&control_settings(&settings));
        let held = held(&KeyStore::new(pool.clone(), SCHEMA), &provider).await;
        pool.close().await;
        held
    });
    let (own, keys, anchors) = held?;
    let key = |deployment: &str, kid: u32, name: &str| {
        if deployment == own { keys.access_key(kid, name) } else { None }
    };
    Ok(verify(open(files), key, &anchors).context("a file cannot be read")?)
}

async fn held(store: &KeyStore, provider: &provider::Opening) -> anyhow::Result<(String, AuditKeys, Vec<Anchor>)> {
    let (deployment, records) = store.audit_key_records().await.context("the key store cannot be read")?;
    let keys = AuditKeys::open(&records, deployment, provider.unwrapper.as_ref()).await;
    let keys = keys.context("the record cannot be verified")?;
    let anchors = store.anchors().await.context("the anchors cannot be read; see keys-policy/schema.sql")?;
    Ok((deployment.hyphenated().to_string(), keys, anchors))
}

fn open(files: &[PathBuf]) -> impl Iterator<Item = (String, io::Result<BufReader<File>>)> {
    files.iter().map(|path| {
        let reader = File::open(path).map(|file| BufReader::with_capacity(BUFFER, file));
        (path.display().to_string(), reader)
    })
}

fn document(verdict: &Verdict) -> Value {
    let breach = |Found { place, breach }: &Found| json!({ "what": breach.kind(), "file": place.file, "line": place.line, "text": breach.to_string() });
    let chains = verdict
        .chains
        .iter()
        .map(|(chain, (first, last))| json!({ "chain": chain.to_string(), "first": first, "last": last }));
    json!({
        "intact": verdict.found.is_empty(),
        "records": verdict.records,
        "accesses": verdict.accesses,
        "lost": verdict.lost,
        "anchors": verdict.anchors,
        "chains": chains.collect::<Vec<_>>(),
        "breaches": verdict.found.iter().map(breach).collect::<Vec<_>>(),
    })
}

fn text(verdict: &Verdict, key_file: Option<&Path>) -> String {
    let mut lines: Vec<String> =
        verdict.found.iter().map(|found| format!("BROKEN  {}: {}", found.place, found.breach)).collect();
    for (chain, (first, last)) in &verdict.chains {
        let from = if *first > 1 { " (earlier ones are in no file given)" } else { "" };
        lines.push(format!("chain {chain}: records {first} to {last}{from}"));
    }
    if verdict.lost > 0 {
        lines.push(format!("note    {} accesses happened and are not recorded, as gaps tell", verdict.lost));
    }
    match key_file {
        Some(_) => {
            lines.push("note    not compared with the anchors: an end that was cut off does not show".to_owned())
        }
        None => lines.push(format!("compared with {} anchors", verdict.anchors)),
    }
    lines.push(match verdict.found.len() {
        0 => format!("intact: {} records, {} of them accesses", verdict.records, verdict.accesses),
        number => format!("not intact: {number} breaches in {} records", verdict.records),
    });
    lines.join("\n")
}
