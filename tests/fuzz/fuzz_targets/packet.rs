//! Packets: any bytes are a whole payload within the input, too few, or an error.
#![no_main]

use candado::wire::packet::{self, Whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(whole)) = Whole::find(bytes, usize::MAX, "packet") {
        assert!(whole.length <= bytes.len());
        let mut joined = Vec::new();
        let payload = whole.payload(bytes, &mut joined).expect("a whole payload is there");
        assert_eq!(payload.len(), whole.payload_length);
        let mut again = Vec::new();
        packet::put(payload, whole.first_sequence, &mut again);
        assert_eq!(again, bytes[..whole.length], "joined and split again");
    }
});
