//! Between the character sets of a connection and the UTF-8 that is sealed.

use crate::schema::Charset;

/// What MySQL's `latin1` has for the bytes 0x80 to 0x9F: Windows-1252, and C1 controls where that has nothing.
const LATIN1_C1: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}', '\u{2030}',
    '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}',
    '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}',
    '\u{17e}', '\u{178}',
];

/// What MySQL writes for a character that the target set does not have.
const REPLACEMENT: u8 = b'?';

/// The bytes are no text in the set that they are said to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotText;

/// Hands over a client's text as UTF-8, in one or more pieces. Bytes of the binary set pass as they are.
pub(super) fn to_utf8(charset: Charset, text: &[u8], mut put: impl FnMut(&[u8])) -> Result<(), NotText> {
    match charset {
        Charset::Binary => put(text),
        _ if text.is_ascii() => put(text),
        Charset::Utf8mb4 => put(str::from_utf8(text).map_err(|_| NotText)?.as_bytes()),
        Charset::Utf8mb3 => {
            let text = str::from_utf8(text).map_err(|_| NotText)?;
            if text.chars().any(|char| char.len_utf8() > 3) {
                return Err(NotText);
            }
            put(text.as_bytes());
        }
        Charset::Ascii => return Err(NotText),
        Charset::Latin1 => {
            for byte in text {
                put(latin1_char(*byte).encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Ok(())
}

/// Whether opened text goes out under this set without conversion.
#[inline]
pub(super) fn is_relayed(charset: Option<Charset>, text: &[u8]) -> bool {
    match charset {
        None | Some(Charset::Utf8mb4 | Charset::Binary) => true,
        Some(Charset::Utf8mb3 | Charset::Ascii | Charset::Latin1) => text.is_ascii(),
    }
}

/// How many bytes [`put_converted`] appends.
pub(super) fn converted_length(charset: Charset, text: &[u8]) -> usize {
    let mut length = 0_usize;
    convert(charset, text, |bytes| length = length.saturating_add(bytes.len()));
    length
}

/// Appends UTF-8 text in another set, `?` for what the set does not have and for bytes that are no UTF-8.
pub(super) fn put_converted(charset: Charset, text: &[u8], out: &mut Vec<u8>) {
    convert(charset, text, |bytes| out.extend_from_slice(bytes));
}

fn convert(charset: Charset, text: &[u8], mut put: impl FnMut(&[u8])) {
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match charset {
                Charset::Utf8mb3 if char.len_utf8() <= 3 => put(char.encode_utf8(&mut [0; 4]).as_bytes()),
                Charset::Utf8mb4 | Charset::Binary => put(char.encode_utf8(&mut [0; 4]).as_bytes()),
                Charset::Latin1 => put(&[latin1_byte(char).unwrap_or(REPLACEMENT)]),
                Charset::Ascii if char.is_ascii() => put(char.encode_utf8(&mut [0; 4]).as_bytes()),
                Charset::Ascii | Charset::Utf8mb3 => put(&[REPLACEMENT]),
            }
        }
        for _ in chunk.invalid() {
            put(&[REPLACEMENT]);
        }
    }
}

/// The character of a byte in MySQL's `latin1`.
pub(super) fn latin1_char(byte: u8) -> char {
    match byte {
        0x80..=0x9f => LATIN1_C1.get(usize::from(byte & 0x1f)).copied().unwrap_or(char::from(byte)),
        _ => char::from(byte),
    }
}

/// The byte of a character in MySQL's `latin1`.
fn latin1_byte(char: char) -> Option<u8> {
    match u8::try_from(char) {
        Ok(byte) if !(0x80..=0x9f).contains(&byte) => Some(byte),
        _ => (0x80_u8..=0x9f).find(|byte| latin1_char(*byte) == char),
    }
}

#[cfg(test)]
mod tests;
