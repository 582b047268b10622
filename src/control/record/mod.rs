//! The record of acts: who did what to which key or column, when, and how it was before and after. Entries are written
//! in the transaction of the act itself, chained, and authenticated with a key that the database does not have.
//!
//! It records; what may be done, and by whom, is decided elsewhere. No entry holds key material or a value of a column.
//!
#![doc = include_str!("record.md")]

mod append;
mod brake;
mod canonical;
mod file;
mod keys;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::{ControlError, KeyStore, Session};
use crate::crypto::KeyId;
pub(super) use append::code;
pub use canonical::{StoredEntry, StoredHead};
pub use file::Line;
pub use keys::AuditKeys;
pub use verify::{Breach, Note, Unsealed, Verdict, Verifier};

/// The keyset of the audit key. No policy may use that name.
pub use crate::policy::RESERVED_KEYSET as AUDIT_KEYSET;

/// The one act that is carried out although the audit key cannot be opened: the emergency brake is pulled when the key
/// service is down, or when its key had to be disabled.
pub(super) const BRAKE: &str = "key.suspend";

/// Who acts: the account that the server authenticated, and the person at this machine as the system knows him,
/// `candado_security@% (os: ana)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(Arc<str>);

impl Actor {
    /// Names an actor.
    pub fn new(account: &str, operator: &str) -> Self {
        Self(format!("{account} (os: {operator})").into())
    }

    /// The name as the record shows it.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One act, to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Who did it.
    pub actor: Actor,
    /// What was done, such as `key.activate`. ASCII.
    pub act: &'static str,
    /// To what, such as `key 7`.
    pub subject: String,
    /// How it was before; `null` for what was not there.
    pub before: Value,
    /// How it is now; `null` for what is gone.
    pub after: Value,
}

/// Writes entries. Holds the audit keys, which are wiped when the last clone is gone.
#[derive(Clone)]
pub struct Recorder {
    schema: Arc<str>,
    /// `None`: nothing but the emergency brake is recorded.
    sealing: Option<Sealing>,
}

/// What entries are sealed with.
#[derive(Clone)]
struct Sealing {
    keys: Arc<AuditKeys>,
    /// The active key.
    kid: u32,
}

impl Recorder {
    /// For the emergency brake, when the audit key cannot be opened or the head is not what it should be: records
    /// nothing else. Entries are linked to those before them; the next act under an audit key seals them.
    pub fn for_the_brake(store: &KeyStore) -> Self {
        Self { schema: Arc::clone(&store.schema), sealing: None }
    }
}

impl Recorder {
    /// The check value of an audit key that is open, in hexadecimal.
    pub(super) fn check_value(&self, kid: KeyId) -> Option<String> {
        self.sealing.as_ref()?.keys.kcv(kid.number()).map(|kcv| HEXLOWER.encode(&kcv))
    }

    /// The same, recording under another of its keys.
    pub(super) fn under(&self, kid: KeyId) -> Self {
        let sealing = self.sealing.as_ref().map(|sealing| Sealing { keys: sealing.keys.clone(), kid: kid.number() });
        Self { schema: Arc::clone(&self.schema), sealing }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("kid", &self.sealing.as_ref().map(|sealing| sealing.kid))
            .finish_non_exhaustive()
    }
}

impl KeyStore {
    /// Who acts through this key store's account. `operator` is the person as the system knows him.
    pub async fn actor(&self, operator: &str) -> Result<Actor, ControlError> {
        let mut session = self.session("ask for the control account's name").await?;
        actor(&mut session, operator).await
    }
}

/// Who acts on this connection.
pub(super) async fn actor(session: &mut Session, operator: &str) -> Result<Actor, ControlError> {
    let accounts: Vec<String> = session.rows("SELECT CURRENT_USER()").await?;
    let account = accounts.first().ok_or(ControlError::Malformed { what: "the control account's name" })?;
    Ok(Actor::new(account, operator))
}
