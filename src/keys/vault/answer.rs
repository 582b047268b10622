//! What Vault answers, and what each of its errors means for a key. Texts of errors are compared, never passed on.

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::keys::{KeyError, SecretText};

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// May hold a key.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The part of an answer that counts.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

/// Of `datakey` and `rewrap`.
#[derive(Deserialize)]
pub(super) struct Ciphertext {
    pub(super) ciphertext: String,
}

/// Of `decrypt`.
#[derive(Deserialize)]
pub(super) struct Plaintext {
    pub(super) plaintext: SecretText,
}

/// Of `keys`.
#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) latest_version: u32,
    pub(super) derived: bool,
    /// Seconds; old versions of Vault do not have it.
    #[serde(default)]
    pub(super) auto_rotate_period: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

impl Answer {
    /// The data of a success.
    pub(super) fn data<T: DeserializeOwned>(self, operation: &str, key: &str) -> Result<T, KeyError> {
        self.done(operation, key)?;
        let data: Result<Data<T>, _> = serde_json::from_slice(&self.body);
        // The text of the error could quote the body.
        data.map(|data| data.data).map_err(|_| KeyError::Protocol("an answer without the wanted data".into()))
    }

    /// Whether it was done, and a log line if not.
    pub(super) fn done(&self, operation: &str, key: &str) -> Result<(), KeyError> {
        if self.status.is_success() {
            return Ok(());
        }
        let errors: Errors = serde_json::from_slice(&self.body).unwrap_or_default();
        let class = class_of(self.status, &errors.errors);
        tracing::warn!(operation, key, class = %class, status = self.status.as_u16(), "key service");
        Err(class)
    }
}

/// What status and texts mean. Vault has no error codes; where one status stands for several things, the texts of its
/// transit engine tell them apart.
fn class_of(status: StatusCode, errors: &[String]) -> KeyError {
    let says = |text: &str| errors.iter().any(|error| error.contains(text));
    match status.as_u16() {
        400 if says("message authentication failed") || says("invalid ciphertext") => KeyError::ContextMismatch,
        // Below min_decryption_version: somebody put this version out of use.
        400 if says("disallowed by policy") => KeyError::Disabled,
        400 if says("key not found") => KeyError::NotFound,
        403 => KeyError::Denied,
        404 => KeyError::NotFound,
        429 => KeyError::Throttled,
        // 412: this node has not seen yet what another one did. 5xx: sealed, no leader, storage that fails.
        412 | 500..=599 => KeyError::Unavailable,
        other => KeyError::Protocol(format!("HTTP status {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_class() {
        let rows: [(u16, &str, KeyError); 14] = [
            (400, "cipher: message authentication failed", KeyError::ContextMismatch),
            (400, "invalid ciphertext: no prefix", KeyError::ContextMismatch),
            (400, "invalid ciphertext: version is too new", KeyError::ContextMismatch),
            (400, "ciphertext or signature version is disallowed by policy (too old)", KeyError::Disabled),
            (400, "encryption key not found", KeyError::NotFound),
            (400, "something else", KeyError::Protocol("HTTP status 400".into())),
            (403, "permission denied", KeyError::Denied),
            (404, "no handler for route", KeyError::NotFound),
            (412, "", KeyError::Unavailable),
            (429, "rate limit quota exceeded", KeyError::Throttled),
            (500, "internal error", KeyError::Unavailable),
            (502, "", KeyError::Unavailable),
            (503, "Vault is sealed", KeyError::Unavailable),
            (307, "", KeyError::Protocol("HTTP status 307".into())),
        ];
        for (status, text, class) in rows {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(class_of(status, &[text.to_owned()]), class, "{status} {text}");
        }
    }
}
