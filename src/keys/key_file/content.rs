//! What stands in a key file: one JSON document with an id and the key-encryption key's versions, in the clear or sealed
//! under a passphrase.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::KeyInit;
use zeroize::Zeroizing;

use super::protection::{Cost, Derived, Kdf, PASSPHRASE_OCTETS_MIN, Place};
use super::{KeyFileError, disk};
use crate::crypto::SECRET_LENGTH;
use crate::keys::SecretText;

const FORMAT_VERSION: u32 = 1;

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u32,
    kek_id: String,
    protection: Protection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kdf: Option<Kdf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commitment: Option<String>,
    versions: Vec<ContentVersion>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protection {
    None,
    Passphrase,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentVersion {
    version: u32,
    created_unix_s: u64,
    /// Base64: the key, or what `protection.rs` makes of it.
    key: SecretText,
}

/// The keys of a file, ready for use. Its ciphers stand on the heap, so that moves leave no key schedule behind.
pub(super) struct Keks {
    pub(super) id: Arc<str>,
    pub(super) versions: BTreeMap<u32, Box<Xaes256Gcm>>,
}

/// The text of a new file with one new key.
pub(super) fn fresh(passphrase: Option<&SecretText>, cost: Cost) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let derived = match passphrase {
        Some(passphrase) if passphrase.as_str().len() < PASSPHRASE_OCTETS_MIN => {
            return Err(KeyFileError::ShortPassphrase { octets_min: PASSPHRASE_OCTETS_MIN });
        }
        Some(passphrase) => {
            let kdf = Kdf::new(cost)?;
            let derived = kdf.derive(passphrase)?;
            Some((kdf, derived))
        }
        None => None,
    };
    let (kdf, derived) = derived.unzip();
    let mut content = Content {
        v: FORMAT_VERSION,
        kek_id: Uuid::new_v4().hyphenated().to_string(),
        protection: if derived.is_some() { Protection::Passphrase } else { Protection::None },
        kdf,
        commitment: derived.as_ref().map(Derived::commitment),
        versions: Vec::new(),
    };
    content.push_version(derived.as_ref())?;
    content.text()
}

/// The same file with one more version, which wraps from then on.
pub(super) fn with_next_version(
    text: &[u8],
    passphrase: Option<&SecretText>,
) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let mut content = Content::read(text)?;
    let derived = content.derive(passphrase)?;
    // A file with a version that does not open gets no further one.
    content.keks(derived.as_ref())?;
    content.push_version(derived.as_ref())?;
    content.text()
}

/// Reads a file. Costs what its protection costs.
pub(super) fn parse(text: &[u8], passphrase: Option<&SecretText>) -> Result<Keks, KeyFileError> {
    let content = Content::read(text)?;
    let derived = content.derive(passphrase)?;
    content.keks(derived.as_ref())
}

impl Content {
    fn read(text: &[u8]) -> Result<Self, KeyFileError> {
        let content: Self = serde_json::from_slice(text)
            .map_err(|error| KeyFileError::Syntax { line: error.line(), column: error.column() })?;
        if content.v != FORMAT_VERSION {
            return Err(KeyFileError::Content("its format version is not known"));
        }
        if Uuid::parse_str(&content.kek_id).is_err() {
            return Err(KeyFileError::Content("its id is not a UUID"));
        }
        Ok(content)
    }

    /// Whether the file is protected and whether a passphrase was given must agree: neither may a file that somebody put
    /// in the place of a protected one be used because it asks for nothing.
    fn derive(&self, passphrase: Option<&SecretText>) -> Result<Option<Derived>, KeyFileError> {
        match (self.protection, &self.kdf, &self.commitment, passphrase) {
            (Protection::None, None, None, None) => Ok(None),
            (Protection::None, None, None, Some(_)) => Err(KeyFileError::Unprotected),
            (Protection::Passphrase, Some(_), Some(_), None) => Err(KeyFileError::NoPassphrase),
            (Protection::Passphrase, Some(kdf), Some(commitment), Some(passphrase)) => {
                let derived = kdf.derive(passphrase)?;
                derived.check(commitment)?;
                Ok(Some(derived))
            }
            (Protection::None | Protection::Passphrase, _, _, _) => {
                Err(KeyFileError::Content("its protection and its fields do not fit together"))
            }
        }
    }

    fn keks(&self, derived: Option<&Derived>) -> Result<Keks, KeyFileError> {
        let mut versions = BTreeMap::new();
        for entry in &self.versions {
            let decoded = BASE64.decode(entry.key.as_str().as_bytes()).map(Zeroizing::new);
            let decoded = decoded.map_err(|_| KeyFileError::Content("a key is not base64"))?;
            let cipher = match derived {
                Some(derived) => Xaes256Gcm::new_from_slice(&*derived.open(&decoded, &self.place(entry))?),
                None => Xaes256Gcm::new_from_slice(&decoded),
            };
            let cipher = cipher.map_err(|_| KeyFileError::Content("a key does not have 32 bytes"))?;
            if versions.insert(entry.version, Box::new(cipher)).is_some() {
                return Err(KeyFileError::Content("two keys have one version"));
            }
        }
        if versions.is_empty() {
            return Err(KeyFileError::Content("it holds no key"));
        }
        Ok(Keks { id: self.kek_id.to_ascii_lowercase().into(), versions })
    }

    fn push_version(&mut self, derived: Option<&Derived>) -> Result<(), KeyFileError> {
        let newest = self.versions.iter().map(|entry| entry.version).max().unwrap_or(0);
        let version = newest.checked_add(1).ok_or(KeyFileError::Content("its versions are used up"))?;
        let created_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut key = Zeroizing::new([0; SECRET_LENGTH]);
        getrandom::fill(&mut *key).map_err(|_| KeyFileError::Random)?;
        let mut entry = ContentVersion { version, created_unix_s, key: SecretText::default() };
        entry.key = SecretText::new(match derived {
            Some(derived) => BASE64.encode(&derived.seal(&key, &self.place(&entry))?),
            None => BASE64.encode(&*key),
        });
        self.versions.push(entry);
        Ok(())
    }

    fn place(&self, entry: &ContentVersion) -> Place<'_> {
        Place { kek_id: &self.kek_id, version: entry.version, created_unix_s: entry.created_unix_s }
    }

    /// Written into a buffer that is large enough from the start, so that no copy stays behind when it grows.
    fn text(&self) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let mut text = Zeroizing::new(Vec::with_capacity(disk::OCTETS_MAX));
        serde_json::to_writer_pretty(&mut *text, self).map_err(|_| KeyFileError::Content("it cannot be written"))?;
        text.push(b'\n');
        if text.len() < disk::OCTETS_MAX { Ok(text) } else { Err(KeyFileError::Content("it would be too long")) }
    }
}
