use data_encoding::HEXLOWER;

use super::canonical::{Code, NOTHING_BEFORE};
use super::{StoredEntry, StoredHead};
use crate::crypto::{AuditKey, KeySecret};

const DEPLOYMENT: &str = "0b7e7c2e-5a0f-4f0e-9a55-7a1f6a1f0c11";

fn key() -> AuditKey {
    let mut bytes: Vec<u8> = (0..32).collect();
    AuditKey::new(KeySecret::take_from(&mut bytes).unwrap(), DEPLOYMENT)
}

fn entry(seq: u64, prev: Code, act: &str, before: &str, after: &str) -> StoredEntry {
    let mut entry = StoredEntry {
        seq,
        kid: 3,
        at: format!("2026-03-04T05:06:0{}.0000{}Z", 6 + seq, if seq == 1 { "89" } else { "00" }),
        actor: "candado_security@% (os: añá)".to_owned(),
        act: act.to_owned(),
        subject: "key 7".to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        prev,
        mac: NOTHING_BEFORE,
    };
    entry.mac = key().entry_mac(&entry.canonical());
    entry
}

/// Computed by another program from `record.md` alone.
#[test]
fn known_answers() {
    let first = entry(1, NOTHING_BEFORE, "key.create", "null", r#"{"state":"active"}"#);
    assert_eq!(HEXLOWER.encode(&first.mac), "874478b0d10e0cd2a046af17fb0ca463cdcc0782344bb5346448e85fb7a159a0");
    let second = entry(2, first.mac, "key.suspend", r#"{"state":"active"}"#, r#"{"state":"suspended"}"#);
    assert_eq!(HEXLOWER.encode(&second.mac), "5af26d76875ef7b2ee41f5a7a2c083b7575dbf8df0639c4257ba35683c0456d1");
    let head = StoredHead::sealed(&key(), 3, 2, second.mac);
    assert_eq!(HEXLOWER.encode(&head.seal), "0942283533b9b453c75e41580c402004c22415d9d8958432902b3c3d155d5882");
}

#[test]
fn every_field_is_under_the_code() {
    let good = entry(1, NOTHING_BEFORE, "key.create", "null", "{}");
    let key = key();
    assert!(key.is_entry_mac(&good.canonical(), &good.mac));
    let changes: [fn(&mut StoredEntry); 9] = [
        |entry| entry.seq += 1,
        |entry| entry.kid += 1,
        |entry| entry.at.push('0'),
        |entry| entry.actor.push('0'),
        |entry| entry.act.push('0'),
        |entry| entry.subject.push('0'),
        |entry| entry.before.push(' '),
        |entry| entry.after.push(' '),
        |entry| entry.prev[31] ^= 1,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = good.clone();
        change(&mut changed);
        assert!(!key.is_entry_mac(&changed.canonical(), &good.mac), "change {number}");
    }
    // Text that moves from one field to the next is another entry.
    let moved = StoredEntry { act: "key.creat".to_owned(), subject: "ekey 7".to_owned(), ..good.clone() };
    assert!(!key.is_entry_mac(&moved.canonical(), &good.mac));
}

#[test]
fn keys_of_another_deployment_or_use_give_other_codes() {
    let bytes = entry(1, NOTHING_BEFORE, "key.create", "null", "{}").canonical();
    assert_ne!(key().entry_mac(&bytes), key().head_mac(&bytes));
    let secret = KeySecret::take_from(&mut (0..32).collect::<Vec<u8>>()).unwrap();
    let other = AuditKey::new(secret, "00000000-0000-4000-8000-000000000000");
    assert_ne!(key().entry_mac(&bytes), other.entry_mac(&bytes));
}
