//! The security team's half of AWS KMS: makes, rewraps, rotates and disables, and never sees a key in the clear. What the
//! team's role needs for it stands in `keys-policy/aws/security-iam-policy.json`.

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use super::{AwsKms, AwsKmsSettings, AwsKmsSettingsError, classify, pairs, same_key};
use crate::crypto::KeySecret;
use crate::keys::{
    BoxFuture, EncryptionContext, KekAdmin, KekDescription, KekRef, KekRotation, KeyError, KeyProvider, ProviderKind,
    Receiver, WrappedKey,
};

/// Makes and rewraps keys. Makes no request until it is asked for something.
#[derive(Debug)]
pub struct AwsKmsAdmin {
    kms: AwsKms,
}

impl AwsKmsAdmin {
    /// Prepares clients for the configured KEKs.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub async fn new(settings: AwsKmsSettings) -> Result<Self, AwsKmsSettingsError> {
        Ok(Self { kms: AwsKms::new(settings).await? })
    }

    async fn generate(&self, kek: &KekRef, context: &EncryptionContext) -> Result<WrappedKey, KeyError> {
        let answer = self
            .kms
            .client(kek)?
            .generate_data_key_without_plaintext()
            .key_id(kek.reference.as_ref())
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|error| classify("GenerateDataKeyWithoutPlaintext", &kek.reference, &error))?;
        same_key(&kek.reference, answer.key_id())?;
        wrapped(kek, answer.ciphertext_blob)
    }

    async fn re_encrypt(
        &self,
        from: &WrappedKey,
        to: &KekRef,
        context: &EncryptionContext,
    ) -> Result<WrappedKey, KeyError> {
        self.kms.client(to)?;
        let answer = self
            .kms
            .client(&from.kek)?
            .re_encrypt()
            .source_key_id(from.kek.reference.as_ref())
            .destination_key_id(to.reference.as_ref())
            .ciphertext_blob(Blob::new(from.blob.clone()))
            .set_source_encryption_context(Some(pairs(context)))
            .set_destination_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|error| classify("ReEncrypt", &from.kek.reference, &error))?;
        same_key(&to.reference, answer.key_id())?;
        wrapped(to, answer.ciphertext_blob)
    }

    /// The SDK's copy of the key is not wiped, as with every answer to Decrypt (SECURITY.md).
    async fn encrypt(
        &self,
        kek: &KekRef,
        secret: &KeySecret,
        context: &EncryptionContext,
    ) -> Result<WrappedKey, KeyError> {
        let answer = self
            .kms
            .client(kek)?
            .encrypt()
            .key_id(kek.reference.as_ref())
            .plaintext(Blob::new(secret.to_be_wrapped().as_slice()))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|error| classify("Encrypt", &kek.reference, &error))?;
        same_key(&kek.reference, answer.key_id())?;
        wrapped(kek, answer.ciphertext_blob)
    }

    async fn rotate(&self, kek: &KekRef) -> Result<(), KeyError> {
        let answer = self
            .kms
            .client(kek)?
            .rotate_key_on_demand()
            .key_id(kek.reference.as_ref())
            .send()
            .await
            .map_err(|error| classify("RotateKeyOnDemand", &kek.reference, &error))?;
        // Here KMS may name the key by its bare id.
        let names = |used: &str| used == &*kek.reference || kek.reference.rsplit('/').next() == Some(used);
        if answer.key_id().is_some_and(names) { Ok(()) } else { Err(KeyError::Protocol("another key was used".into())) }
    }

    /// A principal that may not ask, and a key that is in no state to rotate, are no reason to tell nothing at all.
    async fn rotation(&self, kek: &KekRef) -> Result<KekRotation, KeyError> {
        let request = self.kms.client(kek)?.get_key_rotation_status().key_id(kek.reference.as_ref());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = classify("GetKeyRotationStatus", &kek.reference, &error);
                return if error.definitive() { Ok(KekRotation::Unknown) } else { Err(error) };
            }
        };
        if !answer.key_rotation_enabled() {
            return Ok(KekRotation::OnDemand);
        }
        let period_days = answer.rotation_period_in_days().and_then(|days| u32::try_from(days).ok());
        Ok(KekRotation::Automatic { period_days })
    }
}

impl KeyProvider for AwsKmsAdmin {
    fn kind(&self) -> ProviderKind {
        ProviderKind::AwsKms
    }

    /// KMS does not number its material.
    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        Box::pin(async move {
            let status = self.kms.state(kek).await?;
            Ok(KekDescription { status, rotation: self.rotation(kek).await?, version: None })
        })
    }
}

impl Receiver for AwsKmsAdmin {
    fn wrap<'a>(
        &'a self,
        kek: &'a KekRef,
        secret: &'a KeySecret,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<WrappedKey, KeyError>> {
        Box::pin(self.encrypt(kek, secret, context))
    }
}

impl KekAdmin for AwsKmsAdmin {
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
        Box::pin(self.re_encrypt(wrapped, to, context))
    }

    fn rotate_kek<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<(), KeyError>> {
        Box::pin(self.rotate(kek))
    }
}

fn wrapped(kek: &KekRef, blob: Option<Blob>) -> Result<WrappedKey, KeyError> {
    let blob = blob.map(Blob::into_inner).filter(|blob| !blob.is_empty());
    Ok(WrappedKey { kek: kek.clone(), blob: blob.ok_or_else(|| KeyError::Protocol("no wrapped key".into()))? })
}
