//! Keys of single data subjects: each wraps under the subject key of its keyset, and is found by a digest of who it
//! belongs to. Where the wraps are kept, and whether one was destroyed, is the key store's affair.
//!
//! An envelope names such a key as it names any other. Its id has the highest bit set, so the two kinds never meet.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use xaes_256_gcm::aead::{AeadInOut, KeyInit};
use xaes_256_gcm::{Nonce, Tag, Xaes256Gcm};
use zeroize::Zeroizing;

use super::envelope::{NONCE_LENGTH, TAG_LENGTH};
use super::key::{KeyId, KeySecret, SECRET_LENGTH};

/// The first id of a data subject's key. Data keys have lower ones.
pub const SUBJECT_KEY_ID_FIRST: u32 = 1 << 31;
/// Bytes of a data subject's digest.
pub const SUBJECT_DIGEST_LENGTH: usize = 32;

const DIGEST_DOMAIN: &[u8] = b"candado/v1/subject-digest\0";
const SALT: &[u8] = b"candado/v1/subject";
const AAD_DOMAIN: &[u8] = b"CSK1";
const WRAP_FORMAT: u8 = 1;
/// Opened keys that a ring holds for a keyset. The oldest goes first.
const HELD_MAX: usize = 1 << 16;

impl KeyId {
    /// Whether it is the key of one data subject.
    pub const fn is_of_subject(self) -> bool {
        self.number() >= SUBJECT_KEY_ID_FIRST
    }
}

/// Who a key belongs to: `SHA-256(domain ‖ u16be(|keyset|) ‖ keyset ‖ value)`, with the value in its one form
/// ([`crate::schema::SubjectForm`]). Not secret, and not the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectDigest(pub [u8; SUBJECT_DIGEST_LENGTH]);

impl SubjectDigest {
    /// The digest of a value.
    pub fn new(keyset: &str, value: &[u8]) -> Self {
        let mut hash = Sha256::new_with_prefix(DIGEST_DOMAIN);
        // Names of keysets have at most 64 characters.
        hash.update(u16::try_from(keyset.len()).unwrap_or(u16::MAX).to_be_bytes());
        hash.update(keyset);
        hash.update(value);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for SubjectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SubjectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectDigest({self})")
    }
}

/// Why a data subject's key is not made or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectKeyError {
    /// The keyset has no subject key that writes.
    #[error("the keyset has no active subject key")]
    NoActiveKey,
    /// The subject key that wraps it is not here, or may not be used.
    #[error("subject key {0}, which wraps it, may not be used")]
    NotUsable(KeyId),
    /// The id is not one of a data subject's key.
    #[error("its id is not one of a data subject's key")]
    Id,
    /// The wrap is not what was made for this data subject under this subject key.
    #[error("its wrap is not authentic")]
    Tampered,
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random,
}

/// A subject key of a keyset: wraps the keys of single data subjects. The cipher stands on the heap, so that moves leave
/// no key schedule behind.
pub struct WrappingKey(Box<Xaes256Gcm>);

impl WrappingKey {
    /// Declares the secret a subject key.
    pub fn new(secret: &KeySecret) -> Self {
        let mut derived = Zeroizing::new([0; SECRET_LENGTH]);
        secret.derive(SALT, &[b"wrap"], &mut derived);
        Self(Box::new(Xaes256Gcm::new((&*derived).into())))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(..)")
    }
}

/// The key of one data subject, opened. Wiped on drop.
pub struct SubjectKey {
    pub(super) kid: KeyId,
    pub(super) secret: KeySecret,
}

impl SubjectKey {
    /// Its id.
    pub fn kid(&self) -> KeyId {
        self.kid
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// How the key of a data subject stands.
#[derive(Clone, Debug)]
pub enum SubjectStand {
    /// It is here.
    Living(Arc<SubjectKey>),
    /// It was destroyed on purpose.
    Erased,
}

/// A wrap of a data subject's key, with the subject key that it is under.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectWrap {
    /// The subject key.
    pub wrapped_by: KeyId,
    /// `01 ‖ nonce ‖ ciphertext ‖ tag`.
    pub blob: Vec<u8>,
}

impl fmt::Debug for SubjectWrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectWrap").field("wrapped_by", &self.wrapped_by).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Held {
    by_kid: HashMap<KeyId, SubjectStand>,
    by_subject: HashMap<SubjectDigest, KeyId>,
    order: VecDeque<(KeyId, SubjectDigest)>,
}

/// The subject keys of one keyset, and the keys of data subjects that were opened with them so far.
pub struct SubjectKeys {
    deployment: [u8; 16],
    keyset: Arc<str>,
    active: Option<(KeyId, WrappingKey)>,
    others: Vec<(KeyId, WrappingKey)>,
    held: RwLock<Held>,
}

impl SubjectKeys {
    /// Nothing is open yet. `others` only open.
    pub fn new(
        deployment: [u8; 16],
        keyset: Arc<str>,
        active: Option<(KeyId, WrappingKey)>,
        others: Vec<(KeyId, WrappingKey)>,
    ) -> Self {
        Self { deployment, keyset, active, others, held: RwLock::default() }
    }

    /// The keyset.
    pub fn keyset(&self) -> &Arc<str> {
        &self.keyset
    }

    /// The subject key under which new keys are wrapped.
    pub fn active(&self) -> Option<KeyId> {
        self.active.as_ref().map(|(kid, _)| *kid)
    }

    /// A new key for a data subject, wrapped. The key itself is wiped: it counts once its wrap is stored and read back.
    pub fn mint(&self, subject: &SubjectDigest) -> Result<SubjectWrap, SubjectKeyError> {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        getrandom::fill(&mut *secret).map_err(|_| SubjectKeyError::Random)?;
        self.wrap(subject, secret)
    }

    /// The same key, wrapped under the active subject key.
    pub fn rewrap(&self, subject: &SubjectDigest, old: &SubjectWrap) -> Result<SubjectWrap, SubjectKeyError> {
        self.wrap(subject, self.unwrap(subject, old)?)
    }

    /// Opens a key and holds it; without a wrap, holds that it was destroyed.
    pub fn admit(&self, kid: KeyId, subject: SubjectDigest, wrap: Option<&SubjectWrap>) -> Result<(), SubjectKeyError> {
        if !kid.is_of_subject() {
            return Err(SubjectKeyError::Id);
        }
        let stand = match wrap {
            None => SubjectStand::Erased,
            Some(wrap) => {
                let mut secret = self.unwrap(&subject, wrap)?;
                let secret = KeySecret::take_from(&mut *secret).ok_or(SubjectKeyError::Tampered)?;
                SubjectStand::Living(Arc::new(SubjectKey { kid, secret }))
            }
        };
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.by_kid.insert(kid, stand).is_none() {
            held.order.push_back((kid, subject));
        }
        held.by_subject.insert(subject, kid);
        while held.order.len() > HELD_MAX
            && let Some((kid, subject)) = held.order.pop_front()
        {
            held.by_kid.remove(&kid);
            held.by_subject.remove(&subject);
        }
        Ok(())
    }

    /// The key of that id; `None` if it is not here.
    pub fn by_kid(&self, kid: KeyId) -> Option<SubjectStand> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).by_kid.get(&kid).cloned()
    }

    /// The key of a data subject; `None` if it is not here.
    pub fn by_subject(&self, subject: &SubjectDigest) -> Option<SubjectStand> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.by_kid.get(held.by_subject.get(subject)?).cloned()
    }

    fn wrap(
        &self,
        subject: &SubjectDigest,
        mut body: Zeroizing<[u8; SECRET_LENGTH]>,
    ) -> Result<SubjectWrap, SubjectKeyError> {
        let (kid, key) = self.active.as_ref().ok_or(SubjectKeyError::NoActiveKey)?;
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|_| SubjectKeyError::Random)?;
        let tag = key
            .0
            .encrypt_inout_detached(&Nonce::from(nonce), &self.aad(*kid, subject), body.as_mut_slice().into())
            .map_err(|_| SubjectKeyError::Random)?;
        let blob = [&[WRAP_FORMAT][..], &nonce, &*body, &tag].concat();
        Ok(SubjectWrap { wrapped_by: *kid, blob })
    }

    fn unwrap(
        &self,
        subject: &SubjectDigest,
        wrap: &SubjectWrap,
    ) -> Result<Zeroizing<[u8; SECRET_LENGTH]>, SubjectKeyError> {
        let mut keys = self.active.iter().chain(&self.others);
        let (kid, key) =
            keys.find(|(kid, _)| *kid == wrap.wrapped_by).ok_or(SubjectKeyError::NotUsable(wrap.wrapped_by))?;
        let (nonce, body, tag) = fields(&wrap.blob).ok_or(SubjectKeyError::Tampered)?;
        let mut secret = Zeroizing::new(*body);
        key.0
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &self.aad(*kid, subject),
                secret.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| SubjectKeyError::Tampered)?;
        Ok(secret)
    }

    /// `"CSK1" ‖ deployment ‖ u16be(|keyset|) ‖ keyset ‖ u32be(subject key) ‖ digest`.
    fn aad(&self, wrapped_by: KeyId, subject: &SubjectDigest) -> Vec<u8> {
        let keyset_length = u16::try_from(self.keyset.len()).unwrap_or(u16::MAX).to_be_bytes();
        let kid = wrapped_by.number().to_be_bytes();
        [AAD_DOMAIN, &self.deployment, &keyset_length, self.keyset.as_bytes(), &kid, &subject.0].concat()
    }
}

impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKeys")
            .field("keyset", &self.keyset)
            .field("active", &self.active())
            .finish_non_exhaustive()
    }
}

type Fields<'a> = (&'a [u8; NONCE_LENGTH], &'a [u8; SECRET_LENGTH], &'a [u8; TAG_LENGTH]);

fn fields(blob: &[u8]) -> Option<Fields<'_>> {
    let (format, rest) = blob.split_first()?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (body, tag) = rest.split_first_chunk()?;
    (*format == WRAP_FORMAT).then_some((nonce, body, tag.try_into().ok()?))
}
