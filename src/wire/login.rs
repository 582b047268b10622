//! The client's login (§ "Protocol::HandshakeResponse41", "Protocol::SSLRequest") and COM_CHANGE_USER.
//!
//! A login is read as raw ranges and written anew from them: what Candado does not change keeps its bytes.

use super::command::Command;
use super::greeting::take_nul;
use super::{Capabilities, WireError, lenenc};

/// Most bytes of connection attributes; the server takes no more.
const ATTRIBUTES_MAX: usize = 65_536;

/// The attribute in which clients name the application.
pub const APPLICATION: &[u8] = b"program_name";

/// Fixed bytes in front of the user name.
const HEAD_LENGTH: usize = 32;

/// A login packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login<'a> {
    /// What the client wants.
    pub capabilities: Capabilities,
    /// The largest packet the client takes.
    pub max_packet: u32,
    /// Low byte of the collation id.
    pub collation: u8,
    /// User name.
    pub user: &'a [u8],
    /// First answer to the server's nonce.
    pub response: &'a [u8],
    /// Default database, if one is named.
    pub database: Option<&'a [u8]>,
    /// The plugin that made `response`.
    pub plugin: &'a [u8],
    /// Connection attributes as written: pairs of length-encoded strings.
    pub attributes: &'a [u8],
}

/// The client's first packet after the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First<'a> {
    /// A wish for TLS; the login follows inside it.
    Tls,
    /// A login.
    Login(Login<'a>),
    /// A client that does not speak protocol 4.1.
    TooOld,
}

/// Reads the client's first packet.
pub fn parse(payload: &[u8]) -> Result<First<'_>, WireError> {
    let (&[a, b, c, d], _) = payload.split_first_chunk::<4>().ok_or(WireError::Truncated("login"))?;
    let capabilities = Capabilities::from_bits_retain(u32::from_le_bytes([a, b, c, d]));
    if !capabilities.contains(Capabilities::PROTOCOL_41) {
        return Ok(First::TooOld);
    }
    if payload.len() == HEAD_LENGTH && capabilities.contains(Capabilities::SSL) {
        return Ok(First::Tls);
    }
    if !capabilities.contains(Capabilities::NEEDED_OF_CLIENT) {
        return Ok(First::TooOld);
    }
    let what = WireError::Truncated("login");
    let (&[_, _, _, _, m0, m1, m2, m3, collation], rest) = payload.split_first_chunk::<9>().ok_or(what)?;
    let (_, rest) = rest.split_at_checked(23).ok_or(what)?;
    let (user, rest) = take_nul(rest).ok_or(what)?;
    let (response, rest) = take_response(rest, capabilities)?;
    let (database, rest) = if capabilities.contains(Capabilities::CONNECT_WITH_DB) {
        let (name, rest) = take_nul(rest).ok_or(what)?;
        (Some(name).filter(|name| !name.is_empty()), rest)
    } else {
        (None, rest)
    };
    // Some clients leave the last NUL out.
    let (plugin, rest) = take_nul(rest).unwrap_or((rest, &[]));
    let attributes = if capabilities.contains(Capabilities::CONNECT_ATTRS) && !rest.is_empty() {
        lenenc::take_string(rest, "connection attributes")?.0
    } else {
        &[]
    };
    let max_packet = u32::from_le_bytes([m0, m1, m2, m3]);
    Ok(First::Login(Login { capabilities, max_packet, collation, user, response, database, plugin, attributes }))
}

fn take_response(rest: &[u8], capabilities: Capabilities) -> Result<(&[u8], &[u8]), WireError> {
    if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
        return lenenc::take_string(rest, "authentication response");
    }
    let (&length, rest) = rest.split_first().ok_or(WireError::Truncated("authentication response"))?;
    rest.split_at_checked(usize::from(length)).ok_or(WireError::Truncated("authentication response"))
}

impl Login<'_> {
    /// Appends the payload of the login as the server gets it, with `capabilities` instead of the client's and `added`
    /// attributes after the client's own.
    pub fn put(&self, capabilities: Capabilities, added: &[(&str, &str)], out: &mut Vec<u8>) -> Result<(), WireError> {
        let capabilities = capabilities.union(Capabilities::CONNECT_ATTRS).union(Capabilities::PLUGIN_AUTH_LENENC);
        let capabilities = if self.database.is_some() {
            capabilities.union(Capabilities::CONNECT_WITH_DB)
        } else {
            capabilities.difference(Capabilities::CONNECT_WITH_DB)
        };
        let attributes = joined(self.attributes, added)?;
        put_head(capabilities, self.max_packet, self.collation, out);
        out.extend_from_slice(self.user);
        out.push(0);
        lenenc::put_string(self.response, out);
        if let Some(database) = self.database {
            out.extend_from_slice(database);
            out.push(0);
        }
        out.extend_from_slice(self.plugin);
        out.push(0);
        lenenc::put_string(&attributes, out);
        Ok(())
    }

    /// Appends the payload of the SSLRequest that precedes this login on a server connection with TLS.
    pub fn put_tls_request(&self, capabilities: Capabilities, out: &mut Vec<u8>) {
        put_head(capabilities.union(Capabilities::SSL), self.max_packet, self.collation, out);
    }
}

/// The 23 reserved bytes are zero: the last four are extended capabilities to MariaDB, none of which is carried.
fn put_head(capabilities: Capabilities, max_packet: u32, collation: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&capabilities.bits().to_le_bytes());
    out.extend_from_slice(&max_packet.to_le_bytes());
    out.push(collation);
    out.extend_from_slice(&[0; 23]);
}

/// The value of a connection attribute, among those that a login carries. What is malformed has none.
pub fn attribute<'a>(mut attributes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while !attributes.is_empty() {
        let (name, rest) = lenenc::take_string(attributes, "connection attributes").ok()?;
        let (value, rest) = lenenc::take_string(rest, "connection attributes").ok()?;
        if name == wanted {
            return Some(value);
        }
        attributes = rest;
    }
    None
}

/// Connection attributes with others behind them.
fn joined(attributes: &[u8], added: &[(&str, &str)]) -> Result<Vec<u8>, WireError> {
    let mut attributes = attributes.to_vec();
    for (name, value) in added {
        lenenc::put_string(name.as_bytes(), &mut attributes);
        lenenc::put_string(value.as_bytes(), &mut attributes);
    }
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(WireError::TooLarge("connection attributes"));
    }
    Ok(attributes)
}

/// A COM_CHANGE_USER's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    /// User name.
    pub user: &'a [u8],
    /// First answer, made from the nonce of before.
    pub response: &'a [u8],
    /// Default database, if one is named.
    pub database: Option<&'a [u8]>,
    /// Collation id, if the client sent one.
    pub collation: Option<u16>,
    /// The plugin that made the first answer; empty if none is named.
    pub plugin: &'a [u8],
    /// Connection attributes as written; empty from a client that sends none.
    pub attributes: &'a [u8],
}

impl<'a> ChangeUser<'a> {
    /// Reads the payload, first byte included.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        let what = WireError::Truncated("COM_CHANGE_USER");
        let (_, rest) = payload.split_first().ok_or(what)?;
        let (user, rest) = take_nul(rest).ok_or(what)?;
        let (&length, rest) = rest.split_first().ok_or(what)?;
        let (response, rest) = rest.split_at_checked(usize::from(length)).ok_or(what)?;
        let (database, rest) = take_nul(rest).ok_or(what)?;
        let database = Some(database).filter(|name| !name.is_empty());
        let Some((&collation, rest)) = rest.split_first_chunk::<2>() else {
            return Ok(Self { user, response, database, collation: None, plugin: &[], attributes: &[] });
        };
        let (plugin, rest) = take_nul(rest).unwrap_or((rest, &[]));
        let attributes = if rest.is_empty() { rest } else { lenenc::take_string(rest, "connection attributes")?.0 };
        Ok(Self { user, response, database, collation: Some(u16::from_le_bytes(collation)), plugin, attributes })
    }

    /// Appends the payload as the server gets it, with `added` attributes after the client's own. The server was told at
    /// login that there are attributes, whatever the client said: without any it would refuse the command. A client
    /// that leaves out collation and plugin gets the server's answer to that.
    pub fn put(&self, added: &[(&str, &str)], out: &mut Vec<u8>) -> Result<(), WireError> {
        let length = u8::try_from(self.response.len()).map_err(|_| WireError::TooLarge("authentication response"))?;
        out.push(Command::CHANGE_USER);
        out.extend_from_slice(self.user);
        out.extend_from_slice(&[0, length]);
        out.extend_from_slice(self.response);
        out.extend_from_slice(self.database.unwrap_or_default());
        out.push(0);
        let Some(collation) = self.collation else { return Ok(()) };
        out.extend_from_slice(&collation.to_le_bytes());
        out.extend_from_slice(self.plugin);
        out.push(0);
        lenenc::put_string(&joined(self.attributes, added)?, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
