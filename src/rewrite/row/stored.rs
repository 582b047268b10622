//! The cells of a row that are shown, as they are stored: what somebody needs who counts which rows were shown.

use super::RowPlan;
use crate::plan::CellAction;
use crate::policy::{ColumnId, Mask};
use crate::rewrite::RewriteError;
use crate::wire::binary_row::BinaryCells;
use crate::wire::text_row::TextCells;

impl RowPlan {
    /// Gives each cell of a text row that is opened or masked, with its column. NULL shows nothing.
    pub fn text_cells<'a>(&self, row: &'a [u8], mut each: impl FnMut(ColumnId, &'a [u8])) -> Result<(), RewriteError> {
        let mut cells = TextCells::new(row);
        for step in &self.steps {
            for _ in 0..step.skipped {
                cells.next_cell()?;
            }
            let value = cells.next_cell()?.value;
            if let (Some(column), Some(stored)) = (shown(&step.action), value.and_then(|value| row.get(value))) {
                each(column, stored);
            }
        }
        Ok(())
    }

    /// The same for a binary row.
    pub fn binary_cells<'a>(
        &self,
        row: &'a [u8],
        mut each: impl FnMut(ColumnId, &'a [u8]),
    ) -> Result<(), RewriteError> {
        let mut cells = BinaryCells::new(row, self.types.len())?;
        let mut types = self.types.iter().copied();
        for step in &self.steps {
            for column_type in types.by_ref().take(step.skipped) {
                cells.next_cell(column_type)?;
            }
            let column_type = types.next().ok_or(RewriteError::PlanMismatch("number of result columns"))?;
            let value = cells.next_cell(column_type)?.value;
            if let (Some(column), Some(stored)) = (shown(&step.action), value.and_then(|value| row.get(value))) {
                each(column, stored);
            }
        }
        Ok(())
    }
}

fn shown(action: &CellAction) -> Option<ColumnId> {
    match action {
        CellAction::Open(grant) => Some(grant.column()),
        CellAction::Mask(grant, mask) => (**mask != Mask::Null).then(|| grant.column()),
        CellAction::Ciphertext(_) | CellAction::Relay => None,
    }
}
