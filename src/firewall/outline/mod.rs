//! The outline of a statement: what may be kept and shown of it. Literals and parameters are `?`, names that the schema does
//! not know are `<id>`, comments are left out, and runs of white space are one blank.
//!
//! An unquoted value that an application pastes into its SQL is a name to the lexer: that is why names are not simply
//! kept.

mod names;
mod words;

use std::borrow::Cow;

pub(super) use names::is_system;
pub use names::{CatalogNames, LatestNames, UNKNOWN};

use crate::sql::{self, ReservedWords, Token, TokenKind};

/// What may be shown of a statement: names of the schema, and words of SQL.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// Names that the schema knows.
    pub names: &'a CatalogNames,
    /// Words that are reserved.
    pub reserved: &'a ReservedWords<'a>,
}

/// The outline of a lexed statement. It ends with three dots where it would become much longer than `octets_max`: the
/// structure that a rule found is rarely far behind.
pub fn outline(sql: &[u8], tokens: &[Token], vocabulary: Vocabulary<'_>, octets_max: usize) -> String {
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
        vocabulary.put(*token, sql, &mut out);
    }
    out
}

impl Vocabulary<'_> {
    /// Appends a token as it may be shown.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is a sign, or MariaDB's NULL")]
    pub fn put(&self, token: Token, sql: &[u8], out: &mut String) {
        let name = || sql::name(sql, token);
        match token.kind {
            kind if kind.is_value() => out.push('?'),
            TokenKind::Word => {
                let name = name();
                let is_of_sql = self.reserved.contains(name.as_bytes()) || words::is_of_sql(&name);
                out.push_str(&self.shown(is_of_sql, name));
            }
            TokenKind::Identifier | TokenKind::QuotedIdentifier => {
                let name = name();
                out.push_str(&self.shown(words::is_of_system(&name), name));
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
            _ => out.push_str(&name()),
        }
    }

    fn shown<'n>(&self, is_of_server: bool, name: Cow<'n, str>) -> Cow<'n, str> {
        if !is_of_server && !self.names.knows(&name) {
            Cow::Borrowed(UNKNOWN)
        } else if name.chars().any(char::is_control) {
            // A quoted name may hold anything, and this stands on one line.
            Cow::Owned(name.escape_debug().to_string())
        } else {
            name
        }
    }
}
