//! The keys of the record of acts: one authenticates entries, one the head, and one makes the keys under which proxies
//! record accesses. What bytes they authenticate, the records decide; which key is used when, the key store.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

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
    access: Box<Derived>,
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
        Self { entry: derive(b"entry"), head: derive(b"head"), access: derive(b"access") }
    }

    /// The key under which the proxy of that name records accesses. It says nothing of this key, nor of another name's:
    /// a proxy holds its own, and cannot write entries of the record of acts.
    pub fn access_key(&self, name: &str) -> AccessKey {
        AccessKey(Box::new(Derived(self.access.mac(name.as_bytes()))))
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

/// A secret that authenticates the record of accesses of one proxy. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub struct AccessKey(Box<Derived>);

impl AccessKey {
    /// The authentication code of a record's bytes behind the code of the record before.
    pub fn mac(&self, before: &[u8; AUDIT_MAC_LENGTH], bytes: &[u8]) -> [u8; AUDIT_MAC_LENGTH] {
        self.0.mac_of(&[before, bytes])
    }

    /// Whether that is the code, compared in constant time.
    pub fn is_mac(&self, before: &[u8; AUDIT_MAC_LENGTH], bytes: &[u8], mac: &[u8; AUDIT_MAC_LENGTH]) -> bool {
        self.mac(before, bytes).ct_eq(mac).into()
    }

    /// The key as a key file holds it.
    pub fn to_be_written(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(&self.0.0))
    }

    /// Reads what [`Self::to_be_written`] gave.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
        let mut key = Box::new(Derived([0; SECRET_LENGTH]));
        key.0.copy_from_slice(bytes.get(..).filter(|bytes| bytes.len() == SECRET_LENGTH)?);
        Some(Self(key))
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

impl Derived {
    fn mac(&self, bytes: &[u8]) -> [u8; AUDIT_MAC_LENGTH] {
        self.mac_of(&[bytes])
    }

    fn mac_of(&self, parts: &[&[u8]]) -> [u8; AUDIT_MAC_LENGTH] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey(..)")
    }
}
