//! Telling of accesses: what is known of a statement before it is sent, and what its result showed when it has ended.
//!
//! Whoever reads an answer tells when it ends, in whatever way: its rows and its searches in one record.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decision::{Cells, Desk, Pending};
use super::snapshot::Snapshot;
use super::statement::{Opening, opens};
use crate::audit::{Asked, Audit, Disclosure, Mode, Outcome, Share, Tally, caller};
use crate::client_error::{ClientError, Complaint};
use crate::firewall::Digest;
use crate::plan::QueryPlan;
use crate::policy::Policy;
use crate::rewrite::RowPlan;
use crate::schema::ColumnRef;
use crate::sql::Token;

/// What the record will say of a statement. Nothing if nobody records and nothing is bait, or if it opens
/// nothing.
pub(super) fn asked(
    audit: Option<&Arc<Audit>>,
    policy: &Policy,
    plan: &QueryPlan,
    sql: &[u8],
    tokens: &[Token],
) -> Option<Arc<Asked>> {
    let is_told = audit.is_some() || policy.has_honey();
    (is_told && opens(plan)).then_some(())?;
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    let first = tokens.first().map_or(0, |token| place(token.start));
    let last = tokens.last().map_or(0, |token| place(token.end));
    let caller::Said { application, traceparent } = caller::said(sql, first, last);
    Some(Arc::new(Asked { digest: Digest::of(sql, tokens).0, application, traceparent }))
}

/// Everything that is told of a result but what it showed.
#[derive(Clone)]
pub(super) struct Witness {
    audit: Arc<Audit>,
    snapshot: Arc<Snapshot>,
    disclosure: Disclosure,
}

impl Witness {
    /// For the answer to the statement at hand; `None` if nobody records.
    pub(super) fn of(opening: &Opening, desk: &mut Desk) -> Option<Self> {
        let audit = desk.shared.audit.clone()?;
        let role = desk.rights(&opening.snapshot).role;
        let role = opening.snapshot.policy.role(role).map_or_else(|| "".into(), |role| role.name.clone());
        let disclosure = Disclosure {
            account: desk.state.account.clone(),
            client: desk.connection.client,
            role,
            application: desk.application.clone(),
            asked: opening.asked.clone().unwrap_or_default(),
            connection: desk.connection.id,
            statement: desk.connection.statement(),
            outcome: Outcome::Broken,
            rows: 0,
            columns: Default::default(),
        };
        Some(Self { audit, snapshot: opening.snapshot.clone(), disclosure })
    }

    /// Of a statement that showed nothing: what else there is to tell.
    pub(super) fn told_of(self, rows: u64, columns: BTreeMap<ColumnRef, Share>, outcome: Outcome) -> Told {
        Told { audit: self.audit, disclosure: Some(Disclosure { outcome, rows, columns, ..self.disclosure }) }
    }

    /// Of a result whose first rows are about to go out: of which columns they may show anything, and what was searched for.
    /// `None` if nobody waits for records.
    pub(super) fn begun(&self, columns: BTreeMap<ColumnRef, Share>) -> Option<Told> {
        match self.audit.mode() {
            Mode::Fast => None,
            Mode::Strict => Some(self.clone().told_of(0, columns, Outcome::Begun)),
        }
    }

    fn told(self, tally: &Tally, outcome: Outcome) -> Option<Told> {
        if tally.cells() == 0 {
            return None;
        }
        let columns = Share::of(tally, &self.snapshot.policy);
        let disclosure = Disclosure { outcome, rows: tally.rows(), columns, ..self.disclosure };
        Some(Told { audit: self.audit, disclosure: Some(disclosure) })
    }
}

/// The rows of a result that are opened.
pub(super) struct Rows {
    pub(super) plan: RowPlan,
    witness: Option<Witness>,
}

impl Rows {
    pub(super) fn new(plan: RowPlan, witness: Option<Witness>) -> Self {
        Self { plan, witness }
    }

    /// The first rows are about to go out. `None` if they show nothing.
    pub(super) fn begun(&self) -> Option<Told> {
        let (witness, tally) = (self.witness.as_ref()?, self.plan.tally());
        (tally.cells() > 0).then_some(())?;
        let policy = &witness.snapshot.policy;
        let column = |(id, _, _)| policy.column(id).map(|protected| (protected.column.clone(), Share::default()));
        witness.begun(tally.columns().filter_map(column).collect())
    }

    /// The result ends in that way. `None` if there is nothing to tell, or it was told already.
    pub(super) fn end(&mut self, outcome: Outcome) -> Option<Told> {
        self.witness.take()?.told(self.plan.tally(), outcome)
    }
}

/// An access that is to be recorded. Dropped before, it is left to the writer as broken off.
pub(super) struct Told {
    audit: Arc<Audit>,
    disclosure: Option<Disclosure>,
}

impl Told {
    /// The result ends in another way.
    pub(super) fn ending(mut self, outcome: Outcome) -> Self {
        if let Some(disclosure) = &mut self.disclosure {
            disclosure.outcome = outcome;
        }
        self
    }

    /// The same with what was searched for.
    pub(super) fn with_searches(mut self, searched: BTreeMap<ColumnRef, Share>) -> Self {
        if let Some(disclosure) = &mut self.disclosure {
            for (column, share) in searched {
                let told = disclosure.columns.entry(column).or_default();
                told.searched = told.searched.saturating_add(share.searched);
            }
        }
        self
    }

    /// Hands it over without waiting.
    pub(super) fn leave(mut self) {
        if let Some(disclosure) = self.disclosure.take() {
            self.audit.leave(disclosure);
        }
    }

    /// Records it. In mode strict the client may not get the end of a result whose record is not written.
    pub(super) async fn record(mut self) -> Result<(), ClientError> {
        let Some(disclosure) = self.disclosure.take() else { return Ok(()) };
        self.audit.record(disclosure).await.map_err(|_| Complaint::NotRecorded.into())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(disclosure) = self.disclosure.take() {
            self.audit.leave(Disclosure { outcome: Outcome::Broken, ..disclosure });
        }
    }
}

impl Desk {
    /// Whether a command may be sent whose answer would show protected cells: not while they could not be recorded and the
    /// record is strict.
    pub(super) async fn admit(&self, pending: &Pending) -> Result<(), ClientError> {
        let shows = match &pending.cells {
            Cells::Open { .. } => pending.prepared.is_none(),
            Cells::Fetch { .. } => true,
            Cells::Relay(_) | Cells::Messages { .. } | Cells::Fields { .. } => false,
        };
        match &self.shared.audit {
            Some(audit) if shows => audit.admit().await.map_err(|_| Complaint::NotRecordable.into()),
            Some(_) | None => Ok(()),
        }
    }
}
