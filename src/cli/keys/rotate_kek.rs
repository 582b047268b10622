//! `candado keys rotate-kek`: new material for the key-encryption key, at its provider.

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::acting::{Acting, Report};
use crate::cli::Failure;
use crate::control::Run;
use crate::keys::KekStatus;

/// How it is done.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    acting: Acting,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("rotate-kek", async |acts| {
        let provider = acts.provider()?;
        let (admin, kek) = (&provider.admin, &provider.kek);
        let before = admin.describe(kek).await.with_context(|| format!("{kek} cannot be used"))?;
        match before.status {
            KekStatus::Enabled => {}
            KekStatus::Disabled => anyhow::bail!("{kek} is disabled: enable it at its provider first"),
            KekStatus::PendingDeletion => anyhow::bail!("{kek} is about to be deleted: it gets no new material"),
        }
        if acts.run == Run::Real {
            admin.rotate_kek(kek).await.with_context(|| format!("{kek} was not rotated"))?;
            let done = acts.store.record_kek_rotation(kek, acts.by()).await;
            done.context("the key-encryption key was rotated, and that could not be recorded")?;
        }
        let text = format!("new material for {kek}; `candado keys rewrap` brings every key to it");
        Ok(Report { text, facts: json!({ "kek": kek.to_string(), "version_before": before.version }) })
    })
}
