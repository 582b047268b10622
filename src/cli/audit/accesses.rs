//! `candado audit verify FILE..`: the record of accesses.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::app::{control_settings, provider};
use tokio::runtime::Runtime;

use super::verify::broken;
use crate::audit::{AnchorPlace, AnchorStore, ChainId, Found, NoAnchors, ProxyKey, PutAway, Verdict, verify};
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::config::MemoryLock;
use crate::control::{AuditKeys, ControlError, KeyStore, Pool, SCHEMA, counted};
use crate::crypto::{AUDIT_MAC_LENGTH, AccessKey};

/// What one line read at once may hold.
const BUFFER: usize = 1 << 20;

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
    check_readable(files)?;
    let put_away = retention.put_away();
    let verdict = match key_file {
        Some(path) => with_key_file(files, path, &put_away)?,
        None => with_key_store(account, files, &put_away)?,
    };
    let output = Output::new();
    if json {
        output.json(&document(&verdict))?
    } else {
        output.line(text(&verdict, key_file))?
    }
    if verdict.found.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

/// Looks at all files, before anything is asked for.
fn check_readable(files: &[PathBuf]) -> Result<(), Failure> {
    for path in files {
        let read = File::open(path).and_then(|file| file.take(1).read_to_end(&mut Vec::new()));
        read.with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Usage)?;
    }
    Ok(())
}

fn with_key_file(files: &[PathBuf], path: &Path, put_away: &PutAway) -> Result<Verdict, Failure> {
    let locked = crate::app::process::lock_memory_as(MemoryLock::IfAllowed);
    locked.map_err(|error| Failure::Failed(error.into()))?;
    let held = ProxyKey::load(path).map_err(|error| Failure::Usage(error.into()))?;
    let key = |deployment: &str, kid: u32, name: &str| {
        let fits = (deployment, kid, name) == (held.deployment.as_str(), held.kid, held.name.as_str());
        if fits { AccessKey::read(&held.key.to_be_written()) } else { None }
    };
    Ok(verify(open(files), key, &mut NoAnchors, put_away).context("a file cannot be read")?)
}

fn with_key_store(account: &Account, files: &[PathBuf], put_away: &PutAway) -> Result<Verdict, Failure> {
    let settings = account.settings()?;
    lock_memory(&settings)?;
    let (runtime, pool) = (runtime()?, Pool::new(&control_settings(&settings)));
    let store = KeyStore::new(pool.clone(), SCHEMA);
    let (own, keys) = runtime.block_on(async {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        held(&store, &provider).await
    })?;
    let key = |deployment: &str, kid: u32, name: &str| {
        if deployment == own { keys.access_key(kid, name) } else { None }
    };
    let mut anchors = Stored { store, runtime };
    let verdict = verify(open(files), key, &mut anchors, put_away).context("the record cannot be verified");
    anchors.runtime.block_on(pool.close());
    Ok(verdict?)
}

async fn held(store: &KeyStore, provider: &provider::Opening) -> anyhow::Result<(String, AuditKeys)> {
    let (deployment, records) = store.audit_key_records().await.context("the key store cannot be read")?;
    let keys = AuditKeys::open(&records, deployment, provider.unwrapper.as_ref()).await;
    Ok((deployment.hyphenated().to_string(), keys.context("the record cannot be verified")?))
}

/// The anchors of the key store.
struct Stored {
    store: KeyStore,
    runtime: Runtime,
}

impl AnchorStore for Stored {
    fn page(&mut self, chain: ChainId, behind: AnchorPlace) -> io::Result<Vec<(AnchorPlace, [u8; AUDIT_MAC_LENGTH])>> {
        self.runtime.block_on(self.store.anchors_behind(chain, behind)).map_err(unread)
    }

    fn chains(&mut self, name: &str) -> io::Result<Vec<(ChainId, u64)>> {
        self.runtime.block_on(self.store.anchored_chains(name)).map_err(unread)
    }
}

fn unread(error: ControlError) -> io::Error {
    let error = anyhow::Error::new(error).context("the anchors cannot be read; see keys-policy/schema.sql");
    io::Error::other(error)
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
    let mut lines = broken(&verdict.found, |found| format!("{}: {}", found.place, found.breach));
    for (chain, (first, last)) in &verdict.chains {
        let from = if *first > 1 { " (earlier ones are in no file given)" } else { "" };
        lines.push(format!("chain {chain}: records {first} to {last}{from}"));
    }
    if verdict.lost > 0 {
        lines.push(format!("note    not recorded, as gaps tell: {}", counted(verdict.lost, "access", "accesses")));
    }
    match key_file {
        Some(_) => {
            lines.push("note    not compared with the anchors: an end that was cut off does not show".to_owned())
        }
        None => lines.push(format!("compared with {}", counted(verdict.anchors, "anchor", "anchors"))),
    }
    let records = counted(verdict.records, "record", "records");
    lines.push(match verdict.found.len() {
        0 => format!("intact: {records}, {} of them accesses", verdict.accesses),
        number => format!("not intact: {} in {records}", counted(number, "breach", "breaches")),
    });
    lines.join("\n")
}
