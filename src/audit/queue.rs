//! Where the data plane hands accesses over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::{AuditError, ChainEnd, Condition, Counters, Disclosure, Mode, Outcome, Settings, Writer};

/// How long the data plane waits for the writer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A result, for its record.
    pub(super) record: Duration,
    /// A statement, to hear whether records can be written again.
    pub(super) trial: Duration,
}

const LIMITS: Limits = Limits { record: Duration::from_secs(10), trial: Duration::from_secs(1) };

/// A record on its way.
#[derive(Debug)]
pub(super) struct Job {
    /// `None`: somebody asks whether records can be written.
    pub(super) disclosure: Option<Box<Disclosure>>,
    /// Whoever waits for it.
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// The access could not be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRecorded;

/// The way to the writer.
#[derive(Debug)]
pub struct Audit {
    mode: Mode,
    queue: mpsc::Sender<Job>,
    counters: Arc<Counters>,
    condition: Arc<Condition>,
    /// Lost since the last record that told of it.
    lost: Arc<AtomicU64>,
    pub(super) limits: Limits,
}

impl Audit {
    /// Begins the record, or goes on with it. The writer has to be run, on a thread that may wait. The receiver follows the
    /// record's end.
    ///
    /// # Errors
    /// The key cannot be read, or nothing can be written.
    pub fn begin(settings: &Settings) -> Result<(Self, Writer, watch::Receiver<Option<ChainEnd>>), AuditError> {
        let (queue, waiting) = mpsc::channel(settings.queue_max.max(1));
        let (counters, lost) = (Arc::<Counters>::default(), Arc::<AtomicU64>::default());
        let (ends, end) = watch::channel(None);
        let condition = Arc::<Condition>::default();
        let shared = (counters.clone(), condition.clone(), lost.clone());
        let writer = Writer::begin(settings, waiting, shared, ends)?;
        Ok((Self { mode: settings.mode, queue, counters, condition, lost, limits: LIMITS }, writer, end))
    }

    /// What has become of records so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Whether the data plane waits for records.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a statement that would show protected cells may be sent. In mode fast it may. In mode strict it may not once
    /// a record could not be written, or was not written in time, until the writer proves that it can write again: by the
    /// record of what was lost.
    ///
    /// # Errors
    /// In mode strict, records cannot be written.
    pub async fn admit(&self) -> Result<(), NotRecorded> {
        match self.mode {
            Mode::Fast => return Ok(()),
            Mode::Strict if self.condition.is_well() => return Ok(()),
            Mode::Strict => {}
        }
        let (written, done) = oneshot::channel();
        // Without a place in the queue nothing is written.
        self.queue.try_send(Job { disclosure: None, written: Some(written) }).map_err(|_| NotRecorded)?;
        match tokio::time::timeout(self.limits.trial, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotRecorded),
        }
    }

    /// Records an access. In mode strict it returns when the record is written, and fails if it cannot be; in mode fast it
    /// never waits and never fails.
    ///
    /// # Errors
    /// In mode strict, the record is not written, or not within ten seconds.
    pub async fn record(&self, disclosure: Disclosure) -> Result<(), NotRecorded> {
        match self.mode {
            Mode::Fast => {
                self.leave(disclosure);
                Ok(())
            }
            Mode::Strict => {
                let (written, done) = oneshot::channel();
                // Given up, what has only begun shows nothing: there is nothing to lose.
                let waiting = Waiting((disclosure.outcome != Outcome::Begun).then_some(self));
                let job = Job { disclosure: Some(Box::new(disclosure)), written: Some(written) };
                let recorded = async {
                    let place = self.queue.reserve().await.map_err(|_| NotRecorded)?;
                    self.counters.waiting.fetch_add(1, Ordering::Relaxed);
                    place.send(job);
                    waiting.handed_over();
                    done.await.map_err(|_| NotRecorded)
                };
                tokio::time::timeout(self.limits.record, recorded).await.unwrap_or_else(|_| {
                    if self.condition.fails() {
                        tracing::error!(alarm = true, "the record of accesses is not written in time");
                    }
                    Err(NotRecorded)
                })
            }
        }
    }

    /// Hands an access over without waiting, in either mode: nobody is left who could be told.
    pub fn leave(&self, disclosure: Disclosure) {
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Job { disclosure: Some(Box::new(disclosure)), written: None }).is_err() {
            self.counters.settled(1);
            self.lose();
        }
    }

    fn lose(&self) {
        self.counters.lost.fetch_add(1, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Relaxed);
        if self.mode == Mode::Strict && self.condition.fails() {
            tracing::error!(alarm = true, "accesses are lost: the record does not take them");
        }
    }
}

/// An access that has no place in the queue yet. Given up, whether its time ran out or its client went, it is lost.
struct Waiting<'a>(Option<&'a Audit>);

impl Waiting<'_> {
    /// It is the writer's.
    fn handed_over(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(audit) = self.0 {
            audit.lose();
        }
    }
}
