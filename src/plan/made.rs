//! Generated columns that the server makes from protected ones: what is made of an envelope's first bytes is equal for equal
//! values, so it tells of them, and can be used to compare them.

use super::protected_names::{fold, mentions};
use crate::policy::{ColumnId, Policy};
use crate::schema::{Catalog, Charset, Column, GeneratedColumn, ServerVersion, Table};
use crate::sql::{self, Dialect, SqlMode, Token, TokenKind};

/// A generated column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MadeColumn {
    /// Its name, folded.
    pub(super) name: Box<str>,
    /// The same as the catalog spells it.
    pub(super) spelled: Box<str>,
    /// A protected column that it is made from.
    pub(super) from: ColumnId,
    /// How many bytes of that one's envelopes it holds, if that is all that it holds.
    pub(super) octets: Option<usize>,
}

/// The generated columns of a table that are made from protected ones, directly or by way of other generated ones. An
/// expression that cannot be read may say anything.
pub(super) fn made_columns(table: &Table, policy: &Policy, catalog: &Catalog) -> Vec<MadeColumn> {
    let generated = catalog.generated_columns(&table.name.database, &table.name.table);
    if generated.is_empty() {
        return Vec::new();
    }
    let protected = table
        .columns
        .iter()
        .filter_map(|column| Some((fold(&column.name), policy.column_named(&table.name, &column.name)?)));
    let mut sources: Vec<(Box<str>, ColumnId)> = protected.collect();
    let Some((_, any)) = sources.first().cloned() else { return Vec::new() };
    let mut made: Vec<MadeColumn> = Vec::new();
    loop {
        let before = made.len();
        for column in generated {
            let name = fold(&column.column);
            if made.iter().any(|made| made.name == name) {
                continue;
            }
            let text = column.expression.as_deref().map(fold);
            let from = match &text {
                Some(text) => sources.iter().find(|(source, _)| mentions(text, source)).map(|(_, from)| *from),
                None => Some(any),
            };
            let Some(from) = from else { continue };
            let octets = prefix(column, catalog.server)
                .filter(|(source, _)| policy.column_named(&table.name, source) == Some(from))
                .filter(|(_, octets)| table.column(&column.column).is_some_and(|column| holds(column, *octets)));
            sources.push((name.clone(), from));
            made.push(MadeColumn {
                name,
                spelled: (&*column.column).into(),
                from,
                octets: octets.map(|(_, octets)| octets),
            });
        }
        if made.len() == before {
            return made;
        }
    }
}

/// Whether a column keeps so many bytes as they are: a shorter one would cut them, and a longer one of fixed length fill them
/// up.
fn holds(column: &Column, octets: usize) -> bool {
    [format!("varbinary({octets})"), format!("binary({octets})")].iter().any(|held| **held == *column.column_type)
}

/// The column whose first bytes a generated column holds, and how many. Both servers keep `SUBSTRING(phone, 1, 23)`, `SUBSTR`
/// and `MID` as ``substr(`phone`,1,23)``, and `LEFT` as itself.
fn prefix(column: &GeneratedColumn, server: ServerVersion) -> Option<(String, usize)> {
    let text = column.expression.as_deref()?;
    let dialect = Dialect { mode: SqlMode::empty(), charset: Charset::Utf8mb4, server };
    let mut tokens = Vec::new();
    sql::lex(text.as_bytes(), &dialect, &mut tokens).ok()?;
    let is = |token: &Token, sign: &[u8]| token.bytes(text.as_bytes()).eq_ignore_ascii_case(sign);
    let (source, count) = match tokens.as_slice() {
        [name, open, source, comma, one, again, count, close]
            if is(name, b"substr")
                && is(open, b"(")
                && is(comma, b",")
                && is(one, b"1")
                && is(again, b",")
                && is(close, b")") =>
        {
            (source, count)
        }
        [name, open, source, comma, count, close]
            if is(name, b"left") && is(open, b"(") && is(comma, b",") && is(close, b")") =>
        {
            (source, count)
        }
        _ => return None,
    };
    if !matches!(source.kind, TokenKind::Word | TokenKind::Identifier | TokenKind::QuotedIdentifier) {
        return None;
    }
    let octets = std::str::from_utf8(count.bytes(text.as_bytes())).ok()?.parse().ok()?;
    Some((sql::name(text.as_bytes(), *source).into_owned(), octets))
}

#[cfg(test)]
mod tests;
