//! Asking the control plane for a key that a stored value names and the ring does not know.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::crypto::KeyId;

/// A request for a key; answered when a snapshot whose ring knows it is published, dropped if there is no such key.
#[derive(Debug)]
pub struct KeyRequest {
    /// The key.
    pub kid: KeyId,
    /// The answer.
    pub done: oneshot::Sender<()>,
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

    /// Waits until a ring with the key is published. `false` if that did not happen in time.
    pub(super) async fn find(&self, kid: KeyId, limit: Duration) -> bool {
        let (done, found) = oneshot::channel();
        let asked = async {
            self.requests.send(KeyRequest { kid, done }).await.ok()?;
            found.await.ok()
        };
        matches!(tokio::time::timeout(limit, asked).await, Ok(Some(())))
    }
}
