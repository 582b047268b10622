//! Operators and punctuation.

use super::{LexError, Lexer, offset};
use crate::schema::ServerKind;
use crate::sql::TokenKind;

impl Lexer<'_> {
    pub(super) fn operator(&mut self, byte: u8) -> Result<(), LexError> {
        let next = self.peek(1);
        let (kind, length) = match (byte, next) {
            (b'<' | b'=' | b'>' | b'!', _) => return self.comparison(byte, next),
            (b'|', b'|') => (TokenKind::PipePipe, 2),
            (b'|', _) => (TokenKind::Pipe, 1),
            (b'&', b'&') => (TokenKind::AmpersandAmpersand, 2),
            (b'&', _) => (TokenKind::Ampersand, 1),
            (b'-', b'>') if self.dialect.server.kind == ServerKind::MySql => {
                if self.peek(2) == b'>' {
                    (TokenKind::ArrowText, 3)
                } else {
                    (TokenKind::Arrow, 2)
                }
            }
            (b'-', _) => (TokenKind::Minus, 1),
            (b':', b'=') => (TokenKind::Assign, 2),
            (b':', _) => (TokenKind::Colon, 1),
            (b'(', _) => (TokenKind::LeftParen, 1),
            (b')', _) => (TokenKind::RightParen, 1),
            (b',', _) => (TokenKind::Comma, 1),
            (b';', _) => (TokenKind::Semicolon, 1),
            (b'+', _) => (TokenKind::Plus, 1),
            (b'*', _) => (TokenKind::Star, 1),
            (b'/', _) => (TokenKind::Slash, 1),
            (b'%', _) => (TokenKind::Percent, 1),
            (b'^', _) => (TokenKind::Caret, 1),
            (b'~', _) => (TokenKind::Tilde, 1),
            (b'{', _) => (TokenKind::LeftBrace, 1),
            (b'}', _) => (TokenKind::RightBrace, 1),
            // Followed by a name it is no parameter to the server, which then rejects the statement.
            (b'?', _) if !self.is(self.at + 1, super::NAME) => (TokenKind::Param, 1),
            _ => return Err(LexError::UnexpectedByte(offset(self.at))),
        };
        self.push(kind, self.at, self.at + length);
        Ok(())
    }

    /// MySQL joins runs of comparison characters first and loses the second one if the result is no operator (`!!0` is
    /// `!0`). Such runs are refused there; MariaDB reads them one by one.
    fn comparison(&mut self, byte: u8, next: u8) -> Result<(), LexError> {
        let third = self.peek(2);
        let (kind, length) = match (byte, next, third) {
            (b'<', b'=', b'>') => (TokenKind::NullSafeEqual, 3),
            (b'<', b'=', _) => (TokenKind::LessEqual, 2),
            (b'<', b'>', _) => (TokenKind::NotEqual, 2),
            (b'<', b'<', _) => (TokenKind::ShiftLeft, 2),
            (b'<', _, _) => (TokenKind::Less, 1),
            (b'>', b'=', _) => (TokenKind::GreaterEqual, 2),
            (b'>', b'>', _) => (TokenKind::ShiftRight, 2),
            (b'>', _, _) => (TokenKind::Greater, 1),
            (b'!', b'=', _) => (TokenKind::NotEqual, 2),
            (b'!', _, _) => (TokenKind::Bang, 1),
            _ => (TokenKind::Equal, 1),
        };
        // Two-character operators leave a following `!` alone (`2>=!1`), except that `<` looks one further.
        let merges = match length {
            1 => matches!(next, b'<' | b'=' | b'>' | b'!'),
            2 => byte == b'<' && matches!(third, b'=' | b'>' | b'!'),
            _ => false,
        };
        if merges && self.dialect.server.kind == ServerKind::MySql {
            return Err(LexError::AmbiguousOperator(offset(self.at)));
        }
        self.push(kind, self.at, self.at + length);
        Ok(())
    }
}
