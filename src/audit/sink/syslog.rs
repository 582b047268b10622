//! Syslog messages as RFC 5424 has them, one datagram for each record.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::events::{SyslogSettings, SyslogTransport};

const INFORMATIONAL: u8 = 6;
/// How long a daemon may take nothing.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// The way to a daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    settings: SyslogSettings,
    host: String,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) fn connect(settings: &SyslogSettings) -> io::Result<Self> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
        let socket = Some(connect(&settings.transport)?);
        Ok(Self { settings: settings.clone(), host, socket })
    }

    /// Sends a line as one message. After a failure the daemon may have made another socket.
    pub(super) fn send(&mut self, line: &[u8], at: &str) -> io::Result<()> {
        let priority = u16::from(self.settings.facility) * 8 + u16::from(INFORMATIONAL);
        let host = if self.host.is_empty() { "-" } else { &self.host };
        let head = format!("<{priority}>1 {at} {host} candado {} access - ", std::process::id());
        let message = [head.as_bytes(), line.strip_suffix(b"\n").unwrap_or(line)].concat();
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.settings.transport)?,
        };
        match &socket {
            Socket::Unix(socket) => socket.send(&message)?,
            Socket::Udp(socket) => socket.send(&message)?,
        };
        self.socket = Some(socket);
        Ok(())
    }
}

fn connect(transport: &SyslogTransport) -> io::Result<Socket> {
    match transport {
        SyslogTransport::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(SEND_LIMIT))?;
            Ok(Socket::Unix(socket))
        }
        SyslogTransport::Udp(address) => {
            let own: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(own)?;
            socket.connect(address)?;
            socket.set_write_timeout(Some(SEND_LIMIT))?;
            Ok(Socket::Udp(socket))
        }
    }
}
