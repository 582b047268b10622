//! Calls: functions with an ordinary argument list, and those with a syntax of their own.

use super::keyword::{Keyword, is_reserved_function, must_touch};
use super::{Parsed, Parser, index};
use crate::sql::tree::{Expr, ExprKind, Function, Path, TokenRange};
use crate::sql::{SqlMode, TokenKind};

impl Parser<'_> {
    /// A word that is no literal and opens no construct: a call, or a column.
    pub(super) fn function_or_column(&mut self) -> Parsed<Expr> {
        let first = self.at;
        let calls = self.kind_at(1) == Some(TokenKind::LeftParen);
        if let Some(expr) = self.bare_function(calls)? {
            return Ok(expr);
        }
        if self.keyword() == Keyword::Match {
            return self.match_against(first);
        }
        if !calls {
            return self.named();
        }
        let touches = self.token().map(|token| token.end) == self.tokens.get(self.at + 1).map(|paren| paren.start);
        if !touches && !self.mode(SqlMode::IGNORE_SPACE) && must_touch(self.bytes()) {
            // The name means a stored function here, whatever it is called.
            return Err(self.unexpected());
        }
        if let Some(expr) = self.shaped_function(first)? {
            return Ok(expr);
        }
        if self.is_name() {
            return self.named();
        }
        if is_reserved_function(self.bytes()) {
            let path = self.function_name(first);
            self.at += 1;
            return self.call(path, first);
        }
        Err(self.unexpected())
    }

    fn function_name(&self, at: usize) -> Path {
        Path { parts: vec![index(at)], tokens: TokenRange { first: index(at), last: index(at) } }
    }

    /// A call named by the keyword at `first`, read up to here.
    pub(super) fn keyword_call(&self, first: usize, args: Vec<Expr>) -> Expr {
        let function = Function { name: self.function_name(first), args, star: false, distinct: false, over: None };
        self.expr_of(ExprKind::Function(function), first)
    }

    /// CURRENT_TIMESTAMP and the like, whose parentheses are optional.
    fn bare_function(&mut self, calls: bool) -> Parsed<Option<Expr>> {
        let first = self.at;
        match self.keyword() {
            Keyword::CurrentDate
            | Keyword::CurrentTime
            | Keyword::CurrentTimestamp
            | Keyword::CurrentUser
            | Keyword::Localtime
            | Keyword::Localtimestamp
            | Keyword::UtcDate
            | Keyword::UtcTime
            | Keyword::UtcTimestamp => {}
            Keyword::CurrentRole if self.is_mariadb() => {}
            _ => return Ok(None),
        }
        self.at += 1;
        let mut args = Vec::new();
        if calls {
            self.at += 1;
            if self.kind() != Some(TokenKind::RightParen) {
                args.push(self.operand()?);
            }
            self.expect(TokenKind::RightParen)?;
        }
        Ok(Some(self.keyword_call(first, args)))
    }

    /// An ordinary call; the name is read, the parenthesis comes next.
    pub(super) fn call(&mut self, name: Path, first: usize) -> Parsed<Expr> {
        self.enter()?;
        self.expect(TokenKind::LeftParen)?;
        let mut function = Function { name, args: Vec::new(), star: false, distinct: false, over: None };
        if self.eat(TokenKind::Star) {
            function.star = true;
        } else if self.kind() != Some(TokenKind::RightParen) {
            match self.keyword() {
                Keyword::Distinct => {
                    function.distinct = true;
                    self.at += 1;
                }
                Keyword::All => self.at += 1,
                _ => {}
            }
            function.args = self.list(Self::argument)?;
            if self.keyword() == Keyword::Order {
                function.args.extend(self.order_by()?.into_iter().map(|item| item.expr));
            }
            if self.eat_keyword(Keyword::Separator) {
                function.args.push(self.operand()?);
            }
            function.args.append(&mut self.limit()?);
        }
        self.expect(TokenKind::RightParen)?;
        self.within_group(&mut function.args)?;
        function.over = self.over()?;
        self.leave();
        Ok(self.expr_of(ExprKind::Function(function), first))
    }

    /// Loadable functions may be told a name for each argument.
    fn argument(&mut self) -> Parsed<Expr> {
        let expr = self.expr()?;
        self.select_alias()?;
        Ok(expr)
    }

    /// Functions with a syntax of their own; the parenthesis comes behind the word. `None` if it is none of them.
    fn shaped_function(&mut self, first: usize) -> Parsed<Option<Expr>> {
        let word = self.keyword();
        let read: fn(&mut Self, &mut Vec<Expr>) -> Parsed<()> = match word {
            Keyword::Cast => Self::cast_args,
            Keyword::Convert => Self::convert_args,
            Keyword::Values => return self.values_of(first).map(Some),
            Keyword::Value if self.is_mariadb() => return self.values_of(first).map(Some),
            Keyword::Trim => Self::trim_args,
            Keyword::Extract => Self::extract_args,
            Keyword::Position => Self::position_args,
            Keyword::Substring | Keyword::Substr | Keyword::Mid => Self::substring_args,
            Keyword::Char => Self::char_args,
            Keyword::GetFormat => Self::get_format_args,
            Keyword::TimestampAdd | Keyword::TimestampDiff => Self::timestamp_args,
            Keyword::DateAdd | Keyword::DateSub | Keyword::AddDate | Keyword::SubDate => Self::date_args,
            Keyword::WeightString => Self::weight_string_args,
            Keyword::JsonValue => Self::json_value_args,
            Keyword::ColumnAdd | Keyword::ColumnCreate | Keyword::ColumnGet if self.is_mariadb() => {
                Self::dynamic_column_args
            }
            _ => return Ok(None),
        };
        self.enter()?;
        self.at += 2;
        let mut args = Vec::new();
        read(self, &mut args)?;
        self.expect(TokenKind::RightParen)?;
        self.leave();
        let is_cast = word == Keyword::Cast || word == Keyword::Convert;
        let expr = match args.pop() {
            Some(only) if is_cast && args.is_empty() => self.expr_of(ExprKind::Cast(Box::new(only)), first),
            Some(last) => {
                args.push(last);
                self.keyword_call(first, args)
            }
            None => return Err(self.unexpected()),
        };
        Ok(Some(expr))
    }

    /// `expr AS type`, `expr AT LOCAL AS DATETIME`, `expr AT TIME ZONE [INTERVAL] '…' AS DATETIME`
    fn cast_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.expr()?);
        let at_zone = self.eat_keyword(Keyword::At);
        if at_zone && !self.eat_keyword(Keyword::Local) {
            self.expect_keyword(Keyword::Time)?;
            self.expect_keyword(Keyword::Zone)?;
            self.eat_keyword(Keyword::Interval);
            self.expect(TokenKind::String)?;
        }
        self.expect_keyword(Keyword::As)?;
        if at_zone && self.keyword() != Keyword::Datetime {
            return Err(self.unexpected());
        }
        self.type_until(|_| false)
    }

    /// `expr, type` or `expr USING charset`
    fn convert_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.expr()?);
        if self.eat_keyword(Keyword::Using) {
            return self.charset_name();
        }
        self.expect(TokenKind::Comma)?;
        self.type_until(|_| false)
    }

    /// A type: words, lengths in parentheses, a character set. Ends before a parenthesis, a comma or such a keyword.
    pub(super) fn type_until(&mut self, ends: impl Fn(Keyword) -> bool) -> Parsed<()> {
        let first = self.at;
        loop {
            match self.kind() {
                Some(TokenKind::Word) if !ends(self.keyword()) => self.at += 1,
                Some(TokenKind::QuotedIdentifier) if self.at > first => self.at += 1,
                Some(TokenKind::String) if self.at > first && self.is_behind_charset() => self.at += 1,
                Some(TokenKind::LeftParen) if self.at > first => {
                    self.at += 1;
                    self.list(|parser| match parser.kind() {
                        Some(TokenKind::Integer | TokenKind::String) => {
                            parser.at += 1;
                            Ok(())
                        }
                        _ => Err(parser.unexpected()),
                    })?;
                    self.expect(TokenKind::RightParen)?;
                }
                _ => break,
            }
        }
        if self.at == first { Err(self.unexpected()) } else { Ok(()) }
    }

    /// Whether a type's character set is named next.
    fn is_behind_charset(&self) -> bool {
        let before = self.keywords.get(self.at.saturating_sub(1));
        matches!(before, Some(Keyword::Charset | Keyword::Set))
    }

    /// `MATCH (a, b) AGAINST (expr IN BOOLEAN MODE)`; the first parentheses are optional.
    fn match_against(&mut self, first: usize) -> Parsed<Expr> {
        self.at += 1;
        let parens = self.eat(TokenKind::LeftParen);
        let mut args = self.list(|parser| {
            let start = parser.at;
            let path = parser.column_path()?;
            Ok(parser.expr_of(ExprKind::Column(path), start))
        })?;
        if parens {
            self.expect(TokenKind::RightParen)?;
        }
        self.expect_keyword(Keyword::Against)?;
        self.expect(TokenKind::LeftParen)?;
        args.push(self.bits()?);
        let words: &[&[&str]] = &[
            &["IN", "NATURAL", "LANGUAGE", "MODE", "WITH", "QUERY", "EXPANSION"],
            &["IN", "NATURAL", "LANGUAGE", "MODE"],
            &["IN", "BOOLEAN", "MODE"],
            &["WITH", "QUERY", "EXPANSION"],
            &[],
        ];
        let found = words.iter().find(|words| {
            words
                .iter()
                .enumerate()
                .all(|(at, word)| self.tokens.get(self.at + at).is_some_and(|token| token.is_word(self.sql, word)))
        });
        self.at += found.map_or(0, |words| words.len());
        self.expect(TokenKind::RightParen)?;
        Ok(self.keyword_call(first, args))
    }

    /// `VALUES(col)`
    fn values_of(&mut self, first: usize) -> Parsed<Expr> {
        self.at += 2;
        let path = self.column_path()?;
        self.expect(TokenKind::RightParen)?;
        Ok(self.expr_of(ExprKind::Values(path), first))
    }

    /// `expr`, `expr FROM expr`, `LEADING [expr] FROM expr`
    fn trim_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        if matches!(self.keyword(), Keyword::Both | Keyword::Leading | Keyword::Trailing) {
            self.at += 1;
            if self.keyword() != Keyword::From {
                args.push(self.expr()?);
            }
            self.expect_keyword(Keyword::From)?;
            args.push(self.expr()?);
            return Ok(());
        }
        args.push(self.expr()?);
        if self.eat_keyword(Keyword::From) {
            args.push(self.expr()?);
        }
        Ok(())
    }

    fn extract_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        self.unit()?;
        self.expect_keyword(Keyword::From)?;
        args.push(self.expr()?);
        Ok(())
    }

    /// `bits IN expr`
    fn position_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.bits()?);
        self.expect_keyword(Keyword::In)?;
        args.push(self.expr()?);
        Ok(())
    }

    /// `expr, expr [, expr]` or `expr FROM expr [FOR expr]`
    fn substring_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.expr()?);
        if self.eat_keyword(Keyword::From) {
            args.push(self.expr()?);
            if self.eat_keyword(Keyword::For) {
                args.push(self.expr()?);
            }
            return Ok(());
        }
        self.expect(TokenKind::Comma)?;
        args.append(&mut self.list(Self::expr)?);
        Ok(())
    }

    fn char_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        *args = self.list(Self::expr)?;
        if self.eat_keyword(Keyword::Using) { self.charset_name() } else { Ok(()) }
    }

    fn get_format_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        match self.keyword() {
            Keyword::Date | Keyword::Time | Keyword::Datetime | Keyword::Timestamp => self.at += 1,
            _ => return Err(self.unexpected()),
        }
        self.expect(TokenKind::Comma)?;
        args.push(self.expr()?);
        Ok(())
    }

    fn timestamp_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        self.unit()?;
        self.expect(TokenKind::Comma)?;
        args.append(&mut self.list(Self::expr)?);
        Ok(())
    }

    /// `expr, INTERVAL expr unit` or, for ADDDATE and SUBDATE, `expr, expr`
    fn date_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.expr()?);
        self.expect(TokenKind::Comma)?;
        if self.keyword() != Keyword::Interval {
            args.push(self.expr()?);
            return Ok(());
        }
        let interval = self.interval()?;
        if !matches!(interval.kind, ExprKind::Interval(_)) {
            self.seed = Some(interval);
            args.push(self.expr()?);
            return Ok(());
        }
        args.push(interval);
        Ok(())
    }

    /// `expr [AS CHAR(n) | AS BINARY(n)]`, or more arguments, which only the server itself writes.
    fn weight_string_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.expr()?);
        while self.eat(TokenKind::Comma) {
            args.push(self.expr()?);
        }
        if self.eat_keyword(Keyword::As) {
            self.type_until(|keyword| keyword == Keyword::Level)?;
        }
        self.weight_levels()
    }

    /// `expr, path [RETURNING type] [… ON EMPTY] [… ON ERROR]`
    fn json_value_args(&mut self, args: &mut Vec<Expr>) -> Parsed<()> {
        args.push(self.expr()?);
        self.expect(TokenKind::Comma)?;
        args.push(self.expr()?);
        if self.eat_keyword(Keyword::Returning) {
            self.type_until(|keyword| matches!(keyword, Keyword::Null | Keyword::Error | Keyword::Default))?;
        }
        self.json_fallbacks(args)
    }
}
