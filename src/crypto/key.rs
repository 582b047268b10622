//! Key ids, key purposes and the secrets themselves, with the key check value. Where a secret comes from and in which
//! state its key is, the key ring decides.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of every secret key.
pub const SECRET_LENGTH: usize = 32;

/// Bytes of a key check value.
pub const KCV_LENGTH: usize = 16;

const KCV_SALT: &[u8] = b"candado/v1/kcv";

/// Number of a key in the key store, written into every envelope. Never zero and never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub NonZeroU32);

impl KeyId {
    /// The id with that number; `None` for zero.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number as the key store and the envelope carry it.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Version of an index key within its keyset, written into every envelope that carries a blind index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexVersion(pub NonZeroU16);

impl IndexVersion {
    /// The version with that number; `None` for zero, which in an envelope means "no index".
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number as the key store and the envelope carry it.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for IndexVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a key is for. A key serves one purpose only; the purpose is bound into its wrap and its check value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Seals column values.
    Data,
    /// Makes blind indexes.
    Index,
    /// Chains the records of the audit log.
    Audit,
    /// Wraps the keys of single data subjects.
    Subject,
}

impl KeyPurpose {
    /// The name in the key store, the encryption context and the check value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Index => "index",
            Self::Audit => "audit",
            Self::Subject => "subject",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Data, Self::Index, Self::Audit, Self::Subject].into_iter().find(|purpose| purpose.name() == name)
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A secret as a provider unwrapped it, before its purpose decides what may be done with it.
///
/// The bytes stand on the heap, so that moving the value leaves no copy behind, and are wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeySecret(Box<[u8; SECRET_LENGTH]>);

impl KeySecret {
    /// Takes the bytes over and wipes the place they came from, also when their number is wrong; that gives `None`.
    pub fn take_from(bytes: &mut [u8]) -> Option<Self> {
        let mut secret = Box::new([0; SECRET_LENGTH]);
        let fits = bytes.len() == SECRET_LENGTH;
        if fits {
            secret.copy_from_slice(bytes);
        }
        bytes.zeroize();
        fits.then_some(Self(secret))
    }

    /// Another copy, wiped on drop as this one is: for a key ring that is made while the original stays where it is
    /// kept. Not `Clone`, so that no copy is made in passing.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The key check value: a public commitment to the key, its id and its purpose.
    pub fn kcv(&self, kid: KeyId, purpose: KeyPurpose) -> [u8; KCV_LENGTH] {
        let mut kcv = [0; KCV_LENGTH];
        self.derive(KCV_SALT, &[&kid.number().to_be_bytes(), purpose.name().as_bytes()], &mut kcv);
        kcv
    }

    /// Whether the key has that check value, compared in constant time.
    pub fn has_kcv(&self, kid: KeyId, purpose: KeyPurpose, expected: &[u8; KCV_LENGTH]) -> bool {
        self.kcv(kid, purpose).ct_eq(expected).into()
    }

    /// The bytes, for a key provider that wraps them: a key on its way from one provider to another is in the clear in
    /// between, and nowhere else.
    pub fn to_be_wrapped(&self) -> &[u8; SECRET_LENGTH] {
        &self.0
    }

    /// HKDF-SHA-256 with this secret as input key material. `N` is 16 or 32, far below HKDF's limit of 255 blocks.
    pub(super) fn derive<const N: usize>(&self, salt: &[u8], info: &[&[u8]], out: &mut [u8; N]) {
        const { assert!(N <= 255 * 32) };
        #[expect(clippy::expect_used, reason = "N is at most 255 blocks, asserted at compile time")]
        Hkdf::<Sha256>::new(Some(salt), &*self.0)
            .expand_multi_info(info, out)
            .expect("the output is within HKDF's limit");
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

/// A secret that seals column values.
#[derive(ZeroizeOnDrop)]
pub struct DataKey(pub(super) KeySecret);

impl DataKey {
    /// Declares the secret a data key.
    pub fn new(secret: KeySecret) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// A secret that makes blind indexes.
#[derive(ZeroizeOnDrop)]
pub struct IndexKey(pub(super) KeySecret);

impl IndexKey {
    /// Declares the secret an index key.
    pub fn new(secret: KeySecret) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(..)")
    }
}
