//! Names of a result's columns that have no alias: the text of the expression, as the client wrote it.
//!
//! Both servers take the text from the first token to the last as it stands, blanks and line ends included. Comments, what
//! is not ASCII and long texts they treat each in its own way; those are refused.

use super::statement::{Rewritten, Source};
use super::{Context, RewriteError};
use crate::plan::Admitted;
use crate::schema::ColumnRef;

/// Longest name that both servers leave whole, with room to spare.
const NAME_OCTETS_MAX: usize = 200;

/// The name of a column of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnName {
    /// The column's position, from 0.
    pub output: usize,
    /// ASCII, and so the same in every character set of results.
    pub name: Box<[u8]>,
}

/// The names that a plan restores in the result of a statement; none if that went out as it came.
pub fn column_names(
    admitted: &Admitted<'_>,
    rewritten: Rewritten,
    cx: &Context<'_>,
) -> Result<Vec<ColumnName>, RewriteError> {
    match rewritten {
        Rewritten::Unchanged => return Ok(Vec::new()),
        Rewritten::Replaced => {}
    }
    let source = Source { sql: admitted.sql(), tokens: admitted.tokens(), qualified: &admitted.plan().qualified };
    let names = admitted.plan().names.iter().map(|named| {
        let column = || cx.policy.column(named.column).map(|protected| protected.column.clone());
        let run = source.token_run(named.tokens)?;
        let is_blank = |gap: &[u8]| gap.iter().all(u8::is_ascii_whitespace);
        let has_comment = run.windows(2).any(|pair| {
            let [left, right] = pair else { return true };
            !source.sql.get(left.end as usize..right.start as usize).is_some_and(is_blank)
        });
        let name = source.text(named.tokens)?;
        let is_plain = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        if has_comment || name.len() > NAME_OCTETS_MAX || !name.iter().all(is_plain) {
            return Err(unnamed(column().ok_or(RewriteError::PlanMismatch("column"))?));
        }
        Ok(ColumnName { output: named.output, name: name.into() })
    });
    names.collect()
}

fn unnamed(column: ColumnRef) -> RewriteError {
    RewriteError::Unsupported {
        column,
        construct: "a comparison or constant in a column without an alias whose text is long, not ASCII or has comments",
        remedy: "name the column with AS",
    }
}
