//! Ed25519 signatures of the people who approve acts. What they sign, and how many must, the control plane decides.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 64;

const PUBLIC_LENGTH: usize = 32;
/// What stands before the key in a SubjectPublicKeyInfo (RFC 8410): `openssl pkey -pubout` prints it in base64.
const PUBLIC_KEY_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The neutral element and the point of order two; their "signatures" fit any text.
const WORTHLESS: [[u8; PUBLIC_LENGTH]; 2] = {
    let mut neutral = [0; PUBLIC_LENGTH];
    neutral[0] = 1;
    [neutral, [0; PUBLIC_LENGTH]]
};

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; PUBLIC_LENGTH]);

impl VerifyingKey {
    /// Reads base64, of the 32 bytes of the key or of the whole SubjectPublicKeyInfo.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.as_bytes()).ok()?;
        let key = bytes.strip_prefix(&PUBLIC_KEY_INFO[..]).unwrap_or(&bytes);
        let key = Self(key.try_into().ok()?);
        (!WORTHLESS.contains(&key.0)).then_some(key)
    }

    /// Whether the signature is this key's over the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// A private key. Wiped on drop by the library.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it. A key under a pass phrase is none.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(pem).ok()?;
        let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
        let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
        let body: Zeroizing<Vec<u8>> =
            Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
        let der = Zeroizing::new(BASE64.decode(&body).ok()?);
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok().map(Self)
    }

    /// Its public key.
    pub fn public(&self) -> Option<VerifyingKey> {
        self.0.public_key().as_ref().try_into().ok().map(VerifyingKey)
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE_LENGTH]> {
        self.0.sign(message).as_ref().try_into().ok()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, 7.1, test 3, and the same key as `openssl` writes it.
    const SECRET: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N71bdELzHccw92sbG4g9u2rz4PX4/wWFj3\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
    const SIGNATURE: &str = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
        18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

    #[test]
    fn the_answer_of_rfc_8032() {
        let secret = data_encoding::HEXLOWER
            .decode(b"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
            .unwrap();
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend_from_slice(&secret);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&der));
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let signature = key.sign(&[0xaf, 0x82]).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&signature), SIGNATURE);
        let public = data_encoding::HEXLOWER.decode(PUBLIC.as_bytes()).unwrap();
        let public = VerifyingKey::from_base64(&BASE64.encode(&public)).unwrap();
        assert_eq!(key.public().unwrap(), public);
        assert!(public.verifies(&[0xaf, 0x82], &signature));
        assert!(!public.verifies(&[0xaf, 0x83], &signature));
        let whole = [&PUBLIC_KEY_INFO[..], &public.0].concat();
        assert_eq!(VerifyingKey::from_base64(&BASE64.encode(&whole)), Some(public));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(SigningKey::from_pem(SECRET.as_bytes()).is_some(), "as openssl writes it");
        assert!(SigningKey::from_pem(SECRET.replace("PRIVATE", "ENCRYPTED PRIVATE").as_bytes()).is_none());
        assert!(SigningKey::from_pem(b"").is_none() && SigningKey::from_pem(&[0xff]).is_none());
        for worthless in WORTHLESS {
            assert_eq!(VerifyingKey::from_base64(&BASE64.encode(&worthless)), None);
        }
        assert_eq!(VerifyingKey::from_base64("AAAA"), None);
        assert_eq!(VerifyingKey::from_base64("not base64!"), None);
    }
}
