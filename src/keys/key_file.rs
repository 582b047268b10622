//! The key file: key-encryption keys in a file that its owner alone can read, if wanted under a passphrase. The provider of
//! the embedded installation; it protects against a copy of the database, not against somebody who is root on this host.
//!
//! The file is read when the provider is opened, and again when a wrapped key names a version that was not there then;
//! otherwise no request touches the disk. The proxy's half stands here, the security team's in `admin.rs`.

mod admin;
mod content;
mod disk;
mod protection;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use xaes_256_gcm::aead::AeadInOut;
use xaes_256_gcm::{Nonce, Tag};
use zeroize::Zeroizing;

use super::{
    BoxFuture, EncryptionContext, KekDescription, KekRef, KekRotation, KekStatus, KeyError, KeyProvider, ProviderKind,
    SecretText, Unwrapper, WrappedKey,
};
use crate::crypto::{KeySecret, SECRET_LENGTH};
pub use admin::KeyFileAdmin;
use content::Keks;
pub use disk::KeyFilePlace;

const BLOB_FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// Which file, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFileSettings {
    /// The file.
    pub path: PathBuf,
    /// Whose it is.
    pub place: KeyFilePlace,
    /// The passphrase over it. A file without one is then refused, and the other way round.
    pub passphrase: Option<Arc<SecretText>>,
}

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
    /// Somebody could write the credential, or everybody read it.
    #[error("the credential has mode {mode:o}; it may be readable by its owner and by its group, and no more (0440)")]
    CredentialMode {
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
    /// The file needs a passphrase.
    #[error("the key file is protected by a passphrase, and none is configured")]
    NoPassphrase,
    /// The file needs none, which is not what was configured: somebody may have put it there.
    #[error("a passphrase is configured, but the key file is not protected by one")]
    Unprotected,
    /// The passphrase is another one.
    #[error("the passphrase does not open the key file")]
    WrongPassphrase,
    /// Too easy to guess.
    #[error("the passphrase has less than {octets_min} bytes")]
    ShortPassphrase {
        /// The least that is taken.
        octets_min: usize,
    },
    /// No memory for it, as a rule.
    #[error("no key could be derived from the passphrase")]
    Derivation,
    /// A credential belongs to the service manager.
    #[error("the key file is a credential of the service manager and cannot be written")]
    ReadOnly,
    /// The file on the disk is not the one that was opened.
    #[error("another key file has been put in the place of the one that is in use")]
    Replaced,
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

/// The proxy's half: an open key file that unwraps.
pub struct KeyFile {
    settings: KeyFileSettings,
    id: Arc<str>,
    read: ArcSwap<Read>,
    /// Held while the file is read again, so that many wraps of a new version cost one derivation.
    reading: tokio::sync::Mutex<()>,
}

/// What was read, and from which state of the file.
struct Read {
    stamp: disk::Stamp,
    keks: Keks,
}

impl Read {
    fn new(settings: &KeyFileSettings) -> Result<Self, KeyFileError> {
        let (text, stamp) = disk::read(&settings.path, settings.place)?;
        Ok(Self { stamp, keks: content::parse(&text, settings.passphrase.as_deref())? })
    }
}

impl KeyFile {
    /// Opens a key file. Refuses one that anybody but its owner could read or replace. With a passphrase, this takes about
    /// a second.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(settings: &KeyFileSettings) -> Result<Self, KeyFileError> {
        let read = Read::new(settings)?;
        let (id, reading) = (Arc::clone(&read.keks.id), tokio::sync::Mutex::default());
        Ok(Self { settings: settings.clone(), id, read: ArcSwap::from_pointee(read), reading })
    }

    /// The name under which the key store records wraps of this file.
    pub fn kek(&self) -> KekRef {
        KekRef::new(ProviderKind::Local, Arc::clone(&self.id))
    }

    fn owns(&self, kek: &KekRef) -> Result<(), KeyError> {
        if kek.provider == ProviderKind::Local && kek.reference == self.id { Ok(()) } else { Err(KeyError::NotFound) }
    }

    fn newest(&self) -> Option<u32> {
        self.read.load().keks.versions.last_key_value().map(|(version, _)| *version)
    }

    /// Reads the file again. What cannot be used changes nothing.
    fn read_again(&self) -> Result<(), KeyFileError> {
        self.take(Read::new(&self.settings)?)
    }

    fn take(&self, read: Read) -> Result<(), KeyFileError> {
        if read.keks.id != self.id {
            return Err(KeyFileError::Replaced);
        }
        self.read.store(Arc::new(read));
        Ok(())
    }

    /// Sees to it that a version is known if the file has it. Looks into the file only if it is not the one that was read:
    /// whoever can write to the key store can name any version, and must not be able to make us derive for each.
    async fn learn(&self, wrapped: &WrappedKey) -> Result<(), KeyError> {
        self.owns(&wrapped.kek)?;
        let (version, ..) = fields(&wrapped.blob).ok_or(KeyError::ContextMismatch)?;
        if self.read.load().keks.versions.contains_key(&version) {
            return Ok(());
        }
        let _one_at_a_time = self.reading.lock().await;
        let stamp = disk::stamp(&self.settings.path, self.settings.place);
        let read = match stamp {
            Ok(stamp) if stamp == self.read.load().stamp => return self.awaited(version),
            Ok(_) => {
                let settings = self.settings.clone();
                tokio::task::spawn_blocking(move || Read::new(&settings)).await.map_err(|_| KeyError::Unavailable)?
            }
            Err(error) => Err(error),
        };
        // Keys in memory must not be wiped because the file is being exchanged, so this is an outage, not a refusal.
        read.and_then(|read| self.take(read)).map_err(|error| {
            tracing::error!(kek = %self.kek(), version, cause = %error, "the key file cannot be read again");
            KeyError::Unavailable
        })?;
        self.awaited(version)
    }

    /// A version above all that the file has means that this host's copy of the file is older than the key store. It is
    /// waited for, and what is in memory stays.
    fn awaited(&self, version: u32) -> Result<(), KeyError> {
        if self.newest().is_some_and(|newest| version <= newest) {
            return Ok(());
        }
        tracing::warn!(kek = %self.kek(), version, "the key file here does not have this version yet");
        Err(KeyError::Unavailable)
    }

    /// `01 ‖ u32be(version) ‖ nonce ‖ ciphertext ‖ tag`, under the newest version, bound to the context.
    fn seal(&self, secret: &[u8; SECRET_LENGTH], context: &EncryptionContext) -> Result<WrappedKey, KeyError> {
        let read = self.read.load();
        let (version, cipher) = read.keks.versions.last_key_value().ok_or(KeyError::NotFound)?;
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
        let read = self.read.load();
        let cipher = read.keks.versions.get(&version).ok_or(KeyError::NotFound)?;
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

    fn describe<'a>(&'a self, kek: &'a KekRef) -> BoxFuture<'a, Result<KekDescription, KeyError>> {
        let version = self.newest();
        let description = KekDescription { status: KekStatus::Enabled, rotation: KekRotation::OnDemand, version };
        Box::pin(std::future::ready(self.owns(kek).map(|()| description)))
    }
}

impl Unwrapper for KeyFile {
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a WrappedKey,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<KeySecret, KeyError>> {
        Box::pin(async move {
            self.learn(wrapped).await?;
            let mut secret = self.open_blob(wrapped, context)?;
            KeySecret::take_from(secret.as_mut_slice())
                .ok_or_else(|| KeyError::Protocol("a key of the wrong length".to_owned()))
        })
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.read.load();
        let versions = read.keks.versions.keys().collect::<Vec<_>>();
        f.debug_struct("KeyFile").field("id", &self.id).field("versions", &versions).finish_non_exhaustive()
    }
}
