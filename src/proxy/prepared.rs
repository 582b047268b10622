//! The prepared statements of a connection.

use std::collections::HashMap;

/// Prepared statements by the server's statement id.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_id: HashMap<u32, ()>,
}

impl Statements {
    /// Forgets a statement.
    pub(super) fn close(&mut self, id: u32) {
        self.by_id.remove(&id);
    }
}
