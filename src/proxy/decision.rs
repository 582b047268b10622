//! What is done with a command: the table of commands.

use std::sync::Arc;

use super::end::Complaint;
use super::prepared::Statements;
use super::registry::Connection;
use super::session::{Pending, Shared};
use super::state::{Freshness, State, may_stop_tracking};
use crate::wire::WireError;
use crate::wire::command::{self, Command};
use crate::wire::err::{self, SqlState};
use crate::wire::ok::SessionTrack;
use crate::wire::packet::{self, Whole};
use crate::wire::response::{EndMarker, Response, RowFormat};

/// What is done with a command.
#[derive(Debug)]
pub(super) enum Decision {
    /// It goes to the server, whose answer is awaited.
    Forward { send: Send, pending: Pending },
    /// It goes to the server, which does not answer.
    NoAnswer(Send),
    /// It ends here, and the client awaits no answer.
    Nothing,
    /// It ends here with an error.
    Refuse(Refused),
    /// A login on the open connection.
    ChangeUser,
    /// The client leaves.
    Quit,
}

/// Which bytes go to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Send {
    /// The client's packets.
    AsItCame,
    /// The payload in [`Desk::out`].
    Rewritten,
}

/// What an answer without error changes.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    Database(Arc<str>),
    ForgetSession,
    /// The state may have changed unreported.
    ProbeAgain,
}

/// What happens to the packets of an answer.
#[derive(Debug)]
pub(super) enum Cells {
    Relay,
}

/// An error for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    code: u16,
    sqlstate: [u8; 5],
    text: String,
}

impl From<Complaint> for Refused {
    fn from(complaint: Complaint) -> Self {
        let (code, sqlstate) = complaint.code();
        Self { code, sqlstate, text: complaint.to_string() }
    }
}

impl Refused {
    /// Appends the ERR packet; returns the next sequence id.
    pub(super) fn put_packet(&self, sequence: u8, out: &mut Vec<u8>) -> u8 {
        let mut payload = Vec::new();
        err::put(self.code, self.sqlstate, &self.text, SqlState::Present, &mut payload);
        packet::put(&payload, sequence, out)
    }
}

/// Everything a session decides with; all of it but the two peers.
pub(super) struct Desk {
    pub(super) state: State,
    pub(super) end: EndMarker,
    pub(super) track: SessionTrack,
    /// A command's payload as the server gets it, when it is not the client's.
    pub(super) out: Vec<u8>,
    /// Packets on their way.
    pub(super) bytes: Vec<u8>,
    joined: Vec<u8>,
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    statements: Statements,
    catalog: Due,
}

/// Whether the catalog has to be loaded again before the next statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    Yes,
}

impl Desk {
    pub(super) fn new(
        state: State,
        end: EndMarker,
        track: SessionTrack,
        shared: Arc<Shared>,
        connection: Arc<Connection>,
    ) -> Self {
        let statements = Statements::default();
        let (out, bytes, joined) = (Vec::new(), Vec::new(), Vec::new());
        Self { state, end, track, out, bytes, joined, shared, connection, statements, catalog: Due::No }
    }

    /// Decides about the command at the front of `input`.
    pub(super) fn decide(&mut self, whole: &Whole, input: &[u8]) -> Result<Decision, WireError> {
        let mut joined = std::mem::take(&mut self.joined);
        let decision = whole.payload(input, &mut joined).and_then(|payload| self.decide_payload(payload));
        // A command of many megabytes does not leave its size behind.
        if joined.capacity() <= 1 << 20 {
            self.joined = joined;
        }
        decision
    }

    fn decide_payload(&mut self, payload: &[u8]) -> Result<Decision, WireError> {
        let Some((&first, body)) = payload.split_first() else { return Err(WireError::Truncated("command")) };
        Ok(match Command::from_byte(first) {
            Command::Query => self.query(body),
            Command::Quit => Decision::Quit,
            Command::Ping | Command::Debug => relay(Response::Status, Then::Nothing),
            Command::InitDb => match std::str::from_utf8(body) {
                Ok(name) => relay(Response::Status, Then::Database(name.into())),
                Err(_) => Decision::Refuse(Complaint::CharacterSet.into()),
            },
            Command::FieldList => relay(Response::Fields, Then::Nothing),
            Command::Statistics => relay(Response::Line, Then::Nothing),
            Command::ChangeUser => Decision::ChangeUser,
            Command::ResetConnection => relay(Response::Status, Then::ForgetSession),
            Command::SetOption => match body {
                // 1 switches multi-statements off, which they are.
                [1, 0] => relay(Response::Status, Then::Nothing),
                _ => Decision::Refuse(Complaint::UnknownCommand.into()),
            },
            Command::StmtPrepare => relay(Response::Prepared, Then::Nothing),
            Command::StmtExecute => relay(Response::Header(RowFormat::Binary), Then::Nothing),
            Command::StmtSendLongData => Decision::NoAnswer(Send::AsItCame),
            Command::StmtClose => {
                if let Some(id) = command::statement_id(payload) {
                    self.statements.close(id);
                }
                Decision::NoAnswer(Send::AsItCame)
            }
            Command::StmtReset => relay(Response::Status, Then::Nothing),
            Command::StmtFetch => relay(Response::Rows(RowFormat::Binary), Then::Nothing),
            Command::Copying => Decision::Refuse(Complaint::CopyingDenied.into()),
            Command::Unknown => Decision::Refuse(Complaint::UnknownCommand.into()),
        })
    }

    fn query(&mut self, sql: &[u8]) -> Decision {
        self.connection.counters.statement();
        let then = if may_stop_tracking(sql) { Then::ProbeAgain } else { Then::Nothing };
        relay(Response::Header(RowFormat::Text), then)
    }

    pub(super) fn needs_catalog(&self) -> bool {
        self.catalog == Due::Yes
    }

    pub(super) async fn refresh_catalog(&mut self) {
        if self.shared.catalog.refresh(self.shared.settings.timeouts.catalog).await {
            self.catalog = Due::No;
        } else {
            tracing::warn!(connection = self.connection.id, "the catalog was not loaded in time");
        }
    }

    /// Takes over a state that a probe found.
    pub(super) fn adopt(&mut self, state: State) {
        self.state = state;
    }

    /// Drops what belongs to the session: prepared statements and what is known of its variables.
    pub(super) fn forget_session(&mut self) {
        self.statements = Statements::default();
        self.state.freshness = Freshness::Stale;
    }

    pub(super) fn count_answer(&self, bytes: usize) {
        self.connection.counters.to_client(bytes);
    }

    /// An answer ended without error.
    pub(super) fn succeeded(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Database(name) => self.state.database = Some(name),
            Then::ForgetSession => self.forget_session(),
            Then::ProbeAgain => self.state.freshness = Freshness::Stale,
        }
    }
}

fn relay(response: Response, then: Then) -> Decision {
    Decision::Forward { send: Send::AsItCame, pending: Pending { response, then, cells: Cells::Relay } }
}
