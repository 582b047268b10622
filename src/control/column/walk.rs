//! Walks the table chunk by chunk: reads a page, converts it, writes it back if nobody else has meanwhile.

use std::time::Duration;

use mysql_async::Row;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::ColumnError;
use super::apply::{Change, statement};
use super::chunk::{Chunk, Claim, Counts, Reached, position};
use super::job::{Job, Jobs};
use super::position::{Position, Stretch};
use super::subjects::{make_subject_keys, open_subject_keys};
use super::table::{Selected, Table};
use super::throttle::Throttle;
use super::transform::{Cells, Goal};
use crate::control::{Backoff, Session};

/// Rows that a transaction changes at most.
const ROWS_MAX: usize = 500;
/// Bytes of a statement, about, at most: below the smallest `max_allowed_packet` that is usual.
const STATEMENT_OCTETS_MAX: usize = 4 << 20;
/// Rows of the first chunk, and bounds of later ones.
const CHUNK_FIRST: u64 = 2_000;
const CHUNK_MIN: u64 = 500;
const CHUNK_MAX: u64 = 50_000;
/// What a chunk should take. Short enough that little is repeated and that throttling acts, long enough that planning
/// costs nothing.
const CHUNK_GOAL: Duration = Duration::from_secs(2);
/// Limit for one operation of a worker.
const LIMIT: Duration = Duration::from_secs(60);
/// How often what others hold is looked at.
const POLL: Duration = Duration::from_millis(200);
/// How long the server may be away.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a page may lose against other writers before that is an error.
const RACES_MAX: u32 = 100;

/// One walk over one table.
pub(super) struct Walk<'a> {
    pub(super) jobs: &'a Jobs,
    pub(super) job: &'a Job,
    pub(super) table: &'a Table,
    pub(super) cells: Vec<Cells<'a>>,
    pub(super) goal: Goal,
    pub(super) throttle: &'a Throttle,
}

/// A page of rows as read and as it shall be.
struct Page {
    rows: u64,
    last: Option<Position>,
    changes: Vec<Change>,
    is_last: bool,
}

impl Page {
    /// What is left of a stretch after this page, its first; `None` after the last page.
    fn rest(&self, stretch: &Stretch) -> Option<Stretch> {
        let last = self.last.clone().filter(|_| !self.is_last)?;
        Some(Stretch { lower: Some(last), upper: stretch.upper.clone() })
    }
}

impl Walk<'_> {
    /// One worker: takes chunks until there are none. A server that is away is waited for.
    pub(super) async fn work(&self) -> Result<(), ColumnError> {
        let mut worker = Worker { sessions: None, chunk: None, chunk_rows: CHUNK_FIRST, page_rows: ROWS_MAX };
        let (mut backoff, mut failing_since) = (Backoff::new(), None);
        loop {
            match self.step(&mut worker).await {
                Ok(Step::On) => (backoff, failing_since) = (Backoff::new(), None),
                Ok(Step::Over) => return Ok(()),
                Err(error) if error.is_passing() => {
                    worker.sessions = None;
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(error);
                    }
                    tracing::warn!(cause = %error, "the server is not there; trying again");
                    backoff.wait().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a chunk if there is none, and goes through it.
    async fn step(&self, worker: &mut Worker) -> Result<Step, ColumnError> {
        let mut sessions = match worker.sessions.take() {
            Some(sessions) => sessions,
            None => Sessions { writes: self.session().await?, reads: self.session().await? },
        };
        sessions.writes.renew();
        if worker.chunk.is_none() {
            match self.jobs.claim(&mut sessions.writes, self.job, self.table, worker.chunk_rows).await? {
                Claim::Chunk(chunk) => worker.chunk = Some(chunk),
                Claim::Wait => sleep(POLL).await,
                Claim::Over => return Ok(Step::Over),
            }
        }
        let started = Instant::now();
        // After a failure, what is left of the chunk is this worker's still, if its lease is.
        let seen = self.chunk(&mut sessions, &mut worker.chunk, &mut worker.page_rows).await?;
        worker.adapt(seen, started.elapsed());
        worker.sessions = Some(sessions);
        Ok(Step::On)
    }

    async fn session(&self) -> Result<Session, ColumnError> {
        Ok(self.jobs.store.pool.session("convert rows", LIMIT).await?)
    }

    /// Goes through a chunk page by page; returns the rows seen. `chunk` is what is left of it.
    ///
    /// While the server writes a page and waits for its disk, the next one is read and converted. What was read too
    /// early is found by the comparison when it is written, as everything that somebody changes meanwhile.
    async fn chunk(
        &self,
        Sessions { writes, reads }: &mut Sessions,
        chunk: &mut Option<Chunk>,
        page_rows: &mut usize,
    ) -> Result<u64, ColumnError> {
        let (mut seen, mut races) = (0_u64, 0_u32);
        let mut ahead = None;
        while let Some(current) = chunk.as_mut() {
            let page = match ahead.take() {
                Some(page) => page,
                None => self.page(reads, &current.stretch, page_rows).await?,
            };
            let rest = page.rest(&current.stretch);
            let next = async {
                match &rest {
                    Some(rest) => self.page(reads, rest, page_rows).await.map(Some),
                    None => Ok(None),
                }
            };
            // Neither is dropped half-way: a connection with an answer outstanding is of no use.
            let (written, read) = tokio::join!(self.write(writes, current, &page), next);
            match written? {
                // Another process has taken it over.
                (Kept::No, _) => *chunk = None,
                (Kept::Yes, 0) => {
                    races = 0;
                    seen = seen.saturating_add(page.rows);
                    match rest {
                        Some(rest) => {
                            current.stretch = rest;
                            ahead = read?;
                            continue;
                        }
                        None => *chunk = None,
                    }
                }
                (Kept::Yes, _) => {
                    races = races.saturating_add(1);
                    if races > RACES_MAX {
                        let position = page.last.map(|last| last.described(&self.table.key)).unwrap_or_default();
                        return Err(ColumnError::Contended { position });
                    }
                }
            }
            // The page that was read ahead is not the next one; its connection may have failed all the same.
            read?;
        }
        Ok(seen)
    }

    /// Reads the first rows of a stretch, when the throttle lets them pass, and converts them.
    async fn page(&self, session: &mut Session, stretch: &Stretch, page_rows: &mut usize) -> Result<Page, ColumnError> {
        self.throttle.admit(*page_rows as u64).await;
        session.renew();
        let select = self.table.select(Selected::KeyAndCells, &stretch.condition(&self.table.key));
        let rows: Vec<Row> = session.rows(&format!("{select} LIMIT {page_rows}")).await?;
        let is_short = rows.len() < *page_rows;
        let mut page = Page { rows: 0, last: None, changes: Vec::new(), is_last: is_short };
        let mut octets = 0_usize;
        let rows = rows.into_iter().map(|row| position(row.unwrap(), self.table)).collect::<Result<Vec<_>, _>>()?;
        let stored = || rows.iter().map(|(_, cells)| cells.as_slice());
        open_subject_keys(&self.jobs.store, &self.cells, stored()).await?;
        match self.goal {
            Goal::Sealed | Goal::Renewed => {
                make_subject_keys(&self.jobs.store, &self.cells, self.table, stored()).await?;
            }
            Goal::Plain => {}
        }
        for (at, cells) in rows {
            let change = self.converted(at.clone(), cells)?;
            let more = change.as_ref().map_or(0, Change::octets);
            if !page.changes.is_empty() && octets.saturating_add(more) > STATEMENT_OCTETS_MAX {
                // The rest is read again: a statement has its bounds.
                page.is_last = false;
                *page_rows = usize::try_from(page.rows).unwrap_or(ROWS_MAX).max(1);
                break;
            }
            octets = octets.saturating_add(more);
            page.changes.extend(change);
            page.rows = page.rows.saturating_add(1);
            page.last = Some(at);
        }
        if octets < STATEMENT_OCTETS_MAX / 4 {
            *page_rows = page_rows.saturating_mul(2).min(ROWS_MAX);
        }
        Ok(page)
    }

    /// What becomes of a row; `None` if it stays.
    fn converted(&self, at: Position, cells: Vec<Option<Vec<u8>>>) -> Result<Option<Change>, ColumnError> {
        let mut changed = false;
        let owner = self.table.owner(&cells);
        let mut pairs = Vec::with_capacity(cells.len());
        let mut cells = cells.into_iter();
        for (column, stored) in self.cells.iter().zip(cells.by_ref()) {
            let stored = stored.map(Zeroizing::new);
            let new = match &stored {
                None => None,
                Some(bytes) => {
                    column.converted(self.goal, bytes, owner.as_deref()).map_err(|fault| ColumnError::Cell {
                        column: column.column.column.clone(),
                        position: at.described(&self.table.key),
                        fault,
                    })?
                }
            };
            changed |= new.is_some();
            let new = new.or_else(|| stored.clone());
            pairs.push((stored, new));
        }
        Ok(changed.then(|| Change { position: at, cells: pairs, stated: cells.next().flatten() }))
    }

    /// Writes a page back and says how far the chunk is, in one transaction. Returns how many rows somebody else had
    /// changed meanwhile: the page is read again then, and what is right already is left alone.
    async fn write(&self, session: &mut Session, chunk: &Chunk, page: &Page) -> Result<(Kept, u64), ColumnError> {
        session.renew();
        session.control("START TRANSACTION").await?;
        let wanted = page.changes.len() as u64;
        let changed = if page.changes.is_empty() {
            0
        } else {
            session.execute(&statement(self.table, &page.changes)).await?.rows
        };
        let conflicts = wanted.saturating_sub(changed);
        let reached = match (conflicts, page.is_last) {
            (0, true) => Reached::End,
            (0, false) => Reached::Row,
            (_, _) => Reached::Nowhere,
        };
        let seen = if conflicts == 0 { page.rows } else { 0 };
        let counts = Counts { seen, changed, conflicts };
        if self.jobs.reach(session, self.job, chunk, (reached, page.last.as_ref()), counts).await? {
            session.control("COMMIT").await?;
            Ok((Kept::Yes, conflicts))
        } else {
            session.control("ROLLBACK").await?;
            Ok((Kept::No, 0))
        }
    }
}

/// Whether there is more to do.
enum Step {
    On,
    Over,
}

/// Whether a chunk is still this process's.
enum Kept {
    Yes,
    No,
}

/// A worker's connections: a page is written over one while the next is read over the other.
struct Sessions {
    writes: Session,
    reads: Session,
}

/// What a worker has between steps.
struct Worker {
    sessions: Option<Sessions>,
    chunk: Option<Chunk>,
    chunk_rows: u64,
    page_rows: usize,
}

impl Worker {
    /// Chooses the next chunk's size by the time that this one took, by a factor of two at most.
    fn adapt(&mut self, rows: u64, took: Duration) {
        if rows == 0 {
            return;
        }
        let factor = (CHUNK_GOAL.as_secs_f64() / took.as_secs_f64().max(0.001)).clamp(0.5, 2.0);
        self.chunk_rows = ((self.chunk_rows as f64 * factor) as u64).clamp(CHUNK_MIN, CHUNK_MAX);
    }
}
