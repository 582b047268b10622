use super::*;
use proptest::prelude::*;

fn client_capabilities() -> Capabilities {
    Capabilities::NEEDED_OF_CLIENT
        | Capabilities::CONNECT_WITH_DB
        | Capabilities::CONNECT_ATTRS
        | Capabilities::PLUGIN_AUTH_LENENC
}

fn login() -> Vec<u8> {
    let mut payload = Vec::new();
    put_head(client_capabilities(), 1 << 24, 45, &mut payload);
    payload.extend_from_slice(b"ana\0");
    lenenc::put_string(&[9; 32], &mut payload);
    payload.extend_from_slice(b"shop\0caching_sha2_password\0");
    let mut attributes = Vec::new();
    lenenc::put_string(b"_os", &mut attributes);
    lenenc::put_string(b"Linux", &mut attributes);
    lenenc::put_string(&attributes, &mut payload);
    payload
}

#[test]
fn a_login_is_read_and_written_with_more_attributes() {
    let payload = login();
    let First::Login(read) = parse(&payload).unwrap() else { panic!("a login") };
    assert_eq!(
        (read.user, read.database, read.plugin),
        (&b"ana"[..], Some(&b"shop"[..]), &b"caching_sha2_password"[..])
    );
    let mut out = Vec::new();
    read.put(read.capabilities, &[], &mut out).unwrap();
    assert_eq!(out, payload, "nothing added, nothing changed");

    let mut out = Vec::new();
    read.put(read.capabilities, &[("_proxy", "candado")], &mut out).unwrap();
    let First::Login(again) = parse(&out).unwrap() else { panic!("a login") };
    assert!(again.attributes.starts_with(read.attributes));
    assert!(again.attributes.ends_with(b"\x06_proxy\x07candado"));
}

#[test]
fn attributes_above_the_limit_are_refused() {
    let payload = login();
    let First::Login(read) = parse(&payload).unwrap() else { panic!("a login") };
    let long = "x".repeat(ATTRIBUTES_MAX);
    let result = read.put(read.capabilities, &[("_proxy", &long)], &mut Vec::new());
    assert_eq!(result, Err(WireError::TooLarge("connection attributes")));
}

#[test]
fn an_old_client_and_a_wish_for_tls_are_told_apart() {
    assert_eq!(parse(&[0, 0, 0, 0]), Ok(First::TooOld));
    let mut payload = Vec::new();
    put_head(client_capabilities() | Capabilities::SSL, 0, 45, &mut payload);
    assert_eq!(parse(&payload), Ok(First::Tls));
    let mut payload = Vec::new();
    put_head(client_capabilities(), 0, 45, &mut payload);
    assert_eq!(parse(&payload), Err(WireError::Truncated("login")));
}

#[test]
fn change_user_is_read_with_and_without_its_tail() {
    let read = ChangeUser::parse(b"\x11ana\0\x02ab\0\x2d\0mysql_native_password\0\0").unwrap();
    let expected = ChangeUser {
        user: b"ana",
        response: b"ab",
        database: None,
        collation: Some(45),
        plugin: b"mysql_native_password",
        attributes: b"",
    };
    assert_eq!(read, expected);
    let read = ChangeUser::parse(b"\x11ana\0\x00shop\0").unwrap();
    let expected = ChangeUser { response: b"", database: Some(b"shop"), collation: None, plugin: b"", ..expected };
    assert_eq!(read, expected);
    assert!(ChangeUser::parse(b"\x11ana\0\x09ab\0").is_err());
    assert!(ChangeUser::parse(b"\x11ana\0\x00\0\x2d\0plugin\0\x05\x01a").is_err());
}

#[test]
fn change_user_has_attributes_behind_those_of_the_client_or_alone() {
    let head = b"\x11ana\0\x02abshop\0\x2d\0plugin\0";
    for (own, expected) in [
        (&b""[..], &b"\x06\x01p\x03one"[..]),
        (b"\0", b"\x06\x01p\x03one"),
        (b"\x04\x01a\x01b", b"\x0a\x01a\x01b\x01p\x03one"),
    ] {
        let payload = [head, own].concat();
        let mut out = Vec::new();
        ChangeUser::parse(&payload).unwrap().put(&[("p", "one")], &mut out).unwrap();
        assert_eq!(out, [&head[..], expected].concat());
    }
    let mut out = Vec::new();
    ChangeUser::parse(b"\x11ana\0\0shop\0").unwrap().put(&[("p", "one")], &mut out).unwrap();
    assert_eq!(out, b"\x11ana\0\0shop\0", "the server's to refuse");
    let long = "x".repeat(ATTRIBUTES_MAX);
    assert!(ChangeUser::parse(head).unwrap().put(&[("p", &long)], &mut out).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, real_head: bool) {
        let mut payload = Vec::new();
        if real_head {
            put_head(client_capabilities(), 0, 45, &mut payload);
        }
        payload.extend_from_slice(&bytes);
        if let Ok(First::Login(read)) = parse(&payload) {
            let mut out = Vec::new();
            prop_assert!(read.put(read.capabilities, &[], &mut out).is_ok());
            prop_assert!(matches!(parse(&out), Ok(First::Login(_))));
        }
        if ChangeUser::parse(&bytes).is_ok() {
            prop_assert!(bytes.len() > 3);
        }
    }
}
