//! What the verbs have in common: the account, the record of acts, and how the outcome is printed.

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::super::account::Account;
use super::super::output::Output;
use super::super::{Failure, lock_memory, runtime};
use crate::app::{control_settings, operator, provider};
use crate::config::Settings;
use crate::control::{ControlError, KeyStore, Pool, ProfileActs, ProfileError, ProfileStore, Recorder, SCHEMA};
use crate::firewall::Digest;
use crate::firewall::profile::Place;
use crate::firewall::profile::entry::ACCOUNT_CHARS_MAX;

/// Arguments of every verb that uses the store.
#[derive(Debug, Args)]
pub(super) struct Acting {
    #[command(flatten)]
    pub(super) account: Account,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

/// What was done: for people and for machines.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) facts: Value,
}

/// Reads an account.
pub(super) fn account(text: &str) -> Result<String, String> {
    let has_host = text.rsplit_once('@').is_some_and(|(_, host)| !host.is_empty());
    if has_host && text.chars().count() <= ACCOUNT_CHARS_MAX {
        Ok(text.to_owned())
    } else {
        Err("an account is written user@host, as the server's CURRENT_USER() has it: app@%".to_owned())
    }
}

/// Reads a digest.
pub(super) fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "a digest has 64 hexadecimal digits, as the log's events show it".to_owned())
}

/// A place in words.
pub(super) fn shown(place: &Place) -> String {
    let Place { account, database } = place;
    if database.is_empty() { format!("{account} without a database") } else { format!("{account} in `{database}`") }
}

impl Acting {
    /// Reads something from the store.
    pub(super) fn read<T>(
        &self,
        settings: &Settings,
        work: impl AsyncFnOnce(&ProfileStore) -> Result<T, ControlError>,
    ) -> Result<T, Failure> {
        let read = runtime()?.block_on(async {
            let pool = Pool::new(&control_settings(settings));
            let store = ProfileStore::new(KeyStore::new(pool.clone(), SCHEMA));
            let read = work(&store).await;
            pool.close().await;
            read
        });
        Ok(read.context("the firewall's profiles cannot be read: see keys-policy/schema.sql")?)
    }

    /// Carries an act out, with its entry in the record, and prints what it did or why it did not.
    pub(super) fn carry_out(
        &self,
        verb: &'static str,
        work: impl AsyncFnOnce(&ProfileActs<'_>) -> Result<Report, ProfileError>,
    ) -> Result<(), Failure> {
        let settings = self.account.settings()?;
        lock_memory(&settings)?;
        let outcome = runtime()?.block_on(async {
            let pool = Pool::new(&control_settings(&settings));
            let keys = KeyStore::new(pool.clone(), SCHEMA);
            let outcome = act(&settings, &keys, work).await;
            pool.close().await;
            outcome
        });
        let output = Output::new();
        match outcome {
            Ok(Report { facts, .. }) if self.json => {
                let mut document = json!({ "act": verb, "done": true });
                if let (Value::Object(document), Value::Object(facts)) = (&mut document, facts) {
                    document.extend(facts);
                }
                Ok(output.json(&document)?)
            }
            Ok(Report { text, .. }) => Ok(output.line(text)?),
            Err(error) if self.json => {
                let code = error.downcast_ref::<ProfileError>().map_or("failed", ProfileError::code);
                let refused = json!({ "code": code, "text": format!("{error:#}") });
                output.json(&json!({ "act": verb, "done": false, "refused": refused }))?;
                Err(Failure::Found)
            }
            Err(error) => Err(Failure::Failed(error)),
        }
    }
}

async fn act(
    settings: &Settings,
    keys: &KeyStore,
    work: impl AsyncFnOnce(&ProfileActs<'_>) -> Result<Report, ProfileError>,
) -> anyhow::Result<Report> {
    let opening = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
    let recorder = Recorder::open(keys, opening.unwrapper.as_ref()).await;
    let recorder = recorder.context("acts cannot be recorded, so none is done")?;
    let actor = keys.actor(&operator()).await.context("the key store cannot be used")?;
    let store = ProfileStore::new(keys.clone());
    Ok(work(&ProfileActs { store: &store, actor: &actor, recorder: &recorder }).await?)
}
