//! `candado audit verify FILE..`: the record of accesses.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::app::{control_settings, provider};
use crate::audit::{Anchor, Anchors, ChainId, Found, ProxyKey, PutAway, Verdict, verify};
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::config::MemoryLock;
use crate::control::{AuditKeys, KeyStore, Pool, SCHEMA};
use crate::crypto::AccessKey;

/// What one line read at once may hold.
const BUFFER: usize = 1 << 20;

/// Longest head of a segment.
const HEAD_OCTETS_MAX: u64 = 4096;

/// What was put away on purpose, as it is given.
#[derive(Debug, Default, Args)]
pub(super) struct Retention {
    /// Segments before this one were put away on purpose; else a chain that does not begin with its first segment is a
    /// breach. Of one chain, or of all that are not named.
    #[arg(long = "from", value_name = "[CHAIN:]SEGMENT", requires = "files")]
    from: Vec<Beginning>,
    /// All segments of this chain were put away on purpose.
    #[arg(long, value_name = "CHAIN", value_parser = chain, requires = "files")]
    gone: Vec<ChainId>,
}

impl Retention {
    /// Whether nothing was put away.
    pub(super) fn is_nothing(&self) -> bool {
        self.from.is_empty() && self.gone.is_empty()
    }

    fn put_away(&self) -> PutAway {
        let mut put_away = PutAway::default();
        self.from.iter().for_each(|from| put_away.before(from.chain, from.segment));
        self.gone.iter().for_each(|chain| put_away.all_of(*chain));
        put_away
    }
}

/// A segment that a chain may begin with.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    chain: Option<ChainId>,
    segment: u64,
}

impl FromStr for Beginning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chain, segment) = match text.split_once(':') {
            Some((chain, segment)) => (Some(self::chain(chain)?), segment),
            None => (None, text),
        };
        let segment = segment.parse().map_err(|_| "a segment is a number, as its file's name ends with".to_owned())?;
        Ok(Self { chain, segment })
    }
}

fn chain(text: &str) -> Result<ChainId, String> {
    ChainId::read(text).ok_or_else(|| "a chain has 16 hexadecimal digits, as `audit verify` names it".to_owned())
}

/// Verifies files, oldest first, with the audit keys and anchors of the key store, or with an access key alone.
pub(super) fn run(
    account: &Account,
    files: &[PathBuf],
    key_file: Option<&Path>,
    retention: &Retention,
    json: bool,
) -> Result<(), Failure> {
    let anchors = expected(files)?;
    let put_away = retention.put_away();
    let verdict = match key_file {
        Some(path) => with_key_file(files, path, &put_away)?,
        None => with_key_store(account, files, anchors, &put_away)?,
    };
    let output = Output::new();
    if json {
        output.json(&document(&verdict))?
    } else {
        output.line(text(&verdict, key_file))?
    }
    if verdict.found.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

/// Looks at the files' first lines, before anything is asked for: they say of which chains anchors are needed.
fn expected(files: &[PathBuf]) -> Result<Anchors, Failure> {
    let mut anchors = Anchors::default();
    for path in files {
        let mut first = Vec::new();
        let read =
            File::open(path).and_then(|file| BufReader::new(file).take(HEAD_OCTETS_MAX).read_until(b'\n', &mut first));
        read.with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Usage)?;
        anchors.expect(first.strip_suffix(b"\n").unwrap_or(&first));
    }
    Ok(anchors)
}

fn with_key_file(files: &[PathBuf], path: &Path, put_away: &PutAway) -> Result<Verdict, Failure> {
    let locked = crate::app::process::lock_memory_as(MemoryLock::IfAllowed);
    locked.map_err(|error| Failure::Failed(error.into()))?;
    let held = ProxyKey::load(path).map_err(|error| Failure::Usage(error.into()))?;
    let key = |deployment: &str, kid: u32, name: &str| {
        let fits = (deployment, kid, name) == (held.deployment.as_str(), held.kid, held.name.as_str());
        if fits { AccessKey::read(&held.key.to_be_written()) } else { None }
    };
    Ok(verify(open(files), key, &[], put_away).context("a file cannot be read")?)
}

fn with_key_store(
    account: &Account,
    files: &[PathBuf],
    anchors: Anchors,
    put_away: &PutAway,
) -> Result<Verdict, Failure> {
    let settings = account.settings()?;
    lock_memory(&settings)?;
    let held: anyhow::Result<(String, AuditKeys, Vec<Anchor>)> = runtime()?.block_on(async {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let pool = Pool::new(&control_settings(&settings));
        let held = held(&KeyStore::new(pool.clone(), SCHEMA), &provider, anchors).await;
        pool.close().await;
        held
    });
    let (own, keys, anchors) = held?;
    let key = |deployment: &str, kid: u32, name: &str| {
        if deployment == own { keys.access_key(kid, name) } else { None }
    };
    Ok(verify(open(files), key, &anchors, put_away).context("a file cannot be read")?)
}

async fn held(
    store: &KeyStore,
    provider: &provider::Opening,
    mut anchors: Anchors,
) -> anyhow::Result<(String, AuditKeys, Vec<Anchor>)> {
    let (deployment, records) = store.audit_key_records().await.context("the key store cannot be read")?;
    let keys = AuditKeys::open(&records, deployment, provider.unwrapper.as_ref()).await;
    let keys = keys.context("the record cannot be verified")?;
    let mut added = Ok(());
    let read = store.anchors(|anchor| {
        added = anchors.add(anchor);
        if added.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    read.await.context("the anchors cannot be read; see keys-policy/schema.sql")?;
    added?;
    Ok((deployment.hyphenated().to_string(), keys, anchors.into_vec()))
}

fn open(files: &[PathBuf]) -> impl Iterator<Item = (String, io::Result<BufReader<File>>)> {
    files.iter().map(|path| {
        let name = path.display().to_string();
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
        let reader = File::open(path).map(|file| BufReader::with_capacity(BUFFER, file)).map_err(named);
        (name, reader)
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
