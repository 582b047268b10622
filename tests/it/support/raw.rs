//! A raw client: packets as they lie on the wire, so that nothing a driver does hides what the proxy does.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use candado::wire::response::{EndMarker, Event, Response, RowFormat};
use candado::wire::{Capabilities, packet};

/// A packet: sequence id and payload.
pub(crate) type Packet = (u8, Vec<u8>);

/// A connection that speaks the protocol by hand. Root has no password, so an empty answer logs in with every plugin.
pub(crate) struct Raw {
    stream: TcpStream,
    end: EndMarker,
    pub(crate) greeting: Vec<u8>,
    /// The packet that ended the login.
    pub(crate) welcome: Packet,
}

impl Raw {
    /// Logs in as root with these capabilities beside those that every client needs.
    pub(crate) fn login(port: u16, capabilities: Capabilities) -> Self {
        Self::login_with(port, capabilities, 45)
    }

    pub(crate) fn login_with(port: u16, capabilities: Capabilities, collation: u8) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // A test that hangs fails: no answer takes this long.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let capabilities = capabilities | Capabilities::NEEDED_OF_CLIENT;
        let end = if capabilities.contains(Capabilities::DEPRECATE_EOF) { EndMarker::Ok } else { EndMarker::Eof };
        let mut raw = Self { stream, end, greeting: Vec::new(), welcome: (0, Vec::new()) };
        raw.greeting = raw.read().unwrap().1;
        let mut login = capabilities.bits().to_le_bytes().to_vec();
        login.extend_from_slice(&(1_u32 << 30).to_le_bytes());
        login.push(collation);
        login.extend_from_slice(&[0; 23]);
        login.extend_from_slice(b"root\0\0mysql_native_password\0");
        raw.send(&login, 1);
        raw.welcome = loop {
            let (sequence, payload) = raw.read().unwrap();
            match payload[0] {
                0xfe => raw.send(&[], sequence.wrapping_add(1)),
                0x01 => {}
                _ => break (sequence, payload),
            }
        };
        raw
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
