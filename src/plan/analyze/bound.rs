//! Cells that are bound to their rows: the values that they are bound to are fetched with them (see [`crate::plan::Bound`]).
//!
//! Only one SELECT over the table itself is sure to show of each row both, so such cells are shown there alone.

use super::construct;
use super::{Analysis, Refusal, Scope, fold};
use crate::plan::scope::{Origin, Output, Slot};
use crate::plan::{Bound, Tie};
use crate::policy::{Access, ColumnId};
use crate::sql::tree::Select;

impl Analysis<'_> {
    /// Has the values fetched that the cells of the outermost SELECT are bound to.
    pub(super) fn bind(&mut self, select: &Select, outputs: &[Output], scope: &Scope<'_>) -> Result<(), Refusal> {
        let bound: Vec<(usize, ColumnId)> = self.bound_among(outputs).collect();
        let Some((_, first)) = bound.first().copied() else { return Ok(()) };
        let before = Some(select).filter(|select| self.shows_rows(select));
        let before = before.and_then(|select| self.end_of_list(&select.items));
        let before = before.ok_or_else(|| self.unsupported_to_all(first, construct::BOUND_ALONE))?;
        if self.sorting.as_ref().is_some_and(|sorting| !sorting.added.is_empty()) {
            return Err(self.unsupported(first, construct::ORDER_HIDDEN));
        }
        let slots = self.listed_slots(&select.items, scope)?;
        let mut found = Bound { before, ties: Vec::new(), cells: Vec::new() };
        for (at, column) in bound {
            let tie = slots.get(at).copied().flatten().and_then(|slot| self.tie(column, slot, scope));
            let tie = tie.ok_or_else(|| self.unsupported_to_all(column, construct::BOUND_ALONE))?;
            let known = found.ties.iter().position(|known| *known == tie);
            let position = known.unwrap_or(found.ties.len());
            if known.is_none() {
                found.ties.push(tie);
            }
            found.cells.push((at, position));
        }
        self.bound = Some(found);
        Ok(())
    }

    /// Refuses columns of a result whose cells are bound, if it is not known to what.
    pub(super) fn all_bound(&self, outputs: &[Output]) -> Result<(), Refusal> {
        let cells = self.bound.as_ref().map(|bound| bound.cells.as_slice()).unwrap_or_default();
        let missing = self.bound_among(outputs).find(|(at, _)| !cells.iter().any(|(cell, _)| cell == at));
        missing.map_or(Ok(()), |(_, column)| Err(self.unsupported_to_all(column, construct::BOUND_ALONE)))
    }

    /// The columns of a result that are bound to their rows and are opened.
    fn bound_among<'o>(&self, outputs: &'o [Output]) -> impl Iterator<Item = (usize, ColumnId)> + use<'_, 'o> {
        let shown = outputs.iter().enumerate().filter_map(|(at, output)| Some((at, output.protected?)));
        shown.filter(|(_, column)| self.is_opened_bound(*column))
    }

    /// Whether a column's cells are bound to their rows, and opened for the role.
    pub(super) fn is_opened_bound(&self, column: ColumnId) -> bool {
        let is_bound = self.cx.policy.column(column).is_some_and(|protected| protected.bind.is_some());
        match self.access(column) {
            Access::Plain | Access::Masked => is_bound,
            // An envelope is shown as it is.
            Access::Ciphertext | Access::Deny => false,
        }
    }

    /// The column that a cell of a table is bound to, of the same row.
    fn tie(&self, column: ColumnId, slot: Slot, scope: &Scope<'_>) -> Option<Tie> {
        let source = scope.sources.get(slot.source)?;
        match source.origin {
            Origin::Table => {}
            Origin::Other => return None,
        }
        let named = scope.sources.iter().filter(|other| self.table_names().equal(&other.label, &source.label));
        if named.count() != 1 {
            return None;
        }
        let protected = self.cx.policy.column(column)?;
        let (name, _) = self.stated(column)?;
        let form = self.stated_form(protected, name)?;
        let name = fold(name);
        let stated = source.columns.iter().find(|found| found.name.as_deref() == Some(&*name))?;
        Some(Tie { table: source.label.clone(), column: stated.spelled.clone()?, form })
    }
}
