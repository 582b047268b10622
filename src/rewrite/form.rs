//! In which form the values of a column are written, looked up and read, by the column's stage and by how the server
//! stores it.

use super::Context;
use crate::crypto::{ColumnKeys, Holds, KeyId, Plaintext, Stage, Writes};
use crate::plan::{Splice, SpliceKind};
use crate::policy::{IndexSpec, ProtectedColumn};
use crate::wire::column::{ColumnAttributes, ColumnType};

/// Collation id of bytes.
const BINARY: u16 = 63;

/// What stands for a value that is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchForm {
    /// The ranges of its envelopes.
    Envelopes,
    /// The ranges of its envelopes, or the value itself.
    Both,
    /// What the client wrote: the column is text to the server, which compares it by its collation.
    AsWritten,
}

impl SearchForm {
    /// The form for a column.
    ///
    /// Before and after the change of type that comes with encryption, the column is a character type and can hold no
    /// envelope. Between [`Stage::Encrypting`] and [`Stage::Sealed`] it cannot be one: a catalog that says so is older
    /// than the change.
    pub(super) fn of(keys: &ColumnKeys, protected: &ProtectedColumn, cx: &Context<'_>) -> Self {
        match keys.stage() {
            Stage::Sealed => Self::Envelopes,
            Stage::Encrypting => Self::Both,
            Stage::Plain | Stage::Decrypting if is_stored_as_text(protected, cx) => Self::AsWritten,
            Stage::Plain | Stage::Decrypting => Self::Both,
        }
    }
}

/// Whether the server keeps the column as text, as it was before anybody thought of encryption.
pub(super) fn is_stored_as_text(protected: &ProtectedColumn, cx: &Context<'_>) -> bool {
    let names = &protected.column;
    let table = cx.catalog.table(&names.database, &names.table);
    table.and_then(|table| table.column(&names.column)).is_some_and(|column| !column.keeps_bytes())
}

/// What a prepared statement's text on the server was made with, for one literal or list of values. Where that is
/// another today, the text has to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LiteralForm {
    /// An envelope under this data key; `None` where none may be made.
    Envelope(Option<KeyId>, IndexForm),
    /// The value itself.
    Text,
    /// A look-up.
    Search(SearchForm, IndexForm),
}

/// What a blind index depends on beside the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexForm {
    spec: Option<IndexSpec>,
    /// The prefix of the empty value under each key, the active one first: another key gives another one.
    empty: Vec<Vec<u8>>,
}

impl IndexForm {
    fn of(keys: &ColumnKeys, protected: &ProtectedColumn) -> Self {
        let empty = keys.search(&Plaintext::new()).unwrap_or_default();
        Self { spec: protected.index.clone(), empty: empty.into_iter().map(|range| range.low).collect() }
    }
}

impl LiteralForm {
    /// The form of a splice's literals.
    pub(super) fn of(splice: &Splice, keys: &ColumnKeys, protected: &ProtectedColumn, cx: &Context<'_>) -> Self {
        match splice.kind {
            SpliceKind::Seal(_) => Self::stored(keys, protected),
            SpliceKind::Constant(_) => Self::shown(keys, protected, cx),
            SpliceKind::Search { .. }
            | SpliceKind::NullIf { .. }
            | SpliceKind::Match { .. }
            | SpliceKind::Rows { .. }
            | SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Joined(_)
            | SpliceKind::Set(_)
            | SpliceKind::Kept(_) => Self::searched(keys, protected, cx),
        }
    }

    /// The form of a literal that is stored.
    pub(super) fn stored(keys: &ColumnKeys, protected: &ProtectedColumn) -> Self {
        match keys.stage().writes() {
            Writes::Envelopes => Self::Envelope(keys.active_key(), IndexForm::of(keys, protected)),
            Writes::Plaintext => Self::Text,
        }
    }

    /// The form of a literal that is shown beside the column's values.
    pub(super) fn shown(keys: &ColumnKeys, protected: &ProtectedColumn, cx: &Context<'_>) -> Self {
        match SearchForm::of(keys, protected, cx) {
            SearchForm::AsWritten => Self::searched(keys, protected, cx),
            SearchForm::Envelopes | SearchForm::Both => Self::stored(keys, protected),
        }
    }

    /// The form of literals that are looked up.
    pub(super) fn searched(keys: &ColumnKeys, protected: &ProtectedColumn, cx: &Context<'_>) -> Self {
        Self::Search(SearchForm::of(keys, protected, cx), IndexForm::of(keys, protected))
    }
}

/// How a result's column came from the server, which decides how its cells are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub(super) column_type: u8,
    pub(super) collation_id: u16,
}

impl ResultColumn {
    /// The column that a definition of the server's describes.
    pub fn new(attributes: &ColumnAttributes) -> Self {
        Self { column_type: attributes.column_type, collation_id: attributes.collation_id }
    }

    /// Whether cells of a protected column are the column's bytes, to be opened and converted here, and not text that
    /// the server has converted already. The server's own word counts: it is never older than the rows.
    pub(super) fn holds_bytes(self, keys: &ColumnKeys) -> bool {
        match keys.stage().holds() {
            Holds::Envelopes => true,
            Holds::Both => self.collation_id == BINARY && self.is_string(),
        }
    }

    fn is_string(self) -> bool {
        matches!(
            ColumnType::from_byte(self.column_type),
            Ok(ColumnType::TinyBlob
                | ColumnType::MediumBlob
                | ColumnType::LongBlob
                | ColumnType::Blob
                | ColumnType::Varchar
                | ColumnType::VarString
                | ColumnType::String)
        )
    }
}
