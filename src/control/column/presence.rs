//! Tells the other processes that this one lives: a named lock of the server, held for as long as the connection stands.
//!
//! Leases alone would make a run that was killed wait for the lease of its predecessor. The lock says at once that the
//! owner of a lease is gone. Taking over too early would do no harm: every change is made under the owner's name, in the
//! transaction that checks it.

use std::time::Duration;

use tokio::time::sleep;

use super::job::Jobs;
use crate::control::{Backoff, ControlError, Session};

/// How often the connection is used, so that no time-out of the server closes it.
const BEAT: Duration = Duration::from_secs(5);
/// Longer than any beat.
const LIMIT: Duration = Duration::from_secs(30);

/// The condition that the process named in a column of leases is gone.
pub(super) fn is_gone(owner: &str) -> String {
    format!("IS_FREE_LOCK(CONCAT('candado.', LOWER(HEX({owner})))) = 1")
}

/// The lock, while it is held.
pub(super) struct Presence {
    jobs: Jobs,
    session: Session,
}

impl Presence {
    /// Takes the lock.
    pub(super) async fn take(jobs: &Jobs) -> Result<Self, ControlError> {
        let mut session = jobs.store.pool.session("tell that this process lives", LIMIT).await?;
        let name = data_encoding::HEXLOWER.encode(&jobs.owner);
        let got: Vec<Option<u8>> = session.rows(&format!("SELECT GET_LOCK('candado.{name}', 5)")).await?;
        match got.first() {
            Some(Some(1)) => Ok(Self { jobs: jobs.clone(), session }),
            _ => Err(ControlError::Malformed { what: "a lock of this process that another one holds" }),
        }
    }

    /// Keeps it until the future is dropped, through losses of the connection.
    pub(super) async fn keep(mut self) {
        let mut backoff = Backoff::new();
        loop {
            sleep(BEAT).await;
            self.session.renew();
            while self.session.execute("DO 1").await.is_err() {
                match Self::take(&self.jobs).await {
                    Ok(again) => self = again,
                    Err(_) => backoff.wait().await,
                }
            }
            backoff = Backoff::new();
        }
    }
}
