//! The packets that answer a command, as a state machine (§ "Command Phase").
//!
//! [`Response`] says what the next packet means; a packet moves it on. [`Walker`] runs it over packets that are passed
//! on as they are, looking at no more of a row than its header.

use super::ok::{self, OkPacket, Status};
use super::packet::{HEADER_LENGTH, Header, PAYLOAD_MAX};
use super::{WireError, lenenc};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// COM_QUERY.
    Text,
    /// COM_STMT_EXECUTE and COM_STMT_FETCH.
    Binary,
}

/// What ends definitions and rows: decided by `CLIENT_DEPRECATE_EOF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndMarker {
    /// An EOF packet after definitions and after rows.
    Eof,
    /// Nothing after definitions, an OK packet with header 0xFE after rows.
    Ok,
}

/// What the next packet of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// OK, ERR or the number of columns.
    Header(RowFormat),
    /// One of the column definitions.
    Columns {
        /// How the rows will be written.
        format: RowFormat,
        /// Definitions to come.
        left: u16,
    },
    /// The EOF packet after the definitions.
    ColumnsEnd(RowFormat),
    /// A row or the end of rows.
    Rows(RowFormat),
    /// COM_STMT_PREPARE's OK or ERR.
    Prepared,
    /// A prepared statement's parameter definition.
    Params {
        /// Definitions to come.
        left: u16,
        /// Columns after them.
        columns: u16,
    },
    /// The EOF packet after the parameters.
    ParamsEnd {
        /// Columns after it.
        columns: u16,
    },
    /// A prepared statement's column definition.
    PreparedColumns {
        /// Definitions to come.
        left: u16,
    },
    /// The EOF packet after a prepared statement's columns.
    PreparedColumnsEnd,
    /// COM_FIELD_LIST: definitions until the end marker.
    Fields,
    /// COM_STATISTICS: one packet of text.
    Line,
    /// Commands that answer OK, EOF or ERR.
    Status,
    /// Nothing: the answer is complete.
    Complete,
}

/// COM_STMT_PREPARE's OK packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOk {
    /// The server's statement id.
    pub statement: u32,
    /// Columns of the result.
    pub columns: u16,
    /// Parameters.
    pub params: u16,
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The number of columns.
    ColumnCount(u16),
    /// A column definition of a result, of a prepared statement or of COM_FIELD_LIST.
    Column(&'a [u8]),
    /// A parameter definition.
    Param(&'a [u8]),
    /// The EOF packet after definitions.
    DefinitionsEnd,
    /// A row.
    Row(&'a [u8]),
    /// An OK packet, whatever its first byte.
    Ok(OkPacket<'a>),
    /// An EOF packet that ends rows or an answer.
    Eof(Status),
    /// COM_STMT_PREPARE's OK.
    Prepared(PrepareOk),
    /// COM_STATISTICS' text.
    Line,
    /// An ERR packet, which ends the answer.
    Err(&'a [u8]),
}

impl Response {
    /// Whether the packet may be passed on by its header alone: a row, told by its length and first byte.
    #[inline]
    pub fn is_row(self, end: EndMarker, length: usize, first: u8) -> bool {
        matches!(self, Self::Rows(_)) && first != 0xff && !(first == 0xfe && is_end_length(end, length))
    }

    /// Takes a packet. `length` is that of the first packet if the payload spans several.
    pub fn on_packet<'a>(
        self,
        end: EndMarker,
        length: usize,
        payload: &'a [u8],
    ) -> Result<(Self, Event<'a>), WireError> {
        let Some(&first) = payload.first() else { return self.on_empty() };
        if first == 0xff && self != Self::Complete && self != Self::Line {
            return Ok((Self::Complete, Event::Err(payload)));
        }
        match self {
            Self::Header(format) => Self::on_header(format, payload, first),
            Self::Columns { format, left } => {
                let next = match (left, end) {
                    (2.., _) => Self::Columns { format, left: left.saturating_sub(1) },
                    (0 | 1, EndMarker::Eof) => Self::ColumnsEnd(format),
                    (0 | 1, EndMarker::Ok) => Self::Rows(format),
                };
                Ok((next, Event::Column(payload)))
            }
            Self::ColumnsEnd(format) => {
                let status = ok::eof_status(payload)?;
                // With a cursor the rows come by COM_STMT_FETCH.
                if status.contains(Status::CURSOR_EXISTS) {
                    return Ok((after(status, format), Event::Eof(status)));
                }
                Ok((Self::Rows(format), Event::DefinitionsEnd))
            }
            Self::Rows(format) if first == 0xfe && is_end_length(end, length) => on_end(end, format, payload),
            Self::Rows(_) => Ok((self, Event::Row(payload))),
            Self::Prepared => Self::on_prepared(payload),
            Self::Params { left, columns } => {
                let next = match (left, end) {
                    (2.., _) => Self::Params { left: left.saturating_sub(1), columns },
                    (0 | 1, EndMarker::Eof) => Self::ParamsEnd { columns },
                    (0 | 1, EndMarker::Ok) => prepared_columns(columns),
                };
                Ok((next, Event::Param(payload)))
            }
            Self::ParamsEnd { columns } => {
                ok::eof_status(payload)?;
                Ok((prepared_columns(columns), Event::DefinitionsEnd))
            }
            Self::PreparedColumns { left } => {
                let next = match (left, end) {
                    (2.., _) => Self::PreparedColumns { left: left.saturating_sub(1) },
                    (0 | 1, EndMarker::Eof) => Self::PreparedColumnsEnd,
                    (0 | 1, EndMarker::Ok) => Self::Complete,
                };
                Ok((next, Event::Column(payload)))
            }
            Self::PreparedColumnsEnd => {
                ok::eof_status(payload)?;
                Ok((Self::Complete, Event::DefinitionsEnd))
            }
            Self::Fields if first == 0xfe && is_end_length(end, length) => {
                let (_, event) = on_end(end, RowFormat::Text, payload)?;
                Ok((Self::Complete, event))
            }
            Self::Fields => Ok((self, Event::Column(payload))),
            Self::Line => Ok((Self::Complete, Event::Line)),
            Self::Status => match first {
                0x00 => Ok((Self::Complete, Event::Ok(OkPacket::parse(payload)?))),
                0xfe => {
                    let (_, event) = on_end(end, RowFormat::Text, payload)?;
                    Ok((Self::Complete, event))
                }
                _ => Err(WireError::Unexpected("response")),
            },
            Self::Complete => Err(WireError::Unexpected("idle connection")),
        }
    }

    /// A row of no columns does not exist, and every other packet but COM_STATISTICS' text has a first byte.
    fn on_empty<'a>(self) -> Result<(Self, Event<'a>), WireError> {
        if self == Self::Line {
            return Ok((Self::Complete, Event::Line));
        }
        Err(WireError::Truncated("response"))
    }

    fn on_header(format: RowFormat, payload: &[u8], first: u8) -> Result<(Self, Event<'_>), WireError> {
        match first {
            0x00 => {
                let ok = OkPacket::parse(payload)?;
                Ok((after(ok.status, format), Event::Ok(ok)))
            }
            // LOAD DATA LOCAL, which the login never allows: a server that asks for a file anyway is not to be trusted.
            0xfb => Err(WireError::Unexpected("response: a request for a local file")),
            0xfe if payload.len() < 9 => {
                let status = ok::eof_status(payload)?;
                Ok((after(status, format), Event::Eof(status)))
            }
            _ => {
                let (count, _) = lenenc::take_integer(payload, "column count")?;
                let columns = u16::try_from(count).map_err(|_| WireError::TooLarge("column count"))?;
                Ok((Self::Columns { format, left: columns }, Event::ColumnCount(columns)))
            }
        }
    }

    fn on_prepared(payload: &[u8]) -> Result<(Self, Event<'_>), WireError> {
        let Some(&[0, s0, s1, s2, s3, c0, c1, p0, p1]) = payload.first_chunk::<9>() else {
            return Err(WireError::Malformed("COM_STMT_PREPARE's answer"));
        };
        let prepared = PrepareOk {
            statement: u32::from_le_bytes([s0, s1, s2, s3]),
            columns: u16::from_le_bytes([c0, c1]),
            params: u16::from_le_bytes([p0, p1]),
        };
        let next = match prepared.params {
            0 => prepared_columns(prepared.columns),
            left => Self::Params { left, columns: prepared.columns },
        };
        Ok((next, Event::Prepared(prepared)))
    }
}

fn prepared_columns(columns: u16) -> Response {
    if columns == 0 { Response::Complete } else { Response::PreparedColumns { left: columns } }
}

/// What follows a packet with that status.
fn after(status: Status, format: RowFormat) -> Response {
    if status.contains(Status::MORE_RESULTS) { Response::Header(format) } else { Response::Complete }
}

/// A packet that starts with 0xFE ends rows only if it is too short to be a row: a row starts so when its first cell has
/// 16 MB or more, and then its first packet is a full one.
#[inline]
fn is_end_length(end: EndMarker, length: usize) -> bool {
    match end {
        EndMarker::Eof => length < 9,
        EndMarker::Ok => length < PAYLOAD_MAX,
    }
}

fn on_end(end: EndMarker, format: RowFormat, payload: &[u8]) -> Result<(Response, Event<'_>), WireError> {
    match end {
        // MariaDB ends definitions before a cursor with an EOF packet in both modes.
        EndMarker::Ok if payload.len() > 5 => {
            let ok = OkPacket::parse(payload)?;
            Ok((after(ok.status, format), Event::Ok(ok)))
        }
        EndMarker::Ok | EndMarker::Eof => {
            let status = ok::eof_status(payload)?;
            Ok((after(status, format), Event::Eof(status)))
        }
    }
}

/// Runs a [`Response`] over packets that are relayed where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Walker {
    /// What the next packet is.
    pub response: Response,
    end: EndMarker,
    /// Added to every sequence id on its way: the difference that a rewritten command's length made, from [`Self::begin`] on.
    sequence_shift: u8,
    place: Place,
}

/// Where in a relayed row the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At a header.
    Start,
    /// At the header of a row's next packet, whose first byte says nothing.
    Continuation,
    /// In a row's payload.
    Inside { left: usize, then: AfterPacket },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterPacket {
    Start,
    Continuation,
}

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// All bytes before this position can go; the rest is not all there.
    Partial(usize),
    /// A packet that is more than a row lies here, header included; [`Walker::accept`] takes its payload.
    Packet {
        /// Position of its header.
        start: usize,
        /// Position after its payload.
        end: usize,
    },
}

impl Walker {
    /// Begins an answer.
    pub fn new(response: Response, end: EndMarker) -> Self {
        Self { response, end, sequence_shift: 0, place: Place::Start }
    }

    /// The answer begins with a packet of that sequence id, which the client expects under the other one: a rewritten command
    /// may have another number of packets, and a server that refuses one does not wait for its end.
    pub fn begin(&mut self, sent: u8, expected: u8) {
        self.sequence_shift = expected.wrapping_sub(sent);
    }

    /// Goes over rows from `at` on until something else or the end of the bytes comes.
    pub fn walk(&mut self, bytes: &mut [u8], at: usize) -> Result<Walk, WireError> {
        let mut at = at;
        loop {
            if let Place::Inside { left, then } = self.place {
                let there = bytes.len().saturating_sub(at);
                if there < left {
                    self.place = Place::Inside { left: left.saturating_sub(there), then };
                    return Ok(Walk::Partial(bytes.len()));
                }
                at = at.saturating_add(left);
                self.place = match then {
                    AfterPacket::Start => Place::Start,
                    AfterPacket::Continuation => Place::Continuation,
                };
            }
            let Some(rest) = bytes.get_mut(at..) else { return Ok(Walk::Partial(at)) };
            let Some(header) = Header::read(rest) else { return Ok(Walk::Partial(at)) };
            let is_row = match self.place {
                Place::Continuation => true,
                Place::Start | Place::Inside { .. } => match rest.get(HEADER_LENGTH) {
                    Some(first) if header.length > 0 => self.response.is_row(self.end, header.length, *first),
                    Some(_) => false,
                    None if header.length == 0 => false,
                    None => return Ok(Walk::Partial(at)),
                },
            };
            if is_row {
                self.shift(rest);
                let then = if header.is_continued() { AfterPacket::Continuation } else { AfterPacket::Start };
                self.place = Place::Inside { left: header.length, then };
                at = at.saturating_add(HEADER_LENGTH);
                continue;
            }
            if header.is_continued() {
                return Err(WireError::TooLarge("packet"));
            }
            if rest.len() < header.packet_length() {
                return Ok(Walk::Partial(at));
            }
            self.shift(rest);
            return Ok(Walk::Packet { start: at, end: at.saturating_add(header.packet_length()) });
        }
    }

    /// Takes the payload that [`Walk::Packet`] announced.
    pub fn accept<'a>(&mut self, payload: &'a [u8]) -> Result<Event<'a>, WireError> {
        let (next, event) = self.response.on_packet(self.end, payload.len(), payload)?;
        self.response = next;
        Ok(event)
    }

    #[inline]
    fn shift(&self, packet: &mut [u8]) {
        if self.sequence_shift != 0
            && let Some(sequence) = packet.get_mut(3)
        {
            *sequence = sequence.wrapping_add(self.sequence_shift);
        }
    }
}

#[cfg(test)]
mod tests;
