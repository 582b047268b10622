//! Envelopes that are bound to their rows: what they open beside, and what a column does with others.

use super::*;
use crate::policy::{Bind, Unbound};

fn bound(unbound: Unbound) -> ColumnKeys {
    let column = ProtectedColumn {
        bind: Some(Bind { to: "login".into(), unbound }),
        ..column("shop.users.phone", None, Padding::Block(16))
    };
    let data = DataKey::new(secret(0));
    let data = DataMaterial { active: Some((kid(7), &data)), readable: vec![], barred: vec![] };
    ColumnKeys::new(ColumnId(0), &column, &data, None).unwrap()
}

fn free() -> ColumnKeys {
    let data = DataKey::new(secret(0));
    let data = DataMaterial { active: Some((kid(7), &data)), readable: vec![], barred: vec![] };
    ColumnKeys::new(ColumnId(0), &column("shop.users.phone", None, Padding::Block(16)), &data, None).unwrap()
}

fn row(value: &[u8]) -> RowValue {
    RowValue::new(value.to_vec()).unwrap()
}

fn seal_in(keys: &ColumnKeys, value: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    keys.seal_in_row(&row(value), &Plaintext::from(plain.to_vec()), &mut out).unwrap();
    out
}

fn open_in(keys: &ColumnKeys, stored: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>, OpenError> {
    let mut plain = Plaintext::from(b"left over".to_vec());
    let opened = keys.open_in_row(&grant(ColumnId(0)), stored, value.map(row).as_ref(), &mut plain);
    match opened {
        Ok(()) => Ok(plain.expose().to_vec()),
        Err(error) => {
            assert!(plain.is_empty(), "an error leaves nothing behind");
            Err(error)
        }
    }
}

#[test]
fn what_is_bound_has_the_known_associated_data() {
    let keys = bound(Unbound::Refused);
    let (plain, nonce, mut out) = (Plaintext::from(b"s3cret".to_vec()), counting(0x40), Vec::new());
    envelope::write_prefix(&mut out, None).unwrap();
    let row = row("ann".as_bytes());
    let body = column_keys::Body { nonce: &nonce, row: Some(&row), plain: &plain };
    keys.seal_body(keys.active_cipher().unwrap(), &body, &mut out, 0).unwrap();
    let header = Envelope::parse(&out).unwrap().header();
    assert_eq!(HEXLOWER.encode(header), "c1fe1d010000000300000007", "flags ROW and PAD");
    assert_eq!(
        HEXLOWER.encode(aad::Aad::new(header, b"shop.users.phone", Some(&row)).unwrap().as_bytes()),
        "46453100c1fe1d010000000300000007001073686f702e75736572732e70686f6e6500050003616e6e"
    );
    assert_eq!(open_in(&keys, &out, Some(b"ann")).unwrap(), b"s3cret");
}

#[test]
fn an_envelope_opens_in_its_row_alone() {
    let keys = bound(Unbound::Refused);
    let stored = seal_in(&keys, b"4711", b"+81");
    assert!(Envelope::parse(&stored).unwrap().is_row_bound());
    assert_eq!(open_in(&keys, &stored, Some(b"4711")).unwrap(), b"+81");
    for other in [&b"4712"[..], b"471", b"47111", b"", b"\x004711"] {
        assert_eq!(open_in(&keys, &stored, Some(other)), Err(OpenError::Tampered), "{other:?}");
    }
    assert_eq!(open_in(&keys, &stored, None), Err(OpenError::RowBound));
    for at in 0..stored.len() {
        let mut changed = stored.clone();
        changed[at] ^= 1;
        assert!(open_in(&keys, &changed, Some(b"4711")).is_err(), "byte {at}");
    }
    let mut freed = stored;
    freed[7] &= !1;
    assert_eq!(open_in(&keys, &freed, Some(b"4711")), Err(OpenError::NotRowBound), "the flag taken away");
    assert_eq!(open_in(&bound(Unbound::Accepted), &freed, Some(b"4711")), Err(OpenError::Tampered));
    assert_eq!(open_in(&free(), &freed, Some(b"4711")), Err(OpenError::Tampered));
}

#[test]
fn what_is_not_bound_is_read_where_policy_says_so() {
    let from_before = seal(&free(), b"+81");
    assert_eq!(open_in(&bound(Unbound::Refused), &from_before, Some(b"4711")), Err(OpenError::NotRowBound));
    assert_eq!(open_in(&bound(Unbound::Accepted), &from_before, Some(b"4711")).unwrap(), b"+81");
    for keys in [bound(Unbound::Refused), bound(Unbound::Accepted)] {
        let mut out = Vec::new();
        assert_eq!(keys.seal(&Plaintext::from(b"+81".to_vec()), &mut out), Err(SealError::NoRow), "none is made");
        assert!(out.is_empty() && keys.binds_rows());
    }
    let free = free();
    assert!(!Envelope::parse(&seal_in(&free, b"4711", b"+81")).unwrap().is_row_bound() && !free.binds_rows());
}

#[test]
fn a_value_to_be_bound_to_has_an_end() {
    let keys = bound(Unbound::Refused);
    let longest = [b'x'; 1024];
    assert_eq!(open_in(&keys, &seal_in(&keys, &longest, b"v"), Some(&longest)).unwrap(), b"v");
    assert_eq!(RowValue::new(vec![b'x'; 1025]), None);
}
