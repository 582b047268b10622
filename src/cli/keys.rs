//! `candado keys`: making the first keys, and listing what there is.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::Output;
use super::{Configured, Facts, Failure, lock_memory, runtime};
use crate::app::{control_settings, load_policy, provider};
use crate::config::{self, Keys, Settings};
use crate::control::{ControlError, InitReport, KeyListing, KeyStore, Pool, SCHEMA};
use crate::keys::{KeyFileAdmin, KeyFilePlace};
use crate::policy::Policy;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the key-encryption key (key file only) and the first data and index keys that policy needs.
    ///
    /// Makes what is missing and says what it made; running it again changes nothing. A key file is made only for a key
    /// store without keys: for an existing one, a new key-encryption key would open nothing. Needs an account that may
    /// write to the key store, see keys-policy/schema.sql.
    #[command(after_help = "Examples:
  candado keys init --config /etc/candado/candado.toml
  candado keys init --user candado_security --password-file /run/secrets/candado-security")]
    Init(InitArguments),
    /// List keys, their states and the proxies that use them. Shows no secret.
    #[command(after_help = "Examples:
  candado keys list --config /etc/candado/candado.toml
  candado keys list --json | jq '.keys[] | select(.state == \"active\")'")]
    List(Facts),
}

/// Arguments of `keys init`.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    #[command(flatten)]
    configured: Configured,
    /// The account that writes to the key store, if it is not that of `[control]`.
    #[arg(short, long, value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// A file with that account's password.
    #[arg(long, value_name = "FILE", group = "password")]
    password_file: Option<PathBuf>,
    /// An environment variable with that account's password.
    #[arg(long, value_name = "NAME", group = "password")]
    password_env: Option<String>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// What `keys init` did.
#[derive(Debug, Serialize)]
pub(super) struct Initialised {
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

/// Carries a command out.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init(arguments),
        Command::List(arguments) => list(arguments),
    }
}

fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let mut settings = config::load(&arguments.configured.config)?;
    if let Some(user) = &arguments.user {
        settings.control =
            config::control(user, arguments.password_file.as_deref(), arguments.password_env.as_deref())?;
    }
    lock_memory(&settings)?;
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
pub(super) async fn initialise(settings: &Settings, policy: &Policy) -> anyhow::Result<Initialised> {
    let pool = Pool::new(&control_settings(settings));
    let store = KeyStore::new(pool.clone(), SCHEMA);
    let outcome = async {
        let key_file_made = make_key_file(settings, &store).await?;
        let provider = provider::admin(&settings.keys).await.context("the key provider cannot be used")?;
        let report = store.init(policy, provider.admin.as_ref(), &provider.kek, None).await.map_err(|error| {
            let hint = if may_not_write(&error) { ": give the account that may write to it with --user" } else { "" };
            anyhow::Error::new(error).context(format!("the key store cannot be initialised{hint}"))
        })?;
        Ok(Initialised::new(report, key_file_made))
    }
    .await;
    pool.close().await;
    outcome
}

/// Whether the server refused the account, by MySQL's codes for missing rights on schemas, tables and columns.
fn may_not_write(error: &ControlError) -> bool {
    matches!(error, ControlError::Refused { code: 1044 | 1142 | 1143, .. })
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
    pub(super) fn text(&self) -> String {
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

fn append(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.push('\n');
    text.push_str(&line.to_string());
}

fn list(arguments: &Facts) -> Result<(), Failure> {
    let settings = config::load(&arguments.configured.config)?;
    let listing = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(&settings));
        let listing = KeyStore::new(pool.clone(), SCHEMA).list().await.context("the key store cannot be listed");
        pool.close().await;
        listing
    })?;
    let output = Output::new();
    if arguments.json {
        output.json(&document(&listing))?
    } else {
        output.line(table(&listing))?
    }
    Ok(())
}

fn document(listing: &KeyListing) -> serde_json::Value {
    let keys = listing.keys.iter().map(|key| {
        serde_json::json!({
            "key_id": key.kid, "keyset": key.keyset, "purpose": key.purpose, "version": key.version,
            "state": key.state, "check_value": key.kcv, "created_at": key.created_at,
            "activated_at": key.activated_at, "keks": key.keks,
        })
    });
    let replicas = listing.replicas.iter().map(|replica| {
        serde_json::json!({
            "instance": replica.instance, "name": replica.name, "epoch": replica.epoch,
            "last_seen_seconds": replica.last_seen_seconds, "version": replica.version,
        })
    });
    serde_json::json!({
        "deployment": listing.deployment, "epoch": listing.epoch,
        "keys": keys.collect::<Vec<_>>(), "replicas": replicas.collect::<Vec<_>>(),
    })
}

fn table(listing: &KeyListing) -> String {
    let mut keys = comfy_table::Table::new();
    keys.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    keys.set_header(["key", "keyset", "purpose", "version", "state", "made", "opened", "wrapped by"]);
    for key in &listing.keys {
        keys.add_row([
            key.kid.to_string(),
            key.keyset.clone(),
            key.purpose.clone(),
            key.version.to_string(),
            key.state.clone(),
            key.created_at.clone(),
            if key.kcv.is_some() { "yes" } else { "not yet" }.to_owned(),
            key.keks.join("\n"),
        ]);
    }
    let mut text = format!("deployment {}, epoch {}\n{keys}", listing.deployment, listing.epoch);
    for replica in &listing.replicas {
        append(
            &mut text,
            format_args!(
                "proxy {} ({}): version {}, epoch {}, seen {} s ago",
                replica.name, replica.instance, replica.version, replica.epoch, replica.last_seen_seconds
            ),
        );
    }
    text
}
