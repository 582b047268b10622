//! The transit engine of HashiCorp Vault as key provider, over its HTTP API.
//!
//! The transit key must be a derived one (`derived=true`): Vault makes a key of its own for each context, so a wrap opens
//! in its encryption context alone. Vault takes associated data for values that a client encrypts, but not for data keys
//! that it makes itself, and silently ignores the context of a key that is not derived; therefore the kind of key is
//! asked for before the first use.
//!
//! Which key may be used is configuration, never what the key store says. The proxy's half stands here, the security
//! team's in `admin.rs`, one exchange in `http.rs`, what answers mean in `answer.rs`.

mod admin;
mod answer;
mod http;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use data_encoding::BASE64;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{
    BoxFuture, EncryptionContext, KekDescription, KekRef, KekRotation, KekStatus, KeyError, KeyProvider, ProviderKind,
    SecretText, Unwrapper, WrappedKey,
};
use crate::crypto::KeySecret;
pub use admin::VaultAdmin;
use answer::{Answer, Key, Plaintext};
use http::Service;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultToken {
    /// A file that somebody keeps fresh, such as Vault Agent. Read again when Vault refuses the token.
    File(PathBuf),
    /// This one.
    Text(Arc<SecretText>),
}

/// What the provider needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSettings {
    /// `https://HOST:PORT`. Plain HTTP is for loopback addresses only.
    pub address: String,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// The transit key.
    pub key: String,
    /// The token.
    pub token: VaultToken,
    /// Authorities of Vault's certificate, PEM.
    pub ca_file: Option<PathBuf>,
}

impl VaultSettings {
    /// How the key store names the transit key. The server's address is no part of it, since it may change.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.mount.trim_matches('/'), self.key)
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultSettingsError {
    /// Not an address of the wanted form.
    #[error("`{0}` is no address of a Vault server, such as https://vault.internal:8200")]
    Address(String),
    /// Data keys would travel in the clear.
    #[error("the address of Vault must begin with https://; http:// is for loopback addresses only")]
    PlainAddress,
    /// Mount or key could not stand in a path.
    #[error("`{0}` is no name of a mount or of a transit key")]
    Name(String),
    /// An https:// address without an authority to believe.
    #[error("Vault's certificate needs its authority: ca_file")]
    NoAuthority,
    /// A file is missing, or holds something else.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// The proxy's half: decrypts. Makes no request until it is asked for something. Its token needs `update` on
/// `MOUNT/decrypt/KEY` and `read` on `MOUNT/keys/KEY`.
#[derive(Debug)]
pub struct Vault {
    transit: Transit,
}

impl Vault {
    /// Reads the token and the authority.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(settings: VaultSettings) -> Result<Self, VaultSettingsError> {
        Ok(Self { transit: Transit::new(settings)? })
    }

    async fn decrypt(&self, wrapped: &WrappedKey, context: &EncryptionContext) -> Result<KeySecret, KeyError> {
        self.transit.owns(&wrapped.kek)?;
        self.transit.binds_contexts().await?;
        let body = serde_json::json!({ "ciphertext": ciphertext(wrapped)?, "context": encoded(context) });
        let answer: Plaintext = self.transit.update("decrypt", &body).await?;
        let decoded = BASE64.decode(answer.plaintext.as_str().as_bytes()).map(Zeroizing::new);
        let mut plain = decoded.map_err(|_| KeyError::Protocol("a key that is not base64".into()))?;
        KeySecret::take_from(&mut plain).ok_or_else(|| KeyError::Protocol("a key of another length".into()))
    }
}

impl KeyProvider for Vault {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Vault
    }

    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        Box::pin(self.transit.describe(kek))
    }
}

impl Unwrapper for Vault {
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<KeySecret, KeyError>> {
        Box::pin(self.decrypt(wrapped, context))
    }
}

/// One transit key, and how to ask for it.
struct Transit {
    service: Service,
    mount: String,
    key: String,
    reference: Arc<str>,
    source: VaultToken,
    token: ArcSwap<SecretText>,
    /// Set once the key is known to be a derived one, which it then stays.
    derived: OnceCell<()>,
}

impl Transit {
    fn new(settings: VaultSettings) -> Result<Self, VaultSettingsError> {
        let service = Service::new(&settings.address, settings.ca_file.as_deref())?;
        let mount = settings.mount.trim_matches('/').to_owned();
        for name in mount.split('/').chain([settings.key.as_str()]) {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            if name.is_empty() || name.starts_with('.') || !name.bytes().all(fits) {
                return Err(VaultSettingsError::Name(name.to_owned()));
            }
        }
        let token = match &settings.token {
            VaultToken::File(path) => Arc::new(token_from(path)?),
            VaultToken::Text(text) => text.clone(),
        };
        let reference = settings.reference().into();
        Ok(Self {
            service,
            mount,
            key: settings.key,
            reference,
            source: settings.token,
            token: ArcSwap::new(token),
            derived: OnceCell::new(),
        })
    }

    /// A KEK that is not configured is treated like one that did not make the wrap.
    fn owns(&self, kek: &KekRef) -> Result<(), KeyError> {
        let ours = kek.provider == ProviderKind::Vault && kek.reference == self.reference;
        if ours { Ok(()) } else { Err(KeyError::ContextMismatch) }
    }

    async fn binds_contexts(&self) -> Result<(), KeyError> {
        let ask = async || {
            if self.read_key().await?.derived {
                return Ok(());
            }
            tracing::error!(key = %self.reference, "the transit key is not derived, so it binds no encryption context");
            Err(KeyError::Protocol("the transit key was not made with derived=true".into()))
        };
        self.derived.get_or_try_init(ask).await.copied()
    }

    async fn read_key(&self) -> Result<Key, KeyError> {
        let answer = self.call(&Method::GET, &format!("keys/{}", self.key), None).await?;
        answer.data("read key", &self.reference)
    }

    async fn describe(&self, kek: &KekRef) -> Result<KekDescription, KeyError> {
        self.owns(kek)?;
        let key = self.read_key().await?;
        let rotation = match key.auto_rotate_period.as_ref().and_then(serde_json::Value::as_u64) {
            Some(0) | None => KekRotation::OnDemand,
            Some(seconds) => KekRotation::Automatic { period_days: u32::try_from(seconds / SECONDS_PER_DAY).ok() },
        };
        Ok(KekDescription { status: KekStatus::Enabled, rotation, version: Some(key.latest_version) })
    }

    /// One of the operations that take the key's name last.
    async fn update<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        body: &serde_json::Value,
    ) -> Result<T, KeyError> {
        let answer = self.call(&Method::POST, &format!("{operation}/{}", self.key), Some(body)).await?;
        answer.data(operation, &self.reference)
    }

    /// One request, and a second one if the token was refused and the file holds another by now.
    async fn call(
        &self,
        method: &Method,
        operation: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, KeyError> {
        let path = format!("/v1/{}/{operation}", self.mount);
        let token = self.token.load_full();
        let answer = self.service.exchange(method, &path, &token, body).await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        match self.newer_token(&token) {
            Some(newer) => self.service.exchange(method, &path, &newer, body).await,
            None => Ok(answer),
        }
    }

    fn newer_token(&self, refused: &SecretText) -> Option<Arc<SecretText>> {
        let path = match &self.source {
            VaultToken::File(path) => path,
            VaultToken::Text(_) => return None,
        };
        match token_from(path) {
            Ok(token) if token == *refused => None,
            Ok(token) => {
                let token = Arc::new(token);
                self.token.store(token.clone());
                tracing::info!("the token of the key service was read again");
                Some(token)
            }
            Err(error) => {
                tracing::warn!(cause = %error, "the token of the key service cannot be read again");
                None
            }
        }
    }
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transit").field("key", &self.reference).finish_non_exhaustive()
    }
}

fn token_from(path: &Path) -> Result<SecretText, VaultSettingsError> {
    let bad = |what: String| VaultSettingsError::File { path: path.to_owned(), what };
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| bad(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("it holds no token".to_owned()));
    }
    Ok(SecretText::new(token.to_owned()))
}

/// The context as Vault takes it: its one byte string, in base64.
fn encoded(context: &EncryptionContext) -> String {
    BASE64.encode(&context.canonical())
}

/// A wrap as Vault gave it: text that begins with `vault:v`.
fn ciphertext(wrapped: &WrappedKey) -> Result<&str, KeyError> {
    let text = std::str::from_utf8(&wrapped.blob).ok().filter(|text| text.starts_with("vault:v") && text.is_ascii());
    text.ok_or(KeyError::ContextMismatch)
}
