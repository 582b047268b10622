//! Strings, quoted names and variables.

use super::class::NAME;
use super::{LexError, Lexer, offset};
use crate::sql::{SqlMode, TokenKind};

impl Lexer<'_> {
    /// A string whose quote stands `prefix` bytes behind the current position.
    pub(super) fn string(&mut self, kind: TokenKind, prefix: usize) -> Result<(), LexError> {
        let start = self.at;
        let end = self.string_end(start + prefix)?;
        self.push(kind, start, end);
        Ok(())
    }

    /// Offset behind the closing quote of the string that opens at `open`.
    fn string_end(&self, open: usize) -> Result<usize, LexError> {
        let quote = self.byte(open);
        let unclosed = LexError::UnclosedQuote(offset(open));
        let escapes = !self.dialect.mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        let mut at = open + 1;
        loop {
            let rest = self.sql.get(at..).unwrap_or_default();
            let found = if escapes { memchr::memchr2(quote, b'\\', rest) } else { memchr::memchr(quote, rest) };
            at += found.ok_or(unclosed)?;
            if self.byte(at) == quote && self.byte(at + 1) != quote {
                return Ok(at + 1);
            }
            // A doubled quote, or a backslash with what it escapes, even if that is a quote.
            at += 2;
        }
    }

    /// A name in quotes; a doubled quote stands for one, a backslash for itself.
    pub(super) fn quoted_identifier(&mut self, quote: u8) -> Result<(), LexError> {
        let start = self.at;
        let end = self.quoted_name_end(start, quote)?;
        self.push_name(TokenKind::QuotedIdentifier, start, end);
        Ok(())
    }

    fn quoted_name_end(&self, open: usize, quote: u8) -> Result<usize, LexError> {
        let mut at = open + 1;
        loop {
            let rest = self.sql.get(at..).unwrap_or_default();
            at += memchr::memchr2(quote, 0, rest).ok_or(LexError::UnclosedQuote(offset(open)))?;
            if self.byte(at) != quote {
                return Err(LexError::NulByte(offset(at)));
            }
            if self.byte(at + 1) != quote {
                break;
            }
            at += 2;
        }
        self.check_characters(open, at)?;
        Ok(at + 1)
    }

    /// `@name`, `@'name'`, `@@name`.
    pub(super) fn variable(&mut self) -> Result<(), LexError> {
        let start = self.at;
        if self.peek(1) == b'@' {
            return self.system_variable(start);
        }
        let ansi = self.dialect.mode.contains(SqlMode::ANSI_QUOTES);
        let from = start + 1;
        let end = match self.byte(from) {
            b'`' => self.quoted_name_end(from, b'`')?,
            b'"' if ansi => self.quoted_name_end(from, b'"')?,
            b'\'' | b'"' => {
                let end = self.string_end(from)?;
                self.check_characters(from, end)?;
                if memchr::memchr(0, self.sql.get(from..end).unwrap_or_default()).is_some() {
                    return Err(LexError::NulByte(offset(from)));
                }
                end
            }
            _ => {
                let mut end = from;
                while self.is(end, NAME) || self.byte(end) == b'.' {
                    end += 1;
                }
                self.check_characters(from, end)?;
                end
            }
        };
        if end == from {
            return Err(LexError::EmptyVariable(offset(start)));
        }
        self.push_name(TokenKind::UserVariable, start, end);
        Ok(())
    }

    fn system_variable(&mut self, start: usize) -> Result<(), LexError> {
        let from = start + 2;
        if self.byte(from) == b'`' {
            let end = self.quoted_name_end(from, b'`')?;
            self.push_name(TokenKind::SystemVariable, start, end);
            return Ok(());
        }
        let end = self.name_end(from)?;
        if end == from {
            return Err(LexError::EmptyVariable(offset(start)));
        }
        self.push_name(TokenKind::SystemVariable, start, end);
        self.names_behind_dots()
    }
}
