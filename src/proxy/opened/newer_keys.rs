//! Newer keys for a row with a value under a key that is not known here.

use super::{NewerKeys, Reader};
use crate::crypto::{Envelope, KeyId, MAGIC};
use crate::keys::KeyRing;
use crate::proxy::decision::Desk;
use crate::proxy::keys::KeysWanted;
use crate::proxy::session::Shared;

/// Keys of data subjects that are asked for at once.
const SUBJECT_KEYS_MAX: usize = 500;
/// Bytes of an envelope's beginning that hold its header, and enough behind it to parse.
const ENVELOPE_HEAD: usize = 28 + 24 + 16;

impl Reader {
    /// Takes over newer keys, if there are any for the policy that the statement was planned under: what may be opened
    /// stays what it was.
    pub(super) async fn renew(&mut self, kid: KeyId, from: NewerKeys, desk: &Desk) -> bool {
        let shared = &desk.shared;
        match from {
            NewerKeys::Published => desk.connection.counters.unknown_key(),
            NewerKeys::AskedFor => {
                if !shared.keys.ask(KeysWanted::Key(kid), shared.settings.timeouts.unknown_key).await {
                    return false;
                }
            }
        }
        let newest = shared.snapshot.load_full();
        let same_policy = newest.policy.version() == self.opening.snapshot.policy.version();
        let digest = newest.keys().map(KeyRing::digest);
        let newer = digest.is_some() && digest != self.opening.snapshot.keys().map(KeyRing::digest);
        if same_policy && newer {
            self.opening.snapshot = newest;
        }
        same_policy && newer
    }

    /// Asks for the key of a data subject, and along with it for those that the rows name which have come already: a
    /// thousand rows of a thousand people are a few questions.
    pub(super) async fn find_subject_keys(&mut self, kid: KeyId, seen: (&[u8], &[u8]), desk: &Desk) -> bool {
        let shared = &desk.shared;
        if self.take_newest_ring(shared) && self.opening.knows_subject_key(kid) {
            return true;
        }
        let mut wanted = vec![kid];
        for bytes in [seen.0, seen.1] {
            named_subject_keys(bytes, |named| {
                if wanted.len() < SUBJECT_KEYS_MAX && !wanted.contains(&named) && !self.opening.knows_subject_key(named)
                {
                    wanted.push(named);
                }
            });
        }
        let found = shared.keys.ask(KeysWanted::SubjectKeys(wanted), shared.settings.timeouts.unknown_key).await;
        self.take_newest_ring(shared);
        if !found {
            desk.connection.counters.unknown_key();
        }
        found && self.opening.knows_subject_key(kid)
    }

    /// Takes over the newest ring, if it is for the policy that the statement was planned under: keys of data subjects are
    /// opened into that one alone.
    fn take_newest_ring(&mut self, shared: &Shared) -> bool {
        let newest = shared.snapshot.load_full();
        let same_policy = newest.policy.version() == self.opening.snapshot.policy.version();
        if same_policy && newest.keys().is_some() {
            self.opening.snapshot = newest;
        }
        same_policy
    }
}

/// Finds keys of data subjects that envelopes name in bytes of rows. A guess: what is no envelope costs a look-up of a
/// key that does not exist, as an envelope that somebody forged does.
fn named_subject_keys(bytes: &[u8], mut found: impl FnMut(KeyId)) {
    for start in memchr::memmem::find_iter(bytes, &MAGIC) {
        // The shortest stretch that holds a header and, unread, what follows it.
        let end = start.saturating_add(ENVELOPE_HEAD).min(bytes.len());
        let kid = bytes.get(start..end).and_then(|head| Envelope::parse(head).ok()).map(|envelope| envelope.kid());
        if let Some(kid) = kid.filter(|kid| kid.is_of_subject()) {
            found(kid);
        }
    }
}
