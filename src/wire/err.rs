//! ERR packets (§ "ERR_Packet").

use super::WireError;

/// First byte of an ERR packet.
pub const ERR: u8 = 0xff;

/// Whether the peer already speaks protocol 4.1, in which errors carry an SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlState {
    /// As all packets after the login.
    Present,
    /// Before the login the server does not know what the client understands.
    Absent,
}

/// Appends the payload of an ERR packet.
pub fn put(code: u16, sqlstate: [u8; 5], text: &str, form: SqlState, out: &mut Vec<u8>) {
    out.push(ERR);
    out.extend_from_slice(&code.to_le_bytes());
    match form {
        SqlState::Present => {
            out.push(b'#');
            out.extend_from_slice(&sqlstate);
        }
        SqlState::Absent => {}
    }
    out.extend_from_slice(text.as_bytes());
}

/// Reads the error code of an ERR packet.
pub fn code(payload: &[u8]) -> Result<u16, WireError> {
    match payload {
        [ERR, low, high, ..] => Ok(u16::from_le_bytes([*low, *high])),
        _ => Err(WireError::Malformed("ERR packet")),
    }
}
