//! The fence: whether every living proxy works with what was published (crypto.md 2.4).
//!
//! A proxy that has been silent for longer than the lease is not waited for: it has stopped writing protected columns by
//! then, because it stops when it cannot read the key store for that long.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{ControlError, KeyStore};

/// How long a proxy that does not read the key store may go on writing with what it knew.
pub(in crate::control) const LEASE_SECONDS: u64 = 30;
/// How often the fence is looked at.
const POLL: Duration = Duration::from_millis(250);

/// What every living proxy must work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// At least this epoch.
    pub epoch: u64,
    /// And exactly this policy, if it matters.
    pub policy_digest: Option<[u8; 32]>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// Every living proxy does.
    All {
        /// How many there are.
        replicas: usize,
    },
    /// Some do not yet.
    Waiting {
        /// Those.
        behind: Vec<Behind>,
    },
}

/// A proxy that is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its instance id in hexadecimal.
    pub instance: String,
    /// The epoch it works with.
    pub epoch: u64,
    /// Seconds since it was last seen, by the server's clock.
    pub last_seen_seconds: u64,
    /// What it lacks.
    pub lacks: Lacks,
}

/// What a proxy lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// The epoch.
    Epoch,
    /// The policy: its file is another one, or was not read again.
    Policy,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, epoch, last_seen_seconds, lacks } = self;
        write!(f, "proxy {instance} (epoch {epoch}, seen {last_seen_seconds} s ago) ")?;
        f.write_str(match lacks {
            Lacks::Epoch => "has not loaded the key store's newest state",
            Lacks::Policy => "works with another policy: give it the same file and SIGHUP",
        })
    }
}

/// Instance, epoch, policy digest, seconds.
type ReplicaRow = (String, u64, Vec<u8>, u64);

impl KeyStore {
    /// Asks which living proxies do not work with it yet.
    pub async fn acknowledged(&self, fence: &Fence) -> Result<Acknowledged, ControlError> {
        self.acknowledged_within(fence, LEASE_SECONDS).await
    }

    /// The same, where a proxy counts as living when it was seen within so many seconds.
    pub(in crate::control) async fn acknowledged_within(
        &self,
        fence: &Fence,
        seconds: u64,
    ) -> Result<Acknowledged, ControlError> {
        let mut session = self.session("ask which proxies have acknowledged").await?;
        let sql = format!(
            "SELECT LOWER(HEX(instance_id)), loaded_epoch, policy_digest, \
             CAST(GREATEST(0, TIMESTAMPDIFF(SECOND, last_seen, UTC_TIMESTAMP(6))) AS UNSIGNED) FROM {}.replica \
             WHERE last_seen > UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND ORDER BY instance_id",
            self.schema
        );
        let rows: Vec<ReplicaRow> = session.rows(&sql).await?;
        let replicas = rows.len();
        let behind: Vec<Behind> = rows
            .into_iter()
            .filter_map(|(instance, epoch, digest, last_seen_seconds)| {
                let lacks = match fence.policy_digest {
                    _ if epoch < fence.epoch => Lacks::Epoch,
                    Some(wanted) if digest != wanted => Lacks::Policy,
                    Some(_) | None => return None,
                };
                Some(Behind { instance, epoch, last_seen_seconds, lacks })
            })
            .collect();
        Ok(if behind.is_empty() { Acknowledged::All { replicas } } else { Acknowledged::Waiting { behind } })
    }
}

/// Waits until every living proxy works with it, and returns how many there are. `on_progress` hears who is still
/// behind. Cancel-safe: nothing changes anywhere.
pub async fn wait_for_fence(
    store: &KeyStore,
    fence: &Fence,
    on_progress: impl Fn(&[Behind]),
    deadline: Instant,
) -> Result<usize, ControlError> {
    loop {
        match store.acknowledged(fence).await? {
            Acknowledged::All { replicas } => return Ok(replicas),
            Acknowledged::Waiting { behind } if Instant::now() < deadline => on_progress(&behind),
            Acknowledged::Waiting { behind } => {
                let behind: Vec<String> = behind.iter().map(Behind::to_string).collect();
                return Err(ControlError::FenceTimedOut { behind: behind.join("; ") });
            }
        }
        sleep(POLL).await;
    }
}
