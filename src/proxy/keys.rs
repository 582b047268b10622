//! Asking the control plane for keys that a statement or a stored value needs and the ring does not know, or for the write
//! lease.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::crypto::KeyId;
use crate::rewrite::WantedSubject;

/// A request to the key task; dropped if what is wanted cannot be had.
#[derive(Debug)]
pub struct KeyRequest {
    /// What is wanted.
    pub wanted: KeysWanted,
    /// The answer.
    pub done: oneshot::Sender<()>,
}

/// What a connection wants of the key task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysWanted {
    /// A snapshot whose ring knows the key.
    Key(KeyId),
    /// The write lease, and a snapshot whose ring is as new as it.
    Lease,
    /// The newest snapshot's ring with the keys of these data subjects, which are made if there are none.
    Subjects(Vec<WantedSubject>),
    /// The newest snapshot's ring with the first of these keys of data subjects, and as many of the others as there are.
    SubjectKeys(Vec<KeyId>),
}

/// The data plane's end of the channel to the key task.
#[derive(Clone, Debug)]
pub struct KeyRefresh {
    requests: mpsc::Sender<KeyRequest>,
}

impl KeyRefresh {
    /// Wraps the sending end; the key task holds the other one.
    pub fn new(requests: mpsc::Sender<KeyRequest>) -> Self {
        Self { requests }
    }

    /// Waits until what is wanted is there. `false` if that did not happen in time.
    pub(super) async fn ask(&self, wanted: KeysWanted, limit: Duration) -> bool {
        let (done, found) = oneshot::channel();
        let asked = async {
            self.requests.send(KeyRequest { wanted, done }).await.ok()?;
            found.await.ok()
        };
        matches!(tokio::time::timeout(limit, asked).await, Ok(Some(())))
    }
}
