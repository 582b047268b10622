//! Greeting, login, change of user and authentication messages: any bytes are read or refused, and what is read can be
//! written.
#![no_main]

use candado::wire::auth::{Message, Plugin};
use candado::wire::greeting::{Greeting, OfferTls};
use candado::wire::login::{self, ChangeUser, First};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(greeting) = Greeting::parse(bytes) {
        let mut patched = bytes.to_vec();
        let offered = greeting.offered(OfferTls::Yes);
        greeting.patch(&mut patched, offered).expect("what was read can be patched");
        assert_eq!(Greeting::parse(&patched).expect("it is still a greeting").capabilities, offered);
    }
    if let Ok(First::Login(read)) = login::parse(bytes) {
        let mut out = Vec::new();
        if read.put(read.capabilities, &[("_proxy", "candado")], &mut out).is_ok() {
            let Ok(First::Login(again)) = login::parse(&out) else { panic!("it is still a login") };
            assert_eq!((again.user, again.database, again.response), (read.user, read.database, read.response));
        }
    }
    if let Ok(change) = ChangeUser::parse(bytes) {
        assert!(change.user.len() < bytes.len());
    }
    for plugin in [Plugin::CachingSha2, Plugin::Opaque, Plugin::ChallengeResponse] {
        if let Ok(Message::More(data)) = Message::parse(bytes, plugin) {
            assert_eq!(data.len() + 1, bytes.len());
        }
    }
});
