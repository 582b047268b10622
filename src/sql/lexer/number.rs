//! Numbers, and names that begin like numbers.

use super::class::{DIGIT, HEX, NAME};
use super::{LexError, Lexer, offset};
use crate::sql::TokenKind;

impl Lexer<'_> {
    /// A token that begins with a digit.
    pub(super) fn number(&mut self) -> Result<(), LexError> {
        let start = self.at;
        if self.byte(start) == b'0' {
            let (class, kind): (fn(u8) -> bool, _) = match self.peek(1) {
                b'x' => (|byte| byte.is_ascii_hexdigit(), TokenKind::Hex),
                b'b' => (|byte| matches!(byte, b'0' | b'1'), TokenKind::Bit),
                _ => return self.decimal(start),
            };
            let mut end = start + 2;
            while class(self.byte(end)) {
                end += 1;
            }
            if end > start + 2 && !self.is(end, NAME) {
                self.push(kind, start, end);
                return Ok(());
            }
            return self.name_like_number(start);
        }
        self.decimal(start)
    }

    fn decimal(&mut self, start: usize) -> Result<(), LexError> {
        let mut end = self.digits_end(start);
        let byte = self.byte(end);
        if !self.is(end, NAME) {
            if byte == b'.' {
                return self.fraction(end);
            }
            self.push(TokenKind::Integer, start, end);
            return Ok(());
        }
        if matches!(byte, b'e' | b'E') {
            let mut exponent = end + 1;
            if !self.is(exponent, DIGIT) && matches!(self.byte(exponent), b'+' | b'-') {
                exponent += 1;
            }
            if self.is(exponent, DIGIT) {
                end = self.digits_end(exponent);
                self.push(TokenKind::Float, start, end);
                return Ok(());
            }
        }
        self.name_like_number(start)
    }

    /// The part from the point on; the token began at `self.at`.
    pub(super) fn fraction(&mut self, point: usize) -> Result<(), LexError> {
        let start = self.at;
        let mut end = self.digits_end(point + 1);
        if !matches!(self.byte(end), b'e' | b'E') {
            self.push(TokenKind::Decimal, start, end);
            return Ok(());
        }
        let mut exponent = end + 1;
        if matches!(self.byte(exponent), b'+' | b'-') {
            exponent += 1;
        }
        if !self.is(exponent, DIGIT) {
            return Err(LexError::UnfinishedExponent(offset(start)));
        }
        end = self.digits_end(exponent);
        self.push(TokenKind::Float, start, end);
        Ok(())
    }

    fn name_like_number(&mut self, start: usize) -> Result<(), LexError> {
        let end = self.name_end(start)?;
        self.push_name(TokenKind::Identifier, start, end);
        self.names_behind_dots()
    }

    fn digits_end(&self, from: usize) -> usize {
        let mut end = from;
        while self.is(end, DIGIT) {
            end += 1;
        }
        end
    }

    /// `x'…'` and `b'…'`.
    pub(super) fn digits_in_quotes(&mut self, kind: TokenKind) -> Result<(), LexError> {
        let start = self.at;
        let mut end = start + 2;
        if kind == TokenKind::Hex {
            while self.is(end, HEX) {
                end += 1;
            }
        } else {
            while matches!(self.byte(end), b'0' | b'1') {
                end += 1;
            }
        }
        let odd = kind == TokenKind::Hex && (end - start) % 2 == 1;
        if self.byte(end) != b'\'' || odd {
            return Err(LexError::MalformedLiteral(offset(start)));
        }
        self.push(kind, start, end + 1);
        Ok(())
    }
}
