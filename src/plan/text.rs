//! A statement's bytes and tokens under one roof, for code that asks for names and words.

use std::borrow::Cow;

use crate::sql::tree::{Path, TokenIndex};
use crate::sql::{self, Token, TokenKind};

/// A lexed statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) sql: &'a [u8],
    pub(super) tokens: &'a [Token],
}

impl<'a> Text<'a> {
    /// A token by position.
    pub(super) fn token(&self, index: TokenIndex) -> Option<Token> {
        self.tokens.get(usize::try_from(index).ok()?).copied()
    }

    /// A token's bytes.
    pub(super) fn bytes(&self, token: Token) -> &'a [u8] {
        token.bytes(self.sql)
    }

    /// A name as the catalog spells it; empty behind the end.
    pub(super) fn name(&self, index: TokenIndex) -> Cow<'a, str> {
        self.token(index).map_or(Cow::Borrowed(""), |token| sql::name(self.sql, token))
    }

    /// A path as written, for error texts.
    pub(super) fn path(&self, path: &Path) -> String {
        let parts: Vec<_> = path.parts.iter().map(|part| self.name(*part)).collect();
        parts.join(".")
    }

    /// Whether the token at that position is the keyword.
    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, word))
    }

    /// Whether the token at that position is of that kind.
    pub(super) fn is_kind(&self, at: usize, kind: TokenKind) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == kind)
    }

    /// Whether the token at that position is one of the words.
    pub(super) fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    /// Whether a query may stand within the statement: SELECT, or TABLE, VALUES or WITH where an operand or a new table's rows
    /// are due.
    pub(super) fn has_query(&self) -> bool {
        let begins = |at: usize| {
            let before = at.saturating_sub(1);
            let stands = self.is_kind(before, TokenKind::LeftParen) || self.is(before, "AS");
            self.is(at, "SELECT") || stands && self.is_any(at, &["TABLE", "VALUES", "WITH"])
        };
        let tables = (1..self.tokens.len()).filter(|at| self.is(*at, "TABLE")).count();
        tables > 1 || (1..self.tokens.len()).any(begins)
    }

    /// The name at a position, quoted or not; `None` for literals and signs.
    pub(super) fn name_at(&self, at: usize) -> Option<Cow<'a, str>> {
        let token = self.tokens.get(at)?;
        let is_name = matches!(token.kind, TokenKind::Word | TokenKind::Identifier | TokenKind::QuotedIdentifier);
        is_name.then(|| sql::name(self.sql, *token))
    }

    /// All names with their positions.
    pub(super) fn names(&self) -> impl Iterator<Item = (usize, Cow<'a, str>)> {
        (0..self.tokens.len()).filter_map(|at| Some((at, self.name_at(at)?)))
    }

    /// The statement without semicolons at its end.
    pub(super) fn without_terminator(self) -> Self {
        let mut tokens = self.tokens;
        while let [rest @ .., last] = tokens
            && last.kind == TokenKind::Semicolon
        {
            tokens = rest;
        }
        Self { tokens, ..self }
    }
}
