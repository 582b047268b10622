//! Keys of single data subjects for a page of rows: those that its envelopes name, and those that its rows belong to,
//! fetched together.

use std::collections::{BTreeMap, BTreeSet};

use super::table::Table;
use super::transform::Cells;
use crate::control::{ControlError, KeyStore, subject_task};
use crate::crypto::{Envelope, KeyId, SubjectDigest};

/// Opens the keys that the cells of a page name and that are not open yet. What cannot be opened is found out, and told
/// with its row, when its cell is.
pub(super) async fn open_subject_keys<'r>(
    store: &KeyStore,
    columns: &[Cells<'_>],
    rows: impl Iterator<Item = &'r [Option<Vec<u8>>]>,
) -> Result<(), ControlError> {
    if columns.iter().all(|column| column.keys.subjects().is_none()) {
        return Ok(());
    }
    let mut wanted: BTreeMap<KeyId, usize> = BTreeMap::new();
    for row in rows {
        for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
            let envelope = cell.as_deref().and_then(|stored| Envelope::parse(stored).ok());
            let kid = envelope.map(|envelope| envelope.kid()).filter(|kid| kid.is_of_subject());
            if let (Some(kid), Some(keys)) = (kid, column.keys.subjects())
                && keys.by_kid(kid).is_none()
            {
                wanted.insert(kid, at);
            }
        }
    }
    for (at, column) in columns.iter().enumerate() {
        let Some(keys) = column.keys.subjects() else { continue };
        let kids: Vec<KeyId> = wanted.iter().filter(|(_, of)| **of == at).map(|(kid, _)| *kid).collect();
        subject_task::find(store, &|keyset| (keyset == &**keys.keyset()).then(|| keys.clone()), &kids).await?;
    }
    Ok(())
}

/// Opens the keys of those whose rows have cells that are not sealed for them yet; makes the keys that are missing.
pub(super) async fn make_subject_keys<'r>(
    store: &KeyStore,
    columns: &[Cells<'_>],
    table: &Table,
    rows: impl Iterator<Item = &'r [Option<Vec<u8>>]> + Clone,
) -> Result<(), ControlError> {
    for (at, column) in columns.iter().enumerate() {
        let Some(keys) = column.keys.sealing_subjects() else { continue };
        let mut subjects = BTreeSet::new();
        for row in rows.clone() {
            let Some(Some(stored)) = row.get(at) else { continue };
            if Envelope::parse(stored).is_ok_and(|envelope| envelope.kid().is_of_subject()) {
                continue;
            }
            if let Some(owner) = table.owner(row) {
                subjects.insert(SubjectDigest::new(&column.column.keyset, &owner));
            }
        }
        subject_task::find_or_make(store, keys, &Vec::from_iter(subjects)).await?;
    }
    Ok(())
}
