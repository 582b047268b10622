//! Rows that cost: they are opened if the account's budget has room for them, for which the database may have to be asked.

use super::{Reader, Untaken, refuse};
use crate::proxy::decision::Desk;
use crate::proxy::disclosing::Rows;
use crate::proxy::registry::Connection;
use crate::rewrite::RewriteError;
use crate::wire::response::{Event, Response, RowFormat};

/// How often a row asks: cells that came may have gone to another connection of the account.
const ASKED_MAX: usize = 4;

/// Takes a packet. A row for which this proxy has no share of the budget is taken when it has one.
pub(super) async fn take(
    reader: &mut Reader,
    event: Event<'_>,
    bytes: &[u8],
    next: Response,
    desk: &mut Desk,
) -> Result<(), Untaken> {
    let mut taken = reader.take(event, bytes, next, desk);
    for _ in 0..ASKED_MAX {
        let (Err(Untaken::Unasked(asking)), Some(purse)) = (&taken, &reader.purse) else { break };
        purse.ask(asking, &desk.connection).await?;
        taken = reader.take(event, bytes, next, desk);
    }
    match (taken, &reader.purse) {
        // Each time, others were faster.
        (Err(Untaken::Unasked(_)), Some(purse)) => Err(purse.unanswered(&desk.connection).into()),
        (taken, _) => taken,
    }
}

impl Reader {
    /// Opens a row, if the account's budget has room for it.
    #[inline]
    pub(super) fn paid_row(&mut self, row: &[u8], next: Response, connection: &Connection) -> Result<(), Untaken> {
        self.plan_rows().map_err(|error| refuse(&error, connection))?;
        let tally =
            |rows: &Option<Rows>| rows.as_ref().map(|rows| (rows.plan.tally().width(), rows.plan.tally().cells()));
        let before = tally(&self.rows);
        let mut cells = Vec::new();
        if let (Some(purse), Some(rows)) = (&self.purse, &self.rows) {
            let format = if next == Response::Rows(RowFormat::Binary) { RowFormat::Binary } else { RowFormat::Text };
            let found = purse.cells_of(&self.opening, &rows.plan, row, format);
            cells = found.map_err(|error| refuse(&error, connection))?;
            purse.check_row(&mut cells, connection)?;
        }
        if let (Some(purse), Some((width, _))) = (&self.purse, before) {
            purse.check(width, connection)?;
        }
        self.row_begins();
        let taken = if self.sorts() { self.sorted_row(row, next) } else { self.row(row, next) };
        taken.map_err(|error| {
            if let RewriteError::UnknownKey { kid, .. } = error {
                return Untaken::UnknownKey { kid, error };
            }
            if let (RewriteError::Bait { column }, Some(sentinel)) = (&error, &mut self.sentinel) {
                sentinel.refused(column);
            }
            Untaken::Refused(refuse(&error, connection))
        })?;
        if let Some(searched) = &mut self.searched {
            searched.row();
        }
        if let (Some(sentinel), Some(rows)) = (&mut self.sentinel, &self.rows) {
            sentinel.look(rows.plan.tally());
        }
        if let (Some(purse), Some((_, before)), Some((_, after))) = (&mut self.purse, before, tally(&self.rows)) {
            purse.charge(after.saturating_sub(before), cells, connection);
        }
        Ok(())
    }
}
