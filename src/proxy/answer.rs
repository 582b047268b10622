//! Answers that are relayed as they are: headers are walked where they lie, and each read becomes one write.

use std::future::poll_fn;
use std::task::Poll;

use super::buffer::poll_some;
use super::decision::{Cells, Desk, Guard, Pending, Then, put_error};
use super::end::End;
use super::prepared::Prepared;
use super::session::Session;
use crate::client_error::{Complaint, without_envelope};
use crate::rewrite;
use crate::wire::WireError;
use crate::wire::column::ColumnDefinition;
use crate::wire::ok::{OkPacket, SessionTrack, Status};
use crate::wire::packet::{HEADER_LENGTH, Header};
use crate::wire::response::{Event, Response, Walk, Walker};

/// Bytes that a client may send ahead while its answer is under way.
const AHEAD_MAX: usize = 64 << 10;
/// Bytes of a packet that is no row.
const PACKET_MAX: usize = 16 << 20;
/// The collation id of columns that hold bytes.
const BYTES: u16 = 63;

/// How far the bytes that were read can go.
struct Step {
    /// Bytes to write.
    forward: usize,
    /// Bytes to give up; more than `forward` when a packet shrank.
    consume: usize,
    /// Whether more of the bytes can be looked at before more are read.
    then: Next,
}

enum Next {
    Read,
    Walk,
    Done,
}

impl Session {
    /// Passes the server's answer to the client.
    pub(super) async fn answer(&mut self, pending: Pending, reply_sequence: u8) -> Result<(), End> {
        match pending {
            Pending { response, then, cells: Cells::Relay(guard), prepared } => {
                let relay = Relay {
                    walker: Walker::new(response, self.desk.end),
                    guard,
                    prepared,
                    made: None,
                    ended: Ended::Well,
                    written: Written::Nothing,
                    first_sequence: reply_sequence,
                };
                self.relay(relay, then).await
            }
            Pending {
                cells: Cells::Open { .. } | Cells::Messages { .. } | Cells::Fetch { .. } | Cells::Fields { .. },
                ..
            } => self.read_answer(pending, reply_sequence).await,
        }
    }

    async fn relay(&mut self, mut relay: Relay, then: Then) -> Result<(), End> {
        loop {
            self.wait_for_server().await?;
            if let (Written::Nothing, Some(header)) = (relay.written, Header::read(self.server.input.data())) {
                relay.walker.begin(header.sequence, relay.first_sequence);
            }
            loop {
                let step = self.step(&mut relay)?;
                if let Ended::Refused(lock) = relay.ended {
                    return self.refuse_rest(relay, lock, step, then).await;
                }
                if step.forward > 0 {
                    relay.written = Written::Something;
                    self.client.write_from(&self.server.input, step.forward).await?;
                    self.desk.count_answer(step.forward);
                }
                self.server.input.consume(step.consume);
                match step.then {
                    Next::Walk => {}
                    Next::Read => break,
                    Next::Done => {
                        match relay.ended {
                            Ended::Well => self.desk.succeeded(then),
                            Ended::Badly | Ended::Refused(_) => self.desk.ended(&then),
                        }
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Looks at what is there.
    fn step(&mut self, relay: &mut Relay) -> Result<Step, End> {
        let mut at = 0;
        loop {
            let bytes = self.server.input.data_mut();
            let (start, end) = match relay.walker.walk(bytes, at).map_err(End::ServerMalformed)? {
                Walk::Partial(upto) => {
                    return Ok(Step { forward: upto, consume: upto, then: Next::Read });
                }
                Walk::Packet { start, end } => (start, end),
            };
            let payload = bytes.get(start.saturating_add(HEADER_LENGTH)..end).unwrap_or_default();
            let event = relay.walker.accept(payload).map_err(End::ServerMalformed)?;
            let done = relay.walker.response == Response::Complete;
            at = end;
            match event {
                Event::Ok(ok) => {
                    self.desk.state.observe_status(ok.status);
                    if ok.status.contains(Status::SESSION_STATE_CHANGED) {
                        let forward = self.patch_ok(start, end)?;
                        return Ok(Step { forward, consume: end, then: if done { Next::Done } else { Next::Walk } });
                    }
                }
                Event::Eof(status) => self.desk.state.observe_status(status),
                Event::Err(error) => {
                    relay.ended = Ended::Badly;
                    self.desk.server_error(error);
                    if let Some(changed) = without_envelope(error) {
                        self.desk.bytes = changed;
                        let forward = self.put_in_place(start, end)?;
                        return Ok(Step { forward, consume: end, then: if done { Next::Done } else { Next::Walk } });
                    }
                }
                Event::Column(definition) => {
                    if let Some(guard) = &relay.guard
                        && let Some(lock) = self.desk.lock(definition, guard).map_err(End::ServerMalformed)?
                    {
                        relay.ended = Ended::Refused(lock);
                        return Ok(Step { forward: start, consume: end, then: Next::Walk });
                    }
                }
                Event::Prepared(ok) => {
                    relay.made = Some(ok.statement);
                    if let Some(prepared) = relay.prepared.take() {
                        self.desk.statements.insert(ok, *prepared);
                    }
                }
                Event::ColumnCount(_) | Event::Param(_) | Event::DefinitionsEnd | Event::Row(_) | Event::Line => {}
            }
            if done {
                return Ok(Step { forward: end, consume: end, then: Next::Done });
            }
        }
    }

    /// The second lock: a definition names a protected column that the plan did not expect. The client gets an error in
    /// place of the answer, or of the rest of it, which is read and dropped.
    async fn refuse_rest(&mut self, mut relay: Relay, lock: Lock, step: Step, then: Then) -> Result<(), End> {
        self.desk.connection.counters.refusal();
        let connection = self.desk.connection.id;
        let complaint = match lock {
            Lock::Protected => {
                tracing::error!(connection, "a result names a protected column that was not planned");
                Complaint::ProtectedColumn
            }
            Lock::AnotherView => Complaint::ViewReplaced,
        };
        let refused = self.server.input.data().get(step.forward..).and_then(Header::read);
        let mut bytes = Vec::new();
        let sequence = match relay.written {
            Written::Nothing => relay.first_sequence,
            Written::Something => {
                bytes.extend_from_slice(self.server.input.data().get(..step.forward).unwrap_or_default());
                refused.map_or(0, |header| header.sequence)
            }
        };
        put_error(&complaint.into(), &self.desk.connection, sequence, &mut bytes);
        self.server.input.consume(step.consume);
        self.client.write(&bytes).await?;
        while relay.walker.response != Response::Complete {
            match relay.walker.walk(self.server.input.data_mut(), 0).map_err(End::ServerMalformed)? {
                Walk::Partial(upto) => {
                    self.server.input.consume(upto);
                    self.wait_for_server().await?;
                }
                Walk::Packet { start, end } => {
                    let payload = self.server.input.data().get(start.saturating_add(HEADER_LENGTH)..end);
                    let event = relay.walker.accept(payload.unwrap_or_default()).map_err(End::ServerMalformed)?;
                    self.desk.observe_dropped(&event).map_err(End::ServerMalformed)?;
                    self.server.input.consume(end);
                }
            }
        }
        self.give_up_prepared(relay.made).await?;
        self.desk.ended(&then);
        Ok(())
    }

    /// Closes a statement whose preparation the client got an error for: it does not know the id.
    pub(super) async fn give_up_prepared(&mut self, made: Option<u32>) -> Result<(), End> {
        let Some(id) = made else { return Ok(()) };
        self.desk.statements.close(id);
        self.close_at_server(id).await
    }

    /// Takes over the session state of the OK packet at `start..end` and writes in its place the packet that this client
    /// gets, which is never longer. Returns its end.
    fn patch_ok(&mut self, start: usize, end: usize) -> Result<usize, End> {
        self.desk.bytes.clear();
        let payload = self.server.input.data().get(start.saturating_add(HEADER_LENGTH)..end).unwrap_or_default();
        self.desk.patch_ok(payload).map_err(End::ServerMalformed)?;
        self.put_in_place(start, end)
    }

    /// Puts the payload in [`Desk::bytes`] in the place of the packet at `start..end`, which is never shorter. Returns
    /// its end.
    fn put_in_place(&mut self, start: usize, end: usize) -> Result<usize, End> {
        let Self { desk, server, .. } = self;
        let bytes = server.input.data_mut();
        let packet = bytes.get_mut(start..end).unwrap_or_default();
        let Some(header) = Header::read(packet) else { return Ok(end) };
        let patched = Header { length: desk.bytes.len(), sequence: header.sequence };
        let Some(place) = packet.get_mut(..patched.packet_length()) else {
            return Err(End::ServerMalformed(WireError::Malformed("packet")));
        };
        let (head, body) = place.split_at_mut(HEADER_LENGTH);
        head.copy_from_slice(&patched.bytes());
        body.copy_from_slice(&desk.bytes);
        Ok(start.saturating_add(patched.packet_length()))
    }

    /// Waits until the server sent something more. Meanwhile the client may send ahead, and its end ends the session.
    pub(super) async fn wait_for_server(&mut self) -> Result<(), End> {
        self.wait_for_server_up_to(PACKET_MAX).await
    }

    /// The same, while no more than so many bytes are there.
    pub(super) async fn wait_for_server_up_to(&mut self, bytes_max: usize) -> Result<(), End> {
        let Self { client, server, .. } = self;
        if server.input.len() > bytes_max.saturating_add(PACKET_MAX) {
            return Err(End::ServerMalformed(WireError::TooLarge("packet")));
        }
        poll_fn(|cx| {
            if let Poll::Ready(read) = poll_some(&mut server.input, &mut server.stream, cx) {
                return Poll::Ready(read.map(|_| ()).map_err(|error| server.side.failed(error)));
            }
            while client.input.len() < AHEAD_MAX {
                match poll_some(&mut client.input, &mut client.stream, cx) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(client.side.failed(error))),
                    Poll::Pending => break,
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// An answer under way.
struct Relay {
    walker: Walker,
    guard: Option<Guard>,
    /// The statement that COM_STMT_PREPARE's OK brings an id for.
    prepared: Option<Box<Prepared>>,
    /// That id.
    made: Option<u32>,
    ended: Ended,
    written: Written,
    first_sequence: u8,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
    /// By the second lock.
    Refused(Lock),
}

/// Why a column definition does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    /// It names a protected column that was not planned.
    Protected,
    /// It is of another view than the catalog knows by that name.
    AnotherView,
}

/// What of an answer the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Something,
}

impl Desk {
    /// Whether a column definition must not pass, and why.
    fn lock(&mut self, definition: &[u8], guard: &Guard) -> Result<Option<Lock>, WireError> {
        let definition = ColumnDefinition::parse(definition)?;
        let (snapshot, passes) = match guard {
            Guard::Protected(snapshot) => (snapshot, false),
            // As text it is no envelope.
            Guard::ProtectedBytes(snapshot) => (snapshot, definition.attributes.collation_id != BYTES),
        };
        let results = self.state.results.charset();
        if rewrite::names_protected(&definition, &snapshot.policy, results).is_some() {
            return Ok((!passes).then_some(Lock::Protected));
        }
        let is_shadow = matches!(guard, Guard::ProtectedBytes(_));
        let other = !is_shadow && self.finds_another_view(&definition, &snapshot.catalog);
        Ok(other.then_some(Lock::AnotherView))
    }

    /// Takes over what a packet says of the session that the client does not get: the server goes on from there.
    pub(super) fn observe_dropped(&mut self, event: &Event<'_>) -> Result<(), WireError> {
        match event {
            Event::Ok(ok) => {
                self.state.observe_status(ok.status);
                self.state.observe(ok)
            }
            Event::Eof(status) => {
                self.state.observe_status(*status);
                Ok(())
            }
            Event::ColumnCount(_)
            | Event::Column(_)
            | Event::Param(_)
            | Event::DefinitionsEnd
            | Event::Row(_)
            | Event::Prepared(_)
            | Event::Err(_)
            | Event::Line => Ok(()),
        }
    }

    /// Takes over an OK packet's session state and puts the client's form of it into `bytes`.
    fn patch_ok(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let ok = OkPacket::parse(payload)?;
        self.state.observe(&ok)?;
        let track: SessionTrack = self.track;
        let Self { state, bytes, .. } = self;
        ok.put_for_client(track, |name| state.is_hidden(name), bytes)
    }
}
