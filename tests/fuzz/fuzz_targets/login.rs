//! Greeting, login, COM_CHANGE_USER and the packets of the authentication: any bytes are read or refused, and what is
//! written from them reads the same.
#![no_main]

use candado::wire::Capabilities;
use candado::wire::auth::{Message, Plugin, xor_with_nonce};
use candado::wire::greeting::{Greeting, OfferTls};
use candado::wire::login::{APPLICATION, ChangeUser, First, attribute, parse};
use libfuzzer_sys::fuzz_target;

const ADDED: &[(&str, &str)] = &[("_client", "candado"), ("empty", "")];

fuzz_target!(|payload: &[u8]| {
    attribute(payload, APPLICATION);
    if let Ok(greeting) = Greeting::parse(payload) {
        patched(payload, &greeting);
    }
    if let Ok(First::Login(login)) = parse(payload) {
        let mut copy = Vec::new();
        if login.put(login.capabilities, ADDED, &mut copy).is_ok() {
            let Ok(First::Login(again)) = parse(&copy) else { panic!("a copy is a login") };
            assert_eq!((again.user, again.response), (login.user, login.response));
            assert_eq!((again.database, again.plugin), (login.database, login.plugin));
            assert_eq!((again.max_packet, again.collation), (login.max_packet, login.collation));
            assert!(again.attributes.starts_with(login.attributes) && again.attributes.len() > login.attributes.len());
        }
        let mut request = Vec::new();
        login.put_tls_request(login.capabilities, &mut request);
        assert_eq!(parse(&request), Ok(First::Tls));
    }
    if let Ok(change) = ChangeUser::parse(payload) {
        let mut copy = Vec::new();
        if change.put(ADDED, &mut copy).is_ok() {
            let again = ChangeUser::parse(&copy).expect("a copy is one");
            assert_eq!((again.user, again.response, again.database), (change.user, change.response, change.database));
            assert_eq!((again.collation, again.plugin), (change.collation, change.plugin));
        }
    }
    for plugin in [Plugin::ChallengeResponse, Plugin::CachingSha2, Plugin::Clear, Plugin::Opaque, Plugin::Old] {
        let _ = Message::parse(payload, plugin);
    }
    let mut password = b"password\0".to_vec();
    xor_with_nonce(&mut password, payload);
    xor_with_nonce(&mut password, payload);
    assert_eq!(password, b"password\0");
});

/// The patch changes the capabilities and nothing else.
fn patched(payload: &[u8], greeting: &Greeting) {
    for tls in [OfferTls::Yes, OfferTls::No] {
        let offered = greeting.offered(tls);
        assert_eq!(offered.contains(Capabilities::SSL), tls == OfferTls::Yes);
        assert!(offered.intersection(Capabilities::REFUSED).is_empty());
        let mut copy = payload.to_vec();
        greeting.patch(&mut copy, offered).expect("the greeting was read from these bytes");
        let again = Greeting::parse(&copy).expect("a copy reads like the original");
        let mut expected = greeting.clone();
        expected.capabilities = offered;
        assert_eq!(again, expected);
    }
}
