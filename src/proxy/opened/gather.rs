//! Gathering what the client gets. Opened rows are among it: when there is more, no copy of them is left behind.

use super::Reader;
use crate::client_error::ClientError;
use crate::crypto::make_room;
use crate::proxy::decision;
use crate::proxy::registry::Connection;
use crate::wire::packet::{self, HEADER_LENGTH, PAYLOAD_MAX};

/// Gathers a payload. Returns the sequence id of the next packet.
pub(super) fn put(payload: &[u8], sequence: u8, gathered: &mut Vec<u8>) -> u8 {
    let packets = (payload.len() / PAYLOAD_MAX).saturating_add(1);
    make_room(gathered, payload.len().saturating_add(packets.saturating_mul(HEADER_LENGTH)));
    packet::put(payload, sequence, gathered)
}

impl Reader {
    /// Gathers an error.
    pub(super) fn put_error(&mut self, error: &ClientError, connection: &Connection) {
        let mut bytes = Vec::new();
        self.sequence = decision::put_error(error, connection, self.sequence, &mut bytes);
        make_room(&mut self.gathered, bytes.len());
        self.gathered.extend_from_slice(&bytes);
    }
}
