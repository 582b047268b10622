//! Answers that are read packet by packet: results whose cells are opened, and answers to COM_STMT_PREPARE and
//! COM_FIELD_LIST in which definitions are restored.
//!
//! Packets are renumbered, because some are left out and some change their length. What is wrong with a result is said in
//! its place, and the rest of it is read and dropped, so that the connection stays in step.

mod begun;
mod gather;
mod mark;
mod messages;
mod newer_keys;
mod paid;
mod sorted;

use zeroize::Zeroizing;

use self::begun::Begun;
use self::gather::put;
use super::budget::{Asking, Purse, Unpaid};
use super::decision::{Cells, Desk, Pending};
use super::disclosing::{Rows, Told, Witness};
use super::end::End;
use super::honey::Sentinel;
use super::prepared::{Cursor, Prepared};
use super::registry::Connection;
use super::searching::{Answer, Searched};
use super::session::Session;
use super::statement::{Opening, refuse};
use crate::audit::Outcome;
use crate::client_error::{ClientError, Complaint, without_envelope};
use crate::crypto::{KeyId, make_room};
use crate::plan::{CellAction, Outputs};
use crate::policy::{Access, RoleId};
use crate::rewrite::{self, ParamMap, ResultColumn, RewriteError, RowPlan, Sorter};
use crate::wire::column::ColumnDefinition;
use crate::wire::ok::{OkPacket, Status};
use crate::wire::packet::{HEADER_LENGTH, Header, PAYLOAD_MAX, Whole};
use crate::wire::response::{Event, PrepareOk, Response, RowFormat};

/// Bytes that are gathered before they are written.
const GATHER: usize = 64 << 10;

/// What is done with a packet.
enum Emit {
    AsItIs,
    /// The payload is in [`Reader::payload`].
    Changed,
    Skip,
}

/// How the answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Packets go to the client.
    Passing,
    /// The client has an error already; the rest is dropped.
    Dropping,
}

/// Reads one answer.
struct Reader {
    opening: Opening,
    kind: Kind,
    /// Columns of the result so far, as the server announced them.
    columns: Vec<ResultColumn>,
    params_seen: usize,
    rows: Option<Rows>,
    /// Rows that wait to be sorted.
    sorter: Option<Sorter>,
    /// Who tells of what the rows show.
    witness: Option<Witness>,
    /// Who looks for bait among them.
    sentinel: Option<Sentinel>,
    /// What the record will say of the statement's searches.
    searched: Option<Searched>,
    /// What the rows may still show; `None`: everything.
    purse: Option<Purse>,
    begun: Begun,
    /// Sequence id of the next packet to the client.
    sequence: u8,
    first_sequence: u8,
    /// Whether something of this answer was written.
    written: bool,
    payload: Vec<u8>,
    gathered: Zeroizing<Vec<u8>>,
}

enum Kind {
    Result {
        statement: Option<u32>,
    },
    /// The statement until its id came, and which of the server's parameters the client sees.
    Prepare {
        prepared: Option<Box<Prepared>>,
        map: Option<ParamMap>,
    },
    Fields(RoleId),
    Messages,
}

impl Session {
    /// Reads an answer with its plan and writes what the client gets.
    pub(super) async fn read_answer(&mut self, pending: Pending, reply_sequence: u8) -> Result<(), End> {
        let Pending { mut response, cells, then, prepared } = pending;
        let Some(mut reader) = Reader::new(cells, prepared, reply_sequence, &mut self.desk) else { return Ok(()) };
        let mut course = Course::Passing;
        let mut failed = false;
        let mut made = None;
        let row_bytes_max = self.shared.settings.limits.row_bytes_max;
        while response != Response::Complete {
            let found = Whole::find(self.server.input.data(), row_bytes_max, "row");
            let Some(whole) = found.map_err(End::ServerMalformed)? else {
                course = self.flush(&mut reader, course).await?;
                self.wait_for_server_up_to(row_bytes_max).await?;
                continue;
            };
            let mut joined = Vec::new();
            let bytes = whole.payload(self.server.input.data(), &mut joined).map_err(End::ServerMalformed)?;
            let (next, event) =
                response.on_packet(self.desk.end, whole.first_length, bytes).map_err(End::ServerMalformed)?;
            if let Event::Err(error) = &event {
                failed = true;
                self.desk.server_error(error);
            }
            if let Event::Prepared(ok) = &event {
                made = Some(ok.statement);
            }
            response = next;
            if course == Course::Passing {
                let later = self.server.input.data().get(whole.length..).unwrap_or_default();
                // The record comes before the last packet goes out: without it, the client does not get that one.
                let ended = if failed { Outcome::Failed } else { Outcome::Complete };
                // A CALL may have several results.
                let is_over = matches!(response, Response::Complete | Response::Header(_));
                let mut told = if is_over { reader.told(ended) } else { None };
                let before = reader.mark();
                let mut taken = take(&mut reader, event, (bytes, later), response, &mut self.desk).await;
                if let (Ok(()), Some(told)) = (&taken, told.take()) {
                    taken = told.record().await.inspect_err(|_| reader.put_back(before));
                }
                if let Err(error) = taken {
                    self.desk.connection.counters.refusal();
                    // The client gets an error in any case.
                    let told = told.map(|told| told.ending(Outcome::Refused)).or_else(|| reader.told(Outcome::Refused));
                    if let Some(told) = told {
                        drop(told.record().await);
                    }
                    reader.refuse(&error, &self.desk.connection);
                    course = Course::Dropping;
                    failed = true;
                    self.desk.observe_dropped(&event).map_err(End::ServerMalformed)?;
                }
            } else {
                self.desk.observe_dropped(&event).map_err(End::ServerMalformed)?;
            }
            self.server.input.consume(whole.length);
            if reader.gathered.len() >= GATHER {
                course = self.flush(&mut reader, course).await?;
            }
        }
        course = self.flush(&mut reader, course).await?;
        if course == Course::Dropping {
            self.give_up_prepared(made).await?;
        }
        self.desk.finish(reader, course);
        if failed || course == Course::Dropping {
            self.desk.ended(&then);
        } else {
            self.desk.succeeded(then);
        }
        Ok(())
    }

    /// Writes what is gathered. Returns how the answer stands then.
    async fn flush(&mut self, reader: &mut Reader, course: Course) -> Result<Course, End> {
        if reader.gathered.is_empty() {
            return Ok(course);
        }
        let course = match course {
            Course::Passing => reader.record_begun(&self.desk.connection).await,
            Course::Dropping => course,
        };
        reader.written = true;
        self.desk.count_answer(reader.gathered.len());
        self.client.write(&reader.gathered).await?;
        reader.gathered.clear();
        Ok(course)
    }
}

/// Takes a packet. A row with a value under an unknown key is taken again when newer keys are there.
async fn take(
    reader: &mut Reader,
    event: Event<'_>,
    (bytes, later): (&[u8], &[u8]),
    next: Response,
    desk: &mut Desk,
) -> Result<(), ClientError> {
    let mut taken = paid::take(reader, event, bytes, next, desk).await;
    // A row has at most as many keys as columns, and each question brings at least one.
    for _ in 0..=reader.columns.len() {
        let Err(Untaken::UnknownKey { kid, .. }) = &taken else { break };
        if !kid.is_of_subject() || !reader.find_subject_keys(*kid, (bytes, later), desk).await {
            break;
        }
        taken = paid::take(reader, event, bytes, next, desk).await;
    }
    for from in [NewerKeys::Published, NewerKeys::AskedFor] {
        let Err(Untaken::UnknownKey { kid, .. }) = &taken else { break };
        if !kid.is_of_subject() && reader.renew(*kid, from, desk).await {
            taken = paid::take(reader, event, bytes, next, desk).await;
        }
    }
    taken.map_err(|untaken| match untaken {
        Untaken::Refused(error) => error,
        Untaken::UnknownKey { error, .. } => refuse(&error, &desk.connection),
        // Only a purse says so, and it was asked.
        Untaken::Unasked(_) => Complaint::BudgetSpent.into(),
    })
}

/// Why a packet was not taken.
enum Untaken {
    Refused(ClientError),
    /// Nothing of the row was gathered.
    UnknownKey {
        kid: KeyId,
        error: RewriteError,
    },
    /// The budget is to be asked for; nothing of the row was opened.
    Unasked(Asking),
}

impl From<ClientError> for Untaken {
    fn from(error: ClientError) -> Self {
        Self::Refused(error)
    }
}

impl From<Unpaid> for Untaken {
    fn from(unpaid: Unpaid) -> Self {
        match unpaid {
            Unpaid::Spent(error) => Self::Refused(error),
            Unpaid::Unasked(asking) => Self::Unasked(asking),
        }
    }
}

/// Where newer keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewerKeys {
    /// They are published by now.
    Published,
    /// The control plane is asked.
    AskedFor,
}

impl Desk {
    /// Keeps what the answer brought.
    fn finish(&mut self, mut reader: Reader, course: Course) {
        match (&reader.kind, course) {
            (Kind::Result { statement: Some(id) }, Course::Passing) if reader.rows.is_none() => {
                // No rows came, but definitions did: a cursor is open.
                if let Some(prepared) = self.statements.find(*id)
                    && !reader.columns.is_empty()
                {
                    let columns = std::mem::take(&mut reader.columns);
                    prepared.cursor = Some(Cursor { opening: reader.opening.clone(), columns });
                }
            }
            (Kind::Result { .. } | Kind::Prepare { .. } | Kind::Fields(_) | Kind::Messages, _) => {}
        }
    }
}

impl Drop for Reader {
    /// Dropped before the answer's end, it leaves the record to the writer.
    fn drop(&mut self) {
        drop(self.told(Outcome::Broken));
    }
}

impl Reader {
    fn new(cells: Cells, prepared: Option<Box<Prepared>>, sequence: u8, desk: &mut Desk) -> Option<Self> {
        let (opening, kind, columns, rows) = match cells {
            Cells::Relay(_) => return None,
            Cells::Open { opening, statement } => {
                let kind = match prepared {
                    None => Kind::Result { statement },
                    Some(prepared) => Kind::Prepare { map: prepared.map.clone(), prepared: Some(prepared) },
                };
                (opening, kind, Vec::new(), None)
            }
            Cells::Fetch { opening, columns } => {
                let rows = rows_of(&opening, &columns).ok().flatten();
                (opening, Kind::Result { statement: None }, columns, rows)
            }
            Cells::Messages { opening } => (opening, Kind::Messages, Vec::new(), None),
            Cells::Fields { opening, role } => (opening, Kind::Fields(role), Vec::new(), None),
        };
        let searched = match &kind {
            Kind::Result { .. } if columns.is_empty() => Searched::of(&opening, Answer::Execution, desk),
            Kind::Result { .. } => Searched::of(&opening, Answer::Fetch, desk),
            Kind::Prepare { .. } | Kind::Fields(_) | Kind::Messages => None,
        };
        let (witness, purse) = (Witness::of(&opening, desk), Purse::of(&opening, desk));
        let sentinel = Sentinel::of(&opening, desk);
        let rows = rows.map(|plan| Rows::new(plan.watching(&opening.snapshot.policy), witness.clone()));
        Some(Self {
            opening,
            kind,
            columns,
            params_seen: 0,
            rows,
            sorter: None,
            witness,
            sentinel,
            searched,
            purse,
            begun: Begun::No,
            sequence,
            first_sequence: sequence,
            written: false,
            payload: Vec::new(),
            gathered: Zeroizing::default(),
        })
    }

    /// What is to be recorded when the result ends in that way.
    fn told(&mut self, outcome: Outcome) -> Option<Told> {
        let shown = self.rows.as_mut().and_then(|rows| rows.end(outcome));
        match self.searched.take() {
            Some(searched) => searched.told(shown, outcome),
            None => shown,
        }
    }

    /// Takes a packet and gathers what the client gets of it.
    fn take(&mut self, event: Event<'_>, bytes: &[u8], next: Response, desk: &mut Desk) -> Result<(), Untaken> {
        let emit = match event {
            Event::Row(row) if matches!(self.kind, Kind::Messages) => {
                return self.message_row(row).map_err(|error| refuse(&error, &desk.connection).into());
            }
            Event::ColumnCount(_) | Event::Column(_) if matches!(self.kind, Kind::Messages) => Emit::AsItIs,
            Event::Row(row) => return self.paid_row(row, next, &desk.connection),
            Event::ColumnCount(count) => {
                if usize::from(count) != self.opening.actions().len() {
                    let mismatch = RewriteError::PlanMismatch("number of result columns");
                    return Err(refuse(&mismatch, &desk.connection).into());
                }
                self.column_count()
            }
            Event::Column(definition) => {
                self.check_view(definition, desk)?;
                self.column(definition).map_err(|error| refuse(&error, &desk.connection))?
            }
            Event::Param(_) => self.param(),
            Event::Prepared(ok) => self.prepared(ok, bytes, desk)?,
            Event::Ok(ok) => {
                self.put_sorted();
                self.ok(&ok, next, desk)?
            }
            Event::Eof(status) => {
                self.put_sorted();
                desk.state.observe_status(status);
                self.end_of_result(next)?;
                Emit::AsItIs
            }
            Event::Err(error) => match without_envelope(error) {
                Some(changed) => {
                    self.payload = changed;
                    Emit::Changed
                }
                None => Emit::AsItIs,
            },
            Event::DefinitionsEnd | Event::Line => Emit::AsItIs,
        };
        match emit {
            Emit::AsItIs => self.sequence = put(bytes, self.sequence, &mut self.gathered),
            Emit::Changed => self.sequence = put(&self.payload, self.sequence, &mut self.gathered),
            Emit::Skip => {}
        }
        Ok(())
    }

    fn plan_rows(&mut self) -> Result<(), RewriteError> {
        if self.rows.is_none() {
            let plan = rows_of(&self.opening, &self.columns)?;
            let policy = &self.opening.snapshot.policy;
            self.rows = plan.map(|plan| Rows::new(plan.watching(policy), self.witness.clone()));
        }
        Ok(())
    }

    /// Opens a row straight into what is gathered.
    #[inline]
    fn row(&mut self, row: &[u8], next: Response) -> Result<(), RewriteError> {
        let context = self.opening.context().ok_or(RewriteError::PlanMismatch("keys"))?;
        let Some(rows) = &mut self.rows else {
            self.sequence = put(row, self.sequence, &mut self.gathered);
            return Ok(());
        };
        let start = self.gathered.len();
        make_room(&mut self.gathered, HEADER_LENGTH.saturating_add(row.len()));
        self.gathered.extend_from_slice(&[0; HEADER_LENGTH]);
        let opened = if next == Response::Rows(RowFormat::Binary) {
            rows.plan.binary_row(row, &context, &mut self.gathered)
        } else {
            rows.plan.text_row(row, &context, &mut self.gathered)
        };
        if let Err(error) = opened {
            self.gathered.truncate(start);
            return Err(error);
        }
        let length = self.gathered.len().saturating_sub(start).saturating_sub(HEADER_LENGTH);
        if length >= PAYLOAD_MAX {
            let payload = Zeroizing::new(self.gathered.split_off(start.saturating_add(HEADER_LENGTH)));
            self.gathered.truncate(start);
            self.sequence = put(&payload, self.sequence, &mut self.gathered);
            return Ok(());
        }
        let header = Header { length, sequence: self.sequence }.bytes();
        if let Some(place) = self.gathered.get_mut(start..start.saturating_add(HEADER_LENGTH)) {
            place.copy_from_slice(&header);
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    /// Refuses a column of a view that was replaced since the catalog was read, if it would be passed as it is.
    fn check_view(&self, definition: &[u8], desk: &mut Desk) -> Result<(), ClientError> {
        match (&self.kind, self.opening.actions().get(self.columns.len())) {
            (Kind::Result { .. } | Kind::Prepare { .. }, Some(CellAction::Relay)) => {}
            (Kind::Result { .. } | Kind::Prepare { .. } | Kind::Fields(_) | Kind::Messages, _) => return Ok(()),
        }
        let parsed = ColumnDefinition::parse(definition)?;
        match desk.finds_another_view(&parsed, &self.opening.snapshot.catalog) {
            true => Err(Complaint::ViewReplaced.into()),
            false => Ok(()),
        }
    }

    fn column(&mut self, definition: &[u8]) -> Result<Emit, RewriteError> {
        let context = match (self.opening.context(), &self.kind) {
            (Some(context), _) => context,
            (None, Kind::Fields(_) | Kind::Messages) => return Ok(Emit::AsItIs),
            (None, Kind::Result { .. } | Kind::Prepare { .. }) => return Err(RewriteError::PlanMismatch("keys")),
        };
        let parsed = ColumnDefinition::parse(definition)?;
        let action = match self.kind {
            Kind::Fields(role) => {
                let named = rewrite::names_protected(&parsed, context.policy, context.results_charset);
                let Some(id) = named else { return Ok(Emit::AsItIs) };
                let policy = context.policy;
                let action = match policy.access(role, id) {
                    (Access::Plain, grant) => grant.map(CellAction::Open),
                    (Access::Masked, _) => policy.masked(role, id).map(|(grant, mask)| CellAction::Mask(grant, mask)),
                    // What is shown of a column that the role may not read is how it is stored.
                    (Access::Ciphertext | Access::Deny, _) => None,
                };
                let Some(action) = action else { return Ok(Emit::AsItIs) };
                action
            }
            Kind::Result { .. } | Kind::Prepare { .. } | Kind::Messages => {
                self.opening.actions().get(self.columns.len()).cloned().unwrap_or(CellAction::Relay)
            }
        };
        let at = self.columns.len();
        let is_shown = self.hidden() == 0 || at < self.shown();
        self.columns.push(ResultColumn::new(&parsed.attributes));
        self.payload.clear();
        rewrite::column_definition(definition, &action, &context, &mut self.payload)?;
        if let Some(restored) = self.opening.names.iter().find(|named| named.output == at) {
            let mut named = Vec::new();
            ColumnDefinition::parse(&self.payload)?.put_named(&restored.name, &mut named);
            self.payload = named;
        }
        Ok(if is_shown { Emit::Changed } else { Emit::Skip })
    }

    /// A parameter's definition: left out if the client's statement has no such parameter.
    fn param(&mut self) -> Emit {
        let seen = self.params_seen;
        self.params_seen = seen.saturating_add(1);
        match &self.kind {
            Kind::Prepare { map: Some(map), .. } if map.shown_for(seen).is_none() => Emit::Skip,
            Kind::Prepare { .. } => Emit::AsItIs,
            Kind::Result { .. } | Kind::Fields(_) | Kind::Messages => Emit::AsItIs,
        }
    }

    /// COM_STMT_PREPARE's OK: the client sees its own number of parameters.
    fn prepared(&mut self, ok: PrepareOk, bytes: &[u8], desk: &mut Desk) -> Result<Emit, ClientError> {
        let hidden = u16::try_from(self.hidden()).unwrap_or(u16::MAX);
        let Kind::Prepare { prepared, map } = &mut self.kind else { return Ok(Emit::AsItIs) };
        let Some(prepared) = prepared.take() else { return Ok(Emit::AsItIs) };
        let (at_server, at_client) = match map {
            Some(map) => (map.server_params(), map.client_params()),
            None => (usize::from(prepared.plan.params), prepared.plan.params),
        };
        let shown = PrepareOk { columns: ok.columns.saturating_sub(hidden), ..ok };
        let columns = match &self.opening.plan.outputs {
            Outputs::Columns(actions) => actions.len(),
            // What a CALL returns is not announced.
            Outputs::Relay | Outputs::Messages | Outputs::Results(_) => 0,
        };
        // MariaDB announces no columns of RETURNING behind INSERT. The result is judged by its own number of columns.
        let fits = ok.columns == 0 || columns == 0 || usize::from(ok.columns) == columns;
        if usize::from(ok.params) != at_server || !fits {
            return Err(refuse(&RewriteError::PlanMismatch("prepared statement"), &desk.connection));
        }
        self.payload.clear();
        self.payload.extend_from_slice(bytes);
        if let Some(place) = self.payload.get_mut(7..9) {
            place.copy_from_slice(&at_client.to_le_bytes());
        }
        if let Some(place) = self.payload.get_mut(5..7) {
            place.copy_from_slice(&shown.columns.to_le_bytes());
        }
        desk.statements.insert(shown, *prepared);
        Ok(Emit::Changed)
    }

    fn ok(&mut self, ok: &OkPacket<'_>, next: Response, desk: &mut Desk) -> Result<Emit, ClientError> {
        desk.state.observe_status(ok.status);
        self.end_of_result(next)?;
        if !ok.status.contains(Status::SESSION_STATE_CHANGED) {
            return Ok(Emit::AsItIs);
        }
        desk.state.observe(ok)?;
        self.payload.clear();
        let state = &desk.state;
        ok.put_for_client(desk.track, |name| state.is_hidden(name), &mut self.payload)?;
        Ok(Emit::Changed)
    }

    /// A planned statement has one result: a second one would be opened by the wrong plan. A CALL has as many as policy
    /// declares.
    fn end_of_result(&mut self, next: Response) -> Result<(), ClientError> {
        match (&self.opening.plan.outputs, no_more_results(next)) {
            (Outputs::Results(_), Err(_)) => {
                self.opening.result = self.opening.result.saturating_add(1);
                self.columns.clear();
                (self.rows, self.begun) = (None, Begun::No);
                Ok(())
            }
            (Outputs::Relay | Outputs::Messages | Outputs::Columns(_) | Outputs::Results(_), only) => only,
        }
    }

    /// Puts an error in place of the answer, or of what of it is still to come: of its rows, if none has gone out.
    fn refuse(&mut self, error: &ClientError, connection: &Connection) {
        if !self.written {
            self.gathered.clear();
            self.sequence = self.first_sequence;
        } else if let Begun::Gathered(first_row) = self.begun {
            self.put_back(first_row);
        }
        self.put_error(error, connection);
    }
}

/// What happens to the rows of a result.
fn rows_of(opening: &Opening, columns: &[ResultColumn]) -> Result<Option<RowPlan>, RewriteError> {
    let plan = RowPlan::new(opening.actions(), columns)?;
    plan.map(|plan| plan.tied(opening.plan.bound.as_ref())).transpose()
}

/// Refuses an answer that goes on with another result.
fn no_more_results(next: Response) -> Result<(), ClientError> {
    match next {
        Response::Header(_) => Err(Complaint::ProtectedColumn.into()),
        Response::Columns { .. }
        | Response::ColumnsEnd(_)
        | Response::Rows(_)
        | Response::Prepared
        | Response::Params { .. }
        | Response::ParamsEnd { .. }
        | Response::PreparedColumns { .. }
        | Response::PreparedColumnsEnd
        | Response::Fields
        | Response::Line
        | Response::Status
        | Response::Complete => Ok(()),
    }
}
