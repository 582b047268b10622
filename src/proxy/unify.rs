//! Statements of the proxy's own before one that stores values in a UNIQUE column of mixed forms (see
//! [`crate::rewrite::Unifications`]). They run on the client's server connection and in its transaction; the client sees
//! neither them nor their answers. What goes wrong with them is the answer to the client's statement.

use super::decision::Desk;
use super::end::End;
use super::keys::KeysWanted;
use super::session::Session;
use super::statement::{Opening, refuse};
use crate::client_error::ClientError;
use crate::crypto::KeyId;
use crate::plan::QueryPlan;
use crate::policy::{ColumnId, DecryptGrant};
use crate::rewrite::{self, Context, RewriteError, Unification, Unifications};
use crate::wire::command::Command;
use crate::wire::packet::{self, Whole};
use crate::wire::response::{Event, Response, RowFormat};
use crate::wire::{WireError, err, lenenc};

/// Values of one look-up.
const VALUES_MAX: usize = 500;
/// Look-ups for the same values: each but the last has found rows and brought them to today's form.
const ROUNDS_MAX: usize = 100;
/// Bytes of one packet of the answers.
const PACKET_MAX: usize = 64 << 20;

const DUPLICATE: u16 = 1062;
/// The account lacks the right to a command on a table, on a column, or in a database.
const NOT_ALLOWED: [u16; 3] = [1142, 1143, 1044];

/// What has to be done before the command goes to the server.
#[derive(Debug)]
pub(super) struct Unify {
    opening: Opening,
    columns: Vec<(DecryptGrant, Unification)>,
}

/// Why the client's statement is not sent.
#[derive(Debug)]
pub(super) enum NotUnified {
    /// The client is told.
    Refused(ClientError),
    /// The server's own error is the answer: a lock that was not had, a deadlock, a transaction that may not write.
    Server(Vec<u8>),
}

enum Answer {
    Done { affected: u64 },
    Rows(Vec<Vec<u8>>),
    Err(Vec<u8>),
}

impl Desk {
    /// Keeps what has to be done before the command that is decided about.
    pub(super) fn unify_first(&mut self, opening: &Opening, values: Unifications) -> Result<(), ClientError> {
        let columns = values.into_columns();
        if columns.is_empty() {
            return Ok(());
        }
        let role = self.rights(&opening.snapshot).role;
        let granted =
            columns.into_iter().map(|part| Some((opening.snapshot.policy.access(role, part.column).1?, part)));
        // The plan asked for the same right already.
        let columns = granted.collect::<Option<Vec<_>>>();
        let columns = columns.ok_or_else(|| refuse(&RewriteError::PlanMismatch("grant"), &self.connection))?;
        self.unify = Some(Unify { opening: opening.clone(), columns });
        Ok(())
    }

    /// The same with the newest ring, once that has the key of a data subject. `None` if it is not had.
    async fn with_subject_key(&self, kid: KeyId, opening: &Opening) -> Option<Opening> {
        let shared = &self.shared;
        let wanted = KeysWanted::SubjectKeys(vec![kid]);
        if !shared.keys.ask(wanted, shared.settings.timeouts.unknown_key).await {
            return None;
        }
        let snapshot = shared.snapshot.load_full();
        let same_policy = snapshot.policy.version() == opening.snapshot.policy.version();
        (same_policy && snapshot.keys().is_some()).then(|| Opening { snapshot, ..opening.clone() })
    }

    /// Whether a plan stores values in a UNIQUE column of mixed forms.
    pub(super) fn is_to_unify(plan: &QueryPlan, opening: &Opening) -> bool {
        opening.context().is_some_and(|context| Unifications::concern(plan, &context))
    }
}

impl Session {
    /// Does what [`Desk::unify_first`] kept. Not cancel-safe.
    pub(super) async fn unify(&mut self) -> Result<Result<(), NotUnified>, End> {
        let Some(Unify { opening, columns }) = self.desk.unify.take() else { return Ok(Ok(())) };
        for (grant, part) in &columns {
            for values in part.values.chunks(VALUES_MAX) {
                let mut round = 0;
                loop {
                    match self.unify_round(&opening, grant, values).await? {
                        Ok(Round::Nothing) => break,
                        Ok(Round::Moved) => round += 1,
                        Err(not_unified) => return Ok(Err(not_unified)),
                    }
                    if round >= ROUNDS_MAX {
                        let refused = |context: &Context<'_>| rewrite::too_many_rows(part.column, context);
                        return Ok(Err(self.not_unified(&opening, refused)));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    /// Looks the values up once and brings the rows that it finds to today's form.
    async fn unify_round(
        &mut self,
        opening: &Opening,
        grant: &DecryptGrant,
        values: &[crate::crypto::Plaintext],
    ) -> Result<Result<Round, NotUnified>, End> {
        let id = grant.column();
        let lookup = self.spell(opening, |context| rewrite::lookup(id, values, context));
        let lookup = match lookup {
            Ok(sql) => sql,
            Err(not_unified) => return Ok(Err(not_unified)),
        };
        let found = match self.ask(&lookup).await? {
            Answer::Rows(found) => found,
            Answer::Done { .. } => return Err(End::ServerMalformed(WireError::Unexpected("answer to a look-up"))),
            Answer::Err(payload) => return Ok(Err(self.server_refused(opening, id, payload))),
        };
        let mut round = Round::Nothing;
        for cell in found {
            let conversion = match self.spell_conversion(opening, grant, &cell).await {
                Ok(sql) => sql,
                Err(not_unified) => return Ok(Err(not_unified)),
            };
            match self.ask(&conversion).await? {
                Answer::Done { affected: 0 } => {}
                Answer::Done { .. } => round = Round::Moved,
                // The value is there in today's form already, so the index decides rightly as it is.
                Answer::Err(payload) if err::code(&payload) == Ok(DUPLICATE) => {}
                Answer::Err(payload) => return Ok(Err(self.server_refused(opening, id, payload))),
                Answer::Rows(_) => return Err(End::ServerMalformed(WireError::Unexpected("answer to a conversion"))),
            }
        }
        Ok(Ok(round))
    }

    /// Spells the conversion of a row; asks for the key of the row's data subject if that is not here.
    async fn spell_conversion(
        &self,
        opening: &Opening,
        grant: &DecryptGrant,
        cell: &[u8],
    ) -> Result<Vec<u8>, NotUnified> {
        let spell = |opening: &Opening| {
            let context = opening.context().ok_or(RewriteError::PlanMismatch("keys"));
            context.and_then(|context| rewrite::conversion(grant, cell, &context))
        };
        let mut spelled = spell(opening);
        if let Err(RewriteError::UnknownKey { kid, .. }) = &spelled
            && kid.is_of_subject()
            && let Some(newer) = self.desk.with_subject_key(*kid, opening).await
        {
            spelled = spell(&newer);
        }
        spelled.map_err(|error| NotUnified::Refused(refuse(&error, &self.desk.connection)))
    }

    fn spell(
        &self,
        opening: &Opening,
        spell: impl FnOnce(&Context<'_>) -> Result<Vec<u8>, RewriteError>,
    ) -> Result<Vec<u8>, NotUnified> {
        let context = opening.context().ok_or(RewriteError::PlanMismatch("keys"));
        let spelled = context.and_then(|context| spell(&context));
        spelled.map_err(|error| NotUnified::Refused(refuse(&error, &self.desk.connection)))
    }

    fn not_unified(&self, opening: &Opening, error: impl FnOnce(&Context<'_>) -> RewriteError) -> NotUnified {
        let error = opening.context().map_or(RewriteError::PlanMismatch("keys"), |context| error(&context));
        NotUnified::Refused(refuse(&error, &self.desk.connection))
    }

    fn server_refused(&self, opening: &Opening, id: ColumnId, payload: Vec<u8>) -> NotUnified {
        match err::code(&payload) {
            Ok(code) if NOT_ALLOWED.contains(&code) => {
                self.not_unified(opening, |context| rewrite::not_allowed(id, context))
            }
            Ok(_) | Err(_) => NotUnified::Server(payload),
        }
    }

    /// Sends a statement and reads its answer: rows of one column, or none.
    async fn ask(&mut self, sql: &[u8]) -> Result<Answer, End> {
        let mut payload = vec![Command::QUERY];
        payload.extend_from_slice(sql);
        let mut bytes = Vec::new();
        packet::put(&payload, 0, &mut bytes);
        self.server.write(&bytes).await?;
        let mut response = Response::Header(RowFormat::Text);
        let mut answer = None;
        let mut rows = Vec::new();
        while response != Response::Complete {
            let found = Whole::find(self.server.input.data(), PACKET_MAX, "answer to a look-up");
            let Some(whole) = found.map_err(End::ServerMalformed)? else {
                self.wait_for_server_up_to(PACKET_MAX).await?;
                continue;
            };
            let mut joined = Vec::new();
            let payload = whole.payload(self.server.input.data(), &mut joined).map_err(End::ServerMalformed)?;
            let (next, event) =
                response.on_packet(self.desk.end, whole.first_length, payload).map_err(End::ServerMalformed)?;
            match event {
                Event::Row(row) => {
                    let (cell, _) = lenenc::take_string(row, "answer to a look-up").map_err(End::ServerMalformed)?;
                    rows.push(cell.to_vec());
                }
                Event::Ok(ok) => {
                    self.desk.state.observe_status(ok.status);
                    self.desk.state.observe(&ok).map_err(End::ServerMalformed)?;
                    answer.get_or_insert(Answer::Done { affected: ok.affected_rows });
                }
                Event::Eof(status) => self.desk.state.observe_status(status),
                Event::Err(payload) => answer = Some(Answer::Err(payload.to_vec())),
                Event::ColumnCount(_) => answer = Some(Answer::Rows(Vec::new())),
                Event::Column(_) | Event::Param(_) | Event::DefinitionsEnd | Event::Prepared(_) | Event::Line => {}
            }
            response = next;
            self.server.input.consume(whole.length);
        }
        Ok(match answer {
            Some(Answer::Rows(_)) | None => Answer::Rows(rows),
            Some(answer @ (Answer::Done { .. } | Answer::Err(_))) => answer,
        })
    }
}

/// What a look-up led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// There is nothing in another form, or nothing that could be moved.
    Nothing,
    /// Rows were brought to today's form. There may be more.
    Moved,
}
