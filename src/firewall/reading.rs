//! What the rules ask of a statement: its words, calls and expressions.

use std::borrow::Cow;
use std::cell::Cell;

use crate::sql::tree::{Expr, ExprKind, LiteralKind, Query, Select, Statement, TokenIndex};
use crate::sql::walk::{self, Visitor};
use crate::sql::{self, Marks, StatementClass, Token, TokenKind};

/// The unquoted words of a statement, by token.
pub type Words = Vec<TokenIndex>;

/// A statement as the rules see it.
#[derive(Debug)]
pub struct Reading<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    class: StatementClass,
    statement: Option<&'a Statement>,
    words: Words,
    exprs: Vec<&'a Expr>,
    queries: Vec<&'a Query>,
    selects: Vec<&'a Select>,
    value_read: Cell<bool>,
}

impl<'a> Reading<'a> {
    /// Prepares a lexed statement for the rules; `statement` is its tree if it could be parsed.
    pub fn new(sql: &'a [u8], tokens: &'a [Token], class: StatementClass, statement: Option<&'a Statement>) -> Self {
        let words =
            (0..).zip(tokens).filter(|(_, token)| token.kind == TokenKind::Word).map(|(index, _)| index).collect();
        let mut nodes = Nodes::default();
        if let Some(statement) = statement {
            walk::statement(&mut nodes, statement);
        }
        let Nodes { exprs, queries, selects } = nodes;
        Self { sql, tokens, class, statement, words, exprs, queries, selects, value_read: Cell::new(false) }
    }

    /// The statement's bytes.
    pub(super) fn sql(&self) -> &'a [u8] {
        self.sql
    }

    /// How long it is.
    pub fn octets(&self) -> usize {
        self.sql.len()
    }

    /// Its tokens.
    pub(super) fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    /// The tree, if there is one.
    pub fn statement(&self) -> Option<&'a Statement> {
        self.statement
    }

    /// Positions of the unquoted words (keywords and bare names).
    pub fn words(&self) -> &[TokenIndex] {
        &self.words
    }

    /// All expressions, outer ones before inner ones.
    pub fn exprs(&self) -> &[&'a Expr] {
        &self.exprs
    }

    /// All query expressions, outer ones before inner ones.
    pub fn queries(&self) -> &[&'a Query] {
        &self.queries
    }

    /// All SELECTs, outer ones before inner ones.
    pub fn selects(&self) -> &[&'a Select] {
        &self.selects
    }

    /// The last token.
    pub fn last(&self) -> Option<&'a Token> {
        self.tokens.last()
    }

    /// Whether the token is the last one.
    pub fn is_last(&self, token: TokenIndex) -> bool {
        usize::try_from(token).is_ok_and(|at| at.checked_add(1) == Some(self.tokens.len()))
    }

    /// Whether a rule looked at the value of a literal: then the verdict holds for this statement alone, not for all of
    /// its digest.
    pub fn depends_on_values(&self) -> bool {
        self.value_read.get()
    }

    /// The value of an integer literal.
    pub fn integer(&self, expr: &Expr) -> Option<u64> {
        if !matches!(expr.kind, ExprKind::Literal(LiteralKind::Integer)) {
            return None;
        }
        self.value_read.set(true);
        std::str::from_utf8(self.bytes(expr.tokens.first)).ok()?.parse().ok()
    }

    /// Whether the statement is SELECT, INSERT, REPLACE, UPDATE, DELETE or the like.
    pub fn is_dml(&self) -> bool {
        self.class == StatementClass::Dml
    }

    /// Whether the statement works on rows: one of FROM, WHERE, SET, VALUES or INTO stands in it.
    pub fn reads_or_writes(&self) -> bool {
        ["FROM", "WHERE", "SET", "VALUES", "INTO"].iter().any(|word| self.has_word(word))
    }

    /// Whether the token is that word, given in upper case.
    pub fn is_word(&self, token: TokenIndex, word: &str) -> bool {
        self.bytes(token).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether an unquoted word stands anywhere in the statement.
    pub fn has_word(&self, word: &str) -> bool {
        self.words.iter().any(|token| self.is_word(*token, word))
    }

    /// Whether one of the names is followed by an opening parenthesis.
    pub fn has_call(&self, names: &[&str]) -> bool {
        self.words
            .iter()
            .any(|token| names.iter().any(|name| self.is_word(*token, name)) && self.followed_by_parenthesis(*token))
    }

    /// Whether the next token is `(`.
    pub fn followed_by_parenthesis(&self, token: TokenIndex) -> bool {
        self.kind_behind(token) == Some(TokenKind::LeftParen)
    }

    /// Whether the next token is a string or hexadecimal literal.
    pub fn followed_by_string(&self, token: TokenIndex) -> bool {
        matches!(
            self.kind_behind(token),
            Some(TokenKind::String | TokenKind::NationalString | TokenKind::Introducer | TokenKind::Hex)
        )
    }

    /// Whether the token came from inside a versioned comment.
    pub fn in_versioned_comment(&self, token: TokenIndex) -> bool {
        self.token(token).is_some_and(|token| token.marks.contains(Marks::VERSIONED))
    }

    /// A name as the catalog spells it.
    pub fn name(&self, token: TokenIndex) -> Cow<'a, str> {
        self.token(token).map_or(Cow::Borrowed(""), |token| sql::name(self.sql, *token))
    }

    /// Name in upper case and arguments, if the expression is a call of an unqualified function.
    pub fn call<'e>(&self, expr: &'e Expr) -> Option<(String, &'e [Expr])> {
        let ExprKind::Function(function) = &expr.kind else { return None };
        let [name] = function.name.parts.as_slice() else { return None };
        Some((self.name(*name).to_ascii_uppercase(), &function.args))
    }

    /// USER(), VERSION(), DATABASE() and kin: what an injector asks first.
    pub fn is_session_value(&self, expr: &Expr) -> bool {
        const NAMES: [&str; 8] =
            ["USER", "VERSION", "DATABASE", "SCHEMA", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "CURRENT_ROLE"];
        self.call(expr).is_some_and(|(name, args)| args.is_empty() && NAMES.contains(&&*name))
    }

    /// Whether the expression is the literal `''`.
    pub fn is_empty_string(&self, expr: &Expr) -> bool {
        matches!(expr.kind, ExprKind::Literal(LiteralKind::String))
            && expr.tokens.first == expr.tokens.last
            && self.bytes(expr.tokens.first).len() == 2
    }

    /// The expression and all expressions below it.
    pub fn below<'e>(&self, expr: &'e Expr) -> Vec<&'e Expr> {
        let mut nodes = Nodes::default();
        walk::expr(&mut nodes, expr);
        nodes.exprs
    }

    fn kind_behind(&self, token: TokenIndex) -> Option<TokenKind> {
        self.token(token.checked_add(1)?).map(|next| next.kind)
    }

    fn token(&self, token: TokenIndex) -> Option<&'a Token> {
        self.tokens.get(usize::try_from(token).ok()?)
    }

    fn bytes(&self, token: TokenIndex) -> &'a [u8] {
        self.token(token).map_or(&[], |token| token.bytes(self.sql))
    }
}

#[derive(Default)]
struct Nodes<'t> {
    exprs: Vec<&'t Expr>,
    queries: Vec<&'t Query>,
    selects: Vec<&'t Select>,
}

impl<'t> Visitor<'t> for Nodes<'t> {
    fn expr(&mut self, expr: &'t Expr) {
        self.exprs.push(expr);
    }

    fn query(&mut self, query: &'t Query) {
        self.queries.push(query);
    }

    fn select(&mut self, select: &'t Select) {
        self.selects.push(select);
    }
}
