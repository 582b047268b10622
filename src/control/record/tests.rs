use data_encoding::HEXLOWER;

use super::brake::linked;
use super::canonical::{Code, NOTHING_BEFORE};
use super::{AuditKeys, Breach, Line, Note, StoredEntry, StoredHead, Unsealed, Verifier};
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
    let third = brake(3, second.mac);
    assert_eq!(HEXLOWER.encode(&third.mac), "982bd30457fd5fa8bf558c98352c16f9529f942a29508620d31d86b1127d3c21");
}

/// An entry that was written without an audit key.
fn brake(seq: u64, prev: Code) -> StoredEntry {
    let entry = entry(seq, prev, "key.suspend", r#"{"state":"active"}"#, r#"{"state":"suspended"}"#);
    relinked(StoredEntry { kid: 0, ..entry })
}

/// The same with the digest that anybody can compute.
fn relinked(entry: StoredEntry) -> StoredEntry {
    StoredEntry { mac: entry.link(), ..entry }
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

fn chain(length: u64) -> (Vec<StoredEntry>, StoredHead) {
    let mut entries: Vec<StoredEntry> = Vec::new();
    for seq in 1..=length {
        let prev = entries.last().map_or(NOTHING_BEFORE, |last| last.mac);
        entries.push(entry(seq, prev, "key.create", "null", "{}"));
    }
    let head = StoredHead::sealed(&key(), 3, length, entries.last().map_or(NOTHING_BEFORE, |last| last.mac));
    (entries, head)
}

fn keys() -> AuditKeys {
    AuditKeys::only(3, key())
}

fn note(entry: &StoredEntry) -> Note {
    Note { seq: entry.seq, mac: entry.mac }
}

fn breaches(
    entries: &[StoredEntry],
    head: Option<&StoredHead>,
    since: Option<Note>,
    noted: Option<Note>,
) -> Vec<Breach> {
    let keys = keys();
    let mut verifier = Verifier::new(&keys, since, noted);
    let from = verifier.from();
    entries.iter().filter(|entry| entry.seq >= from).for_each(|entry| verifier.entry(entry));
    verifier.finish(head).breaches
}

#[test]
fn an_intact_record_is_intact() {
    for length in 0..4 {
        let (entries, head) = chain(length);
        assert_eq!(breaches(&entries, Some(&head), None, entries.last().map(note)), [], "{length}");
    }
    let (entries, head) = chain(6);
    assert_eq!(breaches(&entries, Some(&head), Some(note(&entries[3])), Some(note(&entries[5]))), []);
}

#[test]
fn each_change_has_its_name_and_number() {
    let (good, head) = chain(6);
    let check = |change: &dyn Fn(&mut Vec<StoredEntry>), expected: &[Breach]| {
        let mut entries = good.clone();
        change(&mut entries);
        assert_eq!(breaches(&entries, Some(&head), None, None), expected);
    };
    check(&|entries| entries[2].actor = "nobody".to_owned(), &[Breach::Altered { seq: 3 }]);
    check(&|entries| drop(entries.remove(2)), &[Breach::Missing { from: 3, to: 3 }]);
    check(&|entries| drop(entries.drain(..2)), &[Breach::Missing { from: 1, to: 2 }]);
    check(&|entries| drop(entries.drain(4..)), &[Breach::CutOff { from: 5, to: 6 }]);
    check(&|entries| entries.clear(), &[Breach::CutOff { from: 1, to: 6 }]);
    check(&|entries| entries.swap(2, 3), &[Breach::Missing { from: 3, to: 3 }, Breach::Misplaced { seq: 3, after: 4 }]);
    check(&|entries| entries.insert(3, entries[2].clone()), &[Breach::Misplaced { seq: 3, after: 3 }]);
    check(&|entries| entries[2].kid = 4, &[Breach::UnknownKey { seq: 3, kid: 4 }]);
    // One that the key's owner wrote in the place of another.
    check(
        &|entries| entries[2] = entry(3, entries[1].mac, "key.destroy", "null", "{}"),
        &[Breach::Unlinked { seq: 4 }],
    );
    check(
        &|entries| {
            let mut forged = entry(7, entries[5].mac, "key.create", "null", "{}");
            forged.mac[0] ^= 1;
            entries.push(forged);
        },
        &[Breach::Altered { seq: 7 }, Breach::BeyondHead { from: 7, to: 7 }],
    );
}

#[test]
fn the_end_is_guarded_by_the_head_and_by_a_note() {
    let (entries, head) = chain(6);
    let (cut, old) = chain(4);
    assert_eq!(breaches(&entries, None, None, None), [Breach::HeadMissing]);
    for change in [(|head| head.seq = 4) as fn(&mut StoredHead), |head| head.mac[0] ^= 1, |head| head.kid = 9] {
        let mut forged = head.clone();
        change(&mut forged);
        assert_eq!(breaches(&entries, Some(&forged), None, None), [Breach::HeadForged]);
    }
    // Put back together with its old end, a record looks intact; only the note knows.
    assert_eq!(breaches(&cut, Some(&old), None, None), []);
    let noted = Some(note(&entries[5]));
    assert_eq!(breaches(&cut, Some(&old), None, noted), [Breach::ShorterThanNoted { seq: 6, last: 4 }]);
    let other = entry(4, cut[2].mac, "key.destroy", "null", "{}");
    let end = StoredHead::sealed(&key(), 3, 4, other.mac);
    let replaced = [&cut[..3], &[other]].concat();
    assert_eq!(breaches(&replaced, Some(&end), None, None), []);
    let noted = Some(note(&cut[3]));
    assert_eq!(breaches(&replaced, Some(&end), None, noted), [Breach::NotAsNoted { seq: 4 }]);
    assert_eq!(breaches(&replaced, Some(&end), noted, None), [Breach::NotAsNoted { seq: 4 }]);
    let beyond = Some(Note { seq: 9, mac: [1; 32] });
    assert_eq!(breaches(&cut, Some(&old), beyond, None).last(), Some(&Breach::ShorterThanNoted { seq: 9, last: 8 }));
}

#[test]
fn what_was_written_without_a_key_is_told_and_sealed_by_what_follows() {
    let (mut entries, head) = chain(3);
    entries.push(brake(4, entries[2].mac));
    entries.push(brake(5, entries[3].mac));
    let judged = |entries: &[StoredEntry], head: &StoredHead, noted: Option<Note>| {
        let keys = AuditKeys::only(3, key());
        let mut verifier = Verifier::new(&keys, None, noted);
        entries.iter().for_each(|entry| verifier.entry(entry));
        verifier.finish(Some(head))
    };
    let open = Unsealed { from: 4, to: 5, sealed_by: None };
    let verdict = judged(&entries, &head, None);
    assert_eq!((verdict.breaches, verdict.unsealed), (vec![], vec![open]));
    let found = |change: &dyn Fn(&mut Vec<StoredEntry>)| {
        let mut changed = entries.clone();
        change(&mut changed);
        judged(&changed, &head, Some(note(&entries[4]))).breaches
    };
    assert_eq!(found(&|entries| entries[3].actor.push('x')), [Breach::Altered { seq: 4 }]);
    // Who computes the digest anew breaks the link to the next one, and at the end the note.
    let forged = |entry: &StoredEntry| relinked(StoredEntry { actor: "somebody".to_owned(), ..entry.clone() });
    assert_eq!(found(&|entries| entries[3] = forged(&entries[3])), [Breach::Unlinked { seq: 5 }]);
    assert_eq!(found(&|entries| entries[4] = forged(&entries[4])), [Breach::NotAsNoted { seq: 5 }]);
    assert_eq!(found(&|entries| drop(entries.pop())), [Breach::ShorterThanNoted { seq: 5, last: 4 }]);
    let other = relinked(StoredEntry { act: "key.create".to_owned(), ..entries[4].clone() });
    assert_eq!(judged(&[&entries[..4], &[other]].concat(), &head, None).breaches, [Breach::NotSealed { seq: 5 }]);
    // Nor can such an entry stand for one that was under a key.
    let replaced = [&entries[..2], &[brake(3, entries[1].mac)]].concat();
    assert_eq!(judged(&replaced, &head, None).breaches, [Breach::OtherEnd { seq: 3 }]);

    entries.push(entry(6, entries[4].mac, "record.seal", "null", "{}"));
    let head = StoredHead::sealed(&key(), 3, 6, entries[5].mac);
    let verdict = judged(&entries, &head, None);
    assert_eq!((verdict.breaches, verdict.unsealed), (vec![], vec![Unsealed { sealed_by: Some(6), ..open }]));
    let mut late = entries.clone();
    late[4] = forged(&late[4]);
    assert_eq!(judged(&late, &head, None).breaches, [Breach::Unlinked { seq: 6 }], "no note is needed any more");
    late.remove(4);
    assert_eq!(judged(&late, &head, None).breaches, [Breach::Missing { from: 5, to: 5 }]);
}

#[test]
fn only_linked_brakes_are_sealed_late() {
    let (entries, _) = chain(2);
    let head = note(&entries[1]);
    assert_eq!(linked(head, &[]), Some(head));
    let (first, second) = (brake(3, head.mac), brake(4, brake(3, head.mac).mac));
    assert_eq!(linked(head, &[first.clone(), second.clone()]), Some(note(&second)));
    let broken: [&[StoredEntry]; 5] = [
        std::slice::from_ref(&second),
        &[first.clone(), first.clone()],
        &[entry(3, head.mac, "key.suspend", "null", "{}")],
        &[relinked(StoredEntry { act: "key.resume".to_owned(), ..first.clone() })],
        &[StoredEntry { actor: "somebody".to_owned(), ..first }],
    ];
    for tail in broken {
        assert_eq!(linked(head, tail), None, "{tail:?}");
    }
}

#[test]
fn notes_are_read_as_they_are_printed() {
    let (entries, _) = chain(1);
    let note = note(&entries[0]);
    assert_eq!(note.to_string().parse(), Ok(note));
    for wrong in ["", "1", "1:", "1:00", "x:00", &format!("-1:{}", "0".repeat(64))] {
        assert!(wrong.parse::<Note>().is_err(), "{wrong}");
    }
}

#[test]
fn lines_of_a_file_are_read_as_they_are_written() {
    let (entries, head) = chain(2);
    let lines = [
        Line::Entry(entries[1].clone()),
        Line::Head(head),
        Line::First { deployment: uuid::Uuid::from_u128(9), keys: vec![] },
    ];
    for line in lines {
        assert_eq!(Line::read(&line.write().unwrap()), Some(line));
    }
    for wrong in ["", "{}", "null", "{\"seq\":1}", "{\"candado_record\":2,\"deployment\":\"x\",\"keys\":[]}"] {
        assert_eq!(Line::read(wrong), None, "{wrong}");
    }
}
