//! The answer to a command: any bytes are packets of it or an error, the same ones however the bytes arrive.
#![no_main]

use candado::wire::response::{EndMarker, Response, RowFormat, Walk, Walker};
use libfuzzer_sys::fuzz_target;

/// What was seen: where each packet lay and what came next, how far the walk got, and the bytes as they go on.
type Seen = (Vec<(usize, usize, Response)>, Option<usize>, Vec<u8>);

fuzz_target!(|data: &[u8]| {
    let [settings, shift, piece, answer @ ..] = data else { return };
    let response = match (settings & 127) % 7 {
        0 => Response::Header(RowFormat::Text),
        1 => Response::Header(RowFormat::Binary),
        2 => Response::Prepared,
        3 => Response::Fields,
        4 => Response::Status,
        5 => Response::Rows(RowFormat::Binary),
        _ => Response::Line,
    };
    let end = if settings & 128 == 0 { EndMarker::Ok } else { EndMarker::Eof };
    let mut walker = Walker::new(response, end);
    walker.begin(0, *shift);
    let whole = seen(walker, answer.len(), answer.to_vec());
    assert_eq!(seen(walker, usize::from(*piece).max(1), answer.to_vec()), whole);
});

/// Walks over the answer while it arrives in pieces of that length.
fn seen(mut walker: Walker, piece: usize, mut answer: Vec<u8>) -> Seen {
    let mut packets = Vec::new();
    let (mut arrived, mut at) = (0, 0);
    loop {
        arrived = answer.len().min(arrived + piece);
        loop {
            match walker.walk(&mut answer[..arrived], at) {
                Ok(Walk::Partial(next)) => {
                    assert!(next >= at && next <= arrived);
                    at = next;
                    break;
                }
                Ok(Walk::Packet { start, end }) => {
                    assert!(start >= at && end > start && end <= arrived);
                    if walker.accept(&answer[start + 4..end]).is_err() {
                        return (packets, None, answer);
                    }
                    packets.push((start, end, walker.response));
                    at = end;
                }
                Err(_) => return (packets, None, answer),
            }
        }
        if arrived == answer.len() {
            return (packets, Some(at), answer);
        }
    }
}
