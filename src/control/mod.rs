//! The control plane: everything slow. Reads and writes the key store in schema `candado`, opens keys with the key
//! provider, and loads the server's catalog.
//!
//! It hands immutable snapshots to functions that the application gives it, and knows nothing of connections or
//! packets. No data-plane task ever waits for the key provider: keys are opened here alone.

mod anchor;
mod approval;
mod backoff;
mod budget_store;
mod budget_task;
mod catalog_loader;
mod catalog_task;
pub mod column;
mod column_check;
mod counted;
mod elevation;
mod error;
mod key_store;
mod key_task;
mod pool;
mod profile_store;
mod profile_task;
mod record;
mod subject_task;
#[cfg(test)]
mod tests;

pub use anchor::AnchorTask;
pub use approval::{
    APPROVAL_LIFETIME, ApprovalError, Approved, GuardedAct, ListedRequest, Request, Signed, Signer, Signers,
    StoredRequest,
};
use backoff::Backoff;
pub use budget_task::BudgetTask;
pub use catalog_loader::CatalogLoader;
pub use catalog_task::{CatalogRequests, CatalogTask, NotRefreshed};
pub use column_check::{Finding, Problem, Weight, check_columns};
pub use counted::counted;
pub use elevation::{Elevation, ElevationCondition, FACTOR_MAX, ListedElevation, ListedWindow, MINUTES_MAX};
pub use error::{ControlError, chain};
pub use key_store::{
    Acknowledged, ActError, AuditRotation, Backups, Behind, By, Carriage, CreatedKey, Done, Ending, ErasedSubject,
    Fence, ForeignKeyset, Heartbeat, InitReport, Initialisation, KeyListing, KeyStore, LEASE, Lacks, ListedKey,
    ListedReplica, MissingProof, NewKey, OldWrap, Proofs, Rewrapped, RewrappedSubjects, Run, SCHEMA, Shredded,
    StoredKeys, StoredWrap, SubjectCount, WhyNoProof, wait_for_fence,
};
pub use key_task::{KeyRequests, KeyTask, KeysMissing, KeysState, Revalidation, Vitals};
use pool::Session;
pub use pool::{Pool, Settings, Tls};
pub use profile_store::{Exception, ListedException, ListedProfile, ProfileActs, ProfileError, ProfileStore};
pub use profile_task::ProfileTask;
pub use record::{
    AUDIT_KEYSET, Actor, AuditKeys, Breach, Entry, Line, Note, Recorder, StoredEntry, StoredHead, Unsealed, Verdict,
    Verifier,
};
pub use subject_task::{KeysetSubject, SubjectRequests, SubjectTask};
