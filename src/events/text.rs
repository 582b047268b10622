//! A statement without a value in it: literals and parameters are `?`, names that the schema does not know are `<id>`.
//!
//! An unquoted value that an application pastes into its SQL is a name to the lexer: that is why names are not simply
//! kept. Comments are left out, runs of white space are one blank.

use super::names::Names;
use super::words;
use crate::sql::{self, ReservedWords, Token, TokenKind};

/// Longer texts end here, with three dots: the structure that a rule found is rarely far behind.
const OCTETS_MAX: usize = 4096;
const UNKNOWN: &str = "<id>";

/// The text of a lexed statement.
pub(super) fn normalised(sql: &[u8], tokens: &[Token], names: &Names, reserved: &ReservedWords<'_>) -> String {
    let mut out = String::new();
    let mut end = None;
    for token in tokens {
        if out.len() > OCTETS_MAX {
            out.push_str(" ...");
            break;
        }
        if end.is_some_and(|end| end < token.start) {
            out.push(' ');
        }
        end = Some(token.end);
        put(*token, sql, names, reserved, &mut out);
    }
    out
}

fn put(token: Token, sql: &[u8], names: &Names, reserved: &ReservedWords<'_>, out: &mut String) {
    let name = || sql::name(sql, token);
    match token.kind {
        TokenKind::String
        | TokenKind::NationalString
        | TokenKind::Hex
        | TokenKind::Bit
        | TokenKind::Integer
        | TokenKind::Decimal
        | TokenKind::Float
        | TokenKind::Param => out.push('?'),
        TokenKind::Word => {
            let name = name();
            let is_known = reserved.contains(name.as_bytes()) || words::is_of_sql(&name) || names.contains(&name);
            out.push_str(if is_known { &name } else { UNKNOWN });
        }
        TokenKind::Identifier | TokenKind::QuotedIdentifier => {
            let name = name();
            let is_known = words::is_of_system(&name) || names.contains(&name);
            out.push_str(if is_known { &name } else { UNKNOWN });
        }
        TokenKind::UserVariable => {
            out.push('@');
            out.push_str(UNKNOWN);
        }
        TokenKind::SystemVariable => {
            let name = name();
            out.push_str("@@");
            out.push_str(if words::is_of_system(&name) { &name } else { UNKNOWN });
        }
        TokenKind::Introducer
        | TokenKind::Null
        | TokenKind::Equal
        | TokenKind::NullSafeEqual
        | TokenKind::NotEqual
        | TokenKind::Less
        | TokenKind::LessEqual
        | TokenKind::Greater
        | TokenKind::GreaterEqual
        | TokenKind::ShiftLeft
        | TokenKind::ShiftRight
        | TokenKind::Pipe
        | TokenKind::PipePipe
        | TokenKind::Ampersand
        | TokenKind::AmpersandAmpersand
        | TokenKind::Caret
        | TokenKind::Plus
        | TokenKind::Minus
        | TokenKind::Star
        | TokenKind::Slash
        | TokenKind::Percent
        | TokenKind::Tilde
        | TokenKind::Bang
        | TokenKind::Assign
        | TokenKind::Arrow
        | TokenKind::ArrowText
        | TokenKind::LeftParen
        | TokenKind::RightParen
        | TokenKind::LeftBrace
        | TokenKind::RightBrace
        | TokenKind::Comma
        | TokenKind::Dot
        | TokenKind::Colon
        | TokenKind::Semicolon => out.push_str(&name()),
    }
}
