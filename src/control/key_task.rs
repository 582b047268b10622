//! Keeps the key ring: loads the key store, opens its keys with the key provider, publishes the ring, and does so again
//! whenever the key store's epoch or the policy changes. The only place that opens keys.
//!
//! Until the first ring is there it tries again and again, and nothing protected is read or written meanwhile. Later a
//! key store or provider that does not answer changes nothing: opened keys stay in use. Only a key that the store bars
//! takes the ring away if no new one can be made without it.

pub(super) mod opening;
mod trust;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::chain;
use super::{Backoff, CatalogRequests, ControlError, Heartbeat, KeyStore, RefreshReason, StoredKeys};
use crate::crypto::Stage;
use crate::keys::{KeyError, KeyRing, RingError, Unwrapper};
use crate::policy::Policy;

/// How often the epoch is read and the heartbeat written.
const POLL: Duration = Duration::from_secs(2);
/// Polls without an answer after which that is an error and no longer a warning: a minute.
const SILENT_POLLS_MAX: u32 = 30;

/// Why keys are not there. For health and logs; names no key and no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeysMissing {
    /// Nothing was tried yet.
    Starting,
    /// The key store cannot be read.
    KeyStore,
    /// The key store has no keys: `keys init` has not run.
    NotInitialised,
    /// The key provider does not answer.
    ProviderUnavailable,
    /// The key provider refuses to open a key.
    ProviderRefuses,
    /// A key is missing, barred, or not the one it should be.
    Keys,
}

impl fmt::Display for KeysMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "keys have not been loaded yet",
            Self::KeyStore => "the key store cannot be read",
            Self::NotInitialised => "the key store is not initialised",
            Self::ProviderUnavailable => "the key provider does not answer",
            Self::ProviderRefuses => "the key provider refuses to open a key",
            Self::Keys => "a key is missing, barred or not the right one",
        })
    }
}

/// Whether a key ring is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysState {
    /// It is.
    Ready,
    /// It is not.
    Missing(KeysMissing),
}

/// Why no ring could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Store(#[from] ControlError),
    #[error("key {kid} of keyset `{keyset}` cannot be opened")]
    Provider {
        kid: u32,
        keyset: Arc<str>,
        #[source]
        source: KeyError,
    },
    #[error("key {kid} of keyset `{keyset}` {what}")]
    Key { kid: u32, keyset: Arc<str>, what: &'static str },
    #[error("the key store was changed in a way that no procedure does: {0}")]
    Distrusted(String),
    #[error("the keys do not make a ring")]
    Ring(#[from] RingError),
    #[error("opening a key was interrupted")]
    Interrupted,
    #[error("a column is not sealed, and the catalog that tells its type could not be loaded")]
    Catalog,
}

impl Failed {
    fn class(&self) -> KeysMissing {
        match self {
            Self::Store(ControlError::NotInitialised) => KeysMissing::NotInitialised,
            Self::Store(_) | Self::Catalog => KeysMissing::KeyStore,
            Self::Provider { source, .. } if source.definitive() => KeysMissing::ProviderRefuses,
            Self::Provider { .. } | Self::Interrupted => KeysMissing::ProviderUnavailable,
            Self::Key { .. } | Self::Distrusted(_) | Self::Ring(_) => KeysMissing::Keys,
        }
    }
}

/// What the published ring was made of.
struct Current {
    stored: StoredKeys,
    policy_version: u64,
    policy_digest: [u8; 32],
    digest: [u8; 32],
}

type Publish = Box<dyn Fn(Option<&Arc<KeyRing>>) + Send + Sync>;

/// The task. Run by the application's task tracker.
pub struct KeyTask {
    store: KeyStore,
    unwrapper: Arc<dyn Unwrapper>,
    policies: watch::Receiver<Arc<Policy>>,
    publish: Publish,
    state: watch::Sender<KeysState>,
    instance: [u8; 16],
    boot: [u8; 16],
    current: Option<Current>,
    silent_polls: u32,
    catalog: Option<CatalogRequests>,
}

impl fmt::Debug for KeyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTask").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl KeyTask {
    /// Makes the task. `publish` is called with every new ring, and with `None` when keys in use were revoked and no
    /// other ring can be made.
    pub fn new(
        store: KeyStore,
        unwrapper: Arc<dyn Unwrapper>,
        policies: watch::Receiver<Arc<Policy>>,
        publish: impl Fn(Option<&Arc<KeyRing>>) + Send + Sync + 'static,
    ) -> Self {
        let boot = Uuid::new_v4().into_bytes();
        Self {
            store,
            unwrapper,
            policies,
            publish: Box::new(publish),
            state: watch::Sender::new(KeysState::Missing(KeysMissing::Starting)),
            instance: boot,
            boot,
            current: None,
            silent_polls: 0,
            catalog: None,
        }
    }

    /// Has the catalog loaded before a ring with columns that are not sealed is published: how they are written and
    /// looked up depends on their types, which change on the way.
    #[must_use]
    pub fn with_catalog(mut self, catalog: CatalogRequests) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// Names this proxy, so that it has one row in the key store however often it starts: host and port, for example.
    /// Without a name every start counts as another proxy.
    #[must_use]
    pub fn with_instance(mut self, name: &str) -> Self {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(name.as_bytes());
        if let Some(id) = digest.first_chunk() {
            self.instance = *id;
        }
        self
    }

    /// Follows whether keys are there, and if not, why.
    pub fn state(&self) -> watch::Receiver<KeysState> {
        self.state.subscribe()
    }

    /// Runs until the token is cancelled. Keys are wiped when the last snapshot that holds the ring is gone.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.serve() => {}
        }
        tracing::debug!("key task ended");
    }

    async fn serve(&mut self) {
        let mut backoff = Backoff::new();
        loop {
            match self.renew().await {
                Ok(()) => {
                    backoff = Backoff::new();
                    self.wait_for_change().await;
                }
                Err(error) => {
                    self.report(&error);
                    let mut policies = self.policies.clone();
                    tokio::select! {
                        () = backoff.wait() => {}
                        () = changed(&mut policies) => {}
                    }
                }
            }
        }
    }

    /// Loads, opens and publishes.
    async fn renew(&mut self) -> Result<(), Failed> {
        let policy = self.policies.borrow_and_update().clone();
        let stored = self.store.load().await?;
        if let Some(current) = &self.current {
            trust::check(&current.stored, &stored).map_err(Failed::Distrusted)?;
            self.obey(&stored);
        }
        let ring = Arc::new(opening::ring(&self.store, &self.unwrapper, &policy, &stored).await?);
        self.refresh_catalog(&stored).await?;
        tracing::info!(epoch = stored.epoch, policy = policy.version(), "keys opened");
        (self.publish)(Some(&ring));
        let digest = *ring.digest();
        let (policy_version, policy_digest) = (policy.version(), policy.digest());
        self.current = Some(Current { stored, policy_version, policy_digest, digest });
        // Whoever waits for "ready" may rely on the key store knowing this proxy.
        self.beat().await;
        self.state.send_replace(KeysState::Ready);
        Ok(())
    }

    /// Whoever moves a column on waits until every proxy has acknowledged the key store's epoch. So a proxy that has
    /// knows what types the columns had when the epoch began.
    async fn refresh_catalog(&self, stored: &StoredKeys) -> Result<(), Failed> {
        match &self.catalog {
            Some(catalog) if stored.stages.values().any(|stage| *stage != Stage::Sealed) => {
                catalog.refresh(RefreshReason::Changed).await.map(drop).map_err(|_| Failed::Catalog)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes the ring away at once if the store bars a key that the ring uses, before anything that may fail is tried.
    fn obey(&mut self, stored: &StoredKeys) {
        let Some(current) = &mut self.current else { return };
        let revoked = trust::revoked(&current.stored, stored);
        if revoked.is_empty() {
            return;
        }
        for kid in revoked {
            tracing::error!(%kid, "a key in use was barred in the key store; it is dropped");
        }
        current.stored = stored.clone();
        (self.publish)(None);
        self.state.send_replace(KeysState::Missing(KeysMissing::Keys));
    }

    /// Polls until the epoch or the policy is another one.
    async fn wait_for_change(&mut self) {
        let mut policies = self.policies.clone();
        loop {
            tokio::select! {
                () = sleep(POLL) => {}
                () = changed(&mut policies) => {
                    if self.current.as_ref().is_none_or(|made| made.policy_version != policies.borrow().version()) {
                        return;
                    }
                }
            }
            match self.store.epoch().await {
                Ok(epoch) => {
                    self.silent_polls = 0;
                    if self.current.as_ref().is_none_or(|made| made.stored.epoch != epoch) {
                        tracing::info!(epoch, "the key store has changed");
                        return;
                    }
                    self.beat().await;
                }
                Err(error) => self.silent(&error),
            }
        }
    }

    /// Says that the key store does not answer: once at the start of it, and then once a minute.
    fn silent(&mut self, error: &ControlError) {
        let polls = self.silent_polls;
        self.silent_polls = polls.saturating_add(1);
        if polls == 0 {
            tracing::warn!(cause = %error.chain(), "the key store does not answer; opened keys stay in use");
        } else if polls.is_multiple_of(SILENT_POLLS_MAX) {
            tracing::error!(cause = %error.chain(), polls, "the key store still does not answer");
        }
    }

    /// Tells the key store that this proxy is alive. That it cannot is no reason to stop.
    async fn beat(&self) {
        let Some(current) = &self.current else { return };
        let beat = Heartbeat {
            instance: self.instance,
            boot: self.boot,
            epoch: current.stored.epoch,
            digest: current.digest,
            policy_digest: current.policy_digest,
        };
        if let Err(error) = self.store.heartbeat(&beat).await {
            tracing::warn!(cause = %error.chain(), "heartbeat not written");
        }
    }

    fn report(&self, error: &Failed) {
        let class = error.class();
        let ready = *self.state.borrow() == KeysState::Ready;
        if ready {
            tracing::error!(%class, cause = %chain(error), "keys not renewed; the previous ones stay in use");
        } else {
            self.state.send_replace(KeysState::Missing(class));
            tracing::error!(%class, cause = %chain(error), "not ready: protected columns can be neither read nor written");
        }
    }
}

/// Waits for another policy; for ever if there will be none.
async fn changed(policies: &mut watch::Receiver<Arc<Policy>>) {
    if policies.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
