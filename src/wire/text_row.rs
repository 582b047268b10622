//! Text protocol rows (§ "Text Resultset Row"): finds cells, does not decode values.

use std::fmt;
use std::ops::Range;

use super::{WireError, lenenc};

/// One cell of a row: where it lies, and its value without its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// First byte of the cell, its length included.
    pub start: usize,
    /// The value; `None` is NULL.
    pub value: Option<Range<usize>>,
    /// First byte behind the cell.
    pub end: usize,
}

/// Walks the cells of a text row.
#[derive(Clone)]
pub struct TextCells<'a> {
    row: &'a [u8],
    rest: &'a [u8],
}

impl<'a> TextCells<'a> {
    /// Starts before the first cell.
    pub fn new(row: &'a [u8]) -> Self {
        Self { row, rest: row }
    }

    /// The next cell. The caller knows how many there are.
    #[inline]
    pub fn next_cell(&mut self) -> Result<Cell, WireError> {
        const WHAT: &str = "text row";
        let start = self.offset();
        if let Some((&lenenc::NULL, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(Cell { start, value: None, end: self.offset() });
        }
        let (value, rest) = lenenc::take_string(self.rest, WHAT)?;
        self.rest = rest;
        let end = self.offset();
        Ok(Cell { start, value: Some(end.saturating_sub(value.len())..end), end })
    }

    /// Where the next cell starts.
    #[inline]
    pub fn offset(&self) -> usize {
        self.row.len().saturating_sub(self.rest.len())
    }

    /// Fails if bytes are left behind the last cell.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Malformed("text row")) }
    }
}

impl fmt::Debug for TextCells<'_> {
    /// Without the row: cells are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextCells").field("offset", &self.offset()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
