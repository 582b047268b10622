//! Opens the keys that policy needs and proves that each is the one it should be. Plaintext keys go from here into the
//! keys that are held, or into a ring, and nowhere else.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Failed, KeyStore, PARALLEL_MAX, StoredKeys};
use crate::crypto::{KeyPurpose, KeySecret};
use crate::keys::{KeyError, KeyRecord, KeyRing, RingBuilder, Unwrapper};
use crate::policy::Policy;

/// Data, index and subject keys of the keysets that policy names.
pub(super) fn needed<'a>(policy: &Policy, stored: &'a StoredKeys) -> Vec<&'a KeyRecord> {
    let keysets: HashSet<&str> = policy.columns().iter().map(|column| &*column.keyset).collect();
    let serves_columns = |purpose| match purpose {
        KeyPurpose::Data | KeyPurpose::Index | KeyPurpose::Subject => true,
        KeyPurpose::Audit => false,
    };
    let records = stored.records.iter().filter(|record| serves_columns(record.purpose));
    records.filter(|record| keysets.contains(&*record.keyset)).collect()
}

/// Opens every usable key that policy needs and makes a ring of them, once: for work that ends by itself. Dropping the
/// future ends the requests that are under way.
pub(in crate::control) async fn ring(
    store: &KeyStore,
    unwrapper: &Arc<dyn Unwrapper>,
    policy: &Policy,
    stored: &StoredKeys,
) -> Result<KeyRing, Failed> {
    let (usable, barred): (Vec<_>, Vec<_>) =
        needed(policy, stored).into_iter().cloned().partition(|record| record.state.may_decrypt());
    let mut builder = RingBuilder::new().with_stages(stored.stages.clone()).of_deployment(stored.deployment);
    for record in barred {
        builder.add(record, None)?;
    }
    let mut waiting = usable.into_iter();
    let mut requests = JoinSet::new();
    loop {
        while requests.len() < PARALLEL_MAX {
            let Some(record) = waiting.next() else { break };
            requests.spawn(open(store.clone(), unwrapper.clone(), record, stored.deployment));
        }
        match requests.join_next().await {
            Some(Ok(opened)) => {
                let (record, secret) = opened?;
                builder.add(record, Some(secret))?;
            }
            Some(Err(_)) => return Err(Failed::Interrupted),
            None => break,
        }
    }
    Ok(builder.build(policy, stored.epoch)?)
}

/// Opens one key and proves that it is the one it should be; gives its record with the check value that counts.
/// Dropping the future ends the request.
pub(in crate::control) async fn open(
    store: KeyStore,
    unwrapper: Arc<dyn Unwrapper>,
    record: KeyRecord,
    deployment: Uuid,
) -> Result<(KeyRecord, KeySecret), Failed> {
    prove(&store, unwrap(unwrapper, record, deployment).await?).await
}

/// Opens one key with the first of its wraps that gives the right key.
async fn unwrap(
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

/// Of several failures, one that may pass is told rather than one that will not: it is a reason to try again. A key is
/// refused only if every wrap of it is.
fn not_opened(record: &KeyRecord, source: KeyError, before: Failed) -> Failed {
    let hope = |error: &KeyError| (error.retryable(), !error.definitive());
    let source = match before {
        Failed::Provider { source: earlier, .. } if hope(&earlier) > hope(&source) => earlier,
        Failed::Provider { .. }
        | Failed::Store(_)
        | Failed::Key { .. }
        | Failed::Distrusted(_)
        | Failed::Ring(_)
        | Failed::Catalog
        | Failed::Lost { .. }
        | Failed::Interrupted => source,
    };
    Failed::Provider { kid: record.kid.number(), keyset: record.keyset.clone(), source }
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
