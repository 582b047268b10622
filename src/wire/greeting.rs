//! The server's greeting (§ "Protocol::HandshakeV10"), patched where it lies.
//!
//! Only capability bytes change. Version, thread id (which KILL needs) and nonce are the server's own.

use super::{Capabilities, WireError};

/// What Candado reads of a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The version as the server writes it, e.g. `5.5.5-10.11.18-MariaDB`.
    pub version: Vec<u8>,
    /// The server's id of this connection.
    pub thread_id: u32,
    /// What the server offers.
    pub capabilities: Capabilities,
    /// The 20 bytes that scrambled passwords depend on.
    pub nonce: Vec<u8>,
    /// The plugin that the server starts with.
    pub plugin: Vec<u8>,
    capabilities_low_at: usize,
    capabilities_high_at: usize,
}

/// Whether the client is offered TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferTls {
    /// Candado has a certificate for it.
    Yes,
    /// It has none.
    No,
}

impl Greeting {
    /// Reads a greeting.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let what = WireError::Truncated("greeting");
        let Some((10, rest)) = payload.split_first() else { return Err(WireError::Malformed("greeting")) };
        let (version, rest) = take_nul(rest).ok_or(what)?;
        let (thread_id, rest) = rest.split_first_chunk::<4>().ok_or(what)?;
        let (nonce_head, rest) = rest.split_at_checked(8).ok_or(what)?;
        let (_, rest) = rest.split_first().ok_or(what)?;
        let capabilities_low_at = payload.len().saturating_sub(rest.len());
        let (low, rest) = rest.split_first_chunk::<2>().ok_or(what)?;
        // Character set and status flags lie between the two halves.
        let (_, rest) = rest.split_at_checked(3).ok_or(what)?;
        let capabilities_high_at = payload.len().saturating_sub(rest.len());
        let (high, rest) = rest.split_first_chunk::<2>().ok_or(what)?;
        let bits = u32::from(u16::from_le_bytes(*low)) | u32::from(u16::from_le_bytes(*high)) << 16;
        let (_, rest) = rest.split_at_checked(11).ok_or(what)?;
        let (nonce_tail, plugin) = rest.split_at_checked(12).ok_or(what)?;
        let plugin = plugin.split_first().map_or(&[][..], |(_, rest)| rest);
        let plugin = plugin.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self {
            version: version.to_vec(),
            thread_id: u32::from_le_bytes(*thread_id),
            capabilities: Capabilities::from_bits_retain(bits),
            nonce: [nonce_head, nonce_tail].concat(),
            plugin: plugin.to_vec(),
            capabilities_low_at,
            capabilities_high_at,
        })
    }

    /// What the client is offered.
    pub fn offered(&self, tls: OfferTls) -> Capabilities {
        let mut offered = self.capabilities.difference(Capabilities::REFUSED);
        offered.set(Capabilities::SSL, tls == OfferTls::Yes);
        offered
    }

    /// Writes `offered` into the payload this greeting was read from, and clears MariaDB's extended capabilities.
    pub fn patch(&self, payload: &mut [u8], offered: Capabilities) -> Result<(), WireError> {
        let [a, b, c, d] = offered.bits().to_le_bytes();
        let mut put = |at: usize, bytes: &[u8]| {
            let end = at.saturating_add(bytes.len());
            payload.get_mut(at..end).map(|place| place.copy_from_slice(bytes)).ok_or(WireError::Truncated("greeting"))
        };
        put(self.capabilities_low_at, &[a, b])?;
        put(self.capabilities_high_at, &[c, d])?;
        if !self.capabilities.contains(Capabilities::LONG_PASSWORD) {
            // After the high half come the nonce's length and ten reserved bytes, of which the last four are MariaDB's.
            put(self.capabilities_high_at.saturating_add(9), &[0; 4])?;
        }
        Ok(())
    }
}

/// Splits a NUL-terminated string off the front.
pub(super) fn take_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    rest.split_first().map(|(_, rest)| (text, rest))
}

#[cfg(test)]
mod tests;
