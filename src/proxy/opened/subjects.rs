//! Which keys of data subjects rows name that have come already.

use crate::crypto::{Envelope, KeyId, MAGIC};

/// Bytes of an envelope's beginning that hold its header, and enough behind it to parse.
const ENVELOPE_HEAD: usize = 28 + 24 + 16;

/// Finds keys of data subjects that envelopes name in bytes of rows. A guess: what is no envelope costs a look-up of a
/// key that does not exist, as an envelope that somebody forged does.
pub(super) fn named_subject_keys(bytes: &[u8], mut found: impl FnMut(KeyId)) {
    for start in memchr::memmem::find_iter(bytes, &MAGIC) {
        // The shortest stretch that holds a header and, unread, what follows it.
        let end = start.saturating_add(ENVELOPE_HEAD).min(bytes.len());
        let kid = bytes.get(start..end).and_then(|head| Envelope::parse(head).ok()).map(|envelope| envelope.kid());
        if let Some(kid) = kid.filter(|kid| kid.is_of_subject()) {
            found(kid);
        }
    }
}
