//! Columns that hold hashes of passwords: which costs a hash must have, and whether a value is one that may be stored.
//!
//! What a hash looks like is [`mod@format`]'s. Nothing here verifies a password.

mod format;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use toml::Spanned;

pub use format::{PasswordHash, Pbkdf2Digest};

use super::written::Text;

/// The least that a hash must cost who guesses passwords. The defaults are the least of the settings that OWASP's
/// Password Storage Cheat Sheet gives for each algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCosts {
    /// Argon2id: memory in KiB.
    pub argon2id_memory_kib: u32,
    /// Argon2id: memory in KiB times passes.
    pub argon2id_work_kib: u32,
    /// Bcrypt: the binary logarithm of the rounds.
    pub bcrypt_cost: u32,
    /// Scrypt: memory in KiB, which is N × r / 8.
    pub scrypt_memory_kib: u32,
    /// Scrypt: N × r × p.
    pub scrypt_work: u32,
    /// PBKDF2 with HMAC-SHA-1: iterations.
    pub pbkdf2_sha1_iterations: u32,
    /// PBKDF2 with HMAC-SHA-256: iterations.
    pub pbkdf2_sha256_iterations: u32,
    /// PBKDF2 with HMAC-SHA-512: iterations.
    pub pbkdf2_sha512_iterations: u32,
}

impl Default for HashCosts {
    fn default() -> Self {
        Self {
            argon2id_memory_kib: 7_168,
            argon2id_work_kib: 35_840,
            bcrypt_cost: 10,
            scrypt_memory_kib: 8_192,
            scrypt_work: 655_360,
            pbkdf2_sha1_iterations: 1_300_000,
            pbkdf2_sha256_iterations: 600_000,
            pbkdf2_sha512_iterations: 210_000,
        }
    }
}

/// Why a value is not stored in a column of password hashes. Says nothing of the value but its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAHash {
    /// It has the form of no password hash that is known here.
    #[error("this value is none; make one with argon2id, scrypt, bcrypt or PBKDF2 before it is sent")]
    Unknown,
    /// It is a hash by this algorithm that costs too little.
    #[error("this one, by {0}, costs too little; raise its costs to what policy asks for")]
    TooCheap(&'static str),
}

impl HashCosts {
    /// Whether a value may be stored.
    ///
    /// # Errors
    /// If it is no password hash, or one that is too cheap to guess.
    pub fn check(&self, value: &[u8]) -> Result<(), NotAHash> {
        let hash = PasswordHash::parse(value).ok_or(NotAHash::Unknown)?;
        if self.are_met_by(hash) { Ok(()) } else { Err(NotAHash::TooCheap(hash.algorithm())) }
    }

    fn are_met_by(&self, hash: PasswordHash) -> bool {
        match hash {
            PasswordHash::Argon2id { memory_kib, passes } => {
                memory_kib >= self.argon2id_memory_kib
                    && u64::from(memory_kib) * u64::from(passes) >= u64::from(self.argon2id_work_kib)
            }
            PasswordHash::Bcrypt { cost } => cost >= self.bcrypt_cost,
            PasswordHash::Scrypt { log_n, block, lanes } => {
                let words = (1_u128 << log_n) * u128::from(block);
                words / 8 >= u128::from(self.scrypt_memory_kib)
                    && words * u128::from(lanes) >= u128::from(self.scrypt_work)
            }
            PasswordHash::Pbkdf2 { digest, iterations } => {
                iterations
                    >= match digest {
                        Pbkdf2Digest::Sha1 => self.pbkdf2_sha1_iterations,
                        Pbkdf2Digest::Sha256 => self.pbkdf2_sha256_iterations,
                        Pbkdf2Digest::Sha512 => self.pbkdf2_sha512_iterations,
                    }
            }
            // Nobody can log in with it.
            PasswordHash::Unusable => true,
        }
    }
}

/// What a column holds, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WrittenKind {
    PasswordHash,
}

/// `[password_hash]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCosts {
    argon2id_memory_kib: Option<Spanned<u32>>,
    argon2id_work_kib: Option<Spanned<u32>>,
    bcrypt_cost: Option<Spanned<u32>>,
    scrypt_memory_kib: Option<Spanned<u32>>,
    scrypt_work: Option<Spanned<u32>>,
    pbkdf2_sha1_iterations: Option<Spanned<u32>>,
    pbkdf2_sha256_iterations: Option<Spanned<u32>>,
    pbkdf2_sha512_iterations: Option<Spanned<u32>>,
}

/// The highest cost that bcrypt has.
const BCRYPT_COST_MAX: u32 = 31;

impl WrittenCosts {
    /// What it says, with what is wrong with it noted.
    pub(super) fn checked(&self, text: &mut Text<'_>) -> HashCosts {
        let default = HashCosts::default();
        let mut cost = |written: &Option<Spanned<u32>>, name: &str, default: u32, most: u32| {
            let Some(written) = written else { return default };
            if !(1..=most).contains(written.get_ref()) {
                text.wrong(&written.span(), format!("{name} is 1 to {most}"));
            }
            *written.get_ref()
        };
        macro_rules! costs {
            ($($name:ident: $most:expr),+ $(,)?) => {
                HashCosts { $($name: cost(&self.$name, stringify!($name), default.$name, $most)),+ }
            };
        }
        costs! {
            argon2id_memory_kib: u32::MAX,
            argon2id_work_kib: u32::MAX,
            bcrypt_cost: BCRYPT_COST_MAX,
            scrypt_memory_kib: u32::MAX,
            scrypt_work: u32::MAX,
            pbkdf2_sha1_iterations: u32::MAX,
            pbkdf2_sha256_iterations: u32::MAX,
            pbkdf2_sha512_iterations: u32::MAX,
        }
    }
}
