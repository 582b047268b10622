//! Query expressions: WITH, set operations, ORDER BY, LIMIT, locking, INTO.

use super::keyword::Keyword;
use super::{Parsed, Parser};
use crate::sql::TokenKind;
use crate::sql::tree::{
    CommonTable, Expr, ExprKind, Into, IntoTarget, LiteralKind, OrderItem, Query, QueryBody, SetOperator, TokenRange,
    With,
};

impl Parser<'_> {
    /// A query expression up to where it cannot go on.
    pub(super) fn query(&mut self) -> Parsed<Query> {
        let first = self.at;
        let with = if self.keyword() == Keyword::With { Some(self.with_clause()?) } else { None };
        self.query_behind_with(with, first)
    }

    pub(super) fn query_behind_with(&mut self, with: Option<With>, first: usize) -> Parsed<Query> {
        self.enter()?;
        self.query_depth += 1;
        let operand = self.query_operand()?;
        let query = self.query_behind_operand(with, operand, first)?;
        self.query_depth -= 1;
        self.leave();
        Ok(query)
    }

    /// The rest of a query expression whose first operand is read already.
    pub(super) fn query_behind_operand(&mut self, with: Option<With>, operand: Query, first: usize) -> Parsed<Query> {
        let body = self.set_operations(operand)?.body;
        let order_by = if self.keyword() == Keyword::Order { self.order_by()? } else { Vec::new() };
        let limit = self.limit()?;
        let examined = self.rows_examined(&limit)?;
        let mut locking = None;
        loop {
            match self.keyword() {
                Keyword::For | Keyword::Lock => {
                    let start = self.at;
                    self.locking()?;
                    let range = self.range(start);
                    let first = locking.map_or(range.first, |locking: TokenRange| locking.first);
                    locking = Some(TokenRange { first, last: range.last });
                }
                Keyword::Into => self.clause_into()?,
                _ => break,
            }
        }
        let into = if self.query_depth <= 1 { self.into.take() } else { None };
        Ok(Query { with, body, order_by, limit, examined, locking, into, tokens: self.range(first) })
    }

    /// UNION and EXCEPT from left to right, INTERSECT before them.
    fn set_operations(&mut self, operand: Query) -> Parsed<Query> {
        let mut left = self.intersections(operand)?;
        while matches!(self.keyword(), Keyword::Union | Keyword::Except) {
            let operator = self.set_operator()?;
            let right = self.query_operand()?;
            let right = self.intersections(right)?;
            left = self.set_operation(operator, left, right);
        }
        Ok(left)
    }

    fn intersections(&mut self, operand: Query) -> Parsed<Query> {
        let mut left = operand;
        while self.keyword() == Keyword::Intersect {
            let operator = self.set_operator()?;
            let right = self.query_operand()?;
            left = self.set_operation(operator, left, right);
        }
        Ok(left)
    }

    fn set_operator(&mut self) -> Parsed<SetOperator> {
        self.link()?;
        let verb = self.keyword();
        self.at += 1;
        let rows = self.keyword();
        if matches!(rows, Keyword::All | Keyword::Distinct) {
            self.at += 1;
        }
        Ok(match (verb, rows) {
            (Keyword::Union, Keyword::All) => SetOperator::UnionAll,
            (Keyword::Union, _) => SetOperator::Union,
            (_, Keyword::All) => SetOperator::Counting,
            (Keyword::Intersect, _) => SetOperator::Intersect,
            (_, _) => SetOperator::Except,
        })
    }

    fn set_operation(&self, operator: SetOperator, left: Query, right: Query) -> Query {
        let first = left.tokens.first as usize;
        let body = QueryBody::SetOperation { operator, left: Box::new(left), right: Box::new(right) };
        self.plain(body, first)
    }

    /// A query with nothing around its body.
    pub(super) fn plain(&self, body: QueryBody, first: usize) -> Query {
        Query {
            with: None,
            body,
            order_by: Vec::new(),
            limit: Vec::new(),
            examined: None,
            locking: None,
            into: None,
            tokens: self.range(first),
        }
    }

    /// SELECT, TABLE, VALUES ROW or a parenthesised query.
    fn query_operand(&mut self) -> Parsed<Query> {
        let first = self.at;
        let body = match self.keyword() {
            Keyword::Select => QueryBody::Select(Box::new(self.select()?)),
            Keyword::Table => {
                self.at += 1;
                QueryBody::Table(self.table_path()?)
            }
            Keyword::Values => QueryBody::Values(self.values_rows()?),
            _ if self.kind() == Some(TokenKind::LeftParen) => {
                self.at += 1;
                let inner = self.query()?;
                self.expect(TokenKind::RightParen)?;
                QueryBody::Parenthesised(Box::new(inner))
            }
            _ => return Err(self.unexpected()),
        };
        Ok(self.plain(body, first))
    }

    /// `VALUES ROW(..), ROW(..)`; MariaDB writes it without ROW.
    fn values_rows(&mut self) -> Parsed<Vec<Vec<Expr>>> {
        self.at += 1;
        let with_row = !self.is_mariadb();
        self.list(|parser| {
            if with_row {
                parser.expect_keyword(Keyword::Row)?;
            }
            parser.values_row()
        })
    }

    /// `(expr | DEFAULT, …)`, possibly empty.
    pub(super) fn values_row(&mut self) -> Parsed<Vec<Expr>> {
        self.expect(TokenKind::LeftParen)?;
        if self.eat(TokenKind::RightParen) {
            return Ok(Vec::new());
        }
        let row = self.list(Self::expr_or_default)?;
        self.expect(TokenKind::RightParen)?;
        Ok(row)
    }

    pub(super) fn expr_or_default(&mut self) -> Parsed<Expr> {
        if self.keyword() == Keyword::Default && self.kind_at(1) != Some(TokenKind::LeftParen) {
            self.at += 1;
            return Ok(self.expr_of(ExprKind::Default(None), self.at - 1));
        }
        if let Some(expr) = self.ignored() {
            return Ok(expr);
        }
        self.expr()
    }

    pub(super) fn with_clause(&mut self) -> Parsed<With> {
        self.expect_keyword(Keyword::With)?;
        self.eat_keyword(Keyword::Recursive);
        let tables = self.list(|parser| {
            let name = parser.name()?;
            let columns =
                if parser.kind() == Some(TokenKind::LeftParen) { parser.names_in_parens()? } else { Vec::new() };
            parser.expect_keyword(Keyword::As)?;
            parser.expect(TokenKind::LeftParen)?;
            parser.query_depth += 1;
            let query = parser.query()?;
            parser.query_depth -= 1;
            parser.expect(TokenKind::RightParen)?;
            Ok(CommonTable { name, columns, query })
        })?;
        Ok(With { tables })
    }

    /// `ORDER BY …`
    pub(super) fn order_by(&mut self) -> Parsed<Vec<OrderItem>> {
        self.expect_keyword(Keyword::Order)?;
        self.expect_keyword(Keyword::By)?;
        self.order_items()
    }

    pub(super) fn order_items(&mut self) -> Parsed<Vec<OrderItem>> {
        self.list(|parser| {
            let expr = parser.expr()?;
            if matches!(parser.keyword(), Keyword::Asc | Keyword::Desc) {
                parser.at += 1;
            }
            Ok(OrderItem { expr })
        })
    }

    /// `LIMIT a`, `LIMIT a, b`, `LIMIT a OFFSET b`, and MariaDB's `OFFSET … FETCH …`; nothing if there is none.
    pub(super) fn limit(&mut self) -> Parsed<Vec<Expr>> {
        let mut limit = Vec::new();
        if self.keyword() == Keyword::Limit && !self.is_examined_at(1) {
            self.at += 1;
            limit.push(self.limit_option()?);
            if self.eat(TokenKind::Comma) || self.eat_keyword(Keyword::Offset) {
                limit.push(self.limit_option()?);
            }
        } else if self.is_mariadb() && matches!(self.keyword(), Keyword::Offset | Keyword::Fetch) {
            if self.eat_keyword(Keyword::Offset) {
                limit.push(self.limit_option()?);
                self.row_or_rows()?;
            }
            if self.eat_keyword(Keyword::Fetch) {
                if !self.eat_keyword(Keyword::First) {
                    self.expect_keyword(Keyword::Next)?;
                }
                if !matches!(self.keyword(), Keyword::Row | Keyword::Rows) {
                    limit.push(self.limit_option()?);
                }
                self.row_or_rows()?;
                if !self.eat_keyword(Keyword::Only) {
                    self.expect_keyword(Keyword::With)?;
                    self.expect_keyword(Keyword::Ties)?;
                }
            }
        }
        Ok(limit)
    }

    fn row_or_rows(&mut self) -> Parsed<()> {
        if self.eat_keyword(Keyword::Row) { Ok(()) } else { self.expect_keyword(Keyword::Rows) }
    }

    pub(super) fn limit_option(&mut self) -> Parsed<Expr> {
        let first = self.at;
        match self.kind() {
            Some(TokenKind::Integer) => {
                self.at += 1;
                Ok(self.expr_of(ExprKind::Literal(LiteralKind::Integer), first))
            }
            Some(TokenKind::Hex) => {
                self.at += 1;
                Ok(self.expr_of(ExprKind::Literal(LiteralKind::Hex), first))
            }
            Some(TokenKind::Param) => self.param(),
            _ => {
                let path = self.path(1)?;
                Ok(self.expr_of(ExprKind::Column(path), first))
            }
        }
    }

    /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
    fn locking(&mut self) -> Parsed<()> {
        if self.eat_keyword(Keyword::Lock) {
            self.expect_keyword(Keyword::In)?;
            self.expect_keyword(Keyword::Share)?;
            self.expect_keyword(Keyword::Mode)?;
        } else {
            self.expect_keyword(Keyword::For)?;
            if !self.eat_keyword(Keyword::Update) {
                self.expect_keyword(Keyword::Share)?;
            }
            if self.eat_keyword(Keyword::Of) {
                self.list(Self::table_path)?;
            }
        }
        match self.keyword() {
            Keyword::Nowait => self.at += 1,
            Keyword::Skip => {
                self.at += 1;
                self.expect_keyword(Keyword::Locked)?;
            }
            Keyword::Wait if self.is_mariadb() => {
                self.at += 1;
                self.expect(TokenKind::Integer)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// INTO, in any of the places where it may stand; only the outermost query has one.
    pub(super) fn clause_into(&mut self) -> Parsed<()> {
        let first = self.at;
        self.expect_keyword(Keyword::Into)?;
        if self.query_depth != 1 || self.into.is_some() {
            return Err(self.unexpected());
        }
        let target = match self.keyword() {
            Keyword::Outfile => {
                self.at += 1;
                self.expect(TokenKind::String)?;
                self.outfile_options()?;
                IntoTarget::File
            }
            Keyword::Dumpfile => {
                self.at += 1;
                self.expect(TokenKind::String)?;
                IntoTarget::File
            }
            _ => {
                self.list(
                    |parser| {
                        if parser.eat(TokenKind::UserVariable) { Ok(()) } else { parser.name().map(|_| ()) }
                    },
                )?;
                IntoTarget::Variables
            }
        };
        self.into = Some(Into { target, tokens: self.range(first) });
        Ok(())
    }

    /// CHARACTER SET, FIELDS … and LINES …: words and strings only.
    fn outfile_options(&mut self) -> Parsed<()> {
        const WORDS: [&str; 9] =
            ["TERMINATED", "OPTIONALLY", "ENCLOSED", "ESCAPED", "BY", "STARTING", "FIELDS", "COLUMNS", "LINES"];
        if matches!(self.keyword(), Keyword::Character | Keyword::Char | Keyword::Charset) {
            self.charset_clause()?;
        }
        while let Some(token) = self.token() {
            let is_option = WORDS.iter().any(|word| token.is_word(self.sql, word));
            let is_value = matches!(token.kind, TokenKind::String | TokenKind::Hex | TokenKind::Bit);
            if !is_option && !is_value {
                break;
            }
            self.at += 1;
        }
        Ok(())
    }

    /// CHARACTER SET name, CHAR SET name, CHARSET name.
    pub(super) fn charset_clause(&mut self) -> Parsed<()> {
        if !self.eat_keyword(Keyword::Charset) {
            self.at += 1;
            self.expect_keyword(Keyword::Set)?;
        }
        self.charset_name()
    }

    /// A character set or collation: a name, a string, or the reserved word BINARY.
    pub(super) fn charset_name(&mut self) -> Parsed<()> {
        if self.eat_keyword(Keyword::Binary) || self.eat_keyword(Keyword::Default) || self.eat(TokenKind::String) {
            return Ok(());
        }
        self.name().map(|_| ())
    }
}
