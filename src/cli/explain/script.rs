//! Several statements in one text, taken apart as the server's own lexer would.

use crate::sql::{self, Dialect, StatementClass, Token, TokenKind};

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// Its bytes, comments before it included.
    pub(super) sql: &'a [u8],
    /// The default database behind it, if it is USE.
    pub(super) used: Option<String>,
}

/// The statements of a text. What the lexer cannot read counts as one statement up to the next semicolon at the end of
/// a line, so that one such statement does not hide the others.
pub(super) fn pieces<'a>(input: &'a [u8], dialect: &Dialect) -> Vec<Piece<'a>> {
    if let Some(found) = lexed(input, 1, dialect) {
        return found;
    }
    let mut found = Vec::new();
    let (mut rest, mut line) = (input, 1);
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b";\n").map_or(rest.len(), |at| at.saturating_add(2));
        let (chunk, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        found.extend(lexed(chunk, line, dialect).unwrap_or_else(|| vec![unread(chunk, line)]));
        line += lines(chunk);
        rest = behind;
    }
    found
}

fn unread(chunk: &[u8], line: usize) -> Piece<'_> {
    let blank = chunk.len() - chunk.trim_ascii_start().len();
    let line = line + chunk.get(..blank).map_or(0, lines);
    Piece { line, sql: chunk.strip_suffix(b";\n").unwrap_or(chunk), used: None }
}

fn lexed<'a>(input: &'a [u8], line: usize, dialect: &Dialect) -> Option<Vec<Piece<'a>>> {
    let mut tokens = Vec::new();
    sql::lex(input, dialect, &mut tokens).ok()?;
    let mut found = Vec::new();
    for statement in sql::statements(input, &tokens) {
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else { continue };
        let semicolon = tokens.iter().find(|token| token.kind == TokenKind::Semicolon && token.start >= last.end);
        // Up to the semicolon: a versioned comment may close behind the last token.
        let end = semicolon.map_or(input.len(), |token| token.start as usize);
        // Behind the semicolon before it, which may end an empty statement.
        let start = tokens.iter().rev().find(|token| token.kind == TokenKind::Semicolon && token.end <= first.start);
        let start = start.map_or(0, |token| token.end as usize);
        let before = input.get(..first.start as usize).map_or(0, lines);
        let sql = input.get(start..end).unwrap_or_default();
        found.push(Piece { line: line + before, sql, used: used(input, statement) });
    }
    Some(found)
}

fn used(input: &[u8], statement: &[Token]) -> Option<String> {
    match (sql::statement_class(input, statement), statement) {
        (StatementClass::Use, [_, name, ..]) => Some(sql::name(input, *name).into_owned()),
        _ => None,
    }
}

fn lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}
