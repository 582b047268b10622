//! What a mask leaves of a value.
//!
//! A mask shows what it says and no more: not how long the value is, and of a value with less than twice as many characters
//! as it shows, nothing. What it makes is text that the column could hold.

use super::column_keys::ColumnKeys;
use super::normalise::telephone;
use super::{Plaintext, Pseudonym};
use crate::policy::{AddressPart, HIDDEN, LogicalType, Mask, Piece, TextSize};

/// Between the parts of an address.
const SEPARATORS: [char; 4] = [',', ';', '\n', '\r'];

/// Fills `out` with what the mask leaves of a value. What is no text, and what the mask does not know how to read, is
/// hidden wholly. [`Mask::Null`] is the caller's: NULL is no text.
pub fn mask(mask: &Mask, keys: &ColumnKeys, logical: LogicalType, plain: &Plaintext, out: &mut Plaintext) {
    out.clear();
    let shown = match str::from_utf8(plain.expose()) {
        Ok(value) => put(mask, value, || keys.pseudonym(plain), out),
        Err(_) => None,
    };
    if shown.is_none() {
        out.clear();
        out.extend(HIDDEN.as_bytes());
    }
    cut(logical, out);
}

/// `None`: nothing of the value may be shown.
fn put(mask: &Mask, value: &str, pseudonym: impl Fn() -> Option<Pseudonym>, out: &mut Plaintext) -> Option<()> {
    match mask {
        Mask::Phone { shown, region } => {
            let mut number = Plaintext::new();
            let code = telephone(value, region.as_deref().unwrap_or_default(), &mut number)?;
            let (code, digits) = str::from_utf8(number.expose()).ok()?.split_at_checked(code)?;
            let last = last(digits, *shown)?;
            put_all(&[code, HIDDEN, last], out);
        }
        Mask::Email { shown } => {
            let (local, domain) = value.rsplit_once('@')?;
            let is_domain = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-');
            if !domain.contains('.') || !domain.chars().all(is_domain) {
                return None;
            }
            put_all(&[first(local, *shown).unwrap_or_default(), HIDDEN, "@", domain], out);
        }
        Mask::Address(AddressPart::Nothing) | Mask::Null => return None,
        Mask::Address(AddressPart::City { after }) => return city(value, *after, out),
        Mask::First(shown) => put_all(&[first(value, *shown)?, HIDDEN], out),
        Mask::Last(shown) => put_all(&[HIDDEN, last(value, *shown)?], out),
        Mask::Fixed(text) => put_all(&[text], out),
        Mask::Hash => pseudonym()?.put(out),
        Mask::Template(pieces) => return template(pieces, value, pseudonym, out),
    }
    Some(())
}

fn put_all(parts: &[&str], out: &mut Plaintext) {
    parts.iter().for_each(|part| out.extend(part.as_bytes()));
}

/// The first characters of a text that has at least twice as many.
fn first(text: &str, shown: u8) -> Option<&str> {
    let shown = usize::from(shown);
    (text.chars().count() >= shown.saturating_mul(2)).then(|| {
        let end = text.char_indices().nth(shown).map_or(text.len(), |(at, _)| at);
        text.get(..end).unwrap_or_default()
    })
}

/// The last characters of a text that has at least twice as many.
fn last(text: &str, shown: u8) -> Option<&str> {
    let hidden = text.chars().count().checked_sub(usize::from(shown))?;
    (hidden >= usize::from(shown)).then(|| {
        let start = text.char_indices().nth(hidden).map_or(text.len(), |(at, _)| at);
        text.get(start..).unwrap_or_default()
    })
}

/// The words without a digit of the part that stands before `after` others. What has no part before that one is no
/// address that this can read.
fn city(value: &str, after: u8, out: &mut Plaintext) -> Option<()> {
    let mut parts = value.split(SEPARATORS).map(str::trim).filter(|part| !part.is_empty()).rev();
    let part = parts.nth(usize::from(after))?;
    parts.next()?;
    let is_number = |char: char| char.is_numeric();
    let words = || part.split_whitespace().filter(|word| !word.contains(is_number));
    if !words().any(|word| word.chars().any(char::is_alphabetic)) {
        return None;
    }
    put_all(&[HIDDEN, ","], out);
    for word in words() {
        put_all(&[" ", word], out);
    }
    Some(())
}

/// All pieces together show at most half of the value; else none of them shows anything of it.
fn template(
    pieces: &[Piece],
    value: &str,
    pseudonym: impl Fn() -> Option<Pseudonym>,
    out: &mut Plaintext,
) -> Option<()> {
    let shown = pieces.iter().map(|piece| match piece {
        Piece::First(shown) | Piece::Last(shown) => usize::from(*shown),
        Piece::Text(_) | Piece::Hash => 0,
    });
    let is_long = value.chars().count() >= shown.sum::<usize>().saturating_mul(2);
    let of_value = |part: Option<&'_ str>, out: &mut Plaintext| {
        out.extend(part.filter(|_| is_long).unwrap_or(HIDDEN).as_bytes());
    };
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend(text.as_bytes()),
            Piece::First(shown) => of_value(first(value, *shown), out),
            Piece::Last(shown) => of_value(last(value, *shown), out),
            Piece::Hash => pseudonym()?.put(out),
        }
    }
    Some(())
}

/// Cuts a text to what the column holds.
fn cut(logical: LogicalType, out: &mut Plaintext) {
    let octets = match logical {
        LogicalType::Varchar { chars_max } => {
            let chars_max = usize::try_from(chars_max).unwrap_or(usize::MAX);
            let text = str::from_utf8(out.expose()).unwrap_or_default();
            text.char_indices().nth(chars_max).map_or(text.len(), |(at, _)| at)
        }
        LogicalType::Text(TextSize::Tiny) => octets_up_to(out, 255),
        LogicalType::Text(TextSize::Text) => octets_up_to(out, 65_535),
        // No mask makes as much of a value as these hold: it shows half of one that they hold.
        LogicalType::Text(TextSize::Medium | TextSize::Long) => out.len(),
    };
    out.truncate(octets);
}

/// The most octets of whole characters that are at most `most`.
fn octets_up_to(text: &Plaintext, most: usize) -> usize {
    str::from_utf8(text.expose()).unwrap_or_default().floor_char_boundary(most)
}

#[cfg(test)]
mod tests;
