//! Anchors of the record of accesses: where each proxy's chain ended, again and again, in a table to which the proxy's
//! account adds and in which it changes nothing. By them a file is missed that was cut off or taken away.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::record::code;
use super::{ControlError, KeyStore, chain};
use crate::audit::{ChainEnd, ChainId};

/// Number, name, chain, record and code of an anchor, as they are stored.
type Row = (u64, String, Vec<u8>, u64, Vec<u8>);

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

    /// Shows all anchors, oldest first, until `each` has seen enough. A page at a time is in memory.
    pub async fn anchors(&self, mut each: impl FnMut(ChainEnd) -> ControlFlow<()>) -> Result<(), ControlError> {
        let mut session = self.session("read the anchors of the record of accesses").await?;
        let mut behind = 0_u64;
        loop {
            let sql = format!(
                "SELECT anchor_id, name, chain, seq, mac FROM {}.audit_anchor WHERE anchor_id > {behind} \
                 ORDER BY anchor_id LIMIT {PAGE}",
                self.schema
            );
            let rows: Vec<Row> = session.rows(&sql).await?;
            let is_last = rows.len() < PAGE;
            for (id, name, chain, seq, mac) in rows {
                let malformed = |_| ControlError::Malformed { what: "a chain's name" };
                let chain = ChainId(chain.try_into().map_err(malformed)?);
                behind = id;
                if each(ChainEnd { name, chain, seq, mac: code(mac)? }).is_break() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }
}
