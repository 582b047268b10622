//! ALTER TABLE on a protected table: other columns and all indexes may change, the protected ones, and those that their values
//! depend on (`subject`, `bind`), may not.

use super::Refusal;
use super::other::{Words, unsupported};
use super::text::Text;
use crate::sql::TokenKind;

/// Clauses that leave columns as they are, or concern the column that they name.
const HEADS: &[&str] = &[
    "ADD",
    "DROP",
    "MODIFY",
    "CHANGE",
    "ALTER",
    "ENGINE",
    "AUTO_INCREMENT",
    "COMMENT",
    "ROW_FORMAT",
    "ALGORITHM",
    "LOCK",
    "FORCE",
    "KEY_BLOCK_SIZE",
    "STATS_PERSISTENT",
    "STATS_AUTO_RECALC",
    "STATS_SAMPLE_PAGES",
    "DISABLE",
    "ENABLE",
];

const REMEDY: &str = "have an administrator run it on the server itself, together with a change of policy";

/// Judges an ALTER TABLE by its clauses.
pub(super) fn table(words: &Words<'_>) -> Result<(), Refusal> {
    let text = &words.text;
    let Some(last) = target(text) else { return Ok(()) };
    let table = text.name_at(last).unwrap_or_default();
    if let Some((_, name)) = text.names().find(|(at, name)| *at != last && words.is_carrier(*at, name)) {
        return Err(unsupported(&name, "ALTER TABLE", REMEDY));
    }
    if !words.names.has_carrier(&table) {
        return Ok(());
    }
    for (first, end) in clauses(text, last + 1) {
        let index = adds_index(text, first);
        let rename_index = text.is(first, "RENAME") && text.is_any(first + 1, &["INDEX", "KEY"]);
        if !text.is_any(first, HEADS) && !rename_index {
            return Err(unsupported(&table, "this clause of ALTER TABLE", REMEDY));
        }
        if !text.is(first, "DROP") && (first..end).any(|at| text.is(at, "VERSIONING")) {
            return Err(unsupported(&table, "ALTER TABLE with SYSTEM VERSIONING", "keep no past rows of such a table"));
        }
        let named = (first..end)
            .filter(|at| !at.checked_sub(1).is_some_and(|before| text.is(before, "AFTER")))
            .filter_map(|at| text.name_at(at));
        for name in named.filter(|_| !index) {
            if words.names.has_column(&name) {
                return Err(unsupported(&name, "ALTER TABLE of a protected column", REMEDY));
            }
            if words.names.has_stated(&name) {
                return Err(unsupported(&name, "ALTER TABLE of a column that protected values depend on", REMEDY));
            }
        }
    }
    Ok(())
}

/// Where the name of the table that is altered ends.
pub(super) fn target(text: &Text<'_>) -> Option<usize> {
    let start = (1..text.tokens.len()).find(|at| text.is(*at, "TABLE"))?;
    let start = if text.is(start + 1, "IF") && text.is(start + 2, "EXISTS") { start + 3 } else { start + 1 };
    Some(if text.is_kind(start + 1, TokenKind::Dot) { start + 2 } else { start })
}

/// Whether the clause that begins there adds an index.
pub(super) fn adds_index(text: &Text<'_>, first: usize) -> bool {
    text.is(first, "ADD") && text.is_any(first + 1, &["INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "PRIMARY"])
}

/// Whether the clause that begins there drops a column, and takes it out of the indexes that it is in.
pub(super) fn drops_column(text: &Text<'_>, first: usize) -> bool {
    const OTHERS: &[&str] =
        &["INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK", "PARTITION", "PERIOD", "SYSTEM"];
    text.is(first, "DROP") && !text.is_any(first + 1, OTHERS)
}

/// Runs of tokens between commas outside parentheses.
pub(super) fn clauses(text: &Text<'_>, start: usize) -> Vec<(usize, usize)> {
    let mut clauses = Vec::new();
    let (mut first, mut depth) = (start, 0_usize);
    for at in start..text.tokens.len() {
        match () {
            () if text.is_kind(at, TokenKind::LeftParen) => depth += 1,
            () if text.is_kind(at, TokenKind::RightParen) => depth = depth.saturating_sub(1),
            () if depth == 0 && text.is_kind(at, TokenKind::Comma) => {
                clauses.push((first, at));
                first = at + 1;
            }
            () => {}
        }
    }
    clauses.push((first, text.tokens.len()));
    clauses
}
