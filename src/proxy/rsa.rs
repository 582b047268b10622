//! RSA for `caching_sha2_password` where one side is encrypted and the other is not.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::wire::auth::xor_with_nonce;

/// The proxy's own key, made at start and never stored.
pub(super) struct LoginKey {
    private: OaepPrivateDecryptingKey,
    /// The public key as clients expect it: PEM.
    pub(super) public_pem: Vec<u8>,
}

impl std::fmt::Debug for LoginKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginKey(..)")
    }
}

impl LoginKey {
    /// Makes a key.
    pub(super) fn generate() -> Result<Self, Unspecified> {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
        let der: PublicKeyX509Der<'_> = private.public_key().as_der()?;
        let mut public_pem = b"-----BEGIN PUBLIC KEY-----\n".to_vec();
        for line in BASE64.encode(der.as_ref()).as_bytes().chunks(64) {
            public_pem.extend_from_slice(line);
            public_pem.push(b'\n');
        }
        public_pem.extend_from_slice(b"-----END PUBLIC KEY-----\n");
        Ok(Self { private: OaepPrivateDecryptingKey::new(private)?, public_pem })
    }

    /// Opens a password that a client encrypted for this key; with its final NUL, as it goes inside TLS.
    pub(super) fn open(&self, sealed: &[u8], nonce: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let mut out = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let length = self.private.decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut out, None)?.len();
        out.truncate(length);
        xor_with_nonce(&mut out, nonce);
        Ok(out)
    }
}

/// Encrypts a password (with its final NUL) for the server's key, given as PEM.
pub(super) fn seal(password: &[u8], nonce: &[u8], pem: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let text = std::str::from_utf8(pem).map_err(|_| Unspecified)?;
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = BASE64.decode(base64.as_bytes()).map_err(|_| Unspecified)?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&der).map_err(|_| Unspecified)?)?;
    let mut combined = Zeroizing::new(password.to_vec());
    xor_with_nonce(&mut combined, nonce);
    let mut out = vec![0; key.ciphertext_size()];
    let length = key.encrypt(&OAEP_SHA1_MGF1SHA1, &combined, &mut out, None)?.len();
    out.truncate(length);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_for_the_public_key_opens_with_the_private_one() {
        let key = LoginKey::generate().unwrap();
        let sealed = seal(b"secret\0", b"12345678901234567890", &key.public_pem).unwrap();
        assert_eq!(*key.open(&sealed, b"12345678901234567890").unwrap(), b"secret\0");
    }

    #[test]
    fn another_nonce_another_key_and_nonsense_do_not_give_the_password() {
        let key = LoginKey::generate().unwrap();
        let sealed = seal(b"secret\0", b"12345678901234567890", &key.public_pem).unwrap();
        assert_ne!(*key.open(&sealed, b"02345678901234567890").unwrap(), b"secret\0");
        assert!(LoginKey::generate().unwrap().open(&sealed, b"12345678901234567890").is_err());
        assert!(key.open(b"nonsense", b"12345678901234567890").is_err());
        assert!(seal(b"secret\0", b"1", b"no pem").is_err());
    }
}
