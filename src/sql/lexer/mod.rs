//! The lexer: a statement's bytes to tokens, exactly as the connected server cuts them.
//!
//! What the server reads in a surprising way, or what two servers read differently, is refused rather than imitated:
//! [`LexError`] is the list. The lexer knows no grammar; it does know that a word beside a dot is a name.

mod class;
mod comment;
mod number;
mod operator;
mod quoted;
#[cfg(test)]
mod tests;

use class::{CONTROL, DIGIT, NAME, SPACE, Table};

use super::words::is_charset;
use super::{Dialect, Marks, Token, TokenKind};
use crate::schema::{Charset, ServerKind};

/// Longest statement that is read.
const STATEMENT_OCTETS_MAX: usize = 64 << 20;
/// Most tokens of a statement.
const TOKENS_MAX: usize = 4 << 20;

/// Why a statement cannot be cut into tokens with certainty. The offset is that of the offending construct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// A string or quoted name does not end.
    #[error("unclosed quote at byte {0}")]
    UnclosedQuote(u32),
    /// A comment does not end.
    #[error("unclosed comment at byte {0}")]
    UnclosedComment(u32),
    /// A NUL byte outside strings and comments.
    #[error("NUL byte at byte {0}")]
    NulByte(u32),
    /// `1.e` without digits behind: the server loses characters.
    #[error("number with an unfinished exponent at byte {0}")]
    UnfinishedExponent(u32),
    /// `x'…'` or `b'…'` with a wrong digit or number of digits.
    #[error("malformed hexadecimal or bit literal at byte {0}")]
    MalformedLiteral(u32),
    /// A versioned comment inside a versioned comment, or a version number that products read differently.
    #[error("ambiguous versioned comment at byte {0}")]
    AmbiguousVersion(u32),
    /// A hint whose quotes hide its end.
    #[error("quote across the end of a hint at byte {0}")]
    AmbiguousHint(u32),
    /// Operators that the server merges and loses: `!!`, `=!`.
    #[error("ambiguous operators at byte {0}")]
    AmbiguousOperator(u32),
    /// `$tag$ … $tag$`, or a name that begins like it.
    #[error("dollar quote at byte {0}")]
    DollarQuote(u32),
    /// `@` without a name.
    #[error("variable without a name at byte {0}")]
    EmptyVariable(u32),
    /// Bytes of a name that are no character of the connection's character set.
    #[error("invalid character in a name at byte {0}")]
    InvalidCharacter(u32),
    /// A byte that begins no token.
    #[error("unexpected byte at byte {0}")]
    UnexpectedByte(u32),
    /// The statement is longer than Candado reads.
    #[error("statement too long")]
    StatementTooLong,
    /// The statement has more tokens than Candado reads.
    #[error("too many tokens")]
    TooManyTokens,
}

/// Cuts a statement into its executed tokens. `tokens` is cleared first; nothing else is allocated.
pub fn lex(sql: &[u8], dialect: &Dialect, tokens: &mut Vec<Token>) -> Result<(), LexError> {
    tokens.clear();
    if sql.len() > STATEMENT_OCTETS_MAX {
        return Err(LexError::StatementTooLong);
    }
    let mut lexer = Lexer {
        sql,
        dialect,
        table: class::table(dialect.charset),
        at: 0,
        tokens,
        before: Marks::empty(),
        versioned: None,
    };
    lexer.run()
}

struct Lexer<'a> {
    sql: &'a [u8],
    dialect: &'a Dialect,
    table: &'static Table,
    at: usize,
    tokens: &'a mut Vec<Token>,
    /// Marks for the first token.
    before: Marks,
    /// Where the executed versioned comment began that we are in.
    versioned: Option<usize>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), LexError> {
        loop {
            while self.is(self.at, SPACE) {
                self.at += 1;
            }
            let Some(&byte) = self.sql.get(self.at) else {
                return match self.versioned {
                    Some(start) => Err(LexError::UnclosedComment(offset(start))),
                    None => Ok(()),
                };
            };
            if self.tokens.len() >= TOKENS_MAX {
                return Err(LexError::TooManyTokens);
            }
            self.token(byte)?;
        }
    }

    fn token(&mut self, byte: u8) -> Result<(), LexError> {
        match byte {
            b'0'..=b'9' => self.number(),
            b'\'' => self.string(TokenKind::String, 0),
            b'"' => {
                if self.dialect.mode.contains(super::SqlMode::ANSI_QUOTES) {
                    self.quoted_identifier(b'"')
                } else {
                    self.string(TokenKind::String, 0)
                }
            }
            b'`' => self.quoted_identifier(b'`'),
            b'n' | b'N' if self.peek(1) == b'\'' => self.string(TokenKind::NationalString, 1),
            b'x' | b'X' if self.peek(1) == b'\'' => self.digits_in_quotes(TokenKind::Hex),
            b'b' | b'B' if self.peek(1) == b'\'' => self.digits_in_quotes(TokenKind::Bit),
            b'@' => self.variable(),
            b'.' => self.point(),
            b'#' => self.line_comment(Marks::HASH_AFTER, 1),
            b'-' if self.peek(1) == b'-' && self.opens_line_comment(self.at + 2) => {
                self.line_comment(Marks::DASH_AFTER, 2)
            }
            b'/' if self.peek(1) == b'*' => self.comment(),
            b'*' if self.versioned.is_some() && self.peek(1) == b'/' => {
                self.versioned = None;
                self.at += 2;
                Ok(())
            }
            0 => Err(LexError::NulByte(offset(self.at))),
            b'\\' => self.backslash(),
            _ if self.is(self.at, NAME) => self.word(),
            _ => self.operator(byte),
        }
    }

    /// `--` needs a blank, a control character or the end behind it.
    fn opens_line_comment(&self, at: usize) -> bool {
        at >= self.sql.len() || self.is(at, SPACE | CONTROL)
    }

    /// An unquoted word that does not begin with a digit.
    fn word(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let end = self.name_end(start)?;
        if self.sql.get(start) == Some(&b'$')
            && self.dialect.server.kind == ServerKind::MySql
            && memchr::memchr(b'$', self.sql.get(start + 1..end).unwrap_or_default()).is_some()
        {
            return Err(LexError::DollarQuote(offset(start)));
        }
        let introducer = match self.sql.get(start..end) {
            Some([b'_', charset @ ..]) => is_charset(charset),
            _ => false,
        };
        let qualifies = self.byte(end) == b'.' && self.is(end + 1, NAME);
        let kind = if introducer {
            TokenKind::Introducer
        } else if qualifies {
            TokenKind::Identifier
        } else {
            TokenKind::Word
        };
        self.push_name(kind, start, end);
        if qualifies { self.names_behind_dots() } else { Ok(()) }
    }

    /// `.name.name…` directly behind a name: whatever follows the dot is a name, `select` and `1a` too.
    fn names_behind_dots(&mut self) -> Result<(), LexError> {
        while self.byte(self.at) == b'.' && self.is(self.at + 1, NAME) {
            self.push(TokenKind::Dot, self.at, self.at + 1);
            let start = self.at;
            let end = self.name_end(start)?;
            self.push_name(TokenKind::Identifier, start, end);
        }
        Ok(())
    }

    /// A point outside a number's digits: it begins a number, or it is a dot.
    fn point(&mut self) -> Result<(), LexError> {
        if self.is(self.at + 1, DIGIT) {
            return self.fraction(self.at);
        }
        if self.is(self.at + 1, NAME) {
            return self.names_behind_dots();
        }
        self.push(TokenKind::Dot, self.at, self.at + 1);
        Ok(())
    }

    /// `\N` is NULL to MariaDB and an error to MySQL.
    fn backslash(&mut self) -> Result<(), LexError> {
        if self.dialect.server.kind == ServerKind::MariaDb && self.peek(1) == b'N' && !self.is(self.at + 2, NAME) {
            self.push(TokenKind::Null, self.at, self.at + 2);
            return Ok(());
        }
        Err(LexError::UnexpectedByte(offset(self.at)))
    }

    /// End of the name that begins at `start`. Bytes beyond ASCII must form characters: the server cuts or replaces
    /// others, so that a name could turn into another one.
    fn name_end(&self, start: usize) -> Result<usize, LexError> {
        let rest = self.sql.get(start..).unwrap_or_default();
        let mut seen = 0_u8;
        let length = rest
            .iter()
            .position(|&byte| {
                let ends = self.table[usize::from(byte)] & NAME == 0;
                seen |= if ends { 0 } else { byte };
                ends
            })
            .unwrap_or(rest.len());
        let end = start + length;
        if seen >= 0x80 {
            self.check_characters(start, end)?;
        }
        Ok(end)
    }

    fn check_characters(&self, start: usize, end: usize) -> Result<(), LexError> {
        let bytes = self.sql.get(start..end).unwrap_or_default();
        let valid = match self.dialect.charset {
            Charset::Utf8mb4 => std::str::from_utf8(bytes).is_ok(),
            Charset::Utf8mb3 => std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(|c| c.len_utf8() < 4)),
            Charset::Latin1 => true,
            Charset::Ascii | Charset::Binary => bytes.is_ascii(),
        };
        if valid { Ok(()) } else { Err(LexError::InvalidCharacter(offset(start))) }
    }

    fn push_name(&mut self, kind: TokenKind, start: usize, end: usize) {
        self.push(kind, start, end);
        if self.dialect.charset == Charset::Latin1
            && !self.sql.get(start..end).unwrap_or_default().is_ascii()
            && let Some(token) = self.tokens.last_mut()
        {
            token.marks |= Marks::LATIN1;
        }
    }

    fn push(&mut self, kind: TokenKind, start: usize, end: usize) {
        let mut marks = std::mem::take(&mut self.before);
        if self.versioned.is_some() {
            marks |= Marks::VERSIONED;
        }
        self.tokens.push(Token { kind, marks, start: offset(start), end: offset(end) });
        self.at = end;
    }

    /// Records what stands behind the last token, or before the first one.
    fn mark(&mut self, marks: Marks) {
        match self.tokens.last_mut() {
            Some(token) => token.marks |= marks,
            None => self.before |= Marks::COMMENT_BEFORE | marks & (Marks::COMMENTED_QUOTE | Marks::COMMENTED_TEXT),
        }
    }

    fn is(&self, at: usize, class: u8) -> bool {
        self.sql.get(at).is_some_and(|&byte| self.table[usize::from(byte)] & class != 0)
    }

    /// The byte at an offset; 0 behind the end, which no caller mistakes for a byte that it looks for.
    fn byte(&self, at: usize) -> u8 {
        self.sql.get(at).copied().unwrap_or(0)
    }

    fn peek(&self, distance: usize) -> u8 {
        self.byte(self.at + distance)
    }
}

/// Offsets fit: the statement's length was checked.
#[expect(clippy::cast_possible_truncation, reason = "at most STATEMENT_OCTETS_MAX")]
fn offset(at: usize) -> u32 {
    at as u32
}
