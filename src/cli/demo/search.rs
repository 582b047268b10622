//! Searching files for many values at once. One pass, and blocks of zeros, of which database files are full, are
//! skipped: the demo's program is not optimised.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;

const BLOCK: usize = 4096;

/// Values to look for.
#[derive(Debug)]
pub(super) struct Needles<'a> {
    values: Vec<&'a [u8]>,
    /// By the first two bytes: whether a value begins so.
    heads: Vec<bool>,
    longest: usize,
}

impl<'a> Needles<'a> {
    /// Values of at least two bytes.
    pub(super) fn new(values: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Vec<&[u8]> = values.into_iter().map(str::as_bytes).filter(|value| value.len() >= 2).collect();
        let mut heads = vec![false; 1 << 16];
        for value in &values {
            if let Some(head) = head(value).and_then(|head| heads.get_mut(head)) {
                *head = true;
            }
        }
        let longest = values.iter().map(|value| value.len()).max().unwrap_or_default();
        Self { values, heads, longest }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// How many places in the bytes hold a value.
    pub(super) fn count(&self, bytes: &[u8]) -> usize {
        let mut hits = 0;
        for start in (0..bytes.len()).step_by(BLOCK) {
            let block = bytes.get(start..bytes.len().min(start + BLOCK)).unwrap_or_default();
            if [0; BLOCK].starts_with(block) {
                continue;
            }
            // A value that begins in this block may end in the next.
            let reach = bytes.get(start..bytes.len().min(start + BLOCK + self.longest)).unwrap_or_default();
            hits += self.count_in(reach, block.len());
        }
        hits
    }

    fn count_in(&self, reach: &[u8], begins_max: usize) -> usize {
        let mut hits = 0;
        for (at, pair) in reach.windows(2).take(begins_max).enumerate() {
            if head(pair).and_then(|head| self.heads.get(head)) == Some(&true) {
                let rest = reach.get(at..).unwrap_or_default();
                hits += self.values.iter().filter(|value| rest.starts_with(value)).count();
            }
        }
        hits
    }
}

fn head(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [first, second, ..] => Some(usize::from(*first) << 8 | usize::from(*second)),
        [] | [_] => None,
    }
}

/// All files in a folder and below. A file that goes away meanwhile is no error.
pub(super) fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).context("cannot read the data directory")? {
            let path = entry.context("cannot read the data directory")?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

/// A file's bytes, if it is a file and is still there.
pub(super) fn content(path: &Path) -> Option<Vec<u8>> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.metadata().ok()?.is_file().then_some(())?;
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_wherever_they_begin() {
        let needles = Needles::new(["+1 (650) 253-0000", "Straße 1"]);
        for offset in [0, 1, BLOCK - 3, BLOCK, 3 * BLOCK - 1] {
            let mut bytes = vec![0; offset];
            bytes.extend_from_slice("Straße 1".as_bytes());
            bytes.extend_from_slice(&[0; 9000]);
            assert_eq!(needles.count(&bytes), 1, "{offset}");
        }
        assert_eq!(needles.count("+1 (650) 253-000".as_bytes()), 0);
        assert_eq!(needles.count(b""), 0);
    }
}
