//! Where the data plane hands accesses over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::{AuditError, ChainEnd, Counters, Disclosure, Mode, Settings, Writer};

/// How long a result waits for its record.
const RECORD_LIMIT: Duration = Duration::from_secs(10);

/// A record on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) disclosure: Box<Disclosure>,
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
    /// Lost since the last record that told of it.
    lost: Arc<AtomicU64>,
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
        let writer = Writer::begin(settings, waiting, (counters.clone(), lost.clone()), ends)?;
        Ok((Self { mode: settings.mode, queue, counters, lost }, writer, end))
    }

    /// What has become of records so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
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
                let job = Job { disclosure: Box::new(disclosure), written: Some(written) };
                let waiting = Waiting(Some(self));
                let recorded = async {
                    let place = self.queue.reserve().await.map_err(|_| NotRecorded)?;
                    place.send(job);
                    waiting.handed_over();
                    done.await.map_err(|_| NotRecorded)
                };
                tokio::time::timeout(RECORD_LIMIT, recorded).await.unwrap_or(Err(NotRecorded))
            }
        }
    }

    /// Hands an access over without waiting, in either mode: nobody is left who could be told.
    pub fn leave(&self, disclosure: Disclosure) {
        if self.queue.try_send(Job { disclosure: Box::new(disclosure), written: None }).is_err() {
            self.lose();
        }
    }

    fn lose(&self) {
        self.counters.lost.fetch_add(1, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Relaxed);
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
