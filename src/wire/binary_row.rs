//! Binary protocol rows (§ "Binary Protocol Resultset Row"): finds values by column type, does not decode them.

use std::fmt;

use super::column::{ColumnType, ValueForm};
use super::text_row::Cell;
use super::{WireError, lenenc};

/// Bits of a binary row's NULL bitmap that stand before the first column's.
const NULL_BITMAP_OFFSET: usize = 2;

/// Takes the last columns of a binary row of `columns` out of its NULL bitmap, so that `shown` are left. The row begins at
/// `start` and has no values of theirs any more.
pub fn keep_first(rows: &mut Vec<u8>, start: usize, columns: usize, shown: usize) -> Result<(), WireError> {
    let octets = |columns: usize| columns.saturating_add(NULL_BITMAP_OFFSET).div_ceil(8);
    let bitmap = start.saturating_add(1);
    let (kept, values) = (bitmap.saturating_add(octets(shown)), bitmap.saturating_add(octets(columns)));
    if kept > values || values > rows.len() {
        return Err(WireError::Truncated("binary row"));
    }
    rows.drain(kept..values);
    let used = shown.saturating_add(NULL_BITMAP_OFFSET) & 7;
    if let (1.., Some(last)) = (used, rows.get_mut(kept.saturating_sub(1))) {
        *last &= !(0xff_u8 << used);
    }
    Ok(())
}

/// Walks the values of a binary row.
#[derive(Clone)]
pub struct BinaryCells<'a> {
    row: &'a [u8],
    bitmap: &'a [u8],
    rest: &'a [u8],
    column: usize,
}

impl<'a> BinaryCells<'a> {
    /// Reads header and NULL bitmap of a row of that many columns and starts before the first value.
    pub fn new(row: &'a [u8], columns: usize) -> Result<Self, WireError> {
        const WHAT: &str = "binary row";
        let (&header, rest) = row.split_first().ok_or(WireError::Truncated(WHAT))?;
        if header != 0 {
            return Err(WireError::Malformed(WHAT));
        }
        let bitmap_octets = columns.saturating_add(NULL_BITMAP_OFFSET).div_ceil(8);
        let (bitmap, rest) = rest.split_at_checked(bitmap_octets).ok_or(WireError::Truncated(WHAT))?;
        Ok(Self { row, bitmap, rest, column: 0 })
    }

    /// The next value. NULL takes no bytes.
    #[inline]
    pub fn next_cell(&mut self, column_type: ColumnType) -> Result<Cell, WireError> {
        let start = self.position();
        let is_null = null_bit(self.bitmap, self.column.saturating_add(NULL_BITMAP_OFFSET));
        self.column = self.column.saturating_add(1);
        if is_null {
            return Ok(Cell { start, value: None, end: start });
        }
        let (value, rest) = take_value(self.rest, column_type.row_form(), "binary row")?;
        self.rest = rest;
        let end = self.position();
        Ok(Cell { start, value: Some(end.saturating_sub(value.len())..end), end })
    }

    /// Where the next value starts.
    #[inline]
    pub fn position(&self) -> usize {
        self.row.len().saturating_sub(self.rest.len())
    }

    /// Fails if bytes are left behind the last value.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Malformed("binary row")) }
    }
}

impl fmt::Debug for BinaryCells<'_> {
    /// Without the row: cells are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BinaryCells").field("column", &self.column).finish_non_exhaustive()
    }
}

/// Whether a bit of a NULL bitmap is set. A bit outside the bitmap is not.
#[inline]
pub(super) fn null_bit(bitmap: &[u8], bit: usize) -> bool {
    bitmap.get(bit >> 3).is_some_and(|byte| byte & (1 << (bit & 7)) != 0)
}

/// Splits a value of that form off the front; its own length byte or length-encoded length is not part of it.
#[inline]
pub(super) fn take_value<'a>(
    bytes: &'a [u8],
    form: ValueForm,
    what: &'static str,
) -> Result<(&'a [u8], &'a [u8]), WireError> {
    match form {
        ValueForm::Empty => Ok((&[], bytes)),
        ValueForm::Fixed(octets) => bytes.split_at_checked(usize::from(octets)).ok_or(WireError::Truncated(what)),
        ValueForm::Temporal => {
            let (&octets, rest) = bytes.split_first().ok_or(WireError::Truncated(what))?;
            // 0, 4, 7 or 11 for dates; 0, 8 or 12 for times.
            if octets > 12 {
                return Err(WireError::Malformed(what));
            }
            rest.split_at_checked(usize::from(octets)).ok_or(WireError::Truncated(what))
        }
        ValueForm::Sized => lenenc::take_string(bytes, what),
    }
}

#[cfg(test)]
mod tests;
