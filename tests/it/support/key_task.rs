//! A running key task, and what its rings can do.
#![allow(clippy::unwrap_used, reason = "test support")]

use std::sync::Arc;
use std::time::Duration;

use candado::control::{KeyRequests, KeyTask, KeysState, Revalidation, Vitals};
use candado::crypto::Plaintext;
use candado::keys::KeyRing;
use candado::policy::{ColumnId, Policy, RoleId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keys::Setup;
use super::proxy::wait_until;
use super::shop::bounded;

/// A running key task with what it published last.
pub(crate) struct Running {
    pub(crate) rings: watch::Receiver<Option<Arc<KeyRing>>>,
    pub(crate) state: watch::Receiver<KeysState>,
    pub(crate) requests: KeyRequests,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) policies: watch::Sender<Arc<Policy>>,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Running {
    pub(crate) fn new(setup: &Setup, policy: Policy) -> Self {
        Self::with_revalidation(setup, policy, Revalidation::default())
    }

    pub(crate) fn with_revalidation(setup: &Setup, policy: Policy, revalidation: Revalidation) -> Self {
        let (keep, rings) = watch::channel(None);
        let (policies, receiver) = watch::channel(Arc::new(policy));
        let publish = move |ring: Option<&Arc<KeyRing>>| drop(keep.send_replace(ring.cloned()));
        let task = KeyTask::new(setup.proxy(), setup.unwrapper.clone(), receiver, publish)
            .with_instance("proxy 1")
            .with_revalidation(revalidation);
        let (state, requests, vitals) = (task.state(), task.requests(), task.vitals());
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        tracker.spawn(task.run(shutdown.clone()));
        tracker.close();
        Self { rings, state, requests, vitals, policies, shutdown, tracker }
    }

    pub(crate) async fn reaches(&mut self, wanted: KeysState) {
        bounded(self.state.wait_for(|state| *state == wanted)).await.unwrap();
    }

    pub(crate) async fn ready(&mut self) -> Arc<KeyRing> {
        self.reaches(KeysState::Ready).await;
        self.newest().unwrap()
    }

    pub(crate) fn newest(&self) -> Option<Arc<KeyRing>> {
        self.rings.borrow().clone()
    }

    /// Waits until a key was not proved for so long.
    pub(crate) async fn unproved_for(&self, age: Duration) {
        tokio::task::block_in_place(|| {
            wait_until("a proof fails to come", || self.vitals.oldest_proof().is_some_and(|found| found > age));
        });
    }

    /// Waits until every key was proved within that time.
    pub(crate) async fn proved_within(&self, age: Duration) {
        tokio::task::block_in_place(|| {
            wait_until("a proof comes", || self.vitals.oldest_proof().is_some_and(|found| found < age));
        });
    }

    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.tracker.wait().await;
    }
}

pub(crate) fn sealed(ring: &KeyRing) -> Vec<u8> {
    let mut envelope = Vec::new();
    ring.column(ColumnId(0)).unwrap().seal(&Plaintext::from(b"0123".to_vec()), &mut envelope).unwrap();
    envelope
}

pub(crate) fn opens(ring: &KeyRing, policy: &Policy, envelope: &[u8]) -> bool {
    let (_, grant) = policy.access(RoleId(0), ColumnId(0));
    let mut plain = Plaintext::new();
    ring.column(ColumnId(0)).unwrap().open(&grant.unwrap(), envelope, &mut plain).is_ok()
}
