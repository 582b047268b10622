//! The authentication exchange between login (or COM_CHANGE_USER) and OK.
//!
//! Relays the server's challenges and the client's answers. The proxy sees a password only where the two sides differ in
//! encryption, and then for one packet.

use std::future::poll_fn;
use std::task::Poll;

use zeroize::Zeroizing;

use super::buffer::poll_some;
use super::end::End;
use super::peer::Peer;
use super::rsa::{self, LoginKey};
use crate::client_error::{ClientError, Complaint};
use crate::wire::auth::{self, Message, Passage, Plugin};
use crate::wire::err::{self, SqlState};
use crate::wire::{WireError, packet};

/// Bytes of a packet in the login phase.
pub(super) const PACKET_MAX: usize = 1 << 20;
/// Packets of one exchange. Every real one is shorter by far; without a bound sequence ids would wrap around to those of
/// a new command.
const PACKETS_MAX: u32 = 64;

/// An exchange under way.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a mut Peer,
    pub(super) server: &'a mut Peer,
    /// Sequence id of the next packet to the client.
    pub(super) to_client: u8,
    /// Sequence id of the next packet to the server.
    pub(super) to_server: u8,
    pub(super) plugin: Plugin,
    /// The newest nonce.
    pub(super) nonce: Vec<u8>,
    pub(super) key: Option<&'a LoginKey>,
}

/// A packet from either side.
enum Received {
    Client(Zeroizing<Vec<u8>>),
    Server(Zeroizing<Vec<u8>>),
}

impl Exchange<'_> {
    /// Runs the exchange. Returns the server's OK, which has not gone to the client yet.
    pub(super) async fn run(&mut self) -> Result<Zeroizing<Vec<u8>>, End> {
        for _ in 0..PACKETS_MAX {
            let payload = match self.receive().await? {
                Received::Client(payload) => {
                    self.send_to_server(&payload).await?;
                    continue;
                }
                Received::Server(payload) => payload,
            };
            match Message::parse(&payload, self.plugin).map_err(End::ServerMalformed)? {
                Message::Ok => return Ok(payload),
                Message::Err => {
                    self.send_to_client(&payload).await?;
                    return Err(End::LoginRefused);
                }
                Message::Switch { plugin, data } => {
                    self.plugin = plugin;
                    self.nonce = data.strip_suffix(&[0]).unwrap_or(data).to_vec();
                    if self.passage() == Passage::Refuse {
                        return Err(self.complain(Complaint::PluginNotCarried).await);
                    }
                    self.send_to_client(&payload).await?;
                }
                Message::FullWanted => match self.passage() {
                    Passage::Relay => self.send_to_client(&payload).await?,
                    Passage::EncryptForServer => self.encrypt_for_server(&payload).await?,
                    Passage::DecryptForServer => self.decrypt_for_server(&payload).await?,
                    Passage::Refuse => return Err(self.complain(Complaint::PluginNotCarried).await),
                },
                Message::FastOk | Message::More(_) => self.send_to_client(&payload).await?,
            }
        }
        Err(End::ServerMalformed(WireError::TooLarge("authentication exchange")))
    }

    pub(super) fn passage(&self) -> Passage {
        auth::passage(self.plugin, self.client.stream.security(), self.server.stream.security())
    }

    /// The client is in TLS, the server is not: the password is encrypted with the server's RSA key.
    async fn encrypt_for_server(&mut self, wanted: &[u8]) -> Result<(), End> {
        self.send_to_client(wanted).await?;
        let password = self.read_client().await?;
        self.send_to_server(auth::KEY_REQUEST).await?;
        let answer = self.read_server().await?;
        let Ok(Message::More(pem)) = Message::parse(&answer, Plugin::Opaque) else {
            return Err(End::ServerMalformed(WireError::Unexpected("authentication: no RSA key")));
        };
        let sealed = rsa::seal(&password, &self.nonce, pem)
            .map_err(|_| End::ServerMalformed(WireError::Malformed("RSA key of the server")))?;
        self.send_to_server(&sealed).await
    }

    /// The server is in TLS, the client is not: the client encrypts for the proxy's RSA key.
    ///
    /// Its wish for a key must not reach the server, which would take it for the password.
    async fn decrypt_for_server(&mut self, wanted: &[u8]) -> Result<(), End> {
        let Some(key) = self.key else { return Err(self.complain(Complaint::PluginNotCarried).await) };
        self.send_to_client(wanted).await?;
        let mut answer = self.read_client().await?;
        if *answer == auth::KEY_REQUEST {
            let mut message = vec![1];
            message.extend_from_slice(&key.public_pem);
            self.send_to_client(&message).await?;
            answer = self.read_client().await?;
        }
        let Ok(password) = key.open(&answer, &self.nonce) else {
            return Err(self.complain(Complaint::PasswordNotDecrypted).await);
        };
        self.send_to_server(&password).await
    }

    /// Waits for whichever side speaks.
    async fn receive(&mut self) -> Result<Received, End> {
        loop {
            if let Some((sequence, payload)) = self.server.take_packet(PACKET_MAX)? {
                self.to_server = sequence.wrapping_add(1);
                return Ok(Received::Server(payload));
            }
            if let Some((sequence, payload)) = self.client.take_packet(PACKET_MAX)? {
                self.to_client = sequence.wrapping_add(1);
                return Ok(Received::Client(payload));
            }
            let (server, client) = (&mut *self.server, &mut *self.client);
            poll_fn(|cx| {
                if let Poll::Ready(result) = poll_some(&mut server.input, &mut server.stream, cx) {
                    return Poll::Ready(result.map(|_| ()).map_err(|error| server.side.failed(error)));
                }
                poll_some(&mut client.input, &mut client.stream, cx)
                    .map(|result| result.map(|_| ()).map_err(|error| client.side.failed(error)))
            })
            .await?;
        }
    }

    async fn read_client(&mut self) -> Result<Zeroizing<Vec<u8>>, End> {
        let (sequence, payload) = self.client.packet(PACKET_MAX).await?;
        self.to_client = sequence.wrapping_add(1);
        Ok(payload)
    }

    async fn read_server(&mut self) -> Result<Zeroizing<Vec<u8>>, End> {
        let (sequence, payload) = self.server.packet(PACKET_MAX).await?;
        self.to_server = sequence.wrapping_add(1);
        Ok(payload)
    }

    pub(super) async fn send_to_client(&mut self, payload: &[u8]) -> Result<(), End> {
        self.to_client = self.client.write_packet(payload, self.to_client).await?;
        Ok(())
    }

    pub(super) async fn send_to_server(&mut self, payload: &[u8]) -> Result<(), End> {
        self.to_server = self.server.write_packet(payload, self.to_server).await?;
        Ok(())
    }

    /// Tells the client what is wrong; the connection ends.
    pub(super) async fn complain(&mut self, complaint: Complaint) -> End {
        match tell(self.client, complaint, SqlState::Present, self.to_client).await {
            Ok(()) => End::Told(complaint),
            Err(end) => end,
        }
    }
}

/// Writes an ERR packet to the client.
pub(super) async fn tell(client: &mut Peer, complaint: Complaint, form: SqlState, sequence: u8) -> Result<(), End> {
    let error = ClientError::from(complaint);
    let mut payload = Vec::new();
    err::put(error.code, error.sqlstate, &error.text, form, &mut payload);
    let mut bytes = Vec::new();
    packet::put(&payload, sequence, &mut bytes);
    client.write(&bytes).await
}
