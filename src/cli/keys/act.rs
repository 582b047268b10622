//! `candado keys activate | suspend | resume | restore`: one change of one key's state.

use clap::Args;

use super::acting::{Acting, Acts, Report, key_id};
use crate::cli::Failure;
use crate::cli::output::note;
use crate::control::{ActError, ControlError};
use crate::crypto::KeyId;

/// Which key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The key's id.
    #[arg(value_name = "KEY", value_parser = key_id)]
    key: KeyId,
    #[command(flatten)]
    acting: Acting,
}

pub(super) fn activate(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("activate", async |acts| {
        Ok(Report::of(&acts.store.activate_key(arguments.key, acts.run, acts.by()).await?))
    })
}

pub(super) fn suspend(arguments: &Arguments) -> Result<(), Failure> {
    let kid = arguments.key;
    arguments.acting.brake("suspend", async |acts| {
        warn_of_suspension(acts, kid).await?;
        let done = match acts.store.suspend_key(kid, acts.run, acts.by()).await {
            Err(ActError::Store(error @ (ControlError::RecordNotBegun | ControlError::RecordForged))) => {
                note(format_args!("{error}. The act is recorded without the audit key. Note it elsewhere as well"));
                acts.store.suspend_key(kid, acts.run, acts.without_audit_key()).await?
            }
            outcome => outcome?,
        };
        Ok(Report::of(&done))
    })
}

pub(super) fn resume(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("resume", async |acts| {
        let done = acts.store.resume_key(arguments.key, acts.run, acts.by()).await?;
        let mut report = Report::of(&done);
        let (listing, _) = acts.listed(arguments.key).await?;
        let mut siblings =
            listing.keys.iter().filter(|key| key.keyset == *done.keyset && key.purpose == done.purpose.name());
        if !siblings.any(|key| key.state == "active") {
            let next = format!("candado keys rotate {} --purpose {}", done.keyset, done.purpose);
            report.add(
                format_args!("nothing writes for keyset {} yet: run `{next}`", done.keyset),
                serde_json::json!({ "next": next }),
            );
        }
        Ok(report)
    })
}

pub(super) fn restore(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("restore", async |acts| {
        Ok(Report::of(&acts.store.restore_key(arguments.key, acts.run, acts.by()).await?))
    })
}

async fn warn_of_suspension(acts: &Acts<'_>, kid: KeyId) -> anyhow::Result<()> {
    let (listing, key) = acts.listed(kid).await?;
    let living = listing.replicas.iter().filter(|replica| replica.living()).count();
    let columns = acts.columns(&key.keyset);
    match key.state.as_str() {
        "active" => note(format_args!(
            "key {kid} writes for keyset {} ({columns}); without it the living proxies ({living}) write none of these \
             columns from two seconds on, until the keyset has an active key again, and do not {} what is under it; other \
             keysets are not touched",
            key.keyset,
            if key.purpose == "index" { "search" } else { "read" }
        )),
        _ if key.purpose == "index" => note(format_args!(
            "columns of keyset {} ({columns}) cannot be searched through the living proxies ({living}) from two seconds on: \
             rows may be indexed under key {kid}",
            key.keyset
        )),
        _ => note(format_args!(
            "values under key {kid} of keyset {} ({columns}) cannot be read through the living proxies ({living}) from \
             two seconds on",
            key.keyset
        )),
    }
    Ok(())
}
