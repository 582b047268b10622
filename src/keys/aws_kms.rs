//! AWS KMS as key provider. The only file that knows the SDK: requests, time-outs, and what each of its errors means
//! for a key. Waiting longer than one operation, caching and reporting belong to the caller.
//!
//! Which KEKs may be used is configuration, never what the key store says: whoever can write to the database must not
//! be able to name a key of his own. The KEK is also sent with every request, so that KMS itself compares.
//!
//! The proxy's half stands here, the security team's in `admin.rs`.

mod admin;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::KeyState as KmsState;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use zeroize::Zeroizing;

use super::{
    BoxFuture, EncryptionContext, KekDescription, KekRef, KekRotation, KekStatus, KeyError, KeyProvider, ProviderKind,
    Unwrapper, WrappedKey,
};
use crate::crypto::KeySecret;
use crate::http::is_protected;
pub use admin::AwsKmsAdmin;

/// Limit for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// Limit for an operation with all its attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts within one operation.
const ATTEMPTS_MAX: u32 = 3;

/// Where credentials come from.
#[derive(Clone)]
pub enum AwsCredentials {
    /// The SDK's chain: environment, profile, web identity, container, instance.
    DefaultChain,
    /// These ones.
    Static {
        /// Access key id; not a secret.
        access_key_id: String,
        /// The secret that belongs to it.
        secret_access_key: Zeroizing<String>,
    },
}

impl std::fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DefaultChain => "DefaultChain",
            Self::Static { .. } => "Static(..)",
        })
    }
}

/// What the provider needs to know.
#[derive(Clone, Debug)]
pub struct AwsKmsSettings {
    /// ARNs of the KMS keys that may wrap keys. No aliases: an alias can be pointed elsewhere.
    pub kek_arns: Vec<String>,
    /// Another address for the service: a VPC endpoint, or the fake of the tests. Must be HTTPS, except on loopback.
    pub endpoint: Option<String>,
    /// Credentials.
    pub credentials: AwsCredentials,
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsKmsSettingsError {
    /// No KEK is named.
    #[error("no KMS key is configured")]
    NoKek,
    /// Not the ARN of a KMS key.
    #[error("`{0}` is not the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)")]
    NotAnArn(String),
    /// Data keys would travel in the clear.
    #[error("the KMS endpoint must begin with https://; http:// is for loopback addresses only")]
    PlainEndpoint,
}

/// The proxy's half: decrypts. Makes no request until it is asked for something.
pub struct AwsKms {
    /// One client for each KEK, with the region that its ARN names.
    clients: HashMap<Arc<str>, Client>,
}

impl std::fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsKms").field("keks", &self.clients.keys()).finish()
    }
}

impl AwsKms {
    /// Prepares clients for the configured KEKs.
    pub async fn new(settings: AwsKmsSettings) -> Result<Self, AwsKmsSettingsError> {
        if settings.kek_arns.is_empty() {
            return Err(AwsKmsSettingsError::NoKek);
        }
        if settings.endpoint.as_deref().is_some_and(|endpoint| !is_protected(endpoint)) {
            return Err(AwsKmsSettingsError::PlainEndpoint);
        }
        let mut clients = HashMap::new();
        for arn in &settings.kek_arns {
            let region = region(arn).ok_or_else(|| AwsKmsSettingsError::NotAnArn(arn.clone()))?;
            let config = sdk_config(region.to_owned(), &settings).await;
            clients.insert(Arc::from(arn.as_str()), Client::new(&config));
        }
        Ok(Self { clients })
    }

    /// The client for a KEK. One that is not configured is treated like one that KMS says the wrap was not made with.
    fn client(&self, kek: &KekRef) -> Result<&Client, KeyError> {
        match kek.provider {
            ProviderKind::AwsKms => self.clients.get(&kek.reference).ok_or(KeyError::ContextMismatch),
            ProviderKind::Local | ProviderKind::Vault => Err(KeyError::ContextMismatch),
        }
    }

    async fn decrypt(&self, wrapped: &WrappedKey, context: &EncryptionContext) -> Result<KeySecret, KeyError> {
        let arn = &wrapped.kek.reference;
        let answer = self
            .client(&wrapped.kek)?
            .decrypt()
            .key_id(arn.as_ref())
            .ciphertext_blob(Blob::new(wrapped.blob.clone()))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|error| classify("Decrypt", arn, &error))?;
        same_key(arn, answer.key_id())?;
        // The SDK keeps copies of its own (JSON, base64) that nobody can wipe; this one is.
        let mut plain = answer.plaintext.map(Blob::into_inner).unwrap_or_default();
        KeySecret::take_from(&mut plain).ok_or_else(|| KeyError::Protocol("a key of another length".into()))
    }

    async fn state(&self, kek: &KekRef) -> Result<KekStatus, KeyError> {
        let answer = self
            .client(kek)?
            .describe_key()
            .key_id(kek.reference.as_ref())
            .send()
            .await
            .map_err(|error| classify("DescribeKey", &kek.reference, &error))?;
        match answer.key_metadata().and_then(|metadata| metadata.key_state()) {
            // Updating: the key is in use while its regions are changed.
            Some(KmsState::Enabled | KmsState::Updating) => Ok(KekStatus::Enabled),
            Some(KmsState::Disabled) => Ok(KekStatus::Disabled),
            Some(KmsState::PendingDeletion | KmsState::PendingReplicaDeletion) => Ok(KekStatus::PendingDeletion),
            Some(KmsState::Creating | KmsState::Unavailable) => Err(KeyError::Unavailable),
            Some(other) => Err(KeyError::Protocol(format!("key state {other}"))),
            None => Err(KeyError::Protocol("no key state".into())),
        }
    }
}

impl KeyProvider for AwsKms {
    fn kind(&self) -> ProviderKind {
        ProviderKind::AwsKms
    }

    /// Whether the KEK rotates, the proxy's principal may not ask.
    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        Box::pin(async move {
            let status = self.state(kek).await?;
            Ok(KekDescription { status, rotation: KekRotation::Unknown, version: None })
        })
    }
}

impl Unwrapper for AwsKms {
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<KeySecret, KeyError>> {
        Box::pin(self.decrypt(wrapped, context))
    }
}

async fn sdk_config(region: String, settings: &AwsKmsSettings) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(ATTEMPT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        );
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let AwsCredentials::Static { access_key_id, secret_access_key } = &settings.credentials {
        let credentials =
            Credentials::new(access_key_id, secret_access_key.as_str(), None, None, "candado configuration");
        loader = loader.credentials_provider(credentials);
    }
    loader.load().await
}

/// The region of `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`; `None` for anything else.
fn region(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let is_kms = parts.next() == Some("arn") && parts.next().is_some() && parts.next() == Some("kms");
    let region = parts.next().filter(|region| !region.is_empty());
    let account = parts.next().filter(|account| !account.is_empty());
    let is_key = parts.next().and_then(|resource| resource.strip_prefix("key/")).is_some_and(|id| !id.is_empty());
    if is_kms && is_key && account.is_some() && parts.next().is_none() { region } else { None }
}

fn pairs(context: &EncryptionContext) -> HashMap<String, String> {
    context.pairs().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// KMS says which key it used. Another one than we asked for cannot be right.
fn same_key(asked: &str, used: Option<&str>) -> Result<(), KeyError> {
    if used == Some(asked) { Ok(()) } else { Err(KeyError::Protocol("another key was used".into())) }
}

/// What an SDK error means, and a log line with what a conversation with AWS support needs.
fn classify<E>(operation: &'static str, kek: &str, error: &SdkError<E, HttpResponse>) -> KeyError
where
    E: ProvideErrorMetadata + RequestId,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (class, code, request_id) = match error {
        SdkError::TimeoutError(_) => (KeyError::Timeout, None, None),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (KeyError::Timeout, None, None),
        SdkError::DispatchFailure(_) => (KeyError::Unavailable, None, None),
        SdkError::ServiceError(service) => {
            let code = service.err().code();
            (class_of(code, status), code, service.err().request_id())
        }
        SdkError::ResponseError(_) => (class_of(None, status), None, None),
        // And whatever later versions add.
        SdkError::ConstructionFailure(_) | _ => {
            (KeyError::Protocol("the request could not be made".into()), None, None)
        }
    };
    tracing::warn!(operation, kek, class = %class, code, status, request_id, "key service");
    class
}

/// What an error code means. An answer without a code did not come from KMS but from something in between: the HTTP
/// status says whether it may pass.
fn class_of(code: Option<&str>, status: Option<u16>) -> KeyError {
    match (code, status) {
        (Some("AccessDeniedException" | "UnrecognizedClientException" | "InvalidClientTokenId"), _) => KeyError::Denied,
        (Some("DisabledException"), _) => KeyError::Disabled,
        (Some("KMSInvalidStateException"), _) => KeyError::PendingDeletion,
        (Some("NotFoundException"), _) => KeyError::NotFound,
        (Some("IncorrectKeyException" | "InvalidCiphertextException"), _) => KeyError::ContextMismatch,
        (Some("ThrottlingException" | "Throttling" | "LimitExceededException" | "RequestLimitExceeded"), _)
        | (_, Some(429)) => KeyError::Throttled,
        // Conflict: a rotation is under way.
        (
            Some(
                "KMSInternalException" | "DependencyTimeoutException" | "KeyUnavailableException" | "ConflictException",
            ),
            _,
        )
        | (_, Some(500..=599)) => KeyError::Unavailable,
        // The SDK takes new credentials by itself; until it has them, this is an outage and not a revocation.
        (Some("ExpiredTokenException"), _) => KeyError::Unavailable,
        (Some(code), _) => KeyError::Protocol(code.chars().take(64).collect()),
        (None, Some(status)) => KeyError::Protocol(format!("HTTP status {status}")),
        (None, None) => KeyError::Protocol("no answer that can be read".into()),
    }
}

#[cfg(test)]
mod tests;
