//! Which cells accounts were shown, in table `budget_rows`: digests that each proxy tells and all others read. Who holds the
//! account's row of span `rows` is alone with them, so that what is told after it was read is told once.

use super::{Lock, account_name, present};
use crate::budget::{Digests, Reading, RowAnswer, RowClaim, Span};
use crate::control::{ControlError, KeyStore, Session};
use crate::policy::Account;
use crate::schema::ColumnRef;

/// Rows of the table that are read at once.
const READ_MAX: usize = 500;
/// Rows of days that are over which are deleted at once.
const FORGOTTEN_MAX: u64 = 1000;
/// The table may not be written.
const NO_GRANT: u16 = 1142;
/// There is no such table.
const NO_TABLE: u16 = 1146;
/// Bytes of a digest.
const DIGEST_LENGTH: usize = 8;

/// What proxies have told, how far that is, and whether it is all.
type Read = (Digests, u64, Reading);

/// What became of a claim.
#[derive(Debug)]
pub(in crate::control) enum RowsSettled {
    /// The database has answered.
    Answered(RowAnswer),
    /// Counts are written, and digests are not: the key store is from before they were told.
    Unknown(ControlError),
}

impl KeyStore {
    /// Reads what proxies have told of one account's cells, and tells what this one has shown or is about to, if that was all.
    /// `admit` puts the latter into the claim.
    pub(in crate::control) async fn settle_rows(
        &self,
        account: &Account,
        claim: &mut RowClaim,
        lock: Lock,
        admit: &(dyn Fn(&mut RowClaim, &Digests) + Sync),
    ) -> Result<RowsSettled, ControlError> {
        let account = account_name(account);
        let mut session = self.session("count which rows an account was shown").await?;
        session.control("START TRANSACTION").await?;
        let (day, before, ends_in) = match self.budget_row(&mut session, &account, Span::Rows, lock).await {
            Ok(row) => present(Span::Rows, row),
            Err(error) if error.is_of_unknown_span() => return Ok(RowsSettled::Unknown(error)),
            Err(error) => return Err(error),
        };
        let (answer, told) = match self.exchange_rows(&mut session, (&account, &day), claim, admit).await {
            Ok(((read, since, reading), told)) => {
                (RowAnswer { day: day.as_str().into(), ends_in, read, since, reading }, told)
            }
            Err(error @ ControlError::Refused { code: NO_GRANT | NO_TABLE, .. }) => {
                return Ok(RowsSettled::Unknown(error));
            }
            Err(error) => return Err(error),
        };
        self.write_window(&mut session, (&account, Span::Rows), (&day, before.saturating_add(told))).await?;
        session.control("COMMIT").await.map(|()| RowsSettled::Answered(answer))
    }

    /// Gives what was read, and how many cells were told.
    async fn exchange_rows(
        &self,
        session: &mut Session,
        (account, day): (&str, &str),
        claim: &mut RowClaim,
        admit: &(dyn Fn(&mut RowClaim, &Digests) + Sync),
    ) -> Result<(Read, u64), ControlError> {
        // What was shown on an earlier day is over with it.
        let same = claim.day.as_ref().is_none_or(|name| **name == *day);
        let read = self.read_rows(session, account, day, if same { claim.since } else { 0 }).await?;
        let untold = match read.2 {
            Reading::All if same => {
                admit(claim, &read.0);
                claim.untold(&read.0)
            }
            Reading::All | Reading::Some => Digests::new(),
        };
        let mut told = 0_u64;
        for (column, digests) in &untold {
            self.tell_rows(session, account, day, (column, digests)).await?;
            told = told.saturating_add(digests.len() as u64);
        }
        Ok((read, told))
    }

    async fn read_rows(
        &self,
        session: &mut Session,
        account: &str,
        day: &str,
        since: u64,
    ) -> Result<Read, ControlError> {
        let sql = format!(
            "SELECT rows_id, table_schema, table_name, column_name, digests FROM {}.budget_rows \
             WHERE account = ? AND began_at = ? AND rows_id > ? ORDER BY rows_id LIMIT {READ_MAX}",
            self.schema
        );
        let rows: Vec<(u64, String, String, String, Vec<u8>)> = session.rows_with(&sql, (account, day, since)).await?;
        let reading = if rows.len() < READ_MAX { Reading::All } else { Reading::Some };
        let since = rows.last().map_or(since, |row| row.0);
        let told = |(_, database, table, column, digests): (u64, String, String, String, Vec<u8>)| {
            (ColumnRef::new(database, table, column), unpacked(&digests))
        };
        Ok((rows.into_iter().map(told).collect(), since, reading))
    }

    async fn tell_rows(
        &self,
        session: &mut Session,
        account: &str,
        day: &str,
        (column, digests): (&ColumnRef, &[u64]),
    ) -> Result<(), ControlError> {
        let sql = format!(
            "INSERT INTO {}.budget_rows (account, began_at, table_schema, table_name, column_name, digests) \
             VALUES (?, ?, ?, ?, ?, UNHEX(?))",
            self.schema
        );
        let ColumnRef { database, table, column } = column;
        session.change(&sql, (account, day, &**database, &**table, &**column, hexadecimal(digests))).await.map(|_| ())
    }

    /// Deletes a bounded number of rows whose day is over. Gives whether there may be more.
    pub(in crate::control) async fn forget_rows(&self) -> Result<bool, ControlError> {
        let mut session = self.session("forget which rows accounts were shown").await?;
        let sql = format!(
            "DELETE FROM {}.budget_rows WHERE began_at < UTC_TIMESTAMP(6) - INTERVAL 25 HOUR \
             ORDER BY began_at, rows_id LIMIT {FORGOTTEN_MAX}",
            self.schema
        );
        Ok(session.change(&sql, ()).await?.rows >= FORGOTTEN_MAX)
    }
}

/// MySQL shows running statements with their parameters in place (`innodb_trx`), and to nobody anything where one is no text.
fn hexadecimal(digests: &[u64]) -> String {
    digests.iter().map(|digest| format!("{digest:016x}")).collect()
}

fn unpacked(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<DIGEST_LENGTH>().0.iter().map(|digest| u64::from_be_bytes(*digest)).collect()
}
