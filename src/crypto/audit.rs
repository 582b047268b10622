//! The keys of the record of acts: one authenticates entries, one the head. What bytes they authenticate, the record
//! decides; which key is used when, the key store.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::key::{KeySecret, SECRET_LENGTH};

/// Bytes of an entry's or a head's authentication code.
pub const AUDIT_MAC_LENGTH: usize = 32;

const SALT: &[u8] = b"candado/v1/audit";

/// A secret that authenticates the record of acts of one deployment. The derived keys stand on the heap and are wiped on
/// drop.
#[derive(ZeroizeOnDrop)]
pub struct AuditKey {
    entry: Box<Derived>,
    head: Box<Derived>,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Derived([u8; SECRET_LENGTH]);

impl AuditKey {
    /// Declares the secret an audit key, for the deployment of that name: 36 characters, lower case, with hyphens.
    /// The secret itself is wiped.
    pub fn new(secret: KeySecret, deployment: &str) -> Self {
        let derive = |part: &[u8]| {
            let mut key = Box::new(Derived([0; SECRET_LENGTH]));
            secret.derive(SALT, &[part, &[0], deployment.as_bytes()], &mut key.0);
            key
        };
        Self { entry: derive(b"entry"), head: derive(b"head") }
    }

    /// The authentication code of an entry.
    pub fn entry_mac(&self, bytes: &[u8]) -> [u8; AUDIT_MAC_LENGTH] {
        self.entry.mac(bytes)
    }

    /// The authentication code of a head.
    pub fn head_mac(&self, bytes: &[u8]) -> [u8; AUDIT_MAC_LENGTH] {
        self.head.mac(bytes)
    }

    /// Whether that is the entry's code, compared in constant time.
    pub fn is_entry_mac(&self, bytes: &[u8], mac: &[u8; AUDIT_MAC_LENGTH]) -> bool {
        self.entry_mac(bytes).ct_eq(mac).into()
    }

    /// Whether that is the head's code, compared in constant time.
    pub fn is_head_mac(&self, bytes: &[u8], mac: &[u8; AUDIT_MAC_LENGTH]) -> bool {
        self.head_mac(bytes).ct_eq(mac).into()
    }
}

impl Derived {
    fn mac(&self, bytes: &[u8]) -> [u8; AUDIT_MAC_LENGTH] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey(..)")
    }
}
