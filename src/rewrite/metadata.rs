//! Column definitions: what clients are told about a protected column, and the second lock on results.
//!
//! Lengths, collation ids and flags are those that MySQL 9.7 and MariaDB 10.11 send for a plain column of the logical
//! type; the tests hold them.

use super::{Context, ResultColumn, RewriteError};
use crate::plan::CellAction;
use crate::policy::{ColumnId, LogicalType, Mask, Policy, ProtectedColumn, TextSize};
use crate::schema::{Catalog, Charset, ServerKind, TableKind, TableRef};
use crate::wire::column::{ColumnAttributes, ColumnDefinition, ColumnType, flag};

/// Collations of utf8mb4 that policy may name, with their ids. Others are reported as the server's default.
const COLLATIONS: [(&str, u16); 12] = [
    ("utf8mb4_general_ci", 45),
    ("utf8mb4_bin", 46),
    ("utf8mb4_unicode_ci", 224),
    ("utf8mb4_unicode_520_ci", 246),
    ("utf8mb4_0900_ai_ci", 255),
    ("utf8mb4_de_pb_0900_ai_ci", 256),
    ("utf8mb4_0900_as_cs", 278),
    ("utf8mb4_ja_0900_as_cs", 303),
    ("utf8mb4_ja_0900_as_cs_ks", 304),
    ("utf8mb4_0900_as_ci", 305),
    ("utf8mb4_zh_0900_as_cs", 308),
    ("utf8mb4_0900_bin", 309),
];

/// The collation id of columns that hold bytes.
const BYTES: u16 = 63;

/// Appends a column definition as the client is to see it: unchanged, or restored from the logical type if its cells
/// are opened and stored as bytes. Refuses one that names another protected column than the plan expects.
pub fn column_definition(
    payload: &[u8],
    action: &CellAction,
    cx: &Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RewriteError> {
    let definition = ColumnDefinition::parse(payload)?;
    let named = names_protected(&definition, cx.policy, cx.results_charset);
    match action {
        CellAction::Relay => match named {
            Some(id) => Err(unplanned(cx, id)),
            None => {
                out.extend_from_slice(payload);
                Ok(())
            }
        },
        CellAction::Ciphertext(id) => match named.filter(|named| named != id) {
            Some(other) => Err(unplanned(cx, other)),
            None => {
                out.extend_from_slice(payload);
                Ok(())
            }
        },
        CellAction::Open(grant) | CellAction::Mask(grant, _) => {
            // Two columns of one envelope context may stand in one result column, but that is not planned yet.
            if let Some(id) = named.filter(|id| *id != grant.column()) {
                return Err(unplanned(cx, id));
            }
            let protected = cx.policy.column(grant.column()).ok_or(RewriteError::PlanMismatch("column"))?;
            // A column that is still text to the server is described by the server.
            let keys = cx.ring.column(grant.column());
            if keys.is_some_and(|keys| !ResultColumn::new(&definition.attributes).holds_bytes(keys)) {
                out.extend_from_slice(payload);
                return Ok(());
            }
            let mut attributes = restored(definition.attributes, protected, cx);
            if let CellAction::Mask(_, mask) = action
                && **mask == Mask::Null
            {
                attributes.flags &= !flag::NOT_NULL;
            }
            definition.put_with(&attributes, out);
            Ok(())
        }
    }
}

/// The second lock: the protected column that a column definition names by table and column name.
///
/// MySQL names a view in place of its base table, and nothing for an expression; those are the plan's to see. MariaDB
/// leaves the database empty for a materialised derived table: then table and column name decide.
pub fn names_protected(
    definition: &ColumnDefinition<'_>,
    policy: &Policy,
    results_charset: Option<Charset>,
) -> Option<ColumnId> {
    if definition.org_name.is_empty() || definition.org_table.is_empty() {
        return None;
    }
    (0_u32..).zip(policy.columns()).find_map(|(id, protected)| {
        let names = &protected.column;
        let is_named = same_name(definition.org_name, &names.column, results_charset)
            && same_name(definition.org_table, &names.table, results_charset)
            && (definition.schema.is_empty() || same_name(definition.schema, &names.database, results_charset));
        is_named.then_some(ColumnId(id))
    })
}

/// The view of which a column is announced as bytes that the catalog knows as text, or not at all: it was replaced since
/// the catalog was read, perhaps by one over a protected column.
///
/// Only views whose columns the server names are seen, and none where the client asks for text as bytes.
pub fn another_view<'a>(
    definition: &ColumnDefinition<'_>,
    catalog: &'a Catalog,
    default_database: Option<&str>,
    results_charset: Option<Charset>,
) -> Option<&'a TableRef> {
    const TYPES: [ColumnType; 7] = [
        ColumnType::Varchar,
        ColumnType::TinyBlob,
        ColumnType::MediumBlob,
        ColumnType::LongBlob,
        ColumnType::Blob,
        ColumnType::VarString,
        ColumnType::String,
    ];
    let ColumnAttributes { collation_id, column_type, .. } = definition.attributes;
    let is_bytes = collation_id == BYTES && TYPES.iter().any(|known| *known as u8 == column_type);
    if !is_bytes || results_charset == Some(Charset::Binary) || definition.org_name.is_empty() {
        return None;
    }
    let named = |name: &'_ [u8]| str::from_utf8(name).ok().map(str::to_owned);
    // The server leaves the database out where the view's column is an expression.
    let schema = named(definition.schema).filter(|schema| !schema.is_empty());
    let schema = schema.or_else(|| default_database.map(str::to_owned));
    let (table, column) = (named(definition.org_table)?, named(definition.org_name)?);
    let view = catalog.table(&schema?, &table).filter(|table| table.kind == TableKind::View)?;
    view.column(&column).is_none_or(|known| known.charset.is_some()).then_some(&view.name)
}

/// Whether a name in the character set of results can be this one. Case is folded, as policy does; a `?` in place of
/// a character that the set does not have counts as that character.
fn same_name(sent: &[u8], name: &str, charset: Option<Charset>) -> bool {
    if name.is_ascii() && sent.is_ascii() {
        return sent.eq_ignore_ascii_case(name.as_bytes());
    }
    let mut spelled = String::new();
    match charset {
        Some(Charset::Latin1) => spelled.extend(sent.iter().map(|byte| super::charset::latin1_char(*byte))),
        None | Some(Charset::Utf8mb4 | Charset::Utf8mb3 | Charset::Ascii | Charset::Binary) => {
            let Ok(sent) = str::from_utf8(sent) else { return false };
            spelled.push_str(sent);
        }
    }
    let (spelled, name) = (spelled.to_lowercase(), name.to_lowercase());
    let mut expected = name.chars();
    spelled
        .chars()
        .all(|sent| expected.next().is_some_and(|expected| sent == expected || (sent == '?' && !expected.is_ascii())))
        && expected.next().is_none()
}

fn unplanned(cx: &Context<'_>, id: ColumnId) -> RewriteError {
    match cx.policy.column(id) {
        Some(protected) => RewriteError::Unplanned { column: protected.column.clone() },
        None => RewriteError::PlanMismatch("column"),
    }
}

/// The attributes of a plain column of the logical type. Nullability and keys stay as the server reported them: a
/// prefix index on the stored column shows the flags that an index on a plain one would.
fn restored(stored: ColumnAttributes, protected: &ProtectedColumn, cx: &Context<'_>) -> ColumnAttributes {
    let is_binary = protected.collation.as_deref().is_some_and(|collation| collation.ends_with("_bin"));
    let (column_type, blob) = match protected.logical {
        LogicalType::Varchar { .. } => (ColumnType::VarString, 0),
        LogicalType::Text(_) => (ColumnType::Blob, flag::BLOB),
    };
    let flags = stored.flags & !(flag::BLOB | flag::BINARY) | blob | if is_binary { flag::BINARY } else { 0 };
    let collation_id = match cx.results_charset {
        None => own_collation_id(protected, cx.dialect.server.kind),
        Some(_) => cx.results_collation_id,
    };
    let length = length(protected.logical, cx.results_charset);
    ColumnAttributes { collation_id, length, column_type: column_type as u8, flags, decimals: stored.decimals }
}

/// The length that the server reports: characters times the widest character for VARCHAR; for TEXT its bytes times the
/// widest character where a conversion takes place, and its bytes where none does.
fn length(logical: LogicalType, results: Option<Charset>) -> u32 {
    let octets = |size| match size {
        TextSize::Tiny => 0xff,
        TextSize::Text => 0xffff,
        TextSize::Medium => 0xff_ffff,
        TextSize::Long => u32::MAX,
    };
    match (logical, results) {
        (LogicalType::Varchar { chars_max }, None) => chars_max.saturating_mul(Charset::Utf8mb4.bytes_per_char_max()),
        (LogicalType::Varchar { chars_max }, Some(charset)) => chars_max.saturating_mul(charset.bytes_per_char_max()),
        (LogicalType::Text(size), None) => octets(size),
        (LogicalType::Text(size), Some(charset)) => octets(size).saturating_mul(charset.bytes_per_char_max()),
    }
}

/// The collation id of the column itself, which is sent where results are not converted.
fn own_collation_id(protected: &ProtectedColumn, server: ServerKind) -> u16 {
    let named = protected.collation.as_deref().and_then(|collation| {
        COLLATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(collation)).map(|(_, id)| *id)
    });
    named.unwrap_or(match server {
        ServerKind::MySql => 255,
        ServerKind::MariaDb => 45,
    })
}

#[cfg(test)]
mod tests;
