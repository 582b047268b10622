//! What roles may do with columns, as written: for a column, for a keyset, or for all the rest, in this order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::Deserializer;
use toml::Spanned;

use super::mask::WrittenMask;
use super::written::{Text, suggestion, word_or_table};
use super::{Access, ColumnId, Mask, ProtectedColumn};

/// Which line of a role decides about a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The column's, in `columns`.
    Column,
    /// Its keyset's, in `keysets`.
    Keyset,
    /// The role's `access`.
    Role,
}

impl Basis {
    /// The key of the role that it stands under.
    pub fn name(self) -> &'static str {
        match self {
            Self::Column => "columns",
            Self::Keyset => "keysets",
            Self::Role => "access",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenAccess {
    Plain,
    Masked,
    Ciphertext,
    Deny,
}

impl From<WrittenAccess> for Access {
    fn from(written: WrittenAccess) -> Self {
        match written {
            WrittenAccess::Plain => Self::Plain,
            WrittenAccess::Masked => Self::Masked,
            WrittenAccess::Ciphertext => Self::Ciphertext,
            WrittenAccess::Deny => Self::Deny,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    access: WrittenAccess,
    mask: Option<WrittenMask>,
}

/// An exception for a column: an access, or a table with a mask of its own.
#[derive(Debug)]
pub(super) struct WrittenRight(Table);

impl<'de> Deserialize<'de> for WrittenRight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_table(deserializer, "an access, or a table with `access`", |access| Table { access, mask: None })
            .map(Self)
    }
}

/// What is protected, for those who read what roles may do with it.
pub(super) struct Protected<'a> {
    pub(super) columns: &'a [ProtectedColumn],
    pub(super) by_name: &'a HashMap<String, ColumnId>,
    pub(super) keysets: &'a [&'a str],
    /// Masks that columns have for every role without another one.
    pub(super) masks: HashMap<ColumnId, Arc<Mask>>,
}

impl Protected<'_> {
    /// The protected column of a written name.
    pub(super) fn named(&self, name: &str) -> Option<ColumnId> {
        let name = super::file::column_ref(name)?;
        self.by_name.get(&name.to_string().to_lowercase()).copied()
    }

    /// A protected column.
    pub(super) fn column(&self, id: ColumnId) -> Option<&ProtectedColumn> {
        self.columns.get(usize::try_from(id.0).ok()?)
    }

    fn ids(&self) -> impl Iterator<Item = (ColumnId, &ProtectedColumn)> {
        (0_u32..).map(ColumnId).zip(self.columns)
    }
}

/// What one role may do.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// Where it is not what the role may do with all columns.
    pub(super) columns: HashMap<ColumnId, Access>,
    pub(super) masks: HashMap<ColumnId, Arc<Mask>>,
    pub(super) bases: HashMap<ColumnId, Basis>,
}

/// A role as written.
pub(super) struct Lines<'a> {
    pub(super) name: &'a str,
    pub(super) at: Range<usize>,
    pub(super) access: Access,
    pub(super) keysets: &'a BTreeMap<String, Spanned<WrittenAccess>>,
    pub(super) columns: &'a BTreeMap<String, Spanned<WrittenRight>>,
}

/// The masks that columns name for themselves.
pub(super) fn masks<'w>(
    text: &mut Text<'_>,
    written: impl IntoIterator<Item = (&'w str, &'w Spanned<WrittenMask>)>,
    protected: &Protected<'_>,
) -> HashMap<ColumnId, Arc<Mask>> {
    let mut masks = HashMap::new();
    for (name, mask) in written {
        if let Some((id, column)) = protected.named(name).and_then(|id| protected.ids().find(|(found, _)| *found == id))
        {
            masks.insert(id, Arc::new(mask.get_ref().checked(text, &mask.span(), column)));
        }
    }
    masks
}

/// What a role may do with each column. The column's line counts before its keyset's, and that before the role's.
pub(super) fn rights(text: &mut Text<'_>, role: &Lines<'_>, protected: &Protected<'_>) -> Rights {
    let name = role.name;
    let mut rights = Rights::default();
    for (keyset, access) in role.keysets {
        if !protected.keysets.contains(&keyset.as_str()) {
            let hint = suggestion(keyset, protected.keysets.iter().copied());
            text.wrong(&access.span(), format!("role `{name}`: keyset `{keyset}` is not among `keysets`{hint}"));
        }
        for (id, _) in protected.ids().filter(|(_, column)| *column.keyset == **keyset) {
            rights.columns.insert(id, Access::from(*access.get_ref()));
            rights.bases.insert(id, Basis::Keyset);
        }
    }
    let mut places = HashMap::new();
    for (written, right) in role.columns {
        let Some(id) = protected.named(written) else {
            let hint = suggestion(written, protected.by_name.keys().map(String::as_str));
            text.wrong(&right.span(), format!("role `{name}`: `{written}` is no protected column{hint}"));
            continue;
        };
        let Table { access, mask } = &right.get_ref().0;
        let access = Access::from(*access);
        if let Some(mask) = mask {
            if access != Access::Masked {
                text.wrong(&right.span(), format!("role `{name}`: a mask belongs to access \"masked\""));
            }
            let column = protected.ids().find(|(found, _)| *found == id);
            if let Some((_, column)) = column {
                rights.masks.insert(id, Arc::new(mask.checked(text, &right.span(), column)));
            }
        }
        places.insert(id, right.span());
        rights.columns.insert(id, access);
        rights.bases.insert(id, Basis::Column);
    }
    for (id, column) in protected.ids() {
        let access = rights.columns.get(&id).copied().unwrap_or(role.access);
        if access != Access::Masked || rights.masks.contains_key(&id) {
            continue;
        }
        match protected.masks.get(&id) {
            Some(mask) => {
                rights.masks.insert(id, mask.clone());
            }
            None => {
                let column = &column.column;
                let at = places.get(&id).unwrap_or(&role.at);
                text.wrong(
                    at,
                    format!("role `{name}`: `{column}` is masked and has no mask: write `mask` in its [[column]]"),
                );
            }
        }
    }
    rights
}
