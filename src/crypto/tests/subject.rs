//! Keys of single data subjects: who they belong to, what a wrap is bound to, and what they seal.

use super::*;
use crate::crypto::{SubjectDigest, SubjectKeyError, SubjectKeys, SubjectStand, SubjectWrap, WrappingKey};

const FIRST: u32 = SUBJECT_KEY_ID_FIRST;

fn wrapping(first: u8) -> WrappingKey {
    WrappingKey::new(&secret(first))
}

fn subjects(deployment: u8, keyset: &str, active: u32) -> SubjectKeys {
    SubjectKeys::new([deployment; 16], keyset.into(), Some((kid(active), wrapping(0x40))), vec![])
}

fn ann() -> SubjectDigest {
    SubjectDigest::new("contact", b"4711")
}

fn sealed_for_each_subject() -> (ProtectedColumn, ColumnKeys, Arc<SubjectKeys>) {
    let column = ProtectedColumn {
        subject: Some("customer_id".into()),
        ..column("shop.users.phone", Some(e164()), Padding::Block(16))
    };
    let subjects = Arc::new(subjects(1, "contact", 9));
    let keys = keys_of(ColumnId(0), &column).with_subjects(subjects.clone());
    (column, keys, subjects)
}

#[test]
fn digests_are_fixed_for_ever() {
    let digest = |keyset: &str, value: &[u8]| SubjectDigest::new(keyset, value).to_string();
    for (keyset, value, expected) in [
        ("contact", &b"4711"[..], "593fc182cc66649c1fc54f7e3f0c10ebba3524092ff84cc7047ab415b461dd24"),
        ("contact", b"", "fe82bddca127878369f45704d09fc1cd367488b69c1662c59eaee05f6b49a5a8"),
        ("contac", b"t4711", "7fecf7d9e0c5c167d0e0922c2e27e64d9ea4685bfe0c87bf2a14af8428e57444"),
        ("person", "Ann Ω".as_bytes(), "f36cdc286d906d0c5d055284755fff5b3359b9c074babca7aa7d4c24c7caa1cd"),
        ("person", b"\x00\xff", "660d720a0728eb4921a6e168e0290e2e7934b79626ef1c97780096064b7ee311"),
    ] {
        assert_eq!(digest(keyset, value), expected, "{keyset} {value:?}");
    }
}

#[test]
fn a_wrap_opens_for_its_person_and_place_alone() {
    let home = subjects(1, "contact", 9);
    let wrap = home.mint(&ann()).unwrap();
    assert_eq!((wrap.wrapped_by, wrap.blob.len()), (kid(9), 73));
    home.admit(kid(FIRST), ann(), Some(&wrap)).unwrap();
    assert!(matches!(home.by_kid(kid(FIRST)), Some(SubjectStand::Living(_))));
    assert!(matches!(home.by_subject(&ann()), Some(SubjectStand::Living(key)) if key.kid() == kid(FIRST)));

    let admit = |keys: &SubjectKeys, subject, wrap: &SubjectWrap| keys.admit(kid(FIRST + 1), subject, Some(wrap));
    let other = SubjectDigest::new("contact", b"4712");
    let tampered = Err(SubjectKeyError::Tampered);
    assert_eq!(admit(&home, other, &wrap), tampered, "another person");
    assert_eq!(admit(&subjects(2, "contact", 9), ann(), &wrap), tampered, "another deployment");
    assert_eq!(admit(&subjects(1, "credentials", 9), ann(), &wrap), tampered, "another keyset");
    let renamed = SubjectWrap { wrapped_by: kid(8), ..wrap.clone() };
    assert_eq!(admit(&subjects(1, "contact", 8), ann(), &renamed), tampered, "another subject key's id");
    assert_eq!(admit(&home, ann(), &renamed), Err(SubjectKeyError::NotUsable(kid(8))));
    for at in 0..wrap.blob.len() {
        let mut blob = wrap.blob.clone();
        blob[at] ^= 1;
        assert_eq!(admit(&home, ann(), &SubjectWrap { blob, ..wrap.clone() }), tampered, "byte {at}");
        let blob = wrap.blob[..at].to_vec();
        assert_eq!(admit(&home, ann(), &SubjectWrap { blob, ..wrap.clone() }), tampered, "cut at {at}");
    }
    assert!(home.by_kid(kid(FIRST + 1)).is_none(), "nothing of it is held");
    assert_eq!(home.admit(kid(FIRST - 1), ann(), Some(&wrap)), Err(SubjectKeyError::Id), "a data key's id");
    assert_ne!(home.mint(&ann()).unwrap(), wrap, "each is another key");
}

#[test]
fn a_key_stays_the_same_under_another_subject_key() {
    let old = subjects(1, "contact", 9);
    let wrap = old.mint(&ann()).unwrap();
    let both = [(kid(10), wrapping(0x60)), (kid(9), wrapping(0x40))];
    let [new, former] = both;
    let moving = SubjectKeys::new([1; 16], "contact".into(), Some(new), vec![former]);
    let moved = moving.rewrap(&ann(), &wrap).unwrap();
    assert_eq!(moved.wrapped_by, kid(10));
    let alone = SubjectKeys::new([1; 16], "contact".into(), Some((kid(10), wrapping(0x60))), vec![]);
    assert_eq!(alone.admit(kid(FIRST), ann(), Some(&wrap)), Err(SubjectKeyError::NotUsable(kid(9))), "the old wrap");
    let (column, keys, _) = sealed_for_each_subject();
    old.admit(kid(FIRST), ann(), Some(&wrap)).unwrap();
    alone.admit(kid(FIRST), ann(), Some(&moved)).unwrap();
    let (before, after) = (keys.with_subjects(old.into()), keys_of(ColumnId(0), &column).with_subjects(alone.into()));
    let (mut stored, mut opened) = (Vec::new(), Plaintext::new());
    before.seal_for(&ann(), &Plaintext::from(b"090".to_vec()), &mut stored).unwrap();
    after.open(&grant(ColumnId(0)), &stored, &mut opened).unwrap();
    assert_eq!(opened.expose(), b"090");
    let nobody = SubjectKeys::new([1; 16], "contact".into(), None, vec![(kid(10), wrapping(0x60))]);
    assert_eq!(nobody.mint(&ann()), Err(SubjectKeyError::NoActiveKey));
}

#[test]
fn values_are_sealed_for_a_person_and_for_nobody_else() {
    let (_, keys, subjects) = sealed_for_each_subject();
    let (plain, mut stored, mut opened) = (Plaintext::from(b"090-1".to_vec()), Vec::new(), Plaintext::new());
    assert_eq!(keys.seal(&plain, &mut stored), Err(SealError::NoSubject));
    assert_eq!(keys.seal_for(&ann(), &plain, &mut stored), Err(SealError::UnknownSubject));
    let wrap = subjects.mint(&ann()).unwrap();
    subjects.admit(kid(FIRST + 5), ann(), Some(&wrap)).unwrap();
    keys.seal_for(&ann(), &plain, &mut stored).unwrap();
    let envelope = Envelope::parse(&stored).unwrap();
    assert_eq!(envelope.kid(), kid(FIRST + 5));
    let ranges = keys.search(&plain).unwrap();
    assert!(stored.starts_with(&ranges[0].low), "look-ups do not depend on the person");
    keys.open(&grant(ColumnId(0)), &stored, &mut opened).unwrap();
    assert_eq!(opened.expose(), b"090-1");
    let mut again = Vec::new();
    keys.seal_again(envelope.kid(), &plain, &mut again).unwrap();
    assert_eq!(Envelope::parse(&again).unwrap().kid(), envelope.kid());
    assert_eq!(keys.seal_again(kid(7), &plain, &mut again), Err(SealError::NoSubject), "a data key's envelope");

    // Without the person's key nothing opens, and once it is destroyed that is said.
    let open = |subjects: SubjectKeys| {
        let (_, keys, _) = sealed_for_each_subject();
        let mut opened = Plaintext::new();
        let refused = keys.with_subjects(subjects.into()).open(&grant(ColumnId(0)), &stored, &mut opened).unwrap_err();
        assert!(opened.is_empty());
        refused
    };
    let fresh = || SubjectKeys::new([1; 16], "contact".into(), Some((kid(9), wrapping(0x40))), vec![]);
    assert_eq!(open(fresh()), OpenError::UnknownKey(kid(FIRST + 5)));
    let erased = fresh();
    erased.admit(kid(FIRST + 5), ann(), None).unwrap();
    assert_eq!(open(erased), OpenError::Erased(kid(FIRST + 5)));
    let foreign = fresh();
    let wrap = foreign.mint(&ann()).unwrap();
    foreign.admit(kid(FIRST + 5), ann(), Some(&wrap)).unwrap();
    assert_eq!(open(foreign), OpenError::Tampered, "another key under the same id");

    subjects.admit(kid(FIRST + 5), ann(), None).unwrap();
    assert_eq!(keys.seal_for(&ann(), &plain, &mut again), Err(SealError::Erased));
    // A column whose values have no keys of their own reads those of before, and writes under the data key.
    let plainly = keys_of(ColumnId(0), &column("shop.users.phone", Some(e164()), Padding::Block(16)));
    plainly.seal(&plain, &mut Vec::new()).unwrap();
    assert_eq!(plainly.seal_for(&ann(), &plain, &mut Vec::new()), Err(SealError::NoSubject));
}

#[test]
fn what_is_held_has_an_end() {
    let keys = subjects(1, "contact", 9);
    let person = |number: u32| SubjectDigest::new("contact", number.to_string().as_bytes());
    for number in 0..=1 << 16 {
        keys.admit(kid(FIRST + number), person(number), None).unwrap();
    }
    assert!(keys.by_kid(kid(FIRST)).is_none() && keys.by_subject(&person(0)).is_none(), "the oldest went");
    assert!(keys.by_kid(kid(FIRST + 1)).is_some() && keys.by_subject(&person(1 << 16)).is_some());
}
