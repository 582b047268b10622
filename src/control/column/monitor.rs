//! What is told about a job while it runs, and the loop that asks how far it is and whether to rest.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::ColumnError;
use super::job::{Job, JobSummary, Jobs, Phase};
use super::preflight::Remark;
use super::throttle::{Hold, Limits};
use crate::control::{ControlError, Session};

/// How often.
const PERIOD: Duration = Duration::from_millis(500);
/// Limit for one look.
const LIMIT: Duration = Duration::from_secs(30);
/// How long what is told of a rest holds. It is told with every look.
const RESTING_SECONDS: u32 = 10;
/// Characters of a reason that are kept.
const REASON_CHARS_MAX: usize = 255;
/// Why a paused job rests.
const PAUSED: &str = "the job is paused: `candado column resume` goes on";

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A step began.
    Step(String),
    /// Preflight found something.
    Remark(Remark),
    /// A statement that changes the table: run now, or to be run by the operator.
    Statement(String),
    /// Something is waited for.
    Waiting(String),
    /// The walk is so far.
    Walk(JobSummary),
    /// The walk rests.
    Resting(String),
    /// Verification is so far: rows, and the estimate of all.
    Verified(u64, u64),
}

/// Hears of everything. Called from several tasks.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn hear(&self, event: Event);
}

/// Looks at the job again and again until the future is dropped. Ends with the error of a brake that cannot be asked: a
/// walk whose brakes do not work must not go on.
pub(super) async fn watch(
    jobs: &Jobs,
    job: &Job,
    limits: &Limits,
    observer: &dyn Observer,
    hold: &watch::Sender<Hold>,
) -> ColumnError {
    let mut session: Option<Session> = None;
    loop {
        let looked = look(jobs, job, limits, &mut session).await;
        match looked {
            Ok((summary, now)) => {
                observer.hear(Event::Walk(summary));
                if let Hold::Because(reason) = &now {
                    observer.hear(Event::Resting(reason.clone()));
                }
                hold.send_replace(now);
            }
            Err(error) => {
                let error = ColumnError::from(error);
                if !error.is_passing() {
                    return error;
                }
                // The workers meet the same server and say what is wrong with it.
                session = None;
            }
        }
        sleep(PERIOD).await;
    }
}

async fn look(
    jobs: &Jobs,
    job: &Job,
    limits: &Limits,
    kept: &mut Option<Session>,
) -> Result<(JobSummary, Hold), ControlError> {
    let session = match kept {
        Some(session) => session,
        None => kept.insert(jobs.store.pool.session("follow the job", LIMIT).await?),
    };
    session.renew();
    let mut found = jobs.summaries(session, &format!("j.job_id = {}", job.id)).await?;
    let summary = found.pop().ok_or(ControlError::Malformed { what: "a job that is missing" })?;
    let hold = if summary.phase != Phase::Walk.name() {
        // Workers end by themselves.
        Hold::No
    } else if summary.is_paused {
        Hold::Because(PAUSED.to_owned())
    } else {
        let hold = limits.ask(session).await?;
        jobs.tell_rest(session, job, &hold, summary.resting.as_deref()).await?;
        hold
    };
    Ok((summary, hold))
}

/// Id, schema, table, verb, columns, phase, paused, pass, estimate, started, changed, why it rests.
type JobRow = (u64, String, String, String, String, String, u8, u32, u64, String, String, Option<String>);
/// Seen, changed, conflicts, processes, seconds since the first chunk.
type SumRow = (u64, u64, u64, u64, f64);

impl Jobs {
    /// Tells all who ask for the job why the walk of this process rests, or that it goes on again. `told` is what stands
    /// there.
    async fn tell_rest(
        &self,
        session: &mut Session,
        job: &Job,
        hold: &Hold,
        told: Option<&str>,
    ) -> Result<(), ControlError> {
        let reason: Option<String> = match hold {
            Hold::No => None,
            Hold::Because(reason) => Some(reason.chars().take(REASON_CHARS_MAX).collect()),
        };
        if reason.is_none() && told.is_none() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE {}.job SET resting = ?, resting_until = UTC_TIMESTAMP(6) + INTERVAL {RESTING_SECONDS} SECOND \
             WHERE job_id = ?",
            self.schema()
        );
        session.change(&sql, (reason, job.id)).await.map(drop)
    }

    /// Jobs for people, newest first.
    pub(super) async fn summaries(&self, session: &mut Session, which: &str) -> Result<Vec<JobSummary>, ControlError> {
        let schema = self.schema();
        let time = |name: &str| format!("DATE_FORMAT({name}, '%Y-%m-%dT%H:%i:%sZ')");
        let sql = format!(
            "SELECT j.job_id, j.table_schema, j.table_name, j.verb, CAST(j.columns AS CHAR), j.phase, j.paused, j.pass, \
             j.rows_estimate, {}, {}, IF(j.resting_until > UTC_TIMESTAMP(6), j.resting, NULL) FROM {schema}.job j WHERE {which} ORDER BY j.job_id DESC",
            time("j.started_at"),
            time("j.changed_at")
        );
        let jobs: Vec<JobRow> = session.rows(&sql).await?;
        let mut found = Vec::new();
        for row in jobs {
            let (id, pass) = (row.0, row.7);
            let sql = format!(
                "SELECT CAST(COALESCE(SUM(rows_seen), 0) AS UNSIGNED), CAST(COALESCE(SUM(rows_changed), 0) AS UNSIGNED), \
                 CAST(COALESCE(SUM(conflicts), 0) AS UNSIGNED), COUNT(DISTINCT IF(done_at IS NULL, owner, NULL)), \
                 COALESCE(TIMESTAMPDIFF(MICROSECOND, MIN(started_at), \
                 IF(SUM(done_at IS NULL) > 0, UTC_TIMESTAMP(6), MAX(done_at))) / 1000000e0, 0e0) \
                 FROM {schema}.job_chunk WHERE job_id = {id} AND pass = {pass}"
            );
            let sums: Vec<SumRow> = session.rows(&sql).await?;
            let (seen, changed, conflicts, processes, seconds) = sums.into_iter().next().unwrap_or_default();
            found.push(JobSummary::new(row, (seen, changed, conflicts, processes, seconds))?);
        }
        Ok(found)
    }
}

impl JobSummary {
    fn new(job: JobRow, sums: SumRow) -> Result<Self, ControlError> {
        let (id, database, table, verb, columns, phase, paused, pass, rows_estimate, started_at, changed_at, resting) =
            job;
        let (rows_seen, rows_changed, conflicts, processes, seconds) = sums;
        let malformed = |what| ControlError::Malformed { what };
        let phase = Phase::from_name(&phase).ok_or(malformed("a job's phase"))?;
        let resting = match (phase, paused) {
            (Phase::Walk, 0) => resting,
            (Phase::Walk, _) => Some(PAUSED.to_owned()),
            (Phase::Prepare | Phase::Fence | Phase::Verify | Phase::Finish | Phase::Done | Phase::Aborted, _) => None,
        };
        Ok(Self {
            id,
            table: crate::schema::TableRef::new(database, table),
            verb: super::Verb::from_name(&verb).ok_or(malformed("a job's verb"))?,
            columns: serde_json::from_str(&columns).map_err(|_| malformed("a job's columns"))?,
            phase: phase.name(),
            is_paused: paused != 0,
            resting,
            pass,
            rows_seen,
            rows_changed,
            conflicts,
            rows_estimate,
            rows_per_second: if seconds > 0.0 { rows_seen as f64 / seconds } else { 0.0 },
            processes,
            started_at,
            changed_at,
        })
    }
}
