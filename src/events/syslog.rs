//! Syslog as events and the record of accesses speak it: where a daemon is, the head of a message (RFC 5424), and the socket
//! that takes one message in each datagram (RFC 5426 over UDP). What a message says is the sinks' own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

/// A syslog daemon, spoken to as RFC 5424 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// How it is reached.
    pub transport: SyslogTransport,
    /// The facility's number, 0 to 23.
    pub facility: u8,
}

/// How a syslog daemon is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTransport {
    /// A datagram socket of this machine.
    Unix(PathBuf),
    /// Datagrams over UDP (RFC 5426).
    Udp(SocketAddr),
}

/// A socket that is connected to a daemon.
#[derive(Debug)]
pub enum SyslogSocket {
    /// On this machine.
    Unix(UnixDatagram),
    /// Over UDP.
    Udp(UdpSocket),
}

impl SyslogSocket {
    /// Connects, without a word to the daemon.
    ///
    /// # Errors
    /// There is no socket of that name, or the system gives none.
    pub fn connect(transport: &SyslogTransport) -> io::Result<Self> {
        match transport {
            SyslogTransport::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
            SyslogTransport::Udp(address) => {
                let own: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(own)?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }
        }
    }

    /// How long a daemon may take nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn with_limit(self, limit: Duration) -> io::Result<Self> {
        match &self {
            Self::Unix(socket) => socket.set_write_timeout(Some(limit))?,
            Self::Udp(socket) => socket.set_write_timeout(Some(limit))?,
        }
        Ok(self)
    }

    /// Sends a message. Blocks the thread.
    ///
    /// # Errors
    /// The daemon does not take it.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send(message),
            Self::Udp(socket) => socket.send(message),
        }
        .map(|_| ())
    }
}

/// The beginning of messages of this machine: `<PRI>1 TIME HOST candado PID NAME`, and a blank.
#[derive(Debug)]
pub struct SyslogHead {
    facility: u8,
    host: String,
}

impl SyslogHead {
    /// For a facility.
    pub fn new(facility: u8) -> Self {
        Self::on(&rustix::system::uname().nodename().to_string_lossy(), facility)
    }

    /// The same for a machine of that name.
    pub(super) fn on(host: &str, facility: u8) -> Self {
        Self { facility, host: header_word(host) }
    }

    /// The head of a message of that severity, time and name (MSGID).
    pub fn of(&self, severity: u8, at: &str, name: &str) -> String {
        let priority = u16::from(self.facility) * 8 + u16::from(severity);
        format!("<{priority}>1 {at} {} candado {} {name} ", self.host, std::process::id())
    }
}

/// Printable ASCII without blanks, as fields of the header must be.
fn header_word(text: &str) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(255).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_no_blanks_and_no_empty_fields() {
        let head = |host: &str| SyslogHead::on(host, 13).of(6, "AT", "access");
        let process = std::process::id();
        assert_eq!(head("db 1\n"), format!("<110>1 AT db1 candado {process} access "));
        assert_eq!(head("\u{e9}"), format!("<110>1 AT - candado {process} access "));
    }
}
