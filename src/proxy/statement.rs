//! From a statement's text to what is sent: inspection, rewriting, and the plan that its answer is read by.

use std::sync::Arc;

use super::decision::{Attempt, Desk};
use super::disclosing::asked;
use super::rates::Sign;
use super::registry::Connection;
use super::session::Shared;
use super::snapshot::Snapshot;
use crate::audit::Asked;
use crate::client_error::{ClientError, Complaint};
use crate::crypto::KeyId;
use crate::events::{Hit, Outcome};
use crate::plan::{self, CellAction, Effect, Inspection, Outputs, QueryPlan, Refusal, SpliceKind};
use crate::policy::{Account, FirewallMode, RoleId};
use crate::rewrite::{self, ColumnName, Context, RewriteError, Rewritten, Unifications, WantedSubject, Window};
use crate::schema::Charset;
use crate::sql::Dialect;

/// What a statement is read by. A prepared statement keeps the one that it was prepared under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) dialect: Dialect,
    pub(super) database: Option<Arc<str>>,
}

/// A statement that may be sent.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Arc<QueryPlan>,
    pub(super) rewritten: Rewritten,
    /// Names of the result's columns that are restored.
    pub(super) names: Arc<[ColumnName]>,
    /// Literals that it stores in UNIQUE columns of mixed forms.
    pub(super) unique: Unifications,
    /// Which rows of a sorted result are shown, if no parameter says so.
    pub(super) window: Option<Window>,
    /// What the record of accesses will say of it.
    pub(super) asked: Option<Arc<Asked>>,
}

impl Planned {
    fn as_written(plan: Arc<QueryPlan>) -> Self {
        let (names, unique) = (Arc::default(), Unifications::default());
        Self { plan, rewritten: Rewritten::Unchanged, names, unique, window: None, asked: None }
    }
}

/// Why a statement is not sent.
#[derive(Debug)]
pub(super) enum NotSent {
    /// The client is told.
    Refused(ClientError),
    /// It names something that the catalog does not know: it may be new.
    UnknownName(ClientError),
    /// It seals or looks up, and the write lease is over.
    WithoutLease,
    /// It seals values of data subjects whose keys are not here; with this error if they cannot be had.
    WithoutSubjects(Vec<WantedSubject>, ClientError),
}

/// The role of the session's account under one version of the policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    policy_version: u64,
    pub(super) role: RoleId,
    pub(super) firewall: FirewallMode,
}

/// A result whose cells are opened, or an answer that has to be read with the plan at hand.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) plan: Arc<QueryPlan>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) dialect: Dialect,
    pub(super) results_charset: Option<Charset>,
    pub(super) results_collation: u16,
    /// Names of the result's columns that are restored.
    pub(super) names: Arc<[ColumnName]>,
    /// Which rows of a sorted result are shown.
    pub(super) window: Option<Window>,
    /// Which result of a CALL is read, from 0.
    pub(super) result: usize,
    /// What the record of accesses will say of the statement.
    pub(super) asked: Option<Arc<Asked>>,
}

impl Opening {
    /// The context of the snapshot that the statement began with.
    pub(super) fn context(&self) -> Option<Context<'_>> {
        Some(Context {
            policy: &self.snapshot.policy,
            ring: self.snapshot.keys()?,
            catalog: &self.snapshot.catalog,
            dialect: self.dialect,
            results_charset: self.results_charset,
            results_collation_id: self.results_collation,
        })
    }

    /// Whether the key of a data subject is open, or known to be destroyed.
    pub(super) fn knows_subject_key(&self, kid: KeyId) -> bool {
        self.snapshot.keys().is_some_and(|ring| ring.all_subjects().any(|keys| keys.by_kid(kid).is_some()))
    }

    /// The same with names to restore, and what the record of accesses will say.
    pub(super) fn naming(self, names: &Arc<[ColumnName]>, asked: &Option<Arc<Asked>>) -> Self {
        Self { names: names.clone(), asked: asked.clone(), ..self }
    }

    /// The same for a result that is sorted.
    pub(super) fn showing(self, window: Option<Window>) -> Self {
        Self { window, ..self }
    }

    /// What happens to the result's columns; none for an answer that is relayed.
    pub(super) fn actions(&self) -> &[CellAction] {
        match &self.plan.outputs {
            Outputs::Relay | Outputs::Messages => &[],
            Outputs::Columns(actions) => actions,
            Outputs::Results(results) => results.get(self.result).map_or(&[], Vec::as_slice),
        }
    }
}

/// Whether a plan reads or writes anything protected.
pub(super) fn is_protected(plan: &QueryPlan) -> bool {
    !plan.is_as_written() || opens(plan)
}

/// Whether protected columns are written.
pub(super) fn writes(plan: &QueryPlan) -> bool {
    !plan.copies.is_empty()
        || plan.splices.iter().any(|splice| match &splice.kind {
            SpliceKind::Seal(_) => true,
            SpliceKind::Constant(_)
            | SpliceKind::Search { .. }
            | SpliceKind::NullIf { .. }
            | SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Joined(_)
            | SpliceKind::Set(_)
            | SpliceKind::Kept(_)
            | SpliceKind::Match { .. }
            | SpliceKind::Rows { .. } => false,
        })
}

/// Whether cells of the result are opened.
pub(super) fn opens(plan: &QueryPlan) -> bool {
    match &plan.outputs {
        Outputs::Relay | Outputs::Messages => false,
        Outputs::Columns(_) | Outputs::Results(_) => true,
    }
}

/// Whether the catalog has to be loaded again after the statement.
pub(super) fn changes_catalog(plan: &QueryPlan) -> bool {
    match plan.effect {
        Effect::None => false,
        Effect::Catalog => true,
    }
}

impl Desk {
    /// What the next statement is read by.
    pub(super) fn reading(&self) -> Result<Reading, ClientError> {
        let dialect = self.state.dialect().ok_or(Complaint::CharacterSet)?;
        Ok(Reading { dialect, database: self.state.database.clone() })
    }

    /// The account's rights, looked up once per version of the policy.
    pub(super) fn rights(&mut self, snapshot: &Snapshot) -> Rights {
        let version = snapshot.policy.version();
        match self.rights {
            Some(rights) if rights.policy_version == version => rights,
            Some(_) | None => {
                let (role, firewall) = snapshot.policy.resolve_with(&self.state.account, &self.state.mysql_roles);
                let rights = Rights { policy_version: version, role, firewall };
                self.rights = Some(rights);
                rights
            }
        }
    }

    /// Inspects a statement and rewrites it into [`Desk::out`], behind the command byte.
    pub(super) fn plan(
        &mut self,
        command: u8,
        sql: &[u8],
        reading: &Reading,
        snapshot: &Snapshot,
    ) -> Result<Planned, NotSent> {
        let rights = self.rights(snapshot);
        let profile = self.profile(rights.firewall, snapshot, reading.database.as_ref());
        let Self { state, scratch, out, plans, connection, shared, attempt, lookup, tally, .. } = self;
        let inspection = Inspection {
            lookup: *lookup,
            dialect: reading.dialect,
            default_database: reading.database.as_deref(),
            catalog: &snapshot.catalog,
            policy: &snapshot.policy,
            role: rights.role,
            account: &state.account,
            firewall: rights.firewall,
            profile: profile.as_deref(),
            cache: plans,
            scratch,
        };
        let judged = Judged { sql, reading, mode: rights.firewall, account: &state.account, connection, snapshot };
        let inspected = plan::inspect(sql, inspection);
        for _ in 0..profile.as_ref().map_or(0, |profile| profile.take_novel()) {
            tally.note(Sign::Novel, snapshot.policy.rates(), &state.account, connection);
        }
        let admitted = inspected.map_err(|refusal| {
            if let Refusal::Firewall { rule } = refusal {
                shared.events.take(&judged.hit(rule, Outcome::Refused));
            }
            not_sent(&refusal, connection)
        })?;
        admitted.note_sent();
        if let Some(rule) = admitted.observed() {
            shared.events.take(&judged.hit(rule, Outcome::Observed));
        }
        let plan = admitted.plan().clone();
        if !is_protected(&plan) {
            return Ok(Planned::as_written(plan));
        }
        check_lease(&plan, *attempt, shared)?;
        let Some(ring) = snapshot.keys() else {
            return Err(NotSent::Refused(ClientError::from(&Refusal::NotReady)));
        };
        let context = Context {
            policy: &snapshot.policy,
            ring,
            catalog: &snapshot.catalog,
            dialect: reading.dialect,
            results_charset: state.results.charset(),
            results_collation_id: state.results_collation.unwrap_or_default(),
        };
        out.clear();
        out.push(command);
        let mut unique = Unifications::default();
        let rewritten = rewrite::statement(&admitted, &context, out).and_then(|rewritten| {
            let (sql, tokens) = (admitted.sql(), admitted.tokens());
            if Unifications::concern(&plan, &context) && !Unifications::is_explained(sql, tokens) {
                unique.add_literals(sql, tokens, &plan, &context)?;
            }
            let names = rewrite::column_names(&admitted, rewritten, &context)?;
            let window = plan.sort.as_ref().map(|sort| Window::of(sort, sql, tokens, &[])).transpose()?;
            Ok((rewritten, names.into(), window))
        });
        match rewritten {
            Ok((rewritten, names, window)) => {
                let (audit, policy) = (shared.audit.as_ref(), &snapshot.policy);
                let asked = asked(audit, policy, &plan, admitted.sql(), admitted.tokens());
                Ok(Planned { plan, rewritten, names, unique, window, asked })
            }
            Err(error) => Err(not_rewritten(&error, connection)),
        }
    }

    /// What an answer is opened with.
    pub(super) fn opening(&self, plan: &Arc<QueryPlan>, dialect: Dialect, snapshot: &Arc<Snapshot>) -> Opening {
        Opening {
            plan: plan.clone(),
            snapshot: snapshot.clone(),
            dialect,
            results_charset: self.state.results.charset(),
            results_collation: self.state.results_collation.unwrap_or_default(),
            names: Arc::default(),
            window: None,
            result: 0,
            asked: None,
        }
    }
}

/// A statement that the firewall judges, and where it comes from.
pub(super) struct Judged<'a> {
    pub(super) sql: &'a [u8],
    pub(super) reading: &'a Reading,
    pub(super) mode: FirewallMode,
    pub(super) account: &'a Account,
    pub(super) connection: &'a Connection,
    pub(super) snapshot: &'a Snapshot,
}

impl<'a> Judged<'a> {
    /// What is told when a rule matches it.
    pub(super) fn hit(&self, rule: &'static str, outcome: Outcome) -> Hit<'a> {
        let Self { sql, reading, mode, account, connection, snapshot } = *self;
        Hit {
            rule,
            outcome,
            mode,
            sql,
            dialect: reading.dialect,
            database: reading.database.as_deref(),
            account,
            client: connection.client,
            connection: connection.id,
            statement: connection.statement(),
            catalog: &snapshot.catalog,
        }
    }
}

/// Without the lease, the control plane is asked once for a newer one, and newer keys with it. Then what writes protected
/// columns is refused, and look-ups go on: with the server out of reach, they find nothing anyway, and with the server
/// back, the answer has brought the index keys of now.
///
/// Asked before anything is sealed, and again when a statement that was prepared earlier is executed: the server may hold
/// sealed values of it.
pub(super) fn check_lease(plan: &QueryPlan, attempt: Attempt, shared: &Shared) -> Result<(), NotSent> {
    if plan.is_as_written() || shared.lease.holds() {
        return Ok(());
    }
    match attempt {
        Attempt::First => Err(NotSent::WithoutLease),
        Attempt::Second if writes(plan) => Err(NotSent::Refused(Complaint::WriteLeaseOver.into())),
        Attempt::Second => Ok(()),
    }
}

/// A refusal as the client hears of it; the log has what the client is not told.
fn not_sent(refusal: &Refusal, connection: &Connection) -> NotSent {
    let error = ClientError::from(refusal);
    match refusal {
        Refusal::UnknownName { .. } => NotSent::UnknownName(error),
        Refusal::Denied { column, .. } => {
            tracing::info!(connection = connection.id, statement = connection.statement(), %column, "column denied");
            NotSent::Refused(error)
        }
        Refusal::Administration => {
            tracing::info!(connection = connection.id, statement = connection.statement(), "administration denied");
            NotSent::Refused(error)
        }
        Refusal::Firewall { .. } | Refusal::Unsupported { .. } | Refusal::NotReady => NotSent::Refused(error),
    }
}

/// A rewrite that failed: keys of data subjects that are missing can be asked for.
pub(super) fn not_rewritten(error: &RewriteError, connection: &Connection) -> NotSent {
    if let RewriteError::WithoutSubjectKeys { wanted, .. } = error
        && !wanted.is_empty()
    {
        return NotSent::WithoutSubjects(wanted.clone(), ClientError::from(error));
    }
    NotSent::Refused(refuse(error, connection))
}

/// A rewrite that failed, as the client hears of it.
pub(super) fn refuse(error: &RewriteError, connection: &Connection) -> ClientError {
    let statement = connection.statement();
    tracing::warn!(connection = connection.id, statement, %error, "statement or result refused");
    ClientError::from(error)
}
