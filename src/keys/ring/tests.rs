//! Which keys make a ring, and which refuse to.

use std::collections::HashMap;
use std::num::NonZeroU16;

use super::*;
use crate::crypto::{OpenError, Plaintext};
use crate::policy::{Access, DecryptGrant, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Role, RoleId};

#[derive(Clone, Copy)]
struct Key {
    kid: u32,
    keyset: &'static str,
    purpose: KeyPurpose,
    version: u16,
    state: KeyState,
}

const fn key(kid: u32, keyset: &'static str, purpose: KeyPurpose, version: u16, state: KeyState) -> Key {
    Key { kid, keyset, purpose, version, state }
}

fn secret(kid: u32) -> KeySecret {
    KeySecret::take_from(&mut [u8::try_from(kid).unwrap(); 32]).unwrap()
}

fn record(key: &Key) -> KeyRecord {
    let kid = KeyId::new(key.kid).unwrap();
    KeyRecord {
        kid,
        keyset: Arc::from(key.keyset),
        purpose: key.purpose,
        version: NonZeroU16::new(key.version).unwrap(),
        state: key.state,
        kcv: Some(secret(key.kid).kcv(kid, key.purpose)),
        wraps: vec![],
    }
}

fn policy(index: Option<Normaliser>) -> Policy {
    let column = ProtectedColumn {
        column: ColumnRef::new("shop", "users", "name"),
        keyset: Arc::from("contact"),
        context: Arc::from("shop.users.name"),
        logical: LogicalType::Varchar { chars_max: 20 },
        collation: None,
        index: index.map(|normaliser| IndexSpec { domain: Arc::from("name"), length: 16, normaliser }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    };
    let role = Role { name: Arc::from("plain"), default_access: Access::Plain, columns: HashMap::new() };
    Policy::new(3, vec![column], vec![role], vec![], RoleId(0), FirewallMode::Block)
}

fn grant() -> DecryptGrant {
    policy(None).access(RoleId(0), ColumnId(0)).1.unwrap()
}

fn ring(keys: &[Key], index: Option<Normaliser>) -> Result<KeyRing, RingError> {
    let mut builder = RingBuilder::new();
    for key in keys {
        builder.add(record(key), Some(secret(key.kid)))?;
    }
    builder.build(&policy(index), 9)
}

fn refusal(keys: &[Key], index: Option<Normaliser>) -> String {
    ring(keys, index).unwrap_err().to_string()
}

use KeyPurpose::{Audit, Data, Index};
use KeyState::{Active, DecryptOnly, Destroyed, Pending, Retired, Suspended};

const DATA: Key = key(1, "contact", Data, 1, Active);
const INDEX: Key = key(2, "contact", Index, 1, Active);

#[test]
fn a_complete_keyset_makes_a_ring() {
    let ring = ring(&[DATA, INDEX, key(3, "contact", Audit, 1, Active)], Some(Normaliser::Text)).unwrap();
    assert_eq!((ring.policy_version(), ring.version()), (3, 9));
    assert!(ring.column(ColumnId(1)).is_none());
    let keys = ring.column(ColumnId(0)).unwrap();
    assert_eq!(keys.active_key().map(KeyId::number), Some(1));
    let (plain, mut stored, mut opened) = (Plaintext::from(b"Ann".to_vec()), Vec::new(), Plaintext::new());
    keys.seal(&plain, &mut stored).unwrap();
    keys.open(&grant(), &stored, &mut opened).unwrap();
    assert_eq!(opened.expose(), b"Ann");
    assert_eq!(keys.search(&plain).unwrap().len(), 1);
}

#[test]
fn a_column_needs_a_key_for_each_purpose_and_no_two_that_are_active() {
    let indexed = Some(Normaliser::Text);
    assert!(ring(&[DATA], None).is_ok());
    assert_eq!(refusal(&[DATA], indexed.clone()), "keyset contact has no index key: run `candado keys init`");
    assert_eq!(refusal(&[INDEX], indexed), "keyset contact has no data key: run `candado keys init`");
    assert_eq!(refusal(&[], None), "keyset contact has no data key: run `candado keys init`");
    assert_eq!(
        refusal(&[key(1, "other", Data, 1, Active)], None),
        "keyset contact has no data key: run `candado keys init`"
    );
    assert_eq!(
        refusal(&[DATA, key(4, "contact", Data, 2, Active)], None),
        "keyset contact has more than one active data key"
    );
}

#[test]
fn without_an_active_key_a_column_is_read_as_far_as_its_other_keys_reach() {
    let value = Plaintext::from(b"Ann".to_vec());
    let indexed = || Some(Normaliser::Text);
    let inactive = |ring: &KeyRing| {
        ring.inactive().iter().map(|found| (found.keyset.to_string(), found.purpose)).collect::<Vec<_>>()
    };
    assert_eq!(inactive(&ring(&[DATA, INDEX], indexed()).unwrap()), []);
    for (state, reads) in
        [(Pending, true), (DecryptOnly, true), (Suspended, false), (Retired, false), (Destroyed, false)]
    {
        let ring = ring(&[key(1, "contact", Data, 1, state), INDEX], indexed()).unwrap();
        assert_eq!(inactive(&ring), [("contact".to_owned(), Data)], "{state}");
        let keys = ring.column(ColumnId(0)).unwrap();
        assert_eq!((keys.opens_anything(), ring.serves_nothing()), (reads, false), "{state}");
        assert!(!keys.may_seal() && keys.search(&value).is_ok(), "{state}");
    }
    for (state, searches) in
        [(Pending, true), (DecryptOnly, true), (Suspended, false), (Retired, false), (Destroyed, false)]
    {
        let ring = ring(&[DATA, key(2, "contact", Index, 1, state)], indexed()).unwrap();
        assert_eq!(inactive(&ring), [("contact".to_owned(), Index)], "{state}");
        let keys = ring.column(ColumnId(0)).unwrap();
        assert_eq!((keys.may_seal(), keys.search(&value).is_ok()), (false, searches), "{state}");
    }
    // An older index key under which rows may still be.
    let suspended = ring(&[DATA, INDEX, key(5, "contact", Index, 2, Suspended)], indexed()).unwrap();
    let keys = suspended.column(ColumnId(0)).unwrap();
    assert!(keys.may_seal() && keys.search(&value).is_err() && suspended.inactive().is_empty());
}

#[test]
fn ids_and_versions_are_unique() {
    assert_eq!(refusal(&[DATA, key(1, "contact", Data, 2, Pending)], None), "key 1 is recorded twice");
    let refused = refusal(&[DATA, key(4, "contact", Data, 1, Pending)], None);
    assert_eq!(refused, "keyset contact has two data keys of version 1");
    assert!(ring(&[DATA, key(4, "other", Data, 1, Pending)], None).is_ok());
}

#[test]
fn a_secret_must_match_its_check_value() {
    let add = |kcv, secret| RingBuilder::new().add(KeyRecord { kcv, ..record(&DATA) }, secret);
    let kcv = record(&DATA).kcv;
    assert_eq!(add(kcv, Some(secret(1))), Ok(()));
    let text = |outcome: Result<(), RingError>| outcome.unwrap_err().to_string();
    assert_eq!(text(add(kcv, Some(secret(2)))), "data key 1 of keyset contact does not match its check value");
    assert_eq!(text(add(kcv, None)), "data key 1 of keyset contact is not unwrapped");
    assert_eq!(text(add(None, Some(secret(1)))), "data key 1 of keyset contact has no check value yet");
}

#[test]
fn states_decide_which_keys_open() {
    let before = ring(&[DATA], None).unwrap();
    let mut stored = Vec::new();
    before.column(ColumnId(0)).unwrap().seal(&Plaintext::from(b"Ann".to_vec()), &mut stored).unwrap();
    let open = |state| {
        let ring = ring(&[key(1, "contact", Data, 1, state), key(4, "contact", Data, 2, Active)], None).unwrap();
        ring.column(ColumnId(0)).unwrap().open(&grant(), &stored, &mut Plaintext::new())
    };
    for state in [Pending, DecryptOnly] {
        assert_eq!(open(state), Ok(()), "{state}");
    }
    for state in [Suspended, Retired, Destroyed] {
        assert_eq!(open(state), Err(OpenError::KeyNotUsable(KeyId::new(1).unwrap())), "{state}");
    }
    let without = ring(&[key(4, "contact", Data, 2, Active)], None).unwrap();
    let unknown = without.column(ColumnId(0)).unwrap().open(&grant(), &stored, &mut Plaintext::new());
    assert_eq!(unknown, Err(OpenError::UnknownKey(KeyId::new(1).unwrap())));
}

#[test]
fn pending_and_old_index_keys_are_searched() {
    let keys = [DATA, INDEX, key(5, "contact", Index, 2, Pending), key(6, "contact", Index, 3, DecryptOnly)];
    let ring = ring(&keys, Some(Normaliser::Text)).unwrap();
    let ranges = ring.column(ColumnId(0)).unwrap().search(&Plaintext::from(b"Ann".to_vec())).unwrap();
    let versions: Vec<_> = ranges.iter().map(|range| range.low[6]).collect();
    assert_eq!(versions, [1, 2, 3]);
}

#[test]
fn the_digest_tells_states_apart_and_not_the_order() {
    let digest = |keys: &[Key]| *ring(keys, None).unwrap().digest();
    let pending = key(4, "contact", Data, 2, Pending);
    let suspended = key(4, "contact", Data, 2, Suspended);
    assert_eq!(digest(&[DATA, INDEX]), digest(&[INDEX, DATA]));
    assert_ne!(digest(&[DATA, pending]), digest(&[DATA, suspended]));
    assert_ne!(digest(&[DATA]), digest(&[DATA, INDEX]));
}

#[test]
fn a_lost_key_takes_those_columns_away_that_cannot_do_without_it() {
    let old = key(4, "contact", Data, 2, DecryptOnly);
    let with_lost = |lost: &[Key], index| {
        let mut builder = RingBuilder::new();
        for other in [DATA, INDEX, old].into_iter().filter(|key| lost.iter().all(|lost| lost.kid != key.kid)) {
            builder.add(record(&other), Some(secret(other.kid))).unwrap();
        }
        lost.iter().for_each(|key| builder.add_lost(record(key)).unwrap());
        builder.build(&policy(index), 9).unwrap()
    };
    let indexed = || Some(Normaliser::Text);
    for (lost, index) in [(DATA, indexed()), (INDEX, indexed()), (DATA, None)] {
        let ring = with_lost(&[lost], index);
        assert!(ring.column(ColumnId(0)).is_none() && ring.serves_nothing());
    }
    // A key that reads older values alone, and an index key where nothing is searched.
    for (lost, index) in [(old, indexed()), (INDEX, None)] {
        let ring = with_lost(&[lost], index);
        assert!(ring.column(ColumnId(0)).is_some() && !ring.serves_nothing());
        assert_ne!(ring.digest(), with_lost(&[], indexed()).digest(), "replicas that differ say so");
    }
}

#[test]
fn a_column_with_a_key_for_each_person_needs_an_active_subject_key() {
    let base = policy(None);
    let column = ProtectedColumn { subject: Some("customer_id".into()), ..base.columns()[0].clone() };
    let role = Role { name: Arc::from("plain"), default_access: Access::Plain, columns: HashMap::new() };
    let policy = Policy::new(3, vec![column], vec![role], vec![], RoleId(0), FirewallMode::Block);
    let build = |keys: &[Key]| {
        let mut builder = RingBuilder::new();
        for key in keys {
            builder.add(record(key), Some(secret(key.kid))).unwrap();
        }
        builder.build(&policy, 9)
    };
    let missing = "keyset contact has no subject key: run `candado keys init`";
    assert_eq!(build(&[DATA]).unwrap_err().to_string(), missing);
    let subject = |kid, version, state| key(kid, "contact", KeyPurpose::Subject, version, state);
    for state in [DecryptOnly, Suspended] {
        let braked = build(&[DATA, subject(4, 1, state)]).unwrap();
        let keys = braked.column(ColumnId(0)).unwrap();
        assert!(!keys.may_seal() && keys.opens_anything(), "{state:?}");
        let person = crate::crypto::SubjectDigest::new("contact", b"1");
        let mut out = Vec::new();
        assert!(keys.seal(&Plaintext::from(b"x".to_vec()), &mut out).is_err());
        assert!(keys.seal_for(&person, &Plaintext::from(b"x".to_vec()), &mut out).is_err());
        assert!(out.is_empty());
        assert!(matches!(braked.inactive(), [found] if found.purpose == KeyPurpose::Subject));
    }
    let ring = build(&[DATA, subject(4, 1, DecryptOnly), subject(5, 2, Active)]).unwrap();
    let subjects = ring.subjects("contact").unwrap();
    assert_eq!(subjects.active().map(KeyId::number), Some(5));
    assert!(ring.column(ColumnId(0)).unwrap().sealing_subjects().is_some());
    // What was opened belongs to one ring.
    let person = crate::crypto::SubjectDigest::new("contact", b"1");
    let wrap = subjects.mint(&person).unwrap();
    let kid = KeyId::new(crate::crypto::SUBJECT_KEY_ID_FIRST).unwrap();
    subjects.admit(kid, person, Some(&wrap)).unwrap();
    assert!(ring.subjects("contact").unwrap().by_kid(kid).is_some());
    let next = build(&[DATA, subject(4, 1, DecryptOnly), subject(5, 2, Active)]).unwrap();
    assert!(next.subjects("contact").unwrap().by_kid(kid).is_none());
    assert_eq!(next.digest(), ring.digest());
}
