use super::*;
use crate::rewrite::fixture::{Fixture, NOTES, PHONE, UMLAUT};
use crate::wire::lenenc;

fn definition(names: [&[u8]; 3], attributes: ColumnAttributes) -> Vec<u8> {
    let [schema, org_table, org_name] = names;
    let mut payload = Vec::new();
    for name in [b"def", schema, b"alias", org_table, b"column", org_name] {
        lenenc::put_string(name, &mut payload);
    }
    payload.push(0x0c);
    payload.extend_from_slice(&[0; 12]);
    let mut out = Vec::new();
    ColumnDefinition::parse(&payload).unwrap().put_with(&attributes, &mut out);
    out
}

fn stored(column_type: u8, length: u32, flags: u16) -> ColumnAttributes {
    ColumnAttributes { collation_id: 63, length, column_type, flags, decimals: 0 }
}

fn seen(payload: &[u8], action: &CellAction, cx: &Context<'_>) -> Result<ColumnAttributes, RewriteError> {
    let mut out = Vec::new();
    column_definition(payload, action, cx, &mut out)?;
    let (before, after) = (ColumnDefinition::parse(payload).unwrap(), ColumnDefinition::parse(&out).unwrap());
    assert_eq!((before.schema, before.table, before.org_table), (after.schema, after.table, after.org_table));
    assert_eq!((before.name, before.org_name), (after.name, after.org_name));
    Ok(after.attributes)
}

/// (character_set_results, its collation id) → (collation id, length) of VARCHAR(20) and of TEXT, as MySQL 9.7 and
/// MariaDB 10.11 send them for plain utf8mb4 columns.
#[test]
fn lengths_and_collations_are_those_of_a_plain_column() {
    let fixture = Fixture::new();
    let phone = definition([b"shop", b"customers", b"phone"], stored(253, 128, 0x4088));
    let notes = definition([b"shop", b"customers", b"notes"], stored(252, 16_777_215, 0x1091));
    for (charset, id, varchar, text) in [
        (Some(Charset::Utf8mb4), 255, (255, 80), (255, 262_140)),
        (Some(Charset::Utf8mb4), 224, (224, 80), (224, 262_140)),
        (Some(Charset::Utf8mb3), 33, (33, 60), (33, 196_605)),
        (Some(Charset::Latin1), 8, (8, 20), (8, 65_535)),
        (Some(Charset::Ascii), 11, (11, 20), (11, 65_535)),
        (Some(Charset::Binary), 63, (63, 20), (63, 65_535)),
        (None, 0, (255, 80), (255, 65_535)),
    ] {
        let cx = Context { results_charset: charset, results_collation_id: id, ..fixture.cx() };
        let expected = |(collation_id, length), column_type, flags| ColumnAttributes {
            collation_id,
            length,
            column_type,
            flags,
            decimals: 0,
        };
        let found = seen(&phone, &fixture.open(PHONE), &cx).unwrap();
        assert_eq!(found, expected(varchar, 253, 0x4008), "{charset:?}");
        let found = seen(&notes, &fixture.open(NOTES), &cx).unwrap();
        assert_eq!(found, expected(text, 252, 0x1011), "{charset:?}");
    }
}

#[test]
fn text_sizes_have_their_lengths() {
    for (size, utf8mb4, latin1) in [
        (TextSize::Tiny, 1_020, 255),
        (TextSize::Text, 262_140, 65_535),
        (TextSize::Medium, 67_108_860, 16_777_215),
        (TextSize::Long, 4_294_967_295, 4_294_967_295),
    ] {
        assert_eq!(length(LogicalType::Text(size), Some(Charset::Utf8mb4)), utf8mb4);
        assert_eq!(length(LogicalType::Text(size), Some(Charset::Latin1)), latin1);
        assert_eq!(length(LogicalType::Text(size), None), latin1);
    }
}

#[test]
fn a_binary_collation_shows_as_flag_and_id() {
    let fixture = Fixture::new();
    let payload = definition([b"shop", b"customers", "größe".as_bytes()], stored(252, 65_535, 0x0090));
    let found = seen(&payload, &fixture.open(UMLAUT), &fixture.cx()).unwrap();
    assert_eq!((found.column_type, found.flags, found.collation_id), (253, 0x0080, 255));
    let cx = Context { results_charset: None, ..fixture.cx() };
    assert_eq!(seen(&payload, &fixture.open(UMLAUT), &cx).unwrap().collation_id, 46);
}

#[test]
fn what_the_server_calls_its_default_collation_is_its_own() {
    let fixture = Fixture::new();
    let payload = definition([b"shop", b"customers", b"phone"], stored(253, 128, 0x80));
    let mut cx = Context { results_charset: None, ..fixture.cx() };
    assert_eq!(seen(&payload, &fixture.open(PHONE), &cx).unwrap().collation_id, 255);
    cx.dialect.server.kind = ServerKind::MariaDb;
    assert_eq!(seen(&payload, &fixture.open(PHONE), &cx).unwrap().collation_id, 45);
}

#[test]
fn an_unplanned_protected_column_is_refused() {
    let fixture = Fixture::new();
    let unplanned = |id| Err(RewriteError::Unplanned { column: fixture.name(id) });
    let phone = definition([b"SHOP", b"Customers", b"PHONE"], stored(253, 128, 0x80));
    assert_eq!(seen(&phone, &CellAction::Relay, &fixture.cx()), unplanned(PHONE));
    assert_eq!(seen(&phone, &fixture.open(NOTES), &fixture.cx()), unplanned(PHONE));
    // MariaDB's materialised derived tables have no database.
    let derived = definition([b"", b"customers", b"phone"], stored(253, 128, 0x80));
    assert_eq!(seen(&derived, &CellAction::Relay, &fixture.cx()), unplanned(PHONE));
    for names in [
        [&b"other"[..], b"customers", b"phone"],
        [b"shop", b"orders", b"phone"],
        [b"shop", b"customers", b"id"],
        [b"shop", b"customers", b""],
        [b"", b"", b"phone"],
    ] {
        let payload = definition(names, stored(253, 128, 0x80));
        assert_eq!(seen(&payload, &CellAction::Relay, &fixture.cx()), Ok(stored(253, 128, 0x80)));
    }
}

#[test]
fn names_are_compared_in_the_character_set_of_results() {
    let fixture = Fixture::new();
    let is_named = |name: &[u8], charset| {
        let payload = definition([b"shop", b"customers", name], stored(253, 128, 0x80));
        let cx = Context { results_charset: charset, ..fixture.cx() };
        names_protected(&ColumnDefinition::parse(&payload).unwrap(), cx.policy, cx.results_charset) == Some(UMLAUT)
    };
    assert!(is_named("größe".as_bytes(), Some(Charset::Utf8mb4)));
    assert!(is_named("GRÖßE".as_bytes(), None));
    assert!(is_named(b"gr\xf6\xdfe", Some(Charset::Latin1)));
    assert!(is_named(b"gr??e", Some(Charset::Ascii)));
    assert!(!is_named(b"gr\xf6\xdfe", Some(Charset::Utf8mb4)));
    assert!(!is_named(b"gr?e", Some(Charset::Ascii)));
    assert!(!is_named(b"groesse", Some(Charset::Utf8mb4)));
    assert!(!is_named(b"????e", Some(Charset::Ascii)));
}

#[test]
fn an_error_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let phone = definition([b"shop", b"customers", b"phone"], stored(253, 128, 0x80));
    let mut out = b"kept".to_vec();
    column_definition(&phone, &CellAction::Relay, &fixture.cx(), &mut out).unwrap_err();
    column_definition(&phone[1..], &fixture.open(PHONE), &fixture.cx(), &mut out).unwrap_err();
    assert_eq!(out, b"kept");
}
