//! `email.1`: trimmed, NFKC, lower case. Dots and plus tags of the local part stay: providers differ on them.

use unicode_normalization::UnicodeNormalization;

use crate::crypto::Plaintext;

/// Appends the normal form.
pub(super) fn normalise(value: &str, out: &mut Plaintext) {
    let value = value.trim();
    if value.is_ascii() {
        value.bytes().for_each(|byte| out.push(byte.to_ascii_lowercase()));
    } else {
        value.nfkc().flat_map(char::to_lowercase).for_each(|char| out.push_char(char));
    }
}
