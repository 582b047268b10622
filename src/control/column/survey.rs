//! Looks at every value before it is encrypted, and counts what would be in the way. Tells rows by their primary keys.

use std::collections::{HashMap, HashSet};

use super::ColumnError;
use super::monitor::Observer;
use super::position::Position;
use super::table::Table;
use super::transform::{CellFault, Cells};
use super::verify::each_row;
use crate::control::Pool;
use crate::crypto::{MAGIC, Plaintext};
use crate::policy::Padding;

/// Rows that are told one by one, for each thing that is in the way.
const TOLD_MAX: usize = 10;
/// Blind indexes that are kept to find clashes: some gigabytes of memory at most.
const KEPT_MAX: usize = 20_000_000;
/// Bytes of an envelope without index and value.
const ENVELOPE_OCTETS: u64 = 52;

/// A number of rows, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) count: u64,
    pub(super) first: Vec<String>,
}

impl Rows {
    fn add(&mut self, row: impl FnOnce() -> String) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < TOLD_MAX {
            self.first.push(row());
        }
    }
}

/// What one column holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    pub(super) values: u64,
    pub(super) nulls: u64,
    pub(super) octets: u64,
    /// What they will be as envelopes.
    pub(super) octets_sealed: u64,
    pub(super) too_long: Rows,
    pub(super) not_text: Rows,
    /// Values that begin like envelopes.
    pub(super) like_envelopes: Rows,
    /// Rows whose normalised value an earlier row has too.
    pub(super) clashes: Rows,
    /// Rows whose value is another one than an earlier row's and begins like it, up to the length of an envelope's prefix.
    pub(super) twins: Rows,
    /// Whether there were too many values to find every clash.
    pub(super) is_incomplete: bool,
    seen: HashMap<Vec<u8>, Position>,
    beginnings: HashSet<Vec<u8>>,
}

/// Which columns must be unique.
pub(super) async fn survey(
    pool: &Pool,
    table: &Table,
    columns: &[Cells<'_>],
    unique: &[bool],
    observer: &dyn Observer,
) -> Result<Vec<Survey>, ColumnError> {
    let mut surveys = vec![Survey::default(); columns.len()];
    each_row(pool, table, observer, None, |at, cells| {
        for (((survey, column), unique), stored) in surveys.iter_mut().zip(columns).zip(unique).zip(cells) {
            survey.count(column, *unique, at, table, stored.as_deref());
        }
    })
    .await?;
    Ok(surveys)
}

impl Survey {
    fn count(&mut self, cells: &Cells<'_>, unique: bool, at: &Position, table: &Table, stored: Option<&[u8]>) {
        let Some(stored) = stored else {
            self.nulls = self.nulls.saturating_add(1);
            return;
        };
        self.values = self.values.saturating_add(1);
        self.octets = self.octets.saturating_add(stored.len() as u64);
        self.octets_sealed = self.octets_sealed.saturating_add(sealed_octets(cells, stored.len() as u64));
        let row = || at.described(&table.key);
        if stored.starts_with(&MAGIC) {
            self.like_envelopes.add(row);
            return;
        }
        match cells.check_value(stored) {
            Ok(()) => {}
            Err(CellFault::TooLong) => self.too_long.add(row),
            Err(_) => self.not_text.add(row),
        }
        if !unique {
            return;
        }
        if self.seen.len() >= KEPT_MAX {
            self.is_incomplete = true;
            return;
        }
        if let Some(beginning) = stored.get(..cells.column.prefix_length())
            && !self.beginnings.insert(beginning.to_vec())
        {
            self.twins.add(row);
        }
        let ranges = cells.keys.search(&Plaintext::from(stored.to_vec()));
        let Some(range) = ranges.ok().and_then(|ranges| ranges.into_iter().next()) else { return };
        if let Some(earlier) = self.seen.insert(range.low, at.clone()) {
            self.clashes.add(|| format!("{} and {}", earlier.described(&table.key), at.described(&table.key)));
        }
    }
}

/// Bytes of a value's envelope.
fn sealed_octets(cells: &Cells<'_>, octets: u64) -> u64 {
    let padded = match cells.column.padding {
        Padding::None => octets,
        Padding::Block(block) => {
            let block = u64::from(block.max(1));
            (octets / block).saturating_add(1).saturating_mul(block)
        }
    };
    let index = cells.column.index.as_ref().map_or(0, |index| u64::from(index.length));
    ENVELOPE_OCTETS.saturating_add(index).saturating_add(padded)
}
