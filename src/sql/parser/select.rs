//! SELECT without its tail: options, select list, FROM, WHERE, GROUP BY, HAVING, WINDOW, QUALIFY.

use super::keyword::Keyword;
use super::{Parsed, Parser, index};
use crate::sql::TokenKind;
use crate::sql::tree::{Path, Select, SelectItem, TokenIndex};

impl Parser<'_> {
    pub(super) fn select(&mut self) -> Parsed<Select> {
        let first = self.at;
        self.expect_keyword(Keyword::Select)?;
        let distinct = self.select_options();
        let items = self.select_items()?;
        if self.keyword() == Keyword::Into {
            self.clause_into()?;
        }
        let from = if !self.eat_keyword(Keyword::From) || self.eat_keyword(Keyword::Dual) {
            Vec::new()
        } else {
            self.table_references()?
        };
        let filter = if self.eat_keyword(Keyword::Where) { Some(self.expr()?) } else { None };
        let group_by = if self.keyword() == Keyword::Group { self.group_by()? } else { Vec::new() };
        let having = if self.eat_keyword(Keyword::Having) { Some(self.expr()?) } else { None };
        let windows = self.window_clause()?;
        let qualify = if !self.is_mariadb() && self.eat_keyword(Keyword::Qualify) { Some(self.expr()?) } else { None };
        let tokens = self.range(first);
        Ok(Select { distinct, items, from, filter, group_by, having, windows, qualify, tokens })
    }

    fn select_options(&mut self) -> Option<TokenIndex> {
        let mut distinct = None;
        loop {
            match self.keyword() {
                Keyword::Distinct | Keyword::Distinctrow => distinct = Some(index(self.at)),
                Keyword::All
                | Keyword::HighPriority
                | Keyword::StraightJoin
                | Keyword::SqlSmallResult
                | Keyword::SqlBigResult
                | Keyword::SqlBufferResult
                | Keyword::SqlCalcFoundRows
                | Keyword::SqlNoCache => {}
                Keyword::SqlCache if self.is_mariadb() => {}
                _ => return distinct,
            }
            self.at += 1;
        }
    }

    /// `*` may only come first.
    pub(super) fn select_items(&mut self) -> Parsed<Vec<SelectItem>> {
        let mut items = Vec::new();
        if self.eat(TokenKind::Star) {
            items.push(SelectItem::Star(index(self.at - 1)));
            if !self.eat(TokenKind::Comma) {
                return Ok(items);
            }
        }
        items.append(&mut self.list(Self::select_item)?);
        Ok(items)
    }

    fn select_item(&mut self) -> Parsed<SelectItem> {
        if let Some(path) = self.qualified_star()? {
            return Ok(SelectItem::QualifiedStar(path));
        }
        let expr = self.expr()?;
        let alias = self.select_alias()?;
        Ok(SelectItem::Expr { expr, alias })
    }

    /// `t.*` and `db.t.*`, seen from its end before anything is read.
    fn qualified_star(&mut self) -> Parsed<Option<Path>> {
        let parts = match (self.kind_at(1), self.kind_at(2), self.kind_at(3), self.kind_at(4)) {
            (Some(TokenKind::Dot), Some(TokenKind::Star), _, _) => 1,
            (Some(TokenKind::Dot), Some(_), Some(TokenKind::Dot), Some(TokenKind::Star)) => 2,
            _ => return Ok(None),
        };
        let path = self.path(parts)?;
        self.expect(TokenKind::Dot)?;
        self.expect(TokenKind::Star)?;
        Ok(Some(path))
    }

    pub(super) fn select_alias(&mut self) -> Parsed<Option<TokenIndex>> {
        let with_as = self.eat_keyword(Keyword::As);
        if self.eat(TokenKind::String) {
            return Ok(Some(index(self.at - 1)));
        }
        if with_as {
            return self.name().map(Some);
        }
        if self.is_name() { self.name().map(Some) } else { Ok(None) }
    }

    /// GROUP BY with its ROLLUP in either form.
    fn group_by(&mut self) -> Parsed<Vec<crate::sql::tree::OrderItem>> {
        self.expect_keyword(Keyword::Group)?;
        self.expect_keyword(Keyword::By)?;
        let items = self.order_items()?;
        if self.keyword() == Keyword::With && self.keyword_at(1) == Keyword::Rollup {
            self.at += 2;
        }
        Ok(items)
    }
}
