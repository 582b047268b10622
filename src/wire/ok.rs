//! OK and EOF packets (§ "OK_Packet", "EOF_Packet") and the session state that OK packets carry.
//!
//! The server always sends session state to Candado. A client that did not ask for it gets the packet without; one that
//! did gets it without the entries that only Candado asked for.

use super::{WireError, lenenc};

bitflags::bitflags! {
    /// Status flags (§ "SERVER_STATUS_flags_enum").
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u16 {
        /// A transaction is open.
        const IN_TRANS = 1;
        /// Autocommit is on.
        const AUTOCOMMIT = 2;
        /// Another result follows.
        const MORE_RESULTS = 8;
        /// A cursor was opened: rows come by COM_STMT_FETCH.
        const CURSOR_EXISTS = 0x40;
        /// The session's sql_mode has NO_BACKSLASH_ESCAPES.
        const NO_BACKSLASH_ESCAPES = 0x200;
        /// MariaDB: the session's sql_mode has ANSI_QUOTES.
        const ANSI_QUOTES = 0x8000;
        /// The packet carries session state.
        const SESSION_STATE_CHANGED = 0x4000;
        const _ = !0;
    }
}

/// Whether the client asked for session state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTrack {
    /// It did: entries pass, but for those that only Candado asked for.
    Wanted,
    /// It did not: it would not understand them.
    Unwanted,
}

/// An OK packet of a server with `CLIENT_SESSION_TRACK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OkPacket<'a> {
    /// 0x00, or 0xFE where it ends rows.
    pub header: u8,
    /// Affected rows.
    pub affected_rows: u64,
    /// Last insert id.
    pub last_insert_id: u64,
    /// Status flags.
    pub status: Status,
    /// Number of warnings.
    pub warnings: u16,
    /// The message, e.g. `Rows matched: 1  Changed: 1  Warnings: 0`.
    pub info: &'a [u8],
    /// Session state changes, all entries.
    pub state: &'a [u8],
}

/// One change of session state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange<'a> {
    /// A system variable has a new value.
    Variable {
        /// The variable's name.
        name: &'a [u8],
        /// Its value as text.
        value: &'a [u8],
    },
    /// The default database changed.
    Schema(&'a [u8]),
    /// Something Candado does not keep.
    Other,
}

impl<'a> OkPacket<'a> {
    /// Reads an OK packet.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let (&header, rest) = payload.split_first().ok_or(WireError::Truncated("OK packet"))?;
        let (affected_rows, rest) = lenenc::take_integer(rest, "OK packet")?;
        let (last_insert_id, rest) = lenenc::take_integer(rest, "OK packet")?;
        let (&[a, b, c, d], rest) = rest.split_first_chunk::<4>().ok_or(WireError::Truncated("OK packet"))?;
        let status = Status::from_bits_retain(u16::from_le_bytes([a, b]));
        let warnings = u16::from_le_bytes([c, d]);
        let (info, rest) =
            if rest.is_empty() { (rest, rest) } else { lenenc::take_string(rest, "OK packet's message")? };
        let state = if status.contains(Status::SESSION_STATE_CHANGED) {
            lenenc::take_string(rest, "session state")?.0
        } else {
            &[]
        };
        Ok(Self { header, affected_rows, last_insert_id, status, warnings, info, state })
    }

    /// The changes, in order.
    pub fn changes(&self) -> Changes<'a> {
        Changes { rest: self.state }
    }

    /// Appends the packet's payload as a client gets it. `hidden` says which variables only Candado asked for.
    pub fn put_for_client(
        &self,
        track: SessionTrack,
        hidden: impl Fn(&[u8]) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let mut state = Vec::new();
        match track {
            SessionTrack::Wanted => {
                let mut changes = self.changes();
                while let Some(entry) = changes.entry()? {
                    match entry.change()? {
                        StateChange::Variable { name, .. } if hidden(name) => {}
                        StateChange::Variable { .. } | StateChange::Schema(_) | StateChange::Other => {
                            state.push(entry.kind);
                            lenenc::put_string(entry.data, &mut state);
                        }
                    }
                }
            }
            SessionTrack::Unwanted => {}
        }
        let mut status = self.status;
        status.set(Status::SESSION_STATE_CHANGED, !state.is_empty());
        out.push(self.header);
        lenenc::put_integer(self.affected_rows, out);
        lenenc::put_integer(self.last_insert_id, out);
        out.extend_from_slice(&status.bits().to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        // The message has a length whatever the capabilities are, and is left out when nothing follows.
        if !state.is_empty() || !self.info.is_empty() {
            lenenc::put_string(self.info, out);
        }
        if !state.is_empty() {
            lenenc::put_string(&state, out);
        }
        Ok(())
    }
}

/// The changes of an OK packet.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    rest: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    kind: u8,
    data: &'a [u8],
}

impl<'a> Changes<'a> {
    fn entry(&mut self) -> Result<Option<Entry<'a>>, WireError> {
        let Some((&kind, rest)) = self.rest.split_first() else { return Ok(None) };
        let (data, rest) = lenenc::take_string(rest, "session state")?;
        self.rest = rest;
        Ok(Some(Entry { kind, data }))
    }

    /// The next change; `None` after the last one.
    pub fn next_change(&mut self) -> Result<Option<StateChange<'a>>, WireError> {
        self.entry()?.map(|entry| entry.change()).transpose()
    }
}

impl<'a> Entry<'a> {
    fn change(self) -> Result<StateChange<'a>, WireError> {
        match self.kind {
            0 => {
                let (name, rest) = lenenc::take_string(self.data, "session state")?;
                let (value, _) = lenenc::take_string(rest, "session state")?;
                Ok(StateChange::Variable { name, value })
            }
            1 => Ok(StateChange::Schema(lenenc::take_string(self.data, "session state")?.0)),
            _ => Ok(StateChange::Other),
        }
    }
}

/// Reads the status flags of an EOF packet.
pub fn eof_status(payload: &[u8]) -> Result<Status, WireError> {
    match payload {
        [0xfe, _, _, low, high, ..] => Ok(Status::from_bits_retain(u16::from_le_bytes([*low, *high]))),
        _ => Err(WireError::Malformed("EOF packet")),
    }
}

#[cfg(test)]
mod tests;
