//! The key provider that the configuration names, in one of its two halves. Who serves clients opens [`unwrapper`], which
//! cannot make a key; [`admin`] is for the commands of the security team (`tests/it/layering.rs` holds this rule).

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Keys;
#[cfg(feature = "aws-kms")]
use crate::keys::{AwsCredentials, AwsKms, AwsKmsAdmin, AwsKmsSettings, AwsKmsSettingsError};
use crate::keys::{
    KekAdmin, KekRef, KeyFile, KeyFileAdmin, KeyFileError, KeyFileSettings, ProviderKind, Receiver, Unwrapper, Vault,
    VaultAdmin, VaultSettings, VaultSettingsError,
};

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
    /// Keys cannot go from one provider to another without coming out in between, which rewrapping never does.
    #[error(
        "{to} is not with the configured key provider: a key has to come out of one to go into the other, which \
         `candado keys add-wrap` does"
    )]
    OtherProvider {
        /// The key-encryption key that was asked for.
        to: KekRef,
    },
    /// This program was built without AWS KMS.
    #[cfg(not(feature = "aws-kms"))]
    #[error("this program was built without AWS KMS")]
    NoAwsKms,
    /// The settings of Vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultSettingsError),
}

/// The proxy's half, with the key-encryption key that it opens keys with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Opens wrapped keys.
    pub unwrapper: Arc<dyn Unwrapper>,
    /// The configured key-encryption key.
    pub kek: KekRef,
}

/// The security team's half, with the key-encryption key that wraps new keys.
#[derive(Clone, Debug)]
pub struct Making {
    /// Makes wrapped keys.
    pub admin: Arc<dyn KekAdmin>,
    /// The configured key-encryption key.
    pub kek: KekRef,
}

/// The end that receives keys from another provider.
#[derive(Clone, Debug)]
pub struct Receiving {
    /// Wraps keys that are in the clear.
    pub receiver: Arc<dyn Receiver>,
    /// The key-encryption key that wraps them.
    pub kek: KekRef,
}

/// Opens the half that unwraps. For a key service this makes no request yet; for a key file with a passphrase it takes
/// about a second, on this thread.
///
/// # Errors
/// The key file or the settings cannot be used.
pub async fn unwrapper(keys: &Keys) -> Result<Opening, ProviderError> {
    match keys {
        Keys::File(settings) => {
            let file = KeyFile::open(settings).map_err(|source| file_error(settings, source))?;
            let kek = file.kek();
            Ok(Opening { unwrapper: Arc::new(file), kek })
        }
        Keys::AwsKms { kek, endpoint } => aws_kms::unwrapper(kek, endpoint.as_ref()).await,
        Keys::Vault(settings) => {
            Ok(Opening { unwrapper: Arc::new(Vault::new(settings.clone())?), kek: vault_kek(settings) })
        }
    }
}

/// Opens the half that makes and rewraps, as [`unwrapper`] does.
///
/// # Errors
/// The key file or the settings cannot be used.
pub async fn admin(keys: &Keys) -> Result<Making, ProviderError> {
    match keys {
        Keys::File(settings) => {
            let file = KeyFileAdmin::open(settings).map_err(|source| file_error(settings, source))?;
            let kek = file.kek();
            Ok(Making { admin: Arc::new(file), kek })
        }
        Keys::AwsKms { kek, endpoint } => aws_kms::admin(kek, endpoint.as_ref(), None).await,
        Keys::Vault(settings) => {
            Ok(Making { admin: Arc::new(VaultAdmin::new(settings.clone())?), kek: vault_kek(settings) })
        }
    }
}

/// Opens what receives keys from another provider, as [`unwrapper`] does.
///
/// # Errors
/// The key file or the settings cannot be used.
pub async fn receiver(keys: &Keys) -> Result<Receiving, ProviderError> {
    match keys {
        Keys::File(settings) => {
            let file = KeyFileAdmin::open(settings).map_err(|source| file_error(settings, source))?;
            let kek = file.kek();
            Ok(Receiving { receiver: Arc::new(file), kek })
        }
        Keys::AwsKms { kek, endpoint } => aws_kms::receiver(kek, endpoint.as_ref()).await,
        Keys::Vault(settings) => {
            Ok(Receiving { receiver: Arc::new(VaultAdmin::new(settings.clone())?), kek: vault_kek(settings) })
        }
    }
}

/// Opens the half that rewraps, for wrapping keys under another key-encryption key of the same provider.
///
/// # Errors
/// As [`admin`], and if the other key-encryption key is with another provider.
pub async fn admin_towards(keys: &Keys, to: &KekRef) -> Result<Making, ProviderError> {
    match (keys, to.provider) {
        (Keys::AwsKms { kek, endpoint }, ProviderKind::AwsKms) => {
            aws_kms::admin(kek, endpoint.as_ref(), Some(&to.reference)).await
        }
        (Keys::File(_) | Keys::Vault(_) | Keys::AwsKms { .. }, _) => {
            let making = admin(keys).await?;
            if *to == making.kek { Ok(making) } else { Err(ProviderError::OtherProvider { to: to.clone() }) }
        }
    }
}

fn file_error(settings: &KeyFileSettings, source: KeyFileError) -> ProviderError {
    ProviderError::File { path: settings.path.clone(), source }
}

fn vault_kek(settings: &VaultSettings) -> KekRef {
    KekRef::new(ProviderKind::Vault, settings.reference())
}

#[cfg(feature = "aws-kms")]
mod aws_kms {
    use super::{
        Arc, AwsCredentials, AwsKms, AwsKmsAdmin, AwsKmsSettings, KekRef, Making, Opening, ProviderError, ProviderKind,
        Receiving,
    };

    fn settings(kek: &str, endpoint: Option<&String>, further: Option<&str>) -> AwsKmsSettings {
        AwsKmsSettings {
            kek_arns: [kek].into_iter().chain(further).map(str::to_owned).collect(),
            endpoint: endpoint.cloned(),
            credentials: AwsCredentials::DefaultChain,
        }
    }

    pub(super) async fn unwrapper(kek: &str, endpoint: Option<&String>) -> Result<Opening, ProviderError> {
        let service = AwsKms::new(settings(kek, endpoint, None)).await?;
        Ok(Opening { unwrapper: Arc::new(service), kek: KekRef::new(ProviderKind::AwsKms, kek) })
    }

    pub(super) async fn admin(
        kek: &str,
        endpoint: Option<&String>,
        further: Option<&str>,
    ) -> Result<Making, ProviderError> {
        let service = AwsKmsAdmin::new(settings(kek, endpoint, further)).await?;
        Ok(Making { admin: Arc::new(service), kek: KekRef::new(ProviderKind::AwsKms, kek) })
    }

    pub(super) async fn receiver(kek: &str, endpoint: Option<&String>) -> Result<Receiving, ProviderError> {
        let service = AwsKmsAdmin::new(settings(kek, endpoint, None)).await?;
        Ok(Receiving { receiver: Arc::new(service), kek: KekRef::new(ProviderKind::AwsKms, kek) })
    }
}

#[cfg(not(feature = "aws-kms"))]
mod aws_kms {
    use super::{Making, Opening, ProviderError, Receiving};

    pub(super) async fn unwrapper(_kek: &str, _endpoint: Option<&String>) -> Result<Opening, ProviderError> {
        Err(ProviderError::NoAwsKms)
    }

    pub(super) async fn receiver(_kek: &str, _endpoint: Option<&String>) -> Result<Receiving, ProviderError> {
        Err(ProviderError::NoAwsKms)
    }

    pub(super) async fn admin(
        _kek: &str,
        _endpoint: Option<&String>,
        _further: Option<&str>,
    ) -> Result<Making, ProviderError> {
        Err(ProviderError::NoAwsKms)
    }
}
