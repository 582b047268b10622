//! Key ring and key providers. Knows nothing of MySQL or rows.

#[cfg(feature = "aws-kms")]
mod aws_kms;
mod key_file;
mod lifecycle;
mod provider;
mod record;
mod ring;

pub use crate::crypto::KeyPurpose;
#[cfg(feature = "aws-kms")]
pub use aws_kms::{AwsCredentials, AwsKms, AwsKmsSettings, AwsKmsSettingsError};
pub use key_file::{KeyFile, KeyFileError};
pub use lifecycle::{Act, Barred, Change, Impossible, Siblings};
pub use provider::{BoxFuture, KekAdmin, KekStatus, KeyError, KeyProvider, Unwrapper};
pub use record::{EncryptionContext, KekRef, KeyRecord, KeyState, ProviderKind, Stages, WrappedKey};
pub use ring::{KeyRing, RingBuilder, RingError};
