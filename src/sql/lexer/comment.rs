//! Comments: plain, to the end of the line, hints, and versioned ones that the server may execute.

use super::class::{DIGIT, SPACE};
use super::{LexError, Lexer, offset};
use crate::schema::ServerKind;
use crate::sql::Marks;

impl Lexer<'_> {
    /// A comment to the end of the line. Only `\n` ends it, and NUL, behind which the server goes on reading.
    pub(super) fn line_comment(&mut self, mark: Marks, opening: usize) -> Result<(), LexError> {
        let start = self.at + opening;
        let rest = self.sql.get(start..).unwrap_or_default();
        let length = memchr::memchr2(b'\n', 0, rest).unwrap_or(rest.len());
        let end = start + length;
        if self.sql.get(end) == Some(&0) {
            return Err(LexError::NulByte(offset(end)));
        }
        let text = rest.get(..length).unwrap_or_default();
        let mut marks = mark;
        if holds_quote(text) {
            marks |= Marks::COMMENTED_QUOTE;
        }
        if holds_half_string(text) {
            marks |= Marks::COMMENTED_HALF;
        }
        let holds_text = text.iter().any(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'-' | b'+' | b'#'));
        let is_last = self.sql.get(end..).unwrap_or_default().trim_ascii().is_empty();
        if is_last && holds_text {
            marks |= Marks::COMMENTED_TEXT;
        }
        self.mark(marks);
        self.at = end;
        Ok(())
    }

    /// What begins with `/*`.
    pub(super) fn comment(&mut self) -> Result<(), LexError> {
        let maria = self.dialect.server.kind == ServerKind::MariaDb;
        match (self.peek(2), self.peek(3)) {
            (b'!', _) => self.versioned_comment(3, Writer::Both),
            (b'M', b'!') if maria => self.versioned_comment(4, Writer::MariaDb),
            (b'+', _) => self.hint(),
            _ => {
                let start = self.at;
                // The closing star cannot be the opening one: `/*/` is still open.
                let end = self.find_end(start + 2).ok_or(LexError::UnclosedComment(offset(start)))?;
                self.mark(Marks::BLOCK_AFTER);
                self.at = end;
                Ok(())
            }
        }
    }

    /// Offset behind the next `*/`.
    fn find_end(&self, from: usize) -> Option<usize> {
        let rest = self.sql.get(from..)?;
        memchr::memmem::find(rest, b"*/").map(|at| from + at + 2)
    }

    /// The server's hint reader respects quotes and a plain comment does not. Where the two would end at different
    /// places, or whether this is a hint at all, is not decided here: such a hint is refused.
    fn hint(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let end = self.find_end(start + 3).ok_or(LexError::UnclosedComment(offset(start)))?;
        let mut open = None;
        for &byte in self.sql.get(start..end).unwrap_or_default() {
            match open {
                None if matches!(byte, b'\'' | b'"' | b'`') => open = Some(byte),
                Some(quote) if quote == byte => open = None,
                None | Some(_) => {}
            }
        }
        if open.is_some() {
            return Err(LexError::AmbiguousHint(offset(start)));
        }
        self.mark(Marks::HINT_AFTER);
        self.at = end;
        Ok(())
    }

    fn versioned_comment(&mut self, opening: usize, writer: Writer) -> Result<(), LexError> {
        let start = self.at;
        if self.versioned.is_some() {
            return Err(LexError::AmbiguousVersion(offset(start)));
        }
        let from = start + opening;
        let digits = (from..).take_while(|&at| self.is(at, DIGIT)).take(8).count();
        let length = match digits {
            0..=4 => 0,
            5 => 5,
            6 if self.dialect.server.kind == ServerKind::MariaDb || self.is(from + 6, SPACE) => 6,
            _ => return Err(LexError::AmbiguousVersion(offset(start))),
        };
        let version = self
            .sql
            .get(from..from + length)
            .unwrap_or_default()
            .iter()
            .fold(0_u32, |version, digit| version * 10 + u32::from(digit - b'0'));
        if length == 0 || self.executes(version, writer) {
            self.versioned = Some(start);
            self.at = from + length;
            if self.tokens.is_empty() {
                self.before |= Marks::COMMENT_BEFORE;
            }
            return Ok(());
        }
        self.at = self.skip_versioned(from + length, start)?;
        self.mark(Marks::SKIPPED_AFTER);
        Ok(())
    }

    fn executes(&self, version: u32, writer: Writer) -> bool {
        let server = self.dialect.server;
        match (server.kind, writer) {
            (ServerKind::MySql, _) | (ServerKind::MariaDb, Writer::MariaDb) => version <= server.number,
            // MariaDB takes MySQL's versions from 5.7 on for another product's.
            (ServerKind::MariaDb, Writer::Both) => version <= server.number && !(50_700..=99_999).contains(&version),
        }
    }

    /// End of a versioned comment that is not executed. Quotes mean nothing in it; one level of plain comments nests.
    fn skip_versioned(&self, from: usize, start: usize) -> Result<usize, LexError> {
        let unclosed = LexError::UnclosedComment(offset(start));
        let mut at = from;
        loop {
            let rest = self.sql.get(at..).unwrap_or_default();
            at += memchr::memchr2(b'*', b'/', rest).ok_or(unclosed)?;
            match (self.byte(at), self.byte(at + 1)) {
                (b'*', b'/') => return Ok(at + 2),
                (b'/', b'*') if matches!(self.byte(at + 2), b'!' | b'M') => {
                    return Err(LexError::AmbiguousVersion(offset(at)));
                }
                (b'/', b'*') => at = self.find_end(at + 2).ok_or(unclosed)?,
                _ => at += 1,
            }
        }
    }
}

/// Whether a comment holds a quote. The apostrophe of `don't` is none.
fn holds_quote(text: &[u8]) -> bool {
    let is_letter = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphabetic);
    memchr::memchr3_iter(b'\'', b'"', b'`', text)
        .any(|at| text.get(at) != Some(&b'\'') || !is_letter(at.checked_sub(1)) || !is_letter(at.checked_add(1)))
}

/// Whether an odd number of quotes of one kind stands in a comment, whether or not those count that end a word, as in
/// `users' `. The apostrophe of `don't` never does.
fn holds_half_string(text: &[u8]) -> bool {
    let byte = |at: Option<usize>| at.and_then(|at| text.get(at));
    let (mut single, mut ending) = (0_usize, 0_usize);
    for at in memchr::memchr_iter(b'\'', text) {
        let behind_letter = byte(at.checked_sub(1)).is_some_and(u8::is_ascii_alphabetic);
        let next = byte(at.checked_add(1));
        if behind_letter && next.is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        single += 1;
        ending += usize::from(behind_letter && next.is_none_or(u8::is_ascii_whitespace));
    }
    let double = memchr::memchr_iter(b'"', text).count();
    (single % 2 == 1 && (single - ending) % 2 == 1) || double % 2 == 1
}

/// Whom a versioned comment addresses.
#[derive(Clone, Copy)]
enum Writer {
    /// `/*!`
    Both,
    /// `/*M!`
    MariaDb,
}
