//! The report of shadow mode: written at intervals, when it is asked for, and at the end.
//!
//! JSON lines, sums first. The file is replaced as a whole, and only its owner can read it: texts have no values in them,
//! but they tell what an application does.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::explain::{ShadowHead, ShadowTable};

/// What is reported, and where.
#[derive(Debug)]
pub(super) struct Report {
    table: Arc<ShadowTable>,
    path: PathBuf,
    every: Duration,
    began_s: u64,
    asked: Notify,
}

impl Report {
    /// A report of nothing yet.
    pub(super) fn new(settings: &config::Shadow) -> Self {
        Self {
            table: Arc::new(ShadowTable::new(usize::try_from(settings.lines_max).unwrap_or(usize::MAX))),
            path: settings.report.clone(),
            every: settings.interval,
            began_s: now_s(),
            asked: Notify::new(),
        }
    }

    /// Where the data plane counts.
    pub(super) fn table(&self) -> Arc<ShadowTable> {
        self.table.clone()
    }

    /// Has it written soon.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Writes it until the token is cancelled, and once more then.
    pub(super) async fn run(self: Arc<Self>, tasks: TaskTracker, stop: CancellationToken) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                () = stop.cancelled() => Last::Yes,
                _ = ticks.tick() => Last::No,
                () = self.asked.notified() => Last::No,
            };
            let report = self.clone();
            // The writing alone is awaited, and it ends.
            if let Ok(Err(error)) = tasks.spawn_blocking(move || report.write()).await {
                tracing::error!(cause = %error, "the report of shadow mode cannot be written");
            }
            if last == Last::Yes {
                return;
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        let (lines, totals) = (self.table.lines(), self.table.totals());
        let head = ShadowHead {
            candado_shadow: env!("CARGO_PKG_VERSION").to_owned(),
            began_s: self.began_s,
            written_s: now_s(),
            totals,
        };
        let mut text = serde_json::to_vec(&head)?;
        text.push(b'\n');
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        replace(&self.path, &text)?;
        let (relayed, rewritten, refused) = (totals.relayed, totals.rewritten, totals.refused);
        tracing::warn!(relayed, rewritten, refused, lines = lines.len(), "shadow mode: report written");
        Ok(())
    }
}

/// Whether it is the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

/// Puts a file with this content in the place of the one at `path`, at once.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
