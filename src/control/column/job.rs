//! Jobs as the database keeps them: what is to be done with which columns, how far it is, and who leads.

use std::fmt;
use std::sync::Arc;

use mysql_async::Row;

use super::ColumnError;
use crate::control::approval::{Approved, GuardedAct, Request, Signers};
use crate::control::{Actor, ControlError, Entry, KeyStore, Recorder, Session};
use crate::schema::TableRef;

/// How long a process that says nothing keeps what it has taken.
pub(super) const LEASE_SECONDS: u32 = 30;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Seals values that are there.
    Encrypt,
    /// Opens them for good.
    Decrypt,
    /// Seals again what is not under the active data key.
    Reencrypt,
    /// Seals again what is not under the active index key.
    Reindex,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Encrypt, Self::Decrypt, Self::Reencrypt, Self::Reindex];

    /// The word on the command line and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Reencrypt => "reencrypt",
            Self::Reindex => "reindex",
        }
    }

    /// The name of its beginning in the record of acts.
    const fn act(self) -> &'static str {
        match self {
            Self::Encrypt => "column.encrypt",
            Self::Decrypt => "column.decrypt",
            Self::Reencrypt => "column.reencrypt",
            Self::Reindex => "column.reindex",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a job is. Each phase can be repeated: what it has done already it finds done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Preflight, stage `plain`, statements that change the table.
    Prepare,
    /// The stage is published; proxies and old transactions are waited for.
    Fence,
    /// Rows are converted.
    Walk,
    /// Every cell is examined.
    Verify,
    /// The table gets its last statements, the column its last stage.
    Finish,
    /// Done.
    Done,
    /// Given up.
    Aborted,
}

impl Phase {
    const ALL: [Self; 7] =
        [Self::Prepare, Self::Fence, Self::Walk, Self::Verify, Self::Finish, Self::Done, Self::Aborted];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Fence => "fence",
            Self::Walk => "walk",
            Self::Verify => "verify",
            Self::Finish => "finish",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) table: TableRef,
    pub(super) verb: Verb,
    /// Names of the columns, in order.
    pub(super) columns: Vec<String>,
    pub(super) phase: Phase,
    /// Number of the walk over the table, from 1.
    pub(super) pass: u32,
    pub(super) is_paused: bool,
}

/// A job for people.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSummary {
    /// Its number.
    pub id: u64,
    /// The table.
    pub table: TableRef,
    /// What it does.
    pub verb: Verb,
    /// Columns.
    pub columns: Vec<String>,
    /// `prepare`, `fence`, `walk`, `verify`, `finish`, `done` or `aborted`.
    pub phase: &'static str,
    /// Whether it is paused.
    pub is_paused: bool,
    /// Why the walk rests, as the process says that does.
    pub resting: Option<String>,
    /// Number of the walk over the table.
    pub pass: u32,
    /// Rows seen in this walk.
    pub rows_seen: u64,
    /// Rows changed in this walk.
    pub rows_changed: u64,
    /// Rows that somebody else changed at the same moment.
    pub conflicts: u64,
    /// The server's estimate of all rows.
    pub rows_estimate: u64,
    /// Rows for each second of this walk so far.
    pub rows_per_second: f64,
    /// Processes that hold chunks or lead, by their leases.
    pub processes: u64,
    /// When it began and when it was last moved, UTC.
    pub started_at: String,
    /// When its phase last changed, UTC.
    pub changed_at: String,
}

impl JobSummary {
    /// Seconds that the walk may still take, by the rate so far.
    pub fn seconds_left(&self) -> Option<u64> {
        let left = self.rows_estimate.saturating_sub(self.rows_seen);
        let walks = self.phase == Phase::Walk.name() && self.rows_per_second > 0.0;
        walks.then(|| (left as f64 / self.rows_per_second) as u64)
    }
}

/// Who acts, and where that is recorded.
#[derive(Clone, Debug)]
pub struct Acts {
    /// Who.
    pub actor: Actor,
    /// Where.
    pub recorder: Recorder,
    /// Who approves that a column becomes plaintext again.
    pub signers: Signers,
}

impl Acts {
    /// Records an act in the transaction of the act itself.
    pub(super) async fn record(
        &self,
        session: &mut Session,
        act: &'static str,
        subject: String,
        after: serde_json::Value,
    ) -> Result<(), ControlError> {
        let entry = Entry { actor: self.actor.clone(), act, subject, before: serde_json::Value::Null, after };
        self.recorder.append(session, &entry).await.map(drop)
    }
}

/// Tables `job` and `job_chunk`, on behalf of one process.
#[derive(Clone, Debug)]
pub(super) struct Jobs {
    pub(super) store: KeyStore,
    /// This process in the leases.
    pub(super) owner: [u8; 16],
}

impl Jobs {
    pub(super) fn schema(&self) -> Arc<str> {
        self.store.schema.clone()
    }

    /// The process as a hexadecimal literal.
    pub(super) fn owner_literal(&self) -> String {
        super::position::hexadecimal(&self.owner)
    }

    pub(super) async fn session(&self) -> Result<Session, ControlError> {
        self.store.pool.session("read and keep jobs", self.store.pool.operation_timeout).await
    }

    /// Makes a job, or finds the one that is unfinished. A job of another verb or other columns is in the way.
    pub(super) async fn open(
        &self,
        table: &TableRef,
        verb: Verb,
        columns: &[String],
        rows_estimate: u64,
        acts: &Acts,
    ) -> Result<Job, ColumnError> {
        let mut session = self.session().await?;
        session.control("START TRANSACTION").await?;
        let list = serde_json::to_string(columns).unwrap_or_default();
        let sql = format!(
            "INSERT IGNORE INTO {}.job (table_schema, table_name, verb, columns, rows_estimate, phase, open, started_at, \
             changed_at) VALUES (?, ?, ?, ?, ?, 'prepare', 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
            self.schema()
        );
        let params = (&*table.database, &*table.table, verb.name(), list, rows_estimate);
        let made = session.change(&sql, params).await?;
        if made.rows == 1 {
            let approval = match verb {
                Verb::Decrypt => match self.approved(&mut session, table, columns, acts).await {
                    Ok(approved) => approved.facts(),
                    Err(error) => {
                        session.abandon().await;
                        return Err(error);
                    }
                },
                Verb::Encrypt | Verb::Reencrypt | Verb::Reindex => serde_json::Value::Null,
            };
            let after = serde_json::json!({ "job": made.id, "columns": columns, "approval": approval });
            acts.record(&mut session, verb.act(), format!("table {table}"), after).await?;
        }
        session.control("COMMIT").await?;
        drop(session);
        let job = self.unfinished(table).await?.ok_or(ControlError::Malformed { what: "a job that vanished" })?;
        if job.verb != verb || job.columns != columns {
            return Err(ColumnError::OtherJob {
                table: table.clone(),
                found: format!("{} {}", job.verb, job.columns.join(", ")),
            });
        }
        Ok(job)
    }

    /// Demands the approval of a job that makes plaintext, in the transaction that begins it: the job goes on with it,
    /// however often it is interrupted.
    async fn approved(
        &self,
        session: &mut Session,
        table: &TableRef,
        columns: &[String],
        acts: &Acts,
    ) -> Result<Approved, ColumnError> {
        let sql = format!("SELECT epoch FROM {}.epoch WHERE id = 1", self.schema());
        let epochs: Vec<u64> = session.rows(&sql).await?;
        let epoch = epochs.first().copied().ok_or(ControlError::NotInitialised)?;
        let subject = format!("columns {} of table {table}", columns.join(", "));
        // The stage of a column has no version that approvers see: whatever moves it raises the epoch.
        let wanted = Request { act: GuardedAct::DecryptColumn, subject, epoch, row_version: 0 };
        match self.store.require_approval(session, &wanted, &acts.signers).await {
            Ok(approved) => Ok(approved),
            Err(ControlError::Approval(source)) => Err(ColumnError::NotApproved { wanted, source }),
            Err(error) => Err(error.into()),
        }
    }

    /// The unfinished job of a table.
    pub(super) async fn unfinished(&self, table: &TableRef) -> Result<Option<Job>, ControlError> {
        let mut session = self.session().await?;
        let sql = format!("{} WHERE table_schema = ? AND table_name = ? AND open = 1", self.selection());
        let rows: Vec<Row> = session.rows_with(&sql, (&*table.database, &*table.table)).await?;
        rows.into_iter().next().map(job).transpose()
    }

    /// The job of that number.
    pub(super) async fn load(&self, id: u64) -> Result<Job, ControlError> {
        let mut session = self.session().await?;
        let sql = format!("{} WHERE job_id = ?", self.selection());
        let rows: Vec<Row> = session.rows_with(&sql, (id,)).await?;
        rows.into_iter().next().map_or(Err(MISSING), job)
    }

    fn selection(&self) -> String {
        format!(
            "SELECT job_id, table_schema, table_name, verb, CAST(columns AS CHAR), phase, pass, paused FROM {}.job",
            self.schema()
        )
    }

    /// Moves a job from one phase to the next. Somebody else may have done it already.
    pub(super) async fn advance(&self, job: &Job, to: Phase, acts: &Acts) -> Result<(), ControlError> {
        let open = match to {
            Phase::Done | Phase::Aborted => "NULL",
            Phase::Prepare | Phase::Fence | Phase::Walk | Phase::Verify | Phase::Finish => "1",
        };
        // A new walk begins at the beginning.
        let again = if to == Phase::Walk { ", pass = pass + 1, frontier = NULL, planned = 0" } else { "" };
        let sql = format!(
            "UPDATE {}.job SET phase = ?, changed_at = UTC_TIMESTAMP(6), owner = NULL, lease_until = NULL, \
             open = {open}{again} WHERE job_id = ? AND phase = ? AND pass = ?",
            self.schema()
        );
        let mut session = self.session().await?;
        session.control("START TRANSACTION").await?;
        let moved = session.change(&sql, (to.name(), job.id, job.phase.name(), job.pass)).await?;
        let ends = match to {
            Phase::Done => Some("column.done"),
            Phase::Aborted => Some("column.abort"),
            Phase::Prepare | Phase::Fence | Phase::Walk | Phase::Verify | Phase::Finish => None,
        };
        if let (Some(act), 1) = (ends, moved.rows) {
            let after = serde_json::json!({ "job": job.id, "verb": job.verb.name(), "from": job.phase.name() });
            acts.record(&mut session, act, format!("table {}", job.table), after).await?;
        }
        session.control("COMMIT").await?;
        Ok(())
    }

    /// Takes the lead of a job's phase, or renews it. Whoever leads does what one process alone may do.
    pub(super) async fn lead(&self, job: &Job) -> Result<Lead, ControlError> {
        let owner = self.owner_literal();
        let sql = format!(
            "UPDATE {}.job SET owner = {owner}, lease_until = UTC_TIMESTAMP(6) + INTERVAL {LEASE_SECONDS} SECOND \
             WHERE job_id = ? AND phase = ? AND ({})",
            self.schema(),
            self.free("owner", "lease_until")
        );
        let mut session = self.session().await?;
        let changed = session.change(&sql, (job.id, job.phase.name())).await?;
        Ok(if changed.rows == 1 { Lead::Ours } else { Lead::Others })
    }

    /// The condition that something is free for this process: nobody's, its own, its owner's lease is over, or its owner
    /// is gone, which the server knows from the named lock that every process holds (`presence`).
    pub(super) fn free(&self, owner: &str, lease: &str) -> String {
        format!(
            "{owner} IS NULL OR {owner} = {} OR {lease} < UTC_TIMESTAMP(6) OR {}",
            self.owner_literal(),
            super::presence::is_gone(owner)
        )
    }

    /// Switches a job's pause on or off, and records who did.
    pub(super) async fn set_paused(&self, job: &Job, pause: Pause, acts: &Acts) -> Result<(), ControlError> {
        let (paused, act) = match pause {
            Pause::On => (1_u8, "column.pause"),
            Pause::Off => (0, "column.resume"),
        };
        let sql = format!("UPDATE {}.job SET paused = ? WHERE job_id = ? AND open = 1", self.schema());
        let mut session = self.session().await?;
        session.control("START TRANSACTION").await?;
        if session.change(&sql, (paused, job.id)).await?.rows == 1 {
            acts.record(&mut session, act, format!("table {}", job.table), serde_json::json!({ "job": job.id }))
                .await?;
        }
        session.control("COMMIT").await
    }
}

/// Whether a job rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It rests until it is resumed.
    On,
    /// It works.
    Off,
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// This process.
    Ours,
    /// Another one.
    Others,
}

const MISSING: ControlError = ControlError::Malformed { what: "a job that is missing" };

fn job(row: Row) -> Result<Job, ControlError> {
    type Fields = (u64, String, String, String, String, String, u32, u8);
    let malformed = |what| ControlError::Malformed { what };
    let fields: Fields = mysql_async::from_row_opt(row).map_err(|_| malformed("a job"))?;
    let (id, database, table, verb, columns, phase, pass, paused) = fields;
    Ok(Job {
        id,
        table: TableRef::new(database, table),
        verb: Verb::from_name(&verb).ok_or(malformed("a job's verb"))?,
        columns: serde_json::from_str(&columns).map_err(|_| malformed("a job's columns"))?,
        phase: Phase::from_name(&phase).ok_or(malformed("a job's phase"))?,
        pass,
        is_paused: paused != 0,
    })
}
