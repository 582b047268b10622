//! Anchors of the record of accesses: where each proxy's chain ended, again and again, in a table to which the proxy's
//! account adds and in which it changes nothing. By them a file is missed that was cut off or taken away.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::record::code;
use super::{ControlError, KeyStore, chain};
use crate::audit::{AnchorPlace, ChainEnd, ChainId};
use crate::crypto::AUDIT_MAC_LENGTH;

/// Anchors that are read at once.
const PAGE: usize = 10_000;

/// Writes anchors until the record is closed.
#[derive(Debug)]
pub struct AnchorTask {
    store: KeyStore,
    end: watch::Receiver<Option<ChainEnd>>,
    every: Duration,
}

/// Whether the last attempt succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    Failing,
}

impl AnchorTask {
    /// Follows the end of a record, and anchors it that often.
    pub fn new(store: KeyStore, end: watch::Receiver<Option<ChainEnd>>, every: Duration) -> Self {
        Self { store, end, every }
    }

    /// Runs until the record is closed or its writer is given up; its last record is anchored then. What cannot be anchored
    /// is tried again next time.
    pub async fn run(mut self, given_up: CancellationToken) {
        let mut ticks = interval_at(Instant::now(), self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut anchored, mut health) = (None, Health::Well);
        let mut open = true;
        while open {
            tokio::select! {
                _ = ticks.tick() => {}
                () = closed(&mut self.end) => open = false,
                () = given_up.cancelled() => open = false,
            }
            let end = self.end.borrow_and_update().clone();
            if let Some(end) = end.filter(|end| anchored.as_ref() != Some(end)) {
                match self.store.put_anchor(&end).await {
                    Ok(()) => {
                        tracing::debug!(chain = %end.chain, seq = end.seq, "the record of accesses is anchored");
                        (anchored, health) = (Some(end), Health::Well);
                    }
                    Err(error) => {
                        let cause = chain(&error);
                        match health {
                            Health::Well => tracing::error!(cause, "the record of accesses cannot be anchored"),
                            Health::Failing => tracing::debug!(cause, "the record of accesses cannot be anchored"),
                        }
                        health = Health::Failing;
                    }
                }
            }
        }
    }
}

/// Waits until nobody writes any more. Cancel-safe.
async fn closed(end: &mut watch::Receiver<Option<ChainEnd>>) {
    while end.changed().await.is_ok() {}
}

impl KeyStore {
    /// Adds an anchor.
    pub async fn put_anchor(&self, end: &ChainEnd) -> Result<(), ControlError> {
        let mut session = self.session("anchor the record of accesses").await?;
        let sql = format!(
            "INSERT INTO {}.audit_anchor (name, chain, seq, mac, anchored_at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))",
            self.schema
        );
        session.change(&sql, (end.name.as_str(), end.chain.0.to_vec(), end.seq, end.mac.to_vec())).await?;
        Ok(())
    }

    /// Anchors of a chain behind that place, by record and then by number; at most a page of them. None: there are no more.
    pub async fn anchors_behind(
        &self,
        chain: ChainId,
        behind: AnchorPlace,
    ) -> Result<Vec<(AnchorPlace, [u8; AUDIT_MAC_LENGTH])>, ControlError> {
        let mut session = self.session("read the anchors of the record of accesses").await?;
        let AnchorPlace { seq, number } = behind;
        let sql = format!(
            "SELECT seq, anchor_id, mac FROM {}.audit_anchor WHERE chain = x'{chain}' AND seq >= {seq} \
             AND (seq > {seq} OR anchor_id > {number}) ORDER BY seq, anchor_id LIMIT {PAGE}",
            self.schema
        );
        let rows: Vec<(u64, u64, Vec<u8>)> = session.rows(&sql).await?;
        rows.into_iter().map(|(seq, number, mac)| Ok((AnchorPlace { seq, number }, code(mac)?))).collect()
    }

    /// Each chain of a proxy of that name, and the last of its records that is anchored.
    pub async fn anchored_chains(&self, name: &str) -> Result<Vec<(ChainId, u64)>, ControlError> {
        let mut session = self.session("read the anchors of the record of accesses").await?;
        let sql = format!("SELECT chain, MAX(seq) FROM {}.audit_anchor WHERE name = ? GROUP BY chain", self.schema);
        let rows: Vec<(Vec<u8>, u64)> = session.rows_with(&sql, (name,)).await?;
        let malformed = |_| ControlError::Malformed { what: "a chain's name" };
        rows.into_iter().map(|(chain, seq)| Ok((ChainId(chain.try_into().map_err(malformed)?), seq))).collect()
    }
}
