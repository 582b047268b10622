//! Packets between login and OK (§ "Authentication Phase"), and which plugins may pass between sides of which security.
//!
//! Candado relays the exchange and keeps no password. Where it must change the form of one (see [`Passage`]), the bytes
//! are [`crate::proxy`]'s for the length of one packet.

use super::WireError;
use super::greeting::take_nul;

/// An authentication plugin, by the way its exchange can be relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// Answers depend on nonce and password alone: `mysql_native_password`, `client_ed25519`, `parsec`.
    ChallengeResponse,
    /// `caching_sha2_password`: a challenge that may fall back to the password itself.
    CachingSha2,
    /// The password in clear: `mysql_clear_password`, `dialog`, `authentication_openid_connect_client`.
    Clear,
    /// Anything else. Its messages may depend on the security of the connection.
    Opaque,
    /// `mysql_old_password`, broken since long.
    Old,
}

impl Plugin {
    /// Names the plugin.
    pub fn from_name(name: &[u8]) -> Self {
        match name {
            b"mysql_native_password" | b"client_ed25519" | b"parsec" => Self::ChallengeResponse,
            b"caching_sha2_password" => Self::CachingSha2,
            b"mysql_clear_password" | b"dialog" | b"authentication_openid_connect_client" => Self::Clear,
            b"mysql_old_password" => Self::Old,
            _ => Self::Opaque,
        }
    }
}

/// Whether one side of the proxy is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TCP in clear.
    Plain,
    /// TLS.
    Tls,
}

/// How an exchange passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Every packet as it is.
    Relay,
    /// A password that the client sends inside TLS is encrypted with the server's RSA key.
    EncryptForServer,
    /// A password that the client encrypted with Candado's RSA key is sent to the server inside TLS.
    DecryptForServer,
    /// Not at all.
    Refuse,
}

/// The passage of a plugin's exchange between two sides.
pub fn passage(plugin: Plugin, client: Security, server: Security) -> Passage {
    match (plugin, client, server) {
        (Plugin::ChallengeResponse, _, _) => Passage::Relay,
        (Plugin::CachingSha2, Security::Tls, Security::Plain) => Passage::EncryptForServer,
        (Plugin::CachingSha2, Security::Plain, Security::Tls) => Passage::DecryptForServer,
        (Plugin::CachingSha2 | Plugin::Opaque, Security::Plain, Security::Plain)
        | (Plugin::CachingSha2 | Plugin::Opaque | Plugin::Clear, Security::Tls, Security::Tls) => Passage::Relay,
        (Plugin::Clear | Plugin::Opaque, _, _) | (Plugin::Old, _, _) => Passage::Refuse,
    }
}

/// A packet of the server before its OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The client is in.
    Ok,
    /// The client is out.
    Err,
    /// Another plugin, or another factor, with new data.
    Switch {
        /// The plugin.
        plugin: Plugin,
        /// Its data; for challenges the nonce, usually with a NUL behind.
        data: &'a [u8],
    },
    /// `caching_sha2_password`: the challenge was enough; OK follows.
    FastOk,
    /// `caching_sha2_password`: the password itself is wanted.
    FullWanted,
    /// Any other data of the plugin.
    More(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Reads a packet, given the plugin that is at work.
    pub fn parse(payload: &'a [u8], plugin: Plugin) -> Result<Self, WireError> {
        match payload {
            [0x00, ..] => Ok(Self::Ok),
            [0xff, ..] => Ok(Self::Err),
            [0xfe] => Ok(Self::Switch { plugin: Plugin::Old, data: &[] }),
            [0xfe | 0x02, rest @ ..] => {
                let (name, data) = take_nul(rest).ok_or(WireError::Truncated("authentication switch"))?;
                Ok(Self::Switch { plugin: Plugin::from_name(name), data })
            }
            [0x01, 3] if plugin == Plugin::CachingSha2 => Ok(Self::FastOk),
            [0x01, 4] if plugin == Plugin::CachingSha2 => Ok(Self::FullWanted),
            [0x01, data @ ..] => Ok(Self::More(data)),
            _ => Err(WireError::Unexpected("authentication")),
        }
    }
}

/// The client's packet that asks for an RSA key.
pub const KEY_REQUEST: &[u8] = &[2];

/// Combines a password with the nonce, as it is done before RSA and undone after.
pub fn xor_with_nonce(password: &mut [u8], nonce: &[u8]) {
    for (byte, salt) in password.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= salt;
    }
}

#[cfg(test)]
mod tests;
