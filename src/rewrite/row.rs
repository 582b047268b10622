//! Rows: cells of protected columns are opened, masked or shown as envelopes, all others are copied in as few runs as
//! possible.

mod stored;
mod ties;

use std::sync::Arc;

use self::ties::Ties;
use super::charset::{converted_length, is_relayed, put_converted};
use super::{Context, ResultColumn, RewriteError, mask};
use crate::audit::{Shown, Tally};
use crate::crypto::{Envelope, OpenError, Plaintext, RowValue, make_room};
use crate::plan::{Bound, CellAction};
use crate::policy::{DecryptGrant, Honey, HoneyReaction, Mask, Policy};
use crate::schema::{Charset, ColumnRef};
use crate::wire::binary_row::{BinaryCells, keep_first};
use crate::wire::column::ColumnType;
use crate::wire::lenenc;
use crate::wire::text_row::{Cell, TextCells};

/// One protected column of a result.
#[derive(Clone, Debug)]
struct Step {
    /// Columns that are copied before it, since the last protected one.
    skipped: usize,
    /// Its position, from 0.
    at: usize,
    action: CellAction,
    column: ResultColumn,
    /// What of the column is bait.
    honey: Option<Arc<Honey>>,
    /// Which tie of the row its cells are bound to.
    tie: Option<usize>,
}

/// The buffers that cells are opened in.
#[derive(Debug)]
struct Buffers {
    plain: Plaintext,
    masked: Plaintext,
}

/// What happens to each row of one result set. Made once per result set; opening a cell allocates nothing, unless it is bound
/// to its row.
///
/// The context of each call must belong to the snapshot that the plan was made with; a cursor keeps that snapshot from
/// execution to its last fetch.
#[derive(Debug)]
pub struct RowPlan {
    steps: Vec<Step>,
    types: Vec<ColumnType>,
    buffers: Buffers,
    tally: Tally,
    /// What the cells are bound to.
    ties: Option<Ties>,
}

impl RowPlan {
    /// The plan for a result with the columns that the server announced in its own definitions (before
    /// [`super::column_definition`]). `None` if no cell is opened and rows pass as they are.
    pub fn new(actions: &[CellAction], columns: &[ResultColumn]) -> Result<Option<Self>, RewriteError> {
        if actions.len() != columns.len() {
            return Err(RewriteError::PlanMismatch("number of result columns"));
        }
        let mut steps = Vec::new();
        let mut tally = Tally::default();
        let mut skipped = 0_usize;
        for (at, (action, column)) in actions.iter().zip(columns).enumerate() {
            let (protected, shown) = match action {
                CellAction::Relay => {
                    skipped = skipped.saturating_add(1);
                    continue;
                }
                CellAction::Open(grant) => (grant.column(), Shown::Opened),
                CellAction::Mask(grant, mask) if **mask == Mask::Null => (grant.column(), Shown::Nothing),
                CellAction::Mask(grant, _) => (grant.column(), Shown::Masked),
                CellAction::Ciphertext(column) => (*column, Shown::Nothing),
            };
            tally.add(protected, shown);
            steps.push(Step { skipped, at, action: action.clone(), column: *column, honey: None, tie: None });
            skipped = 0;
        }
        if steps.is_empty() {
            return Ok(None);
        }
        let types = columns.iter().map(|column| ColumnType::from_byte(column.column_type)).collect::<Result<_, _>>()?;
        let buffers = Buffers { plain: Plaintext::new(), masked: Plaintext::new() };
        Ok(Some(Self { steps, types, buffers, tally, ties: None }))
    }

    /// The same, and bait that the rows show is counted.
    #[must_use]
    pub fn watching(mut self, policy: &Policy) -> Self {
        for step in &mut self.steps {
            step.honey = match &step.action {
                CellAction::Open(grant) | CellAction::Mask(grant, _) => policy.honey(grant.column()).cloned(),
                CellAction::Ciphertext(_) | CellAction::Relay => None,
            };
        }
        self
    }

    /// The same, with cells that are bound to their rows.
    pub fn tied(mut self, bound: Option<&Bound>) -> Result<Self, RewriteError> {
        let Some(bound) = bound else { return Ok(self) };
        for (cell, tie) in &bound.cells {
            if let Some(step) = self.steps.iter_mut().find(|step| step.at == *cell) {
                step.tie = Some(*tie);
            }
        }
        self.ties = Some(Ties::of(bound, self.types.len())?);
        Ok(self)
    }

    /// What the rows so far have shown.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn count(&mut self, done: &Result<(), RewriteError>) {
        match done {
            Ok(()) => self.tally.row(),
            Err(_) => self.tally.no_row(),
        }
    }

    /// Appends a row of a text result as the client is to see it.
    pub fn text_row(&mut self, row: &[u8], cx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let start = out.len();
        let done = self.put_text_row(row, cx, out);
        if done.is_err() {
            out.truncate(start);
        }
        self.count(&done);
        done
    }

    /// Appends a row of a binary result as the client is to see it. Its NULL bitmap gets the cells that are masked as NULL.
    pub fn binary_row(&mut self, row: &[u8], cx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let start = out.len();
        let done = self.put_binary_row(row, cx, out);
        if done.is_err() {
            out.truncate(start);
        }
        self.count(&done);
        done
    }

    fn put_text_row(&mut self, row: &[u8], cx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let end = self.ties.as_mut().map_or(Ok(row.len()), |ties| ties.read_text(row))?;
        let mut cells = TextCells::new(row);
        let mut copied = 0_usize;
        make_room(out, row.len());
        for (at, step) in self.steps.iter().enumerate() {
            for _ in 0..step.skipped {
                cells.next_cell()?;
            }
            let cell = cells.next_cell()?;
            if step.is_null() {
                out.extend_from_slice(row.get(copied..cell.start).unwrap_or_default());
                out.push(lenenc::NULL);
                copied = cell.end;
                continue;
            }
            let is_bait = step.is_bait(row, &cell);
            if is_bait {
                step.react(cx)?;
            }
            let tie = step.tie.zip(self.ties.as_ref()).and_then(|(tie, ties)| ties.value(tie));
            copied = put_read((row, copied), &cell, (step, tie), &mut self.buffers, cx, out)?;
            if cell.value.is_some() {
                self.tally.cell(at);
                if is_bait {
                    self.tally.bait(at);
                }
            }
        }
        out.extend_from_slice(row.get(copied..end).unwrap_or_default());
        Ok(())
    }

    fn put_binary_row(&mut self, row: &[u8], cx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let end = self.ties.as_mut().map_or(Ok(row.len()), |ties| ties.read_binary(row, &self.types))?;
        let mut cells = BinaryCells::new(row, self.types.len())?;
        let mut types = self.types.iter().copied();
        let mut copied = 0_usize;
        let start = out.len();
        make_room(out, row.len());
        for (at, step) in self.steps.iter().enumerate() {
            for column_type in types.by_ref().take(step.skipped) {
                cells.next_cell(column_type)?;
            }
            let column_type = types.next().ok_or(RewriteError::PlanMismatch("number of result columns"))?;
            let cell = cells.next_cell(column_type)?;
            if step.is_null() {
                out.extend_from_slice(row.get(copied..cell.start).unwrap_or_default());
                // The bitmap stands before all cells, so it has been copied.
                set_null(out.get_mut(start..).unwrap_or_default(), step.at);
                copied = cell.end;
                continue;
            }
            let is_bait = step.is_bait(row, &cell);
            if is_bait {
                step.react(cx)?;
            }
            let tie = step.tie.zip(self.ties.as_ref()).and_then(|(tie, ties)| ties.value(tie));
            copied = put_read((row, copied), &cell, (step, tie), &mut self.buffers, cx, out)?;
            if cell.value.is_some() {
                self.tally.cell(at);
                if is_bait {
                    self.tally.bait(at);
                }
            }
        }
        out.extend_from_slice(row.get(copied..end).unwrap_or_default());
        if let Some(ties) = &self.ties {
            keep_first(out, start, self.types.len(), ties.shown())?;
        }
        Ok(())
    }
}

impl Step {
    /// Whether a cell that is shown is bait.
    #[inline]
    fn is_bait(&self, row: &[u8], cell: &Cell) -> bool {
        let (Some(honey), Some(value)) = (&self.honey, &cell.value) else { return false };
        let stored = row.get(value.clone()).unwrap_or_default();
        // A value that is not sealed yet has no index.
        honey.is_bait(Envelope::parse(stored).ok().and_then(|envelope| envelope.index()))
    }

    /// Refuses a row with bait, if policy does, before the cell is opened.
    #[cold]
    fn react(&self, cx: &Context<'_>) -> Result<(), RewriteError> {
        let (CellAction::Open(grant) | CellAction::Mask(grant, _)) = &self.action else { return Ok(()) };
        match self.honey.as_ref().map(|honey| honey.reaction) {
            Some(HoneyReaction::Refuse) => Err(RewriteError::Bait { column: name(grant, cx)? }),
            Some(HoneyReaction::Log) | None => Ok(()),
        }
    }

    /// Whether NULL stands for every value.
    fn is_null(&self) -> bool {
        match &self.action {
            CellAction::Mask(_, mask) => **mask == Mask::Null,
            CellAction::Relay | CellAction::Open(_) | CellAction::Ciphertext(_) => false,
        }
    }
}

/// Copies what stands before the cell and puts the value in its place; NULL stays, and so does text that the server has
/// converted already. Returns up to where the row has been written.
#[inline]
fn put_read(
    (row, copied): (&[u8], usize),
    cell: &Cell,
    (step, tie): (&Step, Option<&RowValue>),
    buffers: &mut Buffers,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<usize, RewriteError> {
    let Some(value) = &cell.value else { return Ok(copied) };
    let grant = match &step.action {
        CellAction::Open(grant) => grant,
        CellAction::Mask(grant, mask) => {
            out.extend_from_slice(row.get(copied..cell.start).unwrap_or_default());
            let stored = row.get(value.clone()).unwrap_or_default();
            let Buffers { plain, masked } = buffers;
            mask::read(stored, (grant, mask), (step.column, tie), (plain, masked), cx)?;
            // A mask may be longer than what is stored.
            let rest = row.len().saturating_sub(cell.end);
            make_room(out, masked.len().saturating_add(lenenc::INTEGER_OCTETS_MAX).saturating_add(rest));
            put_text(masked.expose(), cx.results_charset, out);
            return Ok(cell.end);
        }
        CellAction::Ciphertext(id) => {
            out.extend_from_slice(row.get(copied..cell.start).unwrap_or_default());
            mask::put_envelope(row.get(value.clone()).unwrap_or_default(), *id, cx, out)?;
            return Ok(cell.end);
        }
        CellAction::Relay => return Ok(copied),
    };
    let plain = &mut buffers.plain;
    let Some(keys) = cx.ring.column(grant.column()) else {
        return Err(RewriteError::KeyUnavailable { column: name(grant, cx)? });
    };
    if !step.column.holds_bytes(keys) {
        return Ok(copied);
    }
    out.extend_from_slice(row.get(copied..cell.start).unwrap_or_default());
    let stored = row.get(value.clone()).unwrap_or_default();
    keys.read(grant, stored, tie, plain).map_err(|error| open_error(&error, grant, cx))?;
    put_text(plain.expose(), cx.results_charset, out);
    Ok(cell.end)
}

/// Sets the bit of a column in the NULL bitmap of a binary row, which two bits of no meaning begin.
fn set_null(row: &mut [u8], column: usize) {
    let bit = column.saturating_add(2);
    if let Some(byte) = row.get_mut(1_usize.saturating_add(bit >> 3)) {
        *byte |= 1 << (bit & 7);
    }
}

/// Appends a value as a length-encoded string in the character set of results.
#[inline]
fn put_text(text: &[u8], charset: Option<Charset>, out: &mut Vec<u8>) {
    match charset {
        Some(charset) if !is_relayed(Some(charset), text) => {
            lenenc::put_integer(converted_length(charset, text) as u64, out);
            put_converted(charset, text, out);
        }
        Some(_) | None => lenenc::put_string(text, out),
    }
}

/// A cell that cannot be opened, as the client hears of it.
pub(super) fn open_error(error: &OpenError, grant: &DecryptGrant, cx: &Context<'_>) -> RewriteError {
    let column = match name(grant, cx) {
        Ok(column) => column,
        Err(error) => return error,
    };
    match error {
        OpenError::UnknownKey(kid) => RewriteError::UnknownKey { column, kid: *kid },
        OpenError::Erased(_) => RewriteError::SubjectErased { column },
        OpenError::KeyNotUsable(_) => RewriteError::KeyBarred { column },
        OpenError::NotAnEnvelope | OpenError::Malformed(_) | OpenError::Tampered => RewriteError::Tampered { column },
        OpenError::NotRowBound => RewriteError::NotRowBound { column },
        // What it is bound to was looked for, and is none of that column's values.
        OpenError::RowBound if cx.policy.column(grant.column()).is_some_and(|found| found.bind.is_some()) => {
            RewriteError::Tampered { column }
        }
        OpenError::RowBound => RewriteError::RowBound { column },
        OpenError::NotGranted => RewriteError::PlanMismatch("grant"),
    }
}

pub(super) fn name(grant: &DecryptGrant, cx: &Context<'_>) -> Result<ColumnRef, RewriteError> {
    let protected = cx.policy.column(grant.column()).ok_or(RewriteError::PlanMismatch("column"))?;
    Ok(protected.column.clone())
}

#[cfg(test)]
mod tests;
