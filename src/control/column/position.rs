//! Places in a table: values of its primary key, and the SQL that walks from one to the next.
//!
//! A value travels as bytes (digits, UTF-8 text, or the bytes of a binary column) and stands in statements as a literal
//! of its column's own type and collation, so that the server compares as the primary key does and uses its index.

use std::sync::Arc;

use crate::control::column_check::quoted;

/// How a part of the primary key is read and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    /// Integers with a sign.
    Signed,
    /// Integers without one.
    Unsigned,
    /// Text; compared under the column's collation.
    Text {
        /// The column's character set.
        charset: String,
        /// The column's collation.
        collation: String,
    },
    /// BINARY, VARBINARY.
    Bytes,
    /// Types that have a text form: dates, times, decimals, MariaDB's UUID. The name is CAST's.
    Cast(String),
}

/// One column of the primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPart {
    pub(super) name: Arc<str>,
    pub(super) kind: PartKind,
}

impl KeyPart {
    /// The column in a select list, in the form that a [`Position`] keeps.
    pub(super) fn selected(&self) -> String {
        let name = quoted(&self.name);
        match &self.kind {
            PartKind::Signed | PartKind::Unsigned | PartKind::Bytes => format!("t.{name}"),
            PartKind::Text { .. } => format!("CONVERT(t.{name} USING utf8mb4)"),
            PartKind::Cast(_) => format!("CAST(t.{name} AS CHAR)"),
        }
    }

    /// A value as it stands in a list of values: bytes in hexadecimal, or digits.
    pub(super) fn value(&self, bytes: &[u8]) -> String {
        match &self.kind {
            // Digits and a sign come from the server; whatever else came would stand as bytes and match nothing.
            PartKind::Signed | PartKind::Unsigned if is_integer(bytes) => {
                bytes.iter().copied().map(char::from).collect()
            }
            PartKind::Signed | PartKind::Unsigned | PartKind::Text { .. } | PartKind::Bytes | PartKind::Cast(_) => {
                hexadecimal(bytes)
            }
        }
    }

    /// That value, or a column that holds such values, with the type of the key's column.
    pub(super) fn typed(&self, value: &str) -> String {
        match &self.kind {
            PartKind::Signed => format!("CAST({value} AS SIGNED)"),
            PartKind::Unsigned => format!("CAST({value} AS UNSIGNED)"),
            PartKind::Bytes => value.to_owned(),
            PartKind::Text { charset, collation } if charset == "utf8mb4" => {
                format!("CONVERT({value} USING utf8mb4) COLLATE {collation}")
            }
            PartKind::Text { charset, collation } => {
                format!("CONVERT(CONVERT({value} USING utf8mb4) USING {charset}) COLLATE {collation}")
            }
            PartKind::Cast(kind) => format!("CAST(CONVERT({value} USING utf8mb4) AS {kind})"),
        }
    }

    /// A value that gives a list of values its type.
    pub(super) fn specimen(&self) -> &'static str {
        match &self.kind {
            PartKind::Signed => "CAST(0 AS SIGNED)",
            PartKind::Unsigned => "CAST(0 AS UNSIGNED)",
            PartKind::Text { .. } | PartKind::Bytes | PartKind::Cast(_) => "x''",
        }
    }
}

fn is_integer(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Bytes as a hexadecimal literal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2).saturating_add(3));
    push_hexadecimal(&mut text, bytes);
    text
}

/// Appends such a literal.
pub(super) fn push_hexadecimal(text: &mut String, bytes: &[u8]) {
    text.push_str("x'");
    data_encoding::HEXLOWER.encode_append(bytes, text);
    text.push('\'');
}

/// A primary key's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position(pub(super) Vec<Vec<u8>>);

impl Position {
    /// The form that is kept in the database and hashed: each value after its length.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for value in &self.0 {
            out.extend_from_slice(&(value.len() as u32).to_be_bytes());
            out.extend_from_slice(value);
        }
        out
    }

    /// The reverse. `None` if the bytes are no position of so many values.
    pub(super) fn decode(mut bytes: &[u8], parts: usize) -> Option<Self> {
        let mut values = Vec::with_capacity(parts);
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            values.push(value.to_vec());
            bytes = rest;
        }
        (bytes.is_empty() && values.len() == parts).then_some(Self(values))
    }

    /// The position for people: `id = 17, region = 'eu'`. Bytes that are no text stand in hexadecimal.
    pub(super) fn described(&self, key: &[KeyPart]) -> String {
        let mut text = String::new();
        for (part, value) in key.iter().zip(&self.0) {
            let separator = if text.is_empty() { "" } else { ", " };
            let shown = match (&part.kind, std::str::from_utf8(value)) {
                (PartKind::Bytes, _) | (_, Err(_)) => hexadecimal(value),
                (PartKind::Signed | PartKind::Unsigned, Ok(digits)) => digits.to_owned(),
                (PartKind::Text { .. } | PartKind::Cast(_), Ok(value)) => format!("'{}'", value.escape_default()),
            };
            text.push_str(&format!("{separator}{} = {shown}", part.name));
        }
        text
    }
}

/// A stretch of the table: after `lower`, up to and with `upper`. An end that is missing is the table's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) lower: Option<Position>,
    pub(super) upper: Option<Position>,
}

impl Stretch {
    /// The condition on `t`. Neither server uses an index for `(a, b) > (x, y)`; of the expanded form both make ranges.
    pub(super) fn condition(&self, key: &[KeyPart]) -> String {
        let lower = self.lower.as_ref().map(|position| comparison(key, position, ">", ">"));
        let upper = self.upper.as_ref().map(|position| comparison(key, position, "<", "<="));
        let ends: Vec<String> = lower.into_iter().chain(upper).collect();
        if ends.is_empty() { "TRUE".to_owned() } else { ends.join(" AND ") }
    }
}

/// `a > x OR (a = x AND (b > y))`; `last` is the operator of the last part.
fn comparison(key: &[KeyPart], position: &Position, outer: &str, last: &str) -> String {
    let mut text = String::new();
    for (index, (part, value)) in key.iter().zip(&position.0).enumerate().rev() {
        let name = format!("t.{}", quoted(&part.name));
        let literal = part.typed(&part.value(value));
        text = if index.saturating_add(1) == key.len() {
            format!("{name} {last} {literal}")
        } else {
            format!("({name} {outer} {literal} OR ({name} = {literal} AND {text}))")
        };
    }
    format!("({text})")
}

/// The primary key's columns in order, for ORDER BY.
pub(super) fn ordered(key: &[KeyPart]) -> String {
    let names: Vec<String> = key.iter().map(|part| format!("t.{}", quoted(&part.name))).collect();
    names.join(", ")
}
