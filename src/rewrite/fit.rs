//! Whether a value fits the logical type of a column, by MySQL's own rule.

use crate::policy::{LogicalType, ProtectedColumn};

/// How much of a value a column takes; `None` if the value is too long.
///
/// VARCHAR counts characters, TEXT bytes. White space that is in excess at the end is cut off without an error, in any
/// SQL mode, as MySQL and MariaDB do; anything else in excess is an error, in any SQL mode, because a client could not
/// see that ciphertext was cut. Bytes that are no UTF-8 count as a character each.
pub(super) fn fitting_octets(column: &ProtectedColumn, value: &[u8]) -> Option<usize> {
    let limit = match column.logical {
        LogicalType::Varchar { chars_max } => octets_of_chars(value, usize::try_from(chars_max).unwrap_or(usize::MAX)),
        LogicalType::Text(_) => usize::try_from(column.plaintext_octets_max()).unwrap_or(usize::MAX).min(value.len()),
    };
    let (_, excess) = value.split_at_checked(limit)?;
    excess.iter().all(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).then_some(limit)
}

/// The bytes of the first so many characters.
fn octets_of_chars(value: &[u8], chars_max: usize) -> usize {
    if value.len() <= chars_max {
        return value.len();
    }
    let mut chars_left = chars_max;
    let mut octets = 0_usize;
    for chunk in value.utf8_chunks() {
        let lengths = chunk.valid().chars().map(char::len_utf8).chain(chunk.invalid().iter().map(|_| 1));
        for length in lengths {
            let Some(left) = chars_left.checked_sub(1) else { return octets };
            chars_left = left;
            octets = octets.saturating_add(length);
        }
    }
    octets
}

#[cfg(test)]
mod tests;
