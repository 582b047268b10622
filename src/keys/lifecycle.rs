//! The life of a key as a machine: which act leads from which state to which, and what to do instead where it leads
//! nowhere. Pure; [`crate::control`] carries the acts out, and a proxy believes no change that the machine cannot make.
//!
//! ```text
//! pending ──activate──► active ──(next activate)──► decrypt_only ──retire──► retired ──destroy──► destroyed
//!    │                     │                         │   ▲   ▲                  │                    ▲ ▲
//!    │                     └───────suspend───────────┤   │   └─────restore──────┘                    │ │
//!    │                                               ▼   │ resume                                    │ │
//!    │                                             suspended ──────────────destroy───────────────────┘ │
//!    └─────────────────────────────────────────────destroy─────────────────────────────────────────────┘
//! ```

#[cfg(test)]
mod tests;

use std::fmt;

use super::{KeyPurpose, KeyState};
use crate::crypto::KeyId;

/// What is done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// It becomes the key that writes.
    Activate,
    /// Another key becomes the one that writes.
    Deactivate,
    /// The emergency brake.
    Suspend,
    /// The brake is let go. The key reads again; it never writes again.
    Resume,
    /// No row needs it any more.
    Retire,
    /// Rows from a backup need it again.
    Restore,
    /// Its wraps are deleted.
    Destroy,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Activate, Self::Deactivate, Self::Suspend, Self::Resume, Self::Retire, Self::Restore, Self::Destroy];

    /// The verb, as the command line and the record spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retire => "retire",
            Self::Restore => "restore",
            Self::Destroy => "destroy",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An act that the state of its key does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {act} a key that is {state}: {instead}")]
pub struct Barred {
    /// The state.
    pub state: KeyState,
    /// The act.
    pub act: Act,
    /// Why not, and what to do instead.
    pub instead: &'static str,
}

impl KeyState {
    /// The state after an act.
    ///
    /// # Errors
    /// The act is not possible in this state.
    pub fn after(self, act: Act) -> Result<Self, Barred> {
        let state = self;
        step(state, act).map_err(|instead| Barred { state, act, instead })
    }

    /// Whether any number of acts, none included, leads from here to `later`.
    pub fn leads_to(self, later: Self) -> bool {
        let mut reached = vec![self];
        let mut next = 0;
        while let Some(state) = reached.get(next).copied() {
            let further = Act::ALL.into_iter().filter_map(|act| step(state, act).ok());
            for state in further {
                if !reached.contains(&state) {
                    reached.push(state);
                }
            }
            next = next.saturating_add(1);
        }
        reached.contains(&later)
    }
}

/// One act. The error says why not and what to do instead.
const fn step(state: KeyState, act: Act) -> Result<KeyState, &'static str> {
    use KeyState::{Active, DecryptOnly, Destroyed, Pending, Retired, Suspended};
    const NOT_SUSPENDED: &str = "it is not suspended";
    const NOT_RETIRED: &str = "it is not retired";
    const UNUSED: &str = "nothing was ever written under it; destroy it instead";
    const NEVER_AGAIN: &str = "a key that was put aside never writes again; make a new one with `candado keys rotate`";
    Err(match (state, act) {
        (Pending, Act::Activate) => return Ok(Active),
        (Active, Act::Deactivate) | (Suspended, Act::Resume) | (Retired, Act::Restore) => return Ok(DecryptOnly),
        (Active | DecryptOnly, Act::Suspend) => return Ok(Suspended),
        (DecryptOnly, Act::Retire) => return Ok(Retired),
        (Pending | Suspended | Retired, Act::Destroy) => return Ok(Destroyed),

        (Pending, Act::Deactivate | Act::Suspend | Act::Retire) => UNUSED,
        (Pending | Active | DecryptOnly | Retired, Act::Resume) => NOT_SUSPENDED,
        (Pending | Active | DecryptOnly | Suspended, Act::Restore) => NOT_RETIRED,
        (Active, Act::Activate) => "it is active already",
        (Active, Act::Retire | Act::Destroy) => {
            "it is the key that writes; rotate the keyset, re-encrypt its columns and retire the key then, or suspend \
             it in an emergency"
        }
        (DecryptOnly | Suspended | Retired, Act::Activate) => NEVER_AGAIN,
        (DecryptOnly, Act::Deactivate) => "it does not write any more already",
        (DecryptOnly, Act::Destroy) => "rows may need it; prove that none does and retire it first",
        (Suspended, Act::Suspend) => "it is suspended already",
        (Suspended, Act::Deactivate) => "it does not write; resume it, and it reads again",
        (Suspended, Act::Retire) => "resume it first; it reads then, and never writes again",
        (Retired, Act::Retire) => "it is retired already",
        (Retired, Act::Deactivate | Act::Suspend) => "no proxy uses it; restore or destroy it",
        (
            Destroyed,
            Act::Activate | Act::Deactivate | Act::Suspend | Act::Resume | Act::Retire | Act::Restore | Act::Destroy,
        ) => "its wraps are deleted, and nothing brings it back",
    })
}

/// Why an act is not possible among the keys of a keyset and purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// There is no such key.
    #[error("there is no key {kid}; `candado keys list` shows all")]
    UnknownKey {
        /// The id that was asked for.
        kid: KeyId,
    },
    /// The key's own state does not allow it.
    #[error("key {kid}: {barred}")]
    Barred {
        /// The key.
        kid: KeyId,
        /// What its state says.
        barred: Barred,
    },
    /// One key at a time waits for its activation.
    #[error("key {kid} is pending already; activate it (`candado keys rotate` does), or destroy it")]
    PendingExists {
        /// The key that waits.
        kid: KeyId,
    },
    /// Index keys: look-ups go over the version that writes and at most one older one.
    #[error(
        "index key {older} is still looked up, and a third version would make every search slower; re-index the \
         columns of the keyset (`candado column reindex`) and retire key {older} first"
    )]
    DualPeriod {
        /// The older version.
        older: KeyId,
    },
}

/// A change of one key's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub kid: KeyId,
    /// Its state before.
    pub from: KeyState,
    /// Its state after.
    pub to: KeyState,
}

/// All keys of one keyset and purpose, as far as the machine looks at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Siblings {
    /// Their purpose.
    pub purpose: KeyPurpose,
    /// Ids and states, in no particular order.
    pub keys: Vec<(KeyId, KeyState)>,
}

impl Siblings {
    /// What an act on one key changes, in the order in which it must happen: an activation first takes the pen from the
    /// key that held it, so that there is never more than one.
    ///
    /// # Errors
    /// The act is not possible.
    pub fn apply(&self, kid: KeyId, act: Act) -> Result<Vec<Change>, Impossible> {
        let from = self.keys.iter().find(|(key, _)| *key == kid).map(|(_, state)| *state);
        let from = from.ok_or(Impossible::UnknownKey { kid })?;
        let to = from.after(act).map_err(|barred| Impossible::Barred { kid, barred })?;
        let mut changes = Vec::new();
        if to == KeyState::Active {
            self.single_dual_period()?;
            for (kid, from) in self.keys.iter().copied().filter(|(_, state)| *state == KeyState::Active) {
                let to = from.after(Act::Deactivate).map_err(|barred| Impossible::Barred { kid, barred })?;
                changes.push(Change { kid, from, to });
            }
        }
        changes.push(Change { kid, from, to });
        Ok(changes)
    }

    /// Destroys every key, whatever its state: the emergency brake first where a key is in use.
    ///
    /// # Errors
    /// Never today: a state from which no acts lead to the end would be one.
    pub fn shred(&self) -> Result<Vec<Change>, Impossible> {
        let alive = self.keys.iter().copied().filter(|(_, state)| *state != KeyState::Destroyed);
        alive
            .map(|(kid, from)| {
                let braked = from.after(Act::Suspend).unwrap_or(from);
                let to = braked.after(Act::Destroy).map_err(|barred| Impossible::Barred { kid, barred })?;
                Ok(Change { kid, from, to })
            })
            .collect()
    }

    /// Whether another key may be made.
    ///
    /// # Errors
    /// It may not, and why.
    pub fn may_create(&self) -> Result<(), Impossible> {
        if let Some(kid) = self.first(KeyState::Pending) {
            return Err(Impossible::PendingExists { kid });
        }
        self.single_dual_period()
    }

    /// Without an active key nothing can be written at all, so a further version is allowed then.
    fn single_dual_period(&self) -> Result<(), Impossible> {
        match (self.purpose, self.first(KeyState::Active), self.first(KeyState::DecryptOnly)) {
            (KeyPurpose::Index, Some(_), Some(older)) => Err(Impossible::DualPeriod { older }),
            (KeyPurpose::Index, None, _) | (KeyPurpose::Index, Some(_), None) => Ok(()),
            (KeyPurpose::Data | KeyPurpose::Audit | KeyPurpose::Subject, _, _) => Ok(()),
        }
    }

    fn first(&self, wanted: KeyState) -> Option<KeyId> {
        self.keys.iter().filter(|(_, state)| *state == wanted).map(|(kid, _)| *kid).min()
    }
}
