//! `candado keys init`: the first keys, and the key file if there is none.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::acting::{HINT, may_not_write};
use super::append;
use crate::app::{control_settings, load_policy, operator, provider};
use crate::cli::account::Account;
use crate::cli::output::Output;
use crate::cli::{Failure, lock_memory, runtime};
use crate::config::{Keys, Settings};
use crate::control::{ControlError, InitReport, Initialisation, KeyStore, Pool, SCHEMA, counted};
use crate::keys::{KeyFileAdmin, KeyFilePlace};
use crate::policy::Policy;

/// Arguments of `keys init`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
    /// Say what would be made, and make nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// What `keys init` did.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Initialised {
    deployment: String,
    epoch: u64,
    key_file_made: Option<PathBuf>,
    created: Vec<Created>,
    without_active: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Created {
    key_id: u32,
    keyset: String,
    purpose: &'static str,
    version: u16,
}

/// Makes what is missing and prints it.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.account.settings()?;
    let policy = load_policy(&settings, 1).map_err(|error| Failure::Usage(error.into()))?;
    lock_memory(&settings)?;
    if arguments.dry_run {
        let would = runtime()?.block_on(rehearse(&settings, &policy))?;
        return Ok(would.print(arguments.json)?);
    }
    let output = Output::new();
    let done = runtime()?.block_on(initialise(&settings, &policy))?;
    if arguments.json {
        output.json(&done)?
    } else {
        output.line(done.text())?
    }
    Ok(())
}

/// What `keys init` would make.
struct Missing {
    key_file: Option<PathBuf>,
    keys: Vec<String>,
}

impl Missing {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        let output = Output::new();
        if json {
            return output.json(&json!({ "dry_run": true, "key_file": self.key_file, "missing": self.keys }));
        }
        let file = self.key_file.iter().map(|path| format!("key file {}", path.display()));
        let made: Vec<_> = file.chain(self.keys.iter().map(|key| format!("a key for {key}"))).collect();
        output.line(format!("would be made: {}", if made.is_empty() { "nothing".to_owned() } else { made.join(", ") }))
    }
}

async fn rehearse(settings: &Settings, policy: &Policy) -> anyhow::Result<Missing> {
    let pool = Pool::new(&control_settings(settings));
    let missing = KeyStore::new(pool.clone(), SCHEMA).missing_keys(policy).await;
    pool.close().await;
    let missing = missing.context("the key store cannot be read")?;
    let key_file = match &settings.keys {
        Keys::File(file) if !file.path.exists() => Some(file.path.clone()),
        Keys::File(_) => None,
        Keys::AwsKms { .. } | Keys::Vault(_) => {
            let making = provider::admin(&settings.keys).await.context("the key provider cannot be used")?;
            let status = making.admin.describe(&making.kek).await;
            status.context("the key-encryption key cannot be used")?;
            None
        }
    };
    let keys = missing.iter().map(|(keyset, purpose)| format!("{keyset} {purpose}")).collect();
    Ok(Missing { key_file, keys })
}

/// Makes what is missing.
pub(in crate::cli) async fn initialise(settings: &Settings, policy: &Policy) -> anyhow::Result<Initialised> {
    let pool = Pool::new(&control_settings(settings));
    let store = KeyStore::new(pool.clone(), SCHEMA);
    let outcome = async {
        let key_file_made = make_key_file(settings, &store).await?;
        let making = provider::admin(&settings.keys).await.context("the key provider cannot be used")?;
        let opening = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
        let report = store
            .init(Initialisation {
                policy,
                admin: making.admin.as_ref(),
                unwrapper: opening.unwrapper.as_ref(),
                kek: &making.kek,
                deployment: None,
                operator: &operator(),
            })
            .await
            .map_err(|error| {
                let hint = if may_not_write(&error) { HINT } else { "" };
                anyhow::Error::new(error).context(format!("the key store cannot be initialised{hint}"))
            })?;
        Ok(Initialised::new(report, key_file_made))
    }
    .await;
    pool.close().await;
    outcome
}

/// Makes a key file if the provider is one, none exists, and no key in the store could need another one.
async fn make_key_file(settings: &Settings, store: &KeyStore) -> anyhow::Result<Option<PathBuf>> {
    let file = match &settings.keys {
        Keys::File(file) if !file.path.exists() => file,
        Keys::File(_) | Keys::AwsKms { .. } | Keys::Vault(_) => return Ok(None),
    };
    let path = &file.path;
    if file.place == KeyFilePlace::Credential {
        anyhow::bail!(
            "the credential {} is missing: make the key file with `path`, then give it to systemd as a credential",
            path.display()
        );
    }
    match store.load().await {
        Ok(stored) if !stored.records.is_empty() => anyhow::bail!(
            "{} is missing, but the key store holds {} that it wraps: restore the file from its backup. A new one \
             would open nothing",
            path.display(),
            counted(stored.records.len(), "key", "keys")
        ),
        Ok(_) | Err(ControlError::NotInitialised) => {}
        Err(error) => return Err(error).context("the key store cannot be read"),
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let mut builder = std::fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    KeyFileAdmin::create(file).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(Some(path.clone()))
}

impl Initialised {
    fn new(report: InitReport, key_file_made: Option<PathBuf>) -> Self {
        let created = report.created.iter().map(|key| Created {
            key_id: key.kid.number(),
            keyset: key.keyset.to_string(),
            purpose: key.purpose.name(),
            version: key.version.get(),
        });
        let without_active =
            report.without_active.iter().map(|(keyset, purpose)| format!("{keyset} {}", purpose.name()));
        Self {
            deployment: report.deployment.to_string(),
            epoch: report.epoch,
            key_file_made,
            created: created.collect(),
            without_active: without_active.collect(),
        }
    }

    /// What was done, in lines.
    pub(in crate::cli) fn text(&self) -> String {
        let mut text = format!("deployment {}, epoch {}", self.deployment, self.epoch);
        if let Some(path) = &self.key_file_made {
            let note = "back it up, apart from the database: without it nothing opens";
            append(&mut text, format_args!("made key file {}; {note}", path.display()));
        }
        for key in &self.created {
            append(
                &mut text,
                format_args!(
                    "made key {}: keyset {}, {}, version {}",
                    key.key_id, key.keyset, key.purpose, key.version
                ),
            );
        }
        for keyset in &self.without_active {
            append(&mut text, format_args!("keyset {keyset}: has keys but no active one; none was made"));
        }
        if self.created.is_empty() && self.without_active.is_empty() {
            append(&mut text, format_args!("every keyset has its keys; nothing was made"));
        }
        text
    }
}
