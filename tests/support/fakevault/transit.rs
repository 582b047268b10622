//! The fake's transit engine: keys with versions, and what each path of the API does with them. Every ciphertext is a real
//! AES-256-GCM seal. A derived key makes a key of its own for each context; for any other the context is ignored, as Vault
//! does.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use data_encoding::BASE64;
use hyper::StatusCode;
use serde_json::{Value, json};

/// Status and texts of an error answer.
pub(crate) type Failure = (StatusCode, String);

/// Whether a key derives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    Yes,
    No,
}

#[derive(Debug)]
pub(crate) struct Key {
    derived: Derived,
    /// Version 1 first.
    versions: Vec<[u8; 32]>,
    pub(crate) min_decryption_version: usize,
    pub(crate) auto_rotate_period: u64,
}

impl Key {
    pub(crate) fn new(derived: Derived) -> Self {
        Self { derived, versions: vec![random()], min_decryption_version: 1, auto_rotate_period: 0 }
    }
}

/// What a policy's parameters say of contexts, which are base64.
#[derive(Clone, Debug)]
pub(crate) enum Contexts {
    /// `allowed_parameters`.
    Only(String),
    /// `denied_parameters`.
    Never(String),
}

/// Keys, tokens, and what was given out.
#[derive(Debug, Default)]
pub(crate) struct Transit {
    pub(crate) keys: HashMap<String, Key>,
    /// Token to the paths that it may use.
    pub(crate) policies: HashMap<String, HashSet<String>>,
    /// Token and path to the beginnings of contexts that it may name alone, or not at all.
    pub(crate) contexts: HashMap<(String, String), Contexts>,
    /// Every data key that was ever made, for tests that look for them.
    pub(crate) made: Vec<[u8; 32]>,
}

impl Transit {
    /// Carries out one request; `path` is what stands after `/v1/`.
    pub(crate) fn call(&mut self, token: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        if !self.policies.get(token).is_some_and(|paths| paths.contains(path)) {
            return Err(failure(403, "1 error occurred:\n\t* permission denied\n\n"));
        }
        let context = body.get("context").and_then(Value::as_str).unwrap_or_default();
        let within = match self.contexts.get(&(token.to_owned(), path.to_owned())) {
            Some(Contexts::Only(beginning)) => context.starts_with(beginning),
            Some(Contexts::Never(beginning)) => !context.starts_with(beginning),
            None => true,
        };
        if !within {
            return Err(failure(403, "1 error occurred:\n\t* permission denied\n\n"));
        }
        let Some(path) = path.strip_prefix("transit/") else {
            return Err(failure(404, "no handler for route. route entry not found."));
        };
        match path.split('/').collect::<Vec<_>>()[..] {
            ["datakey", "wrapped", name] => self.make(name, body),
            ["decrypt", name] => {
                let plain = self.open(name, body)?;
                Ok(json!({ "plaintext": BASE64.encode(&plain) }))
            }
            ["encrypt", name] => {
                let text = body.get("plaintext").and_then(Value::as_str).unwrap_or_default();
                let plain =
                    BASE64.decode(text.as_bytes()).map_err(|_| failure(400, "failed to base64-decode plaintext"))?;
                Ok(json!({ "ciphertext": self.seal(name, &plain, body)? }))
            }
            ["rewrap", name] => {
                let plain = self.open(name, body)?;
                let ciphertext = self.seal(name, &plain, body)?;
                Ok(json!({ "ciphertext": ciphertext }))
            }
            ["keys", name] => self.describe(name),
            ["keys", name, "rotate"] => {
                self.key_mut(name)?.versions.push(random());
                self.describe(name)
            }
            _ => Err(failure(404, "no handler for route. route entry not found.")),
        }
    }

    pub(crate) fn key_mut(&mut self, name: &str) -> Result<&mut Key, Failure> {
        self.keys.get_mut(name).ok_or_else(|| failure(400, "encryption key not found"))
    }

    fn key(&self, name: &str) -> Result<&Key, Failure> {
        self.keys.get(name).ok_or_else(|| failure(400, "encryption key not found"))
    }

    fn make(&mut self, name: &str, body: &Value) -> Result<Value, Failure> {
        if body.get("bits").and_then(Value::as_u64).unwrap_or(256) != 256 {
            return Err(failure(400, "invalid bit length"));
        }
        // Not taken by this path of Vault; a client that relies on it would have no binding.
        assert!(body.get("associated_data").is_none(), "datakey ignores associated_data");
        let plain: [u8; 32] = random();
        let ciphertext = self.seal(name, &plain, body)?;
        self.made.push(plain);
        Ok(json!({ "ciphertext": ciphertext, "key_version": self.key(name)?.versions.len() }))
    }

    fn describe(&self, name: &str) -> Result<Value, Failure> {
        // A key that does not exist is told without a text here.
        let key = self.keys.get(name).ok_or_else(|| (StatusCode::NOT_FOUND, String::new()))?;
        Ok(json!({
            "name": name, "type": "aes256-gcm96", "derived": key.derived == Derived::Yes, "exportable": false,
            "latest_version": key.versions.len(), "min_decryption_version": key.min_decryption_version,
            "auto_rotate_period": key.auto_rotate_period, "supports_decryption": true,
        }))
    }

    fn seal(&self, name: &str, plain: &[u8], body: &Value) -> Result<String, Failure> {
        let key = self.key(name)?;
        let version = key.versions.len();
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = plain.to_vec();
        cipher(key, version, body)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .expect("AES-GCM seals a short buffer");
        Ok(format!("vault:v{version}:{}", BASE64.encode(&[&nonce[..], &sealed].concat())))
    }

    fn open(&self, name: &str, body: &Value) -> Result<Vec<u8>, Failure> {
        let key = self.key(name)?;
        let text = body.get("ciphertext").and_then(Value::as_str).unwrap_or_default();
        let rest = text.strip_prefix("vault:v").ok_or_else(|| failure(400, "invalid ciphertext: no prefix"))?;
        let (version, sealed) =
            rest.split_once(':').ok_or_else(|| failure(400, "invalid ciphertext: wrong number of fields"))?;
        let version: usize =
            version.parse().map_err(|_| failure(400, "invalid ciphertext: version number could not be decoded"))?;
        if version > key.versions.len() {
            return Err(failure(400, "invalid ciphertext: version is too new"));
        }
        if version < key.min_decryption_version {
            return Err(failure(400, "ciphertext or signature version is disallowed by policy (too old)"));
        }
        let sealed = BASE64
            .decode(sealed.as_bytes())
            .map_err(|_| failure(400, "invalid ciphertext: could not decode base64"))?;
        let (nonce, sealed) =
            sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| failure(400, "invalid ciphertext length"))?;
        let mut plain = sealed.to_vec();
        let length = cipher(key, version, body)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut plain)
            .map_err(|_| failure(400, "cipher: message authentication failed"))?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// The key that seals under a context.
fn cipher(key: &Key, version: usize, body: &Value) -> Result<LessSafeKey, Failure> {
    let material = key.versions.get(version - 1).ok_or_else(|| failure(400, "invalid ciphertext: unknown version"))?;
    let context = body.get("context").and_then(Value::as_str).unwrap_or_default();
    let context = BASE64.decode(context.as_bytes()).map_err(|_| failure(400, "failed to base64-decode context"))?;
    let derived = match key.derived {
        Derived::No => material.to_vec(),
        Derived::Yes if context.is_empty() => return Err(failure(400, "missing 'context' for key derivation")),
        Derived::Yes => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, material), &context).as_ref().to_vec(),
    };
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &derived).expect("32 bytes")))
}

pub(crate) fn failure(status: u16, text: &str) -> Failure {
    (StatusCode::from_u16(status).expect("a status"), text.to_owned())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
