//! What statements are judged by at one moment.

use std::sync::Arc;

use crate::crypto::Stage;
use crate::firewall::profile::Profiles;
use crate::keys::KeyRing;
use crate::policy::{ColumnId, Policy, ProtectedColumn};
use crate::schema::{Catalog, Charset, ColumnRef};

/// Policy, catalog and keys. Published as a whole; a statement keeps the one it began with.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is protected and who may see it.
    pub policy: Arc<Policy>,
    /// What the server holds.
    pub catalog: Arc<Catalog>,
    /// What is known of accounts that the firewall learns about.
    pub profiles: Arc<Profiles>,
    /// The keys. `None` while there are none: then nothing protected is read or written.
    pub ring: Option<Arc<KeyRing>>,
}

impl Snapshot {
    /// The keys, if they are those of this policy: column ids of another one would name other columns.
    pub(super) fn keys(&self) -> Option<&KeyRing> {
        self.ring.as_deref().filter(|ring| ring.policy_version() == self.policy.version())
    }
}

/// Why nothing may be relayed in shadow mode, which seals and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShadowBar {
    /// The key store has not told yet how far the columns are.
    #[error("the stages of the columns are not known yet")]
    Unknown,
    /// A column is being converted, or was.
    #[error("column {column} is {stage}")]
    Stage {
        /// The column.
        column: ColumnRef,
        /// Its stage.
        stage: Stage,
    },
    /// Envelopes may stand in it: its type keeps bytes, or its character set takes any, or it is not there.
    #[error("column {column} is no column of text in utf8mb4, utf8mb3 or ascii")]
    Bytes {
        /// The column.
        column: ColumnRef,
    },
}

impl Snapshot {
    /// Whether shadow mode may relay: every protected column must be one in which no envelope stands.
    ///
    /// # Errors
    /// What stands against it.
    pub fn check_shadow(&self) -> Result<(), ShadowBar> {
        check_shadow(&self.policy, &self.catalog, |id, _| self.keys()?.column(id).map(|keys| keys.stage()))
    }
}

/// The same for stages from elsewhere. `None` is an unknown stage.
///
/// An envelope begins with a byte that no UTF-8 text has, so a column of such a set holds none, whatever its stage says; and
/// the stages tell, before the first envelope is written, that a conversion has begun.
///
/// # Errors
/// What stands against it.
pub fn check_shadow(
    policy: &Policy,
    catalog: &Catalog,
    stage: impl Fn(ColumnId, &ProtectedColumn) -> Option<Stage>,
) -> Result<(), ShadowBar> {
    for (id, protected) in (0..).map(ColumnId).zip(policy.columns()) {
        let column = &protected.column;
        match stage(id, protected) {
            None => return Err(ShadowBar::Unknown),
            Some(stage @ (Stage::Encrypting | Stage::Decrypting)) => {
                return Err(ShadowBar::Stage { column: column.clone(), stage });
            }
            // The key store says nothing of a column that nobody has begun to convert.
            Some(Stage::Plain | Stage::Sealed) => {}
        }
        let table = catalog.table(&column.database, &column.table);
        let charset = table.and_then(|table| table.column(&column.column)).and_then(|found| found.charset.as_deref());
        match charset.and_then(Charset::from_name) {
            Some(Charset::Utf8mb4 | Charset::Utf8mb3 | Charset::Ascii) => {}
            Some(Charset::Latin1 | Charset::Binary) | None => {
                return Err(ShadowBar::Bytes { column: column.clone() });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
