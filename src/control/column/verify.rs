//! The full scan that proves a column: every cell is opened and its blind index compared. Changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql_async::Row;
use sha2::{Digest, Sha256};

use super::ColumnError;
use super::chunk::position;
use super::monitor::{Event, Observer};
use super::position::{Position, Stretch};
use super::subjects::open_subject_keys;
use super::table::{Selected, Table};
use super::transform::{Binding, CellFault, Cells, Sound};
use crate::control::{KeyStore, Pool};
use crate::crypto::ColumnKeys;

/// Rows of a page.
const PAGE_ROWS: usize = 1_000;
/// Limit for a page.
const LIMIT: Duration = Duration::from_secs(60);
/// Faults that are told one by one.
const FAULTS_TOLD_MAX: usize = 20;

/// Where envelopes under keys of single data subjects are counted: no key has that id.
pub const SUBJECT_KEYS: u32 = 0;

/// What one column's cells are.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) nulls: u64,
    pub(super) plaintexts: u64,
    /// Envelopes by data key, those under keys of data subjects together at [`SUBJECT_KEYS`].
    pub(super) by_kid: BTreeMap<u32, u64>,
    /// Envelopes by version of their index key.
    pub(super) by_index_version: BTreeMap<u16, u64>,
    /// Envelopes that are not bound to their row as policy says.
    pub(super) unbound: u64,
    /// Cells that are not sound.
    pub(super) faults: u64,
    /// The first of them, with their primary keys.
    pub(super) first_faults: Vec<(String, CellFault)>,
    digest: Sha256,
}

impl Tally {
    /// SHA-256 over primary key and header of every envelope, in order of the primary key.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Cells that are sound and not under the active keys.
    pub(super) fn stale(&self, keys: &ColumnKeys) -> u64 {
        let active = |kid: &u32| match keys.sealing_subjects() {
            Some(_) => *kid == SUBJECT_KEYS,
            None => keys.active_key().is_some_and(|active| *kid == active.number()),
        };
        let data = self.by_kid.iter().filter(|(kid, _)| !active(kid)).map(|(_, count)| count).sum::<u64>();
        let version = keys.active_index().map(|version| version.number());
        let index =
            self.by_index_version.iter().filter(|(found, _)| Some(**found) != version).map(|(_, count)| count).sum();
        // An envelope may be stale in several ways and is counted once at least, which is all that is asked.
        data.max(index).max(self.unbound)
    }

    /// Envelopes.
    pub(super) fn envelopes(&self) -> u64 {
        self.by_kid.values().sum()
    }

    fn count(
        &mut self,
        cells: &Cells<'_>,
        at: &Position,
        table: &Table,
        (stored, owner): (Option<&[u8]>, Option<&[u8]>),
    ) {
        self.rows = self.rows.saturating_add(1);
        let Some(stored) = stored else {
            self.nulls = self.nulls.saturating_add(1);
            return;
        };
        match cells.examined(stored, owner) {
            Ok(Sound::Plaintext) => self.plaintexts = self.plaintexts.saturating_add(1),
            Ok(Sound::Envelope { kid, index_version, header_octets, binding }) => {
                match binding {
                    Binding::AsAsked => {}
                    Binding::Otherwise => self.unbound = self.unbound.saturating_add(1),
                }
                add(&mut self.by_kid, if kid.is_of_subject() { SUBJECT_KEYS } else { kid.number() });
                if let Some(version) = index_version {
                    add(&mut self.by_index_version, version);
                }
                self.digest.update(at.encoded());
                self.digest.update(stored.get(..header_octets).unwrap_or_default());
            }
            Err(fault) => {
                self.faults = self.faults.saturating_add(1);
                if self.first_faults.len() < FAULTS_TOLD_MAX {
                    self.first_faults.push((at.described(&table.key), fault));
                }
            }
        }
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// Scans the table once for all columns.
pub(super) async fn scan(
    pool: &Pool,
    table: &Table,
    store: &KeyStore,
    columns: &[Cells<'_>],
    observer: &dyn Observer,
) -> Result<Vec<Tally>, ColumnError> {
    let mut tallies = vec![Tally::default(); columns.len()];
    each_row(pool, table, observer, Some((store, columns)), |at, cells| {
        let owner = table.owner(cells);
        for ((tally, column), stored) in tallies.iter_mut().zip(columns).zip(cells) {
            tally.count(column, at, table, (stored.as_deref(), owner.as_deref()));
        }
    })
    .await?;
    Ok(tallies)
}

/// Reads every row in order of the primary key, page by page, each page as of its own moment. Cells that are opened need
/// the keys of their data subjects, which are fetched for each page from the key store that is given.
pub(super) async fn each_row(
    pool: &Pool,
    table: &Table,
    observer: &dyn Observer,
    opening: Option<(&KeyStore, &[Cells<'_>])>,
    mut visit: impl FnMut(&Position, &[Option<Vec<u8>>]),
) -> Result<(), ColumnError> {
    let mut session = pool.session("read the table", LIMIT).await?;
    let mut stretch = Stretch { lower: None, upper: None };
    let mut seen = 0_u64;
    loop {
        session.renew();
        let select = table.select(Selected::KeyAndCells, &stretch.condition(&table.key));
        let rows: Vec<Row> = session.rows(&format!("{select} LIMIT {PAGE_ROWS}")).await?;
        let is_last = rows.len() < PAGE_ROWS;
        seen = seen.saturating_add(rows.len() as u64);
        let rows = rows.into_iter().map(|row| position(row.unwrap(), table)).collect::<Result<Vec<_>, _>>()?;
        if let Some((store, columns)) = opening {
            open_subject_keys(store, columns, rows.iter().map(|(_, cells)| cells.as_slice())).await?;
        }
        for (at, cells) in rows {
            visit(&at, &cells);
            stretch.lower = Some(at);
        }
        observer.hear(Event::Verified(seen, table.rows_estimate.max(seen)));
        if is_last {
            return Ok(());
        }
    }
}
