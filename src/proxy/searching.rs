//! Searches by columns whose values the role does not see: how many an account may make in a minute, and what the record
//! says of each.
//!
//! Counted is by account, over all of its connections to this proxy; replicas count each for itself. Each value that a
//! statement compares with is a search: whoever puts a thousand into one IN has searched a thousand times. A statement
//! is counted when it is about to be sent, whatever the server makes of it; one that is refused is not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::decision::Desk;
use super::disclosing::{Told, Witness};
use super::snapshot::Snapshot;
use super::statement::Opening;
use crate::audit::{Outcome, Share};
use crate::client_error::{ClientError, Complaint};
use crate::plan::QueryPlan;
use crate::policy::Account;
use crate::schema::ColumnRef;

const WINDOW: Duration = Duration::from_secs(60);
/// Accounts that are counted. Further ones may not search until a minute of another one's is over.
const ACCOUNTS_MAX: usize = 20_000;

/// What all accounts have searched for.
#[derive(Debug, Default)]
pub(super) struct Searches {
    by_account: Mutex<HashMap<Account, Window>>,
}

/// Values since the window began.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    values: u64,
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }
}

/// Whether an account may search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowed {
    Yes,
    No,
}

impl Searches {
    fn take(&self, account: &Account, values: u64, per_minute: u32, now: Instant) -> Allowed {
        let mut accounts = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(account) {
            accounts.retain(|_, window| !window.is_over(now));
            if accounts.len() >= ACCOUNTS_MAX {
                return Allowed::No;
            }
        }
        let window = accounts.entry(account.clone()).or_insert(Window { since: now, values: 0 });
        if window.is_over(now) {
            *window = Window { since: now, values: 0 };
        }
        let values = window.values.saturating_add(values);
        if values > u64::from(per_minute) {
            return Allowed::No;
        }
        window.values = values;
        Allowed::Yes
    }
}

impl Desk {
    /// Counts the searches of a statement that is about to be sent. If they are too many, it is not.
    pub(super) fn allow_searches(&mut self, plan: &QueryPlan, snapshot: &Snapshot) -> Result<(), ClientError> {
        if plan.searches.is_empty() {
            return Ok(());
        }
        let role = self.rights(snapshot).role;
        let per_minute = snapshot.policy.search(role).map_or(0, |grant| grant.per_minute);
        let values = plan.searches.iter().fold(0_u64, |sum, search| sum.saturating_add(search.values.into()));
        let (account, connection) = (&self.state.account, &self.connection);
        let columns: Vec<String> = columns(plan, snapshot).keys().map(ToString::to_string).collect();
        let (columns, statement) = (columns.join(", "), connection.statement());
        match self.shared.searches.take(account, values, per_minute, Instant::now()) {
            Allowed::Yes => {
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
                Ok(())
            }
            Allowed::No => {
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
                    "a search was refused: its account has searched too often"
                );
                Err(Complaint::TooManySearches.into())
            }
        }
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

    /// The first rows are about to go out.
    pub(super) fn begun(&self) -> Option<Told> {
        (self.rows > 0).then_some(())?;
        self.witness.begun(self.columns.keys().cloned())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str) -> Account {
        Account { user: user.into(), host: "%".into() }
    }

    #[test]
    fn an_account_searches_so_often_in_a_minute_and_others_for_themselves() {
        let (searches, start) = (Searches::default(), Instant::now());
        let take = |user: &str, values, seconds| {
            searches.take(&account(user), values, 10, start + Duration::from_secs(seconds))
        };
        assert_eq!(take("ana", 7, 0), Allowed::Yes);
        assert_eq!(take("ana", 4, 1), Allowed::No, "eleven");
        assert_eq!(take("ana", 3, 2), Allowed::Yes, "what was refused is not counted");
        assert_eq!(take("ana", 1, 59), Allowed::No);
        assert_eq!(take("ben", 10, 59), Allowed::Yes);
        assert_eq!(take("ana", 10, 60), Allowed::Yes, "another minute");
        assert_eq!(take("cho", 11, 60), Allowed::No, "more at once than in a minute");
    }

    #[test]
    fn the_number_of_accounts_is_bounded() {
        let (searches, start) = (Searches::default(), Instant::now());
        for number in 0..ACCOUNTS_MAX {
            assert_eq!(searches.take(&account(&number.to_string()), 1, 1, start), Allowed::Yes);
        }
        assert_eq!(searches.take(&account("late"), 1, 1, start), Allowed::No);
        assert_eq!(searches.take(&account("late"), 1, 1, start + WINDOW), Allowed::Yes);
        assert_eq!(searches.by_account.lock().unwrap().len(), 1);
    }
}
