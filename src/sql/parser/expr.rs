//! Operators and their precedence, exactly as the servers' grammars layer them.
//!
//! From weak to strong: OR, XOR, AND, NOT, comparisons and IS, the predicates (IN, BETWEEN, LIKE, REGEXP, MEMBER OF),
//! `|`, `&`, shifts, `+ -`, `* / DIV % MOD`, `^`, `||` as concatenation, sign `~` `!` BINARY, COLLATE.

use super::keyword::Keyword;
use super::{Parsed, Parser};
use crate::sql::tree::{BinaryOp, Expr, ExprKind, IsTest, MatchOp, UnaryOp};
use crate::sql::{SqlMode, TokenKind};

/// Weakest infix operator below the predicates.
const WEAKEST: u8 = 1;

impl Parser<'_> {
    /// A whole expression.
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let expr = self.apart(Self::disjunction)?;
        self.leave();
        Ok(expr)
    }

    fn disjunction(&mut self) -> Parsed<Expr> {
        let mut operands = vec![self.apart(Self::exclusive)?];
        loop {
            let is_or = match self.kind() {
                Some(TokenKind::PipePipe) => !self.mode(SqlMode::PIPES_AS_CONCAT),
                _ => self.keyword() == Keyword::Or,
            };
            if !is_or {
                return Ok(self.balanced(BinaryOp::Or, operands));
            }
            self.at += 1;
            operands.push(self.apart(Self::exclusive)?);
        }
    }

    fn exclusive(&mut self) -> Parsed<Expr> {
        let mut left = self.conjunction()?;
        while self.keyword() == Keyword::Xor {
            self.expr_link()?;
            self.at += 1;
            let right = self.conjunction()?;
            left = self.binary(BinaryOp::Xor, left, right);
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut operands = vec![self.apart(Self::negation)?];
        while self.keyword() == Keyword::And || self.kind() == Some(TokenKind::AmpersandAmpersand) {
            self.at += 1;
            operands.push(self.apart(Self::negation)?);
        }
        Ok(self.balanced(BinaryOp::And, operands))
    }

    /// AND and OR are associative, SQL's three values included: a long chain becomes a tree of logarithmic depth.
    fn balanced(&self, op: BinaryOp, operands: Vec<Expr>) -> Expr {
        let mut level = operands;
        while level.len() > 1 {
            let mut pairs = level.into_iter();
            let mut next = Vec::new();
            while let Some(left) = pairs.next() {
                next.push(match pairs.next() {
                    Some(right) => binary(op, left, right),
                    None => left,
                });
            }
            level = next;
        }
        level.pop().unwrap_or_else(|| self.expr_of(ExprKind::Row(Vec::new()), self.at))
    }

    fn negation(&mut self) -> Parsed<Expr> {
        if self.seed.is_none() && self.keyword() == Keyword::Not && !self.mode(SqlMode::HIGH_NOT_PRECEDENCE) {
            self.enter()?;
            let first = self.at;
            self.at += 1;
            let operand = Box::new(self.negation()?);
            self.leave();
            return Ok(self.expr_of(ExprKind::Unary { op: UnaryOp::Not, operand }, first));
        }
        self.comparison()
    }

    /// Comparisons and IS, from left to right. IS TRUE ends the chain in MySQL.
    fn comparison(&mut self) -> Parsed<Expr> {
        let mut left = self.predicate()?;
        loop {
            if self.keyword() == Keyword::Is {
                self.expr_link()?;
                let first = left.tokens.first as usize;
                self.at += 1;
                let negated = self.eat_keyword(Keyword::Not);
                let test = match self.keyword() {
                    Keyword::Null => IsTest::Null,
                    Keyword::True => IsTest::True,
                    Keyword::False => IsTest::False,
                    Keyword::Unknown => IsTest::Unknown,
                    _ => return Err(self.unexpected()),
                };
                self.at += 1;
                left = self.expr_of(ExprKind::Is { operand: Box::new(left), test, negated }, first);
                if test == IsTest::Null || self.is_mariadb() {
                    continue;
                }
                return Ok(left);
            }
            let Some(op) = self.comparison_operator() else { return Ok(left) };
            self.expr_link()?;
            self.at += 1;
            let quantified = matches!(self.keyword(), Keyword::Any | Keyword::Some | Keyword::All)
                && self.kind_at(1) == Some(TokenKind::LeftParen);
            if quantified {
                self.at += 1;
                let first = left.tokens.first as usize;
                let query = Box::new(self.subquery()?);
                left = self.expr_of(ExprKind::Quantified { op, left: Box::new(left), query }, first);
            } else {
                let right = self.predicate()?;
                left = self.binary(op, left, right);
            }
        }
    }

    fn comparison_operator(&self) -> Option<BinaryOp> {
        Some(match self.kind()? {
            TokenKind::Equal => BinaryOp::Equal,
            TokenKind::NullSafeEqual => BinaryOp::NullSafeEqual,
            TokenKind::NotEqual => BinaryOp::NotEqual,
            TokenKind::Less => BinaryOp::Less,
            TokenKind::LessEqual => BinaryOp::LessEqual,
            TokenKind::Greater => BinaryOp::Greater,
            TokenKind::GreaterEqual => BinaryOp::GreaterEqual,
            _ => return None,
        })
    }

    fn predicate(&mut self) -> Parsed<Expr> {
        let operand = self.bit_expr(WEAKEST)?;
        let first = operand.tokens.first as usize;
        let negated = self.keyword() == Keyword::Not
            && matches!(
                self.keyword_at(1),
                Keyword::In | Keyword::Between | Keyword::Like | Keyword::Regexp | Keyword::Rlike
            );
        self.at += usize::from(negated);
        let kind = match self.keyword() {
            Keyword::In => return self.in_list(operand, negated),
            Keyword::Between => {
                self.at += 1;
                let low = self.bit_expr(WEAKEST)?;
                self.expect_keyword(Keyword::And)?;
                self.enter()?;
                let high = self.predicate()?;
                self.leave();
                ExprKind::Between { operands: Box::new([operand, low, high]), negated }
            }
            Keyword::Like => {
                self.at += 1;
                let mut operands = vec![operand, self.pattern()?];
                if self.eat_keyword(Keyword::Escape) {
                    operands.push(self.pattern()?);
                }
                ExprKind::Match { op: MatchOp::Like, operands, negated }
            }
            Keyword::Regexp | Keyword::Rlike => {
                self.at += 1;
                let pattern = self.bit_expr(WEAKEST)?;
                ExprKind::Match { op: MatchOp::Regexp, operands: vec![operand, pattern], negated }
            }
            Keyword::Sounds if self.keyword_at(1) == Keyword::Like => {
                self.at += 2;
                let pattern = self.bit_expr(WEAKEST)?;
                ExprKind::Match { op: MatchOp::SoundsLike, operands: vec![operand, pattern], negated }
            }
            Keyword::Member if self.keyword_at(1) == Keyword::Of || self.kind_at(1) == Some(TokenKind::LeftParen) => {
                self.at += 1;
                self.eat_keyword(Keyword::Of);
                self.expect(TokenKind::LeftParen)?;
                self.enter()?;
                let array = self.concatenation()?;
                self.leave();
                self.expect(TokenKind::RightParen)?;
                ExprKind::Match { op: MatchOp::MemberOf, operands: vec![operand, array], negated }
            }
            _ => return Ok(operand),
        };
        Ok(self.expr_of(kind, first))
    }

    /// The right side of LIKE: MySQL takes no infix operator there, MariaDB does.
    fn pattern(&mut self) -> Parsed<Expr> {
        if self.is_mariadb() { self.bit_expr(WEAKEST) } else { self.concatenation() }
    }

    /// Everything that binds stronger than a predicate, for places where IN or AND ends the expression.
    pub(super) fn bits(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let expr = self.bit_expr(WEAKEST)?;
        self.leave();
        Ok(expr)
    }

    /// What `INTERVAL … +` takes: all but AND, OR and XOR.
    pub(super) fn interval_addend(&mut self) -> Parsed<Expr> {
        self.negation()
    }

    fn in_list(&mut self, operand: Expr, negated: bool) -> Parsed<Expr> {
        let first = operand.tokens.first as usize;
        self.at += 1;
        let operand = Box::new(operand);
        let kind = match self.parens()? {
            super::operand::InParens::Query(query) => ExprKind::InQuery { operand, query: Box::new(query), negated },
            super::operand::InParens::Exprs(list) => ExprKind::In { operand, list, negated },
        };
        Ok(self.expr_of(kind, first))
    }

    /// Infix operators of at least this strength, by precedence climbing.
    fn bit_expr(&mut self, weakest: u8) -> Parsed<Expr> {
        let mut left = self.concatenation()?;
        while let Some((op, strength)) = self.infix_operator()
            && strength >= weakest
        {
            self.expr_link()?;
            self.at += 1;
            let adds = matches!(op, BinaryOp::Add | BinaryOp::Subtract);
            let right = if adds && self.keyword() == Keyword::Interval {
                self.interval_operand(strength)?
            } else {
                self.bit_expr(strength + 1)?
            };
            left = self.binary(op, left, right);
        }
        Ok(left)
    }

    /// Behind + or -: `INTERVAL expr unit`, or the function INTERVAL with whatever binds stronger.
    fn interval_operand(&mut self, strength: u8) -> Parsed<Expr> {
        let interval = self.interval()?;
        if matches!(interval.kind, ExprKind::Interval(_)) {
            return Ok(interval);
        }
        self.seed = Some(interval);
        self.bit_expr(strength + 1)
    }

    fn infix_operator(&self) -> Option<(BinaryOp, u8)> {
        Some(match (self.kind()?, self.keyword()) {
            (TokenKind::Pipe, _) => (BinaryOp::BitOr, 1),
            (TokenKind::Ampersand, _) => (BinaryOp::BitAnd, 2),
            (TokenKind::ShiftLeft | TokenKind::ShiftRight, _) => (BinaryOp::Shift, 3),
            (TokenKind::Plus, _) => (BinaryOp::Add, 4),
            (TokenKind::Minus, _) => (BinaryOp::Subtract, 4),
            (TokenKind::Star, _) => (BinaryOp::Multiply, 5),
            (TokenKind::Slash | TokenKind::Percent, _) | (_, Keyword::Div | Keyword::Mod) => (BinaryOp::Divide, 5),
            (TokenKind::Caret, _) => (BinaryOp::BitXor, 6),
            _ => return None,
        })
    }

    /// `||` under PIPES_AS_CONCAT: stronger than `^`, weaker than a sign.
    pub(super) fn concatenation(&mut self) -> Parsed<Expr> {
        let mut left = self.prefixed()?;
        while self.kind() == Some(TokenKind::PipePipe) && self.mode(SqlMode::PIPES_AS_CONCAT) {
            self.expr_link()?;
            self.at += 1;
            let right = self.prefixed()?;
            left = self.binary(BinaryOp::Concat, left, right);
        }
        Ok(left)
    }

    fn prefixed(&mut self) -> Parsed<Expr> {
        if self.seed.is_some() {
            return self.collated();
        }
        let op = match (self.kind(), self.keyword()) {
            (Some(TokenKind::Minus), _) => Some(UnaryOp::Minus),
            (Some(TokenKind::Plus), _) => Some(UnaryOp::Plus),
            (Some(TokenKind::Tilde), _) => Some(UnaryOp::BitNot),
            (Some(TokenKind::Bang), _) => Some(UnaryOp::Not),
            (_, Keyword::Not) if self.mode(SqlMode::HIGH_NOT_PRECEDENCE) => Some(UnaryOp::Not),
            (_, Keyword::Binary) => None,
            _ => return self.collated(),
        };
        self.enter()?;
        let first = self.at;
        self.at += 1;
        let operand = Box::new(self.prefixed()?);
        self.leave();
        let kind = match op {
            Some(op) => ExprKind::Unary { op, operand },
            None => ExprKind::Cast(operand),
        };
        Ok(self.expr_of(kind, first))
    }

    fn collated(&mut self) -> Parsed<Expr> {
        let mut operand = self.operand()?;
        while self.keyword() == Keyword::Collate {
            self.expr_link()?;
            let first = operand.tokens.first as usize;
            self.at += 1;
            self.charset_name()?;
            operand = self.expr_of(ExprKind::Collate(Box::new(operand)), first);
        }
        Ok(operand)
    }

    pub(super) fn binary(&self, op: BinaryOp, left: Expr, right: Expr) -> Expr {
        binary(op, left, right)
    }
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let tokens = crate::sql::tree::TokenRange { first: left.tokens.first, last: right.tokens.last };
    Expr { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, tokens }
}
