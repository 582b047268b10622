//! Approval by a second person: what needs it, who may give it, and the proof that it was given.
//!
//! An act that needs approval takes an [`Approved`], and only [`KeyStore::require_approval`] makes one: k signatures of distinct keys from
//! the configuration, over the exact text of one request, which names the act, its subject and the version of both. What
//! is done with an approval is the business of the acts.

mod error;
mod ledger;
mod request;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::record::{Actor, Entry, Recorder};
use super::{ControlError, KeyStore, Session};
use crate::crypto::VerifyingKey;
pub use error::ApprovalError;
pub use ledger::{ListedRequest, Signed};
pub use request::StoredRequest;

/// How long a request waits for its signatures unless configured otherwise.
pub const APPROVAL_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The acts that need the approval of a second person: those that cannot be undone, or that undo a safeguard. This is
/// the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GuardedAct {
    /// Putting a suspended key back to use.
    Resume,
    /// Taking a key out of use for good.
    Retire,
    /// Deleting a key's wraps.
    Destroy,
    /// Deleting the keys of a whole keyset or of a person, so that data becomes unreadable.
    Shred,
    /// Turning a column back to plaintext.
    DecryptColumn,
    /// Carrying keys over to another key provider, whose guards can open them from then on.
    AddWrap,
    /// Elevating an account's budget for a while.
    ElevateBudget,
}

impl GuardedAct {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Resume,
        Self::Retire,
        Self::Destroy,
        Self::Shred,
        Self::DecryptColumn,
        Self::AddWrap,
        Self::ElevateBudget,
    ];

    /// The name in the key store and in what people sign.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Retire => "retire",
            Self::Destroy => "destroy",
            Self::Shred => "shred",
            Self::DecryptColumn => "decrypt-column",
            Self::AddWrap => "add-wrap",
            Self::ElevateBudget => "elevate-budget",
        }
    }

    /// The act of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }
}

impl fmt::Display for GuardedAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What somebody wants to do. An approval holds for exactly this: the same act on the same subject, while nothing has
/// changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The act.
    pub act: GuardedAct,
    /// To what, in words that the approver understands: `key 7 (keyset contact, data, version 2)`.
    pub subject: String,
    /// The key store's epoch.
    pub epoch: u64,
    /// The version of the subject's row.
    pub row_version: u32,
}

/// One who may approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The name in lists and in the record.
    pub name: Arc<str>,
    /// The public key.
    pub key: VerifyingKey,
}

/// Who may approve, and how many must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    signers: Vec<Signer>,
    threshold: usize,
    lifetime: Duration,
}

impl Signers {
    /// Nobody, and nobody has to.
    pub fn none() -> Self {
        Self { signers: Vec::new(), threshold: 0, lifetime: APPROVAL_LIFETIME }
    }

    /// Names and keys must be distinct, and there must be as many as `threshold` demands; `None` if not.
    pub fn new(signers: Vec<Signer>, threshold: usize, lifetime: Duration) -> Option<Self> {
        let distinct = signers.iter().enumerate().all(|(place, signer)| {
            signers
                .iter()
                .skip(place.saturating_add(1))
                .all(|other| other.name != signer.name && other.key != signer.key)
        });
        (distinct && threshold <= signers.len()).then_some(Self { signers, threshold, lifetime })
    }

    /// How many signatures an approval takes; 0: approval is not demanded.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// Who may approve.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.signers.iter().map(|signer| &*signer.name)
    }
}

/// The proof that an act may be done: it was approved, or the configuration demands no approval. Serves one act, and is
/// used up with the transaction that asked for it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the act that it was given for takes it"]
pub struct Approved {
    request: Option<u64>,
    by: Vec<Arc<str>>,
}

impl Approved {
    /// The request that was used up; `None` if no approval was demanded.
    pub(super) fn request(&self) -> Option<u64> {
        self.request
    }

    /// What the record of the act says about its approval: `null` if none was demanded.
    pub fn facts(&self) -> Value {
        match self.request {
            Some(id) => json!({ "request": id, "by": self.by.iter().map(|name| &**name).collect::<Vec<_>>() }),
            None => Value::Null,
        }
    }
}
