//! Values for columns of password hashes: any bytes are a hash or not, and costs are asked of a hash alone. What is one is
//! none with a blank behind it.
#![no_main]

use candado::policy::{HashCosts, NotAHash, PasswordHash};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let found = PasswordHash::parse(data);
    match HashCosts::default().check(data) {
        Ok(()) => assert!(found.is_some()),
        Err(NotAHash::TooCheap(algorithm)) => assert_eq!(found.expect("recognised").algorithm(), algorithm),
        Err(NotAHash::Unknown) => assert_eq!(found, None),
    }
    if found.is_some() {
        assert!(data.len() <= 512 && data.is_ascii());
        assert_eq!(PasswordHash::parse(&[data, b" "].concat()), None);
    }
});
