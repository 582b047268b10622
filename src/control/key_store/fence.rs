//! The fence: whether every living proxy works with a change. Acts that are safe only once all proxies know of an earlier
//! one wait for it.
//!
//! A proxy that has been silent for longer than the lease is not waited for: it has stopped writing protected columns by
//! then, and it loads the key store before it does so again.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{ControlError, KeyStore, Session};

/// How long after its last report a proxy counts as living, by the server's clock; and how long after the moment before
/// that report was sent it may write protected columns, by its own.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long after the end of a key's writing a statement that holds values under it may still reach the server. A proxy
/// that fell silent just before seals until its lease is over, and what it sent then may be under way for as long as a
/// peer may take no bytes (`limits.write_timeout_s`).
pub(super) const fn last_arrival(write_timeout: Duration) -> Duration {
    LEASE.saturating_add(write_timeout)
}

/// How often the fence is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_millis(500);

/// What every living proxy must work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// At least this epoch of the key store.
    pub epoch: u64,
    /// Exactly this policy, if it matters.
    pub policy_digest: Option<[u8; 32]>,
}

/// Whether they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// All do.
    All {
        /// How many there are. Zero if none lives.
        replicas: usize,
    },
    /// Some do not.
    Waiting {
        /// Those, by their instance ids.
        behind: Vec<Behind>,
    },
}

/// A living proxy that does not work with it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its instance id in hexadecimal, as `candado keys list` shows it.
    pub instance: String,
    /// Its host and port; empty if it told none.
    pub name: String,
    /// The epoch that it works with.
    pub epoch: u64,
    /// Seconds since it was last seen, by the server's clock.
    pub seen_seconds: u64,
    /// What it lacks.
    pub lacks: Lacks,
}

/// What a proxy lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// The epoch.
    Epoch,
    /// The policy.
    Policy,
    /// Both.
    EpochAndPolicy,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, name, epoch, seen_seconds, lacks } = self;
        write!(f, "proxy {} ", if name.is_empty() { instance } else { name })?;
        match lacks {
            Lacks::Epoch => write!(f, "works with epoch {epoch}")?,
            Lacks::Policy => f.write_str("works with another policy")?,
            Lacks::EpochAndPolicy => write!(f, "works with epoch {epoch} and another policy")?,
        }
        write!(f, " and was seen {seen_seconds} s ago")
    }
}

/// Several proxies in one line.
pub(super) fn list(behind: &[Behind]) -> String {
    behind.iter().map(Behind::to_string).collect::<Vec<_>>().join("; ")
}

impl KeyStore {
    /// Asks once.
    pub async fn acknowledged(&self, fence: &Fence) -> Result<Acknowledged, ControlError> {
        let mut session = self.session("ask which proxies know of a change").await?;
        self.acknowledged_in(&mut session, fence).await
    }

    /// The same inside a transaction. Sees the reports as of the transaction's snapshot.
    pub(in crate::control) async fn acknowledged_in(
        &self,
        session: &mut Session,
        fence: &Fence,
    ) -> Result<Acknowledged, ControlError> {
        let sql = format!(
            "SELECT LOWER(HEX(instance_id)), name, loaded_epoch, policy_digest, \
             CAST(GREATEST(0, TIMESTAMPDIFF(SECOND, last_seen, UTC_TIMESTAMP(6))) AS UNSIGNED) \
             FROM {}.replica WHERE last_seen > UTC_TIMESTAMP(6) - INTERVAL {} SECOND ORDER BY instance_id",
            self.schema,
            LEASE.as_secs()
        );
        let rows: Vec<(String, String, u64, Vec<u8>, u64)> = session.rows(&sql).await?;
        let replicas = rows.len();
        let behind: Vec<Behind> = rows
            .into_iter()
            .filter_map(|(instance, name, epoch, digest, seen_seconds)| {
                let other_policy = fence.policy_digest.is_some_and(|wanted| wanted[..] != digest[..]);
                let lacks = match (epoch < fence.epoch, other_policy) {
                    (false, false) => return None,
                    (true, false) => Lacks::Epoch,
                    (false, true) => Lacks::Policy,
                    (true, true) => Lacks::EpochAndPolicy,
                };
                Some(Behind { instance, name, epoch, seen_seconds, lacks })
            })
            .collect();
        Ok(if behind.is_empty() { Acknowledged::All { replicas } } else { Acknowledged::Waiting { behind } })
    }
}

/// Waits until every living proxy works with it, and returns the last answer: [`Acknowledged::Waiting`] if the deadline
/// came first. `on_progress` is called with those that are behind whenever they are others than before. Cancel-safe.
pub async fn wait_for_fence(
    store: &KeyStore,
    fence: &Fence,
    mut on_progress: impl FnMut(&[Behind]),
    deadline: Instant,
) -> Result<Acknowledged, ControlError> {
    let mut told: Vec<(String, u64)> = Vec::new();
    loop {
        let answer = store.acknowledged(fence).await?;
        let Acknowledged::Waiting { behind } = &answer else { return Ok(answer) };
        let now: Vec<_> = behind.iter().map(|proxy| (proxy.instance.clone(), proxy.epoch)).collect();
        if now != told {
            on_progress(behind);
            told = now;
        }
        if Instant::now() >= deadline {
            return Ok(answer);
        }
        sleep(LOOK).await;
    }
}
