use std::time::Duration;

use expect_test::expect;
use uuid::Uuid;

use super::{GuardedAct, Request, Signer, Signers, StoredRequest};
use crate::crypto::{SigningKey, VerifyingKey};

fn stored(subject: &str) -> StoredRequest {
    StoredRequest {
        id: 12,
        deployment: Uuid::from_u128(7),
        request: Request { act: GuardedAct::Destroy, subject: subject.to_owned(), epoch: 41, row_version: 3 },
        requested_by: "candado_security@% (os: ana)".to_owned(),
        requested_at: "2026-03-04T05:06:07.000089Z".to_owned(),
        expires_at: "2026-03-05T05:06:07.000089Z".to_owned(),
        nonce: [0xab; 16],
    }
}

fn key(byte: u8) -> SigningKey {
    let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[byte; 32]].concat();
    let body = data_encoding::BASE64.encode(&der);
    SigningKey::from_pem(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n").as_bytes())
        .unwrap()
}

fn signer(name: &str, byte: u8) -> Signer {
    Signer { name: name.into(), key: key(byte).public().unwrap() }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_signed_text_says_everything() {
    expect![[r#"
        candado approval request 1
        deployment 00000000-0000-0000-0000-000000000007
        request 12
        act destroy
        subject key 7
        epoch 41
        row-version 3
        requested-by candado_security@% (os: ana)
        requested-at 2026-03-04T05:06:07.000089Z
        expires-at 2026-03-05T05:06:07.000089Z
        nonce abababababababababababababababab
    "#]]
    .assert_eq(&stored("key 7").text());
}

#[test]
fn no_name_adds_a_line_or_looks_like_another() {
    let text = stored("key 7\nepoch 42").text();
    assert!(text.contains("subject key 7\\nepoch 42\nepoch 41\n"), "{text}");
    assert_ne!(text, stored("key 7\\nepoch 42").text());
}

#[test]
fn distinct_keys_count_once_and_others_not_at_all() {
    let request = stored("key 7");
    let signers = Signers::new(vec![signer("ben", 2), signer("cleo", 3), signer("ana", 4)], 2, HOUR).unwrap();
    let sign = |byte| key(byte).sign(request.text().as_bytes()).unwrap();
    let counted = |signatures: &[[u8; 64]]| {
        request.signed_by(signatures, &signers).iter().map(|signer| signer.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(counted(&[sign(2), sign(3)]), ["ben", "cleo"]);
    assert_eq!(counted(&[sign(2), sign(2)]), ["ben"], "one person twice");
    assert_eq!(counted(&[sign(2), sign(9)]), ["ben"], "a stranger");
    assert_eq!(counted(&[sign(2), sign(4)]), ["ben"], "the one who asked");
    let other = key(3).sign(stored("key 8").text().as_bytes()).unwrap();
    assert_eq!(counted(&[sign(2), other]), ["ben"], "a signature over another request");
}

#[test]
fn signers_are_distinct_and_enough() {
    assert!(Signers::new(vec![signer("ana", 1), signer("ben", 2)], 2, HOUR).is_some());
    assert!(Signers::new(vec![signer("ana", 1), signer("ben", 2)], 3, HOUR).is_none(), "too few");
    assert!(Signers::new(vec![signer("ana", 1), signer("ben", 1)], 1, HOUR).is_none(), "one key");
    assert!(Signers::new(vec![signer("ana", 1), signer("ana", 2)], 1, HOUR).is_none(), "one name");
    assert_eq!(Signers::none().threshold(), 0);
}

#[test]
fn acts_have_names() {
    for act in GuardedAct::ALL {
        assert_eq!(GuardedAct::from_name(act.name()), Some(act));
    }
    assert_eq!(GuardedAct::from_name("activate"), None);
    assert_eq!(VerifyingKey::from_base64(""), None);
}
