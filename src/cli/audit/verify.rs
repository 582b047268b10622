//! `candado audit verify`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::accesses;
use crate::app::{control_settings, process, provider};
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::config::MemoryLock;
use crate::control::{AuditKeys, Breach, KeyStore, Line, Note, Pool, SCHEMA, Unsealed, Verdict, Verifier, counted};

/// No entry is longer.
const LINE_OCTETS_MAX: u64 = 64 << 20;

/// Whoever gives a file of another kind need not read each of its lines.
const BREACHES_SHOWN: usize = 20;

/// What is verified.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
    /// Verify files of `[audit.file]`, oldest first: the record of accesses. A file that `audit export` wrote is told apart.
    #[arg(value_name = "FILE", conflicts_with_all = ["file", "since"])]
    files: Vec<PathBuf>,
    /// Verify these files with the access key in a file, without key store, key provider and anchors.
    #[arg(long, value_name = "FILE", requires = "files")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    retention: accesses::Retention,
    /// Verify a file that `audit export` wrote, instead of the key store.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Begin with this entry, noted when everything up to it was verified.
    #[arg(long, value_name = "SEQ:MAC")]
    since: Option<Note>,
    /// Demand this entry, noted as the end of an earlier verification.
    #[arg(long, value_name = "SEQ:MAC")]
    head: Option<Note>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let exported = match arguments.files.as_slice() {
        [one] if is_export(one)? => Some(one),
        [] => None,
        files => return accesses(arguments, files),
    };
    if !arguments.retention.is_nothing() {
        return Err(Failure::Usage(anyhow!("--from and --gone belong to files of `[audit.file]`; see --since")));
    }
    if let (Some(since), Some(head)) = (arguments.since, arguments.head)
        && head.seq < since.seq
    {
        return Err(Failure::Usage(anyhow!("--head names an entry before --since, which is not read")));
    }
    let verdict = match arguments.file.as_ref().or(exported) {
        Some(path) => file(arguments, path)?,
        None => database(arguments)?,
    };
    let output = Output::new();
    if arguments.json {
        output.json(&document(&verdict))?
    } else {
        output.line(text(&verdict, arguments.since))?
    }
    match (verdict.breaches.is_empty(), verdict.unsealed.iter().any(|unsealed| unsealed.sealed_by.is_none())) {
        (false, _) => Err(Failure::Found),
        (true, true) => Err(Failure::Reserved),
        (true, false) => Ok(()),
    }
}

fn accesses(arguments: &Arguments, files: &[PathBuf]) -> Result<(), Failure> {
    if arguments.head.is_some() {
        return Err(Failure::Usage(anyhow!(
            "--head is a note of the record of acts; the ends of files of `[audit.file]` are anchored in the key store"
        )));
    }
    let Arguments { account, key_file, retention, json, .. } = arguments;
    accesses::run(account, files, key_file.as_deref(), retention, *json)
}

/// Whether `audit export` wrote the file: it begins with an object.
fn is_export(path: &Path) -> Result<bool, Failure> {
    let mut first = [0];
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    let read = read.with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Usage)?;
    Ok(read == 1 && first == *b"{")
}

fn database(arguments: &Arguments) -> Result<Verdict, Failure> {
    let settings = arguments.account.settings()?;
    lock_memory(&settings)?;
    let verdict: anyhow::Result<Verdict> = runtime()?.block_on(async {
        let provider = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let pool = Pool::new(&control_settings(&settings));
        let verdict = from_store(arguments, &KeyStore::new(pool.clone(), SCHEMA), &provider).await;
        pool.close().await;
        verdict
    });
    Ok(verdict?)
}

async fn from_store(arguments: &Arguments, store: &KeyStore, provider: &provider::Opening) -> anyhow::Result<Verdict> {
    let (deployment, records) = store.audit_key_records().await.context("the key store cannot be read")?;
    let keys = AuditKeys::open(&records, deployment, provider.unwrapper.as_ref()).await;
    let keys = keys.context("the record cannot be verified")?;
    let mut verifier = Verifier::new(&keys, arguments.since, arguments.head);
    let head = store.read_record(verifier.from(), |entry| {
        verifier.entry(&entry);
        ControlFlow::Continue(())
    });
    let head = head.await.context("the record cannot be read")?;
    Ok(verifier.finish(head.as_ref()))
}

/// Needs the key provider, and neither database nor account.
fn file(arguments: &Arguments, path: &Path) -> Result<Verdict, Failure> {
    let wrong = || Failure::Usage(anyhow!("{} is no record that `candado audit export` wrote", path.display()));
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut lines = Lines { reader: BufReader::new(file), number: 0 };
    let Some(Line::First { deployment, keys }) = lines.next()?.and_then(|line| Line::read(&line)) else {
        return Err(wrong());
    };
    let settings = arguments.account.keys()?;
    let locked = process::lock_memory_as(MemoryLock::IfAllowed);
    locked.map_err(|error| Failure::Failed(error.into()))?;
    let keys: anyhow::Result<AuditKeys> = runtime()?.block_on(async {
        let provider = provider::unwrapper(&settings).await.context("the key provider cannot be used")?;
        let keys = AuditKeys::open(&keys, deployment, provider.unwrapper.as_ref()).await;
        keys.context("the record cannot be verified")
    });
    let keys = keys?;
    let mut verifier = Verifier::new(&keys, arguments.since, arguments.head);
    let mut head = None;
    while let Some(line) = lines.next()? {
        match Line::read(&line) {
            Some(Line::Entry(entry)) if head.is_none() && entry.seq < verifier.from() => {}
            Some(Line::Entry(entry)) if head.is_none() => verifier.entry(&entry),
            Some(Line::Head(last)) if head.is_none() => head = Some(last),
            Some(Line::First { .. } | Line::Entry(_) | Line::Head(_)) | None => verifier.unreadable(lines.number),
        }
    }
    Ok(verifier.finish(head.as_ref()))
}

/// Lines of bounded length.
struct Lines<R> {
    reader: R,
    /// The line that was read last, from 1.
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line; bytes that are no UTF-8 make it one that cannot be read.
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(LINE_OCTETS_MAX).read_until(b'\n', &mut line);
        if read.context("cannot read the file")? == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        Ok(Some(String::from_utf8(line).unwrap_or_default()))
    }
}

fn document(verdict: &Verdict) -> Value {
    let breach = |breach: &Breach| json!({ "what": breach.kind(), "seq": breach.seq(), "text": breach.to_string() });
    let unsealed =
        |unsealed: &Unsealed| json!({ "from": unsealed.from, "to": unsealed.to, "sealed_by": unsealed.sealed_by });
    json!({
        "unsealed": verdict.unsealed.iter().map(unsealed).collect::<Vec<_>>(),
        "intact": verdict.breaches.is_empty(),
        "entries": verdict.entries,
        "head": verdict.end.map(|end| json!({ "seq": end.seq, "mac": HEXLOWER.encode(&end.mac) })),
        "breaches": verdict.breaches.iter().map(breach).collect::<Vec<_>>(),
    })
}

/// The first breaches, and how many more there are.
pub(super) fn broken<T>(breaches: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> =
        breaches.iter().take(BREACHES_SHOWN).map(|breach| format!("BROKEN  {}", text(breach))).collect();
    let more = breaches.len().saturating_sub(BREACHES_SHOWN);
    if more > 0 {
        lines.push(format!("BROKEN  {more} more; --json has all"));
    }
    lines
}

fn text(verdict: &Verdict, since: Option<Note>) -> String {
    let mut lines = broken(&verdict.breaches, |breach| breach.to_string());
    lines.extend(verdict.unsealed.iter().map(|unsealed| match unsealed.sealed_by {
        Some(_) => format!("note    {unsealed}"),
        None => format!("WARNING {unsealed}"),
    }));
    let scope = since.map_or_else(String::new, |note| format!(", from entry {} on", note.seq));
    let entries = counted(verdict.entries, "entry", "entries");
    lines.push(match verdict.breaches.len() {
        0 => format!("intact: {entries}{scope}"),
        number => format!("not intact: {} in {entries}{scope}", counted(number, "breach", "breaches")),
    });
    if let (Some(end), true) = (verdict.end, verdict.breaches.is_empty()) {
        lines.push(format!("note the end: {end}"));
    }
    lines.join("\n")
}
