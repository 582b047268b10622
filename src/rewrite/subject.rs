//! Whose the values are that a statement stores, in columns whose values have a key for each data subject.
//!
//! Nothing is sealed before every key that a statement needs is in the ring: what is missing is told all at once, so that
//! it is asked for once.

use std::collections::BTreeSet;

use super::{Context, RewriteError, WantedSubject};
use crate::crypto::{SubjectDigest, SubjectStand};
use crate::policy::ProtectedColumn;
use crate::schema::{ColumnRef, UnclearSubject};

/// Data subjects of one statement at most. Their keys are held together until it is sealed.
const SUBJECTS_MAX: usize = 4096;

const REMEDY: &str = "give it as a literal or a parameter of the column's own type";

/// The data subjects of a statement.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    first: Option<ColumnRef>,
    subjects: BTreeSet<WantedSubject>,
}

impl Wanted {
    /// Adds one, for a column.
    pub(super) fn add(&mut self, protected: &ProtectedColumn, subject: SubjectDigest) -> Result<(), RewriteError> {
        if self.first.is_none() {
            self.first = Some(protected.column.clone());
        }
        self.subjects.insert(WantedSubject { keyset: protected.keyset.clone(), subject });
        if self.subjects.len() > SUBJECTS_MAX {
            return Err(RewriteError::Unsupported {
                column: protected.column.clone(),
                construct: "a statement with the rows of more than 4096 data subjects",
                remedy: "split it",
            });
        }
        Ok(())
    }

    /// Whether the keys of all of them are in the ring.
    pub(super) fn all_there(self, cx: &Context<'_>) -> Result<(), RewriteError> {
        let Some(column) = self.first else { return Ok(()) };
        let mut wanted = Vec::new();
        for subject in self.subjects {
            let keys = cx.ring.subjects(&subject.keyset);
            let keys = keys.ok_or_else(|| RewriteError::KeyUnavailable { column: column.clone() })?;
            match keys.by_subject(&subject.subject) {
                Some(SubjectStand::Living(_)) => {}
                Some(SubjectStand::Erased) => return Err(RewriteError::SubjectErased { column }),
                None => wanted.push(subject),
            }
        }
        if wanted.is_empty() { Ok(()) } else { Err(RewriteError::WithoutSubjectKeys { column, wanted }) }
    }
}

/// A value that does not say for certain whose a row is, as the client hears of it.
pub(super) fn unclear(error: UnclearSubject, column: &ColumnRef) -> RewriteError {
    let construct = match error {
        UnclearSubject::Null => "NULL for the column that says whose the row is",
        UnclearSubject::Generated => "0 for an AUTO_INCREMENT column that says whose the row is",
        UnclearSubject::Converted => {
            "a value that is not of the type of the column that says whose the row is, or outside its range,"
        }
    };
    RewriteError::Unsupported { column: column.clone(), construct, remedy: REMEDY }
}
