//! The value of a text literal, in every spelling that the server takes.

use super::{Dialect, SqlMode, Token, TokenKind};
use crate::schema::Charset;

/// Why a literal has no value as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// A number, a bit literal or no literal at all.
    #[error("not a text literal")]
    NotText,
    /// The introducer names a character set that Candado does not read.
    #[error("literal in a character set that is not read")]
    UnsupportedCharset,
    /// The bytes are no text in the literal's character set.
    #[error("literal that is not valid in its character set")]
    InvalidText,
}

/// The decoded value, as UTF-8, of the literal that consists of these tokens: `'…'`, adjacent strings, `N'…'`,
/// `_charset'…'`, `x'…'`, `0x…`, with or without introducer. Hexadecimal and `_binary` literals stand for their bytes,
/// which must be UTF-8 too.
pub fn literal_text(sql: &[u8], tokens: &[Token], dialect: &Dialect) -> Result<Vec<u8>, LiteralError> {
    let (mut charset, pieces) = match tokens {
        [introducer, pieces @ ..] if introducer.kind == TokenKind::Introducer => {
            (introduced(introducer.bytes(sql))?, pieces)
        }
        _ => (dialect.charset, tokens),
    };
    let introduced = pieces.len() < tokens.len();
    let mut raw = Vec::new();
    for (position, piece) in pieces.iter().enumerate() {
        match (piece.kind, position) {
            (TokenKind::NationalString, 0) if !introduced => {
                charset = Charset::Utf8mb3;
                unquote(piece.bytes(sql).get(1..).unwrap_or_default(), dialect.mode, &mut raw)?;
            }
            (TokenKind::String, _) => unquote(piece.bytes(sql), dialect.mode, &mut raw)?,
            (TokenKind::Hex, 0) if pieces.len() == 1 => {
                if !introduced {
                    charset = Charset::Binary;
                }
                unhex(piece.bytes(sql), &mut raw)?;
            }
            _ => return Err(LiteralError::NotText),
        }
    }
    if pieces.is_empty() { Err(LiteralError::NotText) } else { decode(raw, charset) }
}

/// The bytes of a hexadecimal literal, if these tokens are one alone.
pub fn hex_bytes(sql: &[u8], tokens: &[Token]) -> Option<Vec<u8>> {
    let [token] = tokens else { return None };
    let mut bytes = Vec::new();
    (token.kind == TokenKind::Hex && unhex(token.bytes(sql), &mut bytes).is_ok()).then_some(bytes)
}

/// The value of an integer literal with or without one sign, if these tokens are one.
pub fn integer(sql: &[u8], tokens: &[Token]) -> Option<i128> {
    let (negative, digits) = match tokens {
        [sign, digits] if sign.kind == TokenKind::Minus => (true, digits),
        [sign, digits] if sign.kind == TokenKind::Plus => (false, digits),
        [digits] => (false, digits),
        _ => return None,
    };
    if digits.kind != TokenKind::Integer {
        return None;
    }
    let number: i128 = std::str::from_utf8(digits.bytes(sql)).ok()?.parse().ok()?;
    Some(if negative { -number } else { number })
}

fn introduced(introducer: &[u8]) -> Result<Charset, LiteralError> {
    let name = introducer.strip_prefix(b"_").and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    Charset::from_name(&name.to_ascii_lowercase()).ok_or(LiteralError::UnsupportedCharset)
}

/// Strips the quotes and undoes escapes. `\%` and `\_` keep their backslash: they mean something to LIKE.
fn unquote(quoted: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> Result<(), LiteralError> {
    let [quote, inner @ .., _] = quoted else { return Err(LiteralError::NotText) };
    let escapes = !mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
    out.reserve(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == *quote {
            // The first of two; the lexer saw that a second one follows.
            bytes.next();
            out.push(byte);
        } else if byte == b'\\' && escapes {
            match bytes.next().ok_or(LiteralError::NotText)? {
                b'0' => out.push(0),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'b' => out.push(8),
                b'Z' => out.push(26),
                wildcard @ (b'%' | b'_') => out.extend_from_slice(&[b'\\', wildcard]),
                other => out.push(other),
            }
        } else {
            out.push(byte);
        }
    }
    Ok(())
}

/// `x'4142'` and `0x4142`; the latter may have an odd number of digits.
fn unhex(literal: &[u8], out: &mut Vec<u8>) -> Result<(), LiteralError> {
    let digits = match literal {
        [b'0', b'x', digits @ ..] => digits,
        [b'x' | b'X', b'\'', digits @ .., b'\''] => digits,
        _ => return Err(LiteralError::NotText),
    };
    let (odd, pairs) = digits.split_at(digits.len() % 2);
    for pair in [odd].into_iter().filter(|pair| !pair.is_empty()).chain(pairs.chunks(2)) {
        let mut value = 0_u8;
        for &digit in pair {
            let digit = char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            value = (value << 4) | digit.ok_or(LiteralError::NotText)?;
        }
        out.push(value);
    }
    Ok(())
}

fn decode(raw: Vec<u8>, charset: Charset) -> Result<Vec<u8>, LiteralError> {
    match charset {
        Charset::Utf8mb4 | Charset::Binary => {
            std::str::from_utf8(&raw).map_err(|_| LiteralError::InvalidText)?;
            Ok(raw)
        }
        Charset::Utf8mb3 => {
            let text = std::str::from_utf8(&raw).map_err(|_| LiteralError::InvalidText)?;
            if text.chars().any(|character| character.len_utf8() > 3) {
                return Err(LiteralError::InvalidText);
            }
            Ok(raw)
        }
        Charset::Ascii if raw.is_ascii() => Ok(raw),
        Charset::Ascii => Err(LiteralError::InvalidText),
        Charset::Latin1 if raw.is_ascii() => Ok(raw),
        Charset::Latin1 => Ok(raw.into_iter().map(latin1_char).collect::<String>().into_bytes()),
    }
}

/// MySQL's latin1 is Windows-1252, with the five bytes that Windows leaves undefined as C1 controls.
pub(super) fn latin1_char(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2C6}',
        '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}', '\u{90}', '\u{2018}', '\u{2019}',
        '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}',
        '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
    ];
    match byte {
        0x80..=0x9F => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}
