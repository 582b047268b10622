//! By which columns a role may look rows up although it does not see their values.

use std::collections::HashSet;

use serde::Deserialize;
use toml::Spanned;

use super::access::Protected;
use super::written::{Text, suggestion};
use super::{Access, ColumnId, Role};

/// What a role may search for, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchGrant {
    columns: HashSet<ColumnId>,
    /// Values that an account of the role may search for in a minute, over all of its connections.
    pub per_minute: u32,
}

impl SearchGrant {
    /// A grant for those columns.
    #[cfg(test)]
    pub(crate) fn of(columns: impl IntoIterator<Item = ColumnId>, per_minute: u32) -> Self {
        Self { columns: columns.into_iter().collect(), per_minute }
    }

    /// Whether the role may search by the column.
    pub fn covers(&self, column: ColumnId) -> bool {
        self.columns.contains(&column)
    }
}

/// `[role.NAME.search]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSearch {
    columns: Vec<Spanned<String>>,
    per_minute: Option<Spanned<u32>>,
}

/// Somebody at a desk asks for less; a list of all phone numbers is tried for longer.
const PER_MINUTE: u32 = 30;
/// A limit above this one is none.
const PER_MINUTE_MAX: u32 = 100_000;

impl WrittenSearch {
    /// What it says for a role, with what is wrong with it noted.
    pub(super) fn checked(&self, text: &mut Text<'_>, of: &Role, protected: &Protected<'_>) -> SearchGrant {
        let role = &of.name;
        let mut columns = HashSet::new();
        for written in &self.columns {
            let (name, at) = (written.get_ref(), written.span());
            let Some((id, column)) = protected.named(name).and_then(|id| Some((id, protected.column(id)?))) else {
                let hint = suggestion(name, protected.by_name.keys().map(String::as_str));
                text.wrong(&at, format!("role `{role}`: `{name}` is no protected column{hint}"));
                continue;
            };
            if column.index.is_none() {
                text.wrong(&at, format!("role `{role}`: `{name}` has no index to search by"));
            }
            if of.access(id) == Access::Plain {
                text.wrong(&at, format!("role `{role}` sees the values of `{name}`, and searches by them anyway"));
            }
            if !columns.insert(id) {
                text.wrong(&at, format!("role `{role}`: search by `{name}` is granted twice"));
            }
        }
        let per_minute = match &self.per_minute {
            None => PER_MINUTE,
            Some(written) => {
                if !(1..=PER_MINUTE_MAX).contains(written.get_ref()) {
                    text.wrong(&written.span(), format!("per_minute is 1 to {PER_MINUTE_MAX}"));
                }
                *written.get_ref()
            }
        };
        SearchGrant { columns, per_minute }
    }
}

#[cfg(test)]
mod tests;
