//! Searches by columns whose values the role does not see: how many an account may make in a minute, and what the record
//! says of each.
//!
//! Counted is by account, over all of its connections and all proxies, as cells of budgets are. Each value that a statement
//! compares with is a search: whoever puts a thousand into one IN has searched a thousand times. A statement is counted when
//! it is about to be sent, whatever the server makes of it; one that is refused is not.

use std::collections::BTreeMap;

use super::decision::Desk;
use super::disclosing::{Told, Witness};
use super::snapshot::Snapshot;
use super::statement::Opening;
use crate::audit::{Outcome, Share};
use crate::budget::Verdict;
use crate::client_error::{ClientError, Complaint};
use crate::plan::QueryPlan;
use crate::schema::ColumnRef;

/// The searches of a statement that was decided about.
#[derive(Debug)]
pub(super) struct Searching {
    columns: String,
    values: u64,
    per_minute: u32,
}

impl Desk {
    /// Takes note of the searches of a statement that may be sent.
    pub(super) fn note_searches(&mut self, plan: &QueryPlan, snapshot: &Snapshot) {
        if plan.searches.is_empty() {
            return;
        }
        let role = self.rights(snapshot).role;
        let per_minute = snapshot.policy.search(role).map_or(0, |grant| grant.per_minute);
        let values = plan.searches.iter().fold(0_u64, |sum, search| sum.saturating_add(search.values.into()));
        let columns: Vec<String> = columns(plan, snapshot).keys().map(ToString::to_string).collect();
        self.searching = Some(Searching { columns: columns.join(", "), values, per_minute });
    }

    /// Counts the searches of a statement that is about to be sent. If they are too many, it is not. Asks for them where this
    /// proxy has no share of them, for a bounded time.
    pub(super) async fn allow_searches(&mut self) -> Result<(), ClientError> {
        let Some(Searching { columns, values, per_minute }) = self.searching.take() else { return Ok(()) };
        let (account, connection) = (&self.state.account, &self.connection);
        let statement = connection.statement();
        let refused = match self.shared.budgets.of(account).ask_to_search(values, per_minute.into()).await {
            Verdict::Fits => {
                connection.counters.searched(values);
                tracing::info!(
                    target: "candado::search",
                    connection = connection.id,
                    statement,
                    user = %account.user,
                    host = %account.host,
                    columns,
                    values,
                    "a role that does not see a column searches by it"
                );
                return Ok(());
            }
            Verdict::Spent => "a search was refused: its account has searched too often",
            Verdict::Unasked => "a search was refused: the database did not tell in time whether its account may",
        };
        connection.counters.search_refused();
        tracing::warn!(
            target: "candado::search",
            alarm = true,
            connection = connection.id,
            statement,
            user = %account.user,
            host = %account.host,
            columns,
            values,
            per_minute,
            "{refused}"
        );
        Err(Complaint::TooManySearches.into())
    }
}

/// How many values are searched for in each column.
fn columns(plan: &QueryPlan, snapshot: &Snapshot) -> BTreeMap<ColumnRef, Share> {
    let mut columns: BTreeMap<ColumnRef, Share> = BTreeMap::new();
    for search in &plan.searches {
        // A plan is made under the policy that it is told by.
        let Some(column) = snapshot.policy.column(search.column) else { continue };
        let share = columns.entry(column.column.clone()).or_default();
        share.searched = share.searched.saturating_add(search.values.into());
    }
    columns
}

/// What the record will say of a statement's searches.
pub(super) struct Searched {
    witness: Witness,
    columns: BTreeMap<ColumnRef, Share>,
    rows: u64,
    answer: Answer,
}

/// Which of a search's answers is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its execution's. It is told of whatever it finds.
    Execution,
    /// Rows of its cursor. The values were told of when it was opened; what it found is told now.
    Fetch,
}

impl Searched {
    /// For the answer to the statement at hand; `None` if it makes no such search, or if nobody records.
    pub(super) fn of(opening: &Opening, answer: Answer, desk: &mut Desk) -> Option<Self> {
        if opening.plan.searches.is_empty() {
            return None;
        }
        let witness = Witness::of(opening, desk)?;
        let mut columns = columns(&opening.plan, &opening.snapshot);
        if answer == Answer::Fetch {
            columns.values_mut().for_each(|share| *share = Share::default());
        }
        Some(Self { witness, columns, rows: 0, answer })
    }

    /// A row goes to the client.
    pub(super) fn row(&mut self) {
        self.rows = self.rows.saturating_add(1);
    }

    /// The first rows are about to go out, and show that much: what is told of them and of the search.
    pub(super) fn begun(&self, shown: Option<Told>) -> Option<Told> {
        match shown {
            Some(shown) => Some(shown.with_searches(self.columns.clone())),
            None if self.rows == 0 => None,
            None => self.witness.begun(self.columns.clone()),
        }
    }

    /// What is told of the statement when none of its rows could go out.
    pub(super) fn unanswered(self) -> Option<Told> {
        Self { rows: 0, ..self }.told(None, Outcome::Refused)
    }

    /// What is told of the statement, with what its result has shown.
    pub(super) fn told(self, shown: Option<Told>, outcome: Outcome) -> Option<Told> {
        match (shown, self.answer) {
            (Some(shown), _) => Some(shown.with_searches(self.columns)),
            (None, Answer::Fetch) if self.rows == 0 => None,
            (None, Answer::Execution | Answer::Fetch) => Some(self.witness.told_of(self.rows, self.columns, outcome)),
        }
    }
}
