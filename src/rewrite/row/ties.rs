//! What the cells of a row are bound to: the last columns of a result, which the client does not get.

use crate::crypto::RowValue;
use crate::plan::Bound;
use crate::rewrite::RewriteError;
use crate::schema::SubjectForm;
use crate::wire::binary_row::BinaryCells;
use crate::wire::column::ColumnType;
use crate::wire::text_row::{Cell, TextCells};

/// Those columns.
#[derive(Debug)]
pub(super) struct Ties {
    /// The position of the first one.
    first: usize,
    forms: Vec<SubjectForm>,
    /// Their values in the row at hand; `None` for NULL, and for what the column does not hold.
    values: Vec<Option<RowValue>>,
}

impl Ties {
    /// Those of a result with so many columns.
    pub(super) fn of(bound: &Bound, columns: usize) -> Result<Self, RewriteError> {
        let first = columns.checked_sub(bound.ties.len());
        let first = first.ok_or(RewriteError::PlanMismatch("number of result columns"))?;
        Ok(Self { first, forms: bound.ties.iter().map(|tie| tie.form).collect(), values: Vec::new() })
    }

    /// How many columns the client gets.
    pub(super) fn shown(&self) -> usize {
        self.first
    }

    /// The value of one of them in the row at hand.
    pub(super) fn value(&self, at: usize) -> Option<&RowValue> {
        self.values.get(at)?.as_ref()
    }

    /// Reads them in a text row. Gives the end of what the client gets.
    pub(super) fn read_text(&mut self, row: &[u8]) -> Result<usize, RewriteError> {
        let mut cells = TextCells::new(row);
        for _ in 0..self.first {
            cells.next_cell()?;
        }
        self.read(row, || Ok(cells.next_cell()?))
    }

    /// The same for a binary row of columns of such types.
    pub(super) fn read_binary(&mut self, row: &[u8], types: &[ColumnType]) -> Result<usize, RewriteError> {
        let mut cells = BinaryCells::new(row, types.len())?;
        let mut types = types.iter();
        for column_type in types.by_ref().take(self.first) {
            cells.next_cell(*column_type)?;
        }
        self.read(row, || {
            let column_type = types.next().ok_or(RewriteError::PlanMismatch("number of result columns"))?;
            Ok(cells.next_cell(*column_type)?)
        })
    }

    fn read(
        &mut self,
        row: &[u8],
        mut next: impl FnMut() -> Result<Cell, RewriteError>,
    ) -> Result<usize, RewriteError> {
        let mut end = None;
        self.values.clear();
        for form in &self.forms {
            let cell = next()?;
            end = end.or(Some(cell.start));
            let value = cell.value.and_then(|value| row.get(value)).and_then(|value| form.shown(value));
            self.values.push(value.and_then(RowValue::new));
        }
        Ok(end.unwrap_or(row.len()))
    }
}
