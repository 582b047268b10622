//! A raw client: packets as they lie on the wire, so that nothing a driver does hides what the proxy does.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use candado::wire::response::{EndMarker, Event, Response, RowFormat};
use candado::wire::{Capabilities, packet};
use mysql_common::scramble::{scramble_native, scramble_sha256};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A packet: sequence id and payload.
pub(crate) type Packet = (u8, Vec<u8>);

/// How a client connects.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Plain,
    Tls(Arc<ClientConfig>),
    /// The first bytes of TLS leave in one segment with the request for it.
    TlsAtOnce(Arc<ClientConfig>),
}

/// What a client says when it logs in.
#[derive(Clone, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    /// The plugin that the client begins with.
    pub(crate) plugin: &'a str,
    pub(crate) transport: Transport,
    pub(crate) capabilities: Capabilities,
    pub(crate) collation: u8,
}

impl Default for Login<'_> {
    /// Root, who has no password: an empty answer logs in with every plugin.
    fn default() -> Self {
        Self {
            user: "root",
            password: "",
            plugin: "mysql_native_password",
            transport: Transport::Plain,
            capabilities: Capabilities::DEPRECATE_EOF | Capabilities::PLUGIN_AUTH_LENENC,
            collation: 45,
        }
    }
}

/// A packet of the server before it says OK or an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another plugin.
    Switch(String),
    /// The challenge was enough.
    Fast,
    /// The password itself is wanted.
    Full,
    /// An RSA key for it.
    Key(Vec<u8>),
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A connection that speaks the protocol by hand.
pub(crate) struct Raw {
    stream: Stream,
    end: EndMarker,
    pub(crate) greeting: Vec<u8>,
    /// What the server said between the last login, or change of user, and its end; with sequence ids.
    pub(crate) steps: Vec<(u8, Step)>,
    /// The packet that ended it.
    pub(crate) welcome: Packet,
    nonce: Vec<u8>,
}

impl Raw {
    /// Logs in as root with these capabilities beside those that every client needs.
    pub(crate) fn login(port: u16, capabilities: Capabilities) -> Self {
        Self::login_with(port, capabilities, 45)
    }

    pub(crate) fn login_with(port: u16, capabilities: Capabilities, collation: u8) -> Self {
        Self::open(port, &Login { capabilities, collation, ..Login::default() })
    }

    /// Connects and logs in, well or badly.
    pub(crate) fn open(port: u16, login: &Login<'_>) -> Self {
        let mut raw = Self::connect(port, login);
        let capabilities = login.capabilities | Capabilities::NEEDED_OF_CLIENT;
        let capabilities = match &login.transport {
            Transport::Plain => capabilities,
            Transport::Tls(_) | Transport::TlsAtOnce(_) => capabilities | Capabilities::SSL,
        };
        let mut payload = capabilities.bits().to_le_bytes().to_vec();
        payload.extend_from_slice(&(1_u32 << 30).to_le_bytes());
        payload.push(login.collation);
        payload.extend_from_slice(&[0; 23]);
        let sequence = raw.start_tls(&login.transport, &payload);
        payload.extend_from_slice(login.user.as_bytes());
        payload.push(0);
        let answer = raw.challenged(login.plugin, login.password);
        payload.push(answer.len().try_into().unwrap());
        payload.extend(answer);
        payload.extend_from_slice(login.plugin.as_bytes());
        payload.push(0);
        raw.send(&payload, sequence);
        raw.authenticate(login.password);
        raw
    }

    /// Connects and reads the greeting.
    pub(crate) fn connect(port: u16, login: &Login<'_>) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // A test that hangs fails: no answer takes this long.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let end = if login.capabilities.contains(Capabilities::DEPRECATE_EOF) { EndMarker::Ok } else { EndMarker::Eof };
        let stream = Stream::Plain(stream);
        let mut raw = Self { stream, end, greeting: vec![], steps: vec![], welcome: (0, vec![]), nonce: vec![] };
        raw.greeting = raw.read().unwrap().1;
        if let Ok(greeting) = candado::wire::greeting::Greeting::parse(&raw.greeting) {
            raw.nonce = greeting.nonce;
        }
        raw
    }

    /// Asks for TLS, if it is wanted; `head` is the login's beginning. Returns the login's sequence id.
    fn start_tls(&mut self, transport: &Transport, head: &[u8]) -> u8 {
        let config = match transport {
            Transport::Plain => return 1,
            Transport::Tls(config) | Transport::TlsAtOnce(config) => config.clone(),
        };
        let mut request = Vec::new();
        packet::put(head, 1, &mut request);
        let mut tls = ClientConnection::new(config, "127.0.0.1".try_into().unwrap()).unwrap();
        if let Transport::TlsAtOnce(_) = transport {
            tls.write_tls(&mut request).unwrap();
        }
        self.send_bytes(&request);
        let Stream::Plain(stream) = &self.stream else { panic!("TLS twice") };
        let stream = stream.try_clone().unwrap();
        self.stream = Stream::Tls(Box::new(StreamOwned::new(tls, stream)));
        2
    }

    /// COM_CHANGE_USER, well or badly. The connection stays as it is; user, password and plugin are taken.
    pub(crate) fn change_user(&mut self, login: &Login<'_>, database: &str) {
        let payload = self.change_user_payload(login, database);
        self.send(&payload, 0);
        self.authenticate(login.password);
    }

    /// The payload that begins it.
    pub(crate) fn change_user_payload(&self, login: &Login<'_>, database: &str) -> Vec<u8> {
        let mut payload = vec![0x11];
        payload.extend_from_slice(login.user.as_bytes());
        payload.push(0);
        let answer = self.challenged(login.plugin, login.password);
        payload.push(answer.len().try_into().unwrap());
        payload.extend(answer);
        payload.extend_from_slice(database.as_bytes());
        payload.extend_from_slice(&[0, login.collation, 0]);
        payload.extend_from_slice(login.plugin.as_bytes());
        payload.push(0);
        payload
    }

    /// Answers the server's challenges until it says OK or an error.
    fn authenticate(&mut self, password: &str) {
        self.steps.clear();
        self.welcome = loop {
            let Some((sequence, payload)) = self.read() else { break (0, vec![]) };
            let (step, answer) = match payload.as_slice() {
                [0xfe, rest @ ..] => {
                    let mut parts = rest.splitn(2, |byte| *byte == 0);
                    let plugin = String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
                    let nonce = parts.next().unwrap_or_default();
                    self.nonce = nonce.strip_suffix(&[0]).unwrap_or(nonce).to_vec();
                    (Step::Switch(plugin.clone()), Some(self.challenged(&plugin, password)))
                }
                [1, 3] => (Step::Fast, None),
                [1, 4] if self.is_secure() => (Step::Full, Some([password.as_bytes(), &[0]].concat())),
                [1, 4] => (Step::Full, Some(vec![2])),
                [1, pem @ ..] => (Step::Key(pem.to_vec()), Some(self.sealed(password, pem))),
                _ => break (sequence, payload),
            };
            self.steps.push((sequence, step));
            if let Some(answer) = answer {
                self.send(&answer, sequence.wrapping_add(1));
            }
        };
    }

    /// A plugin's first answer.
    fn challenged(&self, plugin: &str, password: &str) -> Vec<u8> {
        if password.is_empty() {
            return vec![];
        }
        match plugin {
            "mysql_native_password" => scramble_native(&self.nonce, password.as_bytes()).unwrap().to_vec(),
            "caching_sha2_password" => scramble_sha256(&self.nonce, password.as_bytes()).unwrap().to_vec(),
            "sha256_password" if self.is_secure() => [password.as_bytes(), &[0]].concat(),
            "sha256_password" => vec![1],
            other => panic!("no answer for {other}"),
        }
    }

    fn sealed(&self, password: &str, pem: &[u8]) -> Vec<u8> {
        let mut password = [password.as_bytes(), &[0]].concat();
        for (byte, salt) in password.iter_mut().zip(self.nonce.iter().cycle()) {
            *byte ^= salt;
        }
        mysql_common::crypto::encrypt(&password, pem)
    }

    fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Sends a payload as one or more packets.
    pub(crate) fn send(&mut self, payload: &[u8], sequence: u8) {
        let mut bytes = Vec::new();
        packet::put(payload, sequence, &mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads one packet; `None` at the peer's end.
    pub(crate) fn read(&mut self) -> Option<Packet> {
        let mut header = [0; 4];
        if self.stream.read_exact(&mut header).is_err() {
            return None;
        }
        let [a, b, c, sequence] = header;
        let mut payload = vec![0; usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16];
        self.stream.read_exact(&mut payload).ok()?;
        Some((sequence, payload))
    }

    /// Reads all packets of an answer; payloads that span packets stay in pieces.
    pub(crate) fn answer(&mut self, mut response: Response) -> Vec<Packet> {
        let mut packets = Vec::new();
        while response != Response::Complete {
            let (sequence, mut payload) = self.read().expect("a packet");
            let first_length = payload.len();
            packets.push((sequence, payload.clone()));
            let mut length = first_length;
            while length == packet::PAYLOAD_MAX {
                let (sequence, more) = self.read().expect("a packet");
                length = more.len();
                payload.extend_from_slice(&more);
                packets.push((sequence, more));
            }
            // The tests' clients may have no session tracking, so an OK packet is read as far as its status.
            response = match response.on_packet(self.end, first_length, &payload) {
                Ok((next, Event::Ok(_) | Event::Eof(_) | Event::Err(_))) => next,
                Ok((next, _)) => next,
                Err(error) => panic!("{error} in {response:?}: {payload:?}"),
            };
        }
        packets
    }

    /// Sends a command and reads its answer.
    pub(crate) fn command(&mut self, payload: &[u8]) -> Vec<Packet> {
        self.send(payload, 0);
        match response_of(payload[0]) {
            Some(response) => self.answer(response),
            None => Vec::new(),
        }
    }

    /// Runs a statement.
    pub(crate) fn query(&mut self, sql: &str) -> Vec<Packet> {
        let mut payload = vec![3];
        payload.extend_from_slice(sql.as_bytes());
        self.command(&payload)
    }

    /// Sends several commands in one write, then reads their answers in order.
    pub(crate) fn pipeline(&mut self, commands: &[&[u8]]) -> Vec<Vec<Packet>> {
        let mut bytes = Vec::new();
        for command in commands {
            packet::put(command, 0, &mut bytes);
        }
        self.stream.write_all(&bytes).unwrap();
        let expected: VecDeque<_> = commands.iter().filter_map(|command| response_of(command[0])).collect();
        expected.into_iter().map(|response| self.answer(response)).collect()
    }

    /// Prepares a statement; returns its id and the answer with the id blanked.
    pub(crate) fn prepare(&mut self, sql: &str) -> (u32, Vec<Packet>) {
        let mut payload = vec![0x16];
        payload.extend_from_slice(sql.as_bytes());
        let mut packets = self.command(&payload);
        let first = &mut packets[0].1;
        if first[0] != 0 {
            return (0, packets);
        }
        let id = u32::from_le_bytes(first[1..5].try_into().unwrap());
        first[1..5].fill(0);
        (id, packets)
    }

    /// Runs a command that begins with a statement id.
    pub(crate) fn statement(&mut self, command: u8, id: u32, rest: &[u8]) -> Vec<Packet> {
        let mut payload = vec![command];
        payload.extend_from_slice(&id.to_le_bytes());
        payload.extend_from_slice(rest);
        self.command(&payload)
    }
}

/// How a command is answered; `None`: not at all.
pub(crate) fn response_of(command: u8) -> Option<Response> {
    match command {
        0x03 => Some(Response::Header(RowFormat::Text)),
        0x17 => Some(Response::Header(RowFormat::Binary)),
        0x1c => Some(Response::Rows(RowFormat::Binary)),
        0x16 => Some(Response::Prepared),
        0x04 => Some(Response::Fields),
        0x09 => Some(Response::Line),
        0x01 | 0x18 | 0x19 => None,
        _ => Some(Response::Status),
    }
}

/// The code of the ERR packet that ends an answer; 0 if it ends otherwise.
pub(crate) fn error_code(packets: &[Packet]) -> u16 {
    match packets.last() {
        Some((_, payload)) if payload[0] == 0xff => u16::from_le_bytes([payload[1], payload[2]]),
        Some(_) | None => 0,
    }
}
