use super::*;
use proptest::prelude::*;

fn greeting(version: &str, capabilities: u32) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut payload = vec![10];
    payload.extend_from_slice(version.as_bytes());
    payload.push(0);
    payload.extend_from_slice(&77_u32.to_le_bytes());
    payload.extend_from_slice(b"12345678\0");
    payload.extend_from_slice(&[a, b, 255, 2, 0, c, d, 21]);
    payload.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0x1d, 0, 0, 0]);
    payload.extend_from_slice(b"abcdefghijkl\0caching_sha2_password\0");
    payload
}

#[test]
fn refused_capabilities_are_cleared_and_nothing_else_changes() {
    let mut payload = greeting("9.7.4", u32::MAX);
    let before = payload.clone();
    let read = Greeting::parse(&payload).unwrap();
    assert_eq!(read.version, b"9.7.4");
    assert_eq!(read.nonce, b"12345678abcdefghijkl");
    assert_eq!(read.plugin, b"caching_sha2_password");
    assert_eq!(read.thread_id, 77);
    let offered = read.offered(OfferTls::No);
    assert!(!offered.intersects(Capabilities::REFUSED) && !offered.contains(Capabilities::SSL));
    read.patch(&mut payload, offered).unwrap();
    assert_eq!(Greeting::parse(&payload).unwrap().capabilities, offered);
    let changed = before.iter().zip(&payload).filter(|(a, b)| a != b).count();
    assert!(changed <= 4, "{changed} bytes changed");
}

#[test]
fn extended_capabilities_of_mariadb_are_cleared() {
    let mut payload = greeting("5.5.5-10.11.18-MariaDB", u32::MAX ^ 1);
    let read = Greeting::parse(&payload).unwrap();
    read.patch(&mut payload, read.offered(OfferTls::Yes)).unwrap();
    assert!(!payload.contains(&0x1d));
    assert!(Greeting::parse(&payload).unwrap().capabilities.contains(Capabilities::SSL));
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, head: bool) {
        if head {
            bytes.insert(0, 10);
        }
        if let Ok(read) = Greeting::parse(&bytes) {
            prop_assert!(read.patch(&mut bytes, read.offered(OfferTls::Yes)).is_ok());
        }
    }
}
