//! The digest: a statement with its literals' values left out, as bytes that no other structure yields.
//!
//! It is compared byte for byte and serves as cache key by itself. Two statements of one digest have the same tokens in
//! the same places, the same names and comment kinds, and differ only in values that no plan depends on. A literal's
//! text is kept where it names something: a string that may be an alias, and a number that may be a position in
//! ORDER BY or GROUP BY.

use super::{Marks, Token, TokenKind};

/// Ends a text; no kept text contains it (the lexer refuses NUL in names).
const END: u8 = 0;
/// Marks follow, two bytes.
const MARKS: u8 = 0xFF;
/// An opening parenthesis that touches the word before it: a built-in function's call.
const CALL: u8 = 0xFE;
/// A literal whose text is kept follows: its length in four bytes, then its bytes.
const KEPT: u8 = 0xFD;

/// Appends the digest of a statement. Nothing but `out` is allocated.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is written as itself")]
pub fn normalise(sql: &[u8], tokens: &[Token], out: &mut Vec<u8>) {
    out.reserve(sql.len() + tokens.len());
    let mut lists = PositionLists::default();
    let mut previous: Option<Token> = None;
    for &token in tokens {
        if token.marks != Marks::empty() {
            out.push(MARKS);
            out.extend_from_slice(&token.marks.bits().to_le_bytes());
        }
        match token.kind {
            TokenKind::Word => {
                let text = token.bytes(sql);
                lists.word(text);
                push_text(token.kind, text, out);
            }
            TokenKind::Identifier
            | TokenKind::QuotedIdentifier
            | TokenKind::Introducer
            | TokenKind::UserVariable
            | TokenKind::SystemVariable => push_text(token.kind, token.bytes(sql), out),
            TokenKind::String | TokenKind::NationalString if !follows_operator(sql, previous) => {
                push_kept(token, sql, out);
            }
            TokenKind::Integer if lists.may_be_position(previous) => push_kept(token, sql, out),
            TokenKind::LeftParen => {
                lists.open();
                let touches = previous.is_some_and(|word| word.kind == TokenKind::Word && word.end == token.start);
                out.push(if touches { CALL } else { token.kind as u8 });
            }
            TokenKind::RightParen => {
                lists.close();
                out.push(token.kind as u8);
            }
            // Values left out, and operators, which are their kind.
            _ => out.push(token.kind as u8),
        }
        previous = Some(token);
    }
}

fn push_text(kind: TokenKind, text: &[u8], out: &mut Vec<u8>) {
    out.push(kind as u8);
    out.extend_from_slice(text);
    out.push(END);
}

fn push_kept(token: Token, sql: &[u8], out: &mut Vec<u8>) {
    let text = token.bytes(sql);
    out.push(KEPT);
    out.push(token.kind as u8);
    out.extend_from_slice(&(token.end - token.start).to_le_bytes());
    out.extend_from_slice(text);
}

/// Whether a string behind this token can only be a value. Behind anything that can end an expression, and behind AS,
/// it may be an alias.
fn follows_operator(sql: &[u8], previous: Option<Token>) -> bool {
    let Some(previous) = previous else { return true };
    match previous.kind {
        TokenKind::Word => is_prefix_word(previous.bytes(sql)),
        // Adjacent strings: the first one's place decides for all. If it was kept, this one differs only in value and
        // the literal as a whole is either an alias, whose further pieces the server does not read, or a value.
        TokenKind::String | TokenKind::NationalString => false,
        TokenKind::Introducer
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
        | TokenKind::Slash
        | TokenKind::Percent
        | TokenKind::Tilde
        | TokenKind::Bang
        | TokenKind::Assign
        | TokenKind::Arrow
        | TokenKind::ArrowText
        | TokenKind::LeftParen
        | TokenKind::Comma => true,
        TokenKind::Identifier
        | TokenKind::QuotedIdentifier
        | TokenKind::Hex
        | TokenKind::Bit
        | TokenKind::Integer
        | TokenKind::Decimal
        | TokenKind::Float
        | TokenKind::Null
        | TokenKind::Param
        | TokenKind::UserVariable
        | TokenKind::SystemVariable
        | TokenKind::Star
        | TokenKind::RightParen
        | TokenKind::LeftBrace
        | TokenKind::RightBrace
        | TokenKind::Dot
        | TokenKind::Colon
        | TokenKind::Semicolon => false,
    }
}

/// Reserved words that an expression follows, in both products.
fn is_prefix_word(word: &[u8]) -> bool {
    const WORDS: [&str; 20] = [
        "LIKE",
        "THEN",
        "ELSE",
        "WHEN",
        "SELECT",
        "AND",
        "OR",
        "BETWEEN",
        "WHERE",
        "REGEXP",
        "RLIKE",
        "BINARY",
        "NOT",
        "BY",
        "IN",
        "CASE",
        "HAVING",
        "INTERVAL",
        "XOR",
        "SEPARATOR",
    ];
    WORDS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Where a bare integer may be a position of the select list: directly in a list behind BY. One bit for each depth of
/// parentheses; deeper ones count as lists.
#[derive(Default)]
struct PositionLists {
    depth: u32,
    open: u64,
}

impl PositionLists {
    fn bit(&self) -> u64 {
        1_u64.checked_shl(self.depth).unwrap_or(0)
    }

    fn word(&mut self, word: &[u8]) {
        if word.eq_ignore_ascii_case(b"BY") {
            self.open |= self.bit();
        } else if word.eq_ignore_ascii_case(b"LIMIT") {
            self.open &= !self.bit();
        }
    }

    fn open(&mut self) {
        self.depth = self.depth.saturating_add(1);
        self.open &= !self.bit();
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn may_be_position(&self, previous: Option<Token>) -> bool {
        let listed = self.depth >= u64::BITS || self.open & self.bit() != 0;
        listed && previous.is_some_and(|token| matches!(token.kind, TokenKind::Word | TokenKind::Comma))
    }
}
