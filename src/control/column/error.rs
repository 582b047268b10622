//! Why a job does not go on. Texts name tables, columns and primary keys, never a value.

use crate::control::{ApprovalError, ControlError, Request};
use crate::schema::{ColumnRef, TableRef};

use super::transform::CellFault;

/// A failure of the engine. What was done stays done; the same command goes on from there once the cause is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// The server or the key store.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Keys cannot be opened.
    #[error("the keys cannot be opened")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing can be sealed without an active key.
    #[error("{column} cannot be sealed: its keyset has no active key; make one with `candado keys rotate`")]
    NoActiveKey {
        /// The column.
        column: ColumnRef,
    },
    /// No column was named.
    #[error("no column was named")]
    NoColumn,
    /// Policy does not know the column.
    #[error("{column} is not a protected column of the policy")]
    NotProtected {
        /// The column.
        column: ColumnRef,
    },
    /// Columns of two tables.
    #[error("a job works on one table; {first} and {second} are two")]
    TwoTables {
        /// One.
        first: TableRef,
        /// The other.
        second: TableRef,
    },
    /// The table has no primary key.
    #[error(
        "{table} has no primary key, without which rows cannot be walked: add one, for example \
         `ALTER TABLE .. ADD COLUMN id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY INVISIBLE`"
    )]
    NoPrimaryKey {
        /// The table.
        table: TableRef,
    },
    /// The primary key is of a kind that cannot be walked.
    #[error("the primary key of {table} {what}: rows cannot be walked by it")]
    PrimaryKey {
        /// The table.
        table: TableRef,
        /// What is in the way.
        what: String,
    },
    /// Another job of the table is not finished.
    #[error("{table} has an unfinished job ({found}): finish it with the same command, or `candado column abort` it")]
    OtherJob {
        /// The table.
        table: TableRef,
        /// The job that there is.
        found: String,
    },
    /// A column is at a stage that the verb does not start from.
    #[error("{column} is at stage {stage}: {advice}")]
    Stage {
        /// The column.
        column: ColumnRef,
        /// Its stage.
        stage: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A cell is in the way. The position is the row's primary key.
    #[error("{column} of the row with {position} {fault}")]
    Cell {
        /// The column.
        column: ColumnRef,
        /// The primary key.
        position: String,
        /// What is wrong with the cell.
        fault: CellFault,
    },
    /// Preflight found what must be put right first; it has been reported.
    #[error("what preflight found must be put right first")]
    Blocked,
    /// Statements must be run by hand; they have been reported.
    #[error("the statements above must be run first; run the same command again afterwards, or give `--ddl run`")]
    StatementsNeeded,
    /// A second person has not approved it.
    #[error("the columns may not become plaintext yet")]
    NotApproved {
        /// What needs approval.
        wanted: Request,
        /// What is wrong with its approval.
        #[source]
        source: ApprovalError,
    },
    /// A row was changed again and again between reading and writing.
    #[error("rows from {position} on change faster than they can be converted")]
    Contended {
        /// Where.
        position: String,
    },
    /// Verification went on finding cells that are not what they should be.
    #[error(
        "after {passes} passes {left} cells are still not what they should be: something writes beside the proxies"
    )]
    NotFinished {
        /// Passes over the table.
        passes: u32,
        /// Cells.
        left: u64,
    },
    /// Not all proxies did what was waited for, in the time that was given.
    #[error("not all proxies have taken over what changed: {behind}")]
    ProxiesBehind {
        /// Who is behind, and with what.
        behind: String,
    },
    /// A transaction from before did not end.
    #[error("transactions that began before the change are still open after {seconds} s: {who}")]
    TransactionsOpen {
        /// How long they were waited for.
        seconds: u64,
        /// Their connection ids.
        who: String,
    },
    /// There is no such job.
    #[error("there is no unfinished job for {table}")]
    NoJob {
        /// The table.
        table: String,
    },
    /// The job was ended by somebody.
    #[error("the job was aborted")]
    Aborted,
}

impl ColumnError {
    /// Whether the command line or a file is wrong, rather than something that could not be done.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoColumn | Self::NotProtected { .. } | Self::TwoTables { .. })
    }

    /// Whether the same may succeed in a moment: the server is away, or two transactions met.
    pub(super) fn is_passing(&self) -> bool {
        /// Lock wait time-out, deadlock, server shutting down, read-only during a fail-over.
        const PASSING: [u16; 5] = [1205, 1213, 1053, 1290, 1836];
        matches!(self, Self::Control(ControlError::Unreachable { .. } | ControlError::TimedOut { .. }))
            || matches!(self, Self::Control(ControlError::Refused { code, .. }) if PASSING.contains(code))
    }
}
