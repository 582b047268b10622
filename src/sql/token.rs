//! What the lexer produces: tokens that point into the statement, and the marks that comments leave on them.

use std::borrow::Cow;

bitflags::bitflags! {
    /// What stood around a token and is no token itself. Part of the digest: comments are evidence for the firewall.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Marks: u16 {
        /// The token stands inside an executed versioned comment (`/*! … */`).
        const VERSIONED = 1;
        /// A `/* … */` comment follows.
        const BLOCK_AFTER = 2;
        /// A `-- …` comment follows.
        const DASH_AFTER = 4;
        /// A `# …` comment follows.
        const HASH_AFTER = 8;
        /// A `/*+ … */` hint follows. Behind other words than the verbs it is a plain comment to the server.
        const HINT_AFTER = 16;
        /// A versioned comment that this server does not execute follows.
        const SKIPPED_AFTER = 32;
        /// A comment stands before the first token; set on the first token only.
        const COMMENT_BEFORE = 64;
        /// A line comment that follows holds a quote other than an apostrophe between letters.
        const COMMENTED_QUOTE = 128;
        /// A line comment that follows ends the statement, white space apart, and holds a word or an operator.
        const COMMENTED_TEXT = 256;
        /// The bytes of the name are latin1, not UTF-8.
        const LATIN1 = 512;
        /// A line comment that follows holds an odd number of quotes: what is left of a string.
        const COMMENTED_HALF = 1024;
    }
}

/// One executed token: comments and white space are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// What stood around it.
    pub marks: Marks,
    /// Offset of its first byte.
    pub start: u32,
    /// Offset behind its last byte.
    pub end: u32,
}

impl Token {
    /// The token's bytes as written. Empty if the token is not of this statement.
    pub fn bytes(self, sql: &[u8]) -> &[u8] {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Whether it is an unquoted word equal to `word`, in any case. A word behind or before a dot is a name and never
    /// equal.
    pub fn is_word(self, sql: &[u8], word: &str) -> bool {
        self.kind == TokenKind::Word && self.bytes(sql).eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Kinds of tokens. The discriminant is part of the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenKind {
    /// An unquoted word: a keyword or a name, as the grammar and the reserved words decide.
    Word = 1,
    /// An unquoted name that is no keyword because of a dot beside it, or because it begins like a number.
    Identifier,
    /// A name in backticks, or in double quotes under ANSI_QUOTES.
    QuotedIdentifier,
    /// `_utf8mb4` and the like: the character set of the literal behind it.
    Introducer,
    /// One quoted string. Adjacent strings are one literal but several tokens.
    String,
    /// `N'…'`.
    NationalString,
    /// `x'…'` or `0x…`.
    Hex,
    /// `b'…'` or `0b…`.
    Bit,
    /// Digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// A number with an exponent.
    Float,
    /// MariaDB's `\N`.
    Null,
    /// `?`
    Param,
    /// `@name`, quoted or not. `@` and name are one token.
    UserVariable,
    /// `@@name`, quoted or not. Further parts follow as a dot and a name.
    SystemVariable,
    /// `=`
    Equal,
    /// `<=>`
    NullSafeEqual,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `|`
    Pipe,
    /// `||`
    PipePipe,
    /// `&`
    Ampersand,
    /// `&&`
    AmpersandAmpersand,
    /// `^`
    Caret,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `%`
    Percent,
    /// `~`
    Tilde,
    /// `!`
    Bang,
    /// `:=`
    Assign,
    /// `->`
    Arrow,
    /// `->>`
    ArrowText,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `{`
    LeftBrace,
    /// `}`
    RightBrace,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `:`
    Colon,
    /// `;`
    Semicolon,
}

impl TokenKind {
    /// Whether it is a literal or a parameter: what a text that may be shown has `?` for. NULL tells nothing.
    pub fn is_value(self) -> bool {
        matches!(
            self,
            Self::String
                | Self::NationalString
                | Self::Hex
                | Self::Bit
                | Self::Integer
                | Self::Decimal
                | Self::Float
                | Self::Param
        )
    }
}

/// The identifier as the catalog would spell it: without quotes, doubled quotes undone, decoded to UTF-8. A variable's
/// name comes without its `@` signs. Characters beyond the basic plane become `?`, as the server's own names do.
pub fn name(sql: &[u8], token: Token) -> Cow<'_, str> {
    let mut bytes = token.bytes(sql);
    if matches!(token.kind, TokenKind::UserVariable | TokenKind::SystemVariable) {
        while let Some(rest) = bytes.strip_prefix(b"@") {
            bytes = rest;
        }
    }
    match bytes {
        [quote @ (b'`' | b'"' | b'\''), inner @ .., last] if quote == last => {
            let text = decode(inner, token.marks);
            let quote = char::from(*quote);
            if text.contains(quote) {
                let doubled: String = [quote, quote].iter().collect();
                Cow::Owned(text.replace(&doubled, quote.encode_utf8(&mut [0; 4])))
            } else {
                text
            }
        }
        _ => decode(bytes, token.marks),
    }
}

fn decode(bytes: &[u8], marks: Marks) -> Cow<'_, str> {
    if marks.contains(Marks::LATIN1) {
        return Cow::Owned(bytes.iter().map(|&byte| super::literal::latin1_char(byte)).collect());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| u32::from(c) <= 0xFFFF) => Cow::Borrowed(text),
        Ok(text) => Cow::Owned(text.chars().map(|c| if u32::from(c) > 0xFFFF { '?' } else { c }).collect()),
        // The lexer lets no such name pass; a token of another statement must not panic.
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| super::literal::latin1_char(byte)).collect()),
    }
}
