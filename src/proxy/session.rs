//! The command loop of a logged-in client.
//!
//! One task owns both directions. At most one command without its answer is at the server; what the client sent beyond
//! it waits in the client's buffer, which gives order to refusals and back-pressure to the client for nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::buffer::poll_some;
use super::catalog::CatalogRefresh;
use super::decision::{Attempt, Decision, Desk, Send, put_error};
use super::end::End;
use super::exchange::{Exchange, tell};
use super::keys::KeyRefresh;
use super::lease::WriteLease;
use super::login::{self, LoggedIn, put_ok};
use super::peer::Peer;
use super::rates::{Measure, Tallies};
use super::registry::Place;
use super::reprepare::Reprepared;
use super::rsa::LoginKey;
use super::settings::{SharedSettings, display_address};
use super::snapshot::Snapshot;
use super::state::{Freshness, Standing, Transaction};
use super::unify::NotUnified;
use crate::audit::{Audit, caller};
use crate::budget::Ledger;
use crate::client_error::{ClientError, Complaint};
use crate::events::Events;
use crate::explain::ShadowTable;
use crate::plan::PlanCache;
use crate::wire::WireError;
use crate::wire::auth::{Passage, Plugin};
use crate::wire::err::SqlState;
use crate::wire::login::{APPLICATION, ChangeUser, attribute};
use crate::wire::packet::Whole;

/// How often a command is decided about: with a fresh catalog, a fresh state, and a statement that is prepared again,
/// which newer keys may make necessary twice.
const ROUNDS_MAX: usize = 5;

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: SharedSettings,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) catalog: CatalogRefresh,
    pub(super) keys: KeyRefresh,
    pub(super) lease: WriteLease,
    /// What is seen in shadow mode; `None` outside of it.
    pub(super) shadow: Option<Arc<ShadowTable>>,
    pub(super) events: Arc<Events>,
    /// Where accesses are recorded; `None`: nowhere.
    pub(super) audit: Option<Arc<Audit>>,
    pub(super) plans: Arc<PlanCache>,
    pub(super) tallies: Tallies,
    pub(super) budgets: Arc<Ledger>,
    pub(super) key: Option<LoginKey>,
    pub(super) shutdown: CancellationToken,
}

/// A logged-in client.
pub(super) struct Session {
    pub(super) client: Peer,
    pub(super) server: Peer,
    pub(super) desk: Desk,
    pub(super) shared: Arc<Shared>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    place: Place,
}

/// What happened while the session was idle.
enum Wake {
    Command(Whole),
    Server,
    Shutdown,
    Idle,
}

impl Session {
    pub(super) fn new(logged_in: LoggedIn, shared: Arc<Shared>, place: Place) -> Self {
        let LoggedIn { client, server, state, end, track, application } = logged_in;
        // A token of the session's own: waiting on it takes no lock that other sessions take.
        let shutdown = Box::pin(shared.shutdown.child_token().cancelled_owned());
        let mut desk = Desk::new(state, end, track, shared.clone(), place.connection.clone());
        desk.application = application;
        let session = Self { client, server, desk, shared, shutdown, place };
        session.publish_account();
        session
    }

    /// Serves the client until one side ends.
    pub(super) async fn run(&mut self) -> End {
        loop {
            match self.turn().await {
                Ok(()) => {}
                Err(End::ClientMalformed(error)) => {
                    tracing::warn!(%error, "the client's packet is refused");
                    return self.hang_up(malformed(error), 1).await;
                }
                Err(end) => return end,
            }
        }
    }

    /// One command.
    async fn turn(&mut self) -> Result<(), End> {
        if self.desk.state.freshness == Freshness::Stale {
            self.probe_again().await?;
        }
        match self.next_command().await? {
            Wake::Command(whole) => self.command(whole).await,
            Wake::Server => self.unasked().await,
            Wake::Shutdown => {
                tell(&mut self.client, Complaint::Drained, SqlState::Present, 0).await?;
                Err(End::Drained)
            }
            Wake::Idle => {
                tell(&mut self.client, Complaint::Idle, SqlState::Present, 0).await?;
                Err(End::Told(Complaint::Idle))
            }
        }
    }

    async fn next_command(&mut self) -> Result<Wake, End> {
        match self.shared.settings.timeouts.idle {
            None => poll_fn(|cx| self.poll_command(cx)).await,
            Some(limit) => {
                tokio::time::timeout(limit, poll_fn(|cx| self.poll_command(cx))).await.unwrap_or(Ok(Wake::Idle))
            }
        }
    }

    /// Waits for a whole command, a word of the server, or the shutdown. Cancel-safe.
    fn poll_command(&mut self, cx: &mut Context<'_>) -> Poll<Result<Wake, End>> {
        if !self.server.input.is_empty() {
            return Poll::Ready(Ok(Wake::Server));
        }
        loop {
            let found = Whole::find(self.client.input.data(), self.shared.settings.limits.command_bytes_max, "command");
            match found {
                Ok(Some(whole)) => return Poll::Ready(Ok(Wake::Command(whole))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(End::ClientMalformed(error))),
            }
            // An open transaction is work under way, as a running statement is: it may end within the drain time.
            let is_done = self.client.input.is_empty() && self.desk.state.transaction == Transaction::None;
            if is_done && self.shutdown.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Wake::Shutdown));
            }
            let Peer { side, stream, input, .. } = &mut self.server;
            match poll_some(input, stream, cx) {
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Wake::Server)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(side.failed(error))),
                Poll::Pending => {}
            }
            let Peer { side, stream, input, .. } = &mut self.client;
            match poll_some(input, stream, cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(side.failed(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The server spoke without being asked: an error before it closes, or nothing that belongs here.
    async fn unasked(&mut self) -> Result<(), End> {
        let (sequence, payload) = self.server.packet(super::exchange::PACKET_MAX).await?;
        if payload.first() == Some(&0xff) {
            self.client.write_packet(&payload, sequence).await?;
            return Err(End::ServerClosed);
        }
        Err(End::ServerMalformed(WireError::Unexpected("idle connection")))
    }

    async fn command(&mut self, whole: Whole) -> Result<(), End> {
        if whole.first_sequence != 0 {
            return Err(self.hang_up(Complaint::OutOfOrder, whole.first_sequence.wrapping_add(1)).await);
        }
        let reply_sequence = whole.last_sequence.wrapping_add(1);
        if self.desk.needs_catalog() {
            self.desk.refresh_catalog().await;
        }
        if let Measure::Wait(time) = self.desk.measure() {
            tokio::time::sleep(time).await;
        }
        let mut attempt = Attempt::First;
        for _ in 0..ROUNDS_MAX {
            match self.decide(&whole, attempt)? {
                Decision::WithFreshCatalog => self.desk.refresh_catalog().await,
                Decision::WithFreshState => self.probe_again().await?,
                Decision::WithLease => self.desk.renew_lease().await,
                Decision::WithSubjects(wanted, error) => {
                    if !self.desk.find_subjects(wanted).await {
                        return self.refuse(&whole, &error).await;
                    }
                }
                Decision::Reprepare(again) => match self.reprepare(*again).await? {
                    Reprepared::Done => {}
                    Reprepared::Refused(error) => return self.refuse(&whole, &error).await,
                    Reprepared::ServerError(payload) => {
                        self.client.input.consume(whole.length);
                        return self.client.write_packet(&payload, reply_sequence).await.map(|_| ());
                    }
                },
                decided @ (Decision::Forward { .. }
                | Decision::NoAnswer(_)
                | Decision::Nothing
                | Decision::Refuse(_)
                | Decision::Explain(_)
                | Decision::ChangeUser
                | Decision::Quit) => return self.carry_out(&whole, decided, reply_sequence).await,
            }
            attempt = Attempt::Second;
        }
        // The catalog is as fresh and the state as known as they can be.
        self.refuse(&whole, &Complaint::StateNotRead.into()).await
    }

    async fn carry_out(&mut self, whole: &Whole, decision: Decision, reply_sequence: u8) -> Result<(), End> {
        match decision {
            Decision::Forward { send, pending } => {
                if let Err(error) = self.desk.admit(&pending).await {
                    return self.refuse(whole, &error).await;
                }
                if let Err(error) = self.desk.allow_searches().await {
                    return self.refuse(whole, &error).await;
                }
                if let Err(not_unified) = self.unify().await? {
                    return self.refuse_not_unified(whole, not_unified).await;
                }
                self.send(whole, send).await?;
                self.answer(pending, reply_sequence).await
            }
            Decision::NoAnswer(send) => self.send(whole, send).await,
            Decision::Nothing => {
                self.client.input.consume(whole.length);
                Ok(())
            }
            Decision::Refuse(error) => self.refuse(whole, &error).await,
            Decision::Explain(explained) => {
                self.client.input.consume(whole.length);
                let bytes = self.desk.explained(&explained, reply_sequence);
                self.client.write(&bytes).await
            }
            Decision::WithFreshCatalog
            | Decision::WithFreshState
            | Decision::WithLease
            | Decision::WithSubjects(..)
            | Decision::Reprepare(_) => self.refuse(whole, &Complaint::StateNotRead.into()).await,
            Decision::ChangeUser => self.change_user(whole).await,
            Decision::Quit => {
                self.send(whole, Send::AsItCame).await?;
                Err(End::ClientClosed)
            }
        }
    }

    fn decide(&mut self, whole: &Whole, attempt: Attempt) -> Result<Decision, End> {
        self.desk.decide(whole, self.client.input.data(), attempt).map_err(End::ClientMalformed)
    }

    async fn refuse(&mut self, whole: &Whole, error: &ClientError) -> Result<(), End> {
        self.client.input.consume(whole.length);
        self.place.connection.counters.refusal();
        let mut bytes = Vec::new();
        put_error(error, &self.place.connection, whole.last_sequence.wrapping_add(1), &mut bytes);
        self.client.write(&bytes).await?;
        match self.desk.measure() {
            Measure::None | Measure::Wait(_) | Measure::Refuse => Ok(()),
            Measure::Close => Err(End::Told(Complaint::TooManySigns)),
        }
    }

    async fn refuse_not_unified(&mut self, whole: &Whole, error: NotUnified) -> Result<(), End> {
        match error {
            NotUnified::Refused(error) => self.refuse(whole, &error).await,
            NotUnified::Server(payload) => {
                self.client.input.consume(whole.length);
                self.client.write_packet(&payload, whole.last_sequence.wrapping_add(1)).await.map(drop)
            }
        }
    }

    /// Sends the command and gives its bytes up.
    async fn send(&mut self, whole: &Whole, send: Send) -> Result<(), End> {
        let sent = match send {
            Send::AsItCame => {
                self.place.connection.counters.to_server(whole.length);
                self.server.write_from(&self.client.input, whole.length).await
            }
            Send::Rewritten => {
                let out = std::mem::take(&mut self.desk.out);
                let mut bytes = std::mem::take(&mut self.desk.bytes);
                bytes.clear();
                crate::wire::packet::put(&out, 0, &mut bytes);
                self.place.connection.counters.to_server(bytes.len());
                let sent = self.server.write(&bytes).await;
                (self.desk.out, self.desk.bytes) = (out, bytes);
                sent
            }
        };
        match sent {
            Ok(()) => {
                self.client.input.consume(whole.length);
                Ok(())
            }
            // A server that refuses a packet's size says so before it closes.
            Err(End::ServerClosed) => match self.unasked().await {
                Ok(()) => Err(End::ServerClosed),
                Err(end) => Err(end),
            },
            Err(end) => Err(end),
        }
    }

    /// COM_CHANGE_USER: a login on an open connection. The old account's rights end before the server hears of it.
    async fn change_user(&mut self, whole: &Whole) -> Result<(), End> {
        let limit = self.shared.settings.timeouts.login;
        login::within(limit, self.change_user_within(whole)).await
    }

    async fn change_user_within(&mut self, whole: &Whole) -> Result<(), End> {
        let mut joined = Vec::new();
        let payload = whole.payload(self.client.input.data(), &mut joined).map_err(End::ClientMalformed)?.to_vec();
        self.client.input.consume_and_wipe(whole.length);
        let payload = zeroize::Zeroizing::new(payload);
        let change = ChangeUser::parse(&payload).map_err(End::ClientMalformed)?;
        self.desk.forget_session();
        self.desk.application = attribute(change.attributes, APPLICATION).and_then(caller::application);
        let plugin = Plugin::from_name(change.plugin);
        let mut exchange = Exchange {
            client: &mut self.client,
            server: &mut self.server,
            to_client: whole.last_sequence.wrapping_add(1),
            to_server: 0,
            plugin,
            nonce: Vec::new(),
            key: self.shared.key.as_ref(),
        };
        if !change.plugin.is_empty() && exchange.passage() == Passage::Refuse {
            return Err(exchange.complain(Complaint::PluginNotCarried).await);
        }
        if change.collation.is_some_and(|id| crate::schema::Charset::from_collation_id(id).is_none()) {
            return Err(exchange.complain(Complaint::CharacterSet).await);
        }
        let address = display_address(self.place.connection.client.ip());
        let added = login::own_attributes(&address, exchange.client.stream.security());
        let mut command = zeroize::Zeroizing::new(Vec::new());
        change.put(&added, &mut command).map_err(End::ClientMalformed)?;
        exchange.send_to_server(&command).await?;
        let ok = exchange.run().await?;
        let to_client = exchange.to_client;
        match login::ask_state(&mut self.server, self.desk.end, self.desk.state.server, None).await? {
            Ok(state) if state.is_unreadable() => Err(self.hang_up(Complaint::CharacterSet, to_client).await),
            Ok(state) => {
                self.desk.adopt(state);
                self.publish_account();
                let mut bytes = Vec::new();
                put_ok(&ok, self.desk.track, &self.desk.state, to_client, &mut bytes)?;
                self.client.write(&bytes).await
            }
            Err(payload) => {
                self.client.write_packet(&payload, to_client).await?;
                Err(End::LoginRefused)
            }
        }
    }

    /// Asks for the session's state again.
    pub(super) async fn probe_again(&mut self) -> Result<(), End> {
        let before = &self.desk.state;
        match login::ask_state(&mut self.server, self.desk.end, before.server, Some(before)).await {
            Ok(Ok(state)) => {
                let was = before.standing;
                self.desk.adopt(state);
                if was == Standing::PasswordExpired {
                    self.publish_account();
                }
                Ok(())
            }
            Ok(Err(_)) | Err(End::Told(Complaint::StateNotRead)) => Err(self.hang_up(Complaint::StateNotRead, 0).await),
            Err(end) => Err(end),
        }
    }

    /// Tells the client why and ends.
    pub(super) async fn hang_up(&mut self, complaint: Complaint, sequence: u8) -> End {
        match tell(&mut self.client, complaint, SqlState::Present, sequence).await {
            Ok(()) => End::Told(complaint),
            Err(end) => end,
        }
    }

    fn publish_account(&self) {
        let account = &self.desk.state.account;
        let text = match self.desk.state.standing {
            Standing::Ordinary => Some(Arc::from(format!("{}@{}", account.user, account.host))),
            // The server has not said who it is.
            Standing::PasswordExpired => None,
        };
        let mut place = self.place.connection.account.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *place = text;
    }
}

/// What a client is told before its connection is closed over a packet.
fn malformed(error: WireError) -> Complaint {
    match error {
        WireError::TooLarge(_) => Complaint::PacketTooLarge,
        WireError::Malformed("sequence id") | WireError::Unexpected(_) => Complaint::OutOfOrder,
        WireError::Truncated(_) | WireError::Malformed(_) => Complaint::Malformed,
    }
}
