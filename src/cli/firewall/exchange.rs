//! `candado firewall export` and `import`: profiles as text.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::output::Output;
use super::acting::{Acting, Report, account};
use crate::control::counted;
use crate::firewall::profile::entry::{self, BadLine, ProfileEntry};

/// A file that is longer is no export of profiles.
const FILE_OCTETS_MAX: u64 = 256 << 20;

/// What is written, and where.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArguments {
    /// The account, if not all of them.
    #[arg(long = "account", value_name = "USER@HOST", value_parser = account)]
    of: Option<String>,
    /// The database, if not all of them.
    #[arg(long)]
    database: Option<String>,
    /// The file to write, if not standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    acting: Acting,
}

/// What is read.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArguments {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    acting: Acting,
}

/// Writes profiles.
pub(super) fn export(arguments: &ExportArguments) -> Result<(), Failure> {
    let settings = arguments.acting.account.settings()?;
    let (account, database) = (arguments.of.as_deref(), arguments.database.as_deref());
    let entries = arguments.acting.read(&settings, async |store| store.export(account, database).await)?;
    let text = if arguments.acting.json { document(&entries)? } else { entry::write(&entries) };
    match &arguments.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(Output::new().line(format!(
                "{} written to {}",
                counted(entries.len(), "digest", "digests"),
                path.display()
            ))?)
        }
        None => Ok(Output::new().line(text.trim_end())?),
    }
}

fn document(entries: &[ProfileEntry]) -> anyhow::Result<String> {
    let entry = |entry: &ProfileEntry| {
        json!({
            "account": &*entry.place.account, "database": &*entry.place.database, "digest": entry.digest.to_string(),
            "first_seen": entry.first_seen, "seen": entry.seen, "text": entry.text,
            "shape": entry.shape.as_ref().map(ToString::to_string),
        })
    };
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    serde_json::to_string_pretty(&json!({ "entries": entries })).context("cannot write JSON")
}

/// Adds digests to profiles.
pub(super) fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let path = &arguments.file;
    let shown = path.display();
    let length = std::fs::metadata(path).map(|file| file.len());
    let length = length.with_context(|| format!("cannot read {shown}")).map_err(Failure::Usage)?;
    if length > FILE_OCTETS_MAX {
        return Err(Failure::Usage(anyhow!("{shown} is too long for an export of profiles")));
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}")).map_err(Failure::Usage)?;
    let entries = entry::read(&text).map_err(|bad| {
        let lines: Vec<String> = bad.iter().map(|BadLine { line, text }| format!("{shown}:{line}: {text}")).collect();
        Failure::Usage(anyhow!("{}", lines.join("\n")))
    })?;
    arguments.acting.carry_out("import", async |acts| {
        let added = acts.import(&entries).await?;
        let text =
            format!("{added} digests added; the profiles had the other {} already", entries.len() as u64 - added);
        Ok(Report { text, facts: json!({ "entries": entries.len(), "added": added }) })
    })
}
