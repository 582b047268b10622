//! Stored procedures that may be called although they reach protected tables, and what of them is protected.

use std::collections::HashMap;

use serde::Deserialize;
use toml::Spanned;

use super::ColumnId;
use super::file::column_ref;
use super::written::{Text, suggestion};

/// A procedure that policy allows CALL of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRoutine {
    /// Its database, folded.
    database: Box<str>,
    /// Its name, folded.
    name: Box<str>,
    /// For each argument the column whose values it takes; none for one that is passed on as it is written.
    pub arguments: Vec<Option<ColumnId>>,
    /// For each result set and each of its columns the column whose values it shows. Empty: results are passed on.
    pub results: Vec<Vec<Option<ColumnId>>>,
}

impl AllowedRoutine {
    /// Every protected column that is declared.
    pub fn columns(&self) -> impl Iterator<Item = ColumnId> {
        self.arguments.iter().chain(self.results.iter().flatten()).copied().flatten()
    }

    /// Whether it is the one of that name. Routines' names fold case on every server.
    pub(super) fn is_named(&self, database: &str, name: &str) -> bool {
        *self.database == database.to_lowercase() && *self.name == name.to_lowercase()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRoutine {
    name: Spanned<String>,
    #[serde(default)]
    arguments: Vec<Spanned<String>>,
    #[serde(default)]
    results: Vec<Vec<Spanned<String>>>,
}

/// What stands for a value that is not protected.
const UNPROTECTED: &str = "-";

/// The routines, with what is wrong with them noted.
pub(super) fn routines(
    text: &mut Text<'_>,
    written: &[WrittenRoutine],
    columns: &HashMap<String, ColumnId>,
) -> Vec<AllowedRoutine> {
    let mut routines: Vec<AllowedRoutine> = Vec::with_capacity(written.len());
    for routine in written {
        let (name, at) = (routine.name.get_ref(), routine.name.span());
        // A routine's name is a table's, and a table's is a column's without its last part.
        let Some(named) = column_ref(&format!("{name}.column")) else {
            text.wrong(&at, "a routine's name is `database.routine`; a part with a dot in it stands in backticks");
            continue;
        };
        if routines.iter().any(|other| other.is_named(&named.database, &named.table)) {
            text.wrong(&at, format!("routine `{name}` is allowed twice"));
        }
        let mut declared = |written: &[Spanned<String>]| -> Vec<Option<ColumnId>> {
            written.iter().map(|column| declared(text, column, columns)).collect()
        };
        routines.push(AllowedRoutine {
            database: named.database.to_lowercase().into(),
            name: named.table.to_lowercase().into(),
            arguments: declared(&routine.arguments),
            results: routine.results.iter().map(|result| declared(result)).collect(),
        });
    }
    routines
}

fn declared(text: &mut Text<'_>, written: &Spanned<String>, columns: &HashMap<String, ColumnId>) -> Option<ColumnId> {
    let name = written.get_ref();
    if name == UNPROTECTED {
        return None;
    }
    let found = column_ref(name).and_then(|column| columns.get(&column.to_string().to_lowercase()).copied());
    if found.is_none() {
        let hint = suggestion(name, columns.keys().map(String::as_str));
        text.wrong(&written.span(), format!("`{name}` is no protected column, and not `-`{hint}"));
    }
    found
}
