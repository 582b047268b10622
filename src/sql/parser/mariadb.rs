//! What MariaDB has and MySQL has not: tables as they were, sequences, dynamic columns, ordered-set functions.

use super::keyword::Keyword;
use super::{Parsed, Parser};
use crate::sql::TokenKind;
use crate::sql::tree::{Expr, ExprKind, TableReference, TokenRange};

impl Parser<'_> {
    /// `FOR SYSTEM_TIME ALL | AS OF point | FROM point TO point | BETWEEN point AND point`: the expressions. `None` if
    /// it does not stand here.
    pub(super) fn system_time(&mut self) -> Parsed<Option<Vec<Expr>>> {
        if !self.is_mariadb() || self.keyword() != Keyword::For || self.keyword_at(1) != Keyword::SystemTime {
            return Ok(None);
        }
        self.at += 2;
        let mut period = Vec::new();
        match self.keyword() {
            Keyword::All => self.at += 1,
            Keyword::As => {
                self.at += 1;
                self.expect_keyword(Keyword::Of)?;
                period.push(self.history_point()?);
            }
            Keyword::From => {
                self.at += 1;
                period.push(self.history_point()?);
                self.expect_keyword(Keyword::To)?;
                period.push(self.history_point()?);
            }
            Keyword::Between => {
                self.at += 1;
                period.push(self.history_point()?);
                self.expect_keyword(Keyword::And)?;
                period.push(self.history_point()?);
            }
            _ => return Err(self.unexpected()),
        }
        Ok(Some(period))
    }

    /// `[TIMESTAMP | TRANSACTION] expr`. A literal or a call may begin with TIMESTAMP as well.
    fn history_point(&mut self) -> Parsed<Expr> {
        let is_unit = match self.keyword() {
            Keyword::Timestamp => {
                !matches!(self.kind_at(1), Some(TokenKind::String | TokenKind::LeftParen)) && self.kind_at(1).is_some()
            }
            Keyword::Transaction => true,
            _ => false,
        };
        self.at += usize::from(is_unit);
        self.bits()
    }

    /// Whether ROWS EXAMINED stands there.
    pub(super) fn is_examined_at(&self, distance: usize) -> bool {
        self.is_mariadb()
            && self.keyword_at(distance) == Keyword::Rows
            && self.keyword_at(distance + 1) == Keyword::Examined
    }

    /// `ROWS EXAMINED n` behind LIMIT and its numbers, which may be missing.
    pub(super) fn rows_examined(&mut self, limit: &[Expr]) -> Parsed<Option<TokenRange>> {
        let first = self.at;
        let alone = limit.is_empty() && self.keyword() == Keyword::Limit && self.is_examined_at(1);
        if !alone && (limit.is_empty() || !self.is_examined_at(0)) {
            return Ok(None);
        }
        self.at += if alone { 3 } else { 2 };
        self.limit_option()?;
        Ok(Some(self.range(first)))
    }

    /// IGNORE where a value stands: like DEFAULT it takes no value from the statement.
    pub(super) fn ignored(&mut self) -> Option<Expr> {
        let ends = matches!(self.kind_at(1), None | Some(TokenKind::Comma | TokenKind::RightParen))
            || matches!(self.keyword_at(1), Keyword::Where | Keyword::Order | Keyword::Limit);
        if !self.is_mariadb() || self.keyword() != Keyword::Ignore || !ends {
            return None;
        }
        self.at += 1;
        Some(self.expr_of(ExprKind::Default(None), self.at - 1))
    }

    /// Whether `NEXT VALUE FOR` or `PREVIOUS VALUE FOR` stands here.
    pub(super) fn is_sequence(&self) -> bool {
        self.is_mariadb() && self.keyword_at(1) == Keyword::Value && self.keyword_at(2) == Keyword::For
    }

    /// `NEXT VALUE FOR sequence`, as a call without arguments.
    pub(super) fn sequence(&mut self, first: usize) -> Parsed<Expr> {
        self.at += 3;
        self.table_path()?;
        Ok(self.keyword_call(first, Vec::new()))
    }

    /// `expr, expr [AS type], …` of COLUMN_CREATE, COLUMN_ADD and COLUMN_GET.
    pub(super) fn dynamic_column_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        *args = self.list(|parser| {
            let expr = parser.expr()?;
            if parser.eat_keyword(Keyword::As) {
                parser.type_until(|_| false)?;
            }
            Ok(expr)
        })?;
        Ok(())
    }

    /// `WITHIN GROUP (ORDER BY expr)` behind the call of PERCENTILE_CONT and PERCENTILE_DISC.
    pub(super) fn within_group(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        let stands = self.keyword() == Keyword::Within && self.keyword_at(1) == Keyword::Group;
        if !self.is_mariadb() || !stands {
            return Ok(());
        }
        self.at += 2;
        self.expect(TokenKind::LeftParen)?;
        args.extend(self.order_by()?.into_iter().map(|item| item.expr));
        self.expect(TokenKind::RightParen)
    }

    /// `LEVEL 1, 2 DESC`, `LEVEL 1-3` of WEIGHT_STRING.
    pub(super) fn weight_levels(&mut self) -> Parsed<()> {
        if !self.is_mariadb() || !self.eat_keyword(Keyword::Level) {
            return Ok(());
        }
        self.list(|parser| {
            parser.expect(TokenKind::Integer)?;
            if parser.eat(TokenKind::Minus) {
                return parser.expect(TokenKind::Integer);
            }
            while matches!(parser.keyword(), Keyword::Asc | Keyword::Desc | Keyword::Reverse) {
                parser.at += 1;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The table, or the table as it was.
pub(super) fn versioned(table: TableReference, period: Option<Vec<Expr>>) -> TableReference {
    match period {
        Some(period) => TableReference::Versioned { table: Box::new(table), period },
        None => table,
    }
}
