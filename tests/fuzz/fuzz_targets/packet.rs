//! A stream of packets from a peer: payloads lie within it, keep their limit, and written again are the same bytes.
//! What reads a payload without knowing the command survives it.
#![no_main]

use candado::client_error::{message_without_envelope, without_envelope};
use candado::wire::command::statement_id;
use candado::wire::ok::{OkPacket, SessionTrack, eof_status};
use candado::wire::packet::{Whole, put};
use candado::wire::{err, lenenc};
use libfuzzer_sys::fuzz_target;

/// The variable that the client must not hear of.
const HIDDEN: &[u8] = b"sql_mode";
/// How a server spells the beginning of an envelope.
const SPELLED: &[u8] = br"\xC1\xFE\x1D";

fuzz_target!(|data: &[u8]| {
    let [low, high, stream @ ..] = data else { return };
    let payload_max = usize::from(u16::from_le_bytes([*low, *high]));
    let mut rest = stream;
    let mut joined = Vec::new();
    while let Ok(Some(whole)) = Whole::find(rest, payload_max, "input") {
        let (packets, after) = rest.split_at(whole.length);
        let payload = whole.payload(rest, &mut joined).expect("what was found can be taken");
        assert!(payload.len() == whole.payload_length && payload.len() <= payload_max);
        let mut copy = Vec::new();
        let next = put(payload, whole.first_sequence, &mut copy);
        assert_eq!((copy.as_slice(), next), (packets, whole.last_sequence.wrapping_add(1)));
        read_payload(payload);
        rest = after;
    }
});

fn read_payload(payload: &[u8]) {
    statement_id(payload);
    let _ = err::code(payload);
    let _ = eof_status(payload);
    let texts = [without_envelope(payload), message_without_envelope(b"1062", payload)];
    for text in texts.iter().flatten() {
        assert!(text.windows(SPELLED.len()).all(|window| window != SPELLED), "no envelope is told");
    }
    if let Ok((value, rest)) = lenenc::take_integer(payload, "input") {
        let mut copy = Vec::new();
        lenenc::put_integer(value, &mut copy);
        assert_eq!(lenenc::take_integer(&copy, "copy"), Ok((value, [].as_slice())));
        assert!(copy.len() + rest.len() <= payload.len(), "ours is the shortest form");
    }
    let Ok(ok) = OkPacket::parse(payload) else { return };
    for track in [SessionTrack::Wanted, SessionTrack::Unwanted] {
        let mut copy = Vec::new();
        if ok.put_for_client(track, |name| name == HIDDEN, &mut copy).is_err() {
            continue;
        }
        let again = OkPacket::parse(&copy).expect("a copy reads like the original");
        let kept = |ok: &OkPacket<'_>| (ok.affected_rows, ok.last_insert_id, ok.warnings, ok.info.to_vec());
        assert_eq!(kept(&again), kept(&ok));
        assert!(track == SessionTrack::Wanted || again.state.is_empty());
        let mut changes = again.changes();
        while let Some(change) = changes.next_change().expect("a copy reads like the original") {
            if let candado::wire::ok::StateChange::Variable { name, .. } = change {
                assert_ne!(name, HIDDEN);
            }
        }
    }
}
