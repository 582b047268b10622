//! Answers that are relayed as they are: headers are walked where they lie, and each read becomes one write.

use std::future::poll_fn;
use std::task::Poll;

use super::buffer::poll_some;
use super::decision::{Cells, Then};
use super::end::End;
use super::session::{Pending, Session};
use crate::wire::ok::{SessionTrack, Status};
use crate::wire::packet::{HEADER_LENGTH, Header};
use crate::wire::response::{Event, Response, Walk, Walker};

/// Bytes that a client may send ahead while its answer is under way.
const AHEAD_MAX: usize = 64 << 10;
/// Bytes of a packet that is no row.
const PACKET_MAX: usize = 16 << 20;

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
    pub(super) async fn answer(&mut self, pending: Pending, shift: u8, reply_sequence: u8) -> Result<(), End> {
        let Pending { response, then, cells } = pending;
        match cells {
            Cells::Relay => self.relay(response, then, shift).await,
        }
    }

    async fn relay(&mut self, response: Response, then: Then, shift: u8) -> Result<(), End> {
        let mut walker = Walker::new(response, self.desk.end, shift);
        let mut ended = Ended::Well;
        loop {
            self.wait_for_server().await?;
            loop {
                let step = self.step(&mut walker, &mut ended)?;
                if step.forward > 0 {
                    self.client.write_from(&self.server.input, step.forward).await?;
                    self.desk.count_answer(step.forward);
                }
                self.server.input.consume(step.consume);
                match step.then {
                    Next::Walk => {}
                    Next::Read => break,
                    Next::Done => {
                        if ended == Ended::Well {
                            self.desk.succeeded(then);
                        }
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Looks at what is there.
    fn step(&mut self, walker: &mut Walker, ended: &mut Ended) -> Result<Step, End> {
        let mut at = 0;
        loop {
            let bytes = self.server.input.data_mut();
            let (start, end) = match walker.walk(bytes, at).map_err(End::ServerMalformed)? {
                Walk::Partial(upto) => {
                    return Ok(Step { forward: upto, consume: upto, then: Next::Read });
                }
                Walk::Packet { start, end } => (start, end),
            };
            let payload = bytes.get(start.saturating_add(HEADER_LENGTH)..end).unwrap_or_default();
            let event = walker.accept(payload).map_err(End::ServerMalformed)?;
            let done = walker.response == Response::Complete;
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
                Event::Err(_) => *ended = Ended::Badly,
                Event::Column(_)
                | Event::ColumnCount(_)
                | Event::Param(_)
                | Event::DefinitionsEnd
                | Event::Row(_)
                | Event::Prepared(_)
                | Event::Line => {}
            }
            if done {
                return Ok(Step { forward: end, consume: end, then: Next::Done });
            }
        }
    }

    /// Takes over the session state of the OK packet at `start..end` and writes in its place the packet that this client
    /// gets, which is never longer. Returns its end.
    fn patch_ok(&mut self, start: usize, end: usize) -> Result<usize, End> {
        let Self { desk, server, .. } = self;
        let bytes = server.input.data_mut();
        let packet = bytes.get_mut(start..end).unwrap_or_default();
        let Some(header) = Header::read(packet) else { return Ok(end) };
        desk.bytes.clear();
        let payload = packet.get(HEADER_LENGTH..).unwrap_or_default();
        desk.patch_ok(payload).map_err(End::ServerMalformed)?;
        let patched = Header { length: desk.bytes.len(), sequence: header.sequence };
        let Some(place) = packet.get_mut(..patched.packet_length()) else {
            return Err(End::ServerMalformed(crate::wire::WireError::Malformed("OK packet")));
        };
        let (head, body) = place.split_at_mut(HEADER_LENGTH);
        head.copy_from_slice(&patched.bytes());
        body.copy_from_slice(&desk.bytes);
        Ok(start.saturating_add(patched.packet_length()))
    }

    /// Waits until the server sent something more. Meanwhile the client may send ahead, and its end ends the session.
    pub(super) async fn wait_for_server(&mut self) -> Result<(), End> {
        let Self { client, server, .. } = self;
        if server.input.len() > PACKET_MAX {
            return Err(End::ServerMalformed(crate::wire::WireError::TooLarge("packet")));
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

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
}

impl super::decision::Desk {
    /// Takes over an OK packet's session state and puts the client's form of it into `bytes`.
    fn patch_ok(&mut self, payload: &[u8]) -> Result<(), crate::wire::WireError> {
        let ok = crate::wire::ok::OkPacket::parse(payload)?;
        self.state.observe(&ok)?;
        let track: SessionTrack = self.track;
        let Self { state, bytes, .. } = self;
        ok.put_for_client(track, |name| state.is_hidden(name), bytes)
    }
}
