//! Opens the keys that policy needs and proves that each is the one it should be. Plaintext keys go from here into the
//! ring and nowhere else.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Failed, KeyStore, StoredKeys};
use crate::crypto::{KeyPurpose, KeySecret};
use crate::keys::{KeyError, KeyRecord, KeyRing, RingBuilder, Unwrapper};
use crate::policy::Policy;

/// Requests to the key provider at once.
const PARALLEL_MAX: usize = 10;

/// Opens every usable data and index key of the policy's keysets and makes a ring of them. Dropping the future ends the
/// requests that are under way.
pub(in crate::control) async fn ring(
    store: &KeyStore,
    unwrapper: &Arc<dyn Unwrapper>,
    policy: &Policy,
    stored: &StoredKeys,
) -> Result<KeyRing, Failed> {
    let (usable, barred): (Vec<_>, Vec<_>) =
        needed(policy, stored).into_iter().partition(|record| record.state.may_decrypt());
    let mut builder = RingBuilder::new().with_stages(stored.stages.clone());
    for record in barred {
        builder.add(record, None)?;
    }
    let mut waiting = usable.into_iter();
    let mut requests = JoinSet::new();
    loop {
        while requests.len() < PARALLEL_MAX {
            let Some(record) = waiting.next() else { break };
            requests.spawn(open(unwrapper.clone(), record, stored.deployment));
        }
        match requests.join_next().await {
            Some(Ok(opened)) => {
                let (record, secret) = prove(store, opened?).await?;
                builder.add(record, Some(secret))?;
            }
            Some(Err(_)) => return Err(Failed::Interrupted),
            None => break,
        }
    }
    Ok(builder.build(policy, stored.epoch)?)
}

/// Data and index keys of the keysets that policy names.
fn needed(policy: &Policy, stored: &StoredKeys) -> Vec<KeyRecord> {
    let keysets: HashSet<&str> = policy.columns().iter().map(|column| &*column.keyset).collect();
    let serves_columns = |purpose| match purpose {
        KeyPurpose::Data | KeyPurpose::Index => true,
        KeyPurpose::Audit | KeyPurpose::Subject => false,
    };
    let records = stored.records.iter().filter(|record| serves_columns(record.purpose));
    records.filter(|record| keysets.contains(&*record.keyset)).cloned().collect()
}

/// Opens one key with the first of its wraps that gives the right key.
async fn open(
    unwrapper: Arc<dyn Unwrapper>,
    record: KeyRecord,
    deployment: Uuid,
) -> Result<(KeyRecord, KeySecret), Failed> {
    let context = record.encryption_context(deployment);
    let mut failure = failed(&record, "has no wrap for the configured key provider");
    for wrapped in record.wraps.iter().filter(|wrapped| wrapped.kek.provider == unwrapper.kind()) {
        match unwrapper.unwrap(wrapped, &context).await {
            Ok(secret) if agrees(&record, &secret) => return Ok((record, secret)),
            Ok(_) => {
                tracing::error!(kid = %record.kid, kek = %wrapped.kek, "a wrap holds another key than its check value says");
                failure = failed(&record, "is not the key that its check value says");
            }
            Err(source) => {
                tracing::warn!(kid = %record.kid, kek = %wrapped.kek, cause = %source, "key not opened");
                failure = not_opened(&record, source, failure);
            }
        }
    }
    Err(failure)
}

/// Of several failures, one that may pass is told rather than one that will not: it is a reason to try again.
fn not_opened(record: &KeyRecord, source: KeyError, before: Failed) -> Failed {
    match before {
        Failed::Provider { source: earlier, .. } if earlier.retryable() && !source.retryable() => {
            Failed::Provider { kid: record.kid.number(), keyset: record.keyset.clone(), source: earlier }
        }
        Failed::Provider { .. }
        | Failed::Store(_)
        | Failed::Key { .. }
        | Failed::Distrusted(_)
        | Failed::Ring(_)
        | Failed::Catalog
        | Failed::Interrupted => Failed::Provider { kid: record.kid.number(), keyset: record.keyset.clone(), source },
    }
}

fn agrees(record: &KeyRecord, secret: &KeySecret) -> bool {
    record.kcv.is_none_or(|kcv| secret.has_kcv(record.kid, record.purpose, &kcv))
}

/// Publishes the check value of a key that has none, and compares with the one that counts then: of two proxies that
/// open a key for the first time, the first one's value stays.
async fn prove(
    store: &KeyStore,
    (mut record, secret): (KeyRecord, KeySecret),
) -> Result<(KeyRecord, KeySecret), Failed> {
    if record.kcv.is_none() {
        let published = store.publish_kcv(record.kid, secret.kcv(record.kid, record.purpose)).await?;
        if !secret.has_kcv(record.kid, record.purpose, &published) {
            return Err(failed(&record, "is not the key that another proxy opened"));
        }
        record.kcv = Some(published);
    }
    Ok((record, secret))
}

fn failed(record: &KeyRecord, what: &'static str) -> Failed {
    Failed::Key { kid: record.kid.number(), keyset: record.keyset.clone(), what }
}
