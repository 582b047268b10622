//! Window definitions and OVER.

use super::keyword::Keyword;
use super::{Parsed, Parser};
use crate::sql::TokenKind;
use crate::sql::tree::{Expr, ExprKind, Window};

impl Parser<'_> {
    /// `WINDOW name AS (…), …`: the definitions.
    pub(super) fn window_clause(&mut self) -> Parsed<Vec<Window>> {
        if self.keyword() != Keyword::Window || self.keyword_at(2) != Keyword::As {
            return Ok(Vec::new());
        }
        self.at += 1;
        self.list(|parser| {
            parser.name()?;
            parser.expect_keyword(Keyword::As)?;
            parser.window()
        })
    }

    /// What may follow a call: RESPECT or IGNORE NULLS, FROM FIRST, and OVER with a name or a definition.
    pub(super) fn over(&mut self) -> Parsed<Option<Window>> {
        if self.keyword() == Keyword::From
            && matches!(self.keyword_at(1), Keyword::First | Keyword::Last)
            && matches!(self.keyword_at(2), Keyword::Over | Keyword::Respect | Keyword::Ignore)
        {
            self.at += 2;
        }
        if matches!(self.keyword(), Keyword::Respect | Keyword::Ignore) && self.keyword_at(1) == Keyword::Nulls {
            self.at += 2;
        }
        // MariaDB does not reserve OVER: elsewhere it is an alias.
        if self.keyword() != Keyword::Over || !(self.kind_at(1) == Some(TokenKind::LeftParen) || self.is_name_at(1)) {
            return Ok(None);
        }
        self.at += 1;
        if self.kind() == Some(TokenKind::LeftParen) {
            return self.window().map(Some);
        }
        self.name()?;
        Ok(Some(Window::default()))
    }

    /// `([name] [PARTITION BY …] [ORDER BY …] [frame])`
    fn window(&mut self) -> Parsed<Window> {
        let mut window = Window::default();
        self.enter()?;
        self.expect(TokenKind::LeftParen)?;
        if self.is_name() && !self.is_frame() {
            self.name()?;
        }
        if self.eat_keyword(Keyword::Partition) {
            self.expect_keyword(Keyword::By)?;
            window.partition.extend(self.order_items()?.into_iter().map(|item| item.expr));
        }
        if self.keyword() == Keyword::Order {
            window.rest.extend(self.order_by()?.into_iter().map(|item| item.expr));
        }
        if self.is_frame() {
            self.at += 1;
            if self.eat_keyword(Keyword::Between) {
                self.frame_bound(&mut window.rest)?;
                self.expect_keyword(Keyword::And)?;
            }
            self.frame_bound(&mut window.rest)?;
            if self.eat_keyword(Keyword::Exclude) {
                self.frame_exclusion()?;
            }
        }
        self.expect(TokenKind::RightParen)?;
        self.leave();
        Ok(window)
    }

    fn is_frame(&self) -> bool {
        matches!(self.keyword(), Keyword::Rows | Keyword::Range | Keyword::Groups)
    }

    fn frame_bound(&mut self, exprs: &mut Vec<Expr>) -> Parsed<()> {
        if self.eat_keyword(Keyword::Current) {
            return self.expect_keyword(Keyword::Row);
        }
        if !self.eat_keyword(Keyword::Unbounded) {
            let first = self.at;
            let bound = if self.eat_keyword(Keyword::Interval) {
                let value = self.expr()?;
                self.unit()?;
                self.expr_of(ExprKind::Interval(Box::new(value)), first)
            } else {
                self.operand()?
            };
            exprs.push(bound);
        }
        if self.eat_keyword(Keyword::Preceding) { Ok(()) } else { self.expect_keyword(Keyword::Following) }
    }

    fn frame_exclusion(&mut self) -> Parsed<()> {
        match self.keyword() {
            Keyword::Current => {
                self.at += 1;
                self.expect_keyword(Keyword::Row)
            }
            Keyword::Group | Keyword::Ties => {
                self.at += 1;
                Ok(())
            }
            _ => {
                if !self.token().is_some_and(|token| token.is_word(self.sql, "NO")) {
                    return Err(self.unexpected());
                }
                self.at += 1;
                self.expect_keyword(Keyword::Others)
            }
        }
    }
}
