//! Key ring and key providers. Knows nothing of MySQL or rows.

mod key_file;
mod provider;
mod record;
mod ring;

pub use crate::crypto::KeyPurpose;
pub use key_file::{KeyFile, KeyFileError};
pub use provider::{BoxFuture, KekAdmin, KekStatus, KeyError, KeyProvider, Unwrapper};
pub use record::{EncryptionContext, KekRef, KeyRecord, KeyState, ProviderKind, WrappedKey};
pub use ring::{KeyRing, RingBuilder, RingError};
