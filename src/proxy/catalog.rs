//! Asking the control plane for a fresh catalog.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// A request to load the catalog; answered when the new snapshot is published.
pub type RefreshRequest = oneshot::Sender<()>;

/// The data plane's end of the channel to the catalog loader.
#[derive(Clone, Debug)]
pub struct CatalogRefresh {
    requests: mpsc::Sender<RefreshRequest>,
}

impl CatalogRefresh {
    /// Wraps the sending end; the loader holds the other one.
    pub fn new(requests: mpsc::Sender<RefreshRequest>) -> Self {
        Self { requests }
    }

    /// Waits until a catalog that was loaded after this call is published. `false` if that did not happen in time.
    pub(super) async fn refresh(&self, limit: Duration) -> bool {
        let (done, loaded) = oneshot::channel();
        let asked = async {
            self.requests.send(done).await.ok()?;
            loaded.await.ok()
        };
        matches!(tokio::time::timeout(limit, asked).await, Ok(Some(())))
    }
}
