//! What is done with a command: the table of commands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::acquaintance::Acquaintance;
use super::keys::KeysWanted;
use super::named::NamedStatements;
use super::prepared::{Prepared, Statements};
use super::rates::{Measure, Tally};
use super::registry::Connection;
use super::replaced::Doubts;
use super::reprepare::Reprepare;
use super::searching::Searching;
use super::session::Shared;
use super::snapshot::Snapshot;
use super::state::{Freshness, Standing, State, may_stop_tracking};
use super::statement::{NotSent, Opening, Rights, changes_catalog, opens};
use super::unify::Unify;
use crate::client_error::{ClientError, Complaint};
use crate::explain::{self, Explained};
use crate::plan::{Lookup, Outputs, PlanCache, QueryPlan, Scratch};
use crate::policy::RoleId;
use crate::rewrite::{ResultColumn, Rewritten, WantedSubject};
use crate::wire::WireError;
use crate::wire::command::Command;
use crate::wire::err::{self, SqlState};
use crate::wire::ok::SessionTrack;
use crate::wire::packet::{self, Whole};
use crate::wire::response::{EndMarker, Response, RowFormat};

/// For so long after a connection had the catalog read again, a table that it does not know keeps nobody waiting: one's own
/// temporary tables are never in it.
const LOOKED_UP_FRESH: Duration = Duration::from_secs(1);

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
    Refuse(ClientError),
    /// It ends here with a result set that says what would become of a statement.
    Explain(Box<Explained>),
    /// It is decided again with a fresh catalog; with this error if that changes nothing.
    WithFreshCatalog,
    /// It is decided again when the collation of results is known.
    WithFreshState,
    /// It is decided again when the control plane was asked for the write lease.
    WithLease,
    /// It is decided again when the control plane was asked for keys of data subjects; with this error if they are not had.
    WithSubjects(Vec<WantedSubject>, ClientError),
    /// It is decided again when the statement that it executes has been prepared again.
    Reprepare(Box<Reprepare>),
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

/// How often a command was decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    /// The catalog was loaded, the state read, or the lease asked for in between.
    Second,
}

/// What is known about the answer that is under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) response: Response,
    pub(super) cells: Cells,
    pub(super) then: Then,
    /// The statement that the answer brings a statement id for.
    pub(super) prepared: Option<Box<Prepared>>,
}

/// What an answer changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Then {
    /// The default database, if the answer is no error.
    pub(super) database: Option<Arc<str>>,
    /// Anything else.
    pub(super) after: After,
}

bitflags::bitflags! {
    /// What has to be done after an answer.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct After: u8 {
        /// The session was reset.
        const FORGET = 1;
        /// The state may have changed unreported.
        const PROBE = 2;
        /// Tables, views or routines may have changed, even if the answer is an error.
        const CATALOG = 4;
    }
}

/// What happens to the packets of an answer.
#[derive(Debug)]
pub(super) enum Cells {
    /// They pass. Definitions are compared with policy, if it protects anything.
    Relay(Option<Guard>),
    /// The result's definitions are restored and its cells opened. A cursor stays with the statement of that id.
    Open { opening: Opening, statement: Option<u32> },
    /// Texts of the server, in which no envelope is shown.
    Messages { opening: Opening },
    /// Rows of a cursor.
    Fetch { opening: Opening, columns: Vec<ResultColumn> },
    /// COM_FIELD_LIST: definitions of what the role may read are restored.
    Fields { opening: Opening, role: RoleId },
}

/// What the column definitions of an answer that passes are compared with.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// One that names a protected column refuses the rest.
    Protected(Arc<Snapshot>),
    /// Shadow mode: one that names a protected column, and announces bytes, does.
    ProtectedBytes(Arc<Snapshot>),
}

/// Appends an ERR packet with the reference under which the log knows the statement; returns the next sequence id.
pub(super) fn put_error(error: &ClientError, connection: &Connection, sequence: u8, out: &mut Vec<u8>) -> u8 {
    let error = error.clone().with_reference(connection.id, connection.statement());
    let mut payload = Vec::new();
    err::put(error.code, error.sqlstate, &error.text, SqlState::Present, &mut payload);
    packet::put(&payload, sequence, out)
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
    pub(super) scratch: Scratch,
    pub(super) plans: Arc<PlanCache>,
    pub(super) connection: Arc<Connection>,
    pub(super) statements: Statements,
    pub(super) named: NamedStatements,
    pub(super) rights: Option<Rights>,
    pub(super) acquaintance: Option<Acquaintance>,
    pub(super) tally: Arc<Tally>,
    pub(super) shared: Arc<Shared>,
    /// The application that the login named.
    pub(super) application: Option<Arc<str>>,
    /// What comes before the command that was decided about.
    pub(super) unify: Option<Unify>,
    /// What it searches for and does not see.
    pub(super) searching: Option<Searching>,
    /// How often the command at hand was decided about.
    pub(super) attempt: Attempt,
    /// Whether the catalog was read again for it.
    pub(super) lookup: Lookup,
    /// When the connection last had the catalog read again.
    looked_up: Option<Instant>,
    pub(super) doubts: Doubts,
    joined: Vec<u8>,
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
        let tally = shared.tallies.of(&state.account, connection.client.ip());
        Self {
            state,
            end,
            track,
            out: Vec::new(),
            bytes: Vec::new(),
            scratch: Scratch::default(),
            plans: shared.plans.clone(),
            connection,
            statements: Statements::default(),
            named: NamedStatements::default(),
            rights: None,
            acquaintance: None,
            tally,
            shared,
            application: None,
            unify: None,
            searching: None,
            attempt: Attempt::First,
            lookup: Lookup::First,
            looked_up: None,
            doubts: Doubts::default(),
            joined: Vec::new(),
            catalog: Due::No,
        }
    }

    /// Decides about the command at the front of `input`.
    pub(super) fn decide(&mut self, whole: &Whole, input: &[u8], attempt: Attempt) -> Result<Decision, WireError> {
        self.unify = None;
        self.searching = None;
        self.named.nothing_under_way();
        self.attempt = attempt;
        if attempt == Attempt::First {
            let is_fresh = self.has_looked_up();
            self.lookup = if is_fresh { Lookup::Again } else { Lookup::First };
        }
        let mut joined = std::mem::take(&mut self.joined);
        let decision = whole.payload(input, &mut joined).and_then(|payload| self.decide_payload(payload, attempt));
        // A command of many megabytes does not leave its size behind.
        if joined.capacity() <= 1 << 20 {
            self.joined = joined;
        }
        decision
    }

    fn decide_payload(&mut self, payload: &[u8], attempt: Attempt) -> Result<Decision, WireError> {
        let Some((&first, body)) = payload.split_first() else { return Err(WireError::Truncated("command")) };
        let command = Command::from_byte(first);
        match self.state.standing {
            Standing::Ordinary => {}
            Standing::PasswordExpired => return Ok(self.decide_expired(command, body)),
        }
        Ok(match command {
            Command::Query => match self.execute_by_name(body, attempt) {
                Some(decision) => decision,
                None => self.query(body, attempt),
            },
            Command::Quit => Decision::Quit,
            Command::Ping | Command::Debug => pass(Response::Status, Then::default()),
            Command::InitDb => match std::str::from_utf8(body) {
                Ok(name) => pass(Response::Status, Then { database: Some(name.into()), after: After::empty() }),
                Err(_) => Decision::Refuse(Complaint::CharacterSet.into()),
            },
            Command::FieldList => self.field_list(),
            Command::Statistics => pass(Response::Line, Then::default()),
            Command::ChangeUser => Decision::ChangeUser,
            Command::ResetConnection => {
                pass(Response::Status, Then { database: None, after: After::FORGET | After::PROBE })
            }
            Command::SetOption => match body {
                // 1 switches multi-statements off, which they are.
                [1, 0] => pass(Response::Status, Then::default()),
                _ => Decision::Refuse(Complaint::UnknownCommand.into()),
            },
            Command::StmtPrepare => self.prepare(body, attempt),
            Command::StmtExecute => self.execute(payload, attempt),
            Command::StmtSendLongData => self.long_data(payload),
            Command::StmtClose => self.close(payload),
            Command::StmtReset => self.reset(payload),
            Command::StmtFetch => self.fetch(payload),
            Command::Copying => Decision::Refuse(Complaint::CopyingDenied.into()),
            Command::Unknown => Decision::Refuse(Complaint::UnknownCommand.into()),
        })
    }

    pub(super) fn query(&mut self, sql: &[u8], attempt: Attempt) -> Decision {
        let snapshot = match self.begin() {
            Ok(snapshot) => snapshot,
            Err(error) => return Decision::Refuse(error),
        };
        let reading = match self.reading() {
            Ok(reading) => reading,
            Err(error) => return Decision::Refuse(error),
        };
        if let Some(asked) = explain::asked(sql, &reading.dialect) {
            return self.explain(asked, &reading, &snapshot, attempt);
        }
        if let Some(shadow) = self.shared.shadow.clone() {
            return self.query_in_shadow(&shadow, sql, &reading, &snapshot);
        }
        let planned = match self.plan(Command::QUERY, sql, &reading, &snapshot) {
            Ok(planned) => planned,
            Err(not_sent) => return refuse_or_retry(not_sent, attempt),
        };
        let plan = planned.plan;
        if let Some(decision) = self.execute_at_once(sql, &reading, &plan, attempt) {
            return decision;
        }
        if opens(&plan) && self.state.results_collation.is_none() {
            return Decision::WithFreshState;
        }
        self.note_searches(&plan, &snapshot);
        let send = match planned.rewritten {
            Rewritten::Unchanged => Send::AsItCame,
            Rewritten::Replaced => Send::Rewritten,
        };
        if !planned.unique.is_empty() {
            let opening = self.opening(&plan, reading.dialect, &snapshot);
            if let Err(error) = self.unify_first(&opening, planned.unique) {
                return Decision::Refuse(error);
            }
        }
        if let Err(error) = self.note_names(sql, &reading, &plan, &snapshot) {
            return Decision::Refuse(error);
        }
        let cells = if opens(&plan) {
            let opening = self
                .opening(&plan, reading.dialect, &snapshot)
                .naming(&planned.names, &planned.asked)
                .showing(planned.window);
            Cells::Open { opening, statement: None }
        } else if plan.outputs == Outputs::Messages {
            Cells::Messages { opening: self.opening(&plan, reading.dialect, &snapshot) }
        } else {
            Cells::Relay(guard(&snapshot))
        };
        let pending = Pending {
            response: Response::Header(RowFormat::Text),
            cells,
            then: Then { database: None, after: after(&plan, sql) },
            prepared: None,
        };
        Decision::Forward { send, pending }
    }

    /// Counts a statement and takes the snapshot that it keeps to its end.
    pub(super) fn begin(&self) -> Result<Arc<Snapshot>, ClientError> {
        self.connection.counters.statement();
        match self.measure() {
            Measure::None | Measure::Wait(_) => {}
            Measure::Refuse | Measure::Close => return Err(Complaint::TooManySigns.into()),
        }
        if self.catalog == Due::Yes {
            return Err(Complaint::CatalogNotLoaded.into());
        }
        let snapshot = self.shared.snapshot.load_full();
        if self.shared.shadow.is_some() {
            self.check_shadow(&snapshot)?;
        }
        if snapshot.ring.is_none() {
            use super::settings::WithoutKeys;
            match self.shared.settings.without_keys {
                WithoutKeys::RefuseAll if !snapshot.policy.columns().is_empty() => {
                    return Err(Complaint::KeysNotLoaded.into());
                }
                WithoutKeys::RefuseAll | WithoutKeys::RelayUnprotected => {}
            }
        }
        Ok(snapshot)
    }

    /// COM_FIELD_LIST names a table and lists its columns without any statement.
    fn field_list(&mut self) -> Decision {
        let snapshot = match self.begin() {
            Ok(snapshot) => snapshot,
            Err(error) => return Decision::Refuse(error),
        };
        // In shadow mode columns are shown as they are stored.
        if snapshot.policy.columns().is_empty() || self.shared.shadow.is_some() {
            return pass(Response::Fields, Then::default());
        }
        if self.state.results_collation.is_none() {
            return Decision::WithFreshState;
        }
        let Some(dialect) = self.state.dialect() else {
            return Decision::Refuse(Complaint::CharacterSet.into());
        };
        let nothing = Arc::new(QueryPlan::relay(crate::plan::Effect::None, 0));
        let opening = self.opening(&nothing, dialect, &snapshot);
        let role = self.rights(&snapshot).role;
        let pending = Pending {
            response: Response::Fields,
            cells: Cells::Fields { opening, role },
            then: Then::default(),
            prepared: None,
        };
        Decision::Forward { send: Send::AsItCame, pending }
    }

    /// Asks for the write lease. What that brought is seen when the command is decided again.
    pub(super) async fn renew_lease(&self) {
        if !self.shared.keys.ask(KeysWanted::Lease, self.shared.settings.timeouts.lease).await {
            tracing::warn!(connection = self.connection.id, "the write lease is over and was not renewed");
        }
    }

    /// Asks for the keys of data subjects. `false` if they are not there in time.
    pub(super) async fn find_subjects(&self, wanted: Vec<WantedSubject>) -> bool {
        self.shared.keys.ask(KeysWanted::Subjects(wanted), self.shared.settings.timeouts.subject_keys).await
    }

    /// Whether the connection has just had the catalog read again.
    pub(super) fn has_looked_up(&self) -> bool {
        self.looked_up.is_some_and(|at| at.elapsed() < LOOKED_UP_FRESH)
    }

    /// The catalog is read again before the next command.
    pub(super) fn want_catalog(&mut self) {
        self.catalog = Due::Yes;
    }

    pub(super) fn needs_catalog(&self) -> bool {
        self.catalog == Due::Yes
    }

    pub(super) async fn refresh_catalog(&mut self) {
        if self.shared.catalog.refresh(self.shared.settings.timeouts.catalog).await {
            self.catalog = Due::No;
            self.lookup = Lookup::Again;
            self.looked_up = Some(Instant::now());
        } else {
            tracing::warn!(connection = self.connection.id, "the catalog was not loaded in time");
        }
    }

    /// Takes over a state that a probe found.
    pub(super) fn adopt(&mut self, state: State) {
        self.tally = self.shared.tallies.of(&state.account, self.connection.client.ip());
        self.state = state;
        self.rights = None;
        self.acquaintance = None;
    }

    /// Drops what belongs to the session: prepared statements, rights, and what is known of its variables.
    pub(super) fn forget_session(&mut self) {
        self.statements = Statements::default();
        self.named.forget();
        self.doubts = Doubts::default();
        self.rights = None;
        self.acquaintance = None;
        self.state.freshness = Freshness::Stale;
    }

    pub(super) fn count_answer(&self, bytes: usize) {
        self.connection.counters.to_client(bytes);
    }

    /// An answer ended without error.
    pub(super) fn succeeded(&mut self, then: Then) {
        if let Some(name) = &then.database {
            self.state.database = Some(name.clone());
        }
        self.named.succeeded();
        if then.after.contains(After::FORGET) {
            self.forget_session();
        }
        self.ended(&then);
    }

    /// An answer ended, well or badly.
    pub(super) fn ended(&mut self, then: &Then) {
        if then.after.contains(After::PROBE) {
            self.state.freshness = Freshness::Stale;
        }
        if then.after.contains(After::CATALOG) {
            self.want_catalog();
        }
    }
}

/// A command that passes as it is, and whose answer does.
pub(super) fn pass(response: Response, then: Then) -> Decision {
    let pending = Pending { response, then, cells: Cells::Relay(None), prepared: None };
    Decision::Forward { send: Send::AsItCame, pending }
}

/// The snapshot that definitions are compared with; nothing to compare if nothing is protected.
pub(super) fn guard(snapshot: &Arc<Snapshot>) -> Option<Guard> {
    (!snapshot.policy.columns().is_empty()).then(|| Guard::Protected(snapshot.clone()))
}

pub(super) fn refuse_or_retry(not_sent: NotSent, attempt: Attempt) -> Decision {
    match (not_sent, attempt) {
        (NotSent::WithoutLease, Attempt::First) => Decision::WithLease,
        (NotSent::WithoutLease, Attempt::Second) => Decision::Refuse(Complaint::WriteLeaseOver.into()),
        // Whether they are had is the control plane's word, not the attempt's.
        (NotSent::WithoutSubjects(wanted, error), _) => Decision::WithSubjects(wanted, error),
        (NotSent::UnknownName(_), Attempt::First) => Decision::WithFreshCatalog,
        (NotSent::UnknownName(error), Attempt::Second) | (NotSent::Refused(error), _) => Decision::Refuse(error),
    }
}

/// What has to be done after a statement.
pub(super) fn after(plan: &QueryPlan, sql: &[u8]) -> After {
    let mut after = After::empty();
    after.set(After::CATALOG, changes_catalog(plan));
    after.set(After::PROBE, may_stop_tracking(sql));
    after
}
