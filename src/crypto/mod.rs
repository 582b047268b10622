//! Envelopes, associated data, blind indexes and their normalisers. Does not know where keys come from.
//!
#![doc = include_str!("envelope.md")]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod aad;
mod audit;
mod column_keys;
mod envelope;
mod index;
mod key;
mod mask;
mod normalise;
mod padding;
mod plaintext;
mod signature;
mod stage;
mod subject;
#[cfg(test)]
mod tests;

pub use aad::RowValue;
pub use audit::{AUDIT_MAC_LENGTH, AccessKey, AuditKey};
pub use column_keys::{ColumnKeys, ColumnKeysError, DataMaterial, IndexMaterial, OpenError, SealError};
pub use envelope::{ENVELOPE_OCTETS_MAX, Envelope, EnvelopeError, Field, MAGIC, blurred, is_envelope};
use index::Pseudonym;
pub use index::{IndexKeys, PrefixRange, SearchError};
pub use key::{DataKey, IndexKey, IndexVersion, KCV_LENGTH, KeyId, KeyPurpose, KeySecret, SECRET_LENGTH};
pub use mask::mask;
pub use normalise::{NormaliseError, normalise, normaliser_id, warm_up};
pub use plaintext::{Plaintext, make_room};
pub use signature::{SIGNATURE_LENGTH, SigningKey, VerifyingKey};
pub use stage::{Holds, Stage, Writes};
pub use subject::{
    SUBJECT_DIGEST_LENGTH, SUBJECT_KEY_ID_FIRST, SubjectDigest, SubjectKey, SubjectKeyError, SubjectKeys, SubjectStand,
    SubjectWrap, WrappingKey,
};
