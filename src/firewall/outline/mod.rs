//! The outline of a statement: what may be kept and shown of it. Literals and parameters are `?`, names that the schema does
//! not know are `<id>`, comments are left out, and runs of white space are one blank.
//!
//! An unquoted value that an application pastes into its SQL is a name to the lexer: that is why names are not simply
//! kept.

mod names;
mod words;

use std::borrow::Cow;

pub use names::CatalogNames;
use names::UNKNOWN;
pub(super) use names::is_system;

use crate::sql::{self, ReservedWords, Token, TokenKind};

/// The outline of a lexed statement. It ends with three dots where it would become much longer than `octets_max`: the
/// structure that a rule found is rarely far behind.
pub fn outline(
    sql: &[u8],
    tokens: &[Token],
    names: &CatalogNames,
    reserved: &ReservedWords<'_>,
    octets_max: usize,
) -> String {
    let mut out = String::new();
    let mut end = None;
    for token in tokens {
        if out.len() > octets_max {
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

fn put(token: Token, sql: &[u8], names: &CatalogNames, reserved: &ReservedWords<'_>, out: &mut String) {
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
            let is_known = reserved.contains(name.as_bytes()) || words::is_of_sql(&name) || names.knows(&name);
            out.push_str(&if is_known { printable(&name) } else { Cow::Borrowed(UNKNOWN) });
        }
        TokenKind::Identifier | TokenKind::QuotedIdentifier => {
            let name = name();
            let is_known = words::is_of_system(&name) || names.knows(&name);
            out.push_str(&if is_known { printable(&name) } else { Cow::Borrowed(UNKNOWN) });
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

/// What can stand on a line: a quoted name may hold anything.
fn printable(name: &str) -> Cow<'_, str> {
    if name.chars().any(char::is_control) { Cow::Owned(name.escape_debug().to_string()) } else { Cow::Borrowed(name) }
}
