//! What a key provider does: a key-encryption key (KEK) that it guards wraps and unwraps the keys of the key store.
//!
//! The work is split in two objects, so that the data plane holds one that can open keys and never make them, and the
//! security team holds one that makes and rewraps them without seeing any. No type is both: a proxy that was built right
//! has nothing to make keys with. Retrying, caching and reporting belong to the caller.

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;

use super::{EncryptionContext, KekRef, ProviderKind, WrappedKey};
use crate::crypto::KeySecret;

/// A boxed future, so that the provider traits are object safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a provider did not do what it was asked. Texts hold no key material and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The provider knows us and forbids it.
    #[error("the key provider denies access to the key-encryption key")]
    Denied,
    /// The KEK is disabled.
    #[error("the key-encryption key is disabled")]
    Disabled,
    /// The KEK is about to be deleted, or in another state that allows no use.
    #[error("the key-encryption key is pending deletion")]
    PendingDeletion,
    /// There is no such KEK.
    #[error("the key-encryption key does not exist")]
    NotFound,
    /// The wrapped key was not made by this KEK for this encryption context, or was changed.
    #[error("the wrapped key does not belong to this key-encryption key and encryption context")]
    ContextMismatch,
    /// Too many requests.
    #[error("the key provider limits the rate of requests")]
    Throttled,
    /// The provider cannot be reached, or failed.
    #[error("the key provider is unavailable")]
    Unavailable,
    /// No answer in time.
    #[error("the key provider did not answer in time")]
    Timeout,
    /// An answer that the provider should never give.
    #[error("the key provider's answer is not understood: {0}")]
    Protocol(String),
    /// This provider has no such operation. The text says what does the same.
    #[error("this key provider cannot do that: {0}")]
    Unsupported(&'static str),
}

impl KeyError {
    /// Whether the same request may succeed later without anybody's doing. Cached keys stay in use meanwhile.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable | Self::Timeout => true,
            Self::Denied
            | Self::Disabled
            | Self::PendingDeletion
            | Self::NotFound
            | Self::ContextMismatch
            | Self::Protocol(_)
            | Self::Unsupported(_) => false,
        }
    }

    /// Whether the provider said no. Confirmed, it means that access was revoked and cached keys are wiped.
    ///
    /// [`KeyError::Protocol`] is neither retryable nor definitive: a garbled answer must not wipe keys.
    pub fn definitive(&self) -> bool {
        match self {
            Self::Denied | Self::Disabled | Self::PendingDeletion | Self::NotFound | Self::ContextMismatch => true,
            Self::Throttled | Self::Unavailable | Self::Timeout | Self::Protocol(_) | Self::Unsupported(_) => false,
        }
    }
}

/// The state of a KEK as its provider reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KekStatus {
    /// Wraps and unwraps.
    Enabled,
    /// Refuses everything until it is enabled again.
    Disabled,
    /// Refuses everything and will be gone.
    PendingDeletion,
}

/// How a KEK gets new material. Old material stays and opens what it wrapped; what is wrapped anew uses the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KekRotation {
    /// Not known to this half of the provider, or not to this principal.
    Unknown,
    /// Only when somebody asks for it.
    OnDemand,
    /// By itself.
    Automatic {
        /// Days between two rotations, where the provider tells.
        period_days: Option<u32>,
    },
}

/// What a provider tells about a KEK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KekDescription {
    /// Its state.
    pub status: KekStatus,
    /// How it gets new material.
    pub rotation: KekRotation,
    /// The version of the material that wraps, where versions are counted.
    pub version: Option<u32>,
}

/// What both halves of a provider tell about themselves.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// Which provider this is.
    fn kind(&self) -> ProviderKind;

    /// Asks what is known of a KEK. Cancel-safe: nothing changes anywhere.
    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>>;
}

/// The proxy's half: opens wrapped keys.
pub trait Unwrapper: KeyProvider {
    /// Unwraps a key. The caller checks the key check value. Cancel-safe: nothing changes anywhere.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<KeySecret, KeyError>>;
}

/// The receiving end of a key that is carried over from another provider: wraps what is in the clear. Held by nobody but the
/// command that carries keys over, for as long as that takes.
pub trait Receiver: KeyProvider {
    /// Wraps a key. The caller unwraps it again and checks the key check value before the wrap is relied on. Cancelling may
    /// leave an unused wrap behind, nothing else.
    fn wrap<'a>(
        &'a self,
        kek: &'a KekRef,
        secret: &'a KeySecret,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>>;
}

/// The security team's half: makes and rewraps keys without handing any out.
pub trait KekAdmin: KeyProvider {
    /// Makes a new 256-bit key and gives its wrap only. Cancelling may leave an unused wrap behind, nothing else.
    fn generate_wrapped<'a>(
        &'a self,
        kek: &'a KekRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>>;

    /// Wraps the same key again under `to`, or under the newest version of the same KEK. The encryption context stays.
    fn rewrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        to: &'a KekRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>>;

    /// Gives a KEK new material, which wraps from then on. Wraps under the old material go on opening; `rewrap` brings
    /// them to the new. Not cancel-safe: a cancelled rotation may have been done.
    fn rotate_kek<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<(), KeyError>>;
}
