//! The security team's half of the key file: makes the file, wraps new keys with it, and gives it new versions.

use std::future::ready;

use zeroize::Zeroizing;

use super::protection::Cost;
use super::{KeyFile, KeyFileError, KeyFilePlace, KeyFileSettings, content, disk};
use crate::crypto::{KeySecret, SECRET_LENGTH};
use crate::keys::{
    BoxFuture, EncryptionContext, KekAdmin, KekDescription, KekRef, KeyError, KeyProvider, ProviderKind, Receiver,
    WrappedKey,
};

/// A key file with everything that can be done with it.
#[derive(Debug)]
pub struct KeyFileAdmin {
    file: KeyFile,
}

impl KeyFileAdmin {
    /// Creates a key file with one new key and opens it. An existing file is never touched. With a passphrase, this takes
    /// about a second twice.
    ///
    /// # Errors
    /// The file exists, or its directory, the passphrase or the system does not allow it.
    pub fn create(settings: &KeyFileSettings) -> Result<Self, KeyFileError> {
        Self::create_at_cost(settings, Cost::NEW)
    }

    pub(super) fn create_at_cost(settings: &KeyFileSettings, cost: Cost) -> Result<Self, KeyFileError> {
        settings.writable()?;
        disk::create(&settings.path, &content::fresh(settings.passphrase.as_deref(), cost)?)?;
        Self::open(settings)
    }

    /// Opens a key file. Refuses one that anybody but its owner could read or replace.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(settings: &KeyFileSettings) -> Result<Self, KeyFileError> {
        Ok(Self { file: KeyFile::open(settings)? })
    }

    /// The name under which the key store records wraps of this file.
    pub fn kek(&self) -> KekRef {
        self.file.kek()
    }

    /// Appends a new version, which wraps from then on, and returns its number. Old versions stay and open what they
    /// wrapped. Whoever reads the file meanwhile, or after a crash, finds the old one or the new one, whole. Running
    /// proxies read it again when they meet a wrap of a version that they do not know.
    ///
    /// # Errors
    /// The file cannot be used or written.
    pub fn rotate(&self) -> Result<u32, KeyFileError> {
        let settings = &self.file.settings;
        settings.writable()?;
        disk::replace(&settings.path, |text| content::with_next_version(text, settings.passphrase.as_deref()))?;
        self.file.read_again()?;
        self.file.newest().ok_or(KeyFileError::Content("it holds no key"))
    }

    fn generate(&self, kek: &KekRef, context: &EncryptionContext) -> Result<WrappedKey, KeyError> {
        self.file.owns(kek)?;
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        getrandom::fill(&mut *secret).map_err(|_| KeyError::Unavailable)?;
        self.file.seal(&secret, context)
    }

    fn change(&self, kek: &KekRef) -> Result<(), KeyError> {
        self.file.owns(kek)?;
        match self.rotate() {
            Ok(version) => {
                tracing::info!(kek = %self.kek(), version, "the key file has a new version");
                Ok(())
            }
            Err(KeyFileError::ReadOnly) => Err(KeyError::Unsupported("a credential cannot be written")),
            Err(error) => {
                tracing::error!(kek = %self.kek(), cause = %error, "the key file has no new version");
                Err(KeyError::Unavailable)
            }
        }
    }
}

impl KeyFileSettings {
    fn writable(&self) -> Result<(), KeyFileError> {
        match self.place {
            KeyFilePlace::Own => Ok(()),
            KeyFilePlace::Credential => Err(KeyFileError::ReadOnly),
        }
    }
}

impl KeyProvider for KeyFileAdmin {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Local
    }

    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        self.file.describe(kek)
    }
}

impl Receiver for KeyFileAdmin {
    fn wrap<'a>(
        &'a self,
        kek: &'a KekRef,
        secret: &'a KeySecret,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        let wrapped = self.file.owns(kek).and_then(|()| self.file.seal(secret.to_be_wrapped(), context));
        Box::pin(ready(wrapped))
    }
}

impl KekAdmin for KeyFileAdmin {
    fn generate_wrapped<'a>(
        &'a self,
        kek: &'a KekRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        Box::pin(ready(self.generate(kek, context)))
    }

    fn rewrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        to: &'a KekRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        let rewrapped = self
            .file
            .owns(to)
            .and_then(|()| self.file.open_blob(wrapped, context))
            .and_then(|secret| self.file.seal(&secret, context));
        Box::pin(ready(rewrapped))
    }

    /// Blocks its thread while the file is written and, with a passphrase, while the key is derived.
    fn rotate_kek<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<(), KeyError>> {
        Box::pin(async move { self.change(kek) })
    }
}
