//! `candado keys create`: a pending key.

use clap::Args;
use serde_json::json;

use super::acting::{Acting, Acts, Purpose, Report};
use crate::cli::Failure;
use crate::control::NewKey;

/// For what.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The keyset, as policy names it.
    keyset: String,
    /// What the key is for.
    #[arg(long, value_enum, default_value_t = Purpose::Data)]
    purpose: Purpose,
    #[command(flatten)]
    acting: Acting,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("create", async |acts| {
        let made = create(acts, &arguments.keyset, arguments.purpose).await?;
        let text = format!("made {}, epoch {}; `candado keys activate` lets it write", describe(&made), made.epoch);
        Ok(Report { text, facts: facts(&made) })
    })
}

/// Makes one.
pub(super) async fn create(acts: &Acts<'_>, keyset: &str, purpose: Purpose) -> anyhow::Result<NewKey> {
    let provider = acts.provider()?;
    Ok(acts
        .store
        .create_key(keyset, purpose.into(), provider.admin.as_ref(), &provider.kek, acts.run, acts.by())
        .await?)
}

/// A new key in words.
pub(super) fn describe(made: &NewKey) -> String {
    let NewKey { kid, keyset, purpose, version, kek, epoch: _ } = made;
    let key = kid.map_or_else(|| "a key".to_owned(), |kid| format!("key {kid}"));
    format!("{key} (keyset {keyset}, {purpose}, version {version}), wrapped by {kek}, pending")
}

fn facts(made: &NewKey) -> serde_json::Value {
    let NewKey { kid, keyset, purpose, version, kek, epoch } = made;
    json!({
        "key_id": kid.map(crate::crypto::KeyId::number), "keyset": &**keyset, "purpose": purpose.name(),
        "version": version.get(), "kek": kek.to_string(), "epoch": epoch,
    })
}
