//! `candado keys rewrap`: wraps keys again, one after the other. Interrupted, it is run again.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::acting::{Acting, Acts, Report};
use super::append;
use crate::app::provider;
use crate::cli::Failure;
use crate::cli::output::note;
use crate::control::{ActError, OldWrap, Rewrapped, Run, StoredWrap, counted};
use crate::crypto::KeyPurpose;
use crate::keys::{KekRef, KeyError, ProviderKind};

/// Under what.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The keyset whose data subjects' keys are wrapped again; with `--subjects` alone.
    #[arg(requires = "subjects")]
    keyset: Option<String>,
    /// Wrap the keys of single data subjects again, under the active subject key.
    #[arg(long, requires = "keyset", conflicts_with_all = ["to", "drop"])]
    subjects: bool,
    /// The key-encryption key to wrap under, as `provider:reference` or as an ARN. Without it, the one of the
    /// configuration, in its newest version.
    #[arg(long, value_name = "KEK", value_parser = kek)]
    to: Option<KekRef>,
    /// Keep the wraps under the key-encryption key of the configuration; they are tried first.
    #[arg(long, requires = "to")]
    add: bool,
    /// Delete the wraps under this key-encryption key, of keys that have another wrap.
    #[arg(long, value_name = "KEK", value_parser = kek, conflicts_with = "to")]
    drop: Option<KekRef>,
    #[command(flatten)]
    acting: Acting,
}

/// Reads the name of a key-encryption key.
fn kek(text: &str) -> Result<KekRef, String> {
    let named = text.split_once(':').and_then(|(provider, reference)| {
        ProviderKind::from_name(provider).map(|provider| KekRef::new(provider, reference))
    });
    match named {
        Some(kek) if !kek.reference.is_empty() => Ok(kek),
        None if text.starts_with("arn:") => Ok(KekRef::new(ProviderKind::AwsKms, text)),
        Some(_) | None => Err("an ARN, or provider:reference as `candado keys list` shows it".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("rewrap", async |acts| match (&arguments.keyset, &arguments.drop) {
        (Some(keyset), _) => super::subjects::rewrap(acts, keyset).await,
        (None, Some(kek)) => drop_wraps(acts, kek).await,
        (None, None) => rewrap(acts, arguments).await,
    })
}

async fn rewrap(acts: &Acts<'_>, arguments: &Arguments) -> anyhow::Result<Report> {
    let (from, to, admin) = match &arguments.to {
        None => {
            let provider = acts.provider()?;
            (provider.kek.clone(), provider.kek.clone(), provider.admin.clone())
        }
        Some(to) => {
            let provider = provider::admin_towards(&acts.settings.keys, to).await;
            let provider = provider.context("the key provider cannot be used")?;
            (provider.kek, to.clone(), provider.admin)
        }
    };
    let old_wrap = if arguments.add { OldWrap::Keep } else { OldWrap::Replace };
    let wraps = acts.store.stored_wraps().await.context("the key store cannot be read")?;
    let (ours, others): (Vec<_>, Vec<_>) = wraps.into_iter().partition(|wrap| wrap.wrapped.kek == from);
    if ours.is_empty() {
        bail!("no key is wrapped by {from}, the key-encryption key of the configuration");
    }
    if from != to && old_wrap == OldWrap::Replace {
        note(format_args!(
            "proxies whose configuration names {from} cannot open {} at their next start; with --add they can",
            counted(ours.len(), "key", "keys")
        ));
    }
    let (total, mut done, mut denied) = (ours.len(), Vec::new(), Vec::new());
    for (number, wrap) in (1_usize..).zip(&ours) {
        let kid = wrap.context.kid;
        let rewrapped = match acts.run {
            // A provider cannot rehearse; that it knows the key is asked once.
            Run::Rehearsal => rehearsed(wrap, &to),
            Run::Real => match acts.store.rewrap_key(wrap, &to, old_wrap, admin.as_ref(), Run::Real, acts.by()).await {
                Ok(rewrapped) => rewrapped,
                Err(refused) if is_custodians(&refused, wrap) => {
                    denied.push(kid.number());
                    continue;
                }
                Err(refused) => return Err(refused.into()),
            },
        };
        note(format_args!("{number} of {total}: key {kid}"));
        done.push(rewrapped);
    }
    if acts.run == Run::Rehearsal {
        admin.describe(&to).await.with_context(|| format!("{to} cannot be used"))?;
    }
    Ok(report(&done, &denied, &to, &others))
}

fn rehearsed(wrap: &StoredWrap, to: &KekRef) -> Rewrapped {
    Rewrapped { kid: wrap.context.kid, from: wrap.wrapped.kek.clone(), to: to.clone() }
}

/// Whether the provider denies it because it is another role's to do: whoever opens the audit key must not be able to
/// wrap keys of columns as audit keys, so the custodian rewraps that one.
fn is_custodians(refused: &ActError, wrap: &StoredWrap) -> bool {
    wrap.context.purpose == KeyPurpose::Audit && matches!(refused, ActError::Rewrap { source: KeyError::Denied, .. })
}

fn report(done: &[Rewrapped], denied: &[u32], to: &KekRef, others: &[StoredWrap]) -> Report {
    let mut text = format!("{} wrapped by {to}", counted(done.len(), "key", "keys"));
    if !others.is_empty() {
        let others = counted(others.len(), "wrap", "wraps");
        append(&mut text, format_args!("left as they are: {others} under other key-encryption keys"));
    }
    for kid in denied {
        append(
            &mut text,
            format_args!(
                "key {kid}, the audit key, keeps its wrap: the provider lets only the custodian wrap it again"
            ),
        );
    }
    let keys: Vec<_> = done.iter().map(|one| one.kid.number()).collect();
    Report { text, facts: json!({ "keys": keys, "kek": to.to_string(), "denied": denied, "left_alone": others.len() }) }
}

async fn drop_wraps(acts: &Acts<'_>, kek: &KekRef) -> anyhow::Result<Report> {
    let configured = &acts.provider()?.kek;
    if kek == configured {
        bail!("{kek} is the key-encryption key of the configuration: proxies could not start without these wraps");
    }
    let wraps = acts.store.stored_wraps().await.context("the key store cannot be read")?;
    let (theirs, others): (Vec<_>, Vec<_>) = wraps.into_iter().partition(|wrap| wrap.wrapped.kek == *kek);
    if theirs.is_empty() {
        bail!("no key is wrapped by {kek}");
    }
    let alone = |wrap: &&StoredWrap| !others.iter().any(|other| other.context.kid == wrap.context.kid);
    let alone: Vec<_> = theirs.iter().filter(alone).map(|wrap| wrap.context.kid.to_string()).collect();
    if !alone.is_empty() {
        bail!("{kek} alone wraps keys {}: rewrap them to another key-encryption key first", alone.join(", "));
    }
    note(format_args!("proxies whose configuration names {kek} cannot start afterwards"));
    for wrap in &theirs {
        acts.store.drop_wrap(wrap, acts.run, acts.by()).await?;
    }
    let keys: Vec<_> = theirs.iter().map(|wrap| wrap.context.kid.number()).collect();
    let text = format!("{} by {kek} deleted", counted(theirs.len(), "wrap", "wraps"));
    Ok(Report { text, facts: json!({ "keys": keys, "kek": kek.to_string() }) })
}
