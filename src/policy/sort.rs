//! Columns by whose values the proxy sorts: `sort` and `sort_rows` of a `[[column]]`, as written and checked.

use serde::Deserialize;
use toml::Spanned;

use super::written::Text;
use crate::schema::SortOrder;

/// Rows of a result that are sorted unless policy says otherwise.
const ROWS: u32 = 10_000;
/// Rows that policy may allow at most.
const ROWS_MAX: u32 = 1_000_000;

/// How the proxy sorts by a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SortRule {
    /// The order of the column's collation.
    pub order: SortOrder,
    /// Most rows of a result that are sorted.
    pub rows_max: u32,
}

/// `sort`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenSort {
    Refuse,
    Proxy,
}

/// What a column says of its order.
pub(super) fn rule(
    text: &mut Text<'_>,
    sort: Option<&Spanned<WrittenSort>>,
    rows: Option<&Spanned<u32>>,
    collation: Option<&Spanned<String>>,
) -> Option<SortRule> {
    let proxied = sort.filter(|sort| matches!(sort.get_ref(), WrittenSort::Proxy));
    if let (None, Some(rows)) = (proxied, rows) {
        text.wrong(&rows.span(), "sort_rows belongs to `sort = \"proxy\"`");
    }
    let proxied = proxied?;
    let rows_max = rows.map_or(ROWS, |rows| *rows.get_ref());
    if let Some(at) = rows.filter(|_| !(1..=ROWS_MAX).contains(&rows_max)) {
        text.wrong(&at.span(), format!("sort_rows: 1 to {ROWS_MAX}"));
    }
    let known = SortOrder::NAMES.join(", ");
    let Some(collation) = collation else {
        text.wrong(&proxied.span(), format!("sort = \"proxy\" needs the column's `collation`, one of {known}"));
        return None;
    };
    let order = SortOrder::of(collation.get_ref());
    if order.is_none() {
        let name = collation.get_ref();
        text.wrong(
            &collation.span(),
            format!("the order of collation `{name}` is not known to the proxy: {known} are"),
        );
    }
    Some(SortRule { order: order?, rows_max })
}
