//! The security team's half of Vault: makes and rewraps data keys without seeing any, and rotates the transit key. Its
//! token needs `update` on `MOUNT/datakey/wrapped/KEY`, `MOUNT/rewrap/KEY` and `MOUNT/keys/KEY/rotate`, and `read` on
//! `MOUNT/keys/KEY`; to receive keys from another provider, `update` on `MOUNT/encrypt/KEY`.

use data_encoding::BASE64;
use hyper::Method;
use zeroize::Zeroizing;

use super::answer::Ciphertext;
use super::{Transit, VaultSettings, VaultSettingsError, ciphertext, encoded};
use crate::crypto::KeySecret;
use crate::keys::{
    BoxFuture, EncryptionContext, KekAdmin, KekDescription, KekRef, KeyError, KeyProvider, ProviderKind, Receiver,
    WrappedKey,
};

/// Makes and rewraps keys. Makes no request until it is asked for something.
#[derive(Debug)]
pub struct VaultAdmin {
    transit: Transit,
}

impl VaultAdmin {
    /// Reads the token and the authority.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(settings: VaultSettings) -> Result<Self, VaultSettingsError> {
        Ok(Self { transit: Transit::new(settings)? })
    }

    async fn generate(&self, kek: &KekRef, context: &EncryptionContext) -> Result<WrappedKey, KeyError> {
        self.transit.owns(kek)?;
        self.transit.binds_contexts().await?;
        let body = serde_json::json!({ "bits": 256, "context": encoded(context) });
        wrapped(kek, self.transit.update("datakey/wrapped", &body).await?)
    }

    async fn rewrap(
        &self,
        from: &WrappedKey,
        to: &KekRef,
        context: &EncryptionContext,
    ) -> Result<WrappedKey, KeyError> {
        self.transit.owns(&from.kek)?;
        self.transit.owns(to)?;
        self.transit.binds_contexts().await?;
        let body = serde_json::json!({ "ciphertext": ciphertext(from)?, "context": encoded(context) });
        wrapped(to, self.transit.update("rewrap", &body).await?)
    }

    async fn encrypt(
        &self,
        kek: &KekRef,
        secret: &KeySecret,
        context: &EncryptionContext,
    ) -> Result<WrappedKey, KeyError> {
        self.transit.owns(kek)?;
        self.transit.binds_contexts().await?;
        let plaintext = Zeroizing::new(BASE64.encode(secret.to_be_wrapped()));
        let body = serde_json::json!({ "plaintext": *plaintext, "context": encoded(context) });
        wrapped(kek, self.transit.update("encrypt", &body).await?)
    }

    async fn rotate(&self, kek: &KekRef) -> Result<(), KeyError> {
        self.transit.owns(kek)?;
        let path = format!("keys/{}/rotate", self.transit.key);
        let body = serde_json::json!({});
        let answer = self.transit.call(&Method::POST, &path, Some(&body)).await?;
        answer.done("rotate", &self.transit.reference)
    }
}

impl KeyProvider for VaultAdmin {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Vault
    }

    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        Box::pin(self.transit.describe(kek))
    }
}

impl Receiver for VaultAdmin {
    fn wrap<'a>(
        &'a self,
        kek: &'a KekRef,
        secret: &'a KeySecret,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        Box::pin(self.encrypt(kek, secret, context))
    }
}

impl KekAdmin for VaultAdmin {
    fn generate_wrapped<'a>(
        &'a self,
        kek: &'a KekRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        Box::pin(self.generate(kek, context))
    }

    fn rewrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        to: &'a KekRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        Box::pin(self.rewrap(wrapped, to, context))
    }

    fn rotate_kek<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<(), KeyError>> {
        Box::pin(self.rotate(kek))
    }
}

fn wrapped(kek: &KekRef, answer: Ciphertext) -> Result<WrappedKey, KeyError> {
    let wrapped = WrappedKey { kek: kek.clone(), blob: answer.ciphertext.into_bytes() };
    ciphertext(&wrapped).map_err(|_| KeyError::Protocol("no wrapped key".into()))?;
    Ok(wrapped)
}
