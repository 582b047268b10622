//! Columns that cells of a result are bound to, as they are put behind its select list.

use crate::plan::Bound;
use crate::rewrite::Context;
use crate::rewrite::unify::put_name;

/// The text of the columns.
pub(super) fn text(bound: &Bound, cx: &Context<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    for tie in &bound.ties {
        let (before, behind) = tie.form.cast();
        text.extend_from_slice(&[b", ", before.as_bytes()].concat());
        put_name(&tie.table, cx, &mut text);
        text.push(b'.');
        put_name(&tie.column, cx, &mut text);
        text.extend_from_slice(behind.as_bytes());
    }
    text
}
