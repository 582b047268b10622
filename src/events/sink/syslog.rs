//! Syslog messages as RFC 5424 has them, one datagram each (RFC 5426 over UDP, a datagram socket on this machine).

use std::sync::Arc;

use tokio::net::{UdpSocket, UnixDatagram};

use super::SinkError;
use crate::events::{Class, Event, Outcome, SyslogHead, SyslogSettings, SyslogSocket, SyslogTransport};

/// Receivers must take 480 octets and should take 2048 (RFC 5424, 6.1); daemons of today take 8192.
const OCTETS_MAX: usize = 8000;
/// The identifier of structured data needs a registered enterprise number; this one is reserved for documentation
/// (RFC 5612) and says that Candado has none.
const ENTERPRISE: u32 = 32473;
const ALERT: u8 = 1;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;

/// The way to a daemon.
#[derive(Debug)]
pub(in crate::events) struct Syslog {
    transport: SyslogTransport,
    head: SyslogHead,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    /// Connects to nothing yet.
    pub(in crate::events) fn new(settings: SyslogSettings) -> Self {
        let SyslogSettings { transport, facility } = settings;
        Self { transport, head: SyslogHead::new(facility), socket: None }
    }

    /// Sends one datagram for each event.
    pub(super) async fn deliver(&mut self, batch: &[Arc<Event>]) -> Result<(), SinkError> {
        for event in batch {
            let message = message(event, &self.head);
            // After a failure the daemon may have made another socket.
            let socket = match self.socket.take() {
                Some(socket) => socket,
                None => connect(&self.transport).map_err(|error| SinkError::passing(&error))?,
            };
            let sent = match &socket {
                Socket::Unix(socket) => socket.send(message.as_bytes()).await,
                Socket::Udp(socket) => socket.send(message.as_bytes()).await,
            };
            sent.map_err(|error| SinkError::passing(&error))?;
            self.socket = Some(socket);
        }
        Ok(())
    }
}

fn connect(transport: &SyslogTransport) -> std::io::Result<Socket> {
    match SyslogSocket::connect(transport)? {
        SyslogSocket::Unix(socket) => {
            socket.set_nonblocking(true)?;
            UnixDatagram::from_std(socket).map(Socket::Unix)
        }
        SyslogSocket::Udp(socket) => {
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket).map(Socket::Udp)
        }
    }
}

/// `<PRI>1 TIME HOST candado PID CLASS [data] text`.
pub(in crate::events) fn message(event: &Event, head: &SyslogHead) -> String {
    let severity = match (event.class, event.outcome) {
        (Class::Honey, _) | (_, Outcome::Shown) => ALERT,
        (Class::Firewall | Class::Budget, Outcome::Refused | Outcome::Unanswered) => WARNING,
        (Class::Firewall | Class::Budget, Outcome::Observed | Outcome::Explained | Outcome::Shadow) => NOTICE,
    };
    let class = event.class.name();
    let mut out = head.of(severity, &event.at, class);
    out.push_str(&format!("[{class}@{ENTERPRISE}"));
    let score = event.score.to_string();
    let suppressed = event.suppressed.to_string();
    let rules = event.rules.join(",");
    let columns = event.columns.join(",");
    for (name, value) in [
        ("id", event.id.as_str()),
        ("account", &event.account),
        ("client", &event.client),
        ("database", event.database.as_deref().unwrap_or_default()),
        ("rules", &rules),
        ("score", &score),
        ("mode", &event.mode),
        ("outcome", event.outcome.name()),
        ("digest", event.digest.as_deref().unwrap_or_default()),
        ("suppressed", &suppressed),
        match event.class {
            Class::Firewall | Class::Budget => ("text", event.text.as_deref().unwrap_or_default()),
            Class::Honey => ("columns", &columns),
        },
    ] {
        let room = OCTETS_MAX.saturating_sub(out.len() + 128);
        out.push_str(&format!(" {name}=\"{}\"", escaped(value, room)));
    }
    out.push_str(&format!("] {}", event.message()));
    out
}

/// A parameter's value: quotes, backslashes and closing brackets are escaped (RFC 5424, 6.3.3).
fn escaped(value: &str, room: usize) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        if out.len() + 8 > room {
            out.push_str("...");
            break;
        }
        if matches!(letter, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(if letter.is_control() { ' ' } else { letter });
    }
    out
}
