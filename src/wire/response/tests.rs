#![expect(clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use crate::wire::packet;
use proptest::prelude::*;

const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
const END_OK: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];

fn stream(payloads: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = 1;
    for payload in payloads {
        sequence = packet::put(payload, sequence, &mut out);
    }
    out
}

/// Names of all events but rows, walking the bytes in reads of the given sizes.
fn events(
    response: Response,
    end: EndMarker,
    bytes: &[u8],
    reads: &[usize],
) -> Result<(Vec<String>, Response), WireError> {
    let mut walker = Walker::new(response, end);
    let mut seen = Vec::new();
    let mut buffer = Vec::new();
    let (mut at, mut read, mut turn) = (0, 0, 0);
    loop {
        let size = reads.get(turn % reads.len().max(1)).copied().unwrap_or(bytes.len()).max(1);
        turn += 1;
        let upto = (read + size).min(bytes.len());
        buffer.extend_from_slice(&bytes[read..upto]);
        read = upto;
        loop {
            match walker.walk(&mut buffer, at)? {
                Walk::Partial(parsed) => {
                    at = parsed;
                    break;
                }
                Walk::Packet { start, end } => {
                    seen.push(format!("{:?}", walker.accept(&buffer[start + 4..end])?));
                    at = end;
                    if walker.response == Response::Complete {
                        return Ok((seen, walker.response));
                    }
                }
            }
        }
        if read == bytes.len() {
            return Ok((seen, walker.response));
        }
    }
}

fn names(response: Response, end: EndMarker, payloads: &[&[u8]]) -> Vec<String> {
    let (seen, last) = events(response, end, &stream(payloads), &[]).unwrap();
    assert_eq!(last, Response::Complete, "{seen:?}");
    seen.into_iter().map(|event| event.split(['(', ' ']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn text_results_end_in_both_modes() {
    let header = Response::Header(RowFormat::Text);
    let seen = names(header, EndMarker::Eof, &[&[1], b"\x03def", EOF, b"\x011", EOF]);
    assert_eq!(seen, ["ColumnCount", "Column", "DefinitionsEnd", "Eof"]);
    let seen = names(header, EndMarker::Ok, &[&[1], b"\x03def", b"\x011", END_OK]);
    assert_eq!(seen, ["ColumnCount", "Column", "Ok"]);
}

#[test]
fn an_error_among_rows_ends_the_answer() {
    let header = Response::Header(RowFormat::Text);
    let seen = names(header, EndMarker::Ok, &[&[1], b"\x03def", b"\x011", b"\xff\x28\x04#70100killed"]);
    assert_eq!(seen, ["ColumnCount", "Column", "Err"]);
}

#[test]
fn more_results_follow_while_the_status_says_so() {
    let more = &[0xfe, 0, 0, 10, 0, 0, 0];
    let header = Response::Header(RowFormat::Text);
    let seen = names(header, EndMarker::Ok, &[&[1], b"\x03def", more, &[0, 0, 0, 2, 0, 0, 0]]);
    assert_eq!(seen, ["ColumnCount", "Column", "Ok", "Ok"]);
}

#[test]
fn a_cursor_ends_the_answer_after_the_definitions() {
    let header = Response::Header(RowFormat::Binary);
    let seen = names(header, EndMarker::Eof, &[&[1], b"\x03def", &[0xfe, 0, 0, 0x42, 0]]);
    assert_eq!(seen, ["ColumnCount", "Column", "Eof"]);
    let seen = names(header, EndMarker::Ok, &[&[1], b"\x03def", &[0xfe, 0, 0, 0x42, 0, 0, 0]]);
    assert_eq!(seen, ["ColumnCount", "Column", "Ok"]);
}

#[test]
fn prepared_statements_answer_with_both_kinds_of_definitions() {
    let prepared = &[0, 7, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0];
    let definitions: &[&[u8]] = &[prepared, b"\x03def", b"\x03def", EOF, b"\x03def", EOF];
    let seen = names(Response::Prepared, EndMarker::Eof, definitions);
    assert_eq!(seen, ["Prepared", "Param", "Param", "DefinitionsEnd", "Column", "DefinitionsEnd"]);
    let seen = names(Response::Prepared, EndMarker::Ok, &[prepared, b"\x03def", b"\x03def", b"\x03def"]);
    assert_eq!(seen, ["Prepared", "Param", "Param", "Column"]);
    let nothing = &[0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(names(Response::Prepared, EndMarker::Eof, &[nothing]), ["Prepared"]);
}

#[test]
fn a_row_may_begin_like_an_end_if_it_is_long_enough() {
    let mut row = vec![0xfe];
    row.extend_from_slice(&(PAYLOAD_MAX as u64).to_le_bytes());
    row.resize(9 + PAYLOAD_MAX, 0xff);
    let bytes = stream(&[&[1], b"\x03def", &row, END_OK]);
    let (seen, last) = events(Response::Header(RowFormat::Text), EndMarker::Ok, &bytes, &[]).unwrap();
    assert_eq!((seen.len(), last), (3, Response::Complete));
}

#[test]
fn a_request_for_a_local_file_is_an_error() {
    let bytes = stream(&[b"\xfb/etc/passwd"]);
    assert!(events(Response::Header(RowFormat::Text), EndMarker::Ok, &bytes, &[]).is_err());
}

#[test]
fn sequence_ids_are_shifted_once_each() {
    let mut bytes = stream(&[&[1], b"\x03def", b"\x011", b"\x012", END_OK]);
    let mut walker = Walker::new(Response::Header(RowFormat::Text), EndMarker::Ok);
    walker.begin(bytes[3], 4);
    let mut at = 0;
    while walker.response != Response::Complete {
        let Walk::Packet { start, end } = walker.walk(&mut bytes, at).unwrap() else { panic!("all is there") };
        walker.accept(&bytes[start + 4..end]).unwrap();
        at = end;
    }
    assert_eq!([bytes[3], bytes[8], bytes[16], bytes[22], bytes[28]], [4, 5, 6, 7, 8]);
}

fn any_response() -> impl Strategy<Value = Response> {
    prop_oneof![
        Just(Response::Header(RowFormat::Text)),
        Just(Response::Header(RowFormat::Binary)),
        Just(Response::Rows(RowFormat::Binary)),
        Just(Response::Prepared),
        Just(Response::Fields),
        Just(Response::Line),
        Just(Response::Status),
    ]
}

fn any_end() -> impl Strategy<Value = EndMarker> {
    prop_oneof![Just(EndMarker::Eof), Just(EndMarker::Ok)]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, response in any_response(), end in any_end()) {
        drop(events(response, end, &bytes, &[]));
    }

    #[test]
    fn every_split_of_reads_gives_the_same_events(
        payloads in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 1..20),
                Just(vec![2]), Just(b"\x03def".to_vec()), Just(EOF.to_vec()), Just(END_OK.to_vec()),
                Just(vec![0, 0, 0, 10, 0, 0, 0]),
            ],
            1..12,
        ),
        reads in prop::collection::vec(1_usize..9, 1..8),
        response in any_response(),
        end in any_end(),
    ) {
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let bytes = stream(&payloads);
        prop_assert_eq!(events(response, end, &bytes, &[]), events(response, end, &bytes, &reads));
    }
}
