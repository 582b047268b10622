//! Sorting a result by opened values (see [`Sort`]): rows are kept as the client is to see them, up to a bound in number
//! and in bytes, and given back in order.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::{Context, ResultColumn, RewriteError};
use crate::crypto::make_room;
use crate::plan::{Direction, Sort, SortBound, SortBy, SortKey};
use crate::schema::{Charset, ColumnRef};
use crate::sql::Token;
use crate::wire::binary_row::{BinaryCells, keep_first};
use crate::wire::column::ColumnType;
use crate::wire::text_row::{Cell, TextCells};

/// Bytes that the rows of one result take at most, with what they are sorted by.
const OCTETS_MAX: usize = 64 << 20;

/// Which rows of a sorted result the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    offset: u64,
    count: u64,
}

impl Window {
    /// What LIMIT says; `params` are the values of parameters by their ordinals. Nothing is said: all rows.
    pub fn of(sort: &Sort, sql: &[u8], tokens: &[Token], params: &[(u16, u64)]) -> Result<Self, RewriteError> {
        let number = |bound: Option<SortBound>, default: u64| match bound {
            None => Ok(default),
            Some(SortBound::Param(param)) => {
                Ok(params.iter().find(|(found, _)| *found == param).map_or(default, |(_, value)| *value))
            }
            Some(SortBound::Literal(token)) => {
                let token = usize::try_from(token).ok().and_then(|at| tokens.get(at));
                let digits = token.and_then(|token| std::str::from_utf8(token.bytes(sql)).ok());
                digits.and_then(|digits| digits.parse().ok()).ok_or(RewriteError::PlanMismatch("LIMIT"))
            }
        };
        Ok(Self { offset: number(sort.offset, 0)?, count: number(sort.count, u64::MAX)? })
    }
}

/// How the cells of the rows lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowCells {
    /// As text.
    Text,
    /// By the types of the columns.
    Binary(Vec<ColumnType>),
}

impl RowCells {
    /// Those of a binary result with such columns.
    pub fn binary(columns: &[ResultColumn]) -> Result<Self, RewriteError> {
        let types = columns.iter().map(|column| ColumnType::from_byte(column.column_type));
        Ok(Self::Binary(types.collect::<Result<_, _>>()?))
    }
}

/// A row that waits.
struct Row {
    /// Its bytes as the client gets them.
    bytes: Range<usize>,
    /// Its first key.
    keys: usize,
}

/// What a row is sorted by. NULL comes before all else.
#[derive(Clone, PartialEq, Eq)]
enum Weight {
    Null,
    Rank(u64),
    /// So many weights, from there.
    Text(Range<usize>),
}

/// The rows of one result.
pub struct Sorter {
    sort: Sort,
    window: Window,
    column: ColumnRef,
    cells: RowCells,
    /// Columns that the client gets.
    shown: usize,
    rows: Vec<Row>,
    keys: Vec<Weight>,
    bytes: Zeroizing<Vec<u8>>,
    weights: Zeroizing<Vec<u16>>,
}

impl Sorter {
    /// For a result with so many columns, hidden ones included. Refuses where cells do not hold whole values.
    pub fn new(
        sort: &Sort,
        window: Window,
        cells: RowCells,
        columns: usize,
        cx: &Context<'_>,
    ) -> Result<Self, RewriteError> {
        let protected = cx.policy.column(sort.column).ok_or(RewriteError::PlanMismatch("column"))?;
        let column = protected.column.clone();
        match cx.results_charset {
            None | Some(Charset::Utf8mb4 | Charset::Binary) => {}
            Some(Charset::Utf8mb3 | Charset::Ascii | Charset::Latin1) => {
                return Err(RewriteError::Unsupported {
                    column,
                    construct: "ORDER BY in the proxy under a character_set_results other than utf8mb4",
                    remedy: "connect with utf8mb4",
                });
            }
        }
        let shown = columns.checked_sub(sort.hidden).ok_or(RewriteError::PlanMismatch("number of result columns"))?;
        Ok(Self {
            sort: sort.clone(),
            window,
            column,
            cells,
            shown,
            rows: Vec::new(),
            keys: Vec::new(),
            bytes: Zeroizing::default(),
            weights: Zeroizing::default(),
        })
    }

    /// Takes a row whose cells are opened.
    pub fn push(&mut self, row: &[u8]) -> Result<(), RewriteError> {
        if self.rows.len() as u64 >= u64::from(self.sort.rows_max) {
            return Err(self.too_much("ORDER BY of more rows than `sort_rows` of the policy allows"));
        }
        let columns = self.shown.saturating_add(self.sort.hidden);
        let cells = cells(row, columns, &self.cells)?;
        let first = self.keys.len();
        for at in 0..self.sort.keys.len() {
            let Some(key) = self.sort.keys.get(at).copied() else { break };
            let cell = cells.get(key.output).ok_or(RewriteError::PlanMismatch("number of result columns"))?;
            let weight = self.weight(key, row, cell)?;
            self.keys.push(weight);
        }
        let start = self.bytes.len();
        let end = cells.get(self.shown).map_or(row.len(), |hidden| hidden.start);
        self.put_shown(row, columns, end)?;
        self.rows.push(Row { bytes: start..self.bytes.len(), keys: first });
        if self.octets() > OCTETS_MAX {
            return Err(self.too_much("ORDER BY of so many bytes"));
        }
        Ok(())
    }

    /// How many rows wait.
    pub fn waiting(&self) -> usize {
        self.rows.len()
    }

    /// Gives the rows that LIMIT leaves, in order. Sorts them, which of many takes long.
    pub fn finish(mut self, mut put: impl FnMut(&[u8])) {
        let mut rows = std::mem::take(&mut self.rows);
        // Equal rows stay in the order of the server, which has sorted them by the other keys.
        rows.sort_by(|left, right| self.compare(left, right));
        let number = |wanted: u64| usize::try_from(wanted).unwrap_or(usize::MAX);
        for row in rows.iter().skip(number(self.window.offset)).take(number(self.window.count)) {
            put(self.bytes.get(row.bytes.clone()).unwrap_or_default());
        }
    }

    fn compare(&self, left: &Row, right: &Row) -> Ordering {
        let keys = |row: &Row| self.keys.get(row.keys..).unwrap_or_default().iter();
        let pairs = self.sort.keys.iter().zip(keys(left).zip(keys(right)));
        let mut orders = pairs.map(|(key, (left, right))| match key.direction {
            Direction::Ascending => self.compare_key(key.by, left, right),
            Direction::Descending => self.compare_key(key.by, left, right).reverse(),
        });
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn compare_key(&self, by: SortBy, left: &Weight, right: &Weight) -> Ordering {
        let weights = |range: &Range<usize>| self.weights.get(range.clone()).unwrap_or_default();
        match (by, left, right) {
            (SortBy::Value(order), Weight::Text(left), Weight::Text(right)) => {
                order.compare(weights(left), weights(right))
            }
            (_, Weight::Rank(left), Weight::Rank(right)) => left.cmp(right),
            (_, Weight::Null, Weight::Null) => Ordering::Equal,
            (_, Weight::Null, Weight::Rank(_) | Weight::Text(_)) => Ordering::Less,
            (_, Weight::Rank(_) | Weight::Text(_), Weight::Null) => Ordering::Greater,
            // A key has one kind of weights.
            (_, Weight::Rank(_), Weight::Text(_)) | (_, Weight::Text(_), Weight::Rank(_)) => Ordering::Equal,
            (SortBy::Rank, Weight::Text(_), Weight::Text(_)) => Ordering::Equal,
        }
    }

    fn weight(&mut self, key: SortKey, row: &[u8], cell: &Cell) -> Result<Weight, RewriteError> {
        let Some(value) = &cell.value else { return Ok(Weight::Null) };
        let value = row.get(value.clone()).unwrap_or_default();
        match key.by {
            SortBy::Value(order) => {
                let not_text = || RewriteError::NotText { column: self.column.clone() };
                let text = std::str::from_utf8(value).map_err(|_| not_text())?;
                let start = self.weights.len();
                let weights = &mut self.weights;
                order.weigh(text, |more| {
                    make_room(weights, more.len());
                    weights.extend_from_slice(more);
                });
                Ok(Weight::Text(start..self.weights.len()))
            }
            SortBy::Rank => {
                let rank = match &self.cells {
                    RowCells::Text => std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()),
                    RowCells::Binary(_) => value.try_into().ok().map(u64::from_le_bytes),
                };
                rank.map(Weight::Rank).ok_or(RewriteError::PlanMismatch("rank"))
            }
        }
    }

    /// Keeps a row without its hidden columns, which begin at `end`.
    fn put_shown(&mut self, row: &[u8], columns: usize, end: usize) -> Result<(), RewriteError> {
        let start = self.bytes.len();
        let shown = row.get(..end).ok_or(RewriteError::PlanMismatch("row"))?;
        make_room(&mut self.bytes, shown.len());
        self.bytes.extend_from_slice(shown);
        match self.cells {
            RowCells::Text => {}
            RowCells::Binary(_) => keep_first(&mut self.bytes, start, columns, self.shown)?,
        }
        Ok(())
    }

    fn octets(&self) -> usize {
        let of = |count: usize, each: usize| count.saturating_mul(each);
        let kept = of(self.rows.len(), size_of::<Row>()).saturating_add(of(self.keys.len(), size_of::<Weight>()));
        self.bytes.len().saturating_add(of(self.weights.len(), 2)).saturating_add(kept)
    }

    fn too_much(&self, construct: &'static str) -> RewriteError {
        let remedy = "narrow the result down by WHERE, or have `sort_rows` raised";
        RewriteError::Unsupported { column: self.column.clone(), construct, remedy }
    }
}

impl fmt::Debug for Sorter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorter").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// The cells of a row.
fn cells(row: &[u8], columns: usize, form: &RowCells) -> Result<Vec<Cell>, RewriteError> {
    let mut found = Vec::with_capacity(columns);
    match form {
        RowCells::Text => {
            let mut cells = TextCells::new(row);
            for _ in 0..columns {
                found.push(cells.next_cell()?);
            }
        }
        RowCells::Binary(types) => {
            let mut cells = BinaryCells::new(row, columns)?;
            for column_type in types {
                found.push(cells.next_cell(*column_type)?);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
