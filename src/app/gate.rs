//! The listener before there is anything to judge statements by: clients are told so at once, instead of waiting in the
//! backlog for a greeting that may not come.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::health::Readiness;
use crate::client_error::Complaint;
use crate::wire::err::{self, SqlState};
use crate::wire::packet;

/// A client that takes no packet of this size in this time is not there.
const TELL_MAX: Duration = Duration::from_secs(1);

/// Turns clients away until a catalog is there, or the token is cancelled.
pub(super) async fn wait(
    listener: &TcpListener,
    mut readiness: watch::Receiver<Readiness>,
    shutdown: &CancellationToken,
) {
    loop {
        if *readiness.borrow_and_update() != Readiness::NoCatalog {
            return;
        }
        tokio::select! {
            // In this order: whoever has read that the proxy is ready and connects then must not be turned away.
            biased;
            () = shutdown.cancelled() => return,
            changed = readiness.changed() => if changed.is_err() { return },
            accepted = listener.accept() => {
                if let Ok((mut stream, _)) = accepted {
                    let complaint = Complaint::ServerUnreachable;
                    let (code, sqlstate) = complaint.code();
                    let mut payload = Vec::new();
                    // Before the greeting an error has no SQLSTATE.
                    err::put(code, sqlstate, &complaint.to_string(), SqlState::Absent, &mut payload);
                    let mut bytes = Vec::new();
                    packet::put(&payload, 0, &mut bytes);
                    // Whoever is gone by now needs no answer.
                    drop(timeout(TELL_MAX, stream.write_all(&bytes)).await);
                }
            }
        }
    }
}
