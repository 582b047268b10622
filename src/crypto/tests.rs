//! Known answers, malformed envelopes and properties of sealing and opening.

#![expect(clippy::arithmetic_side_effects, reason = "the sizes are those of the test's own data")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::policy::{
    Access, AccountPattern, ColumnId, DecryptGrant, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy,
    ProtectedColumn, Role, RoleId,
};
use crate::schema::ColumnRef;

mod primitives;
mod row;
mod subject;

/// The bytes `first`, `first + 1` and so on: the keys of the known answers.
pub(super) fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(first..).for_each(|(byte, value)| *byte = value);
    bytes
}

fn secret(first: u8) -> KeySecret {
    KeySecret::take_from(&mut counting::<32>(first)).unwrap()
}

fn kid(number: u32) -> KeyId {
    KeyId::new(number).unwrap()
}

fn column(context: &str, index: Option<Normaliser>, padding: Padding) -> ProtectedColumn {
    ProtectedColumn {
        column: ColumnRef::new("shop", "users", "phone"),
        keyset: Arc::from("contact"),
        context: Arc::from(context),
        logical: LogicalType::Varchar { chars_max: 255 },
        collation: None,
        index: index.map(|normaliser| IndexSpec { domain: Arc::from("phone"), length: 16, normaliser }),
        padding,
        subject: None,
        bind: None,
    }
}

fn keys_of(id: ColumnId, column: &ProtectedColumn) -> ColumnKeys {
    let data = DataKey::new(secret(0));
    let index = IndexKey::new(secret(0x20));
    let data = DataMaterial { active: Some((kid(7), &data)), readable: vec![], barred: vec![kid(6)] };
    let index = index_material((IndexVersion::new(1).unwrap(), &index));
    ColumnKeys::new(id, column, &data, Some(&index)).unwrap()
}

fn index_material<'a>(active: (IndexVersion, &'a IndexKey)) -> IndexMaterial<'a> {
    IndexMaterial { active: Some(active), readable: vec![], keys: IndexKeys::All }
}

fn e164() -> Normaliser {
    Normaliser::E164 { region: Arc::from("JP") }
}

fn phone_keys() -> ColumnKeys {
    keys_of(ColumnId(0), &column("shop.users.phone", Some(e164()), Padding::Block(16)))
}

/// Keys of a column that is searched by its text.
pub(super) fn text_keys() -> ColumnKeys {
    keys_of(ColumnId(0), &column("shop.users.phone", Some(Normaliser::Text), Padding::Block(16)))
}

/// Grants are made by policy only, in tests too.
fn grant(id: ColumnId) -> DecryptGrant {
    let columns = (0..=id.0).map(|_| column("c", None, Padding::None)).collect();
    let role = Role { name: Arc::from("plain"), default_access: Access::Plain, columns: HashMap::new() };
    let bindings: Vec<(AccountPattern, RoleId, FirewallMode)> = vec![];
    let policy = Policy::new(1, columns, vec![role], bindings, RoleId(0), FirewallMode::Block);
    policy.access(RoleId(0), id).1.unwrap()
}

fn seal(keys: &ColumnKeys, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    keys.seal(&Plaintext::from(plain.to_vec()), &mut out).unwrap();
    out
}

fn open(keys: &ColumnKeys, stored: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut plain = Plaintext::from(b"left over".to_vec());
    match keys.open(&grant(ColumnId(0)), stored, &mut plain) {
        Ok(()) => Ok(plain.expose().to_vec()),
        Err(error) => {
            assert!(plain.is_empty(), "an error leaves nothing behind");
            Err(error)
        }
    }
}

/// The known answer's number has a digit too few for Japan, so the index is written from its normal form as given.
#[test]
fn envelope_has_the_known_answer() {
    let plain = Plaintext::from(b"+81901234567".to_vec());
    let column = column("shop.users.phone", Some(e164()), Padding::Block(16));
    let spec = column.index.clone().unwrap();
    let version = IndexVersion::new(1).unwrap();
    let keyed = index::KeyedIndex::new(version, &IndexKey::new(secret(0x20)), &spec.domain, &spec.normaliser).unwrap();
    let mut out = Vec::new();
    index::ColumnIndex::new(&spec, Some(keyed), vec![], IndexKeys::All)
        .unwrap()
        .write_normalised(&plain, &mut out)
        .unwrap();
    let keys = keys_of(ColumnId(0), &column);
    let body = column_keys::Body { nonce: &counting(0x40), row: None, plain: &plain };
    keys.seal_body(keys.active_cipher().unwrap(), &body, &mut out, 0).unwrap();
    let hex = HEXLOWER.encode(&out);
    assert_eq!(
        hex,
        "c1fe1d01100001ec88e68bf9d4ad84a782469f88c4992f0200000007404142434445464748494a4b4c4d4e4f5051525354555657\
         82db016ad0701c8932ec2d83f6540b05956aedbcccd79c2abc24c859e8875419"
    );
    assert_eq!(
        HEXLOWER.encode(aad::Aad::new(&out[..28], b"shop.users.phone", None).unwrap().as_bytes()),
        "46453100c1fe1d01100001ec88e68bf9d4ad84a782469f88c4992f0200000007001073686f702e75736572732e70686f6e65"
    );
    assert_eq!(open(&phone_keys(), &out).unwrap(), b"+81901234567");
}

#[test]
fn column_key_has_the_known_answer() {
    let mut derived = [0; 32];
    secret(0).derive(b"candado/v1/data", &[b"shop.users.phone"], &mut derived);
    expect!["3c40d7857d6f6099cf46fa2468901f64382f483710ed9b2d0124f5e570b2155c"].assert_eq(&HEXLOWER.encode(&derived));
}

#[test]
fn check_value_has_the_known_answer() {
    let kcv = secret(0).kcv(kid(7), KeyPurpose::Data);
    expect!["7253eafcea0bf69b3c647714c28cbfb5"].assert_eq(&HEXLOWER.encode(&kcv));
    assert!(secret(0).has_kcv(kid(7), KeyPurpose::Data, &kcv));
    assert!(!secret(0).has_kcv(kid(8), KeyPurpose::Data, &kcv));
    assert!(!secret(0).has_kcv(kid(7), KeyPurpose::Index, &kcv));
    assert!(!secret(1).has_kcv(kid(7), KeyPurpose::Data, &kcv));
}

#[test]
fn secrets_wipe_their_source_and_show_nothing() {
    let mut bytes = [7; 32];
    let secret = KeySecret::take_from(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 32]);
    let mut short = [7; 31];
    assert!(KeySecret::take_from(&mut short).is_none());
    assert_eq!(short, [0; 31]);
    assert_eq!(format!("{secret:?}"), "KeySecret(..)");
    assert_eq!(
        format!("{:?} {:?}", DataKey::new(secret), Plaintext::from(b"canary".to_vec())),
        "DataKey(..) Plaintext(..)"
    );
}

#[test]
fn a_value_that_is_an_envelope_is_sealed_again() {
    let keys = keys_of(ColumnId(0), &column("c", None, Padding::Block(16)));
    let inner = seal(&keys, b"secret");
    assert_eq!(open(&keys, &seal(&keys, &inner)).unwrap(), inner);
}

#[test]
fn keys_are_told_apart() {
    let column = column("c", None, Padding::None);
    let [old, new, pending] = [1, 2, 3].map(|first| DataKey::new(secret(first)));
    let build = |active, readable, barred| {
        let active = Some(active);
        ColumnKeys::new(ColumnId(0), &column, &DataMaterial { active, readable, barred }, None).unwrap()
    };
    let stored = seal(&build((kid(1), &old), vec![], vec![]), b"value");
    assert_eq!(open(&build((kid(2), &new), vec![(kid(1), &old)], vec![]), &stored).unwrap(), b"value");
    assert_eq!(open(&build((kid(2), &new), vec![], vec![kid(1)]), &stored), Err(OpenError::KeyNotUsable(kid(1))));
    assert_eq!(open(&build((kid(2), &new), vec![], vec![]), &stored), Err(OpenError::UnknownKey(kid(1))));
    assert_eq!(open(&build((kid(1), &pending), vec![], vec![]), &stored), Err(OpenError::Tampered));
}

#[test]
fn without_an_active_key_values_are_read_and_not_written() {
    let column = column("shop.users.phone", Some(e164()), Padding::Block(16));
    let (data, index) = (DataKey::new(secret(0)), IndexKey::new(secret(0x20)));
    let version = IndexVersion::new(1).unwrap();
    let build = |data: &DataMaterial<'_>, index: &IndexMaterial<'_>| {
        ColumnKeys::new(ColumnId(0), &column, data, Some(index)).unwrap()
    };
    let active = DataMaterial { active: Some((kid(7), &data)), readable: vec![], barred: vec![] };
    let whole = index_material((version, &index));
    let stored = seal(&build(&active, &whole), b"+81 90 1234 5678");
    let value = Plaintext::from(b"+81 90 1234 5678".to_vec());
    let mut out = Vec::new();

    let readable = DataMaterial { active: None, readable: vec![(kid(7), &data)], barred: vec![] };
    let keys = build(&readable, &whole);
    assert_eq!(open(&keys, &stored).unwrap(), value.expose());
    assert_eq!(keys.seal(&value, &mut out), Err(SealError::NoActiveKey));
    assert!(keys.search(&value).is_ok() && keys.opens_anything() && !keys.may_seal());

    // The index key is suspended: nothing is written or searched, everything is read.
    let barred = IndexMaterial { active: None, readable: vec![], keys: IndexKeys::SomeBarred };
    let keys = build(&active, &barred);
    assert_eq!(open(&keys, &stored).unwrap(), value.expose());
    assert_eq!(keys.seal(&value, &mut out), Err(SealError::NoActiveKey));
    assert_eq!(keys.search(&value), Err(SearchError::KeyBarred));
    assert!(!keys.may_seal() && out.is_empty());

    let nothing = DataMaterial { active: None, readable: vec![], barred: vec![kid(7)] };
    let keys = build(&nothing, &whole);
    assert_eq!(open(&keys, &stored), Err(OpenError::KeyNotUsable(kid(7))));
    assert!(!keys.opens_anything());
}

#[test]
fn room_is_made_ahead_and_nothing_is_lost() {
    let mut values = Vec::new();
    for count in [0_usize, 1, 7, 100, 3] {
        make_room(&mut values, count);
        let place = values.as_ptr();
        let before = values.len();
        values.extend((0..count).map(|at| before + at));
        assert_eq!(values.as_ptr(), place, "the buffer did not move by itself");
    }
    assert_eq!(values, (0..111).collect::<Vec<_>>());
}

#[test]
fn a_grant_opens_its_own_column_only() {
    let keys = phone_keys();
    let stored = seal(&keys, b"+819012345678");
    let mut plain = Plaintext::new();
    assert_eq!(keys.open(&grant(ColumnId(0)), &stored, &mut plain), Ok(()));
    assert_eq!(keys.open(&grant(ColumnId(1)), &stored, &mut plain), Err(OpenError::NotGranted));
    assert!(plain.is_empty());
}

#[test]
fn search_finds_every_notation_under_every_index_key() {
    let column = column("shop.users.phone", Some(e164()), Padding::Block(16));
    let data = DataKey::new(secret(0));
    let [first, second] = [1, 2].map(|number| IndexVersion::new(number).unwrap());
    let [old, new] = [0x20, 0x30].map(|start| IndexKey::new(secret(start)));
    let build = |active, readable| {
        let data = DataMaterial { active: Some((kid(7), &data)), readable: vec![], barred: vec![] };
        ColumnKeys::new(ColumnId(0), &column, &data, Some(&IndexMaterial { readable, ..index_material(active) }))
            .unwrap()
    };
    let before = build((first, &old), vec![]);
    let during = build((second, &new), vec![(first, &old)]);
    let ranges = during.search(&Plaintext::from(b"+81 90 1234 5678".to_vec())).unwrap();
    assert_eq!(ranges.len(), 2);
    let hits = |stored: &[u8]| {
        let within =
            |range: &PrefixRange| stored >= &range.low[..] && range.high.as_ref().is_none_or(|high| stored < &high[..]);
        ranges.iter().filter(|range| within(range)).count()
    };
    assert_eq!(hits(&seal(&before, "０９０－１２３４－５６７８".as_bytes())), 1);
    assert_eq!(hits(&seal(&during, b"(090) 1234-5678")), 1);
    assert_eq!(hits(&seal(&during, b"(090) 1234-5679")), 0);
    let phone = Plaintext::from(b"090-1234-5678".to_vec());
    assert!(during.index_agrees(&seal(&before, phone.expose()), &phone).unwrap());
    assert!(!during.index_agrees(&seal(&before, b"090-1234-5679"), &phone).unwrap());
    assert!(!before.index_agrees(&seal(&during, phone.expose()), &phone).unwrap());
    let plain = keys_of(ColumnId(0), &self::column("c", None, Padding::None));
    assert_eq!(plain.search(&phone), Err(SearchError::NotIndexed));
}

#[test]
fn successor_ends_the_range_of_a_prefix() {
    let check = |prefix: &[u8], expected: Option<&[u8]>| assert_eq!(index::successor(prefix).as_deref(), expected);
    check(&[0xC1, 0x00], Some(&[0xC1, 0x01]));
    check(&[0xC1, 0xFF, 0xFF], Some(&[0xC2]));
    check(&[0xFF, 0xFF], None);
}

#[test]
fn wrong_policy_builds_no_keys() {
    let build = |column: &ProtectedColumn| {
        let data = DataKey::new(secret(0));
        let index = IndexKey::new(secret(1));
        let data = DataMaterial { active: Some((kid(7), &data)), readable: vec![], barred: vec![] };
        let index = index_material((IndexVersion::new(1).unwrap(), &index));
        ColumnKeys::new(ColumnId(0), column, &data, Some(&index)).map(drop)
    };
    let longest = "c".repeat(578);
    assert_eq!(build(&column(&longest, Some(e164()), Padding::Block(64))), Ok(()));
    assert_eq!(build(&column(&format!("{longest}c"), None, Padding::None)), Err(ColumnKeysError::Context));
    assert_eq!(build(&column("", None, Padding::None)), Err(ColumnKeysError::Context));
    assert_eq!(build(&column("c", None, Padding::Block(0))), Err(ColumnKeysError::Padding));
    for length in [0, 1, 17] {
        let mut indexed = column("c", Some(Normaliser::Raw), Padding::None);
        indexed.index.as_mut().unwrap().length = length;
        assert_eq!(build(&indexed), Err(ColumnKeysError::Index), "{length}");
    }
}

/// Each file: `name: value` lines with `envelope` in hexadecimal and `expect` the opened value or the error's debug form.
#[test]
fn envelope_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/envelope");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "vectors are missing");
    let keys = phone_keys();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
        };
        let stored = HEXLOWER.decode(field("envelope").as_bytes()).unwrap();
        let outcome = match open(&keys, &stored) {
            Ok(plain) => String::from_utf8(plain).unwrap(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(outcome, field("expect"), "{}", path.display());
    }
}

fn any_padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::None), prop::sample::select(vec![16, 32, 64]).prop_map(Padding::Block)]
}

fn any_normaliser() -> impl Strategy<Value = Option<Normaliser>> {
    prop::sample::select(vec![None, Some(Normaliser::Raw)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn open_gives_back_what_seal_took(
        plain in prop::collection::vec(any::<u8>(), 0..600), padding in any_padding(), index in any_normaliser(),
    ) {
        let column = column("shop.users.phone", index, padding);
        let keys = keys_of(ColumnId(0), &column);
        let stored = seal(&keys, &plain);
        prop_assert!(is_envelope(&stored));
        let body = match padding {
            Padding::None => plain.len(),
            Padding::Block(block) => (plain.len() / usize::from(block) + 1) * usize::from(block),
        };
        prop_assert_eq!(stored.len(), 45 + column.prefix_length() + body);
        prop_assert_eq!(open(&keys, &stored), Ok(plain));
    }

    #[test]
    fn any_flipped_bit_is_refused(
        plain in prop::collection::vec(any::<u8>(), 0..70), padding in any_padding(), index in any_normaliser(),
    ) {
        let keys = keys_of(ColumnId(0), &column("shop.users.phone", index, padding));
        let mut stored = seal(&keys, &plain);
        for bit in 0..stored.len() * 8 {
            stored[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&keys, &stored).is_err(), "bit {}", bit);
            stored[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert!(open(&keys, &stored).is_ok());
    }

    #[test]
    fn any_cut_or_extended_envelope_is_refused(plain in prop::collection::vec(any::<u8>(), 0..70)) {
        let keys = keys_of(ColumnId(0), &column("shop.users.phone", Some(Normaliser::Raw), Padding::None));
        let mut stored = seal(&keys, &plain);
        for length in 0..stored.len() {
            prop_assert!(open(&keys, &stored[..length]).is_err(), "length {}", length);
        }
        stored.push(0);
        prop_assert_eq!(open(&keys, &stored), Err(OpenError::Tampered));
    }

    #[test]
    fn a_prefix_of_another_row_is_refused(one in any::<[u8; 9]>(), other in any::<[u8; 9]>()) {
        prop_assume!(one != other);
        let column = column("shop.users.phone", Some(Normaliser::Raw), Padding::Block(16));
        let keys = keys_of(ColumnId(0), &column);
        let (mut one, other) = (seal(&keys, &one), seal(&keys, &other));
        one[..column.prefix_length()].copy_from_slice(&other[..column.prefix_length()]);
        prop_assert_eq!(open(&keys, &one), Err(OpenError::Tampered));
    }

    #[test]
    fn another_columns_envelope_is_refused(plain in any::<[u8; 9]>(), one in "[a-z.]{1,30}", other in "[a-z.]{1,30}") {
        prop_assume!(one != other);
        let keys = |context: &str| keys_of(ColumnId(0), &column(context, Some(Normaliser::Raw), Padding::Block(16)));
        prop_assert_eq!(open(&keys(&other), &seal(&keys(&one), &plain)), Err(OpenError::Tampered));
    }

    #[test]
    fn parsing_never_panics(tail in prop::collection::vec(any::<u8>(), 0..120), magic in any::<bool>()) {
        let stored = if magic { [&MAGIC[..], &tail].concat() } else { tail };
        if Envelope::parse(&stored).is_ok() {
            prop_assert!(stored.len() >= 52 && stored.starts_with(&MAGIC));
        }
    }
}

#[test]
fn what_is_no_envelope_is_a_value_only_where_the_column_holds_both() {
    for stage in [Stage::Plain, Stage::Encrypting, Stage::Sealed, Stage::Decrypting] {
        let keys = phone_keys().at(stage);
        let read = |stored: &[u8]| {
            let mut plain = Plaintext::from(b"from before".to_vec());
            let read = keys.read(&grant(ColumnId(0)), stored, None, &mut plain).map(|()| plain.expose().to_vec());
            assert!(read.is_ok() || plain.is_empty(), "nothing is left behind an error");
            read
        };
        let envelope = seal(&keys, b"+81 90");
        assert_eq!(read(&envelope).unwrap(), b"+81 90", "{stage}");
        for value in [&b"+81 90"[..], b"", b"\xc1", b"\xc1\xfe", "\u{7d}".as_bytes(), b"\xc2\xfe\x1d\x01"] {
            let expected = match stage.holds() {
                Holds::Both => Ok(value.to_vec()),
                Holds::Envelopes => Err(OpenError::NotAnEnvelope),
            };
            assert_eq!(read(value), expected, "{stage}: {value:02x?}");
        }
        // The magic decides: from there on it is an envelope or an error.
        for length in 3..envelope.len() {
            read(&envelope[..length]).unwrap_err();
        }
        for at in 3..envelope.len() {
            let mut changed = envelope.clone();
            changed[at] ^= 1;
            read(&changed).unwrap_err();
        }
        let other = keys.read(&grant(ColumnId(1)), b"+81 90", None, &mut Plaintext::new());
        assert_eq!(other, Err(OpenError::NotGranted), "{stage}: plaintext needs the grant, too");
    }
}
