//! Recursive descent over the tokens of one DML statement, with MySQL 9.7's and MariaDB 10.11's grammar.
//!
//! What it does not read exactly is a [`ParseError`], never a guess. It may accept what the server rejects; the server
//! then says so. Work is linear in the number of tokens: nothing is read twice, and every recursion is counted, so the
//! tree's depth is bounded too.

#![expect(clippy::wildcard_enum_match_arm, reason = "a grammar names the few tokens and words that fit a place")]

mod change;
mod expr;
mod function;
mod join;
mod keyword;
mod mariadb;
mod operand;
mod query;
mod select;
#[cfg(test)]
mod tests;
mod window;

use keyword::{Keyword, keyword};

use super::tree::{Expr, ExprKind, Into, Path, Statement, TokenIndex, TokenRange};
use super::{Dialect, ReservedWords, SqlMode, Token, TokenKind};
use crate::schema::ServerKind;

/// Deepest nesting of parentheses, subqueries, prefix operators and the like.
const DEPTH_MAX: u32 = 64;
/// Most infix operators on one path through an expression, beside AND and OR, which are balanced; also the most joins
/// and set operations of a statement.
const LINKS_MAX: u32 = 256;

/// Why a statement was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The grammar has no place for the token at this position; one behind the last means the end.
    #[error("unexpected token {0}")]
    Unexpected(TokenIndex),
    /// Nested too deeply, or too many operators in one expression.
    #[error("nested too deeply at token {0}")]
    TooDeep(TokenIndex),
    /// More parameters than the protocol carries.
    #[error("too many parameters")]
    TooManyParams,
    /// More than one statement.
    #[error("several statements")]
    SeveralStatements,
}

/// Reads exactly one statement; semicolons may follow it.
pub fn parse(
    sql: &[u8],
    tokens: &[Token],
    dialect: &Dialect,
    reserved: &ReservedWords<'_>,
) -> Result<Statement, ParseError> {
    let behind = |token: &Token| token.kind == TokenKind::Semicolon;
    let length = tokens.len() - tokens.iter().rev().take_while(|token| behind(token)).count();
    let tokens = tokens.get(..length).unwrap_or_default();
    if tokens.iter().any(behind) {
        return Err(ParseError::SeveralStatements);
    }
    let keywords = tokens
        .iter()
        .map(|token| if token.kind == TokenKind::Word { keyword(token.bytes(sql)) } else { Keyword::None })
        .collect();
    let mut parser = Parser {
        sql,
        tokens,
        keywords,
        dialect,
        reserved,
        at: 0,
        depth: 0,
        params: 0,
        links: 0,
        chain: Chain::default(),
        query_depth: 0,
        seed: None,
        into: None,
    };
    let statement = parser.statement()?;
    if parser.at < parser.tokens.len() { Err(parser.unexpected()) } else { Ok(statement) }
}

type Parsed<T> = Result<T, ParseError>;

struct Parser<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    keywords: Vec<Keyword>,
    dialect: &'a Dialect,
    reserved: &'a ReservedWords<'a>,
    /// The next token.
    at: usize,
    depth: u32,
    params: u16,
    /// Joins and set operations so far.
    links: u32,
    chain: Chain,
    query_depth: u32,
    /// An operand that was read before it was clear that it begins an expression: a parenthesised query.
    seed: Option<Expr>,
    /// The INTO clause, which may stand in several places.
    into: Option<Into>,
}

/// Infix operators of one expression: the depth that they can add to its tree.
#[derive(Clone, Copy, Default)]
struct Chain {
    /// Operators of the expression itself.
    own: u32,
    /// The most that one of the expressions inside it has.
    inner: u32,
}

impl Parser<'_> {
    fn statement(&mut self) -> Parsed<Statement> {
        match self.keyword() {
            Keyword::Explain | Keyword::Describe | Keyword::Desc => self.explain(),
            Keyword::Analyze if self.is_mariadb() => self.explain(),
            Keyword::Insert | Keyword::Replace => self.insert().map(Statement::Insert),
            Keyword::Update => self.update(None, self.at).map(Statement::Update),
            Keyword::Delete => self.delete(None, self.at).map(Statement::Delete),
            Keyword::With => {
                let first = self.at;
                let with = self.with_clause()?;
                match self.keyword() {
                    Keyword::Update => self.update(Some(with), first).map(Statement::Update),
                    Keyword::Delete => self.delete(Some(with), first).map(Statement::Delete),
                    _ => self.query_behind_with(Some(with), first).map(Statement::Query),
                }
            }
            _ => self.query().map(Statement::Query),
        }
    }

    /// EXPLAIN and its options; what they are does not matter to a plan.
    fn explain(&mut self) -> Parsed<Statement> {
        self.enter()?;
        self.at += 1;
        loop {
            match self.keyword() {
                Keyword::Analyze | Keyword::Extended | Keyword::Partitions => self.at += 1,
                Keyword::Format => {
                    self.at += 1;
                    self.expect(TokenKind::Equal)?;
                    match self.kind() {
                        Some(TokenKind::Word | TokenKind::String | TokenKind::QuotedIdentifier) => self.at += 1,
                        _ => return Err(self.unexpected()),
                    }
                }
                Keyword::Into if self.kind_at(1) == Some(TokenKind::UserVariable) => self.at += 2,
                Keyword::For if matches!(self.keyword_at(1), Keyword::Schema | Keyword::Database) => {
                    self.at += 2;
                    self.name()?;
                }
                Keyword::Explain | Keyword::Describe | Keyword::Desc => return Err(self.unexpected()),
                _ => break,
            }
        }
        let inner = self.statement()?;
        self.leave();
        Ok(Statement::Explain(Box::new(inner)))
    }

    fn is_mariadb(&self) -> bool {
        self.dialect.server.kind == ServerKind::MariaDb
    }

    fn mode(&self, bit: SqlMode) -> bool {
        self.dialect.mode.contains(bit)
    }

    fn token(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn kind(&self) -> Option<TokenKind> {
        self.kind_at(0)
    }

    fn kind_at(&self, distance: usize) -> Option<TokenKind> {
        self.tokens.get(self.at + distance).map(|token| token.kind)
    }

    fn keyword(&self) -> Keyword {
        self.keyword_at(0)
    }

    fn keyword_at(&self, distance: usize) -> Keyword {
        self.keywords.get(self.at + distance).copied().unwrap_or(Keyword::None)
    }

    fn bytes(&self) -> &[u8] {
        self.token().map_or(&[], |token| token.bytes(self.sql))
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.kind() == Some(kind);
        self.at += usize::from(found);
        found
    }

    fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let found = keyword != Keyword::None && self.keyword() == keyword;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, kind: TokenKind) -> Parsed<()> {
        if self.eat(kind) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_keyword(&mut self, keyword: Keyword) -> Parsed<()> {
        if self.eat_keyword(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> ParseError {
        ParseError::Unexpected(index(self.at))
    }

    /// Counts one level down. An error abandons the parser, so only success needs [`Self::leave`].
    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(ParseError::TooDeep(index(self.at))) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts a join or a set operation.
    fn link(&mut self) -> Parsed<()> {
        self.links += 1;
        if self.links > LINKS_MAX { Err(ParseError::TooDeep(index(self.at))) } else { Ok(()) }
    }

    /// Counts an infix operator of the expression being read.
    fn expr_link(&mut self) -> Parsed<()> {
        self.chain.own += 1;
        self.check_chain()
    }

    fn check_chain(&self) -> Parsed<()> {
        if self.chain.own + self.chain.inner > LINKS_MAX { Err(ParseError::TooDeep(index(self.at))) } else { Ok(()) }
    }

    /// Reads an expression whose operators count apart: beside others, only the longest one adds to the tree's depth.
    fn apart(&mut self, read: impl FnOnce(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        let outer = std::mem::take(&mut self.chain);
        let expr = read(self)?;
        let inner = outer.inner.max(self.chain.own + self.chain.inner);
        self.chain = Chain { own: outer.own, inner };
        self.check_chain()?;
        Ok(expr)
    }

    /// The tokens from `first` to the one just read.
    fn range(&self, first: usize) -> TokenRange {
        TokenRange { first: index(first), last: index(self.at.saturating_sub(1).max(first)) }
    }

    /// Whether the token can be a name: quoted, beside a dot, or a word that is not reserved.
    fn is_name_at(&self, distance: usize) -> bool {
        match self.tokens.get(self.at + distance) {
            Some(token) => match token.kind {
                TokenKind::Identifier | TokenKind::QuotedIdentifier => true,
                TokenKind::Word => !self.reserved.contains(token.bytes(self.sql)),
                _ => false,
            },
            None => false,
        }
    }

    fn is_name(&self) -> bool {
        self.is_name_at(0)
    }

    fn name(&mut self) -> Parsed<TokenIndex> {
        if !self.is_name() {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(index(self.at - 1))
    }

    /// A name of up to `parts_max` parts.
    fn path(&mut self, parts_max: usize) -> Parsed<Path> {
        let first = self.at;
        let mut parts = vec![self.name()?];
        while self.kind() == Some(TokenKind::Dot) && parts.len() < parts_max && self.is_name_at(1) {
            self.at += 1;
            parts.push(self.name()?);
        }
        Ok(Path { parts, tokens: self.range(first) })
    }

    fn table_path(&mut self) -> Parsed<Path> {
        self.path(2)
    }

    fn column_path(&mut self) -> Parsed<Path> {
        self.path(3)
    }

    /// `(name, name, …)`
    fn names_in_parens(&mut self) -> Parsed<Vec<TokenIndex>> {
        self.expect(TokenKind::LeftParen)?;
        let names = self.list(Self::name)?;
        self.expect(TokenKind::RightParen)?;
        Ok(names)
    }

    /// One or more, separated by commas.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(TokenKind::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn expr_of(&self, kind: ExprKind, first: usize) -> Expr {
        Expr { kind, tokens: self.range(first) }
    }
}

/// Positions fit: the lexer bounds the number of tokens.
#[expect(clippy::cast_possible_truncation, reason = "at most as many as the lexer's limit")]
fn index(at: usize) -> TokenIndex {
    at as TokenIndex
}
