//! Whose the values are that a statement stores, in columns whose values have a key for each data subject, and what they are
//! bound to, in columns whose values are bound to their rows.
//!
//! Nothing is sealed before every key that a statement needs is in the ring: what is missing is told all at once, so that
//! it is asked for once.

use std::collections::BTreeSet;

use super::{Context, RewriteError, WantedSubject};
use crate::crypto::{RowValue, SubjectDigest, SubjectStand};
use crate::policy::ProtectedColumn;
use crate::schema::{ColumnRef, UnclearSubject};

/// Data subjects of one statement at most. Their keys are held together until it is sealed.
const SUBJECTS_MAX: usize = 4096;

/// What a statement says of the row that a value is stored in.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// Whose it is.
    Subject(SubjectDigest),
    /// What the value is bound to.
    Row(RowValue),
}

impl Owner {
    /// That of a column, by the value that was said in its one form.
    pub(super) fn of(protected: &ProtectedColumn, value: Vec<u8>) -> Result<Self, RewriteError> {
        if protected.bind.is_none() {
            return Ok(Self::Subject(SubjectDigest::new(&protected.keyset, &value)));
        }
        RowValue::new(value).map(Self::Row).ok_or_else(|| unclear(UnclearSubject::Converted, protected))
    }
}

const REMEDY: &str = "give it as a literal or a parameter of the column's own type";

/// The data subjects of a statement.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    first: Option<ColumnRef>,
    subjects: BTreeSet<WantedSubject>,
}

impl Wanted {
    /// Adds one, for a column.
    pub(super) fn add(&mut self, protected: &ProtectedColumn, owner: &Owner) -> Result<(), RewriteError> {
        let Owner::Subject(subject) = *owner else { return Ok(()) };
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

/// A value that does not say for certain whose a row is, or which one, as the client hears of it.
pub(super) fn unclear(error: UnclearSubject, protected: &ProtectedColumn) -> RewriteError {
    let construct = match (error, &protected.bind) {
        (UnclearSubject::Null, None) => "NULL for the column that says whose the row is",
        (UnclearSubject::Null, Some(_)) => "NULL for the column that its values are bound to",
        (UnclearSubject::Generated, None) => "0 for an AUTO_INCREMENT column that says whose the row is",
        (UnclearSubject::Generated, Some(_)) => "0 for an AUTO_INCREMENT column that its values are bound to",
        (UnclearSubject::Converted, None) => {
            "a value that is not of the type of the column that says whose the row is, or outside its range,"
        }
        (UnclearSubject::Converted, Some(_)) => {
            "a value that is not of the type of the column that its values are bound to, or outside its range,"
        }
    };
    RewriteError::Unsupported { column: protected.column.clone(), construct, remedy: REMEDY }
}
