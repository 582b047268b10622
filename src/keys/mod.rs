//! Key ring and key providers. Knows nothing of MySQL or rows.

mod provider;
mod record;

pub use crate::crypto::KeyPurpose;
pub use provider::{BoxFuture, KekAdmin, KekStatus, KeyError, KeyProvider, Unwrapper};
pub use record::{EncryptionContext, KekRef, KeyRecord, KeyState, ProviderKind, WrappedKey};
