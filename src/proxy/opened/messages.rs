//! Results of SHOW WARNINGS and SHOW ERRORS: the server's texts, without the envelopes that it prints in them.

use super::Reader;
use super::gather::put;
use crate::client_error::message_without_envelope;
use crate::rewrite::RewriteError;
use crate::wire::lenenc;
use crate::wire::text_row::TextCells;

impl Reader {
    /// A row: level, code and message.
    pub(super) fn message_row(&mut self, row: &[u8]) -> Result<(), RewriteError> {
        let mut cells = TextCells::new(row);
        let (_, code, message) = (cells.next_cell()?, cells.next_cell()?, cells.next_cell()?);
        cells.finish()?;
        let text = |cell: Option<std::ops::Range<usize>>| cell.and_then(|cell| row.get(cell)).unwrap_or_default();
        let Some(hidden) = message_without_envelope(text(code.value), text(message.value)) else {
            self.sequence = put(row, self.sequence, &mut self.gathered);
            return Ok(());
        };
        self.payload.clear();
        self.payload.extend_from_slice(row.get(..message.start).unwrap_or_default());
        lenenc::put_string(&hidden, &mut self.payload);
        self.sequence = put(&self.payload, self.sequence, &mut self.gathered);
        Ok(())
    }
}
