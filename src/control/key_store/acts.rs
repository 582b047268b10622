//! What the security team does to keys, each act in one transaction: the epoch row is locked, states are compared and
//! set, the epoch grows, proxies follow. Which act leads where is [`KeyState::after`]'s affair.
//!
//! Runs under the account `candado_security`. No plaintext key passes through here.

mod audit;
mod carry;
mod create;
mod end;
mod rewrap;
mod subject;
mod transaction;

use std::num::NonZeroU16;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fence::{self, Acknowledged, Behind, Fence};
use super::{ControlError, KeyStore, Session};
use crate::control::approval::{ApprovalError, Approved, GuardedAct, Request, Signers};
use crate::control::record::{AUDIT_KEYSET, Actor, BRAKE, Entry, Recorder};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{Act, Change, Impossible, KeyError, KeyState, Siblings};
pub use audit::AuditRotation;
pub use carry::Carriage;
pub use create::{ForeignKeyset, NewKey};
pub use end::{Backups, Ending, MissingProof, Proofs, Shredded, WhyNoProof};
pub use rewrap::{OldWrap, Rewrapped, StoredWrap};
pub use subject::{ErasedSubject, RewrappedSubjects, SubjectCount};
use transaction::Header;

/// Whether an act is carried out or rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Everything is checked and tried, and taken back.
    Rehearsal,
    /// It is done.
    Real,
}

/// Who acts, and where it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Where.
    pub recorder: &'a Recorder,
    /// Who approves acts that take a second person.
    pub signers: &'a Signers,
}

impl By<'_> {
    /// Records an act in its own transaction.
    async fn record(
        &self,
        session: &mut Session,
        act: &'static str,
        subject: String,
        before: Value,
        after: Value,
    ) -> Result<(), ActError> {
        let entry = Entry { actor: self.actor.clone(), act, subject, before, after };
        self.recorder.append(session, &entry).await?;
        Ok(())
    }
}

/// Why an act was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The key store cannot be used.
    #[error(transparent)]
    Store(#[from] ControlError),
    /// The states of the keys do not allow it.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The key store has no such keyset.
    #[error(transparent)]
    Keyset(#[from] ForeignKeyset),
    /// A keyset has had as many keys as versions can be numbered.
    #[error("keyset `{keyset}` has had 65535 {purpose} keys; no further version can be numbered")]
    NoMoreVersions {
        /// The keyset.
        keyset: Arc<str>,
        /// The purpose.
        purpose: KeyPurpose,
    },
    /// No proxy has opened the key yet, so that nobody knows whether it can be opened.
    #[error(
        "no proxy has opened key {kid} yet: start one with a policy that names its keyset, or look into the proxies' \
         logs for the reason"
    )]
    NotOpened {
        /// The key.
        kid: KeyId,
    },
    /// Proxies work with an earlier epoch.
    #[error(
        "not every proxy works with epoch {epoch} yet: {}. Wait, or stop that proxy: one that has been silent for 30 s \
         is not waited for",
        fence::list(behind)
    )]
    Behind {
        /// The epoch.
        epoch: u64,
        /// The proxies.
        behind: Vec<Behind>,
    },
    /// Columns for which it is not proven that no row needs the key.
    #[error("it is not proven that no row needs key {kid}: {}", end::list(missing))]
    NotProven {
        /// The key.
        kid: KeyId,
        /// What is missing.
        missing: Vec<MissingProof>,
    },
    /// Keys of data subjects are still wrapped under a subject key.
    #[error(
        "{keys} keys of data subjects are wrapped under key {kid}: bring them to the active one with \
         `candado keys rewrap --subjects`"
    )]
    SubjectsLeft {
        /// The subject key.
        kid: KeyId,
        /// How many.
        keys: u64,
    },
    /// Nothing was ever sealed for the person, or he is spelled otherwise.
    #[error(
        "keyset `{keyset}` has no key for this data subject: nothing was ever sealed for it, or the value is spelled \
         otherwise than in the table"
    )]
    UnknownSubject {
        /// The keyset.
        keyset: Arc<str>,
    },
    /// The key of a data subject was destroyed before.
    #[error("the key of this data subject of keyset `{keyset}` was destroyed already")]
    SubjectGone {
        /// The keyset.
        keyset: Arc<str>,
    },
    /// The subject keys cannot be opened, so nothing can be wrapped again.
    #[error(
        "the subject keys of keyset `{keyset}` cannot be opened: this takes an account and a principal that may, such as \
         the conversion engine's"
    )]
    SubjectKeys {
        /// The keyset.
        keyset: Arc<str>,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No column of the policy uses the keyset, so there is nothing that a proof could be about.
    #[error(
        "no column of policy uses keyset `{keyset}`, so nothing can be proven about it: name its columns in policy and \
         verify them, or erase the keyset with `candado keys shred {keyset}`"
    )]
    NoColumns {
        /// The keyset.
        keyset: Arc<str>,
    },
    /// The time between putting a key aside and destroying it is not over.
    #[error("key {kid} has been {state} for {passed_s} s of the {grace_s} s that must pass before it is destroyed")]
    Grace {
        /// The key.
        kid: KeyId,
        /// Its state.
        state: KeyState,
        /// Seconds in that state.
        passed_s: u64,
        /// Seconds that must pass.
        grace_s: u64,
    },
    /// A second person has not approved it.
    #[error("it is not approved")]
    NotApproved {
        /// What has to be approved.
        wanted: Request,
        /// Why it is not.
        #[source]
        source: ApprovalError,
    },
    /// Somebody else changed the same key between reading and writing.
    #[error("key {kid} was changed by somebody else at the same time; look at it and try again")]
    Changed {
        /// The key.
        kid: KeyId,
    },
    /// The keyset's keys are not for columns.
    #[error(
        "keyset `{keyset}` is Candado's own: without its keys no act could be recorded, and none of those that were be \
         verified; `candado keys rotate {keyset}` replaces the key that records"
    )]
    Reserved {
        /// The keyset.
        keyset: Arc<str>,
    },
    /// The key provider did not rewrap a key. Earlier wraps of the same run are done, and running it again goes on.
    #[error("the key provider did not rewrap key {kid}")]
    Rewrap {
        /// The key.
        kid: KeyId,
        /// The cause.
        #[source]
        source: KeyError,
    },
}

impl ActError {
    /// A short name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "key_store",
            Self::Impossible(Impossible::UnknownKey { .. }) => "unknown_key",
            Self::Impossible(Impossible::Barred { .. }) => "wrong_state",
            Self::Impossible(Impossible::PendingExists { .. }) => "pending_exists",
            Self::Impossible(Impossible::DualPeriod { .. }) => "dual_period",
            Self::Keyset(_) => "unknown_keyset",
            Self::NoMoreVersions { .. } => "no_more_versions",
            Self::NotOpened { .. } => "not_opened",
            Self::Behind { .. } => "replica_behind",
            Self::NotProven { .. } => "not_proven",
            Self::SubjectsLeft { .. } => "subjects_left",
            Self::UnknownSubject { .. } => "unknown_subject",
            Self::SubjectGone { .. } => "subject_gone",
            Self::SubjectKeys { .. } => "subject_keys",
            Self::NoColumns { .. } => "no_columns",
            Self::Grace { .. } => "grace",
            Self::NotApproved { .. } => "not_approved",
            Self::Changed { .. } => "changed",
            Self::Reserved { .. } => "reserved",
            Self::Rewrap { .. } => "provider",
        }
    }
}

/// An act that was done, or rehearsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The key.
    pub kid: KeyId,
    /// Its keyset.
    pub keyset: Arc<str>,
    /// Its purpose.
    pub purpose: KeyPurpose,
    /// Its version.
    pub version: NonZeroU16,
    /// What changed, the key itself last. Before it, for an activation, the key that wrote until now.
    pub changes: Vec<Change>,
    /// The epoch that tells proxies.
    pub epoch: u64,
}

/// One key as an act sees it.
#[derive(Clone, Debug)]
struct Row {
    kid: KeyId,
    version: NonZeroU16,
    state: KeyState,
    row_version: u32,
    opened: Opened,
}

/// Whether a proxy has opened the key and published its check value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    Yes,
    NotYet,
}

/// All keys of one keyset and purpose.
#[derive(Clone, Debug)]
struct Family {
    keyset: Arc<str>,
    purpose: KeyPurpose,
    rows: Vec<Row>,
}

impl Family {
    fn siblings(&self) -> Siblings {
        let keys = self.rows.iter().map(|row| (row.kid, row.state)).collect();
        Siblings { purpose: self.purpose, keys }
    }

    fn row(&self, kid: KeyId) -> Result<&Row, ActError> {
        self.rows.iter().find(|row| row.kid == kid).ok_or(ActError::Impossible(Impossible::UnknownKey { kid }))
    }
}

impl KeyStore {
    /// Makes a pending key the one that writes; the key that wrote until now only reads from then on.
    ///
    /// Refused until every living proxy works with the current epoch, and so can open what the others write under the
    /// new key, and until one of them has opened it.
    pub async fn activate_key(&self, kid: KeyId, run: Run, by: By<'_>) -> Result<Done, ActError> {
        self.act(kid, Act::Activate, run, by).await
    }

    /// The emergency brake: proxies drop the key within two seconds. The one act that [`Recorder::for_the_brake`] records.
    pub async fn suspend_key(&self, kid: KeyId, run: Run, by: By<'_>) -> Result<Done, ActError> {
        self.act(kid, Act::Suspend, run, by).await
    }

    /// Lets go of the brake. A key that was active reads only from then on.
    pub async fn resume_key(&self, kid: KeyId, run: Run, by: By<'_>) -> Result<Done, ActError> {
        self.act(kid, Act::Resume, run, by).await
    }

    /// Brings a retired key back for reading, for rows of an old backup.
    pub async fn restore_key(&self, kid: KeyId, run: Run, by: By<'_>) -> Result<Done, ActError> {
        self.act(kid, Act::Restore, run, by).await
    }

    async fn act(&self, kid: KeyId, act: Act, run: Run, by: By<'_>) -> Result<Done, ActError> {
        self.transaction("change a key's state", run, async |session, header| {
            let family = self.family_of(session, kid).await?;
            let changes = family.siblings().apply(kid, act)?;
            if act == Act::Activate {
                if family.row(kid)?.opened == Opened::NotYet {
                    return Err(ActError::NotOpened { kid });
                }
                self.all_replicas(session, header).await?;
            }
            let approved = match act {
                Act::Resume => Some(self.approved(session, header, &family, kid, GuardedAct::Resume, by).await?),
                Act::Activate | Act::Deactivate | Act::Suspend | Act::Retire | Act::Restore | Act::Destroy => None,
            };
            self.carry_out(session, &family, &changes, approved.as_ref(), by).await?;
            self.done(session, header, &family, kid, changes).await
        })
        .await
    }

    /// Every living proxy works with the current epoch.
    async fn all_replicas(&self, session: &mut Session, Header { epoch, .. }: Header) -> Result<(), ActError> {
        match self.acknowledged_in(session, &Fence { epoch, policy_digest: None }).await? {
            Acknowledged::All { .. } => Ok(()),
            Acknowledged::Waiting { behind } => Err(ActError::Behind { epoch, behind }),
        }
    }

    /// Demands that a second person has approved an act on a key. Called when nothing else stands in its way.
    async fn approved(
        &self,
        session: &mut Session,
        header: Header,
        family: &Family,
        kid: KeyId,
        act: GuardedAct,
        by: By<'_>,
    ) -> Result<Approved, ActError> {
        let Row { version, row_version, .. } = *family.row(kid)?;
        let Family { keyset, purpose, .. } = family;
        let subject = format!("key {kid} (keyset {keyset}, {purpose}, version {version})");
        self.approval(session, Request { act, subject, epoch: header.epoch, row_version }, by).await
    }

    async fn approval(&self, session: &mut Session, wanted: Request, by: By<'_>) -> Result<Approved, ActError> {
        match self.require_approval(session, &wanted, by.signers).await {
            Ok(approved) => Ok(approved),
            Err(ControlError::Approval(source)) => Err(ActError::NotApproved { wanted, source }),
            Err(error) => Err(error.into()),
        }
    }

    /// Raises the epoch and says what was done.
    async fn done(
        &self,
        session: &mut Session,
        header: Header,
        family: &Family,
        kid: KeyId,
        changes: Vec<Change>,
    ) -> Result<Done, ActError> {
        let version = family.row(kid)?.version;
        let epoch = self.raise_epoch(session, header.epoch).await?;
        let Family { keyset, purpose, .. } = family;
        Ok(Done { kid, keyset: keyset.clone(), purpose: *purpose, version, changes, epoch })
    }

    /// Changes states, and records each change.
    async fn carry_out(
        &self,
        session: &mut Session,
        family: &Family,
        changes: &[Change],
        approved: Option<&Approved>,
        by: By<'_>,
    ) -> Result<(), ActError> {
        for change in changes {
            self.change_state(session, family.row(change.kid)?, change).await?;
            let state = |state: KeyState| json!({ "keyset": &*family.keyset, "state": state.name() });
            let mut after = state(change.to);
            if let Some(approved) = approved {
                after["approval"] = approved.facts();
            }
            by.record(session, recorded(change), format!("key {}", change.kid), state(change.from), after).await?;
        }
        Ok(())
    }

    async fn change_state(&self, session: &mut Session, row: &Row, change: &Change) -> Result<(), ActError> {
        // Each time is set once: by the first activation, the end of writing, the end.
        let time = match (change.from, change.to) {
            (_, KeyState::Active) => ", activated_at = UTC_TIMESTAMP(6)",
            (KeyState::Active, KeyState::Destroyed) => {
                ", deactivated_at = UTC_TIMESTAMP(6), destroyed_at = UTC_TIMESTAMP(6)"
            }
            (KeyState::Active, _) => ", deactivated_at = UTC_TIMESTAMP(6)",
            (_, KeyState::Destroyed) => ", destroyed_at = UTC_TIMESTAMP(6)",
            (_, KeyState::Pending | KeyState::DecryptOnly | KeyState::Suspended | KeyState::Retired) => "",
        };
        let sql = format!(
            "UPDATE {}.data_key SET state = ?, changed_at = UTC_TIMESTAMP(6), row_version = row_version + 1{time} \
             WHERE kid = ? AND state = ? AND row_version = ?",
            self.schema
        );
        let params = (change.to.name(), change.kid.number(), change.from.name(), row.row_version);
        match session.change(&sql, params).await?.rows {
            1 => Ok(()),
            _ => Err(ActError::Changed { kid: change.kid }),
        }
    }

    /// The keys of the same keyset and purpose as this one, itself included.
    async fn family_of(&self, session: &mut Session, kid: KeyId) -> Result<Family, ActError> {
        let sql = format!(
            "SELECT k.keyset_id, s.name, k.purpose FROM {schema}.data_key k \
             JOIN {schema}.keyset s ON s.keyset_id = k.keyset_id WHERE k.kid = ?",
            schema = self.schema
        );
        let rows: Vec<(u32, String, String)> = session.rows_with(&sql, (kid.number(),)).await?;
        let (id, keyset, purpose) = rows.into_iter().next().ok_or(Impossible::UnknownKey { kid })?;
        if keyset == AUDIT_KEYSET {
            return Err(ActError::Reserved { keyset: keyset.into() });
        }
        let purpose = KeyPurpose::from_name(&purpose).ok_or(ControlError::Malformed { what: "a key's purpose" })?;
        self.family(session, id, keyset.into(), purpose).await
    }

    async fn family(
        &self,
        session: &mut Session,
        keyset_id: u32,
        keyset: Arc<str>,
        purpose: KeyPurpose,
    ) -> Result<Family, ActError> {
        let malformed = |what| ControlError::Malformed { what };
        let sql = format!(
            "SELECT kid, version, state, row_version, kcv IS NOT NULL FROM {}.data_key \
             WHERE keyset_id = ? AND purpose = ? ORDER BY kid",
            self.schema
        );
        let rows: Vec<(u32, u16, String, u32, bool)> = session.rows_with(&sql, (keyset_id, purpose.name())).await?;
        let rows = rows
            .into_iter()
            .map(|(kid, version, state, row_version, opened)| {
                Ok(Row {
                    kid: KeyId::new(kid).ok_or(malformed("key id 0"))?,
                    version: NonZeroU16::new(version).ok_or(malformed("key version 0"))?,
                    state: KeyState::from_name(&state).ok_or(malformed("a key's state"))?,
                    row_version,
                    opened: if opened { Opened::Yes } else { Opened::NotYet },
                })
            })
            .collect::<Result<_, ControlError>>()?;
        Ok(Family { keyset, purpose, rows })
    }
}

/// The name of a change in the record.
fn recorded(change: &Change) -> &'static str {
    match (change.from, change.to) {
        (_, KeyState::Pending) => "key.create",
        (_, KeyState::Active) => "key.activate",
        (KeyState::Suspended, KeyState::DecryptOnly) => "key.resume",
        (KeyState::Retired, KeyState::DecryptOnly) => "key.restore",
        (_, KeyState::DecryptOnly) => "key.deactivate",
        (_, KeyState::Suspended) => BRAKE,
        (_, KeyState::Retired) => "key.retire",
        (_, KeyState::Destroyed) => "key.destroy",
    }
}
