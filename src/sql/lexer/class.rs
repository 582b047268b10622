//! What a byte can begin or continue, by character set. Measured byte by byte against MySQL 9.7.

use crate::schema::Charset;

/// The byte continues an unquoted name.
pub(super) const NAME: u8 = 1;
/// White space.
pub(super) const SPACE: u8 = 2;
/// A decimal digit.
pub(super) const DIGIT: u8 = 4;
/// A hexadecimal digit.
pub(super) const HEX: u8 = 8;
/// A control character; `--` before one opens a comment.
pub(super) const CONTROL: u8 = 16;

/// Properties of each byte.
pub(super) type Table = [u8; 256];

/// The table of a client character set.
pub(super) fn table(charset: Charset) -> &'static Table {
    match charset {
        Charset::Utf8mb4 | Charset::Utf8mb3 => &UTF8,
        Charset::Latin1 => &LATIN1,
        Charset::Ascii | Charset::Binary => &ASCII,
    }
}

static ASCII: Table = ascii();
static UTF8: Table = utf8();
static LATIN1: Table = latin1();

const fn ascii() -> Table {
    let mut table = [0; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let character = byte as u8;
        let mut class = 0;
        if character.is_ascii_alphanumeric() || character == b'_' || character == b'$' {
            class |= NAME;
        }
        if character.is_ascii_digit() {
            class |= DIGIT;
        }
        if character.is_ascii_hexdigit() {
            class |= HEX;
        }
        if matches!(character, b' ' | 0x09..=0x0D) {
            class |= SPACE;
        }
        if character.is_ascii_control() {
            class |= CONTROL;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

/// Every byte of a multi-byte character belongs to names; the lexer checks that they form characters.
const fn utf8() -> Table {
    let mut table = ascii();
    let mut byte = 0x80_usize;
    while byte < 0xFF {
        table[byte] |= NAME;
        byte += 1;
    }
    table
}

/// Letters of Windows-1252; 0xA0 is white space.
const fn latin1() -> Table {
    let mut table = ascii();
    let mut byte = 0x80_usize;
    while byte < 256 {
        if matches!(byte, 0x83 | 0x8A | 0x8C | 0x8E | 0x9A | 0x9C | 0x9E | 0x9F)
            || matches!(byte, 0xC0..=0xFF) && !matches!(byte, 0xD7 | 0xF7)
        {
            table[byte] |= NAME;
        }
        byte += 1;
    }
    table[0xA0] |= SPACE;
    table
}
