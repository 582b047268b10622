//! The statements that a table needs before, between and after: printed for the operator, or run.

use std::time::Duration;

use super::ColumnError;
use crate::control::{Backoff, ControlError, Pool, Problem, check_columns};
use crate::policy::ProtectedColumn;

/// A change of a table may rebuild it.
const LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Attempts to get the table for a moment; each waits five seconds for whoever uses it.
const ATTEMPTS_MAX: u32 = 60;

/// Statements that make the columns fit for envelopes: type, index, no default. The constraint comes last, see
/// [`finish`].
pub(super) async fn prepare(pool: &Pool, columns: &[&ProtectedColumn]) -> Result<Vec<String>, ControlError> {
    let findings = check_columns(pool, columns.iter().copied()).await?;
    let is_last = |problem: &Problem| matches!(problem, Problem::CheckMissing | Problem::CheckNotEnforced { .. });
    Ok(findings.into_iter().filter(|finding| !is_last(&finding.problem)).filter_map(|finding| finding.remedy).collect())
}

/// Statements that keep plaintext out of columns that are encrypted.
pub(super) async fn finish(pool: &Pool, columns: &[&ProtectedColumn]) -> Result<Vec<String>, ControlError> {
    let findings = check_columns(pool, columns.iter().copied()).await?;
    Ok(findings.into_iter().filter_map(|finding| finding.remedy).collect())
}

/// Runs a statement. It waits a short time for the table and then tries again, so that the application's statements do
/// not queue up behind it.
pub(super) async fn run(pool: &Pool, statement: &str) -> Result<(), ColumnError> {
    let mut backoff = Backoff::new();
    for _ in 1..ATTEMPTS_MAX {
        let mut session = pool.session("change the table", LIMIT).await?;
        match session.execute(statement).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                let error = ColumnError::from(error);
                if !error.is_passing() {
                    return Err(error);
                }
            }
        }
        backoff.wait().await;
    }
    let mut session = pool.session("change the table", LIMIT).await?;
    session.execute(statement).await?;
    Ok(())
}
