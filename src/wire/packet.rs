//! Packet headers and the 16 MB boundary (§ "MySQL Packets").
//!
//! A payload of 0xFFFFFF bytes or more travels as several packets, the last one shorter than 0xFFFFFF (possibly empty).
//! Payloads are looked at where they lie; only one that spans packets is joined, into the caller's buffer.

use super::WireError;

/// Bytes of a packet header: three of length, one of sequence id.
pub const HEADER_LENGTH: usize = 4;
/// The length of a packet that is continued by the next one.
pub const PAYLOAD_MAX: usize = 0xff_ffff;

/// A packet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the payload in this packet.
    pub length: usize,
    /// Sequence id.
    pub sequence: u8,
}

impl Header {
    /// Reads the header at the front of `bytes`; `None` if it is not all there.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (&[a, b, c, sequence], _) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        Some(Self { length, sequence })
    }

    /// The header's bytes. Lengths above [`PAYLOAD_MAX`] do not occur: callers split.
    #[inline]
    pub fn bytes(self) -> [u8; HEADER_LENGTH] {
        let [a, b, c, ..] = self.length.to_le_bytes();
        [a, b, c, self.sequence]
    }

    /// Whether the payload goes on in the next packet.
    #[inline]
    pub fn is_continued(self) -> bool {
        self.length == PAYLOAD_MAX
    }

    /// Bytes of header and payload.
    #[inline]
    pub fn packet_length(self) -> usize {
        self.length.saturating_add(HEADER_LENGTH)
    }
}

/// A payload with all its packets, found at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Sequence id of the first packet.
    pub first_sequence: u8,
    /// Sequence id of the last packet.
    pub last_sequence: u8,
    /// Length of the first packet's payload.
    pub first_length: usize,
    /// Length of the payload over all packets.
    pub payload_length: usize,
    /// Bytes of all packets with their headers.
    pub length: usize,
}

impl Whole {
    /// Finds the payload at the front of `bytes`; `None` if it is not all there.
    ///
    /// Fails when the payload is longer than `payload_max`, as soon as a header says so, and when sequence ids jump.
    pub fn find(bytes: &[u8], payload_max: usize, what: &'static str) -> Result<Option<Self>, WireError> {
        let Some(first) = Header::read(bytes) else { return Ok(None) };
        let mut whole = Self {
            first_sequence: first.sequence,
            last_sequence: first.sequence,
            first_length: first.length,
            payload_length: first.length,
            length: first.packet_length(),
        };
        let mut header = first;
        loop {
            if whole.payload_length > payload_max {
                return Err(WireError::TooLarge(what));
            }
            let Some(rest) = bytes.get(whole.length..) else { return Ok(None) };
            if !header.is_continued() {
                return Ok(Some(whole));
            }
            let Some(next) = Header::read(rest) else { return Ok(None) };
            if next.sequence != header.sequence.wrapping_add(1) {
                return Err(WireError::Malformed("sequence id"));
            }
            whole.last_sequence = next.sequence;
            whole.payload_length = whole.payload_length.saturating_add(next.length);
            whole.length = whole.length.saturating_add(next.packet_length());
            header = next;
        }
    }

    /// The payload: a slice of `bytes`, or joined into `joined` if it spans packets.
    pub fn payload<'a>(&self, bytes: &'a [u8], joined: &'a mut Vec<u8>) -> Result<&'a [u8], WireError> {
        let bytes = bytes.get(..self.length).ok_or(WireError::Truncated("packet"))?;
        if self.first_length == self.payload_length && self.first_length < PAYLOAD_MAX {
            return bytes.get(HEADER_LENGTH..).ok_or(WireError::Truncated("packet"));
        }
        joined.clear();
        joined.reserve(self.payload_length);
        let mut rest = bytes;
        while let Some(header) = Header::read(rest) {
            let (packet, after) =
                rest.split_at_checked(header.packet_length()).ok_or(WireError::Truncated("packet"))?;
            joined.extend_from_slice(packet.get(HEADER_LENGTH..).unwrap_or_default());
            rest = after;
        }
        Ok(joined)
    }
}

/// Appends a payload as one or more packets; returns the sequence id that follows the last one.
pub fn put(payload: &[u8], sequence: u8, out: &mut Vec<u8>) -> u8 {
    let mut sequence = sequence;
    let mut rest = payload;
    loop {
        let (chunk, after) = rest.split_at_checked(PAYLOAD_MAX).unwrap_or((rest, &[]));
        let header = Header { length: chunk.len(), sequence };
        out.extend_from_slice(&header.bytes());
        out.extend_from_slice(chunk);
        sequence = sequence.wrapping_add(1);
        if !header.is_continued() {
            return sequence;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests;
