//! What becomes of one cell. Pure: knows keys and policy, no table and no server.

use std::str;

use zeroize::Zeroizing;

use crate::crypto::{
    ColumnKeys, Envelope, EnvelopeError, KeyId, OpenError, Plaintext, RowValue, SealError, SubjectDigest,
};
use crate::policy::{DecryptGrant, LogicalType, ProtectedColumn};

/// What every cell of a column shall be in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// An envelope under the active keys; values are sealed.
    Sealed,
    /// The same, where a value that is none is a fault: the column was sealed before.
    Renewed,
    /// The value itself.
    Plain,
}

/// Why a cell cannot become what it shall be. Says nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellFault {
    /// It is an envelope that does not open.
    #[error("cannot be opened: {0}")]
    NotOpened(OpenError),
    /// It is a value in a column that holds envelopes alone.
    #[error("is no envelope, in a column that is sealed")]
    Unsealed,
    /// It opens, and its blind index is not that of its value.
    #[error("carries a blind index that is not the one of its value")]
    IndexDisagrees,
    /// It is no UTF-8.
    #[error("is no UTF-8 text: convert the column to utf8mb4 first")]
    NotText,
    /// It is longer than the type in policy.
    #[error("is longer than the type that policy gives the column")]
    TooLong,
    /// It cannot be sealed.
    #[error("cannot be sealed: {0}")]
    NotSealed(SealError),
}

/// One protected column with its keys.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub(super) column: &'a ProtectedColumn,
    pub(super) keys: &'a ColumnKeys,
    pub(super) grant: &'a DecryptGrant,
}

/// What a sound cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// A value.
    Plaintext,
    /// An envelope that opens and whose index agrees.
    Envelope {
        /// Its key.
        kid: KeyId,
        /// Version of its index key.
        index_version: Option<u16>,
        /// Bytes before its nonce.
        header_octets: usize,
        /// Whether it is bound to its row.
        binding: Binding,
    },
}

/// Whether an envelope is bound to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// As policy says, or not, as policy says.
    AsAsked,
    /// Not as policy says.
    Otherwise,
}

impl Cells<'_> {
    /// The cell's new bytes; `None` if it is what it shall be. `owner` is whose the row is, in the form that a data
    /// subject's key is found by, or what its values are bound to.
    pub(super) fn converted(
        &self,
        goal: Goal,
        stored: &[u8],
        owner: Option<&[u8]>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CellFault> {
        let envelope = match Envelope::parse(stored) {
            Ok(envelope) => Some(envelope),
            Err(EnvelopeError::NotAnEnvelope) => None,
            Err(error @ EnvelopeError::Malformed(_)) => return Err(CellFault::NotOpened(error.into())),
        };
        match (goal, envelope) {
            (Goal::Plain, None) => Ok(None),
            (Goal::Plain, Some(_)) => {
                self.opened(stored, owner).map(|plain| Some(Zeroizing::new(plain.expose().to_vec())))
            }
            (Goal::Renewed, None) => Err(CellFault::Unsealed),
            (Goal::Sealed, None) => self.sealed((None, owner), &Plaintext::from(stored.to_vec())).map(Some),
            (Goal::Sealed | Goal::Renewed, Some(envelope)) if self.is_current(&envelope) => Ok(None),
            (Goal::Sealed | Goal::Renewed, Some(envelope)) => {
                self.sealed((Some(envelope.kid()), owner), &self.opened(stored, owner)?).map(Some)
            }
        }
    }

    /// Whether an envelope is under the active data key, or a data subject's own where that is what seals, under the active
    /// index key, and bound to its row if policy says so.
    fn is_current(&self, envelope: &Envelope<'_>) -> bool {
        let sealed_today = match self.keys.sealing_subjects() {
            Some(_) => envelope.kid().is_of_subject(),
            None => Some(envelope.kid()) == self.keys.active_key(),
        };
        let is_bound = envelope.is_row_bound() == self.keys.binds_rows();
        sealed_today && is_bound && envelope.index_version() == self.keys.active_index()
    }

    /// Examines a cell wholly: opens it and compares its index. `owner` is what its row says, as for [`Self::converted`].
    pub(super) fn examined(&self, stored: &[u8], owner: Option<&[u8]>) -> Result<Sound, CellFault> {
        let envelope = match Envelope::parse(stored) {
            Ok(envelope) => envelope,
            Err(EnvelopeError::NotAnEnvelope) => return Ok(Sound::Plaintext),
            Err(error @ EnvelopeError::Malformed(_)) => return Err(CellFault::NotOpened(error.into())),
        };
        let plain = self.opened(stored, owner)?;
        if !self.keys.index_agrees(stored, &plain).map_err(CellFault::NotOpened)? {
            return Err(CellFault::IndexDisagrees);
        }
        Ok(Sound::Envelope {
            kid: envelope.kid(),
            index_version: envelope.index_version().map(|version| version.number()),
            header_octets: envelope.header().len(),
            binding: if envelope.is_row_bound() == self.keys.binds_rows() {
                Binding::AsAsked
            } else {
                Binding::Otherwise
            },
        })
    }

    /// Whether a value can be sealed: text, and no longer than policy says.
    pub(super) fn check_value(&self, value: &[u8]) -> Result<(), CellFault> {
        let text = str::from_utf8(value).map_err(|_| CellFault::NotText)?;
        let fits = match self.column.logical {
            LogicalType::Varchar { chars_max } => text.chars().count() as u64 <= u64::from(chars_max),
            LogicalType::Text(_) => value.len() as u64 <= self.column.plaintext_octets_max(),
        };
        if fits { Ok(()) } else { Err(CellFault::TooLong) }
    }

    fn opened(&self, stored: &[u8], owner: Option<&[u8]>) -> Result<Plaintext, CellFault> {
        let mut plain = Plaintext::new();
        let row = self.row(owner);
        self.keys.open_in_row(self.grant, stored, row.as_ref(), &mut plain).map_err(CellFault::NotOpened)?;
        Ok(plain)
    }

    fn row(&self, owner: Option<&[u8]>) -> Option<RowValue> {
        owner.filter(|_| self.keys.binds_rows()).and_then(|owner| RowValue::new(owner.to_vec()))
    }

    /// Seals a value, which was opened under `kid`. What one data subject's key sealed is sealed under that key again; any
    /// other value under the key of whom the row belongs to.
    fn sealed(
        &self,
        (kid, owner): (Option<KeyId>, Option<&[u8]>),
        plain: &Plaintext,
    ) -> Result<Zeroizing<Vec<u8>>, CellFault> {
        self.check_value(plain.expose())?;
        let mut envelope = Zeroizing::new(Vec::new());
        let sealed = match (self.keys.sealing_subjects(), kid, owner) {
            (Some(_), Some(kid), _) if kid.is_of_subject() => self.keys.seal_again(kid, plain, &mut envelope),
            (Some(_), _, Some(owner)) => {
                let subject = SubjectDigest::new(&self.column.keyset, owner);
                self.keys.seal_for(&subject, plain, &mut envelope)
            }
            (Some(_) | None, _, _) => match self.row(owner) {
                Some(row) => self.keys.seal_in_row(&row, plain, &mut envelope),
                None => self.keys.seal(plain, &mut envelope),
            },
        };
        sealed.map_err(CellFault::NotSealed)?;
        Ok(envelope)
    }
}
