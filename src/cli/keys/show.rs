//! `candado keys show`: everything about one key that is no secret.

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::acting::key_id;
use super::append;
use super::list::key_facts;
use crate::app::control_settings;
use crate::cli::output::Output;
use crate::cli::{Facts, Failure, runtime};
use crate::config;
use crate::control::{ActError, KeyStore, ListedKey, Pool, SCHEMA, StoredWrap};
use crate::crypto::KeyId;
use crate::keys::{Act, Impossible, KeyState};

/// Which key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The key's id.
    #[arg(value_name = "KEY", value_parser = key_id)]
    key: KeyId,
    #[command(flatten)]
    facts: Facts,
}

/// Prints it.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = config::load(&arguments.facts.configured.config)?;
    let (key, wraps) = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(&settings));
        let found = find(&KeyStore::new(pool.clone(), SCHEMA), arguments.key).await;
        pool.close().await;
        found
    })?;
    let output = Output::new();
    if arguments.facts.json {
        output.json(&document(&key, &wraps))?
    } else {
        output.line(text(&key, &wraps))?
    }
    Ok(())
}

async fn find(store: &KeyStore, kid: KeyId) -> anyhow::Result<(ListedKey, Vec<StoredWrap>)> {
    let listing = store.list().await.context("the key store cannot be read")?;
    let key = listing.keys.into_iter().find(|key| key.kid == kid.number());
    let key = key.ok_or(ActError::Impossible(Impossible::UnknownKey { kid }))?;
    let mut wraps = store.stored_wraps().await.context("the key store cannot be read")?;
    wraps.retain(|wrap| wrap.context.kid == kid);
    Ok((key, wraps))
}

/// What can be done next, by people: `deactivate` is what the activation of another key does.
fn next(key: &ListedKey) -> Vec<&'static str> {
    let Some(state) = KeyState::from_name(&key.state) else { return vec![] };
    let acts = Act::ALL.into_iter().filter(|act| *act != Act::Deactivate && state.after(*act).is_ok());
    acts.map(Act::name).collect()
}

fn document(key: &ListedKey, wraps: &[StoredWrap]) -> Value {
    let wraps = wraps.iter().map(|wrap| {
        json!({
            "kek": wrap.wrapped.kek.to_string(), "wrap_version": wrap.wrap_version, "priority": wrap.priority,
            "octets": wrap.wrapped.blob.len(),
        })
    });
    let mut facts = key_facts(key);
    facts["wraps"] = wraps.collect();
    facts["next"] = json!(next(key));
    facts
}

fn text(key: &ListedKey, wraps: &[StoredWrap]) -> String {
    let ListedKey { kid, keyset, purpose, version, state, kcv, created_at, activated_at, .. } = key;
    let mut text =
        format!("key {kid}: keyset {keyset}, {purpose}, version {version}, {state} since {}", key.changed_at);
    let mut line = |name: &str, value: &str| append(&mut text, format_args!("  {name:12} {value}"));
    line("made", created_at);
    line("writes since", activated_at.as_deref().unwrap_or("never wrote"));
    if let Some(deactivated) = &key.deactivated_at {
        line("until", deactivated);
    }
    line("check value", kcv.as_deref().unwrap_or("none: no proxy has opened the key yet"));
    for wrap in wraps {
        let StoredWrap { wrapped, wrap_version, priority, .. } = wrap;
        line("wrapped by", &format!("{}, version {wrap_version}, priority {priority}", wrapped.kek));
    }
    let next = next(key);
    line("next", &if next.is_empty() { "nothing".to_owned() } else { next.join(", ") });
    if let Some(activated) = activated_at {
        line("backups", &format!("those taken since {activated}, until no row was under it any more, need this key"));
    }
    text
}
