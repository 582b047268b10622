//! From an accepted client to a session: greeting, TLS, authentication, probe.
//!
//! The server is connected first, because its nonce is the one that the client answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::end::End;
use super::exchange::{Exchange, PACKET_MAX, tell};
use super::peer::{Peer, Side};
use super::probe::{self, Tracking};
use super::rsa::LoginKey;
use super::settings::{ClientTls, ServerTls, Settings, display_address};
use super::state::{Standing, State, parse_version};
use super::stream::{Stream, set_options};
use crate::audit::caller;
use crate::client_error::Complaint;
use crate::schema::{Charset, ServerVersion};
use crate::wire::auth::{Passage, Plugin, Security};
use crate::wire::err::{self, SqlState};
use crate::wire::greeting::{Greeting, OfferTls};
use crate::wire::login::{self, First, Login};
use crate::wire::ok::{OkPacket, SessionTrack};
use crate::wire::response::EndMarker;
use crate::wire::{Capabilities, WireError, packet};

/// A login that the server accepted.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) client: Peer,
    pub(super) server: Peer,
    pub(super) state: State,
    pub(super) end: EndMarker,
    pub(super) track: SessionTrack,
    /// The application, if the client names one.
    pub(super) application: Option<Arc<str>>,
}

/// Leads a client through the login. The caller bounds its time.
pub(super) async fn run(
    client: TcpStream,
    address: IpAddr,
    settings: &Settings,
    key: Option<&LoginKey>,
) -> Result<LoggedIn, End> {
    let stall = settings.timeouts.write_stall;
    set_options(&client, stall).map_err(End::Client)?;
    let mut client = Peer::new(Side::Client, Stream::Plain(client), stall);
    let mut server = match connect(settings).await {
        Ok(stream) => Peer::new(Side::Server, Stream::Plain(stream), stall),
        Err(error) => {
            tracing::warn!(%error, "the server cannot be reached");
            tell(&mut client, Complaint::ServerUnreachable, SqlState::Absent, 0).await?;
            return Err(End::Told(Complaint::ServerUnreachable));
        }
    };
    let (sequence, mut payload) = server.packet(PACKET_MAX).await?;
    if payload.first() == Some(&0xff) {
        client.write_packet(&payload, sequence).await?;
        return Err(End::LoginRefused);
    }
    let greeting = Greeting::parse(&payload).map_err(End::ServerMalformed)?;
    if let Err(complaint) = check_server(&greeting, settings) {
        tell(&mut client, complaint, SqlState::Absent, 0).await?;
        return Err(End::Told(complaint));
    }
    let offer = if settings.client_tls.acceptor().is_some() { OfferTls::Yes } else { OfferTls::No };
    let offered = greeting.offered(offer);
    greeting.patch(&mut payload, offered).map_err(End::ServerMalformed)?;
    client.write_packet(&payload, sequence).await?;

    let (client, to_client, payload) = client_login(client, settings).await?;
    let Ok(First::Login(login)) = login::parse(&payload) else {
        return Err(End::ClientMalformed(WireError::Unexpected("login")));
    };
    Opening { client, server, settings, key, greeting, offered, login, to_client, address }.run().await
}

/// Connects to the server's first address that answers.
async fn connect(settings: &Settings) -> std::io::Result<TcpStream> {
    let target = (settings.server.host.as_str(), settings.server.port);
    let stream = tokio::time::timeout(settings.timeouts.connect, TcpStream::connect(target)).await??;
    set_options(&stream, settings.timeouts.write_stall)?;
    Ok(stream)
}

fn check_server(greeting: &Greeting, settings: &Settings) -> Result<(), Complaint> {
    if !greeting.capabilities.contains(Capabilities::NEEDED_OF_SERVER) {
        return Err(Complaint::ServerTooOld);
    }
    match &settings.server.tls {
        ServerTls::Required { .. } if !greeting.capabilities.contains(Capabilities::SSL) => {
            Err(Complaint::ServerWithoutTls)
        }
        ServerTls::Required { .. } | ServerTls::Off => Ok(()),
    }
}

/// Reads the client's login, inside TLS if the client wants it. Returns the next sequence id to the client.
async fn client_login(mut client: Peer, settings: &Settings) -> Result<(Peer, u8, zeroize::Zeroizing<Vec<u8>>), End> {
    let (mut sequence, mut payload) = client.packet_alone(PACKET_MAX).await?;
    if login::parse(&payload).map_err(End::ClientMalformed)? == First::Tls {
        client = accept_tls(client, &settings.client_tls).await?;
        (sequence, payload) = client.packet(PACKET_MAX).await?;
    }
    let next = sequence.wrapping_add(1);
    let complaint = match login::parse(&payload).map_err(End::ClientMalformed)? {
        First::TooOld => Some(Complaint::ClientTooOld),
        First::Tls => return Err(End::ClientMalformed(WireError::Unexpected("login"))),
        First::Login(login) => check_login(&login, client.stream.security(), &settings.client_tls).err(),
    };
    match complaint {
        Some(complaint) => {
            tell(&mut client, complaint, SqlState::Present, next).await?;
            Err(End::Told(complaint))
        }
        None => Ok((client, next, payload)),
    }
}

fn check_login(login: &Login<'_>, security: Security, tls: &ClientTls) -> Result<(), Complaint> {
    match (tls, security) {
        (ClientTls::Required(_), Security::Plain) => return Err(Complaint::TlsRequired),
        (ClientTls::Required(_), Security::Tls) | (ClientTls::Off | ClientTls::Offered(_), _) => {}
    }
    match Charset::from_collation_id(u16::from(login.collation)) {
        Some(_) => Ok(()),
        None => Err(Complaint::CharacterSet),
    }
}

async fn accept_tls(client: Peer, tls: &ClientTls) -> Result<Peer, End> {
    let (Stream::Plain(stream), Some(acceptor)) = (client.stream, tls.acceptor()) else {
        return Err(End::ClientMalformed(WireError::Unexpected("login: TLS was not offered")));
    };
    // Bytes behind the request in clear would be taken for bytes inside TLS.
    if !client.input.is_empty() {
        return Err(End::ClientMalformed(WireError::Unexpected("login: data before TLS")));
    }
    let stream = acceptor.accept(stream).await.map_err(End::Client)?;
    Ok(Peer::new(Side::Client, Stream::Tls(Box::new(TlsStream::Server(stream))), client.write_stall))
}

async fn connect_tls(server: Peer, connector: &TlsConnector, name: &ServerName<'static>) -> Result<Peer, End> {
    let Stream::Plain(stream) = server.stream else {
        return Err(End::ServerMalformed(WireError::Unexpected("login: TLS twice")));
    };
    if !server.input.is_empty() {
        return Err(End::ServerMalformed(WireError::Unexpected("login: data before TLS")));
    }
    let stream = connector.connect(name.clone(), stream).await.map_err(End::Server)?;
    Ok(Peer::new(Side::Server, Stream::Tls(Box::new(TlsStream::Client(stream))), server.write_stall))
}

/// Both sides are known; the server has yet to be logged in to.
struct Opening<'a> {
    client: Peer,
    server: Peer,
    settings: &'a Settings,
    key: Option<&'a LoginKey>,
    greeting: Greeting,
    offered: Capabilities,
    login: Login<'a>,
    to_client: u8,
    address: IpAddr,
}

impl Opening<'_> {
    async fn run(mut self) -> Result<LoggedIn, End> {
        let agreed = self.login.capabilities.intersection(self.offered).difference(Capabilities::SSL);
        let to_server = agreed.union(Capabilities::SESSION_TRACK);
        let mut next_to_server = 1;
        match &self.settings.server.tls {
            ServerTls::Off => {}
            ServerTls::Required { connector, name } => {
                let mut request = Vec::new();
                self.login.put_tls_request(to_server, &mut request);
                next_to_server = self.server.write_packet(&request, next_to_server).await?;
                self.server = match connect_tls(self.server, connector, name).await {
                    Ok(server) => server,
                    Err(end) => {
                        tracing::warn!(error = ?end, "the server's TLS handshake failed");
                        let complaint = Complaint::ServerUnreachable;
                        tell(&mut self.client, complaint, SqlState::Present, self.to_client).await?;
                        return Err(End::Told(complaint));
                    }
                };
            }
        }
        let mut exchange = Exchange {
            client: &mut self.client,
            server: &mut self.server,
            to_client: self.to_client,
            to_server: next_to_server,
            plugin: Plugin::from_name(self.login.plugin),
            nonce: self.greeting.nonce.clone(),
            key: self.key,
        };
        if exchange.passage() == Passage::Refuse {
            return Err(exchange.complain(Complaint::PluginNotCarried).await);
        }
        let address = display_address(self.address);
        let added = own_attributes(&address, exchange.client.stream.security());
        let mut login = zeroize::Zeroizing::new(Vec::new());
        let flags = tls_flag(to_server, &self.settings.server.tls);
        self.login.put(flags, &added, &mut login).map_err(End::ClientMalformed)?;
        exchange.send_to_server(&login).await?;
        let ok = exchange.run().await?;
        let next_to_client = exchange.to_client;
        self.finish(agreed, &ok, next_to_client).await
    }

    /// The server said OK: its session's state is read before the client hears of it.
    async fn finish(mut self, agreed: Capabilities, ok: &[u8], to_client: u8) -> Result<LoggedIn, End> {
        let end = if agreed.contains(Capabilities::DEPRECATE_EOF) { EndMarker::Ok } else { EndMarker::Eof };
        let track =
            if agreed.contains(Capabilities::SESSION_TRACK) { SessionTrack::Wanted } else { SessionTrack::Unwanted };
        let version = parse_version(&self.greeting.version);
        let state = match ask_state(&mut self.server, end, version, None).await? {
            Ok(state) => state,
            Err(payload) => {
                self.client.write_packet(&payload, to_client).await?;
                return Err(End::LoginRefused);
            }
        };
        let mut bytes = Vec::new();
        if state.is_unreadable() {
            tell(&mut self.client, Complaint::CharacterSet, SqlState::Present, to_client).await?;
            return Err(End::Told(Complaint::CharacterSet));
        }
        put_ok(ok, track, &state, to_client, &mut bytes)?;
        self.client.write(&bytes).await?;
        let application = login::attribute(self.login.attributes, login::APPLICATION).and_then(caller::application);
        Ok(LoggedIn { client: self.client, server: self.server, state, end, track, application })
    }
}

/// The connection attributes that tell the server who is behind the proxy.
pub(super) fn own_attributes(address: &str, security: Security) -> [(&'static str, &str); 3] {
    let encrypted = match security {
        Security::Plain => "no",
        Security::Tls => "yes",
    };
    [("_proxy", concat!("candado ", env!("CARGO_PKG_VERSION"))), ("_client_ip", address), ("_client_tls", encrypted)]
}

/// A login inside TLS repeats the flag of the request before it.
fn tls_flag(capabilities: Capabilities, tls: &ServerTls) -> Capabilities {
    match tls {
        ServerTls::Off => capabilities,
        ServerTls::Required { .. } => capabilities.union(Capabilities::SSL),
    }
}

/// Asks the server for a session's state. `before` is what was known of the session, if it is not new. Another error
/// than that of an expired password is returned inside.
pub(super) async fn ask_state(
    server: &mut Peer,
    end: EndMarker,
    version: ServerVersion,
    before: Option<&State>,
) -> Result<Result<State, Vec<u8>>, End> {
    let tracking = match before.map(|state| state.standing) {
        Some(Standing::PasswordExpired) => Tracking::FromDefault,
        Some(Standing::Ordinary) | None => Tracking::AsItIs,
    };
    match probe::run(server, end, tracking).await? {
        Ok(probed) => State::new(probed, version, before).map(Ok).ok_or(End::Told(Complaint::StateNotRead)),
        Err(payload) => match err::code(&payload) {
            Ok(code) if code == Complaint::PasswordExpired.code().0 => Ok(Ok(State::expired(version))),
            Ok(_) | Err(_) => Ok(Err(payload)),
        },
    }
}

/// Appends the OK packet that ends a login, as this client gets it.
pub(super) fn put_ok(
    payload: &[u8],
    track: SessionTrack,
    state: &State,
    sequence: u8,
    out: &mut Vec<u8>,
) -> Result<(), End> {
    let ok = OkPacket::parse(payload).map_err(End::ServerMalformed)?;
    let mut patched = Vec::new();
    ok.put_for_client(track, |name| state.is_hidden(name), &mut patched).map_err(End::ServerMalformed)?;
    packet::put(&patched, sequence, out);
    Ok(())
}

/// Bounds a login.
pub(super) async fn within<T>(limit: Duration, login: impl Future<Output = Result<T, End>>) -> Result<T, End> {
    tokio::time::timeout(limit, login).await.unwrap_or(Err(End::LoginTimeout))
}
