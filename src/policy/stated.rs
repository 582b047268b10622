//! `subject` and `bind`: columns of a protected column's table whose values every write must state. Either of them is one
//! column of its table, and is not protected itself: the database must find it.

use serde::Deserialize;
use toml::Spanned;

use super::column::{Bind, ProtectedColumn, Unbound};
use super::file::{Column, column_ref};
use super::written::Text;

/// `unbound` of a column with `bind`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenUnbound {
    Accept,
    Refuse,
}

/// What a column's envelopes are bound to.
pub(super) fn bind(text: &mut Text<'_>, column: &Column) -> Option<Bind> {
    let unbound = match column.unbound.as_ref().map(|unbound| unbound.get_ref()) {
        Some(WrittenUnbound::Accept) => Unbound::Accepted,
        Some(WrittenUnbound::Refuse) | None => Unbound::Refused,
    };
    match (&column.bind, &column.subject, &column.unbound) {
        (None, _, None) => None,
        (None, _, Some(unbound)) => {
            text.wrong(&unbound.span(), "unbound is said of a column with `bind`");
            None
        }
        (Some(bind), Some(_), _) => {
            text.wrong(&bind.span(), "a column has `bind` or `subject`, not both");
            None
        }
        (Some(bind), None, _) => Some(Bind { to: bind.get_ref().as_str().into(), unbound }),
    }
}

/// Checks the columns that are named so.
pub(super) fn stated(text: &mut Text<'_>, written: &[Column], columns: &[ProtectedColumn]) {
    for of in written {
        for (what, place) in [("subject", &of.subject), ("bind", &of.bind)] {
            if let (Some(place), Some(column)) = (place, column_ref(of.name.get_ref())) {
                check(text, (what, place), &column.table_ref().to_string().to_lowercase(), columns);
            }
        }
    }
}

fn check(text: &mut Text<'_>, (what, place): (&str, &Spanned<String>), table: &str, columns: &[ProtectedColumn]) {
    let (name, at) = (place.get_ref(), place.span());
    if name.is_empty() || name.chars().count() > 64 || name.contains('\0') {
        text.wrong(&at, format!("{what} is the bare name of a column of the same table"));
    }
    for other in columns.iter().filter(|other| other.column.table_ref().to_string().to_lowercase() == table) {
        if other.column.column.to_lowercase() == name.to_lowercase() {
            text.wrong(&at, format!("{what} `{name}` is a protected column, which the database cannot find"));
        }
        if other.stated().is_some_and(|stated| stated.to_lowercase() != name.to_lowercase()) {
            let other = &other.column;
            let why = if what == "subject" {
                "the rows of a table are one person's"
            } else {
                "the columns of a table name one column for `bind` and `subject`"
            };
            text.wrong(&at, format!("{what} `{name}` is not that of `{other}`: {why}"));
        }
    }
}
