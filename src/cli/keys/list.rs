//! `candado keys list`: all keys, and the proxies that use them.

use anyhow::Context;

use super::append;
use crate::app::control_settings;
use crate::cli::output::Output;
use crate::cli::table::table;
use crate::cli::{Facts, Failure, runtime};
use crate::config;
use crate::control::{KeyListing, KeyStore, ListedKey, ListedReplica, Pool, SCHEMA};

/// Prints the listing.
pub(super) fn run(arguments: &Facts) -> Result<(), Failure> {
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
        output.line(text(&listing))?
    }
    Ok(())
}

fn document(listing: &KeyListing) -> serde_json::Value {
    serde_json::json!({
        "deployment": listing.deployment, "epoch": listing.epoch,
        "inactive": listing.inactive().iter().map(|found| {
            serde_json::json!({ "keyset": &*found.keyset, "purpose": found.purpose.name() })
        }).collect::<Vec<_>>(),
        "keys": listing.keys.iter().map(key_facts).collect::<Vec<_>>(),
        "replicas": listing.replicas.iter().map(replica_facts).collect::<Vec<_>>(),
    })
}

/// A key, for machines.
pub(super) fn key_facts(key: &ListedKey) -> serde_json::Value {
    serde_json::json!({
        "key_id": key.kid, "keyset": key.keyset, "purpose": key.purpose, "version": key.version,
        "state": key.state, "check_value": key.kcv, "created_at": key.created_at,
        "activated_at": key.activated_at, "deactivated_at": key.deactivated_at, "changed_at": key.changed_at,
        "keks": key.keks,
    })
}

fn replica_facts(replica: &ListedReplica) -> serde_json::Value {
    serde_json::json!({
        "instance": replica.instance, "name": replica.name, "epoch": replica.epoch, "last_seen_seconds": replica.last_seen_seconds,
        "living": replica.living(), "version": replica.version,
    })
}

fn text(listing: &KeyListing) -> String {
    let rows = listing.keys.iter().map(|key| {
        [
            key.kid.to_string(),
            key.keyset.clone(),
            key.purpose.clone(),
            key.version.to_string(),
            key.state.clone(),
            key.created_at.clone(),
            if key.kcv.is_some() { "yes" } else { "not yet" }.to_owned(),
            key.keks.join("\n"),
        ]
    });
    let headings = ["key", "keyset", "purpose", "version", "state", "made", "opened", "wrapped by"];
    let keys = table(headings, rows, "no keys");
    let mut text = format!("deployment {}, epoch {}\n{keys}", listing.deployment, listing.epoch);
    for keyset in listing.inactive() {
        append(&mut text, format_args!("{keyset}"));
    }
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
