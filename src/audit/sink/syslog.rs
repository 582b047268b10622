//! One record in each message to a syslog daemon.

use std::io;
use std::time::Duration;

use crate::events::{SyslogHead, SyslogSettings, SyslogSocket, SyslogTransport};

const INFORMATIONAL: u8 = 6;
/// How long a daemon may take nothing.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// The way to a daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    transport: SyslogTransport,
    head: SyslogHead,
    socket: Option<SyslogSocket>,
}

impl Syslog {
    pub(super) fn connect(settings: &SyslogSettings) -> io::Result<Self> {
        let SyslogSettings { transport, facility } = settings;
        let socket = Some(connect(transport)?);
        Ok(Self { transport: transport.clone(), head: SyslogHead::new(*facility), socket })
    }

    /// Sends a line as one message. After a failure the daemon may have made another socket.
    pub(super) fn send(&mut self, line: &[u8], at: &str) -> io::Result<()> {
        let head = self.head.of(INFORMATIONAL, at, "access");
        // No structured data.
        let message = [head.as_bytes(), b"- ", line.strip_suffix(b"\n").unwrap_or(line)].concat();
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.transport)?,
        };
        socket.send(&message)?;
        self.socket = Some(socket);
        Ok(())
    }
}

fn connect(transport: &SyslogTransport) -> io::Result<SyslogSocket> {
    SyslogSocket::connect(transport)?.with_limit(SEND_LIMIT)
}
