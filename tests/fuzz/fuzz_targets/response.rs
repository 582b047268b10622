//! Answers: any bytes, read in any pieces, give the same events and the same end.
#![no_main]

use candado::wire::WireError;
use candado::wire::ok::SessionTrack;
use candado::wire::response::{EndMarker, Event, Response, RowFormat, Walk, Walker};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, u8, Vec<u8>)| {
    let (kind, is_old, piece, bytes) = input;
    let response = match kind % 6 {
        0 => Response::Header(RowFormat::Text),
        1 => Response::Header(RowFormat::Binary),
        2 => Response::Rows(RowFormat::Binary),
        3 => Response::Prepared,
        4 => Response::Fields,
        _ => Response::Status,
    };
    let end = if is_old { EndMarker::Eof } else { EndMarker::Ok };
    let whole = walk(response, end, &bytes, bytes.len());
    let pieces = walk(response, end, &bytes, usize::from(piece).max(1));
    assert_eq!(whole, pieces);
});

fn walk(response: Response, end: EndMarker, bytes: &[u8], piece: usize) -> Result<Vec<String>, WireError> {
    let mut walker = Walker::new(response, end, 0);
    let (mut read, mut at, mut events) = (Vec::new(), 0, Vec::new());
    for part in bytes.chunks(piece.max(1)) {
        read.extend_from_slice(part);
        loop {
            match walker.walk(&mut read, at)? {
                Walk::Partial(upto) => {
                    at = upto;
                    break;
                }
                Walk::Packet { start, end } => {
                    let event = walker.accept(&read[start + 4..end])?;
                    if let Event::Ok(ok) = event {
                        // What a client gets of it may be an error, never a panic.
                        drop(ok.put_for_client(SessionTrack::Wanted, |name| name == b"sql_mode", &mut Vec::new()));
                    }
                    events.push(format!("{event:?}"));
                    at = end;
                }
            }
            if walker.response == Response::Complete {
                return Ok(events);
            }
        }
    }
    Ok(events)
}
