//! Slows the walk down: a bound on rows for each second, and reasons to stop for a while.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::Row;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until};

use crate::control::{ControlError, Session};

/// When to go slower.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Rows for each second, all workers of this process together.
    pub rows_per_second: Option<u64>,
    /// Pause while the server runs more statements than this at once (`Threads_running`).
    pub threads_running_max: Option<u64>,
    /// Pause while a replica of the server that is asked is more seconds behind than this.
    pub lag_seconds_max: Option<u64>,
    /// Pause while this query gives anything but 0 or NULL in its first column.
    pub query: Option<String>,
    /// Pause while this file exists.
    pub flag_file: Option<PathBuf>,
}

/// Why the walk rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It does not.
    No,
    /// For this reason.
    Because(String),
}

/// The brake that all workers of a process share.
pub(super) struct Throttle {
    rows_per_second: Option<u64>,
    /// When the next rows may be taken.
    next: Mutex<Instant>,
    hold: watch::Receiver<Hold>,
}

impl Throttle {
    pub(super) fn new(limits: &Limits, hold: watch::Receiver<Hold>) -> Self {
        Self { rows_per_second: limits.rows_per_second, next: Mutex::new(Instant::now()), hold }
    }

    /// Waits until so many rows may be taken.
    pub(super) async fn admit(&self, rows: u64) {
        let mut hold = self.hold.clone();
        // The sender lives as long as the workers.
        drop(hold.wait_for(|hold| *hold == Hold::No).await.map(|_| ()));
        let Some(rate) = self.rows_per_second.filter(|rate| *rate > 0) else { return };
        let span = Duration::from_secs_f64(rows as f64 / rate as f64);
        let start = {
            let mut next = self.next.lock().await;
            let start = (*next).max(Instant::now());
            *next = start + span;
            start
        };
        sleep_until(start).await;
    }
}

impl Limits {
    /// Asks the server and the file system whether to rest.
    pub(super) async fn ask(&self, session: &mut Session) -> Result<Hold, ControlError> {
        if let Some(path) = self.flag_file.as_ref().filter(|path| path.exists()) {
            return Ok(Hold::Because(format!("{} exists", path.display())));
        }
        if let Some(max) = self.threads_running_max {
            let rows: Vec<(String, u64)> = session.rows("SHOW GLOBAL STATUS LIKE 'Threads_running'").await?;
            if let Some((_, running)) = rows.first().filter(|(_, running)| *running > max) {
                return Ok(Hold::Because(format!("{running} threads are running")));
            }
        }
        if let Some(max) = self.lag_seconds_max {
            let lag = lag(session).await?;
            if lag.is_none_or(|seconds| seconds > max) {
                let how = lag.map_or("an unknown time".to_owned(), |seconds| format!("{seconds} s"));
                return Ok(Hold::Because(format!("replication is {how} behind")));
            }
        }
        if let Some(query) = &self.query {
            let rows: Vec<Row> = session.rows(query).await?;
            let answer = rows.first().and_then(|row| row.as_ref(0).cloned());
            let is_zero = match answer {
                None | Some(mysql_async::Value::NULL) => true,
                Some(mysql_async::Value::Bytes(bytes)) => bytes.iter().all(|byte| matches!(byte, b'0' | b'.')),
                Some(_) => false,
            };
            if !is_zero {
                return Ok(Hold::Because("the throttle query says so".to_owned()));
            }
        }
        Ok(Hold::No)
    }
}

/// Seconds that the asked server is behind its source: 0 if it has none, `None` if replication has stopped.
async fn lag(session: &mut Session) -> Result<Option<u64>, ControlError> {
    let rows: Vec<Row> = session.rows("SHOW REPLICA STATUS").await?;
    let mut worst = Some(0);
    for row in &rows {
        let names = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
        let seconds = names.iter().find_map(|name| row.get_opt::<u64, _>(*name).and_then(Result::ok));
        worst = worst.zip(seconds).map(|(worst, seconds)| worst.max(seconds));
    }
    Ok(worst)
}
