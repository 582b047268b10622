//! Operands: literals, names, variables, parameters, parentheses, CASE, EXISTS.

use super::keyword::Keyword;
use super::{ParseError, Parsed, Parser};
use crate::sql::TokenKind;
use crate::sql::tree::{BinaryOp, Expr, ExprKind, LiteralKind, Query, QueryBody};

/// What a parenthesis of an expression held.
pub(super) enum InParens {
    Query(Query),
    Exprs(Vec<Expr>),
}

impl Parser<'_> {
    /// An operand without operators around it.
    pub(super) fn operand(&mut self) -> Parsed<Expr> {
        if let Some(seed) = self.seed.take() {
            return Ok(seed);
        }
        let first = self.at;
        let Some(kind) = self.kind() else { return Err(self.unexpected()) };
        let literal = match kind {
            TokenKind::Word => return self.word(),
            TokenKind::Identifier | TokenKind::QuotedIdentifier => return self.named(),
            TokenKind::String | TokenKind::NationalString => return self.string(first),
            TokenKind::Introducer => return self.introduced(first),
            TokenKind::Hex => LiteralKind::Hex,
            TokenKind::Bit => LiteralKind::Bit,
            TokenKind::Integer => LiteralKind::Integer,
            TokenKind::Decimal => LiteralKind::Decimal,
            TokenKind::Float => LiteralKind::Float,
            TokenKind::Null => LiteralKind::Null,
            TokenKind::Param => return self.param(),
            TokenKind::UserVariable => return self.user_variable(),
            TokenKind::SystemVariable => return self.system_variable(),
            TokenKind::LeftParen => return self.parenthesised(),
            TokenKind::LeftBrace => return self.odbc(),
            _ => return Err(self.unexpected()),
        };
        Ok(self.literal(literal, first))
    }

    fn literal(&mut self, kind: LiteralKind, first: usize) -> Expr {
        self.at += 1;
        self.expr_of(ExprKind::Literal(kind), first)
    }

    /// A string with the adjacent ones. Only plain strings join.
    fn string(&mut self, first: usize) -> Parsed<Expr> {
        self.at += 1;
        while self.eat(TokenKind::String) {}
        Ok(self.expr_of(ExprKind::Literal(LiteralKind::String), first))
    }

    fn introduced(&mut self, first: usize) -> Parsed<Expr> {
        self.at += 1;
        match self.kind() {
            Some(TokenKind::String) => self.string(first),
            Some(TokenKind::Hex) => Ok(self.literal(LiteralKind::Hex, first)),
            Some(TokenKind::Bit) => Ok(self.literal(LiteralKind::Bit, first)),
            _ => Err(self.unexpected()),
        }
    }

    pub(super) fn param(&mut self) -> Parsed<Expr> {
        let number = self.params;
        self.params = self.params.checked_add(1).ok_or(ParseError::TooManyParams)?;
        self.at += 1;
        Ok(self.expr_of(ExprKind::Param(number), self.at - 1))
    }

    /// `@a`, and `@a := expr`, which takes everything behind it.
    fn user_variable(&mut self) -> Parsed<Expr> {
        let first = self.at;
        self.at += 1;
        if self.eat(TokenKind::Assign) {
            let value = Box::new(self.expr()?);
            return Ok(self.expr_of(ExprKind::Assign(value), first));
        }
        Ok(self.expr_of(ExprKind::UserVariable, first))
    }

    fn system_variable(&mut self) -> Parsed<Expr> {
        let first = self.at;
        self.at += 1;
        for _ in 0..2 {
            if self.eat(TokenKind::Dot) {
                match self.kind() {
                    Some(TokenKind::Word | TokenKind::Identifier | TokenKind::QuotedIdentifier) => self.at += 1,
                    _ => return Err(self.unexpected()),
                }
            }
        }
        Ok(self.expr_of(ExprKind::SystemVariable, first))
    }

    /// A column, or the call of a stored function by its qualified name.
    pub(super) fn named(&mut self) -> Parsed<Expr> {
        let first = self.at;
        let path = self.column_path()?;
        if self.kind() == Some(TokenKind::LeftParen) && path.parts.len() <= 2 {
            return self.call(path, first);
        }
        if matches!(self.kind(), Some(TokenKind::Arrow | TokenKind::ArrowText)) {
            self.at += 1;
            self.expect(TokenKind::String)?;
            return Ok(self.expr_of(ExprKind::JsonExtract(path), first));
        }
        Ok(self.expr_of(ExprKind::Column(path), first))
    }

    /// `(expr)`, `(expr, expr)`, `(query)`.
    fn parenthesised(&mut self) -> Parsed<Expr> {
        let first = self.at;
        let kind = match self.parens()? {
            InParens::Query(query) => ExprKind::Subquery(Box::new(query)),
            InParens::Exprs(mut exprs) => match (exprs.pop(), exprs.is_empty()) {
                (Some(only), true) => ExprKind::Parenthesised(Box::new(only)),
                (Some(last), false) => {
                    exprs.push(last);
                    ExprKind::Row(exprs)
                }
                (None, _) => return Err(self.unexpected()),
            },
        };
        Ok(self.expr_of(kind, first))
    }

    /// A parenthesis with a query or with expressions. Which of them `((…` begins shows only behind the innermost
    /// query: it is read once, and goes on as a query or becomes the first operand of an expression.
    pub(super) fn parens(&mut self) -> Parsed<InParens> {
        self.enter()?;
        self.expect(TokenKind::LeftParen)?;
        let first = self.at;
        let inside = match self.keyword() {
            Keyword::Select | Keyword::With | Keyword::Table => InParens::Query(self.inner_query()?),
            Keyword::Values if self.kind_at(1) != Some(TokenKind::LeftParen) || self.is_mariadb() => {
                InParens::Query(self.inner_query()?)
            }
            _ if self.kind() == Some(TokenKind::LeftParen) => {
                let inner = self.parens()?;
                self.behind_parens(inner, first)?
            }
            _ => InParens::Exprs(self.list(Self::expr)?),
        };
        self.expect(TokenKind::RightParen)?;
        self.leave();
        Ok(inside)
    }

    /// Goes on behind a parenthesis that opened at `first` directly inside another one.
    fn behind_parens(&mut self, inner: InParens, first: usize) -> Parsed<InParens> {
        let kind = match inner {
            InParens::Query(query) if self.query_goes_on() => {
                self.query_depth += 2;
                let operand = self.plain(QueryBody::Parenthesised(Box::new(query)), first);
                let query = self.query_behind_operand(None, operand, first)?;
                self.query_depth -= 2;
                return Ok(InParens::Query(query));
            }
            InParens::Query(query) => ExprKind::Subquery(Box::new(query)),
            InParens::Exprs(mut exprs) if exprs.len() == 1 => match exprs.pop() {
                Some(only) => ExprKind::Parenthesised(Box::new(only)),
                None => return Err(self.unexpected()),
            },
            InParens::Exprs(exprs) => ExprKind::Row(exprs),
        };
        self.seed = Some(self.expr_of(kind, first));
        Ok(InParens::Exprs(self.list(Self::expr)?))
    }

    fn inner_query(&mut self) -> Parsed<Query> {
        self.query_depth += 1;
        let query = self.query()?;
        self.query_depth -= 1;
        Ok(query)
    }

    /// `(query)` where nothing else may stand.
    pub(super) fn subquery(&mut self) -> Parsed<Query> {
        match self.parens()? {
            InParens::Query(query) => Ok(query),
            InParens::Exprs(_) => Err(self.unexpected()),
        }
    }

    /// `{d '…'}`
    fn odbc(&mut self) -> Parsed<Expr> {
        let first = self.at;
        self.at += 1;
        self.name()?;
        let inner = Box::new(self.expr()?);
        self.expect(TokenKind::RightBrace)?;
        Ok(self.expr_of(ExprKind::Odbc(inner), first))
    }

    /// A word: a literal, a construct of the grammar, a function, or a column.
    fn word(&mut self) -> Parsed<Expr> {
        let first = self.at;
        let before_string = self.kind_at(1) == Some(TokenKind::String);
        match self.keyword() {
            Keyword::Null => Ok(self.literal(LiteralKind::Null, first)),
            Keyword::True | Keyword::False => Ok(self.literal(LiteralKind::Boolean, first)),
            Keyword::Date | Keyword::Time | Keyword::Timestamp if before_string => {
                self.at += 1;
                Ok(self.literal(LiteralKind::Temporal, first))
            }
            Keyword::Case => self.case(),
            Keyword::Exists => {
                self.at += 1;
                let query = Box::new(self.subquery()?);
                Ok(self.expr_of(ExprKind::Exists(query), first))
            }
            Keyword::Row if self.kind_at(1) == Some(TokenKind::LeftParen) => {
                self.at += 1;
                match self.parens()? {
                    InParens::Exprs(exprs) if exprs.len() > 1 => Ok(self.expr_of(ExprKind::Row(exprs), first)),
                    InParens::Exprs(_) | InParens::Query(_) => Err(self.unexpected()),
                }
            }
            Keyword::Interval => self.interval_sum(),
            Keyword::Next | Keyword::Previous if self.is_sequence() => self.sequence(first),
            Keyword::Default => {
                self.at += 1;
                self.expect(TokenKind::LeftParen)?;
                let path = self.column_path()?;
                self.expect(TokenKind::RightParen)?;
                Ok(self.expr_of(ExprKind::Default(Some(path)), first))
            }
            _ => self.function_or_column(),
        }
    }

    fn case(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let first = self.at;
        self.at += 1;
        let operand = if self.keyword() == Keyword::When { None } else { Some(Box::new(self.expr()?)) };
        let mut whens = Vec::new();
        while self.eat_keyword(Keyword::When) {
            let when = self.expr()?;
            self.expect_keyword(Keyword::Then)?;
            whens.push((when, self.expr()?));
        }
        if whens.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.eat_keyword(Keyword::Else) { Some(Box::new(self.expr()?)) } else { None };
        self.expect_keyword(Keyword::End)?;
        self.leave();
        Ok(self.expr_of(ExprKind::Case { operand, whens, otherwise }, first))
    }

    /// `INTERVAL expr unit` or the function `INTERVAL(expr, expr, …)`.
    pub(super) fn interval(&mut self) -> Parsed<Expr> {
        let first = self.at;
        self.expect_keyword(Keyword::Interval)?;
        if self.kind() == Some(TokenKind::LeftParen) {
            let inner_first = self.at;
            let kind = match self.parens()? {
                InParens::Exprs(exprs) if exprs.len() > 1 => {
                    return Ok(self.keyword_call(first, exprs));
                }
                InParens::Exprs(mut exprs) => match exprs.pop() {
                    Some(only) => ExprKind::Parenthesised(Box::new(only)),
                    None => return Err(self.unexpected()),
                },
                InParens::Query(query) => ExprKind::Subquery(Box::new(query)),
            };
            self.seed = Some(self.expr_of(kind, inner_first));
        }
        let value = Box::new(self.expr()?);
        self.unit()?;
        Ok(self.expr_of(ExprKind::Interval(value), first))
    }

    /// In operand position an interval needs `+ expr` behind it, which takes everything but AND, OR and XOR.
    fn interval_sum(&mut self) -> Parsed<Expr> {
        let interval = self.interval()?;
        if !matches!(interval.kind, ExprKind::Interval(_)) {
            return Ok(interval);
        }
        self.expect(TokenKind::Plus)?;
        self.enter()?;
        let right = self.interval_addend()?;
        self.leave();
        Ok(self.binary(BinaryOp::Add, interval, right))
    }

    pub(super) fn unit(&mut self) -> Parsed<()> {
        if self.kind() == Some(TokenKind::Word) && super::keyword::is_unit(self.bytes()) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected())
    }
}
