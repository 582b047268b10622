//! Budgets at work: a row is opened only if all of its protected cells fit what is left of its account's budget, and charged
//! when it is. Between the two, each other connection of the account may be charged one row. What counts is
//! [`crate::budget`]'s.

use std::sync::Arc;
use std::time::Instant;

use super::decision::Desk;
use super::registry::Connection;
use super::statement::Opening;
use crate::budget::{Seen, Spending, Stored, Verdict};
use crate::client_error::{ClientError, Complaint};
use crate::crypto::is_envelope;
use crate::events::{Alarm, Events, Outcome};
use crate::policy::{Account, Budget, ColumnId};
use crate::rewrite::{RewriteError, RowPlan};
use crate::wire::response::RowFormat;

/// What a result may still show.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Budget,
    account: Account,
    events: Arc<Events>,
    spending: Arc<Spending>,
    /// Cells of the statement's results so far.
    shown: u64,
}

/// Why a row is not opened.
pub(super) enum Unpaid {
    /// The account's budget is spent.
    Spent(ClientError),
    /// All proxies are to be asked first.
    Unasked(Asking),
}

/// What all proxies are asked for.
pub(super) enum Asking {
    /// So many cells.
    Cells(u64),
    /// These different ones.
    Row(Vec<Seen>),
}

impl Purse {
    /// For the answer to the statement at hand; `None` if the account's role has no budget.
    ///
    /// A cursor is opened under the policy that it was planned under, but what it costs is what policy says now: it may have
    /// stood open since before there was a budget. Where the account's role has none any more, what was said then counts.
    pub(super) fn of(opening: &Opening, desk: &mut Desk) -> Option<Self> {
        let newest = desk.shared.snapshot.load_full();
        let role = desk.rights(&opening.snapshot).role;
        let then = opening.snapshot.policy.budget(role);
        let budget = if newest.policy.version() == opening.snapshot.policy.version() {
            then
        } else {
            let (role, _) = newest.policy.resolve_with(&desk.state.account, &desk.state.mysql_roles);
            newest.policy.budget(role).or(then)
        };
        let budget = *budget?;
        let account = desk.state.account.clone();
        let (spending, events) = (desk.shared.budgets.of(&account), desk.shared.events.clone());
        Some(Self { budget, account, events, spending, shown: 0 })
    }

    /// Before a row with so many protected cells is opened.
    pub(super) fn check(&self, cells: u64, connection: &Connection) -> Result<(), Unpaid> {
        let now = Instant::now();
        let fits = self.spending.affords_result(self.shown.saturating_add(cells), &self.budget, now);
        let verdict = if fits { self.spending.affords(cells, &self.budget, now) } else { Verdict::Spent };
        match verdict {
            Verdict::Fits => Ok(()),
            Verdict::Unasked => Err(Unpaid::Unasked(Asking::Cells(cells))),
            Verdict::Spent => Err(Unpaid::Spent(self.spent(connection))),
        }
    }

    /// The cells that a row shows, if different ones are counted.
    pub(super) fn cells_of(
        &self,
        opening: &Opening,
        plan: &RowPlan,
        row: &[u8],
        format: RowFormat,
    ) -> Result<Vec<Seen>, RewriteError> {
        let mut cells = Vec::new();
        if self.budget.rows.is_none() {
            return Ok(cells);
        }
        let each = |id: ColumnId, stored: &[u8]| {
            if let Some(protected) = opening.snapshot.policy.column(id) {
                let kind = if is_envelope(stored) { Stored::Envelope } else { Stored::Value };
                cells.push(self.spending.seen(&protected.column, stored, kind));
            }
        };
        match format {
            RowFormat::Text => plan.text_cells(row, each)?,
            RowFormat::Binary => plan.binary_cells(row, each)?,
        }
        Ok(cells)
    }

    /// Before a row with these cells is opened; those that all proxies are to be asked for are taken.
    pub(super) fn check_row(&self, row: &mut Vec<Seen>, connection: &Connection) -> Result<(), Unpaid> {
        if row.is_empty() {
            return Ok(());
        }
        match self.spending.affords_row(row, &self.budget, Instant::now()) {
            Verdict::Fits => Ok(()),
            Verdict::Unasked => Err(Unpaid::Unasked(Asking::Row(std::mem::take(row)))),
            Verdict::Spent => Err(Unpaid::Spent(self.spent(connection))),
        }
    }

    /// Asks all proxies, and waits for the answer, for a bounded time. Cancel-safe.
    pub(super) async fn ask(&self, asking: &Asking, connection: &Connection) -> Result<(), ClientError> {
        let verdict = match asking {
            Asking::Cells(cells) => self.spending.ask(*cells, &self.budget).await,
            Asking::Row(row) => self.spending.ask_for_row(row, &self.budget).await,
        };
        match verdict {
            Verdict::Fits => Ok(()),
            Verdict::Unasked => Err(self.unanswered(connection)),
            Verdict::Spent => Err(self.spent(connection)),
        }
    }

    /// So many cells more have been shown, these among them if different rows are counted.
    pub(super) fn charge(&mut self, more: u64, row: Vec<Seen>, connection: &Connection) {
        self.shown = self.shown.saturating_add(more);
        let now = Instant::now();
        let cells = self.spending.charge(more, &self.budget, now);
        let cells = cells.map(|(span, limit)| (limit, "cells", span.limit_name()));
        let rows = if row.is_empty() { None } else { self.spending.charge_row(row, &self.budget, now) };
        let rows = rows.map(|limit| (limit, "different rows", "distinct_rows_per_day"));
        for (limit, of, name) in cells.into_iter().chain(rows) {
            connection.counters.near_budget();
            self.raise("budget-near", Outcome::Observed, Some(name), connection);
            tracing::warn!(
                target: "candado::budget",
                connection = connection.id,
                statement = connection.statement(),
                limit,
                of,
                warn_percent = self.budget.warn_percent,
                "an account has been shown most of what its role's budget allows"
            );
        }
    }

    /// The result ends: nothing is left.
    fn spent(&self, connection: &Connection) -> ClientError {
        connection.counters.over_budget();
        tracing::warn!(
            target: "candado::budget",
            alarm = true,
            connection = connection.id,
            statement = connection.statement(),
            "a result was ended: the budget of its account's role is spent"
        );
        self.raise("budget-spent", Outcome::Refused, None, connection);
        Complaint::BudgetSpent.into()
    }

    /// The result ends: nobody has said in time whether anything is left.
    pub(super) fn unanswered(&self, connection: &Connection) -> ClientError {
        connection.counters.over_budget();
        tracing::warn!(
            target: "candado::budget",
            alarm = true,
            connection = connection.id,
            statement = connection.statement(),
            "a result was ended: the database did not give it enough of the budget of its account's role in time"
        );
        self.raise("budget-spent", Outcome::Unanswered, None, connection);
        Complaint::BudgetSpent.into()
    }

    /// Tells the sinks of events.
    fn raise(&self, rule: &'static str, outcome: Outcome, limit: Option<&'static str>, connection: &Connection) {
        let (client, statement) = (connection.client, connection.statement());
        let account = &self.account;
        self.events.raise(&Alarm { rule, outcome, limit, account, client, connection: connection.id, statement });
    }
}
