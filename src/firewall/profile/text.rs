//! A statement for people to review: its words, `?` for every value, `<id>` for every name that the schema does not know.
//!
//! Aliases and names of variables are such names. Comments are left out, and so is what is behind the longest text.

use std::borrow::Cow;

use super::names::{CatalogNames, UNKNOWN};
use crate::sql::{self, ReservedWords, Token, TokenKind};

/// Characters that are kept.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// The text of a lexed statement.
pub fn text(sql: &[u8], tokens: &[Token], names: &CatalogNames, reserved: &ReservedWords<'_>) -> String {
    let writer = Shown { sql, names, reserved };
    let mut out = String::new();
    let mut length = 0_usize;
    let mut end = None;
    for (at, token) in tokens.iter().enumerate() {
        let gap = end.is_some_and(|end: u32| end < token.start);
        let shown = writer.token(*token, tokens.get(at.saturating_add(1)));
        length = length.saturating_add(shown.chars().count()).saturating_add(usize::from(gap));
        if length > TEXT_CHARS_MAX {
            out.push_str(" ...");
            break;
        }
        if gap {
            out.push(' ');
        }
        out.push_str(&shown);
        end = Some(token.end);
    }
    out
}

/// Words that are no names, and that servers do not reserve.
const WORDS: [&str; 34] = [
    "AFTER",
    "BEGIN",
    "COMMIT",
    "DATE",
    "DO",
    "DUPLICATE",
    "END",
    "ENGINE",
    "ESCAPE",
    "FIRST",
    "FULL",
    "GLOBAL",
    "LAST",
    "LOCAL",
    "LOCKED",
    "MODE",
    "NAMES",
    "NEXT",
    "NOWAIT",
    "OFFSET",
    "ONLY",
    "READ",
    "ROLLBACK",
    "SAVEPOINT",
    "SESSION",
    "SHARE",
    "SKIP",
    "START",
    "STATUS",
    "TABLES",
    "TRANSACTION",
    "TRUNCATE",
    "VALUE",
    "VARIABLES",
];

struct Shown<'a> {
    sql: &'a [u8],
    names: &'a CatalogNames,
    reserved: &'a ReservedWords<'a>,
}

impl<'a> Shown<'a> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is shown as it is")]
    fn token(&self, token: Token, next: Option<&Token>) -> Cow<'a, str> {
        let bytes = token.bytes(self.sql);
        match token.kind {
            kind if is_value(kind) => Cow::Borrowed("?"),
            TokenKind::UserVariable => Cow::Borrowed("@<id>"),
            TokenKind::Word => {
                let is_call = next.is_some_and(|next| next.kind == TokenKind::LeftParen && next.start == token.end);
                let is_word = is_call || self.reserved.contains(bytes) || is_word(bytes);
                if is_word { printable(bytes) } else { self.name(token) }
            }
            TokenKind::Identifier | TokenKind::QuotedIdentifier => self.name(token),
            _ => printable(bytes),
        }
    }

    fn name(&self, token: Token) -> Cow<'a, str> {
        if self.names.knows(&sql::name(self.sql, token)) {
            printable(token.bytes(self.sql))
        } else {
            Cow::Borrowed(UNKNOWN)
        }
    }
}

fn is_word(bytes: &[u8]) -> bool {
    WORDS.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(bytes))
}

fn is_value(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::String
            | TokenKind::NationalString
            | TokenKind::Hex
            | TokenKind::Bit
            | TokenKind::Integer
            | TokenKind::Decimal
            | TokenKind::Float
            | TokenKind::Param
    )
}

/// What can stand on a line.
fn printable(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(bytes.escape_ascii().to_string()),
    }
}
