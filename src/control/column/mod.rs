//! The engine that converts the rows that are already there: encrypts a column, decrypts it, and seals it again under
//! newer keys. One engine with one transform for each goal.
//!
//! A job belongs to one table and rewrites its rows once for all of its columns. What was done stands in the database
//! (`candado.job`, `candado.job_chunk`), so that a run that ended anywhere is taken up by running the same command
//! again, and several processes share the work. Rows are changed by compare-and-swap: a writer that comes between wins.

mod apply;
mod chunk;
mod ddl;
mod drain;
mod engine;
mod error;
mod facts;
mod job;
mod monitor;
mod phases;
mod position;
mod preflight;
mod presence;
mod proof;
mod rehearsal;
mod subjects;
mod survey;
mod table;
mod throttle;
mod transform;
mod verify;
mod walk;

pub use engine::{Engine, Options, Outcome, Statements};
pub use error::ColumnError;
pub use job::{Acts, JobSummary, Pause, Verb};
pub use monitor::{Event, Observer};
pub use preflight::{Allowed, Remark, Weight};
pub use proof::{Proof, ProofKind};
pub use rehearsal::{Advice, Rehearsal};
pub use throttle::Limits;
pub use transform::CellFault;
pub use verify::SUBJECT_KEYS;
