//! The record of accesses: which account was shown how much of which protected column, by which statement, from where.
//!
//! The data plane counts where cells are opened ([`Tally`]) and hands a [`Disclosure`] over before the result ends. A
//! writer on a thread of its own chains the records with a code under the proxy's access key, and writes them to a file,
//! standard output or syslog. In mode strict the data plane waits until the record is written, and sends no further statement
//! that would show protected cells while none can be; in mode fast it goes on, and what finds no room is counted and stands in
//! the record as a gap. No value, literal or key is in a record: a comment's
//! words are taken only where they have a form that leaves no room for one ([`caller`]).
//!
//! Who may see what is [`crate::policy`]'s to say; acts on keys are recorded elsewhere.
//!
#![doc = include_str!("record.md")]

mod anchors;
pub mod caller;
mod chain;
mod condition;
mod counters;
mod disclosure;
mod key_file;
mod line;
mod queue;
mod report;
mod retention;
mod search;
mod settings;
mod sink;
mod stretch;
mod tally;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use anchors::{AnchorPlace, AnchorStore, NoAnchors};
pub use chain::{Chain, ChainEnd, ChainId};
use condition::Condition;
pub use counters::{Counters, Totals};
pub use disclosure::{Asked, Disclosure, Outcome, Share};
pub use key_file::{KeyFileError, ProxyKey};
pub use line::{Accessed, Line, MAGIC, Parsed};
pub use queue::{Audit, NotRecorded};
pub use report::{Report, Total};
pub use retention::PutAway;
pub use search::{Filter, search};
pub use settings::{AuditError, Mode, Segments, Settings, Sync, Target};
pub use tally::{Shown, Tally};
pub use verify::{Breach, Found, Place, Verdict, verify};
pub use writer::Writer;
