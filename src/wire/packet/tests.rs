#![expect(clippy::cast_possible_truncation, reason = "tests")]

use super::*;
use proptest::prelude::*;

#[test]
fn payloads_around_the_boundary_are_split_and_joined() {
    for (length, packets) in [(0, 1), (1, 1), (PAYLOAD_MAX - 1, 1), (PAYLOAD_MAX, 2), (PAYLOAD_MAX + 1, 2)] {
        let payload = vec![7; length];
        let mut out = Vec::new();
        let next = put(&payload, 255, &mut out);
        assert_eq!(out.len(), length + packets * HEADER_LENGTH, "{length}");
        assert_eq!(next, 255_u8.wrapping_add(packets as u8), "{length}");
        let whole = Whole::find(&out, usize::MAX, "test").unwrap().unwrap();
        assert_eq!(whole.payload_length, length);
        assert_eq!(whole.payload(&out, &mut Vec::new()).unwrap(), payload);
    }
}

#[test]
fn a_payload_above_the_limit_is_refused_before_it_arrived() {
    let header = Header { length: 100, sequence: 0 }.bytes();
    assert_eq!(Whole::find(&header, 99, "test"), Err(WireError::TooLarge("test")));
    assert_eq!(Whole::find(&header, 100, "test"), Ok(None));
}

#[test]
fn a_continuation_must_carry_the_next_sequence_id() {
    let mut out = Vec::new();
    put(&vec![0; PAYLOAD_MAX], 0, &mut out);
    let last = out.len() - 1;
    assert!(Whole::find(&out, usize::MAX, "test").unwrap().is_some());
    out[last] = 9;
    assert_eq!(Whole::find(&out, usize::MAX, "test"), Err(WireError::Malformed("sequence id")));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        if let Ok(Some(whole)) = Whole::find(&bytes, usize::MAX, "test") {
            prop_assert!(whole.payload(&bytes, &mut Vec::new()).is_ok());
        }
    }
}
