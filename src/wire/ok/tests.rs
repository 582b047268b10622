#![expect(clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use proptest::prelude::*;

/// `SET NAMES` and a change of sql_mode in one packet, as MySQL 9.7 sends them.
fn packet() -> Vec<u8> {
    let mut state = Vec::new();
    for (name, value) in [("character_set_client", "utf8mb4"), ("sql_mode", "ANSI_QUOTES")] {
        let mut data = Vec::new();
        lenenc::put_string(name.as_bytes(), &mut data);
        lenenc::put_string(value.as_bytes(), &mut data);
        state.push(0);
        lenenc::put_string(&data, &mut state);
    }
    let mut data = Vec::new();
    lenenc::put_string(b"shop", &mut data);
    state.push(1);
    lenenc::put_string(&data, &mut state);
    let mut packet = vec![0, 0, 0, 2, 0x40, 0, 0, 0];
    lenenc::put_string(&state, &mut packet);
    packet
}

fn hidden(name: &[u8]) -> bool {
    name == b"sql_mode"
}

#[test]
fn changes_are_read_in_order() {
    let packet = packet();
    let mut changes = OkPacket::parse(&packet).unwrap().changes();
    let mut seen = Vec::new();
    while let Some(change) = changes.next_change().unwrap() {
        seen.push(change);
    }
    assert_eq!(
        seen,
        [
            StateChange::Variable { name: b"character_set_client", value: b"utf8mb4" },
            StateChange::Variable { name: b"sql_mode", value: b"ANSI_QUOTES" },
            StateChange::Schema(b"shop"),
        ]
    );
}

#[test]
fn a_client_that_asked_gets_all_but_the_hidden_entries() {
    let packet = packet();
    let mut out = Vec::new();
    OkPacket::parse(&packet).unwrap().put_for_client(SessionTrack::Wanted, hidden, &mut out).unwrap();
    let ok = OkPacket::parse(&out).unwrap();
    assert!(ok.status.contains(Status::SESSION_STATE_CHANGED));
    let mut changes = ok.changes();
    assert_eq!(
        changes.next_change(),
        Ok(Some(StateChange::Variable { name: b"character_set_client", value: b"utf8mb4" }))
    );
    assert_eq!(changes.next_change(), Ok(Some(StateChange::Schema(b"shop"))));
    assert_eq!(changes.next_change(), Ok(None));
}

#[test]
fn a_client_that_did_not_ask_gets_the_packet_of_a_server_without_tracking() {
    let packet = packet();
    let mut out = Vec::new();
    OkPacket::parse(&packet).unwrap().put_for_client(SessionTrack::Unwanted, hidden, &mut out).unwrap();
    assert_eq!(out, [0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn nothing_hidden_leaves_the_packet_as_it_was() {
    let packet = packet();
    let mut out = Vec::new();
    OkPacket::parse(&packet).unwrap().put_for_client(SessionTrack::Wanted, |_| false, &mut out).unwrap();
    assert_eq!(out, packet);
}

#[test]
fn every_truncation_is_an_error_or_reads_less() {
    let packet = packet();
    for length in 0..packet.len() {
        assert!(OkPacket::parse(&packet[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        if let Ok(ok) = OkPacket::parse(&bytes) {
            let mut out = Vec::new();
            if ok.put_for_client(SessionTrack::Wanted, hidden, &mut out).is_ok() {
                prop_assert!(out.len() <= bytes.len() + 8 || ok.state.is_empty());
            }
        }
    }
}
