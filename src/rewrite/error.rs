//! What can go wrong in a rewrite. Texts name columns and rules, never values.

use std::sync::Arc;

use crate::crypto::{KeyId, SubjectDigest};
use crate::policy::NotAHash;
use crate::schema::ColumnRef;
use crate::wire::WireError;

/// A rewrite that could not be done. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The value does not fit the column's logical type (MySQL: 1406).
    #[error("data too long for column {column}")]
    TooLong {
        /// The column.
        column: ColumnRef,
    },
    /// The value's bytes are no text in the character set that they came in (MySQL: 1366).
    #[error("incorrect string value for column {column}")]
    NotText {
        /// The column.
        column: ColumnRef,
    },
    /// The column takes hashes of passwords, and the value is none that it takes (MySQL: 1366).
    #[error("column {column} takes nothing but hashes of passwords: {why}")]
    NotAHash {
        /// The column.
        column: ColumnRef,
        /// Why not.
        why: NotAHash,
    },
    /// The value's form cannot be sealed or searched.
    #[error("{construct} is not supported with protected column {column}; {remedy}")]
    Unsupported {
        /// The column.
        column: ColumnRef,
        /// What stands in the way.
        construct: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The key that the column needs is not in the ring.
    #[error("the data key for column {column} is not available")]
    KeyUnavailable {
        /// The column.
        column: ColumnRef,
    },
    /// The column's keyset has no active key: the one that wrote was suspended.
    #[error(
        "column {column} cannot be written: its keyset has no active key, since the one that wrote was suspended; reading \
         under its other keys goes on; `candado keys rotate` makes another key"
    )]
    NoActiveKey {
        /// The column.
        column: ColumnRef,
    },
    /// A stored value is under a key that was suspended, or put aside.
    #[error(
        "a value of column {column} is under a key that was suspended or put aside, and cannot be read; `candado keys \
         list` shows which, `candado keys resume` or `restore` bring it back"
    )]
    KeyBarred {
        /// The column.
        column: ColumnRef,
    },
    /// Rows may be indexed under a key that was suspended.
    #[error(
        "column {column} cannot be searched: rows may be indexed under a key that was suspended, and would be missed; \
         `candado keys resume` brings it back"
    )]
    IndexKeyBarred {
        /// The column.
        column: ColumnRef,
    },
    /// A stored value names a key that the column's ring does not know. Another ring may.
    #[error("the data key for column {column} is not known")]
    UnknownKey {
        /// The column.
        column: ColumnRef,
        /// The key.
        kid: KeyId,
    },
    /// Keys of data subjects are not in the ring, and may be had.
    #[error("the keys of data subjects for column {column} are not available; try again")]
    WithoutSubjectKeys {
        /// The first column.
        column: ColumnRef,
        /// Whose keys are wanted.
        wanted: Vec<WantedSubject>,
    },
    /// The key of a data subject was destroyed on purpose.
    #[error(
        "the key of this data subject was destroyed on purpose, and the values of column {column} with it; delete the \
         person's rows"
    )]
    SubjectErased {
        /// The column.
        column: ColumnRef,
    },
    /// The system gave no random bytes for a nonce.
    #[error("no random bytes to seal column {column} with")]
    NoRandom {
        /// The column.
        column: ColumnRef,
    },
    /// A stored value is no envelope of the column, or was changed.
    #[error("stored value of column {column} does not authenticate")]
    Tampered {
        /// The column.
        column: ColumnRef,
    },
    /// A stored value is bound to its row, in a column whose values are not.
    #[error("a value of column {column} is bound to its row, and policy names no `bind` for the column")]
    RowBound {
        /// The column.
        column: ColumnRef,
    },
    /// A stored value is bound to no row, in a column whose values are.
    #[error(
        "a value of column {column} is not bound to its row, as policy says; if it is from before, `unbound = \"accept\"` \
         of the column lets it be read until `candado column reencrypt` is done"
    )]
    NotRowBound {
        /// The column.
        column: ColumnRef,
    },
    /// A result names a protected column where the plan does not expect it.
    #[error("the result holds protected column {column}, which the statement was not planned to read")]
    Unplanned {
        /// The column.
        column: ColumnRef,
    },
    /// A result would show bait, and policy refuses that.
    #[error("the result would show honey of column {column}")]
    Bait {
        /// The column.
        column: ColumnRef,
    },
    /// More index keys are live than when the statement was prepared: it has to be prepared again (MySQL: 1615).
    #[error("prepared statement needs to be re-prepared")]
    Outdated,
    /// The rewritten statement or packet would pass the protocol's limit.
    #[error("the rewritten statement is too large")]
    TooLarge,
    /// A packet is malformed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The plan does not fit the statement, the result or the policy snapshot.
    #[error("the plan does not fit: {0}")]
    PlanMismatch(&'static str),
}

/// A data subject whose key is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WantedSubject {
    /// The keyset of the column.
    pub keyset: Arc<str>,
    /// The data subject.
    pub subject: SubjectDigest,
}
