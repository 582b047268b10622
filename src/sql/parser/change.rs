//! INSERT, REPLACE, UPDATE and DELETE.

use super::keyword::Keyword;
use super::{Parsed, Parser};
use crate::sql::TokenKind;
use crate::sql::tree::{
    Assignment, Delete, Insert, InsertSource, InsertVerb, Path, QueryBody, RowAlias, SelectItem, Update, With,
};

impl Parser<'_> {
    pub(super) fn insert(&mut self) -> Parsed<Insert> {
        let first = self.at;
        let verb = if self.keyword() == Keyword::Insert { InsertVerb::Insert } else { InsertVerb::Replace };
        self.at += 1;
        while matches!(
            self.keyword(),
            Keyword::LowPriority | Keyword::Delayed | Keyword::HighPriority | Keyword::Ignore
        ) {
            self.at += 1;
        }
        self.eat_keyword(Keyword::Into);
        let table = self.table_path()?;
        if self.eat_keyword(Keyword::Partition) {
            self.names_in_parens()?;
        }
        let columns = self.insert_columns()?;
        let source = self.insert_source()?;
        let row_alias = if self.eat_keyword(Keyword::As) { Some(self.row_alias()?) } else { None };
        let on_duplicate = self.on_duplicate()?;
        let returning = self.returning()?;
        let tokens = self.range(first);
        Ok(Insert { verb, table, columns, source, row_alias, on_duplicate, returning, tokens })
    }

    /// `(a, b)`, `()`, or none. A parenthesis that holds a query is the source.
    fn insert_columns(&mut self) -> Parsed<Option<Vec<Path>>> {
        let is_query = self.kind_at(1) == Some(TokenKind::LeftParen)
            || matches!(self.keyword_at(1), Keyword::Select | Keyword::With | Keyword::Table | Keyword::Values);
        if self.kind() != Some(TokenKind::LeftParen) || is_query {
            return Ok(None);
        }
        self.at += 1;
        if self.eat(TokenKind::RightParen) {
            return Ok(Some(Vec::new()));
        }
        let columns = self.list(Self::column_path)?;
        self.expect(TokenKind::RightParen)?;
        Ok(Some(columns))
    }

    fn insert_source(&mut self) -> Parsed<InsertSource> {
        match self.keyword() {
            Keyword::Set => {
                self.at += 1;
                Ok(InsertSource::Set(self.assignments()?))
            }
            Keyword::Value | Keyword::Values if self.kind_at(1) == Some(TokenKind::LeftParen) => {
                self.at += 1;
                Ok(InsertSource::Values(self.list(Self::values_row)?))
            }
            _ => {
                let query = self.query()?;
                if query.into.is_some() {
                    return Err(self.unexpected());
                }
                let plain = query.with.is_none()
                    && query.order_by.is_empty()
                    && query.limit.is_empty()
                    && query.locking.is_none();
                match query.body {
                    QueryBody::Values(rows) if plain => Ok(InsertSource::Values(rows)),
                    body => Ok(InsertSource::Query(Box::new(crate::sql::tree::Query { body, ..query }))),
                }
            }
        }
    }

    fn row_alias(&mut self) -> Parsed<RowAlias> {
        let name = self.name()?;
        let columns = if self.kind() == Some(TokenKind::LeftParen) { self.names_in_parens()? } else { Vec::new() };
        Ok(RowAlias { name, columns })
    }

    fn on_duplicate(&mut self) -> Parsed<Vec<Assignment>> {
        if !self.eat_keyword(Keyword::On) {
            return Ok(Vec::new());
        }
        self.expect_keyword(Keyword::Duplicate)?;
        self.expect_keyword(Keyword::Key)?;
        self.expect_keyword(Keyword::Update)?;
        self.assignments()
    }

    fn assignments(&mut self) -> Parsed<Vec<Assignment>> {
        self.list(|parser| {
            let column = parser.column_path()?;
            if !parser.eat(TokenKind::Assign) {
                parser.expect(TokenKind::Equal)?;
            }
            let value = parser.expr_or_default()?;
            Ok(Assignment { column, value })
        })
    }

    /// MariaDB's RETURNING.
    fn returning(&mut self) -> Parsed<Vec<SelectItem>> {
        if self.is_mariadb() && self.eat_keyword(Keyword::Returning) { self.select_items() } else { Ok(Vec::new()) }
    }

    pub(super) fn update(&mut self, with: Option<With>, first: usize) -> Parsed<Update> {
        self.expect_keyword(Keyword::Update)?;
        while matches!(self.keyword(), Keyword::LowPriority | Keyword::Ignore) {
            self.at += 1;
        }
        let tables = self.table_references()?;
        self.expect_keyword(Keyword::Set)?;
        let assignments = self.assignments()?;
        let filter = if self.eat_keyword(Keyword::Where) { Some(self.expr()?) } else { None };
        let order_by = if self.keyword() == Keyword::Order { self.order_by()? } else { Vec::new() };
        let limit = self.limit()?;
        let returning = self.returning()?;
        let tokens = self.range(first);
        Ok(Update { with, tables, assignments, filter, order_by, limit, returning, tokens })
    }

    pub(super) fn delete(&mut self, with: Option<With>, first: usize) -> Parsed<Delete> {
        self.expect_keyword(Keyword::Delete)?;
        while matches!(self.keyword(), Keyword::LowPriority | Keyword::Quick | Keyword::Ignore) {
            self.at += 1;
        }
        let mut targets = Vec::new();
        let tables;
        if self.eat_keyword(Keyword::From) {
            if self.is_target_list() {
                targets = self.list(Self::delete_target)?;
                self.expect_keyword(Keyword::Using)?;
                tables = self.table_references()?;
            } else {
                tables = vec![self.named_table()?];
            }
        } else {
            targets = self.list(Self::delete_target)?;
            self.expect_keyword(Keyword::From)?;
            tables = self.table_references()?;
        }
        let filter = if self.eat_keyword(Keyword::Where) { Some(self.expr()?) } else { None };
        let single = targets.is_empty();
        let order_by = if single && self.keyword() == Keyword::Order { self.order_by()? } else { Vec::new() };
        let limit = if single { self.limit()? } else { Vec::new() };
        let returning = self.returning()?;
        let tokens = self.range(first);
        Ok(Delete { with, targets, tables, filter, order_by, limit, returning, tokens })
    }

    /// Whether `DELETE FROM` is followed by targets and USING: a name, a star, a comma or USING tells.
    fn is_target_list(&self) -> bool {
        let mut distance = 1;
        while self.kind_at(distance) == Some(TokenKind::Dot) {
            if self.kind_at(distance + 1) == Some(TokenKind::Star) {
                return true;
            }
            distance += 2;
        }
        self.kind_at(distance) == Some(TokenKind::Comma) || self.keyword_at(distance) == Keyword::Using
    }

    /// `t`, `db.t`, `t.*`, `db.t.*`
    fn delete_target(&mut self) -> Parsed<Path> {
        let path = self.table_path()?;
        if self.kind() == Some(TokenKind::Dot) && self.kind_at(1) == Some(TokenKind::Star) {
            self.at += 2;
        }
        Ok(path)
    }
}
