//! What roles may do with columns, as written: for a column, for a keyset, or for all the rest, in this order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::Deserializer;
use toml::Spanned;

use super::mask::WrittenMask;
use super::written::{Text, suggestion, word_or_table};
use super::{Access, ColumnId, ColumnRules, Mask, ProtectedColumn};

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
    /// What is said of each column beside.
    pub(super) rules: &'a [ColumnRules],
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

/// What a role may do with one column, as one of its lines says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// What it may do.
    pub access: Access,
    /// The line that says so.
    pub basis: Basis,
    /// What it sees in place of the value, if that is not what the column names for all roles.
    pub mask: Option<Arc<Mask>>,
}

/// A role as written.
pub(super) struct Lines<'a> {
    pub(super) name: &'a str,
    pub(super) at: Range<usize>,
    pub(super) access: Access,
    pub(super) keysets: &'a BTreeMap<String, Spanned<WrittenAccess>>,
    pub(super) columns: &'a BTreeMap<String, Spanned<WrittenRight>>,
}

/// What the lines of a role say of columns. A column's line counts before its keyset's, and that before the role's.
pub(super) fn rights(text: &mut Text<'_>, role: &Lines<'_>, protected: &Protected<'_>) -> HashMap<ColumnId, Right> {
    let name = role.name;
    let mut rights = HashMap::new();
    for (keyset, access) in role.keysets {
        if !protected.keysets.contains(&keyset.as_str()) {
            let hint = suggestion(keyset, protected.keysets.iter().copied());
            text.wrong(&access.span(), format!("role `{name}`: keyset `{keyset}` is not among `keysets`{hint}"));
        }
        for (id, _) in protected.ids().filter(|(_, column)| *column.keyset == **keyset) {
            let access = Access::from(*access.get_ref());
            rights.insert(id, Right { access, basis: Basis::Keyset, mask: None });
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
        if let (Some(_), Access::Plain | Access::Ciphertext | Access::Deny) = (mask, access) {
            text.wrong(&right.span(), format!("role `{name}`: a mask belongs to access \"masked\""));
        }
        let mask = mask.as_ref().zip(protected.column(id));
        let mask = mask.map(|(mask, column)| Arc::new(mask.checked(text, &right.span(), column)));
        places.insert(id, right.span());
        rights.insert(id, Right { access, basis: Basis::Column, mask });
    }
    for ((id, column), rules) in protected.ids().zip(protected.rules) {
        let (access, own) = rights.get(&id).map_or((role.access, None), |right| (right.access, right.mask.as_ref()));
        if access == Access::Masked && own.or(rules.mask.as_ref()).is_none() {
            let column = &column.column;
            let text_of = "is masked and has no mask: write `mask` in its [[column]]";
            text.wrong(places.get(&id).unwrap_or(&role.at), format!("role `{name}`: `{column}` {text_of}"));
        }
    }
    rights
}
