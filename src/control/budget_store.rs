//! What accounts have been shown, in schema `candado`: one row for each account and minute or day, to which all proxies add.

use std::time::Duration;

use super::{ControlError, KeyStore, Session};
use crate::budget::{Answer, Claim};
use crate::policy::Account;

/// When it began, what was taken, its age in microseconds, and now.
type Row = (String, u64, u64, String);

/// The account as it stands in the tables, `user@host`.
pub(super) fn account_name(account: &Account) -> String {
    format!("{}@{}", account.user, account.host)
}

impl KeyStore {
    /// Adds what a proxy has shown of one account, takes back what it did not use, and gives it a share of what is left,
    /// in one transaction on one row.
    pub(super) async fn settle_budget(&self, account: &Account, claim: &Claim) -> Result<Answer, ControlError> {
        let mut session = self.session("count what an account was shown").await?;
        session.control("START TRANSACTION").await?;
        let settled = self.settle(&mut session, &account_name(account), claim).await;
        match settled {
            Ok(answer) => session.control("COMMIT").await.map(|()| answer),
            Err(error) => {
                session.abandon().await;
                Err(error)
            }
        }
    }

    async fn settle(&self, session: &mut Session, account: &str, claim: &Claim) -> Result<Answer, ControlError> {
        let (schema, span) = (&self.schema, claim.span.name());
        // Locks the row, which is there then: two proxies that began with a SELECT of no row would wait for each other.
        let sql = format!(
            "INSERT INTO {schema}.budget_window (account, span, began_at, taken) VALUES (?, ?, UTC_TIMESTAMP(6), 0) \
             ON DUPLICATE KEY UPDATE taken = taken"
        );
        session.change(&sql, (account, span)).await?;
        let sql = format!(
            "SELECT DATE_FORMAT(began_at, '%Y-%m-%d %H:%i:%s.%f'), taken, \
             CAST(GREATEST(0, TIMESTAMPDIFF(MICROSECOND, began_at, UTC_TIMESTAMP(6))) AS UNSIGNED), \
             DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:%s.%f') \
             FROM {schema}.budget_window WHERE account = ? AND span = ? FOR UPDATE"
        );
        let rows: Vec<Row> = session.rows_with(&sql, (account, span)).await?;
        let (began, taken, age, now) = rows.into_iter().next().ok_or(ControlError::Malformed { what: "a budget" })?;
        let (length, age) = (claim.span.length(), Duration::from_micros(age));
        let (window, before, ends_in) =
            if age >= length { (now, 0, length) } else { (began, taken, length.saturating_sub(age)) };
        // What was shown in an earlier window is over with it.
        let same = claim.window.as_ref().is_none_or(|name| **name == *window);
        let (owed, returned) = if same { (claim.owed, claim.returned) } else { (0, 0) };
        let settled = before.saturating_add(owed).saturating_sub(returned);
        let share = claim.granted_of(claim.limit.saturating_sub(settled));
        let taken = settled.saturating_add(share);
        let sql = format!("UPDATE {schema}.budget_window SET began_at = ?, taken = ? WHERE account = ? AND span = ?");
        session.change(&sql, (&window, taken, account, span)).await?;
        Ok(Answer { window: window.into(), ends_in, taken, granted: owed.saturating_add(share) })
    }

    /// Whether counts can be written at all.
    pub(super) async fn reach_budgets(&self) -> Result<(), ControlError> {
        let mut session = self.session("reach the counts of budgets").await?;
        let sql = format!("UPDATE {}.budget_window SET taken = taken WHERE account = '' AND span = 'day'", self.schema);
        session.change(&sql, ()).await.map(|_| ())
    }
}
