//! `candado keys init`: the first keys, and the key file if there is none.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::account::Account;
use super::append;
use crate::app::{control_settings, load_policy, operator, provider};
use crate::cli::output::Output;
use crate::cli::{Failure, runtime};
use crate::config::{Keys, Settings};
use crate::control::{ControlError, InitReport, Initialisation, KeyStore, Pool, SCHEMA};
use crate::keys::KeyFile;
use crate::policy::Policy;

/// Arguments of `keys init`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    account: Account,
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
    let done = runtime()?.block_on(initialise(&settings, &policy))?;
    let output = Output::new();
    if arguments.json {
        output.json(&done)?
    } else {
        output.line(done.text())?
    }
    Ok(())
}

/// Makes what is missing.
pub(in crate::cli) async fn initialise(settings: &Settings, policy: &Policy) -> anyhow::Result<Initialised> {
    let pool = Pool::new(&control_settings(settings));
    let store = KeyStore::new(pool.clone(), SCHEMA);
    let outcome = async {
        let key_file_made = make_key_file(settings, &store).await?;
        let provider = provider::open(&settings.keys).await.context("the key provider cannot be used")?;
        let report = store
            .init(Initialisation {
                policy,
                admin: provider.admin.as_ref(),
                unwrapper: provider.unwrapper.as_ref(),
                kek: &provider.kek,
                deployment: None,
                operator: &operator(),
            })
            .await
            .context("the key store cannot be initialised")?;
        Ok(Initialised::new(report, key_file_made))
    }
    .await;
    pool.close().await;
    outcome
}

/// Makes a key file if the provider is one, none exists, and no key in the store could need another one.
async fn make_key_file(settings: &Settings, store: &KeyStore) -> anyhow::Result<Option<PathBuf>> {
    let path = match &settings.keys {
        Keys::File { path } if !path.exists() => path,
        Keys::File { .. } | Keys::AwsKms { .. } => return Ok(None),
    };
    match store.load().await {
        Ok(stored) if !stored.records.is_empty() => anyhow::bail!(
            "{} is missing, but the key store holds {} keys that it wraps: restore the file from its backup. A new one \
             would open nothing",
            path.display(),
            stored.records.len()
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
    KeyFile::create(path).with_context(|| format!("cannot make {}", path.display()))?;
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
