//! Blind indexes: keyed tags of normalised values, by which the server finds rows without knowing a value.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::envelope::{INDEX_LENGTHS, write_prefix};
use super::normalise::{NormaliseError, normalise, normaliser_id};
use super::{IndexKey, IndexVersion, Plaintext};
use crate::policy::{IndexSpec, Normaliser};

const SALT: &[u8] = b"candado/v1/index";
/// The name of the equality index, the only one a column has.
const NAME: &[u8] = b"eq";
/// The name of the pseudonyms, which are nothing that the database stores: another key makes them.
const PSEUDONYM_NAME: &[u8] = b"pseudonym";

/// What stands for a value where only its equality is shown: the same for values that are equal to a blind index, under
/// one index key.
#[derive(Clone, Copy)]
pub(super) struct Pseudonym(u64);

impl Pseudonym {
    /// Appends it as [`PSEUDONYM_CHARS`](crate::policy::PSEUDONYM_CHARS) hexadecimal digits.
    pub(super) fn put(self, out: &mut Plaintext) {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        for byte in self.0.to_be_bytes() {
            for nibble in [byte >> 4, byte & 0xf] {
                out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
            }
        }
    }
}

/// The envelopes whose bytes lie in `low ≤ envelope < high` carry the value searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixRange {
    /// The index prefix.
    pub low: Vec<u8>,
    /// The first byte string after all that begin with the prefix; `None` if there is none.
    pub high: Option<Vec<u8>>,
}

/// Why a value cannot be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The column has no blind index.
    #[error("the column has no blind index")]
    NotIndexed,
    /// Stored envelopes may be indexed under a key that is barred: rows would be missed.
    #[error("an index key of the column is barred")]
    KeyBarred,
    /// The value cannot be normalised.
    #[error(transparent)]
    Normalise(#[from] NormaliseError),
}

/// Whether all index keys that stored envelopes may carry are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKeys {
    /// They are: a look-up finds every row.
    All,
    /// One may do nothing: nothing is looked up.
    SomeBarred,
}

/// The blind index of one column under one index key: an HMAC state that has already taken in key and normaliser id.
pub(super) struct KeyedIndex {
    version: IndexVersion,
    state: Box<Hmac<Sha256>>,
    pseudonyms: Box<Hmac<Sha256>>,
}

impl KeyedIndex {
    /// `K_idx = HKDF(key, "candado/v1/index", u16be(|domain|) ‖ domain ‖ name)`. `None` if the domain is too long.
    pub(super) fn new(version: IndexVersion, key: &IndexKey, domain: &str, normaliser: &Normaliser) -> Option<Self> {
        let domain_length = u16::try_from(domain.len()).ok()?.to_be_bytes();
        let state = |name: &[u8]| {
            let mut derived = Zeroizing::new([0; 32]);
            key.0.derive(SALT, &[&domain_length, domain.as_bytes(), name], &mut derived);
            let mut state = Box::new(Hmac::<Sha256>::new_from_slice(&*derived).ok()?);
            state.update(normaliser_id(normaliser).as_bytes());
            state.update(&[0]);
            Some(state)
        };
        Some(Self { version, state: state(NAME)?, pseudonyms: state(PSEUDONYM_NAME)? })
    }

    fn tag(&self, normalised: &Plaintext) -> [u8; 32] {
        let mut state = Hmac::clone(&self.state);
        state.update(normalised.expose());
        state.finalize().into_bytes().into()
    }
}

/// The blind index of one column under all index keys that may still be in stored envelopes.
pub(super) struct ColumnIndex {
    /// `None` if nothing is written at present.
    active: Option<KeyedIndex>,
    others: Vec<KeyedIndex>,
    keys: IndexKeys,
    normaliser: Normaliser,
    length: usize,
}

impl ColumnIndex {
    /// `None` if the tag length in policy is not one that the envelope can carry.
    pub(super) fn new(
        spec: &IndexSpec,
        active: Option<KeyedIndex>,
        others: Vec<KeyedIndex>,
        keys: IndexKeys,
    ) -> Option<Self> {
        INDEX_LENGTHS.contains(&spec.length).then(|| Self {
            active,
            others,
            keys,
            normaliser: spec.normaliser.clone(),
            length: usize::from(spec.length),
        })
    }

    /// The version of the active key.
    pub(super) fn active(&self) -> Option<IndexVersion> {
        self.active.as_ref().map(|keyed| keyed.version)
    }

    /// Whether all index keys that stored envelopes may carry are at hand.
    pub(super) fn keys(&self) -> IndexKeys {
        self.keys
    }

    /// Appends the index prefix under the active key. Returns whether there is one.
    pub(super) fn write_prefix(&self, plain: &Plaintext, out: &mut Vec<u8>) -> Result<Option<()>, NormaliseError> {
        let mut normalised = Plaintext::new();
        normalise(&self.normaliser, plain, &mut normalised)?;
        Ok(self.write_normalised(&normalised, out))
    }

    /// [`ColumnIndex::write_prefix`] of a value that is in its normal form already.
    pub(super) fn write_normalised(&self, normalised: &Plaintext, out: &mut Vec<u8>) -> Option<()> {
        self.prefix(self.active.as_ref()?, normalised, out);
        Some(())
    }

    /// One range for each index key that stored envelopes may carry, the active one first.
    pub(super) fn search(&self, plain: &Plaintext) -> Result<Vec<PrefixRange>, SearchError> {
        match self.keys {
            IndexKeys::All => {}
            IndexKeys::SomeBarred => return Err(SearchError::KeyBarred),
        }
        let mut normalised = Plaintext::new();
        normalise(&self.normaliser, plain, &mut normalised)?;
        let ranges = self.active.iter().chain(&self.others).map(|keyed| {
            let mut low = Vec::new();
            self.prefix(keyed, &normalised, &mut low);
            let high = successor(&low);
            PrefixRange { low, high }
        });
        Ok(ranges.collect())
    }

    /// What stands for a value under the active key. `None` if nothing is written at present, or if it is no text.
    pub(super) fn pseudonym(&self, plain: &Plaintext) -> Option<Pseudonym> {
        let mut normalised = Plaintext::new();
        normalise(&self.normaliser, plain, &mut normalised).ok()?;
        let mut state = Hmac::clone(&self.active.as_ref()?.pseudonyms);
        state.update(normalised.expose());
        let bytes: [u8; 32] = state.finalize().into_bytes().into();
        bytes.first_chunk().map(|bytes| Pseudonym(u64::from_be_bytes(*bytes)))
    }

    /// The index keys that stored envelopes may carry, the active one first.
    pub(super) fn versions(&self) -> impl Iterator<Item = IndexVersion> {
        self.active.iter().chain(&self.others).map(|keyed| keyed.version)
    }

    /// Whether a stored tag is the tag of the value, compared in constant time. `None` if the index key is not here.
    pub(super) fn agrees(
        &self,
        version: IndexVersion,
        stored: &[u8],
        plain: &Plaintext,
    ) -> Result<Option<bool>, NormaliseError> {
        let Some(keyed) = self.active.iter().chain(&self.others).find(|keyed| keyed.version == version) else {
            return Ok(None);
        };
        let mut normalised = Plaintext::new();
        normalise(&self.normaliser, plain, &mut normalised)?;
        let tag = keyed.tag(&normalised);
        Ok(Some(stored.len() == self.length && tag.get(..stored.len()).is_some_and(|tag| tag.ct_eq(stored).into())))
    }

    #[expect(clippy::expect_used, reason = "new() admits tag lengths that the envelope can carry only")]
    fn prefix(&self, keyed: &KeyedIndex, normalised: &Plaintext, out: &mut Vec<u8>) {
        let tag = keyed.tag(normalised);
        tag.get(..self.length)
            .and_then(|tag| write_prefix(out, Some((keyed.version, tag))))
            .expect("the tag length was checked");
    }
}

/// The smallest byte string greater than every one that begins with `prefix`.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut next = prefix.get(..=last)?.to_vec();
    if let Some(byte) = next.last_mut() {
        *byte = byte.checked_add(1)?;
    }
    Some(next)
}
