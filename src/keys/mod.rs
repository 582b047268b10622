//! Key ring and key providers. Knows nothing of MySQL or rows.

#[cfg(feature = "aws-kms")]
mod aws_kms;
mod key_file;
mod lifecycle;
mod provider;
mod record;
mod ring;
mod secret_text;
mod vault;

pub use crate::crypto::KeyPurpose;
#[cfg(feature = "aws-kms")]
pub use aws_kms::{AwsCredentials, AwsKms, AwsKmsAdmin, AwsKmsSettings, AwsKmsSettingsError};
pub use key_file::{KeyFile, KeyFileAdmin, KeyFileError, KeyFilePlace, KeyFileSettings};
pub use lifecycle::{Act, Barred, Change, Impossible, Siblings};
pub use provider::{
    BoxFuture, KekAdmin, KekDescription, KekRotation, KekStatus, KeyError, KeyProvider, Receiver, Unwrapper,
};
pub use record::{EncryptionContext, KekRef, KeyRecord, KeyState, ProviderKind, Stages, WrappedKey};
pub use ring::{Inactive, KeyRing, RingBuilder, RingError};
pub use secret_text::SecretText;
pub use vault::{Vault, VaultAdmin, VaultSettings, VaultSettingsError, VaultToken};
