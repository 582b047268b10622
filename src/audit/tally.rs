//! What one result shows, counted while its rows are opened.

use crate::policy::ColumnId;

/// How a cell is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As its value.
    Opened,
    /// As a mask of its value.
    Masked,
    /// As its envelope, or as NULL whatever it is: it has a place, and is not counted.
    Nothing,
}

/// Counts of one result. Made once for each; counting a row allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    rows: u64,
    columns: Vec<Counted>,
}

/// One protected column of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    column: ColumnId,
    shown: Shown,
    cells: u64,
    /// Cells of the row that is being opened: it may yet be given up.
    of_row: u64,
    /// Those of them that are bait.
    bait: u64,
    bait_of_row: u64,
}

impl Tally {
    /// Adds a column; its place is the number of those added before.
    pub fn add(&mut self, column: ColumnId, shown: Shown) {
        self.columns.push(Counted { column, shown, cells: 0, of_row: 0, bait: 0, bait_of_row: 0 });
    }

    /// Counts a cell that is shown, in the column at that place. NULL shows nothing.
    #[inline]
    pub fn cell(&mut self, place: usize) {
        if let Some(column) = self.columns.get_mut(place) {
            column.of_row = column.of_row.saturating_add(1);
        }
    }

    /// The cell that was counted last at that place is bait.
    #[cold]
    pub fn bait(&mut self, place: usize) {
        if let Some(column) = self.columns.get_mut(place) {
            column.bait_of_row = column.bait_of_row.saturating_add(1);
        }
    }

    /// The row goes to the client.
    #[inline]
    pub fn row(&mut self) {
        self.rows = self.rows.saturating_add(1);
        for column in &mut self.columns {
            column.cells = column.cells.saturating_add(column.of_row);
            column.of_row = 0;
            column.bait = column.bait.saturating_add(column.bait_of_row);
            column.bait_of_row = 0;
        }
    }

    /// The row does not.
    pub fn no_row(&mut self) {
        for column in &mut self.columns {
            column.of_row = 0;
            column.bait_of_row = 0;
        }
    }

    /// Rows that went to the client.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Cells that a row can show.
    pub fn width(&self) -> u64 {
        let shown = self.columns.iter().filter(|column| column.shown != Shown::Nothing);
        u64::try_from(shown.count()).unwrap_or(u64::MAX)
    }

    /// Cells that went to the client, opened or masked.
    pub fn cells(&self) -> u64 {
        let shown = self.columns.iter().filter(|column| column.shown != Shown::Nothing);
        shown.fold(0, |sum, column| sum.saturating_add(column.cells))
    }

    /// The columns of which bait was shown, and how many cells.
    pub fn baited(&self) -> impl Iterator<Item = (ColumnId, u64)> {
        self.columns.iter().filter(|column| column.bait > 0).map(|column| (column.column, column.bait))
    }

    /// For each column how its cells were shown, and how many. A column that stands twice in the result comes twice.
    pub fn columns(&self) -> impl Iterator<Item = (ColumnId, Shown, u64)> {
        let shown = self.columns.iter().filter(|column| column.shown != Shown::Nothing);
        shown.map(|column| (column.column, column.shown, column.cells))
    }
}
