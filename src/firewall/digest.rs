//! The digest by which events, reports, profiles and exceptions name a statement.
//!
//! It tells statements of different structure apart as the plan cache's key does, comments and kinds of literals included,
//! with one difference: a list of one literal and a list of several are two structures, and so are one row of VALUES and
//! several, but how many there are makes no difference. Otherwise each length of an IN list would be a statement of its own.

use sha2::{Digest as _, Sha256};

use crate::sql::{self, Marks, Token, TokenKind};

/// SHA-256 of a statement's structure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a lexed statement. Semicolons at its end do not count.
    pub fn of(sql: &[u8], tokens: &[Token]) -> Self {
        let mut text = Vec::new();
        sql::normalise(sql, &shortened(sql, tokens), &mut text);
        Self(Sha256::digest(&text).into())
    }

    /// Reads its text form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A parenthesised run of tokens that was written out: where it begins and ends.
type Group = (usize, usize);

/// The tokens without the third and later ones of equal literals in a list, and of equal rows.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other kind opens, closes or fills a list")]
fn shortened(sql: &[u8], tokens: &[Token]) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len().min(4_096));
    // For each open parenthesis where it is, and the groups that have been closed inside of it.
    let mut open: Vec<(usize, Vec<Group>)> = vec![(0, Vec::new())];
    let end = tokens.iter().rposition(|token| token.kind != TokenKind::Semicolon).map_or(0, |last| last + 1);
    for &token in tokens.get(..end).unwrap_or_default() {
        out.push(token);
        match token.kind {
            TokenKind::LeftParen => open.push((out.len() - 1, Vec::new())),
            TokenKind::RightParen if open.len() > 1 => {
                let start = open.pop().map_or(0, |(start, _)| start);
                let group = (start, out.len() - 1);
                let Some((_, before)) = open.last_mut() else { continue };
                match before.as_slice() {
                    [.., first, second] if repeats(sql, &out, *first, *second, group) => out.truncate(start - 1),
                    _ => before.push(group),
                }
            }
            kind if open.len() > 1 && is_literal(kind) => {
                if let [.., first, comma, second, other, third] = out.as_slice()
                    && [comma, other].iter().all(|token| token.kind == TokenKind::Comma)
                    && [first, second, third].iter().all(|one| one.kind == kind && one.marks == Marks::empty())
                {
                    out.truncate(out.len() - 2);
                }
            }
            _ => {}
        }
    }
    out
}

/// Whether three groups follow each other, with a comma between each two, and are alike.
fn repeats(sql: &[u8], out: &[Token], first: Group, second: Group, third: Group) -> bool {
    let follows = |before: Group, group: Group| {
        before.1 + 2 == group.0 && out.get(group.0 - 1).is_some_and(|token| token.kind == TokenKind::Comma)
    };
    let tokens = |group: Group| out.get(group.0..=group.1).unwrap_or_default();
    let alike = |one: Group, other: Group| {
        let (one, other) = (tokens(one), tokens(other));
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(sql, *one, *other))
    };
    follows(first, second) && follows(second, third) && alike(first, second) && alike(second, third)
}

fn same(sql: &[u8], one: Token, other: Token) -> bool {
    one.kind == other.kind && one.marks == other.marks && (is_literal(one.kind) || one.bytes(sql) == other.bytes(sql))
}

fn is_literal(kind: TokenKind) -> bool {
    kind.is_value() || kind == TokenKind::Null
}
