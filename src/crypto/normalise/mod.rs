//! Normalisers: what counts as the same value for a blind index. The stored value is never normalised.
//!
//! A normaliser's id is hashed into the index. Whoever changes what one gives must give it a new id; otherwise stored
//! rows are no longer found.

mod e164;
mod email;
mod raw;
#[cfg(test)]
mod tests;
mod text;

use super::Plaintext;
use crate::policy::Normaliser;

/// Why a value cannot be normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormaliseError {
    /// The value of a text column is not UTF-8.
    #[error("the value is not valid UTF-8")]
    NotUtf8,
}

/// The versioned id that is hashed in.
pub fn normaliser_id(normaliser: &Normaliser) -> &'static str {
    match normaliser {
        Normaliser::Raw => "raw.1",
        Normaliser::Text => "text.1",
        Normaliser::Email => "email.1",
        Normaliser::E164 { .. } => "e164.1",
    }
}

/// Appends the normal form of a value.
pub fn normalise(normaliser: &Normaliser, value: &Plaintext, out: &mut Plaintext) -> Result<(), NormaliseError> {
    match normaliser {
        Normaliser::Raw => raw::normalise(value.expose(), out),
        Normaliser::Text => text::normalise(utf8(value)?, out),
        Normaliser::Email => email::normalise(utf8(value)?, out),
        Normaliser::E164 { region } => e164::normalise(utf8(value)?, region, out),
    }
    Ok(())
}

/// Appends a valid telephone number in E.164 and tells how long `+` and its country's code are.
pub(super) fn telephone(value: &str, region: &str, out: &mut Plaintext) -> Option<usize> {
    e164::telephone(value, region, out)
}

/// Loads the telephone metadata, which takes a good part of a second. Call it at start, not under the first statement.
pub fn warm_up() {
    e164::warm_up();
}

fn utf8(value: &Plaintext) -> Result<&str, NormaliseError> {
    std::str::from_utf8(value.expose()).map_err(|_| NormaliseError::NotUtf8)
}
