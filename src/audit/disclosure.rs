//! What the data plane tells of one statement that showed protected cells.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Shown, Tally};
use crate::policy::{Account, Policy};
use crate::schema::ColumnRef;

/// How the result ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not: its first rows are about to go out, and another record tells of its end. In mode strict alone.
    Begun,
    /// The client got all of it.
    Complete,
    /// The client got an error in place of the rest.
    Refused,
    /// The server ended it with an error.
    Failed,
    /// The connection ended, or was ended, in the midst of it.
    Broken,
}

impl Outcome {
    /// As it stands in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }
}

/// What is known of a statement before it is sent. A prepared statement and its cursor keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// SHA-256 of the statement's structure.
    pub digest: [u8; 32],
    /// The application that a comment names.
    pub application: Option<Arc<str>>,
    /// The trace that a comment names.
    pub traceparent: Option<Arc<str>>,
}

/// How much of a column was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Cells shown as their values.
    pub opened: u64,
    /// Cells shown as masks.
    pub masked: u64,
    /// Those of both that are bait.
    pub bait: u64,
    /// Values that rows were searched for by, where policy grants that to a role that does not see the column.
    pub searched: u64,
}

/// A statement that showed protected cells, or searched by such a column. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The account that the server authenticated.
    pub account: Account,
    /// The client's address and port.
    pub client: SocketAddr,
    /// The account's role in policy.
    pub role: Arc<str>,
    /// The application, as a comment or the connection's attributes name it.
    pub application: Option<Arc<str>>,
    /// The statement.
    pub asked: Arc<Asked>,
    /// The connection's number.
    pub connection: u64,
    /// The statement's number in it.
    pub statement: u64,
    /// How the result ended.
    pub outcome: Outcome,
    /// Rows that went to the client.
    pub rows: u64,
    /// What was shown of each column.
    pub columns: BTreeMap<ColumnRef, Share>,
}

impl Share {
    /// Of each column of a result that anything was shown of.
    pub fn of(tally: &Tally, policy: &Policy) -> BTreeMap<ColumnRef, Self> {
        let mut shares: BTreeMap<ColumnRef, Self> = BTreeMap::new();
        for (column, shown, cells) in tally.columns().filter(|(_, _, cells)| *cells > 0) {
            // A tally is made under the policy that it is told by.
            let Some(protected) = policy.column(column) else { continue };
            let share = shares.entry(protected.column.clone()).or_default();
            match shown {
                Shown::Opened => share.opened = share.opened.saturating_add(cells),
                Shown::Masked => share.masked = share.masked.saturating_add(cells),
                Shown::Nothing => {}
            }
        }
        for (column, cells) in tally.baited() {
            if let Some(share) = policy.column(column).and_then(|protected| shares.get_mut(&protected.column)) {
                share.bait = share.bait.saturating_add(cells);
            }
        }
        shares
    }
}
