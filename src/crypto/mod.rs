//! Envelopes, associated data, blind indexes and their normalisers. Does not know where keys come from.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod key;

pub use key::{DataKey, IndexKey, IndexVersion, KCV_LENGTH, KeyId, KeyPurpose, KeySecret, SECRET_LENGTH};
