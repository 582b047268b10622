//! Seals, opens and searches the values of one protected column with the keys that belong to it.
//!
//! Key states, policies and snapshots are the key ring's affair; this type is immutable once built, but for the keys of
//! single data subjects that are opened later.

use std::fmt;
use std::sync::Arc;

use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{AeadInOut, KeyInit};
use zeroize::Zeroizing;

use super::aad::{Aad, CONTEXT_OCTETS_MAX, RowValue};
use super::envelope::{
    ENVELOPE_OCTETS_MAX, Envelope, EnvelopeError, Field, HEADER_LENGTH_MAX, NONCE_LENGTH, Padded, RowBinding,
    TAG_LENGTH, write_key, write_prefix,
};
use super::index::{ColumnIndex, IndexKeys, KeyedIndex, PrefixRange, Pseudonym, SearchError};
use super::normalise::NormaliseError;
use super::padding::{pad, unpadded_length};
use super::{
    DataKey, Holds, IndexKey, IndexVersion, KeyId, KeySecret, Plaintext, Stage, SubjectDigest, SubjectKey, SubjectKeys,
    SubjectStand,
};
use crate::policy::{ColumnId, DecryptGrant, Padding, ProtectedColumn, Unbound};

const SALT: &[u8] = b"candado/v1/data";
/// Header with the longest index, nonce, tag, and the most padding that a value may get.
const OVERHEAD_MAX: usize = HEADER_LENGTH_MAX + NONCE_LENGTH + TAG_LENGTH + 64;

/// Why a value was not sealed. Nothing was appended to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The value cannot be normalised for its blind index.
    #[error(transparent)]
    Normalise(#[from] NormaliseError),
    /// The value is longer than any cell.
    #[error("the value is too long to be sealed")]
    TooLong,
    /// The column's keyset has no active key.
    #[error("there is no active key")]
    NoActiveKey,
    /// The system's random number generator failed. There is no fallback.
    #[error("the system's random number generator failed")]
    Random,
    /// Each data subject's values have a key of their own in this column, and it was not said whose this one is.
    #[error("it is not known whose value it is")]
    NoSubject,
    /// Values of this column are bound to their rows, and it was not said which row this one stands in.
    #[error("it is not known which row the value stands in")]
    NoRow,
    /// The data subject's key is not here. It may be elsewhere.
    #[error("the key of the data subject is not available")]
    UnknownSubject,
    /// The data subject's key was destroyed on purpose.
    #[error("the key of the data subject was destroyed")]
    Erased,
}

/// Why a cell was not opened. The output is empty then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The grant is for another column.
    #[error("the grant is for another column")]
    NotGranted,
    /// The cell holds something that is no envelope.
    #[error("not an envelope")]
    NotAnEnvelope,
    /// The cell begins like an envelope and a field is wrong.
    #[error("malformed envelope: {0}")]
    Malformed(Field),
    /// The envelope is bound to its row, and it was not said which one that is.
    #[error("the envelope is bound to its row, and it is not known which one that is")]
    RowBound,
    /// The envelope is bound to no row, in a column whose envelopes are.
    #[error("the envelope is not bound to its row, as policy says")]
    NotRowBound,
    /// The column's keyset has no such key.
    #[error("unknown key id {0}")]
    UnknownKey(KeyId),
    /// The key exists and its state forbids opening.
    #[error("key {0} may not be used")]
    KeyNotUsable(KeyId),
    /// The key belonged to one data subject and was destroyed on purpose.
    #[error("key {0} of a data subject was destroyed")]
    Erased(KeyId),
    /// The envelope is not what was sealed for this column.
    #[error("the envelope is not authentic")]
    Tampered,
}

impl From<EnvelopeError> for OpenError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::NotAnEnvelope => Self::NotAnEnvelope,
            EnvelopeError::Malformed(field) => Self::Malformed(field),
        }
    }
}

/// Why a column's keys cannot be put together. All of it is wrong policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnKeysError {
    /// The context is empty or longer than three full-length names.
    #[error("the context must have 1 to 578 bytes")]
    Context,
    /// The block is zero or more than 64.
    #[error("the padding block must have 1 to 64 bytes")]
    Padding,
    /// The tag length is not 2 to 16, or the domain is longer than 65,535 bytes.
    #[error("the blind index must have 2 to 16 bytes and a domain of at most 65535")]
    Index,
    /// The column has an index and no index key was given.
    #[error("the column has a blind index and no index key")]
    NoIndexKey,
}

/// The data keys of a column's keyset.
#[derive(Debug)]
pub struct DataMaterial<'a> {
    /// The key that seals; `None` while none may.
    pub active: Option<(KeyId, &'a DataKey)>,
    /// Further keys that open.
    pub readable: Vec<(KeyId, &'a DataKey)>,
    /// Keys that exist and may do nothing.
    pub barred: Vec<KeyId>,
}

/// The index keys of a column's keyset.
#[derive(Debug)]
pub struct IndexMaterial<'a> {
    /// The key under which new envelopes are indexed; `None` while none may be.
    pub active: Option<(IndexVersion, &'a IndexKey)>,
    /// Further keys under which stored envelopes may be indexed.
    pub readable: Vec<(IndexVersion, &'a IndexKey)>,
    /// Whether these are all.
    pub keys: IndexKeys,
}

/// A data key as this column uses it. The cipher stands on the heap, so that moves leave no key schedule behind.
enum Cipher {
    Usable(Box<Xaes256Gcm>),
    Barred,
}

/// One protected column with its keys: cached ciphers, cached index states, context and padding.
pub struct ColumnKeys {
    column: ColumnId,
    context: Arc<str>,
    padding: Padding,
    /// `None` while nothing may be written.
    active: Option<(KeyId, Box<Xaes256Gcm>)>,
    others: Vec<(KeyId, Cipher)>,
    index: Option<ColumnIndex>,
    stage: Stage,
    sealing: Sealing,
    /// What to do with envelopes that are bound to no row; `None` if none is bound.
    binding: Option<Unbound>,
    /// Opened keys of single data subjects; `None` if the keyset has no subject key.
    subjects: Option<Arc<SubjectKeys>>,
}

/// What is sealed behind an index prefix.
pub(super) struct Body<'a> {
    pub(super) nonce: &'a [u8; NONCE_LENGTH],
    pub(super) row: Option<&'a RowValue>,
    pub(super) plain: &'a Plaintext,
}

/// Which keys seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sealing {
    /// The active data key.
    DataKey,
    /// That of the data subject whose the row is.
    SubjectKeys,
}

impl ColumnKeys {
    /// Derives the column's keys: `K_aead = HKDF(DEK, "candado/v1/data", context)` and one index state per index key.
    pub fn new(
        id: ColumnId,
        column: &ProtectedColumn,
        data: &DataMaterial<'_>,
        index: Option<&IndexMaterial<'_>>,
    ) -> Result<Self, ColumnKeysError> {
        if column.context.is_empty() || column.context.len() > CONTEXT_OCTETS_MAX {
            return Err(ColumnKeysError::Context);
        }
        if let Padding::Block(block) = column.padding
            && !(1..=64).contains(&block)
        {
            return Err(ColumnKeysError::Padding);
        }
        let cipher = |key: &DataKey| derived_cipher(&key.0, &column.context);
        let readable = data.readable.iter().map(|(kid, key)| (*kid, Cipher::Usable(cipher(key))));
        let barred = data.barred.iter().map(|kid| (*kid, Cipher::Barred));
        let index = match (&column.index, index) {
            (None, _) => None,
            (Some(_), None) => return Err(ColumnKeysError::NoIndexKey),
            (Some(spec), Some(keys)) => {
                let keyed = |(version, key): &(IndexVersion, &IndexKey)| {
                    KeyedIndex::new(*version, key, &spec.domain, &spec.normaliser)
                };
                let others: Option<Vec<_>> = keys.readable.iter().map(keyed).collect();
                let active = keys.active.as_ref().map(|active| keyed(active).ok_or(ColumnKeysError::Index));
                let active = active.transpose()?;
                let index = others.and_then(|others| ColumnIndex::new(spec, active, others, keys.keys));
                Some(index.ok_or(ColumnKeysError::Index)?)
            }
        };
        Ok(Self {
            column: id,
            context: Arc::clone(&column.context),
            padding: column.padding,
            active: data.active.map(|(kid, key)| (kid, cipher(key))),
            others: readable.chain(barred).collect(),
            index,
            stage: Stage::default(),
            sealing: if column.subject.is_some() { Sealing::SubjectKeys } else { Sealing::DataKey },
            binding: column.bind.as_ref().map(|bind| bind.unbound),
            subjects: None,
        })
    }

    /// The column that they are of.
    pub fn column(&self) -> ColumnId {
        self.column
    }

    /// The same keys for a column at another stage than [`Stage::Sealed`].
    #[must_use]
    pub fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// The same keys, and those of single data subjects.
    #[must_use]
    pub fn with_subjects(self, subjects: Arc<SubjectKeys>) -> Self {
        Self { subjects: Some(subjects), ..self }
    }

    /// The keys of single data subjects of the keyset; `None` if it has no subject key.
    pub fn subjects(&self) -> Option<&Arc<SubjectKeys>> {
        self.subjects.as_ref()
    }

    /// The keys of single data subjects that new values are sealed under; `None` if the data key seals.
    pub fn sealing_subjects(&self) -> Option<&Arc<SubjectKeys>> {
        match self.sealing {
            Sealing::DataKey => None,
            Sealing::SubjectKeys => self.subjects.as_ref(),
        }
    }

    /// How far the column is: what writes put into it and what reads may find.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Seals a value under the active key and appends the envelope. Every value is plaintext, also one that is itself
    /// an envelope: who pastes a stolen envelope gets the same bytes back, not their content.
    ///
    /// A column whose values have keys of their own is sealed by [`ColumnKeys::seal_for`] alone, one whose values are bound to
    /// their rows by [`ColumnKeys::seal_in_row`].
    pub fn seal(&self, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        match (self.sealing, self.binding) {
            (Sealing::DataKey, None) => self.seal_beside(None, plain, out),
            (Sealing::DataKey, Some(_)) => Err(SealError::NoRow),
            (Sealing::SubjectKeys, _) => Err(SealError::NoSubject),
        }
    }

    /// Seals a value of a column whose values are bound to their rows, beside the value of the row that it is bound to.
    pub fn seal_in_row(&self, row: &RowValue, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        match self.binding {
            Some(_) => self.seal_beside(Some(row), plain, out),
            None => self.seal(plain, out),
        }
    }

    fn seal_beside(&self, row: Option<&RowValue>, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        let (kid, cipher) = self.active.as_ref().ok_or(SealError::NoActiveKey)?;
        self.seal_under(*kid, cipher, row, plain, out)
    }

    /// Whether new envelopes are bound to their rows.
    pub fn binds_rows(&self) -> bool {
        self.binding.is_some()
    }

    /// Seals a value under the key of the data subject that it belongs to.
    pub fn seal_for(&self, subject: &SubjectDigest, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        let missing = if self.active.is_none() { SealError::NoActiveKey } else { SealError::NoSubject };
        let subjects = self.sealing_subjects().ok_or(missing)?;
        self.seal_with(subjects.by_subject(subject), plain, out)
    }

    /// Seals a value that was opened under `kid` again: under the active data key, or under the same key if that is one
    /// data subject's.
    pub fn seal_again(&self, kid: KeyId, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        match (self.sealing_subjects(), kid.is_of_subject()) {
            (Some(subjects), true) => self.seal_with(subjects.by_kid(kid), plain, out),
            (Some(_) | None, _) => self.seal(plain, out),
        }
    }

    fn seal_with(&self, key: Option<SubjectStand>, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        match key {
            Some(SubjectStand::Living(key)) => {
                self.seal_under(key.kid, &derived_cipher(&key.secret, &self.context), None, plain, out)
            }
            Some(SubjectStand::Erased) => Err(SealError::Erased),
            None => Err(SealError::UnknownSubject),
        }
    }

    fn seal_under(
        &self,
        kid: KeyId,
        cipher: &Xaes256Gcm,
        row: Option<&RowValue>,
        plain: &Plaintext,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        if plain.len() > ENVELOPE_OCTETS_MAX.saturating_sub(OVERHEAD_MAX) {
            return Err(SealError::TooLong);
        }
        let start = out.len();
        // The value stands in `out` in the clear until it is encrypted in place: with the room reserved first, `out`
        // never grows, so never moves, while it does.
        out.reserve(plain.len().saturating_add(OVERHEAD_MAX));
        let body = Body { nonce: &nonce, row, plain };
        let sealed = self.write_index(plain, out).and_then(|()| self.seal_body((kid, cipher), &body, out, start));
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    fn write_index(&self, plain: &Plaintext, out: &mut Vec<u8>) -> Result<(), SealError> {
        match &self.index {
            Some(index) => index.write_prefix(plain, out)?.ok_or(SealError::NoActiveKey),
            None => write_prefix(out, None).ok_or(SealError::TooLong),
        }
    }

    /// Appends what follows the index prefix, which begins at `start`.
    pub(super) fn seal_body(
        &self,
        (kid, cipher): (KeyId, &Xaes256Gcm),
        Body { nonce, row, plain }: &Body<'_>,
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SealError> {
        let padded = match self.padding {
            Padding::None => Padded::No,
            Padding::Block(_) => Padded::Yes,
        };
        let binding = if row.is_some() { RowBinding::Bound } else { RowBinding::Free };
        write_key(out, binding, padded, kid);
        let aad =
            Aad::new(out.get(start..).unwrap_or_default(), self.context.as_bytes(), *row).ok_or(SealError::TooLong)?;
        out.extend_from_slice(*nonce);
        let body = out.len();
        out.extend_from_slice(plain.expose());
        if let Padding::Block(block) = self.padding {
            pad(out, body, block);
        }
        let body = out.get_mut(body..).unwrap_or_default();
        let tag = cipher
            .encrypt_inout_detached((*nonce).into(), aad.as_bytes(), body.into())
            .map_err(|_| SealError::TooLong)?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens a cell into `plain`, whose buffer is the only memory it takes. After an error `plain` is empty: bytes that
    /// were not authenticated are never left in it.
    pub fn open(&self, grant: &DecryptGrant, stored: &[u8], plain: &mut Plaintext) -> Result<(), OpenError> {
        self.open_in_row(grant, stored, None, plain)
    }

    /// The same for a cell of a row that is known by the value that envelopes of the column are bound to.
    pub fn open_in_row(
        &self,
        grant: &DecryptGrant,
        stored: &[u8],
        row: Option<&RowValue>,
        plain: &mut Plaintext,
    ) -> Result<(), OpenError> {
        plain.clear();
        if grant.column() != self.column {
            return Err(OpenError::NotGranted);
        }
        let opened = self.open_envelope(&Envelope::parse(stored)?, row, plain);
        if opened.is_err() {
            plain.clear();
        }
        opened
    }

    /// Reads a cell at the column's stage into `plain`: opens an envelope, and takes what is none for the value itself
    /// where the column holds both.
    ///
    /// The magic decides. It begins with a byte that no UTF-8 text has, so a cell that begins with it is no text: it
    /// authenticates, or it is an error like a changed envelope, also where a field behind the magic is wrong.
    pub fn read(
        &self,
        grant: &DecryptGrant,
        stored: &[u8],
        row: Option<&RowValue>,
        plain: &mut Plaintext,
    ) -> Result<(), OpenError> {
        match (self.open_in_row(grant, stored, row, plain), self.stage.holds()) {
            (Err(OpenError::NotAnEnvelope), Holds::Both) => {
                plain.extend(stored);
                Ok(())
            }
            (opened, Holds::Both | Holds::Envelopes) => opened,
        }
    }

    fn open_envelope(
        &self,
        envelope: &Envelope<'_>,
        row: Option<&RowValue>,
        plain: &mut Plaintext,
    ) -> Result<(), OpenError> {
        let row = match (envelope.row, self.binding) {
            (RowBinding::Free, None | Some(Unbound::Accepted)) => None,
            (RowBinding::Free, Some(Unbound::Refused)) => return Err(OpenError::NotRowBound),
            (RowBinding::Bound, _) => Some(row.ok_or(OpenError::RowBound)?),
        };
        let subject_cipher;
        let cipher = if envelope.kid.is_of_subject() {
            subject_cipher = derived_cipher(&self.subject_key(envelope.kid)?.secret, &self.context);
            &*subject_cipher
        } else {
            self.cipher(envelope.kid)?
        };
        let aad = Aad::new(envelope.header, self.context.as_bytes(), row).ok_or(OpenError::Malformed(Field::Length))?;
        plain.extend(envelope.ciphertext);
        cipher
            .decrypt_inout_detached(
                envelope.nonce.into(),
                aad.as_bytes(),
                plain.expose_mut().into(),
                envelope.tag.into(),
            )
            .map_err(|_| OpenError::Tampered)?;
        match envelope.padded {
            Padded::Yes => {
                let length = unpadded_length(plain.expose()).ok_or(OpenError::Malformed(Field::Padding))?;
                plain.truncate(length);
            }
            Padded::No => {}
        }
        Ok(())
    }

    /// The ranges of envelopes that carry the value, one for each index key that stored envelopes may carry.
    pub fn search(&self, plain: &Plaintext) -> Result<Vec<PrefixRange>, SearchError> {
        self.index.as_ref().ok_or(SearchError::NotIndexed)?.search(plain)
    }

    /// What stands for a value where only its equality is shown. `None` without a blind index, and while none is written.
    pub(super) fn pseudonym(&self, plain: &Plaintext) -> Option<Pseudonym> {
        self.index.as_ref()?.pseudonym(plain)
    }

    /// Whether a stored envelope carries exactly the blind index that `plain` has today. The tag binds the index to the
    /// value, so reading does not need this; a scan that proves a column complete does.
    ///
    /// An envelope indexed under a key that is not here, or not indexed as policy asks, gives `false`.
    pub fn index_agrees(&self, stored: &[u8], plain: &Plaintext) -> Result<bool, OpenError> {
        let envelope = Envelope::parse(stored)?;
        match (&self.index, envelope.index) {
            (None, None) => Ok(true),
            (None, Some(_)) | (Some(_), None) => Ok(false),
            (Some(index), Some((version, tag))) => {
                Ok(index.agrees(version, tag, plain).ok().flatten().unwrap_or(false))
            }
        }
    }

    /// The index keys that stored envelopes may carry, the active one first. None without an index.
    pub fn index_versions(&self) -> impl Iterator<Item = IndexVersion> {
        self.index.iter().flat_map(ColumnIndex::versions)
    }

    /// Whether look-ups find every row; `None` without a blind index.
    pub fn index_keys(&self) -> Option<IndexKeys> {
        self.index.as_ref().map(ColumnIndex::keys)
    }

    /// The key that seals; `None` while none may.
    pub fn active_key(&self) -> Option<KeyId> {
        self.active.as_ref().map(|(kid, _)| *kid)
    }

    /// The version of the index key that new envelopes are indexed under; `None` without a blind index, and while none
    /// may be.
    pub fn active_index(&self) -> Option<IndexVersion> {
        self.index.as_ref().and_then(ColumnIndex::active)
    }

    /// Whether values may be sealed: every key that it takes is active.
    pub fn may_seal(&self) -> bool {
        self.active.is_some() && self.index.as_ref().is_none_or(|index| index.active().is_some())
    }

    /// Whether any value can be opened.
    pub fn opens_anything(&self) -> bool {
        let usable = |(_, cipher): &(KeyId, Cipher)| match cipher {
            Cipher::Usable(_) => true,
            Cipher::Barred => false,
        };
        self.active.is_some() || self.others.iter().any(usable)
    }

    fn subject_key(&self, kid: KeyId) -> Result<Arc<SubjectKey>, OpenError> {
        match self.subjects.as_ref().and_then(|subjects| subjects.by_kid(kid)) {
            Some(SubjectStand::Living(key)) => Ok(key),
            Some(SubjectStand::Erased) => Err(OpenError::Erased(kid)),
            None => Err(OpenError::UnknownKey(kid)),
        }
    }

    /// The active key with its cipher, for known answers.
    #[cfg(test)]
    pub(super) fn active_cipher(&self) -> Option<(KeyId, &Xaes256Gcm)> {
        self.active.as_ref().map(|(kid, cipher)| (*kid, &**cipher))
    }

    fn cipher(&self, kid: KeyId) -> Result<&Xaes256Gcm, OpenError> {
        if let Some((active, cipher)) = &self.active
            && *active == kid
        {
            return Ok(cipher);
        }
        match self.others.iter().find(|(other, _)| *other == kid) {
            Some((_, Cipher::Usable(cipher))) => Ok(cipher),
            Some((_, Cipher::Barred)) => Err(OpenError::KeyNotUsable(kid)),
            None => Err(OpenError::UnknownKey(kid)),
        }
    }
}

impl fmt::Debug for ColumnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnKeys")
            .field("context", &self.context)
            .field("active", &self.active_key())
            .finish_non_exhaustive()
    }
}

/// A column's cipher under a key: `K_aead = HKDF(key, "candado/v1/data", context)`.
fn derived_cipher(key: &KeySecret, context: &str) -> Box<Xaes256Gcm> {
    let mut derived = Zeroizing::new([0; 32]);
    key.derive(SALT, &[context.as_bytes()], &mut derived);
    Box::new(Xaes256Gcm::new((&*derived).into()))
}
