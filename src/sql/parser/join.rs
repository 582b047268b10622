//! Table references and joins.

use super::keyword::Keyword;
use super::mariadb::versioned;
use super::{Parsed, Parser, index};
use crate::sql::TokenKind;
use crate::sql::tree::{Expr, JoinCondition, JoinKind, Query, QueryBody, TableReference, TokenIndex, TokenRange};

/// A join operator as written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Operator {
    kind: JoinKind,
    /// The word NATURAL.
    natural: Option<TokenIndex>,
}

impl Parser<'_> {
    /// The list of a FROM clause.
    pub(super) fn table_references(&mut self) -> Parsed<Vec<TableReference>> {
        self.list(Self::table_reference)
    }

    /// One table reference with all its joins. An ON belongs to the nearest join that has none; a join that ends
    /// without one is a cross join and then binds from left to right, as the server re-associates it.
    fn table_reference(&mut self) -> Parsed<TableReference> {
        self.enter()?;
        let factor = self.table_factor()?;
        let joined = self.joins(factor)?;
        self.leave();
        Ok(joined)
    }

    fn joins(&mut self, factor: TableReference) -> Parsed<TableReference> {
        let mut current = factor;
        let mut pending: Vec<(TableReference, Operator)> = Vec::new();
        loop {
            if let Some(operator) = self.join_operator()? {
                self.link()?;
                let right = self.table_factor()?;
                if let Some(word) = operator.natural {
                    let condition = JoinCondition::Natural(word, index(self.at - 1));
                    current = join(current, right, operator.kind, condition);
                } else {
                    pending.push((std::mem::replace(&mut current, right), operator));
                }
                continue;
            }
            let condition = match self.keyword() {
                Keyword::On if !pending.is_empty() => {
                    self.at += 1;
                    JoinCondition::On(self.expr()?)
                }
                Keyword::Using if !pending.is_empty() => {
                    self.at += 1;
                    JoinCondition::Using(self.names_in_parens()?)
                }
                _ => break,
            };
            if let Some((left, operator)) = pending.pop() {
                current = join(left, current, operator.kind, condition);
            }
        }
        while let Some((left, operator)) = pending.pop() {
            if operator.kind != JoinKind::Inner {
                return Err(self.unexpected());
            }
            current = cross_join(left, current);
        }
        Ok(current)
    }

    fn join_operator(&mut self) -> Parsed<Option<Operator>> {
        let word = index(self.at);
        let natural = self.eat_keyword(Keyword::Natural).then_some(word);
        let kind = match self.keyword() {
            Keyword::Join => JoinKind::Inner,
            Keyword::Inner | Keyword::Cross => {
                if natural.is_some() && self.keyword() == Keyword::Cross {
                    return Err(self.unexpected());
                }
                self.at += 1;
                JoinKind::Inner
            }
            Keyword::StraightJoin if natural.is_none() => {
                self.at += 1;
                return Ok(Some(Operator { kind: JoinKind::Inner, natural }));
            }
            Keyword::Left | Keyword::Right => {
                let kind = if self.keyword() == Keyword::Left { JoinKind::Left } else { JoinKind::Right };
                self.at += 1;
                self.eat_keyword(Keyword::Outer);
                kind
            }
            _ if natural.is_some() => return Err(self.unexpected()),
            _ => return Ok(None),
        };
        self.expect_keyword(Keyword::Join)?;
        Ok(Some(Operator { kind, natural }))
    }

    fn table_factor(&mut self) -> Parsed<TableReference> {
        match self.keyword() {
            Keyword::Lateral => {
                self.at += 1;
                if self.kind() != Some(TokenKind::LeftParen) {
                    return Err(self.unexpected());
                }
                self.at += 1;
                self.query_depth += 1;
                let query = self.query()?;
                self.query_depth -= 1;
                self.expect(TokenKind::RightParen)?;
                return self.derived(query, true);
            }
            Keyword::JsonTable if self.kind_at(1) == Some(TokenKind::LeftParen) => return self.json_table(),
            _ => {}
        }
        match self.kind() {
            Some(TokenKind::LeftParen) => self.table_parens(),
            Some(TokenKind::LeftBrace) => {
                self.at += 1;
                self.expect_keyword(Keyword::Oj)?;
                let inner = self.table_reference()?;
                self.expect(TokenKind::RightBrace)?;
                Ok(TableReference::Parenthesised(vec![inner]))
            }
            _ => self.named_table(),
        }
    }

    /// A parenthesis where a table stands: a derived table, or table references. Which of them shows behind the
    /// innermost parenthesis; what was read until then is kept.
    fn table_parens(&mut self) -> Parsed<TableReference> {
        match self.parens_in_from()? {
            InParens::Query(query) => self.derived(query, false),
            InParens::Tables(tables) => Ok(TableReference::Parenthesised(tables)),
        }
    }

    fn parens_in_from(&mut self) -> Parsed<InParens> {
        self.enter()?;
        self.expect(TokenKind::LeftParen)?;
        let first = self.at;
        let inside = match self.keyword() {
            Keyword::Select | Keyword::With | Keyword::Values | Keyword::Table => {
                self.query_depth += 1;
                let query = self.query()?;
                self.query_depth -= 1;
                InParens::Query(query)
            }
            _ if self.kind() == Some(TokenKind::LeftParen) => match self.parens_in_from()? {
                InParens::Query(query) if self.query_goes_on() => {
                    self.query_depth += 1;
                    let operand = self.plain(QueryBody::Parenthesised(Box::new(query)), first);
                    let query = self.query_behind_operand(None, operand, first)?;
                    self.query_depth -= 1;
                    InParens::Query(query)
                }
                InParens::Query(query) => {
                    let factor = self.derived(query, false)?;
                    self.tables_behind(factor)?
                }
                InParens::Tables(tables) => self.tables_behind(TableReference::Parenthesised(tables))?,
            },
            _ => InParens::Tables(self.table_references()?),
        };
        self.expect(TokenKind::RightParen)?;
        self.leave();
        Ok(inside)
    }

    fn tables_behind(&mut self, factor: TableReference) -> Parsed<InParens> {
        let mut tables = vec![self.joins(factor)?];
        while self.eat(TokenKind::Comma) {
            tables.push(self.table_reference()?);
        }
        Ok(InParens::Tables(tables))
    }

    /// Whether a parenthesised query is an operand of a larger one, or stands in parentheses of its own.
    pub(super) fn query_goes_on(&self) -> bool {
        self.kind() == Some(TokenKind::RightParen)
            || matches!(
                self.keyword(),
                Keyword::Union
                    | Keyword::Except
                    | Keyword::Intersect
                    | Keyword::Order
                    | Keyword::Limit
                    | Keyword::For
                    | Keyword::Lock
            )
            || self.is_mariadb() && matches!(self.keyword(), Keyword::Offset | Keyword::Fetch)
    }

    /// Alias and column names behind a derived table.
    fn derived(&mut self, query: Query, lateral: bool) -> Parsed<TableReference> {
        let period = self.system_time()?;
        let alias = self.table_alias()?;
        let columns = if alias.is_some() && self.kind() == Some(TokenKind::LeftParen) {
            self.names_in_parens()?
        } else {
            Vec::new()
        };
        Ok(versioned(TableReference::Derived { query: Box::new(query), alias, columns, lateral }, period))
    }

    fn table_alias(&mut self) -> Parsed<Option<TokenIndex>> {
        if self.eat_keyword(Keyword::As) {
            return self.name().map(Some);
        }
        // MariaDB does not reserve WINDOW, but a table's alias it cannot be.
        if self.is_name() && self.keyword() != Keyword::Window { self.name().map(Some) } else { Ok(None) }
    }

    /// A table's name with PARTITION, alias and index hints.
    pub(super) fn named_table(&mut self) -> Parsed<TableReference> {
        let path = self.table_path()?;
        let first = self.at;
        let mut modifiers: Option<TokenRange> = None;
        if self.eat_keyword(Keyword::Partition) {
            self.names_in_parens()?;
            modifiers = Some(self.range(first));
        }
        let period = self.system_time()?;
        let alias = self.table_alias()?;
        let hints = self.at;
        while matches!(self.keyword(), Keyword::Use | Keyword::Force | Keyword::Ignore) {
            self.index_hint()?;
        }
        if self.at > hints {
            let first = modifiers.map_or(index(hints), |modifiers| modifiers.first);
            modifiers = Some(TokenRange { first, last: index(self.at - 1) });
        }
        Ok(versioned(TableReference::Named { path, alias, modifiers }, period))
    }

    /// `USE INDEX FOR JOIN (a, PRIMARY)`
    fn index_hint(&mut self) -> Parsed<()> {
        self.at += 1;
        if !self.eat_keyword(Keyword::Index) {
            self.expect_keyword(Keyword::Key)?;
        }
        if self.eat_keyword(Keyword::For) && !self.eat_keyword(Keyword::Join) {
            if !self.eat_keyword(Keyword::Order) {
                self.expect_keyword(Keyword::Group)?;
            }
            self.expect_keyword(Keyword::By)?;
        }
        self.expect(TokenKind::LeftParen)?;
        if self.eat(TokenKind::RightParen) {
            return Ok(());
        }
        self.list(|parser| if parser.eat_keyword(Keyword::Primary) { Ok(()) } else { parser.name().map(|_| ()) })?;
        self.expect(TokenKind::RightParen)
    }

    /// `JSON_TABLE(expr, path COLUMNS (…)) AS alias`
    fn json_table(&mut self) -> Parsed<TableReference> {
        let first = self.at;
        self.at += 2;
        let mut args = vec![self.expr()?];
        self.expect(TokenKind::Comma)?;
        args.push(self.expr()?);
        let mut columns = Vec::new();
        self.json_columns(&mut args, &mut columns)?;
        self.expect(TokenKind::RightParen)?;
        let tokens = self.range(first);
        let alias = self.table_alias()?;
        Ok(TableReference::Function { args, columns, alias, tokens })
    }

    /// COLUMNS (name FOR ORDINALITY | name type \[EXISTS\] PATH path [… ON EMPTY] [… ON ERROR] | NESTED \[PATH\] path
    /// COLUMNS (…), …)
    fn json_columns(&mut self, args: &mut Vec<Expr>, columns: &mut Vec<TokenIndex>) -> Parsed<()> {
        self.enter()?;
        self.expect_keyword(Keyword::Columns)?;
        self.expect(TokenKind::LeftParen)?;
        self.list(|parser| {
            if parser.keyword() == Keyword::Nested
                && (parser.keyword_at(1) == Keyword::Path || parser.kind_at(1) == Some(TokenKind::String))
            {
                parser.at += 1;
                parser.eat_keyword(Keyword::Path);
                args.push(parser.operand()?);
                return parser.json_columns(args, columns);
            }
            columns.push(parser.name()?);
            if parser.eat_keyword(Keyword::For) {
                return parser.expect_keyword(Keyword::Ordinality);
            }
            parser.type_until(|keyword| matches!(keyword, Keyword::Path | Keyword::Exists))?;
            parser.eat_keyword(Keyword::Exists);
            parser.expect_keyword(Keyword::Path)?;
            args.push(parser.operand()?);
            parser.json_fallbacks(args)
        })?;
        self.expect(TokenKind::RightParen)?;
        self.leave();
        Ok(())
    }

    /// `NULL | ERROR | DEFAULT literal ON EMPTY | ERROR`, any number of times.
    pub(super) fn json_fallbacks(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        while matches!(self.keyword(), Keyword::Null | Keyword::Error | Keyword::Default) {
            if self.eat_keyword(Keyword::Default) {
                if matches!(self.kind(), Some(TokenKind::Minus | TokenKind::Plus)) {
                    self.at += 1;
                }
                args.push(self.operand()?);
            } else {
                self.at += 1;
            }
            self.expect_keyword(Keyword::On)?;
            if !self.eat_keyword(Keyword::Empty) {
                self.expect_keyword(Keyword::Error)?;
            }
        }
        Ok(())
    }
}

/// What a parenthesis of a FROM clause held.
enum InParens {
    Query(Query),
    Tables(Vec<TableReference>),
}

fn join(left: TableReference, right: TableReference, kind: JoinKind, condition: JoinCondition) -> TableReference {
    TableReference::Join { left: Box::new(left), right: Box::new(right), kind, condition }
}

/// `left JOIN right` without a condition, where `right` may be joins read before it was clear that this one has none:
/// they see `left` too.
fn cross_join(left: TableReference, mut right: TableReference) -> TableReference {
    let mut leaf = &mut right;
    while let TableReference::Join { left: deeper, .. } = leaf {
        leaf = deeper;
    }
    let first = std::mem::replace(leaf, TableReference::Parenthesised(Vec::new()));
    *leaf = join(left, first, JoinKind::Inner, JoinCondition::None);
    right
}
