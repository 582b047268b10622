//! Asking the key task for what the data plane lacks: the write lease, or a key that a stored value names and nobody here
//! knows. Forced activations and partitions make
//! such values, and so does whoever writes to the database. So the key store is read again for them at most a few times
//! a second, however many connections ask.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{KeyTask, LEASE};
use crate::crypto::KeyId;

/// Requests that may wait at once. One that does not fit is answered like an unknown key.
pub(super) const REQUESTS_MAX: usize = 256;
/// How often the key store is read for unknown keys, in [`WINDOW`].
const READS_MAX: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);
/// How long a key that was not found is not looked for again.
const NOT_FOUND_FOR: Duration = Duration::from_secs(1);

/// The least time between two polls that connections without a lease bring about.
const LEASE_SPACING: Duration = Duration::from_millis(200);

/// One connection that waits.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    asked: Instant,
    pub(super) reply: oneshot::Sender<()>,
}

/// What it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Key(KeyId),
    /// The write lease, with keys that are as new as it.
    Lease,
}

/// Asks a [`super::KeyTask`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyRequests {
    pub(super) requests: mpsc::Sender<Request>,
}

impl KeyRequests {
    /// Waits until a ring that knows the key is published; `false` if there is no such key, or it was asked for too
    /// often. Has no limit of its own. Cancel-safe: the key store is read all the same.
    pub async fn find(&self, kid: KeyId) -> bool {
        self.ask(Wanted::Key(kid)).await
    }

    /// Waits until the key store has heard of this proxy again, and the ring is as new as that; `false` if that fails.
    /// Has no limit of its own. Cancel-safe.
    pub async fn renew_lease(&self) -> bool {
        self.ask(Wanted::Lease).await
    }

    async fn ask(&self, wanted: Wanted) -> bool {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request { wanted, asked: Instant::now(), reply }).is_ok() && answer.await.is_ok()
    }
}

/// Decides for which keys the key store is read.
#[derive(Debug, Default)]
pub(super) struct Admission {
    reads: VecDeque<Instant>,
    not_found: HashMap<KeyId, Instant>,
}

impl Admission {
    /// Whether the key store may be read for the key now; counts the read if so.
    pub(super) fn admit(&mut self, kid: KeyId, now: Instant) -> bool {
        self.not_found.retain(|_, at| now.duration_since(*at) < NOT_FOUND_FOR);
        while self.reads.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.reads.pop_front();
        }
        if self.not_found.contains_key(&kid) || self.reads.len() >= READS_MAX {
            return false;
        }
        self.reads.push_back(now);
        true
    }

    /// The key store has no such key. At most [`READS_MAX`] are remembered for each [`NOT_FOUND_FOR`].
    pub(super) fn not_found(&mut self, kid: KeyId, now: Instant) {
        self.not_found.insert(kid, now);
    }
}

impl KeyTask {
    /// A connection waits for something. All that ask while the key store is read share the answer.
    pub(super) async fn serve_request(&mut self, request: Request) {
        match request.wanted {
            Wanted::Key(kid) => self.find(kid, request).await,
            Wanted::Lease => {
                // A poll that hung in a partition says nothing to who came later.
                let tried = self.polled.is_some_and(|(began, _)| began >= request.asked);
                self.waiting.retain(|waiting| !waiting.reply.is_closed());
                self.waiting.push(request);
                if !tried {
                    if let Some((_, ended)) = self.polled {
                        sleep_until(ended + LEASE_SPACING).await;
                    }
                    self.poll().await;
                }
                if !self.held.has_closed() {
                    self.answer_waiting();
                }
            }
        }
    }

    /// A connection met a key that its ring does not know.
    async fn find(&mut self, kid: KeyId, request: Request) {
        if self.knows(kid) {
            // A connection that went away needs no answer.
            request.reply.send(()).unwrap_or(());
            return;
        }
        if self.held.has_closed() && self.wants(kid) {
            self.waiting.retain(|waiting| !waiting.reply.is_closed());
            self.waiting.push(request);
        } else if self.admission.admit(kid, Instant::now()) {
            tracing::warn!(%kid, "a stored value names a key that is not known here; looking for it");
            self.waiting.push(request);
            self.poll().await;
            if !self.wants(kid) {
                self.admission.not_found(kid, Instant::now());
            }
            if !self.held.has_closed() {
                self.answer_waiting();
            }
        }
    }

    /// Answers all that wait for a key; those whose key is still unknown are told so by the end of their channel.
    pub(super) fn answer_waiting(&mut self) {
        for request in std::mem::take(&mut self.waiting) {
            let is_there = match request.wanted {
                Wanted::Key(kid) => self.knows(kid),
                Wanted::Lease => self.beaten.is_some_and(|at| at.elapsed() < LEASE),
            };
            if is_there {
                request.reply.send(()).unwrap_or(());
            }
        }
    }

    fn knows(&self, kid: KeyId) -> bool {
        self.current.as_ref().is_some_and(|current| current.stored.records.iter().any(|record| record.kid == kid))
    }

    fn wants(&self, kid: KeyId) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.stored.records.iter().any(|record| record.kid == kid))
    }
}

#[cfg(test)]
mod tests;
