//! The end of the record of accesses, which comes also where the record's place takes nothing more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Counters;

/// How long the writer may take for what waits when the process ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// What keeps the record.
#[derive(Debug)]
pub(super) struct Record {
    /// The writer.
    pub(super) writer: TaskTracker,
    pub(super) counters: Arc<Counters>,
    /// Ends the anchors, if the writer does not.
    pub(super) given_up: CancellationToken,
}

impl Record {
    /// Waits for the writer, to which there is no way any more. One that waits for a place that takes nothing is given up:
    /// what it was to write is counted as lost, and said.
    pub(super) async fn end(self) {
        self.end_within(FAREWELL).await;
    }

    async fn end_within(self, limit: Duration) {
        self.writer.close();
        if tokio::time::timeout(limit, self.writer.wait()).await.is_err() {
            let lost = self.counters.give_up();
            tracing::error!(alarm = true, lost, "the record of accesses takes nothing more; what waits for it is lost");
        }
        self.given_up.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(writer: impl Future<Output = ()> + Send + 'static) -> Record {
        let record =
            Record { writer: TaskTracker::new(), counters: Arc::default(), given_up: CancellationToken::new() };
        record.writer.spawn(writer);
        record
    }

    #[tokio::test]
    async fn a_writer_that_hangs_does_not_keep_the_process() {
        let hung = record(std::future::pending());
        let given_up = hung.given_up.clone();
        hung.end_within(Duration::ZERO).await;
        assert!(given_up.is_cancelled());
    }

    #[tokio::test]
    async fn a_writer_that_ends_is_waited_for() {
        let (done, waiting) = tokio::sync::oneshot::channel::<()>();
        let ends = record(async { waiting.await.unwrap() });
        done.send(()).unwrap();
        ends.end().await;
    }
}
