//! Why a statement is not sent to the server.
//!
//! Texts are for the client: they name columns, tables and constructs, never a value, and say what to do instead. The
//! MySQL code of each is chosen by [`crate::client_error`].

use std::fmt;

use crate::policy::Account;
use crate::schema::{ColumnRef, TableRef};

/// A statement that is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The statement firewall's verdict, or a statement that cannot be read at all. The rule goes to the log, never to
    /// the client.
    #[error("statement refused by policy")]
    Firewall {
        /// The rule's stable name: `parse`, `stacked`, `charset`, or one of the firewall's own.
        rule: &'static str,
    },
    /// Policy gives the account's role no access to the column.
    #[error("{verb} command denied to user '{}'@'{}' for column '{}' in table '{}'", account.user, account.host,
        column.column, column.table)]
    Denied {
        /// What the statement does with the column.
        verb: Verb,
        /// The column.
        column: ColumnRef,
        /// Who asked.
        account: Account,
    },
    /// The statement does something with protected data that Candado cannot do, or cannot be sure of.
    #[error("{construct} is not supported for protected {subject}; {remedy}")]
    Unsupported {
        /// What it is done to.
        subject: Subject,
        /// What is done, as the beginning of a sentence: `ORDER BY`.
        construct: &'static str,
        /// What to do instead, as the end of a sentence.
        remedy: &'static str,
    },
    /// A name that the catalog does not know, or knows twice, in a statement that touches protected data. The caller may
    /// load the catalog again and ask once more.
    #[error("{name} is unknown or ambiguous in a statement that uses protected data; {}", name.remedy())]
    UnknownName {
        /// The name as written.
        name: UnknownName,
    },
    /// The plan needs keys and there are none yet. Made by the caller, who holds the key ring.
    #[error("data keys are not available yet; try again")]
    NotReady,
}

impl Refusal {
    /// The end of the text that says what to do instead, if it has one; `"; "` stands before it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported { remedy, .. } => Some(remedy),
            Self::UnknownName { name } => Some(name.remedy()),
            Self::Firewall { .. } | Self::Denied { .. } | Self::NotReady => None,
        }
    }
}

/// What a statement does with a column, in the words of MySQL's error 1143.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// It is read, compared or shown.
    Select,
    /// It is given a value in a new row.
    Insert,
    /// It is given a value in an existing row.
    Update,
    /// An index is made over it.
    Index,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Index => "INDEX",
        })
    }
}

/// What an unsupported construct is applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A protected column.
    Column(ColumnRef),
    /// A table with protected columns, or a view or routine that reaches one.
    Table(TableRef),
    /// A table, view, routine or column known by its bare name alone.
    Named(Box<str>),
    /// Protected data in general: the statement does not say which.
    Data,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => write!(f, "column {column}"),
            Self::Table(table) => write!(f, "table {table}"),
            Self::Named(name) => write!(f, "name {name}"),
            Self::Data => f.write_str("data"),
        }
    }
}

/// A name that could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownName {
    /// A table, view or alias.
    Table(String),
    /// A column.
    Column(String),
    /// A stored procedure.
    Routine(String),
}

impl UnknownName {
    /// What to do about it, as the end of a sentence.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Table(_) => "check its spelling and its database; a temporary table needs a statement of its own",
            Self::Column(_) => "check its spelling, and name its table",
            Self::Routine(_) => "check its spelling and its database",
        }
    }

    /// The same with another name, for those who may not see what was written.
    #[must_use]
    pub fn called(&self, name: &str) -> Self {
        match self {
            Self::Table(_) => Self::Table(name.to_owned()),
            Self::Column(_) => Self::Column(name.to_owned()),
            Self::Routine(_) => Self::Routine(name.to_owned()),
        }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => write!(f, "table {name}"),
            Self::Column(name) => write!(f, "column {name}"),
            Self::Routine(name) => write!(f, "routine {name}"),
        }
    }
}
