//! Keys as the key store holds them: wrapped, in a state, bound to an encryption context. No secrets here.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use uuid::Uuid;

use crate::crypto::{KCV_LENGTH, KeyId, KeyPurpose, Stage};

/// The application's name in every encryption context.
const APP: &str = "candado";

/// The kinds of provider that guard key-encryption keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// AWS KMS.
    AwsKms,
    /// A key file on this host.
    Local,
    /// The transit engine of HashiCorp Vault.
    Vault,
}

impl ProviderKind {
    /// The name in the key store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsKms => "aws-kms",
            Self::Local => "local",
            Self::Vault => "vault",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AwsKms, Self::Local, Self::Vault].into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key-encryption key, named as its provider names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KekRef {
    /// Who guards it.
    pub provider: ProviderKind,
    /// The ARN of a KMS key, the id of a key file, or mount and name of a transit key. Never a secret.
    pub reference: Arc<str>,
}

impl KekRef {
    /// Names a KEK.
    pub fn new(provider: ProviderKind, reference: impl Into<Arc<str>>) -> Self {
        Self { provider, reference: reference.into() }
    }
}

impl fmt::Display for KekRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.reference)
    }
}

/// A key under a KEK. What the bytes are is the provider's affair; they are ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The KEK that wraps it.
    pub kek: KekRef,
    /// The provider's ciphertext.
    pub blob: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey").field("kek", &self.kek).field("blob_octets", &self.blob.len()).finish()
    }
}

/// Life cycle of a key; [`super::Act`] says what leads where. SP 800-57 names stand in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Made, not yet used for writing \[pre-activation\]. Readable, so that a replica that learns of the activation
    /// late can open what others wrote.
    Pending,
    /// The one key of its keyset and purpose that writes \[active\].
    Active,
    /// Reads and looks up what it wrote earlier \[deactivated\].
    DecryptOnly,
    /// Does nothing: the emergency brake \[suspended\].
    Suspended,
    /// Proven unused; its wraps are kept.
    Retired,
    /// Its wraps are gone; the id is never used again.
    Destroyed,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Active, Self::DecryptOnly, Self::Suspended, Self::Retired, Self::Destroyed];

    /// Whether values are sealed, and indexes written, with the key.
    pub const fn may_encrypt(self) -> bool {
        match self {
            Self::Active => true,
            Self::Pending | Self::DecryptOnly | Self::Suspended | Self::Retired | Self::Destroyed => false,
        }
    }

    /// Whether values are opened, and indexes looked up, with the key. Only such keys are unwrapped.
    pub const fn may_decrypt(self) -> bool {
        match self {
            Self::Pending | Self::Active | Self::DecryptOnly => true,
            Self::Suspended | Self::Retired | Self::Destroyed => false,
        }
    }

    /// The name in the key store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::DecryptOnly => "decrypt_only",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Stages of protected columns by their context. A column that is not among them is [`Stage::Sealed`].
pub type Stages = BTreeMap<Arc<str>, Stage>;

/// One key of the key store with all its wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id, unique for ever.
    pub kid: KeyId,
    /// The keyset it belongs to.
    pub keyset: Arc<str>,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its version within keyset and purpose. For an index key the version that envelopes carry.
    pub version: NonZeroU16,
    /// Where it is in its life.
    pub state: KeyState,
    /// The key check value; `None` until the first unwrap published it.
    pub kcv: Option<[u8; KCV_LENGTH]>,
    /// Its wraps, the preferred one first.
    pub wraps: Vec<WrappedKey>,
}

impl KeyRecord {
    /// The encryption context under which all its wraps are made.
    pub fn encryption_context(&self, deployment: Uuid) -> EncryptionContext {
        EncryptionContext { deployment, keyset: Arc::clone(&self.keyset), purpose: self.purpose, kid: self.kid }
    }
}

/// What a wrap is bound to, besides its KEK. Exact and not secret: it appears in the provider's log.
///
/// Someone who moves a wrapped key to another id, purpose, keyset or deployment gets
/// [`super::KeyError::ContextMismatch`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncryptionContext {
    /// The installation; two installations may share a KEK and still cannot read each other's keys.
    pub deployment: Uuid,
    /// The keyset.
    pub keyset: Arc<str>,
    /// What the key is for.
    pub purpose: KeyPurpose,
    /// The key's id.
    pub kid: KeyId,
}

impl EncryptionContext {
    /// The pairs that the context consists of, in ascending order of their names.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("app", APP.to_owned()),
            ("deployment", self.deployment.hyphenated().to_string()),
            ("keyset", self.keyset.as_ref().to_owned()),
            ("kid", self.kid.to_string()),
            ("purpose", self.purpose.name().to_owned()),
        ]
        .into_iter()
    }

    /// The one byte string of the context, used as associated data: each name and each value after its length as a
    /// 64-bit big-endian number, names ascending.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in self.pairs() {
            for part in [name, value.as_str()] {
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        bytes
    }
}
