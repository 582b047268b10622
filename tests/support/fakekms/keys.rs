//! The fake's keys: their states, material versions and ciphertexts. Every ciphertext is a real AES-256-GCM seal with
//! the encryption context as associated data, so a swapped context fails as it does at AWS.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::Failure;

/// Non-secret pairs bound to a ciphertext.
pub(crate) type Context = BTreeMap<String, String>;

/// What a key may be used for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
    PendingDeletion,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) state: State,
    /// Key material, oldest first: rotation adds one, and old ciphertexts still open.
    materials: Vec<[u8; 32]>,
    /// Days between automatic rotations, if they are switched on. The fake's clock does not move.
    pub(crate) rotation_days: Option<u64>,
}

/// Rotations on demand that a key takes.
const ROTATIONS_MAX: usize = 25;
/// First byte of a ciphertext.
const FORMAT: u8 = 1;

impl Key {
    pub(crate) fn rotate(&mut self, arn: &str) -> Result<(), Failure> {
        self.usable(arn)?;
        if self.materials.len() > ROTATIONS_MAX {
            return Err(Failure::client("LimitExceededException", "no rotation on demand is left"));
        }
        self.materials.push(random());
        Ok(())
    }

    pub(crate) fn usable(&self, arn: &str) -> Result<(), Failure> {
        match self.state {
            State::Enabled => Ok(()),
            State::Disabled => Err(Failure::client("DisabledException", &format!("{arn} is disabled."))),
            State::PendingDeletion => {
                Err(Failure::client("KMSInvalidStateException", &format!("{arn} is pending deletion.")))
            }
        }
    }
}

/// All keys by ARN.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: HashMap<String, Key>,
}

impl Keys {
    pub(crate) fn create(&mut self, arn: String) {
        self.keys.insert(arn, Key { state: State::Enabled, materials: vec![random()], rotation_days: None });
    }

    /// The full ARN of a key named by ARN or by its bare id.
    pub(crate) fn resolve(&self, id: &str) -> Result<String, Failure> {
        self.keys
            .keys()
            .find(|arn| *arn == id || arn.rsplit('/').next() == Some(id))
            .cloned()
            .ok_or_else(|| Failure::client("NotFoundException", &format!("Key '{id}' does not exist")))
    }

    pub(crate) fn get(&self, arn: &str) -> Result<&Key, Failure> {
        self.keys.get(arn).ok_or_else(|| Failure::client("NotFoundException", "no such key"))
    }

    pub(crate) fn get_mut(&mut self, arn: &str) -> Result<&mut Key, Failure> {
        self.keys.get_mut(arn).ok_or_else(|| Failure::client("NotFoundException", "no such key"))
    }

    /// Seals under the key's newest material.
    pub(crate) fn seal(&self, arn: &str, plain: &[u8], context: &Context) -> Result<Vec<u8>, Failure> {
        let key = self.get(arn)?;
        key.usable(arn)?;
        let version = key.materials.len() - 1;
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = plain.to_vec();
        cipher(&key.materials[version])
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(context), &mut sealed)
            .expect("AES-GCM seals a short buffer");
        let mut blob = vec![FORMAT];
        blob.extend_from_slice(&u16::try_from(arn.len()).expect("a short ARN").to_be_bytes());
        blob.extend_from_slice(arn.as_bytes());
        blob.extend_from_slice(&u32::try_from(version).expect("few versions").to_be_bytes());
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&sealed);
        Ok(blob)
    }

    /// The ARN of the key that made a ciphertext.
    pub(crate) fn sealed_by(&self, blob: &[u8]) -> Result<String, Failure> {
        let (arn, _, _, _) = parts(blob).ok_or_else(invalid)?;
        if self.keys.contains_key(arn) { Ok(arn.to_owned()) } else { Err(invalid()) }
    }

    /// Opens a ciphertext whose key was found with [`Keys::sealed_by`].
    pub(crate) fn open(&self, arn: &str, blob: &[u8], context: &Context) -> Result<Vec<u8>, Failure> {
        let key = self.get(arn)?;
        key.usable(arn)?;
        let (_, version, nonce, sealed) = parts(blob).ok_or_else(invalid)?;
        let material = key.materials.get(version).ok_or_else(invalid)?;
        let mut plain = sealed.to_vec();
        let length = cipher(material)
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad(context), &mut plain)
            .map_err(|_| invalid())?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

fn invalid() -> Failure {
    // AWS sends no text with this one either: it does not say what was wrong.
    Failure::client("InvalidCiphertextException", "")
}

fn parts(blob: &[u8]) -> Option<(&str, usize, [u8; NONCE_LEN], &[u8])> {
    let (format, rest) = blob.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (arn, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    let version = usize::try_from(u32::from_be_bytes(*version)).ok()?;
    (*format == FORMAT).then_some((std::str::from_utf8(arn).ok()?, version, *nonce, sealed))
}

fn cipher(material: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, material).expect("32 bytes"))
}

/// The context with every part's length, so that no two contexts give the same bytes.
fn aad(context: &Context) -> Aad<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, value) in context {
        for part in [name, value] {
            bytes.extend_from_slice(&u32::try_from(part.len()).expect("short").to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    Aad::from(bytes)
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
