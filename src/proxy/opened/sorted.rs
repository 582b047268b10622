//! Results that the proxy sorts: definitions and cells of columns that the client did not ask for are left out, and rows
//! wait until the last one is there.

use zeroize::Zeroizing;

use super::gather::put;
use super::{Emit, Kind, Reader};
use crate::rewrite::{RewriteError, RowCells, Sorter};
use crate::wire::lenenc;
use crate::wire::response::{Response, RowFormat};

/// Rows that are sorted within a millisecond or so. More of them would hold up other connections: policy allows a million.
const SORTED_AT_ONCE: usize = 1_000;

impl Reader {
    /// Columns at the end of the result that the client does not get.
    pub(super) fn hidden(&self) -> usize {
        self.opening.plan.hidden()
    }

    /// Columns that the client gets.
    pub(super) fn shown(&self) -> usize {
        self.opening.actions().len().saturating_sub(self.hidden())
    }

    /// The number of columns.
    pub(super) fn column_count(&mut self) -> Emit {
        if self.hidden() == 0 {
            return Emit::AsItIs;
        }
        let shown = self.shown();
        self.payload.clear();
        lenenc::put_integer(shown as u64, &mut self.payload);
        Emit::Changed
    }

    /// Whether rows wait to be sorted.
    pub(super) fn sorts(&self) -> bool {
        matches!(self.kind, Kind::Result { .. }) && self.opening.plan.sort.is_some()
    }

    /// Opens a row and keeps it.
    pub(super) fn sorted_row(&mut self, row: &[u8], next: Response) -> Result<(), RewriteError> {
        const MISFIT: RewriteError = RewriteError::PlanMismatch("sort");
        let context = self.opening.context().ok_or(RewriteError::PlanMismatch("keys"))?;
        let is_binary = next == Response::Rows(RowFormat::Binary);
        if self.sorter.is_none() {
            let (Some(sort), Some(window)) = (&self.opening.plan.sort, self.opening.window) else { return Err(MISFIT) };
            // What cells are bound to is behind all else, and gone when they are opened.
            let ties = self.opening.plan.bound.as_ref().map_or(0, |bound| bound.ties.len());
            let columns = self.columns.get(..self.columns.len().saturating_sub(ties)).unwrap_or_default();
            let cells = if is_binary { RowCells::binary(columns)? } else { RowCells::Text };
            self.sorter = Some(Sorter::new(sort, window, cells, columns.len(), &context)?);
        }
        let (Some(rows), Some(sorter)) = (&mut self.rows, &mut self.sorter) else { return Err(MISFIT) };
        let mut opened = Zeroizing::new(Vec::new());
        if is_binary {
            rows.plan.binary_row(row, &context, &mut opened)?;
        } else {
            rows.plan.text_row(row, &context, &mut opened)?;
        }
        sorter.push(&opened)
    }

    /// Gathers the rows that waited.
    pub(super) fn put_sorted(&mut self) {
        let Some(sorter) = self.sorter.take() else { return };
        let Self { gathered, sequence, .. } = self;
        let is_long = sorter.waiting() > SORTED_AT_ONCE;
        let put = || sorter.finish(|row| *sequence = put(row, *sequence, gathered));
        // The thread's other connections go on elsewhere meanwhile.
        if is_long { tokio::task::block_in_place(put) } else { put() }
    }
}
