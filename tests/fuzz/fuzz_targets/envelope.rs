//! Stored cells: any bytes are an envelope's fields or an error, nothing that was not sealed opens, and what was sealed
//! opens until one byte of it changes. Values: what reads them in the clear, normalisers and masks, survives any bytes.
#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use candado::crypto::{
    ColumnKeys, DataKey, DataMaterial, Envelope, IndexKey, IndexKeys, IndexMaterial, IndexVersion, KeyId, KeySecret,
    OpenError, Plaintext, RowValue, SUBJECT_KEY_ID_FIRST, SubjectDigest, SubjectKeys, SubjectWrap, WrappingKey,
    blurred, is_envelope, mask, normalise,
};
use candado::policy::{
    Access, AddressPart, Bind, ColumnId, DecryptGrant, FirewallMode, IndexSpec, LogicalType, Mask, Normaliser, Padding,
    Piece, Policy, ProtectedColumn, Role, RoleId, Unbound,
};
use candado::schema::ColumnRef;
use libfuzzer_sys::fuzz_target;

const CHARS_MAX: u32 = 20;

struct Column {
    keys: ColumnKeys,
    grant: DecryptGrant,
}

/// One padded column with an index, one that is bare, one whose values are bound to their rows.
static COLUMNS: LazyLock<[Column; 3]> = LazyLock::new(|| {
    let index = IndexSpec { domain: "phone".into(), length: 8, normaliser: Normaliser::Text };
    let bind = Bind { to: "id".into(), unbound: Unbound::Refused };
    [
        column(Padding::Block(16), Some(index), None),
        column(Padding::None, None, None),
        column(Padding::None, None, Some(bind)),
    ]
});

static MASKS: LazyLock<[Mask; 8]> = LazyLock::new(|| {
    let pieces = [Piece::First(1), Piece::Text("-".into()), Piece::Last(2), Piece::Hash];
    [
        Mask::Phone { shown: 2, region: Some("JP".into()) },
        Mask::Phone { shown: 4, region: None },
        Mask::Email { shown: 1 },
        Mask::Address(AddressPart::City { after: 1 }),
        Mask::First(3),
        Mask::Last(3),
        Mask::Hash,
        Mask::Template(pieces.into()),
    ]
});

/// Keys of single data subjects, none of which is open.
static SUBJECTS: LazyLock<SubjectKeys> = LazyLock::new(|| {
    let subject_key = (KeyId::new(9).expect("not zero"), WrappingKey::new(&secret(3)));
    SubjectKeys::new([7; 16], "contact".into(), Some(subject_key), Vec::new())
});

fuzz_target!(|data: &[u8]| {
    let [at, change, stored @ ..] = data else { return };
    // The same bytes are a cell that anybody could have written, and a value to be sealed.
    let value = stored;
    if let Ok(envelope) = Envelope::parse(stored) {
        let parts = [envelope.nonce(), envelope.ciphertext(), envelope.tag()].concat();
        assert!(stored.ends_with(&parts) && envelope.index().is_none_or(|index| (2..=16).contains(&index.len())));
        assert_eq!(envelope.index().is_some(), envelope.index_version().is_some());
    }
    assert_eq!(is_envelope(stored), Envelope::parse(stored).is_ok());
    shown_without_its_index(stored);
    let wrap = SubjectWrap { wrapped_by: KeyId::new(9).expect("not zero"), blob: stored.to_vec() };
    let kid = KeyId::new(SUBJECT_KEY_ID_FIRST).expect("not zero");
    assert!(SUBJECTS.admit(kid, SubjectDigest([0; 32]), Some(&wrap)).is_err(), "nobody wrapped this");
    let mut plain = Plaintext::new();
    let row = RowValue::new(vec![*at, *change]).expect("a short value");
    in_the_clear(&COLUMNS[0].keys, value);
    for Column { keys, grant } in COLUMNS.iter() {
        assert!(keys.open_in_row(grant, stored, Some(&row), &mut plain).is_err(), "nobody sealed this");
        let _ = keys.index_agrees(stored, &value.to_vec().into());

        let mut sealed = Vec::new();
        if keys.seal_in_row(&row, &value.to_vec().into(), &mut sealed).is_err() {
            // Not text, so without a normal form to index.
            assert!(sealed.is_empty() && std::str::from_utf8(value).is_err());
            continue;
        }
        assert!(is_envelope(&sealed));
        keys.open_in_row(grant, &sealed, Some(&row), &mut plain).expect("what was sealed opens");
        assert_eq!(plain.expose(), value);
        let at = usize::from(*at) % sealed.len();
        if *change != 0 {
            sealed[at] ^= change;
            assert!(keys.open_in_row(grant, &sealed, Some(&row), &mut plain).is_err(), "byte {at} is not protected");
            assert!(plain.expose().is_empty());
        }
        sealed.truncate(at);
        assert_ne!(keys.open_in_row(grant, &sealed, Some(&row), &mut plain), Ok::<(), OpenError>(()));
    }
});

/// What a role sees that may see envelopes alone.
fn shown_without_its_index(stored: &[u8]) {
    let mut shown = Vec::new();
    let Some(()) = blurred(stored, &mut shown) else {
        assert!(shown.is_empty() && !is_envelope(stored));
        return;
    };
    let (before, after) =
        (Envelope::parse(stored).expect("shown"), Envelope::parse(&shown).expect("an envelope still"));
    assert_eq!((after.kid(), after.index_version(), shown.len()), (before.kid(), before.index_version(), stored.len()));
    assert_eq!((after.nonce(), after.ciphertext(), after.tag()), (before.nonce(), before.ciphertext(), before.tag()));
}

/// The normalisers, of which one calls a parser of telephone numbers, and the masks: what they show is text that fits.
fn in_the_clear(keys: &ColumnKeys, value: &[u8]) {
    let is_text = std::str::from_utf8(value).is_ok();
    let value = Plaintext::from(value.to_vec());
    for normaliser in [Normaliser::E164 { region: "JP".into() }, Normaliser::Email] {
        let mut normal = Plaintext::new();
        assert_eq!(normalise(&normaliser, &value, &mut normal).is_ok(), is_text);
    }
    for kind in MASKS.iter() {
        let mut shown = Plaintext::new();
        mask(kind, keys, LogicalType::Varchar { chars_max: CHARS_MAX }, &value, &mut shown);
        let shown = std::str::from_utf8(shown.expose()).expect("a mask makes text");
        assert!(shown.chars().count() <= CHARS_MAX as usize);
    }
}

fn secret(byte: u8) -> KeySecret {
    KeySecret::take_from(&mut [byte; 32]).expect("the right length")
}

fn column(padding: Padding, index: Option<IndexSpec>, bind: Option<Bind>) -> Column {
    let protected = ProtectedColumn {
        column: ColumnRef::new("shop", "customers", "phone"),
        keyset: "contact".into(),
        context: "shop.customers.phone".into(),
        logical: LogicalType::Varchar { chars_max: CHARS_MAX },
        collation: None,
        index,
        padding,
        subject: None,
        bind,
    };
    let data_key = DataKey::new(secret(1));
    let index_key = IndexKey::new(secret(2));
    let data = DataMaterial {
        active: Some((KeyId::new(7).expect("not zero"), &data_key)),
        readable: Vec::new(),
        barred: vec![KeyId::new(8).expect("not zero")],
    };
    let active = Some((IndexVersion::new(1).expect("not zero"), &index_key));
    let index = IndexMaterial { active, readable: Vec::new(), keys: IndexKeys::All };
    let keys = ColumnKeys::new(ColumnId(0), &protected, &data, Some(&index)).expect("a valid column");
    let role = Role { name: "app".into(), default_access: Access::Plain, columns: HashMap::new() };
    let policy = Policy::new(1, vec![protected], vec![role], vec![], RoleId(0), FirewallMode::Block);
    let grant = policy.access(RoleId(0), ColumnId(0)).1.expect("the role may read");
    Column { keys, grant }
}
