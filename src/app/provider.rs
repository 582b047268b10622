//! The key provider that the configuration names.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Keys;
#[cfg(feature = "aws-kms")]
use crate::keys::{AwsCredentials, AwsKms, AwsKmsSettings, AwsKmsSettingsError};
use crate::keys::{KekAdmin, KekRef, KeyFile, KeyFileError, ProviderKind, Unwrapper};

/// A provider that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The key file cannot be used.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KeyFileError,
    },
    /// The settings of AWS KMS cannot be used.
    #[cfg(feature = "aws-kms")]
    #[error(transparent)]
    AwsKms(#[from] AwsKmsSettingsError),
    /// Keys cannot go from one provider to another without coming out in between.
    #[error(
        "{to} is not with the configured key provider: a key would have to come out of one to go into the other, which \
         takes the procedure \"another key provider\" of OPERATIONS.md"
    )]
    OtherProvider {
        /// The key-encryption key that was asked for.
        to: KekRef,
    },
    /// This program was built without AWS KMS.
    #[cfg(not(feature = "aws-kms"))]
    #[error("this program was built without AWS KMS")]
    NoAwsKms,
}

/// A provider with the key-encryption key to use.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Opens wrapped keys.
    pub unwrapper: Arc<dyn Unwrapper>,
    /// Makes wrapped keys.
    pub admin: Arc<dyn KekAdmin>,
    /// The key-encryption key that wraps new keys.
    pub kek: KekRef,
}

/// Opens the provider. For AWS KMS this makes no request yet.
///
/// # Errors
/// The key file or the settings cannot be used.
pub async fn open(keys: &Keys) -> Result<Provider, ProviderError> {
    match keys {
        Keys::File { path } => {
            let opened = KeyFile::open(path).map_err(|source| ProviderError::File { path: path.clone(), source });
            let file = Arc::new(opened?);
            let kek = file.kek();
            Ok(Provider { unwrapper: file.clone(), admin: file, kek })
        }
        Keys::AwsKms { kek, endpoint } => aws_kms(kek, endpoint.as_ref(), None).await,
    }
}

/// Opens the provider for wrapping its keys under another key-encryption key of the same provider.
///
/// # Errors
/// As [`open`], and if the other key-encryption key is with another provider.
pub async fn open_towards(keys: &Keys, to: &KekRef) -> Result<Provider, ProviderError> {
    let other = || ProviderError::OtherProvider { to: to.clone() };
    match keys {
        Keys::File { .. } => {
            let provider = open(keys).await?;
            if *to == provider.kek { Ok(provider) } else { Err(other()) }
        }
        Keys::AwsKms { kek, endpoint } => match to.provider {
            ProviderKind::AwsKms => aws_kms(kek, endpoint.as_ref(), Some(&to.reference)).await,
            ProviderKind::Local => Err(other()),
        },
    }
}

#[cfg(feature = "aws-kms")]
async fn aws_kms(kek: &str, endpoint: Option<&String>, further: Option<&str>) -> Result<Provider, ProviderError> {
    let settings = AwsKmsSettings {
        kek_arns: [kek].into_iter().chain(further).map(str::to_owned).collect(),
        endpoint: endpoint.cloned(),
        credentials: AwsCredentials::DefaultChain,
    };
    let service = Arc::new(AwsKms::new(settings).await?);
    let kek = KekRef::new(ProviderKind::AwsKms, kek);
    Ok(Provider { unwrapper: service.clone(), admin: service, kek })
}

#[cfg(not(feature = "aws-kms"))]
async fn aws_kms(_kek: &str, _endpoint: Option<&String>, _further: Option<&str>) -> Result<Provider, ProviderError> {
    Err(ProviderError::NoAwsKms)
}
