//! Preparing a statement again when policy, catalog or keys changed since the client did: on the same server connection,
//! unseen by the client.
//!
//! Drivers do not prepare again by themselves, and every rotation of an index key would break all prepared look-ups. So
//! the client keeps its statement id, and the server gets another one in its place. Only what the client would see is a
//! reason to send it error 1615: another number of columns or parameters, another database or SQL mode than the
//! statement was written for, and pieces of a value that went to the old statement.

use std::sync::Arc;

use super::decision::Desk;
use super::end::End;
use super::peer::Peer;
use super::prepared::{Prepared, Text, Versions};
use super::session::Session;
use super::snapshot::Snapshot;
use super::statement::{NotSent, Planned};
use crate::audit::Asked;
use crate::client_error::{ClientError, Complaint};
use crate::plan::QueryPlan;
use crate::rewrite::{ColumnName, ParamMap, Rewritten};
use crate::wire::command::Command;
use crate::wire::packet;
use crate::wire::response::{EndMarker, Event, PrepareOk, Response};

/// Bytes of one packet of the server's answer.
const PACKET_MAX: usize = 16 << 20;

/// A statement that has to be prepared again, and what it becomes.
#[derive(Debug)]
pub(super) struct Reprepare {
    /// The client's statement id.
    id: u32,
    /// COM_STMT_PREPARE's payload.
    payload: Vec<u8>,
    pub(super) plan: Arc<QueryPlan>,
    /// Names of the result's columns that are restored.
    pub(super) names: Arc<[ColumnName]>,
    pub(super) map: Option<ParamMap>,
    /// What the record of accesses will say of its executions: under another policy it may open something.
    pub(super) asked: Option<Arc<Asked>>,
    pub(super) text: Text,
    pub(super) versions: Versions,
}

impl Reprepare {
    fn server_params(&self) -> usize {
        self.map.as_ref().map_or(usize::from(self.plan.params), ParamMap::server_params)
    }

    /// Columns of the result that the client gets.
    fn shown_columns(&self, ok: PrepareOk) -> u16 {
        ok.columns.saturating_sub(u16::try_from(self.plan.hidden()).unwrap_or(u16::MAX))
    }
}

/// How it went.
#[derive(Debug)]
pub(super) enum Reprepared {
    /// The statement can be executed.
    Done,
    /// The client has to prepare it.
    Refused(ClientError),
    /// The server's own error.
    ServerError(Vec<u8>),
}

/// Whether pieces of a value that arrived before are where the next execution finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    InPlace,
    /// They went to the statement that is no longer used.
    Elsewhere,
}

impl Desk {
    /// Policy, catalog or keys changed since the statement was prepared. `None`: what the server holds is still what
    /// would be sent now.
    pub(super) fn check_again(
        &mut self,
        id: u32,
        prepared: &Prepared,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<Reprepare>, NotSent> {
        let planned = self.plan(Command::STMT_PREPARE, &prepared.sql, &prepared.reading, snapshot)?;
        let map = self.param_map(&planned.plan, snapshot).map_err(NotSent::Refused)?;
        let text = self.text_of(planned.rewritten);
        if *planned.plan == *prepared.plan && map == prepared.map && text == prepared.text {
            return Ok(None);
        }
        // The server would read the text by the session's state of now.
        if self.reading().map_err(NotSent::Refused)? != prepared.reading {
            return Err(NotSent::Refused(Complaint::NeedsReprepare.into()));
        }
        let payload = match planned.rewritten {
            Rewritten::Replaced => self.out.clone(),
            Rewritten::Unchanged => [&[Command::STMT_PREPARE][..], &prepared.sql].concat(),
        };
        let versions = Versions::of(snapshot);
        let Planned { plan, names, asked, .. } = planned;
        Ok(Some(Reprepare { id, payload, plan, names, map, asked, text, versions }))
    }
}

impl Session {
    /// Prepares a statement again and closes what it was.
    pub(super) async fn reprepare(&mut self, again: Reprepare) -> Result<Reprepared, End> {
        self.server.write_packet(&again.payload, 0).await?;
        let ok = match answer(&mut self.server, self.desk.end).await? {
            Ok(ok) => ok,
            Err(payload) => return Ok(Reprepared::ServerError(payload)),
        };
        let (id, expected) = (again.id, again.server_params());
        let shown = self.desk.statements.find(id).map(|prepared| (prepared.columns, prepared.plan.params));
        if usize::from(ok.params) != expected || shown != Some((again.shown_columns(ok), again.plan.params)) {
            self.close_at_server(ok.statement).await?;
            return Ok(Reprepared::Refused(Complaint::NeedsReprepare.into()));
        }
        let connection = &self.desk.connection;
        connection.counters.repreparation();
        tracing::debug!(connection = connection.id, statement = connection.statement(), "statement prepared again");
        let Some((before, pieces)) = self.desk.statements.replace(id, ok.statement, again) else {
            return Ok(Reprepared::Refused(Complaint::UnknownStatement.into()));
        };
        self.close_at_server(before).await?;
        match pieces {
            Pieces::InPlace => Ok(Reprepared::Done),
            Pieces::Elsewhere => {
                self.desk.statements.reset(id);
                Ok(Reprepared::Refused(Complaint::NeedsReprepare.into()))
            }
        }
    }

    /// COM_STMT_CLOSE has no answer.
    pub(super) async fn close_at_server(&mut self, statement: u32) -> Result<(), End> {
        let mut payload = vec![Command::STMT_CLOSE];
        payload.extend_from_slice(&statement.to_le_bytes());
        let mut bytes = Vec::new();
        packet::put(&payload, 0, &mut bytes);
        self.server.write(&bytes).await
    }
}

/// The answer to a COM_STMT_PREPARE that the client does not see.
async fn answer(server: &mut Peer, end: EndMarker) -> Result<Result<PrepareOk, Vec<u8>>, End> {
    let mut response = Response::Prepared;
    let mut found = Err(Vec::new());
    while response != Response::Complete {
        let whole = server.whole(PACKET_MAX, "answer to a prepare").await?;
        let mut joined = Vec::new();
        let payload = whole.payload(server.input.data(), &mut joined).map_err(End::ServerMalformed)?;
        let (next, event) = response.on_packet(end, whole.first_length, payload).map_err(End::ServerMalformed)?;
        match event {
            Event::Prepared(ok) => found = Ok(ok),
            Event::Err(payload) => found = Err(payload.to_vec()),
            Event::ColumnCount(_)
            | Event::Column(_)
            | Event::Param(_)
            | Event::DefinitionsEnd
            | Event::Row(_)
            | Event::Ok(_)
            | Event::Eof(_)
            | Event::Line => {}
        }
        response = next;
        server.input.consume(whole.length);
    }
    Ok(found)
}
