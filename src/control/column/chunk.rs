//! Chunks: stretches of the table that one process at a time works on, with a lease by the server's clock.
//!
//! Bounds are found as the work goes on and kept in the database. The place that was reached is written in the same
//! transaction as the rows, so that it is never ahead of them.

use mysql_async::{Row, Value};

use super::job::{Job, Jobs, LEASE_SECONDS};
use super::position::{Position, Stretch, hexadecimal};
use super::table::{Selected, Table};
use crate::control::{ControlError, Session};

/// A chunk that this process holds.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) number: u64,
    /// What is left of it.
    pub(super) stretch: Stretch,
}

/// What there is to do.
#[derive(Clone, Debug)]
pub(super) enum Claim {
    /// This.
    Chunk(Chunk),
    /// Nothing now: other workers hold what is left.
    Wait,
    /// Nothing: all rows have been walked.
    Over,
}

/// What became of a page of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) seen: u64,
    pub(super) changed: u64,
    pub(super) conflicts: u64,
}

/// A page's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// The chunk goes on after this row.
    Row,
    /// The chunk is done.
    End,
    /// Nothing is settled yet: the page is read again.
    Nowhere,
}

/// Number, lower end, upper end, place reached.
type ChunkRow = (u64, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Jobs {
    /// Takes a chunk: one whose owner is gone, or a new one of `rows` rows.
    pub(super) async fn claim(
        &self,
        session: &mut Session,
        job: &Job,
        table: &Table,
        rows: u64,
    ) -> Result<Claim, ControlError> {
        let schema = self.schema();
        session.control("START TRANSACTION").await?;
        let sql =
            format!("SELECT frontier, planned, phase, pass FROM {schema}.job WHERE job_id = {} FOR UPDATE", job.id);
        let found: Vec<(Option<Vec<u8>>, u8, String, u32)> = session.rows(&sql).await?;
        let Some((frontier, planned, phase, pass)) = found.into_iter().next() else {
            return Err(ControlError::Malformed { what: "a job that is missing" });
        };
        let claim = if phase != job.phase.name() || pass != job.pass {
            Claim::Over
        } else if let Some(chunk) = self.orphan(session, job, table).await? {
            Claim::Chunk(chunk)
        } else if planned == 0 {
            let lower = frontier.map(|bytes| decode(&bytes, table)).transpose()?;
            Claim::Chunk(self.plan(session, job, table, lower, rows).await?)
        } else {
            let sql = format!(
                "SELECT COUNT(*) FROM {schema}.job_chunk WHERE job_id = {} AND pass = {} AND done_at IS NULL",
                job.id, job.pass
            );
            let open: Vec<u64> = session.rows(&sql).await?;
            if open == [0] { Claim::Over } else { Claim::Wait }
        };
        session.control("COMMIT").await?;
        Ok(claim)
    }

    /// Takes over a chunk that nobody works on any more. The job's row is locked.
    async fn orphan(&self, session: &mut Session, job: &Job, table: &Table) -> Result<Option<Chunk>, ControlError> {
        let free = format!("lease_until < UTC_TIMESTAMP(6) OR {}", super::presence::is_gone("owner"));
        let sql = format!(
            "SELECT chunk, lower_key, upper_key, reached FROM {}.job_chunk WHERE job_id = {} AND pass = {} \
             AND done_at IS NULL AND ({free}) ORDER BY chunk LIMIT 1",
            self.schema(),
            job.id,
            job.pass
        );
        let rows: Vec<ChunkRow> = session.rows(&sql).await?;
        let Some((number, lower, upper, reached)) = rows.into_iter().next() else { return Ok(None) };
        let sql = format!(
            "UPDATE {}.job_chunk SET owner = {}, lease_until = {} WHERE job_id = {} AND pass = {} AND chunk = {number}",
            self.schema(),
            self.owner_literal(),
            lease(),
            job.id,
            job.pass
        );
        session.execute(&sql).await?;
        let end = |bytes: Option<Vec<u8>>| bytes.map(|bytes| decode(&bytes, table)).transpose();
        Ok(Some(Chunk { number, stretch: Stretch { lower: end(reached.or(lower))?, upper: end(upper)? } }))
    }

    /// Cuts the next chunk off what has not been planned yet. The job's row is locked.
    async fn plan(
        &self,
        session: &mut Session,
        job: &Job,
        table: &Table,
        lower: Option<Position>,
        rows: u64,
    ) -> Result<Chunk, ControlError> {
        let rest = Stretch { lower, upper: None };
        let select = table.select(Selected::KeyOnly, &rest.condition(&table.key));
        let ends: Vec<Row> = session.rows(&format!("{select} LIMIT 1 OFFSET {}", rows.saturating_sub(1))).await?;
        let upper = ends.into_iter().next().map(|row| position(row.unwrap(), table)).transpose()?.map(|(at, _)| at);
        let schema = self.schema();
        let literal = |end: &Option<Position>| end.as_ref().map_or("NULL".to_owned(), |at| hexadecimal(&at.encoded()));
        let (low, high) = (literal(&rest.lower), literal(&upper));
        let sql = format!(
            "INSERT INTO {schema}.job_chunk (job_id, pass, chunk, lower_key, upper_key, owner, lease_until, started_at) \
             SELECT {id}, {pass}, COALESCE(MAX(chunk), 0) + 1, {low}, {high}, {owner}, {lease}, UTC_TIMESTAMP(6) \
             FROM {schema}.job_chunk WHERE job_id = {id} AND pass = {pass}",
            id = job.id,
            pass = job.pass,
            owner = self.owner_literal(),
            lease = lease(),
        );
        session.execute(&sql).await?;
        let planned = u8::from(upper.is_none());
        let sql = format!("UPDATE {schema}.job SET frontier = {high}, planned = {planned} WHERE job_id = {}", job.id);
        session.execute(&sql).await?;
        let sql =
            format!("SELECT MAX(chunk) FROM {schema}.job_chunk WHERE job_id = {} AND pass = {}", job.id, job.pass);
        let numbers: Vec<u64> = session.rows(&sql).await?;
        let number = numbers.into_iter().next().ok_or(ControlError::Malformed { what: "a chunk that vanished" })?;
        Ok(Chunk { number, stretch: Stretch { lower: rest.lower, upper } })
    }

    /// Writes how far a chunk is. `false`: the chunk was taken over by another process, and the transaction must not be
    /// committed.
    pub(super) async fn reach(
        &self,
        session: &mut Session,
        job: &Job,
        chunk: &Chunk,
        (reached, at): (Reached, Option<&Position>),
        counts: Counts,
    ) -> Result<bool, ControlError> {
        let place = match (reached, at) {
            (Reached::Row, Some(at)) => format!(", reached = {}", hexadecimal(&at.encoded())),
            (Reached::End, _) => ", done_at = UTC_TIMESTAMP(6)".to_owned(),
            (Reached::Row | Reached::Nowhere, _) => String::new(),
        };
        let sql = format!(
            "UPDATE {}.job_chunk SET lease_until = {}, rows_seen = rows_seen + {}, rows_changed = rows_changed + {}, \
             conflicts = conflicts + {}{place} WHERE job_id = {} AND pass = {} AND chunk = {} AND owner = {} \
             AND done_at IS NULL",
            self.schema(),
            lease(),
            counts.seen,
            counts.changed,
            counts.conflicts,
            job.id,
            job.pass,
            chunk.number,
            self.owner_literal()
        );
        Ok(session.execute(&sql).await?.rows == 1)
    }
}

fn lease() -> String {
    format!("UTC_TIMESTAMP(6) + INTERVAL {LEASE_SECONDS} SECOND")
}

fn decode(bytes: &[u8], table: &Table) -> Result<Position, ControlError> {
    Position::decode(bytes, table.key.len()).ok_or(ControlError::Malformed { what: "a place in the table" })
}

/// The cells of a row, NULL or bytes.
pub(super) type StoredCells = Vec<Option<Vec<u8>>>;

/// Splits a row into its primary key and its cells.
pub(super) fn position(mut values: Vec<Value>, table: &Table) -> Result<(Position, StoredCells), ControlError> {
    let malformed = || ControlError::Malformed { what: "a row of the table" };
    if values.len() < table.key.len() {
        return Err(malformed());
    }
    let cells = values.split_off(table.key.len());
    let bytes = |value: Value| match value {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => Ok(Some(bytes)),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Double(_) | Value::Date(..) | Value::Time(..) => {
            Err(malformed())
        }
    };
    let key = values.into_iter().map(|value| bytes(value)?.ok_or_else(malformed)).collect::<Result<_, _>>()?;
    Ok((Position(key), cells.into_iter().map(bytes).collect::<Result<_, _>>()?))
}
