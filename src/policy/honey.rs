//! Honey: columns and values that nobody has a reason to look at. Whoever is shown one raises an alarm.

use std::collections::HashMap;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use toml::Spanned;

use super::written::{Text, suggestion};
use super::{ColumnId, ProtectedColumn};

/// Values of a shorter index would be taken for each other too often: every false alarm makes a true one less heard.
const INDEX_LENGTH_MIN: u8 = 8;

/// The bait of a protected column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Honey {
    bait: Bait,
    /// What becomes of a result with bait in it.
    pub reaction: HoneyReaction,
}

/// What of a protected column is bait.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bait {
    /// All of it.
    Column,
    /// Cells whose blind index is one of these. Not the values: policy tells nobody what they are.
    Values(Vec<Box<[u8]>>),
}

/// What becomes of a result with bait in it. The alarm is raised in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoneyReaction {
    /// The client gets it, and notices nothing.
    #[default]
    Log,
    /// An error stands in place of the first row with bait and of all that come after it.
    Refuse,
}

impl Honey {
    /// Whether a cell with that blind index is bait.
    pub fn is_bait(&self, index: Option<&[u8]>) -> bool {
        match &self.bait {
            Bait::Column => true,
            Bait::Values(tags) => index.is_some_and(|index| tags.iter().any(|tag| **tag == *index)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenHoney {
    column: Spanned<String>,
    tags: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    reaction: HoneyReaction,
}

/// The bait by column, with what is wrong with it noted.
pub(super) fn honey(
    text: &mut Text<'_>,
    written: &[WrittenHoney],
    columns: &[ProtectedColumn],
    by_name: &HashMap<String, ColumnId>,
) -> HashMap<ColumnId, Honey> {
    let mut bait = HashMap::new();
    for one in written {
        let (name, at) = (one.column.get_ref(), one.column.span());
        let Some((id, column)) = by_name.get(&name.to_lowercase()).and_then(|id| {
            let place = usize::try_from(id.0).ok()?;
            Some((*id, columns.get(place)?))
        }) else {
            let hint = suggestion(name, by_name.keys().map(String::as_str));
            text.wrong(&at, format!("[[honey]] column `{name}` is not protected{hint}"));
            continue;
        };
        let of_column = match &one.tags {
            None => Bait::Column,
            Some(written) => Bait::Values(tags(text, written, column)),
        };
        if bait.insert(id, Honey { bait: of_column, reaction: one.reaction }).is_some() {
            text.wrong(&at, format!("[[honey]] column `{name}` stands twice: give its tags in one entry"));
        }
    }
    bait
}

fn tags(text: &mut Text<'_>, written: &Spanned<Vec<Spanned<String>>>, column: &ProtectedColumn) -> Vec<Box<[u8]>> {
    let length = column.index.as_ref().map_or(0, |index| index.length);
    if length < INDEX_LENGTH_MIN {
        let name = &column.column;
        text.wrong(
            &written.span(),
            format!("values are told by their blind index: `{name}` needs one of at least {INDEX_LENGTH_MIN} bytes"),
        );
        return Vec::new();
    }
    if written.get_ref().is_empty() {
        text.wrong(&written.span(), "tags is empty; without it the whole column is bait");
    }
    let mut tags = Vec::with_capacity(written.get_ref().len());
    for tag in written.get_ref() {
        match HEXLOWER_PERMISSIVE.decode(tag.get_ref().as_bytes()) {
            Ok(bytes) if bytes.len() == usize::from(length) => tags.push(bytes.into()),
            Ok(_) | Err(_) => text.wrong(
                &tag.span(),
                format!("a tag of `{}` has {length} bytes in hexadecimal; `candado inspect` shows it", column.column),
            ),
        }
    }
    tags
}
