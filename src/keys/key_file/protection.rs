//! A passphrase over the keys of a key file: Argon2id makes one secret of it, HKDF two of that: the key that seals the
//! file's keys, and a commitment.
//!
//! The commitment is there because a passphrase can be guessed: without it one forged file could be made to open under
//! many passphrases, and each attempt would tell whether the right one is among them (a partitioning oracle).

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use xaes_256_gcm::aead::{AeadInOut, KeyInit};
use xaes_256_gcm::{Nonce, Tag, Xaes256Gcm};
use zeroize::Zeroizing;

use super::{KeyFileError, NONCE_LENGTH, TAG_LENGTH};
use crate::crypto::SECRET_LENGTH;
use crate::keys::SecretText;

/// A shorter passphrase is refused when a file is made. Length is not strength, but this short is weak for certain.
pub(super) const PASSPHRASE_OCTETS_MIN: usize = 12;

const ALGORITHM: &str = "argon2id";
const LABEL: &[u8] = b"candado/v1/key-file";
const COMMITMENT_INFO: &[u8] = b"commitment";
const SEAL_INFO: &[u8] = b"seal";
const COMMITMENT_LENGTH: usize = 32;
const SALT_LENGTH: usize = 32;

/// Bounds on what a file may ask for. Below them guessing is cheap; above them a hostile file could exhaust the machine.
const MEMORY_KIB_MIN: u32 = 19 * 1024;
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MIN: u32 = 2;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 4;

/// What a derivation costs whoever makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Cost {
    /// That of new files: 256 MiB and three passes, about a second.
    pub(super) const NEW: Self = Self { memory_kib: 256 * 1024, passes: 3, lanes: 1 };
}

/// How the file says that its keys are sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kdf {
    algorithm: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

impl Kdf {
    /// A derivation with a salt of its own.
    pub(super) fn new(cost: Cost) -> Result<Self, KeyFileError> {
        let mut salt = [0; SALT_LENGTH];
        getrandom::fill(&mut salt).map_err(|_| KeyFileError::Random)?;
        let Cost { memory_kib, passes, lanes } = cost;
        Ok(Self { algorithm: ALGORITHM.to_owned(), memory_kib, passes, lanes, salt: BASE64.encode(&salt) })
    }

    /// Derives. Takes the memory and the time that the file asks for, within the bounds.
    pub(super) fn derive(&self, passphrase: &SecretText) -> Result<Derived, KeyFileError> {
        let within = (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (PASSES_MIN..=PASSES_MAX).contains(&self.passes)
            && (1..=LANES_MAX).contains(&self.lanes);
        if self.algorithm != ALGORITHM || !within {
            return Err(KeyFileError::Content("its key derivation is unknown or out of bounds"));
        }
        let salt = BASE64.decode(self.salt.as_bytes()).ok().filter(|salt| salt.len() == SALT_LENGTH);
        let salt = salt.ok_or(KeyFileError::Content("its salt is malformed"))?;
        let failed = |_| KeyFileError::Derivation;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(SECRET_LENGTH)).map_err(failed)?;
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_str().as_bytes(), &salt, &mut *secret)
            .map_err(failed)?;
        let hkdf = Hkdf::<Sha256>::new(Some(LABEL), &*secret);
        let (mut key, mut commitment) = (Zeroizing::new([0; SECRET_LENGTH]), [0; COMMITMENT_LENGTH]);
        hkdf.expand(SEAL_INFO, &mut *key).map_err(|_| KeyFileError::Derivation)?;
        hkdf.expand(COMMITMENT_INFO, &mut commitment).map_err(|_| KeyFileError::Derivation)?;
        let cipher = Xaes256Gcm::new_from_slice(&*key).map_err(|_| KeyFileError::Derivation)?;
        Ok(Derived { cipher: Box::new(cipher), commitment })
    }
}

/// What comes of a passphrase.
pub(super) struct Derived {
    cipher: Box<Xaes256Gcm>,
    commitment: [u8; COMMITMENT_LENGTH],
}

impl Derived {
    /// The commitment as the file carries it.
    pub(super) fn commitment(&self) -> String {
        BASE64.encode(&self.commitment)
    }

    /// Whether the file was made under this passphrase. Compared in constant time, and before any key is opened.
    pub(super) fn check(&self, written: &str) -> Result<(), KeyFileError> {
        let written =
            BASE64.decode(written.as_bytes()).map_err(|_| KeyFileError::Content("its commitment is malformed"))?;
        if self.commitment.ct_eq(&written).into() { Ok(()) } else { Err(KeyFileError::WrongPassphrase) }
    }

    /// `nonce ‖ ciphertext ‖ tag` of a key, bound to its place in this file.
    pub(super) fn seal(&self, key: &[u8; SECRET_LENGTH], place: &Place<'_>) -> Result<Vec<u8>, KeyFileError> {
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|_| KeyFileError::Random)?;
        let mut body = Zeroizing::new(*key);
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &place.associated_data(), body.as_mut_slice().into())
            .map_err(|_| KeyFileError::Derivation)?;
        Ok([&nonce[..], &*body, &tag].concat())
    }

    /// The key in what [`Derived::seal`] gave.
    pub(super) fn open(
        &self,
        sealed: &[u8],
        place: &Place<'_>,
    ) -> Result<Zeroizing<[u8; SECRET_LENGTH]>, KeyFileError> {
        let changed = KeyFileError::Content("a key was changed");
        let Some((nonce, rest)) = sealed.split_first_chunk::<NONCE_LENGTH>() else { return Err(changed) };
        let Some((body, tag)) = rest.split_first_chunk::<SECRET_LENGTH>() else { return Err(changed) };
        let Ok(tag) = <&[u8; TAG_LENGTH]>::try_from(tag) else { return Err(changed) };
        let mut key = Zeroizing::new(*body);
        self.cipher
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &place.associated_data(),
                key.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| changed)?;
        Ok(key)
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived(..)")
    }
}

/// Where a key stands: a sealed key that is moved to another file or version does not open.
pub(super) struct Place<'a> {
    pub(super) kek_id: &'a str,
    pub(super) version: u32,
    pub(super) created_unix_s: u64,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let id_length = (self.kek_id.len() as u64).to_be_bytes();
        let parts: [&[u8]; 5] = [
            LABEL,
            &id_length,
            self.kek_id.as_bytes(),
            &self.version.to_be_bytes(),
            &self.created_unix_s.to_be_bytes(),
        ];
        parts.concat()
    }
}
