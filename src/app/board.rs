//! What the control plane's tasks have found so far, put together to the one snapshot that statements are judged by.
//!
//! A key ring is made for one version of the policy: its column ids are positions there. So a new policy waits until its
//! ring has come, and both change at once.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::health::Readiness;
use crate::control::KeysMissing;
use crate::firewall::profile::Profiles;
use crate::keys::KeyRing;
use crate::policy::Policy;
use crate::proxy::Snapshot;
use crate::schema::Catalog;

/// The place where tasks publish.
#[derive(Debug)]
pub(super) struct Board {
    parts: Mutex<Parts>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    readiness: watch::Sender<Readiness>,
    mode: Mode,
}

/// What is done with statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// What the policy says.
    Protecting,
    /// Nothing: they are only looked at.
    Shadow,
}

#[derive(Debug)]
struct Parts {
    policy: Arc<Policy>,
    /// A newer policy whose key ring has not come yet.
    next_policy: Option<Arc<Policy>>,
    catalog: Option<Arc<Catalog>>,
    /// `None` until they have been asked for, with or without success.
    profiles: Option<Arc<Profiles>>,
    ring: Option<Arc<KeyRing>>,
    /// Why there is no ring, while there is none.
    missing: KeysMissing,
}

impl Board {
    /// A board with a policy and nothing else. `empty` stands for the catalog until one is loaded.
    pub(super) fn new(policy: Arc<Policy>, empty: Arc<Catalog>, mode: Mode) -> Self {
        let snapshot = Snapshot { policy: policy.clone(), catalog: empty, profiles: Arc::default(), ring: None };
        Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            readiness: watch::Sender::new(Readiness::NoCatalog),
            mode,
            parts: Mutex::new(Parts {
                policy,
                next_policy: None,
                catalog: None,
                profiles: None,
                ring: None,
                missing: KeysMissing::Starting,
            }),
        }
    }

    /// What the data plane reads.
    pub(super) fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        self.snapshot.clone()
    }

    /// Whether clients can be served, now and from now on.
    pub(super) fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// The catalog was loaded.
    pub(super) fn catalog(&self, catalog: &Arc<Catalog>) {
        self.change(|parts| parts.catalog = Some(catalog.clone()));
    }

    /// Profiles of accounts were read, or could not be.
    pub(super) fn profiles(&self, profiles: &Arc<Profiles>) {
        self.change(|parts| parts.profiles = Some(profiles.clone()));
    }

    /// Keys were opened.
    pub(super) fn ring(&self, ring: &Arc<KeyRing>) {
        self.change(|parts| {
            if let Some(next) = parts.next_policy.take_if(|next| next.version() == ring.policy_version()) {
                parts.policy = next;
            }
            // A ring for a policy that is no longer wanted names other columns.
            if parts.policy.version() == ring.policy_version() {
                parts.ring = Some(ring.clone());
            }
        });
    }

    /// Keys were revoked: nothing protected is opened or sealed any more.
    pub(super) fn no_ring(&self) {
        self.change(|parts| {
            parts.ring = None;
            parts.missing = KeysMissing::Keys;
        });
    }

    /// Keys could not be opened. While older ones are in use, that changes nothing.
    pub(super) fn keys_missing(&self, why: KeysMissing) {
        self.change(|parts| parts.missing = why);
    }

    /// A new policy was read. It is in force when its keys are there.
    pub(super) fn policy(&self, policy: Arc<Policy>) {
        self.change(|parts| {
            if parts.ring.is_some() {
                parts.next_policy = Some(policy);
            } else {
                parts.policy = policy;
                parts.next_policy = None;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let catalog = parts.catalog.clone().unwrap_or_else(|| self.snapshot.load().catalog.clone());
        let profiles = parts.profiles.clone().unwrap_or_else(|| self.snapshot.load().profiles.clone());
        let snapshot = Snapshot { policy: parts.policy.clone(), catalog, profiles, ring: parts.ring.clone() };
        let readiness = match (&parts.catalog, &parts.ring, &parts.profiles) {
            // The server is asked for profiles beside the catalog: whoever is protected would be refused until then.
            (None, _, _) | (_, _, None) => Readiness::NoCatalog,
            (Some(_), None, Some(_)) => Readiness::NoKeys(parts.missing),
            (Some(_), Some(_), Some(_)) => match self.mode {
                Mode::Protecting => Readiness::Ready,
                Mode::Shadow => shadow(&snapshot),
            },
        };
        let version = snapshot.policy.version();
        let replaced = self.snapshot.swap(Arc::new(snapshot));
        // Who waits for this line finds it in force.
        if replaced.policy.version() != version {
            tracing::info!(version, "policy in force");
        }
        let before = self.readiness.send_replace(readiness);
        if before != readiness {
            match readiness {
                Readiness::Ready => tracing::info!("ready: catalog and keys are loaded"),
                // So it begins; that it stays so would be told with another reason.
                Readiness::NoKeys(KeysMissing::Starting) => tracing::info!("{readiness}"),
                Readiness::NoCatalog | Readiness::NoKeys(_) => tracing::warn!("{readiness}"),
                Readiness::ShadowOver => tracing::error!(alarm = true, "{readiness}: every statement is refused"),
                Readiness::Draining => {}
            }
        }
    }
}

/// Whether clients can be served in shadow mode.
fn shadow(snapshot: &Snapshot) -> Readiness {
    match snapshot.check_shadow() {
        Ok(()) => Readiness::Ready,
        Err(bar) => {
            tracing::error!(%bar, "shadow mode cannot be");
            Readiness::ShadowOver
        }
    }
}
