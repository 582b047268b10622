//! The commands of prepared statements.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::decision::{
    After, Attempt, Cells, Decision, Desk, Pending, Send, Then, after, guard, pass, refuse_or_retry,
};
use super::named;
use super::prepared::{PiecesSent, Prepared, Text, Versions};
use super::snapshot::Snapshot;
use super::statement::{NotSent, Opening, check_lease, is_protected, not_rewritten, opens, refuse};
use crate::client_error::{ClientError, Complaint};
use crate::plan::{Outputs, QueryPlan, Refusal, Subject};
use crate::rewrite::{self, Context, LongData, ParamMap, ParamTypes, RewriteError, Rewritten, Unifications, Window};
use crate::sql;
use crate::wire::command::{self, Command};
use crate::wire::response::{Response, RowFormat};

impl Desk {
    /// COM_STMT_PREPARE.
    pub(super) fn prepare(&mut self, sql: &[u8], attempt: Attempt) -> Decision {
        match self.try_prepare(sql) {
            Ok(decision) => decision,
            Err(not_sent) => refuse_or_retry(not_sent, attempt),
        }
    }

    fn try_prepare(&mut self, sql: &[u8]) -> Result<Decision, NotSent> {
        let snapshot = self.begin().map_err(NotSent::Refused)?;
        let limits = &self.shared.settings.limits;
        let octets = self.statements.text_octets().saturating_add(sql.len());
        if self.statements.len() >= limits.prepared_max || octets > limits.prepared_bytes_max {
            return Err(NotSent::Refused(Complaint::TooManyPrepared.into()));
        }
        let reading = self.reading().map_err(NotSent::Refused)?;
        if let Some(shadow) = self.shared.shadow.clone() {
            return Ok(self.prepare_in_shadow(&shadow, sql, reading, &snapshot));
        }
        let planned = self.plan(Command::STMT_PREPARE, sql, &reading, &snapshot)?;
        let plan = planned.plan;
        if named::kept(&plan).is_some() {
            return Err(NotSent::Refused(ClientError::from(&Refusal::Unsupported {
                subject: Subject::Data,
                construct: "PREPARE in a prepared statement",
                remedy: "send it as text",
            })));
        }
        no_messages(&plan)?;
        if opens(&plan) && self.state.results_collation.is_none() {
            return Ok(Decision::WithFreshState);
        }
        let map = self.param_map(&plan, &snapshot).map_err(NotSent::Refused)?;
        let send = match planned.rewritten {
            Rewritten::Unchanged => Send::AsItCame,
            Rewritten::Replaced => Send::Rewritten,
        };
        let cells = if is_protected(&plan) {
            let opening = self.opening(&plan, reading.dialect, &snapshot).naming(&planned.names, &planned.asked);
            Cells::Open { opening, statement: None }
        } else {
            Cells::Relay(guard(&snapshot))
        };
        let prepared = Prepared {
            sql: sql.into(),
            reading,
            plan,
            map,
            names: planned.names,
            asked: planned.asked,
            types: ParamTypes::default(),
            long_data: LongData::default(),
            failed: None,
            made_under: Versions::of(&snapshot),
            text: self.text_of(planned.rewritten),
            // Both come with the answer.
            server_id: 0,
            columns: 0,
            copies: None,
            pieces_sent: PiecesSent::No,
            cursor: None,
        };
        let pending =
            Pending { response: Response::Prepared, cells, then: Then::default(), prepared: Some(Box::new(prepared)) };
        Ok(Decision::Forward { send, pending })
    }

    /// The text that the server is given by a plan that was just carried out.
    pub(super) fn text_of(&self, rewritten: Rewritten) -> Text {
        match rewritten {
            Rewritten::Unchanged => Text::AsWritten,
            Rewritten::Replaced => Text::Rewritten(Sha256::digest(&self.out).into()),
        }
    }

    /// A command about a prepared statement, under the server's id of it.
    pub(super) fn redirect(&mut self, payload: &[u8], server_id: u32) -> Send {
        if command::statement_id(payload) == Some(server_id) {
            return Send::AsItCame;
        }
        self.out.clear();
        self.out.extend_from_slice(payload);
        command::put_statement_id(&mut self.out, server_id);
        Send::Rewritten
    }

    /// How the client's parameters become the server's.
    pub(super) fn param_map(
        &self,
        plan: &Arc<QueryPlan>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<ParamMap>, ClientError> {
        if !is_protected(plan) {
            return Ok(None);
        }
        let Some(dialect) = self.state.dialect() else { return Err(Complaint::CharacterSet.into()) };
        let opening = self.opening(plan, dialect, snapshot);
        let Some(context) = opening.context() else { return Err(Complaint::KeysNotLoaded.into()) };
        ParamMap::of(plan, &context).map_err(|error| refuse(&error, &self.connection))
    }

    /// COM_STMT_EXECUTE.
    pub(super) fn execute(&mut self, payload: &[u8], attempt: Attempt) -> Decision {
        let id = command::statement_id(payload).unwrap_or_default();
        let Some((id, mut prepared)) = self.statements.take(id) else {
            return Decision::Refuse(unknown_statement());
        };
        let decision = self.execute_prepared(payload, id, &mut prepared);
        match &decision {
            Ok(Decision::WithFreshState | Decision::Reprepare(_))
            | Err(NotSent::UnknownName(_) | NotSent::WithoutLease | NotSent::WithoutSubjects(..)) => {}
            Ok(_) | Err(NotSent::Refused(_)) => self.statements.executed(&mut prepared),
        }
        self.statements.restore(id, prepared);
        match decision {
            Ok(decision) => decision,
            Err(not_sent) => refuse_or_retry(not_sent, attempt),
        }
    }

    fn execute_prepared(&mut self, payload: &[u8], id: u32, prepared: &mut Prepared) -> Result<Decision, NotSent> {
        let snapshot = self.begin().map_err(NotSent::Refused)?;
        if let Some(error) = prepared.failed.take() {
            return Err(NotSent::Refused(error));
        }
        if let Some(shadow) = self.shared.shadow.clone() {
            return self.execute_in_shadow(&shadow, payload, prepared, &snapshot);
        }
        let versions = Versions::of(&snapshot);
        if versions != prepared.made_under {
            if let Some(again) = self.check_again(id, prepared, &snapshot)? {
                return Ok(Decision::Reprepare(Box::new(again)));
            }
            prepared.made_under = versions;
        }
        let plan = prepared.plan.clone();
        // It may have been prepared when nothing was protected.
        no_messages(&plan)?;
        check_lease(&plan, self.attempt, &self.shared)?;
        // A CALL may give and take names, too.
        self.note_names(&prepared.sql, &prepared.reading, &plan, &snapshot).map_err(NotSent::Refused)?;
        let then = Then { database: None, after: after(&plan, &prepared.sql) };
        let response = Response::Header(RowFormat::Binary);
        if !is_protected(&plan) {
            let pending = Pending { response, cells: Cells::Relay(guard(&snapshot)), then, prepared: None };
            let send = self.send_execute(payload, prepared, None)?;
            return Ok(Decision::Forward { send, pending });
        }
        if opens(&plan) && self.state.results_collation.is_none() {
            return Ok(Decision::WithFreshState);
        }
        // Values come in the character set of now, whatever it was at COM_STMT_PREPARE.
        let dialect = self.reading().map_err(NotSent::Refused)?.dialect;
        let opening = self.opening(&plan, dialect, &snapshot).naming(&prepared.names, &prepared.asked);
        let window = self.window_of(payload, prepared, &opening).map_err(NotSent::Refused)?;
        let opening = opening.showing(window);
        self.unify_before_execute(payload, prepared, &opening).map_err(NotSent::Refused)?;
        let mut send = self.send_execute(payload, prepared, Some(&opening))?;
        if plan.sort.is_some() {
            send = self.without_cursor(payload, send);
        }
        self.note_searches(&plan, &snapshot);
        let cells =
            if opens(&plan) { Cells::Open { opening, statement: Some(id) } } else { Cells::Relay(guard(&snapshot)) };
        Ok(Decision::Forward { send, pending: Pending { response, cells, then, prepared: None } })
    }

    /// Which rows of a sorted result an execution shows.
    fn window_of(
        &self,
        payload: &[u8],
        prepared: &mut Prepared,
        opening: &Opening,
    ) -> Result<Option<Window>, ClientError> {
        let Some(sort) = &prepared.plan.sort else { return Ok(None) };
        let (Some(map), Some(context)) = (&prepared.map, opening.context()) else {
            return Err(Complaint::KeysNotLoaded.into());
        };
        let mut tokens = Vec::new();
        let lexed = sql::lex(&prepared.sql, &prepared.reading.dialect, &mut tokens);
        let bounds = lexed
            .map_err(|_| RewriteError::PlanMismatch("tokens"))
            .and_then(|_| rewrite::sort_bounds(payload, sort, map, &mut prepared.types, &prepared.long_data, &context));
        let window = bounds.and_then(|bounds| Window::of(sort, &prepared.sql, &tokens, &bounds));
        window.map(Some).map_err(|error| refuse(&error, &self.connection))
    }

    /// An execution that opens no cursor: rows that are sorted come all at once, as a server may always decide.
    fn without_cursor(&mut self, payload: &[u8], send: Send) -> Send {
        const FLAGS: usize = 5;
        if payload.get(FLAGS) == Some(&0) {
            return send;
        }
        match send {
            Send::AsItCame => {
                self.out.clear();
                self.out.extend_from_slice(payload);
            }
            Send::Rewritten => {}
        }
        if let Some(flags) = self.out.get_mut(FLAGS) {
            *flags = 0;
        }
        Send::Rewritten
    }

    /// Finds what the execution stores in UNIQUE columns of mixed forms, in its parameters and in the statement's text.
    fn unify_before_execute(
        &mut self,
        payload: &[u8],
        prepared: &mut Prepared,
        opening: &Opening,
    ) -> Result<(), ClientError> {
        let (Some(map), true) = (&prepared.map, Self::is_to_unify(&prepared.plan, opening)) else { return Ok(()) };
        let Some(context) = opening.context() else { return Err(Complaint::KeysNotLoaded.into()) };
        let (sql, dialect) = (&*prepared.sql, prepared.reading.dialect);
        let mut tokens = Vec::new();
        if sql::lex(sql, &dialect, &mut tokens).is_err() {
            return Err(refuse(&RewriteError::PlanMismatch("tokens"), &self.connection));
        }
        if Unifications::is_explained(sql, &tokens) {
            return Ok(());
        }
        let mut values = Unifications::default();
        let added =
            values.add_params(payload, map, &mut prepared.types, &prepared.long_data, &context).and_then(|()| {
                // Literals are read as they were when the server read them.
                values.add_literals(sql, &tokens, &prepared.plan, &Context { dialect, ..context })
            });
        added.map_err(|error| refuse(&error, &self.connection))?;
        self.unify_first(opening, values)
    }

    /// What the server gets of a COM_STMT_EXECUTE.
    fn send_execute(
        &mut self,
        payload: &[u8],
        prepared: &mut Prepared,
        opening: Option<&Opening>,
    ) -> Result<Send, NotSent> {
        let changing = prepared.map.as_ref().filter(|map| map.changes_parameters());
        let Some(map) = changing.or(prepared.copies.as_ref()) else {
            // A rotation may bring the statement to a server id that has no types yet.
            if opening.is_some() && prepared.plan.params > 0 {
                prepared.types.observe(payload, prepared.plan.params);
            }
            return Ok(self.redirect(payload, prepared.server_id));
        };
        let no_keys = || NotSent::Refused(Complaint::KeysNotLoaded.into());
        let context: Option<Context<'_>> = opening.map(|opening| opening.context().ok_or_else(no_keys)).transpose()?;
        self.out.clear();
        let rewritten = match &context {
            Some(context) => {
                rewrite::execute(payload, map, &mut prepared.types, &prepared.long_data, context, &mut self.out)
            }
            None => rewrite::execute_copied(payload, map, &mut prepared.types, &prepared.long_data, &mut self.out),
        };
        rewritten.map_err(|error| {
            let untyped = prepared.copies.is_some() && !prepared.types.are_known();
            if untyped && matches!(error, RewriteError::Wire(_)) {
                return NotSent::Refused(Complaint::NeedsReprepare.into());
            }
            not_rewritten(&error, &self.connection)
        })?;
        command::put_statement_id(&mut self.out, prepared.server_id);
        Ok(Send::Rewritten)
    }

    /// COM_STMT_SEND_LONG_DATA: first byte, statement id, parameter number, a piece of the value.
    pub(super) fn long_data(&mut self, payload: &[u8]) -> Decision {
        let Some((&[first, i0, i1, i2, i3, p0, p1], piece)) = payload.split_first_chunk::<7>() else {
            return Decision::NoAnswer(Send::AsItCame);
        };
        let (id, param) = (u32::from_le_bytes([i0, i1, i2, i3]), u16::from_le_bytes([p0, p1]));
        let octets_max = self.shared.settings.limits.long_data_bytes_max;
        match self.statements.long_data(id, param, piece, octets_max) {
            None => Decision::Nothing,
            Some(same) if same == (id, param) => Decision::NoAnswer(Send::AsItCame),
            Some((server_id, server_param)) => {
                self.out.clear();
                self.out.push(first);
                self.out.extend_from_slice(&server_id.to_le_bytes());
                self.out.extend_from_slice(&server_param.to_le_bytes());
                self.out.extend_from_slice(piece);
                Decision::NoAnswer(Send::Rewritten)
            }
        }
    }

    /// COM_STMT_CLOSE.
    pub(super) fn close(&mut self, payload: &[u8]) -> Decision {
        let server_id = command::statement_id(payload).and_then(|id| self.statements.close(id));
        Decision::NoAnswer(server_id.map_or(Send::AsItCame, |server_id| self.redirect(payload, server_id)))
    }

    /// COM_STMT_RESET.
    pub(super) fn reset(&mut self, payload: &[u8]) -> Decision {
        let server_id = command::statement_id(payload).and_then(|id| self.statements.reset(id));
        let send = server_id.map_or(Send::AsItCame, |server_id| self.redirect(payload, server_id));
        let pending =
            Pending { response: Response::Status, cells: Cells::Relay(None), then: Then::default(), prepared: None };
        Decision::Forward { send, pending }
    }

    /// COM_STMT_FETCH: rows come without definitions, so those of the last execution are used.
    pub(super) fn fetch(&mut self, payload: &[u8]) -> Decision {
        let id = command::statement_id(payload).unwrap_or_default();
        let response = Response::Rows(RowFormat::Binary);
        let Some(prepared) = self.statements.find(id) else {
            return pass(response, Then { database: None, after: After::empty() });
        };
        let (cursor, server_id) = (prepared.cursor.clone(), prepared.server_id);
        let cells = match cursor {
            None => Cells::Relay(None),
            Some(cursor) => Cells::Fetch { opening: cursor.opening, columns: cursor.columns },
        };
        let send = self.redirect(payload, server_id);
        Decision::Forward { send, pending: Pending { response, cells, then: Then::default(), prepared: None } }
    }
}

/// The server never gave that id, or the statement was not admitted.
fn unknown_statement() -> ClientError {
    Complaint::UnknownStatement.into()
}

/// Refuses a prepared statement that shows the server's own texts: they are looked through in those of a command alone.
fn no_messages(plan: &QueryPlan) -> Result<(), NotSent> {
    if plan.outputs != Outputs::Messages {
        return Ok(());
    }
    Err(NotSent::Refused(ClientError::from(&Refusal::Unsupported {
        subject: Subject::Data,
        construct: "SHOW WARNINGS or SHOW ERRORS in a prepared statement",
        remedy: "send it as text",
    })))
}
