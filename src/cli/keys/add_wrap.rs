//! `candado keys add-wrap`: carries keys over to another key provider.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::acting::{Acting, Acts, Report};
use crate::app::provider;
use crate::cli::Failure;
use crate::cli::output::note;
use crate::config;
use crate::control::{Carriage, Run, counted};

/// To where.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// A configuration file whose `[keys]` names the other key provider. Nothing else in it is read.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    acting: Acting,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let other = config::load_keys(&arguments.to)?;
    arguments.acting.carry_out("add-wrap", async |acts| carry_over(acts, &other).await)
}

async fn carry_over(acts: &Acts<'_>, other: &config::Keys) -> anyhow::Result<Report> {
    let unusable = "the other key provider cannot be used";
    let from = provider::unwrapper(&acts.settings.keys).await.context("the key provider cannot be used")?;
    let (receiving, to) = (provider::receiver(other).await.context(unusable)?, provider::unwrapper(other).await);
    let (to, kek) = (to.context(unusable)?, &receiving.kek);
    if *kek == from.kek {
        bail!("{kek} is the key-encryption key of the configuration already");
    }
    let wraps = acts.store.stored_wraps().await.context("the key store cannot be read")?;
    let ours: Vec<_> = wraps.into_iter().filter(|wrap| wrap.wrapped.kek == from.kek).collect();
    if ours.is_empty() {
        bail!("no key is wrapped by {}, the key-encryption key of the configuration", from.kek);
    }
    note(format_args!(
        "in the clear in this process, for a moment each: {}; whoever guards {kek} can open them from then on",
        counted(ours.len(), "key", "keys")
    ));
    let carriage = Carriage {
        from: from.unwrapper.as_ref(),
        receiver: receiving.receiver.as_ref(),
        to: to.unwrapper.as_ref(),
        kek,
    };
    let (total, mut carried) = (ours.len(), Vec::new());
    for (number, wrap) in (1_usize..).zip(ours) {
        let fresh = carriage.carry(&wrap).await?;
        note(format_args!("{number} of {total}: key {} opens there", wrap.context.kid));
        carried.push((wrap, fresh));
    }
    let done = acts.store.add_wraps(&carried, kek, acts.run, acts.by()).await?;
    let keys: Vec<_> = done.iter().map(|kid| kid.number()).collect();
    let mut text =
        format!("{} with a wrap by {kek} as well; {} is tried first", counted(keys.len(), "key", "keys"), from.kek);
    if acts.run == Run::Real {
        super::append(
            &mut text,
            format_args!(
                "next: configure {kek} everywhere, one proxy after the other, then `candado keys rewrap --drop {}`",
                from.kek
            ),
        );
    }
    Ok(Report { text, facts: json!({ "keys": keys, "kek": kek.to_string(), "from": from.kek.to_string() }) })
}
