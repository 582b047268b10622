//! `raw.1`: the bytes as they are.

use crate::crypto::Plaintext;

/// Appends the value unchanged.
pub(super) fn normalise(value: &[u8], out: &mut Plaintext) {
    out.extend(value);
}
