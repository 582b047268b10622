//! The ends of the way: one worker for each sink, which takes events from its queue and tries until they are delivered.

mod file;
mod http;
mod syslog;

#[cfg(test)]
pub(super) use syslog::message as syslog_message;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::counters::SinkCounters;
use super::{Event, Settings, SettingsError};

/// The first wait after a failure; later ones double.
const WAIT_FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const WAIT_LAST: Duration = Duration::from_secs(30);
/// Limit for one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// What is left may take so long when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why events were not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    /// It may go better later.
    #[error("{0}")]
    Passing(String),
    /// The receiver will not take these events.
    #[error("{0}")]
    Final(String),
}

impl SinkError {
    fn passing(error: &dyn std::error::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

/// A place that takes events.
#[derive(Debug)]
pub(super) enum Destination {
    File(file::File),
    Syslog(syslog::Syslog),
    Http(Box<http::Collector>),
}

impl Destination {
    /// All that are configured.
    pub(super) fn all(settings: &Settings) -> Result<Vec<Self>, SettingsError> {
        let mut all = Vec::new();
        all.extend(settings.file.clone().map(|file| Self::File(file::File::new(file))));
        all.extend(settings.syslog.clone().map(|syslog| Self::Syslog(syslog::Syslog::new(syslog))));
        if let Some(http) = &settings.http {
            all.push(Self::Http(Box::new(http::Collector::new(http)?)));
        }
        Ok(all)
    }

    /// Its name in metrics and in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Http(_) => "http",
        }
    }

    fn batch_max(&self) -> usize {
        match self {
            // One line, one datagram: a failure in the midst of several would repeat those before it.
            Self::File(_) | Self::Syslog(_) => 1,
            Self::Http(collector) => collector.batch_max(),
        }
    }

    fn reopen(&mut self) {
        match self {
            Self::File(file) => file.close(),
            Self::Syslog(_) | Self::Http(_) => {}
        }
    }

    async fn deliver(&mut self, batch: &[Arc<Event>]) -> Result<(), SinkError> {
        match self {
            Self::File(file) => file.deliver(batch).await,
            Self::Syslog(syslog) => syslog.deliver(batch).await,
            Self::Http(collector) => collector.deliver(batch).await,
        }
    }
}

/// Carries events from a queue to a sink.
#[derive(Debug)]
pub struct Worker {
    destination: Destination,
    queue: mpsc::Receiver<Arc<Event>>,
    counters: Arc<SinkCounters>,
    reopen: watch::Receiver<()>,
    wait: Duration,
}

impl Worker {
    pub(super) fn new(
        destination: Destination,
        queue: mpsc::Receiver<Arc<Event>>,
        counters: Arc<SinkCounters>,
        reopen: watch::Receiver<()>,
    ) -> Self {
        Self { destination, queue, counters, reopen, wait: WAIT_FIRST }
    }

    /// Works until `stop`, and a little longer for what waits then.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while !stop.is_cancelled() {
            let most = self.destination.batch_max();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.reopen.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.destination.reopen();
                }
                count = self.queue.recv_many(&mut batch, most) => {
                    if count == 0 {
                        break;
                    }
                    if self.until_delivered(&batch, &stop).await {
                        batch.clear();
                    }
                }
            }
        }
        self.farewell(batch).await;
    }

    /// Tries until it succeeds, or is of no use. `false`: the process ends before.
    async fn until_delivered(&mut self, batch: &[Arc<Event>], stop: &CancellationToken) -> bool {
        loop {
            let attempt = tokio::select! {
                () = stop.cancelled() => return false,
                attempt = self.attempt(batch) => attempt,
            };
            if attempt {
                return true;
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(self.wait) => {}
            }
            self.wait = WAIT_LAST.min(self.wait * 2);
        }
    }

    /// One attempt. `false`: another one is worth while.
    async fn attempt(&mut self, batch: &[Arc<Event>]) -> bool {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let late = Err(SinkError::Passing("no answer in time".to_owned()));
        match timeout(ATTEMPT, self.destination.deliver(batch)).await.unwrap_or(late) {
            Ok(()) => {
                self.counters.delivered.fetch_add(count, Ordering::Relaxed);
                self.wait = WAIT_FIRST;
                true
            }
            Err(error) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                let sink = self.destination.name();
                match error {
                    SinkError::Passing(cause) => {
                        tracing::warn!(sink, cause, events = count, "firewall events are not taken; they are kept");
                        false
                    }
                    SinkError::Final(cause) => {
                        self.counters.dropped.fetch_add(count, Ordering::Relaxed);
                        tracing::error!(sink, cause, events = count, "firewall events are refused; they are lost");
                        true
                    }
                }
            }
        }
    }

    /// What is left when the process ends: one attempt for each batch, all within a moment.
    async fn farewell(mut self, mut batch: Vec<Arc<Event>>) {
        let most = self.destination.batch_max();
        self.queue.close();
        let all = async {
            loop {
                while batch.len() < most
                    && let Ok(event) = self.queue.try_recv()
                {
                    batch.push(event);
                }
                if batch.is_empty() || !self.attempt(&batch).await {
                    return;
                }
                batch.clear();
            }
        };
        // What did not get through is counted below.
        drop(timeout(FAREWELL, all).await);
        let mut lost = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        while self.queue.try_recv().is_ok() {
            lost += 1;
        }
        self.counters.dropped.fetch_add(lost, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(sink = self.destination.name(), events = lost, "firewall events were lost at the end");
        }
    }
}
