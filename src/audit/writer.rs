//! The writer: takes what waits, gives it its place in the chain, writes it, and says so to whoever waits for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot, watch};

use super::queue::Job;
use super::sink::Sink;
use super::{AuditError, ChainEnd, Condition, Counters, Line, Outcome, ProxyKey, Settings};
use crate::events::{rfc3339, since_epoch};

/// Records that are written at once.
const BATCH_MAX: usize = 256;

/// Writes records until nobody can hand any over.
#[derive(Debug)]
pub struct Writer {
    sink: Sink,
    queue: mpsc::Receiver<Job>,
    counters: Arc<Counters>,
    /// What the data plane goes by.
    condition: Arc<Condition>,
    /// Lost since the last record that told of it.
    lost: Arc<AtomicU64>,
    ends: watch::Sender<Option<ChainEnd>>,
    /// What was logged.
    health: Health,
}

/// Whether the last attempt succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    Failing,
}

impl Writer {
    pub(super) fn begin(
        settings: &Settings,
        queue: mpsc::Receiver<Job>,
        (counters, condition, lost): (Arc<Counters>, Arc<Condition>, Arc<AtomicU64>),
        ends: watch::Sender<Option<ChainEnd>>,
    ) -> Result<Self, AuditError> {
        let key = ProxyKey::load(&settings.key_file)?;
        let sink = Sink::open(&settings.target, key, &now())?;
        ends.send_replace(Some(sink.end()));
        Ok(Self { sink, queue, counters, condition, lost, ends, health: Health::Well })
    }

    /// Writes until the queue is closed. Blocks the thread.
    pub fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let mut batch = vec![first];
            batch.extend(self.waiting());
            self.write(batch);
        }
        if self.lost.load(Ordering::Relaxed) > 0 {
            self.write(Vec::new());
        }
        tracing::debug!("the record of accesses is closed");
    }

    /// What waits now, but for one place of a batch.
    pub(super) fn waiting(&mut self) -> Vec<Job> {
        std::iter::from_fn(|| self.queue.try_recv().ok()).take(BATCH_MAX.saturating_sub(1)).collect()
    }

    /// Writes a batch as a whole, or not at all.
    pub(super) fn write(&mut self, batch: Vec<Job>) {
        let told = self.lost.swap(0, Ordering::Relaxed);
        let handed_over = batch.iter().filter(|job| job.disclosure.is_some()).count();
        let (accesses, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(line).unzip();
        let accesses: Vec<Line> = accesses.into_iter().flatten().collect();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (count, shown) = (number(accesses.len()), number(accesses.iter().filter(|line| line.shows()).count()));
        // Writing nothing would prove nothing.
        let is_trial = accesses.is_empty() && !self.condition.is_well();
        let gap = (told > 0 || is_trial).then_some(Line::Gap { lost: told });
        let lines: Vec<Line> = gap.into_iter().chain(accesses).collect();
        let written = self.sink.write(&lines, &now());
        self.counters.settled(number(handed_over));
        match written {
            Ok(()) => {
                let is_news = self.condition.recovers();
                self.counters.written.fetch_add(count, Ordering::Relaxed);
                self.ends.send_replace(Some(self.sink.end()));
                for written in waiting.into_iter().flatten() {
                    // Its client may have gone meanwhile.
                    written.send(()).unwrap_or(());
                }
                if is_news || self.health == Health::Failing {
                    tracing::warn!("accesses are recorded again");
                }
                self.health = Health::Well;
            }
            Err(error) => {
                // Before those who wait hear of it, by their senders' end.
                self.condition.fails();
                self.lost.fetch_add(told.saturating_add(shown), Ordering::Relaxed);
                self.counters.lost.fetch_add(shown, Ordering::Relaxed);
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                if self.health == Health::Well {
                    tracing::error!(alarm = true, %error, "accesses cannot be recorded");
                }
                self.health = Health::Failing;
            }
        }
    }
}

/// A job's line, and who waits for it. If nobody does any more, its client did not get the result's end, nor anything of a
/// result that was about to begin: that has no line.
fn line(job: Job) -> (Option<Line>, Option<oneshot::Sender<()>>) {
    let Job { mut disclosure, written } = job;
    if written.as_ref().is_some_and(oneshot::Sender::is_closed) {
        disclosure = disclosure.filter(|disclosure| disclosure.outcome != Outcome::Begun);
        if let Some(disclosure) = &mut disclosure
            && disclosure.outcome == Outcome::Complete
        {
            disclosure.outcome = Outcome::Broken;
        }
    }
    (disclosure.map(Line::Access), written)
}

fn now() -> String {
    rfc3339(since_epoch(SystemTime::now()))
}
