//! Text result sets that Candado makes itself (§ "Text Resultset"): columns of text, no NULL.

use super::column::{self, ColumnAttributes, ColumnType};
use super::ok::Status;
use super::response::EndMarker;
use super::{lenenc, packet};

/// What a result set says beside its rows.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Collation id of text columns of results.
    pub collation_id: u16,
    /// How the client expects ends to be marked.
    pub end: EndMarker,
    /// The session's status.
    pub status: Status,
}

/// Most bytes that a column announces for its values; a value may be longer.
const LENGTH: u32 = 0xffff;

/// Appends the packets of a result set; returns the sequence id that follows the last one.
pub fn put(columns: &[&str], rows: &[Vec<Vec<u8>>], frame: &Frame, sequence: u8, out: &mut Vec<u8>) -> u8 {
    let attributes = ColumnAttributes {
        collation_id: frame.collation_id,
        length: LENGTH,
        column_type: ColumnType::VarString as u8,
        flags: 0,
        decimals: 0,
    };
    let mut payload = Vec::new();
    lenenc::put_integer(columns.len() as u64, &mut payload);
    let mut sequence = packet::put(&payload, sequence, out);
    for name in columns {
        payload.clear();
        column::put_alone(name.as_bytes(), &attributes, &mut payload);
        sequence = packet::put(&payload, sequence, out);
    }
    match frame.end {
        EndMarker::Eof => sequence = put_end(frame, sequence, out),
        EndMarker::Ok => {}
    }
    for row in rows {
        payload.clear();
        for cell in row {
            lenenc::put_string(cell, &mut payload);
        }
        sequence = packet::put(&payload, sequence, out);
    }
    put_end(frame, sequence, out)
}

fn put_end(frame: &Frame, sequence: u8, out: &mut Vec<u8>) -> u8 {
    let [low, high] = frame.status.bits().to_le_bytes();
    match frame.end {
        // Warnings, status.
        EndMarker::Eof => packet::put(&[0xfe, 0, 0, low, high], sequence, out),
        // Affected rows, last insert id, status, warnings.
        EndMarker::Ok => packet::put(&[0xfe, 0, 0, low, high, 0, 0], sequence, out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::ColumnDefinition;
    use super::super::packet::Whole;
    use super::super::response::{Event, Response, RowFormat};
    use super::super::text_row::TextCells;
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let rows: Vec<Vec<Vec<u8>>> = [["a", "b"], ["", "long"]].map(|row| row.map(Vec::from).to_vec()).to_vec();
        for end in [EndMarker::Eof, EndMarker::Ok] {
            let frame = Frame { collation_id: 45, end, status: Status::AUTOCOMMIT };
            let mut bytes = Vec::new();
            let next = put(&["one", "two"], &rows, &frame, 1, &mut bytes);
            let (mut rest, mut response, mut found, mut names) =
                (bytes.as_slice(), Response::Header(RowFormat::Text), 0, vec![]);
            let mut expected = 1;
            while response != Response::Complete {
                let whole = Whole::find(rest, 1 << 20, "packet").unwrap().unwrap();
                assert_eq!(whole.first_sequence, expected);
                expected += 1;
                let mut joined = Vec::new();
                let payload = whole.payload(rest, &mut joined).unwrap();
                let (after, event) = response.on_packet(end, whole.first_length, payload).unwrap();
                match event {
                    Event::Column(definition) => {
                        let definition = ColumnDefinition::parse(definition).unwrap();
                        assert_eq!((definition.org_name, definition.attributes.collation_id), (&b""[..], 45));
                        names.push(std::str::from_utf8(definition.name).unwrap().to_owned());
                    }
                    Event::Row(row) => {
                        let mut cells = TextCells::new(row);
                        for cell in &rows[found] {
                            assert_eq!(&row[cells.next_cell().unwrap().value.unwrap()], cell);
                        }
                        cells.finish().unwrap();
                        found += 1;
                    }
                    Event::Ok(ok) => assert_eq!(ok.status, Status::AUTOCOMMIT),
                    Event::Eof(status) => assert_eq!(status, Status::AUTOCOMMIT),
                    Event::ColumnCount(_) | Event::DefinitionsEnd => {}
                    Event::Param(_) | Event::Prepared(_) | Event::Line | Event::Err(_) => panic!("{event:?}"),
                }
                response = after;
                rest = &rest[whole.length..];
            }
            assert_eq!((names, found, rest.len(), next), (vec!["one".to_owned(), "two".to_owned()], 2, 0, expected));
        }
    }
}
