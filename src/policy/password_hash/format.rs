//! The forms in which password hashes are stored: PHC strings, the modular crypt format, and what Django, Werkzeug,
//! passlib and Spring Security write.
//!
//! A form is recognised whole, with a salt and a digest of plausible length; anything else is none. Costs are read, not
//! judged. Argon2i, Argon2d, MD5, SHA-crypt and the like are not known here on purpose.

/// The longest hash that is looked at.
const OCTETS_MAX: usize = 512;
/// Fewer characters than this are no salt.
const SALT_CHARS_MIN: usize = 8;
/// The least digest: 16 bytes, in base64 without padding and in hexadecimal digits.
const BASE64_CHARS_MIN: usize = 22;
const HEX_CHARS_MIN: usize = 32;
/// A mark and so many random characters: Django's word for an account without a password.
const UNUSABLE_CHARS: usize = 40;

/// A recognised hash, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordHash {
    /// Argon2id, version 19.
    Argon2id {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
    },
    /// Bcrypt.
    Bcrypt {
        /// The binary logarithm of the rounds: 4 to 31.
        cost: u32,
    },
    /// Scrypt.
    Scrypt {
        /// The binary logarithm of N: 1 to 63.
        log_n: u32,
        /// r.
        block: u32,
        /// p.
        lanes: u32,
    },
    /// PBKDF2 with HMAC.
    Pbkdf2 {
        /// HMAC's hash function.
        digest: Pbkdf2Digest,
        /// Iterations.
        iterations: u32,
    },
    /// What Django stores for an account that has no password.
    Unusable,
}

/// The hash function of PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pbkdf2Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl PasswordHash {
    /// Recognises a stored hash.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value).ok().filter(|text| text.len() <= OCTETS_MAX && text.is_ascii())?;
        if let Some(mark) = text.strip_prefix('!') {
            let is_random = mark.len() == UNUSABLE_CHARS && mark.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return is_random.then_some(Self::Unusable);
        }
        if let Some(tagged) = text.strip_prefix('{') {
            return spring(tagged);
        }
        let fields: Vec<&str> = text.split('$').collect();
        match fields.as_slice() {
            ["", rest @ ..] => modular(rest),
            ["argon2", rest @ ..] | ["bcrypt_sha256" | "bcrypt", "", rest @ ..] => modular(rest),
            [name, rest @ ..] => framework(name, rest),
            [] => None,
        }
    }

    /// Its algorithm, as messages name it.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Argon2id { .. } => "argon2id",
            Self::Bcrypt { .. } => "bcrypt",
            Self::Scrypt { .. } => "scrypt",
            Self::Pbkdf2 { digest: Pbkdf2Digest::Sha1, .. } => "PBKDF2 with SHA-1",
            Self::Pbkdf2 { digest: Pbkdf2Digest::Sha256, .. } => "PBKDF2 with SHA-256",
            Self::Pbkdf2 { digest: Pbkdf2Digest::Sha512, .. } => "PBKDF2 with SHA-512",
            Self::Unusable => "no password",
        }
    }
}

/// What follows the first `$` of a PHC string or of the modular crypt format.
fn modular(fields: &[&str]) -> Option<PasswordHash> {
    match fields {
        ["argon2id", "v=19", costs, salt, digest] => argon2id(costs, salt, digest),
        ["2a" | "2b" | "2y", cost, salt_and_digest] => bcrypt(cost, salt_and_digest),
        ["bcrypt-sha256", costs, salt, digest] => bcrypt_sha256(costs, salt, digest),
        ["scrypt", costs, salt, digest] => {
            let [log_n, block, lanes] = named(costs, ["ln=", "r=", "p="])?;
            parts(salt, digest).then_some(())?;
            scrypt(log_n, block, lanes)
        }
        ["7", costs_and_salt, digest] => crypt_scrypt(costs_and_salt, digest),
        ["pbkdf2", costs, salt, digest] => pbkdf2(Pbkdf2Digest::Sha1, costs, salt, digest),
        ["pbkdf2-sha256", costs, salt, digest] => pbkdf2(Pbkdf2Digest::Sha256, costs, salt, digest),
        ["pbkdf2-sha512", costs, salt, digest] => pbkdf2(Pbkdf2Digest::Sha512, costs, salt, digest),
        _ => None,
    }
}

/// Django's `name$costs$salt$digest` and Werkzeug's `name:costs$salt$digest`.
fn framework(name: &str, fields: &[&str]) -> Option<PasswordHash> {
    match (name, fields) {
        ("pbkdf2_sha256", [costs, salt, digest]) => pbkdf2(Pbkdf2Digest::Sha256, costs, salt, digest),
        ("pbkdf2_sha1", [costs, salt, digest]) => pbkdf2(Pbkdf2Digest::Sha1, costs, salt, digest),
        ("scrypt", [n, salt, block, lanes, digest]) => {
            parts(salt, digest).then_some(())?;
            scrypt(log2(n)?, number(block)?, number(lanes)?)
        }
        (method, [salt, digest]) => {
            let in_form = digest.len() >= HEX_CHARS_MIN && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (in_form && is_salt(salt)).then_some(())?;
            match method.split(':').collect::<Vec<_>>().as_slice() {
                ["scrypt", n, block, lanes] => scrypt(log2(n)?, number(block)?, number(lanes)?),
                ["pbkdf2", digest, iterations] => {
                    let digest = match *digest {
                        "sha1" => Pbkdf2Digest::Sha1,
                        "sha256" => Pbkdf2Digest::Sha256,
                        "sha512" => Pbkdf2Digest::Sha512,
                        _ => return None,
                    };
                    Some(PasswordHash::Pbkdf2 { digest, iterations: number(iterations)? })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Spring Security's `{id}` before a modular hash; the brace is gone.
fn spring(tagged: &str) -> Option<PasswordHash> {
    let (id, hash) = tagged.split_once('}')?;
    let fields: Vec<&str> = hash.strip_prefix('$')?.split('$').collect();
    let found = modular(&fields)?;
    let agrees = match found {
        PasswordHash::Argon2id { .. } => id == "argon2" || id.starts_with("argon2@"),
        PasswordHash::Bcrypt { .. } => id == "bcrypt",
        PasswordHash::Scrypt { .. } | PasswordHash::Pbkdf2 { .. } | PasswordHash::Unusable => false,
    };
    agrees.then_some(found)
}

fn argon2id(costs: &str, salt: &str, digest: &str) -> Option<PasswordHash> {
    let [memory_kib, passes, lanes] = named(costs, ["m=", "t=", "p="])?;
    (parts(salt, digest) && passes > 0 && lanes > 0).then_some(PasswordHash::Argon2id { memory_kib, passes })
}

/// 22 characters of salt and 31 of digest.
fn bcrypt(cost: &str, salt_and_digest: &str) -> Option<PasswordHash> {
    (cost.len() == 2 && salt_and_digest.len() == 53 && is_base64(salt_and_digest)).then_some(())?;
    bcrypt_of(number(cost)?)
}

fn bcrypt_of(cost: u32) -> Option<PasswordHash> {
    (4..=31).contains(&cost).then_some(PasswordHash::Bcrypt { cost })
}

/// Passlib's bcrypt over an HMAC, in its second version and its first.
fn bcrypt_sha256(costs: &str, salt: &str, digest: &str) -> Option<PasswordHash> {
    (salt.len() == 22 && digest.len() == 31 && is_base64(salt) && is_base64(digest)).then_some(())?;
    match costs.split(',').collect::<Vec<_>>().as_slice() {
        ["v=2", "t=2a" | "t=2b", rounds] => bcrypt_of(number(rounds.strip_prefix("r=")?)?),
        ["2a" | "2b", rounds] => bcrypt_of(number(rounds)?),
        _ => None,
    }
}

fn scrypt(log_n: u32, block: u32, lanes: u32) -> Option<PasswordHash> {
    ((1..64).contains(&log_n) && block > 0 && lanes > 0).then_some(PasswordHash::Scrypt { log_n, block, lanes })
}

/// crypt(5)'s `$7$`: one character of log N, five of r, five of p, then the salt.
fn crypt_scrypt(costs_and_salt: &str, digest: &str) -> Option<PasswordHash> {
    let (log_n, rest) = costs_and_salt.split_at_checked(1)?;
    let (block, rest) = rest.split_at_checked(5)?;
    let (lanes, salt) = rest.split_at_checked(5)?;
    (parts(salt, digest) && digest.len() == 43).then_some(())?;
    scrypt(crypt_number(log_n)?, crypt_number(block)?, crypt_number(lanes)?)
}

/// Digits of six bits, the lowest first.
fn crypt_number(digits: &str) -> Option<u32> {
    const DIGITS: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    digits.bytes().rev().try_fold(0_u32, |number, byte| {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        number.checked_mul(64)?.checked_add(u32::try_from(digit).ok()?)
    })
}

/// Bare iterations, or PHC's `i=…,l=…`.
fn pbkdf2(digest: Pbkdf2Digest, costs: &str, salt: &str, hash: &str) -> Option<PasswordHash> {
    parts(salt, hash).then_some(())?;
    let iterations = match costs.strip_prefix("i=") {
        Some(costs) => match costs.split_once(",l=") {
            Some((iterations, length)) => number(length).and(number(iterations)),
            None => number(costs),
        },
        None => number(costs),
    };
    Some(PasswordHash::Pbkdf2 { digest, iterations: iterations? })
}

/// Three numbers with their names, in this order.
fn named(costs: &str, names: [&str; 3]) -> Option<[u32; 3]> {
    let mut fields = costs.split(',');
    let mut next = |name: &str| number(fields.next()?.strip_prefix(name)?);
    let [first, second, third] = names;
    let found = [next(first)?, next(second)?, next(third)?];
    fields.next().is_none().then_some(found)
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn log2(written: &str) -> Option<u32> {
    let n = number(written)?;
    n.is_power_of_two().then(|| n.trailing_zeros())
}

fn parts(salt: &str, digest: &str) -> bool {
    is_salt(salt) && digest.len() >= BASE64_CHARS_MIN && is_base64(digest)
}

fn is_salt(salt: &str) -> bool {
    salt.len() >= SALT_CHARS_MIN && salt.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Every alphabet of base64, with its padding.
fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'.' | b'-' | b'_' | b'='))
}
