//! The key file: key-encryption keys in a file that its owner alone can read. The provider of the embedded
//! installation; it protects against a copy of the database, not against somebody who is root on this host.
//!
//! The file is read once, when the provider is opened; afterwards no request touches the disk.

mod disk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xaes_256_gcm::aead::{AeadInOut, KeyInit};
use xaes_256_gcm::{Nonce, Tag, Xaes256Gcm};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    BoxFuture, EncryptionContext, KekAdmin, KekRef, KekStatus, KeyError, KeyProvider, ProviderKind, Unwrapper,
    WrappedKey,
};
use crate::crypto::{KeySecret, SECRET_LENGTH};

const FORMAT_VERSION: u32 = 1;
const PROTECTION_NONE: &str = "none";
const BLOB_FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// Why a key file cannot be opened or created.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The path names no file.
    #[error("the path of the key file has no file name")]
    NoName,
    /// There is a file already. A key file is never overwritten: what it wraps would be lost.
    #[error("the key file exists already and is not overwritten")]
    Exists,
    /// A symbolic link, a folder, a device.
    #[error("the key file is not a regular file")]
    NotRegular,
    /// The file belongs to somebody else.
    #[error("the key file belongs to user {uid}, not to the user that this program runs as")]
    Owner {
        /// The owner.
        uid: u32,
    },
    /// Group or others have rights on the file.
    #[error("the key file has mode {mode:o}; it must be readable by its owner only (chmod 600)")]
    Mode {
        /// The permission bits.
        mode: u32,
    },
    /// Somebody else could replace the file.
    #[error("the key file's directory (owner {uid}, mode {mode:o}) lets other users replace the file")]
    Directory {
        /// The owner.
        uid: u32,
        /// The permission bits.
        mode: u32,
    },
    /// The content is not a key file. Only the place is told: the content is secret.
    #[error("the key file is malformed at line {line}, column {column}")]
    Syntax {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
    },
    /// The content is well-formed and wrong.
    #[error("the key file is malformed: {0}")]
    Content(&'static str),
    /// The file is protected in a way that this version does not know.
    #[error("the key file's protection is not supported; this version knows \"none\" only")]
    Protection,
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random,
    /// The system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// Text that is wiped on drop.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(transparent)]
struct SecretText(String);

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u32,
    kek_id: String,
    protection: String,
    versions: Vec<ContentVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentVersion {
    version: u32,
    created_unix_s: u64,
    key: SecretText,
}

/// An open key file. Its ciphers stand on the heap, so that moves leave no key schedule behind.
pub struct KeyFile {
    id: Arc<str>,
    versions: BTreeMap<u32, Box<Xaes256Gcm>>,
}

impl KeyFile {
    /// Creates a key file with one new key and opens it. An existing file is never touched.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let mut key = Zeroizing::new([0; SECRET_LENGTH]);
        getrandom::fill(&mut *key).map_err(|_| KeyFileError::Random)?;
        let created_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let content = Content {
            v: FORMAT_VERSION,
            kek_id: Uuid::new_v4().hyphenated().to_string(),
            protection: PROTECTION_NONE.to_owned(),
            versions: vec![ContentVersion { version: 1, created_unix_s, key: SecretText(BASE64.encode(&*key)) }],
        };
        // Written into a buffer that is large enough from the start, so that no copy stays behind when it grows.
        let mut text = Zeroizing::new(Vec::with_capacity(disk::OCTETS_MAX));
        serde_json::to_writer_pretty(&mut *text, &content)
            .map_err(|_| KeyFileError::Content("it cannot be written"))?;
        text.push(b'\n');
        disk::create(path, &text)?;
        Self::open(path)
    }

    /// Opens a key file. Refuses one that anybody but its owner could read or replace.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Self::parse(&disk::read(path)?)
    }

    /// The name under which the key store records wraps of this file.
    pub fn kek(&self) -> KekRef {
        KekRef::new(ProviderKind::Local, Arc::clone(&self.id))
    }

    fn parse(text: &[u8]) -> Result<Self, KeyFileError> {
        let content: Content = serde_json::from_slice(text)
            .map_err(|error| KeyFileError::Syntax { line: error.line(), column: error.column() })?;
        if content.v != FORMAT_VERSION {
            return Err(KeyFileError::Content("its format version is not known"));
        }
        if content.protection != PROTECTION_NONE {
            return Err(KeyFileError::Protection);
        }
        let mut versions = BTreeMap::new();
        for entry in &content.versions {
            let decoded = BASE64.decode(entry.key.0.as_bytes()).map(Zeroizing::new);
            let decoded = decoded.map_err(|_| KeyFileError::Content("a key is not base64"))?;
            let cipher = Xaes256Gcm::new_from_slice(&decoded)
                .map_err(|_| KeyFileError::Content("a key does not have 32 bytes"))?;
            if versions.insert(entry.version, Box::new(cipher)).is_some() {
                return Err(KeyFileError::Content("two keys have one version"));
            }
        }
        if versions.is_empty() {
            return Err(KeyFileError::Content("it holds no key"));
        }
        let id = Uuid::parse_str(&content.kek_id).map_err(|_| KeyFileError::Content("its id is not a UUID"))?;
        Ok(Self { id: id.hyphenated().to_string().into(), versions })
    }

    fn owns(&self, kek: &KekRef) -> Result<(), KeyError> {
        if kek.provider == ProviderKind::Local && kek.reference == self.id { Ok(()) } else { Err(KeyError::NotFound) }
    }

    /// `01 ‖ u32be(version) ‖ nonce ‖ ciphertext ‖ tag`, under the newest version, bound to the context.
    fn seal(&self, secret: &[u8; SECRET_LENGTH], context: &EncryptionContext) -> Result<WrappedKey, KeyError> {
        let (version, cipher) = self.versions.last_key_value().ok_or(KeyError::NotFound)?;
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Unavailable)?;
        let mut body = Zeroizing::new(*secret);
        let tag = cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &context.canonical(), body.as_mut_slice().into())
            .map_err(|_| KeyError::Unavailable)?;
        let blob = [&[BLOB_FORMAT][..], &version.to_be_bytes(), &nonce, &*body, &tag].concat();
        Ok(WrappedKey { kek: self.kek(), blob })
    }

    fn open_blob(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<[u8; SECRET_LENGTH]>, KeyError> {
        self.owns(&wrapped.kek)?;
        let (version, nonce, body, tag) = fields(&wrapped.blob).ok_or(KeyError::ContextMismatch)?;
        let cipher = self.versions.get(&version).ok_or(KeyError::NotFound)?;
        let mut secret = Zeroizing::new(*body);
        cipher
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &context.canonical(),
                secret.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| KeyError::ContextMismatch)?;
        Ok(secret)
    }

    fn generate(&self, kek: &KekRef, context: &EncryptionContext) -> Result<WrappedKey, KeyError> {
        self.owns(kek)?;
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        getrandom::fill(&mut *secret).map_err(|_| KeyError::Unavailable)?;
        self.seal(&secret, context)
    }
}

type Fields<'a> = (u32, &'a [u8; NONCE_LENGTH], &'a [u8; SECRET_LENGTH], &'a [u8; TAG_LENGTH]);

fn fields(blob: &[u8]) -> Option<Fields<'_>> {
    let (format, rest) = blob.split_first()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (body, rest) = rest.split_first_chunk()?;
    let tag = rest.try_into().ok()?;
    (*format == BLOB_FORMAT).then_some((u32::from_be_bytes(*version), nonce, body, tag))
}

impl KeyProvider for KeyFile {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Local
    }

    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekStatus, KeyError>> {
        Box::pin(ready(self.owns(kek).map(|()| KekStatus::Enabled)))
    }
}

impl Unwrapper for KeyFile {
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<KeySecret, KeyError>> {
        let secret = self.open_blob(wrapped, context).and_then(|mut secret| {
            KeySecret::take_from(secret.as_mut_slice())
                .ok_or_else(|| KeyError::Protocol("a key of the wrong length".to_owned()))
        });
        Box::pin(ready(secret))
    }
}

impl KekAdmin for KeyFile {
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
            .owns(to)
            .and_then(|()| self.open_blob(wrapped, context))
            .and_then(|secret| self.seal(&secret, context));
        Box::pin(ready(rewrapped))
    }
}

impl Zeroize for SecretText {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.versions.keys().collect::<Vec<_>>();
        f.debug_struct("KeyFile").field("id", &self.id).field("versions", &versions).finish()
    }
}
