//! What the process asks of the system, because keys and values are in its memory.
//!
//! | measure | against | when |
//! |---|---|---|
//! | no core dump (`RLIMIT_CORE` 0) | keys in a file that a crash writes | every command, first of all |
//! | not dumpable (`PR_SET_DUMPABLE` 0) | another process of the same user that reads memory, environment or descriptors | every command |
//! | no new privileges (`PR_SET_NO_NEW_PRIVS`) | a set-user-id program as a way out of a process that was taken over | every command but `demo`, which starts a database server |
//! | memory locked (`mlockall`) | keys in swap | commands that open keys, where the system allows it |
//! | AES instructions | a key that shows in the time that tables take | `serve` says if they are missing |
//!
//! What cannot be had is told and not fatal, except for locked memory under `require_mlock`.

use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

use crate::config::MemoryLock;

/// Whether programs that this one starts may gain privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// There are none, or they need nothing.
    Unprivileged,
    /// A database server, whose start may go through set-user-id programs.
    Privileged,
}

/// A measure that the system does not offer.
#[derive(Debug)]
pub struct Shortcoming {
    what: &'static str,
    cause: io::Error,
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

/// Memory that may be written to swap.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryLockError {
    /// The limit is too small for a whole process, and locking part of it would make later allocations fail.
    #[error("memory cannot be locked: RLIMIT_MEMLOCK is not unlimited and CAP_IPC_LOCK is missing")]
    NotAllowed,
    /// The system refused.
    #[error("memory cannot be locked")]
    Refused(#[source] io::Error),
}

/// Closes the process to others, before it has read a secret and before it has a second thread. Gives what could not be
/// done.
pub fn close(children: Children) -> Vec<Shortcoming> {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let no_new_privileges = match children {
        Children::Unprivileged => set_no_new_privs(true),
        Children::Privileged => Ok(()),
    };
    let outcomes = [
        ("core dumps cannot be switched off", no_core),
        ("the process's memory cannot be closed to others", not_dumpable),
        ("new privileges cannot be given up", no_new_privileges),
    ];
    let failed =
        |(what, outcome): (_, Result<(), Errno>)| outcome.err().map(|error| Shortcoming { what, cause: error.into() });
    outcomes.into_iter().filter_map(failed).collect()
}

/// Keeps what is in memory now, and what comes, out of swap. Pages are locked when they are first used, so that reserved
/// stacks and arenas cost nothing. Child processes do not inherit it.
///
/// # Errors
/// The system does not allow it.
pub fn lock_memory() -> Result<(), MemoryLockError> {
    if !may_lock_memory() {
        return Err(MemoryLockError::NotAllowed);
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
        .map_err(|error| MemoryLockError::Refused(error.into()))
}

/// Locks memory as configured: a failure is an error if it is required, else it is logged.
///
/// # Errors
/// Memory must be locked and cannot be.
pub fn lock_memory_as(wanted: MemoryLock) -> Result<(), MemoryLockError> {
    match (lock_memory(), wanted) {
        (Ok(()), _) => Ok(()),
        (Err(error), MemoryLock::Required) => Err(error),
        (Err(error), MemoryLock::IfAllowed) => {
            tracing::warn!(cause = %error, "keys may be written to swap: see OPERATIONS.md, or use no swap");
            Ok(())
        }
    }
}

/// Whether the whole process may be locked. A finite limit is not enough, whatever is in use now: with future pages
/// locked too, an allocation beyond it fails, which ends the process.
pub fn may_lock_memory() -> bool {
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    unlimited || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

/// Without AES instructions envelopes take several times as long, and the time of each shows more of its key.
pub fn tell_of_slow_aes() {
    if !aes::hardware_accelerated() {
        tracing::warn!("this processor has no AES instructions: sealing and opening are slow");
    }
}
