//! Giving up the end of what is gathered: the client may not get it after all.

use super::Reader;

/// A place in what is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    gathered: usize,
    sequence: u8,
}

impl Reader {
    /// Where what is gathered ends.
    pub(super) fn mark(&self) -> Mark {
        Mark { gathered: self.gathered.len(), sequence: self.sequence }
    }

    /// Gives up what was gathered since.
    pub(super) fn put_back(&mut self, mark: Mark) {
        self.gathered.truncate(mark.gathered);
        self.sequence = mark.sequence;
    }
}
