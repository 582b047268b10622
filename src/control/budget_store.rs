//! What accounts have been shown and have searched for, in schema `candado`: one row for each account and span, to which all
//! proxies add. Which rows were different ones is told in [`rows`].

use std::time::Duration;

use super::{ControlError, KeyStore, Session};
use crate::budget::{Answer, Claim, Span};
use crate::policy::Account;

pub(super) mod rows;
#[cfg(test)]
mod tests;

/// When it began, what was taken, its age in microseconds, and now.
type Row = (String, u64, i64, String);

/// The account as it stands in the tables, `user@host`.
pub(super) fn account_name(account: &Account) -> String {
    format!("{}@{}", account.user, account.host)
}

/// Whether a row that somebody else holds is waited for, as long as the connection allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// It is: proxies queue up for it.
    Awaited,
    /// It is not: it was held before.
    AtOnce,
}

/// A lock that somebody else holds, for MariaDB also without a wait; a deadlock; and a lock that is not waited for.
const HELD: [u16; 3] = [1205, 1213, 3572];
/// A kind of count that the table does not know yet.
const UNKNOWN_SPAN: u16 = 1265;
/// How far ahead of the database's clock a window may begin: servers of a cluster differ a little. One that begins later is
/// from before the clock was set back.
const AHEAD_MAX: Duration = Duration::from_secs(5);

impl ControlError {
    /// Whether the row of one account is the trouble, and others may be written.
    pub(super) fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if HELD.contains(code)) || matches!(self, Self::Malformed { .. })
    }

    /// Whether the table is from before that kind was counted in it.
    pub(super) fn is_of_unknown_span(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == UNKNOWN_SPAN)
    }
}

impl KeyStore {
    /// Adds what a proxy has shown of one account, takes back what it did not use, and gives it a share of what is left,
    /// in one transaction on one row.
    pub(super) async fn settle_budget(
        &self,
        account: &Account,
        claim: &Claim,
        lock: Lock,
    ) -> Result<Answer, ControlError> {
        let account = account_name(account);
        let mut session = self.session("count what an account was shown").await?;
        session.control("START TRANSACTION").await?;
        let row = self.budget_row(&mut session, &account, claim.span, lock).await?;
        let answer = self.settle(&mut session, &account, claim, row).await?;
        session.control("COMMIT").await.map(|()| answer)
    }

    /// Locks the account's row.
    async fn budget_row(
        &self,
        session: &mut Session,
        account: &str,
        span: Span,
        lock: Lock,
    ) -> Result<Row, ControlError> {
        let (schema, key) = (&self.schema, (account, span.name()));
        // Locks the row, which is there then: two proxies that began with a SELECT of no row would wait for each other.
        let insert = format!(
            "INSERT INTO {schema}.budget_window (account, span, began_at, taken) VALUES (?, ?, UTC_TIMESTAMP(6), 0) \
             ON DUPLICATE KEY UPDATE taken = taken"
        );
        let select = format!(
            "SELECT DATE_FORMAT(began_at, '%Y-%m-%d %H:%i:%s.%f'), taken, \
             TIMESTAMPDIFF(MICROSECOND, began_at, UTC_TIMESTAMP(6)), \
             DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:%s.%f') \
             FROM {schema}.budget_window WHERE account = ? AND span = ? FOR UPDATE NOWAIT"
        );
        if lock == Lock::Awaited {
            session.change(&insert, key).await?;
        }
        let mut rows: Vec<Row> = session.rows_with(&select, key).await?;
        if rows.is_empty() {
            session.change(&insert, key).await?;
            rows = session.rows_with(&select, key).await?;
        }
        rows.into_iter().next().ok_or(ControlError::Malformed { what: "a budget" })
    }

    async fn settle(
        &self,
        session: &mut Session,
        account: &str,
        claim: &Claim,
        row: Row,
    ) -> Result<Answer, ControlError> {
        let (window, before, ends_in) = present(claim.span, row);
        // What was shown in an earlier window is over with it.
        let same = claim.window.as_ref().is_none_or(|name| **name == *window);
        let (owed, returned) = if same { (claim.owed, claim.returned) } else { (0, 0) };
        let settled = before.saturating_add(owed).saturating_sub(returned);
        let share = claim.granted_of(claim.limit.saturating_sub(settled));
        let taken = settled.saturating_add(share);
        self.write_window(session, (account, claim.span), (&window, taken)).await?;
        Ok(Answer { window: window.into(), ends_in, taken, granted: owed.saturating_add(share) })
    }

    async fn write_window(
        &self,
        session: &mut Session,
        (account, span): (&str, Span),
        (window, taken): (&str, u64),
    ) -> Result<(), ControlError> {
        let sql =
            format!("UPDATE {}.budget_window SET began_at = ?, taken = ? WHERE account = ? AND span = ?", self.schema);
        session.change(&sql, (window, taken, account, span.name())).await.map(|_| ())
    }

    /// The spans that the tables do not know: they are from before these were counted, or are not there.
    pub async fn unknown_spans(&self) -> Result<Vec<Span>, ControlError> {
        let mut session = self.session("read how budgets are counted").await?;
        let sql = "SELECT TABLE_NAME, COLUMN_TYPE FROM information_schema.COLUMNS \
             WHERE CONCAT('`', REPLACE(TABLE_SCHEMA, '`', '``'), '`') = ? \
             AND (TABLE_NAME, COLUMN_NAME) IN (('budget_window', 'span'), ('budget_rows', 'digests'))";
        let found: Vec<(String, String)> = session.rows_with(sql, (&*self.schema,)).await?;
        let has = |table: &str, of_type: &str| found.iter().any(|(name, kind)| name == table && kind.contains(of_type));
        let is_known = |span: &Span| match span {
            Span::Minute | Span::Day | Span::Searches => true,
            Span::Rows => has("budget_rows", ""),
        };
        let is_named = |span: &Span| has("budget_window", &format!("'{}'", span.name()));
        Ok(Span::ALL.into_iter().filter(|span| !is_known(span) || !is_named(span)).collect())
    }

    /// Whether counts can be written at all.
    pub(super) async fn reach_budgets(&self) -> Result<(), ControlError> {
        let mut session = self.session("reach the counts of budgets").await?;
        let sql = format!("UPDATE {}.budget_window SET taken = taken WHERE account = '' AND span = 'day'", self.schema);
        session.change(&sql, ()).await.map(|_| ())
    }
}

/// The window of a row: when it began, what was taken, and how long it still lasts. It begins anew if it is over.
fn present(span: Span, (began, taken, age, now): Row) -> (String, u64, Duration) {
    match left_of(span.length(), age) {
        Some(left) => (began, taken, left),
        None => (now, 0, span.length()),
    }
}

/// How long a window of that age, in microseconds, still lasts; `None`: it is over, or from before the clock was set back.
fn left_of(length: Duration, age: i64) -> Option<Duration> {
    let distance = Duration::from_micros(age.unsigned_abs());
    match age {
        ..0 => (distance <= AHEAD_MAX).then_some(length),
        0.. => length.checked_sub(distance).filter(|left| !left.is_zero()),
    }
}
