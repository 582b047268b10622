use super::*;
use proptest::prelude::*;

/// What MySQL 9.7 sends for `SELECT phone AS p FROM shop.customers c`: VARBINARY(128) with an ordinary index.
fn definition() -> Vec<u8> {
    let mut payload = Vec::new();
    for name in ["def", "shop", "c", "customers", "p", "phone"] {
        lenenc::put_string(name.as_bytes(), &mut payload);
    }
    payload.extend_from_slice(&[0x0c, 0x3f, 0x00, 0x80, 0x00, 0x00, 0x00, 0xfd, 0x88, 0x40, 0x00, 0x00, 0x00]);
    payload
}

#[test]
fn names_and_attributes_are_read() {
    let payload = definition();
    let view = ColumnDefinition::parse(&payload).unwrap();
    assert_eq!((view.schema, view.table, view.org_table), (&b"shop"[..], &b"c"[..], &b"customers"[..]));
    assert_eq!((view.name, view.org_name), (&b"p"[..], &b"phone"[..]));
    let expected = ColumnAttributes { collation_id: 63, length: 128, column_type: 253, flags: 0x4088, decimals: 0 };
    assert_eq!(view.attributes, expected);
}

#[test]
fn the_same_attributes_give_the_same_bytes() {
    for tail in [&[][..], &[0xfb], &[3, b'a', b'b', b'c']] {
        let payload = [definition(), tail.to_vec()].concat();
        let view = ColumnDefinition::parse(&payload).unwrap();
        let mut out = b"before".to_vec();
        view.put_with(&view.attributes, &mut out);
        assert_eq!(out, [b"before".to_vec(), payload].concat());
    }
}

#[test]
fn attributes_change_and_names_stay() {
    let payload = [definition(), vec![0xfb]].concat();
    let view = ColumnDefinition::parse(&payload).unwrap();
    let attributes = ColumnAttributes { collation_id: 255, length: 80, column_type: 253, flags: 0x4008, decimals: 0 };
    let mut out = Vec::new();
    view.put_with(&attributes, &mut out);
    let changed = ColumnDefinition::parse(&out).unwrap();
    assert_eq!(changed.attributes, attributes);
    assert_eq!((changed.head, changed.tail), (view.head, view.tail));
}

#[test]
fn a_malformed_definition_is_refused() {
    let payload = definition();
    for length in 0..payload.len() {
        assert!(ColumnDefinition::parse(&payload[..length]).is_err(), "{length} bytes");
    }
    let mut other_length = payload.clone();
    let at = payload.len() - 13;
    other_length[at] = 0x0b;
    assert_eq!(ColumnDefinition::parse(&other_length), Err(WireError::Malformed("column definition")));
    for tail in [&[0xfb, 0][..], &[2, b'a', b'b', b'c']] {
        let longer = [payload.clone(), tail.to_vec()].concat();
        assert_eq!(ColumnDefinition::parse(&longer), Err(WireError::Malformed("column definition")));
    }
}

#[test]
fn types_that_only_live_inside_the_server_are_refused() {
    let known = (0..=u8::MAX).filter(|byte| ColumnType::from_byte(*byte).is_ok()).count();
    assert_eq!(known, 29);
    for byte in (0..=u8::MAX).filter(|byte| ColumnType::from_byte(*byte).is_ok()) {
        assert_eq!(ColumnType::from_byte(byte).unwrap() as u8, byte);
    }
    for byte in [17, 18, 19, 20, 241, 243, 244] {
        assert!(ColumnType::from_byte(byte).is_err(), "{byte}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(payload: Vec<u8>) {
        ColumnDefinition::parse(&payload).ok();
    }
}
