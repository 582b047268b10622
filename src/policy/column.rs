//! Protected columns as policy declares them.

use std::sync::Arc;

use crate::schema::ColumnRef;

/// Position of a protected column in [`super::Policy::columns`]; valid for that policy snapshot only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// Which TEXT type an application sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextSize {
    /// TINYTEXT, 255 bytes.
    Tiny,
    /// TEXT, 65,535 bytes.
    Text,
    /// MEDIUMTEXT, 16,777,215 bytes.
    Medium,
    /// LONGTEXT, 4,294,967,295 bytes.
    Long,
}

/// The type that clients see; the server stores VARBINARY or BLOB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogicalType {
    /// VARCHAR(`chars_max`) with a utf8mb4 collation.
    Varchar {
        /// Most characters (not bytes) a value has.
        chars_max: u32,
    },
    /// One of the TEXT types with a utf8mb4 collation.
    Text(TextSize),
}

/// How a value is normalised before it is indexed. The stored value is never normalised. The versioned id is hashed in,
/// so a change of rules is a new index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Normaliser {
    /// `raw.1`: bytes as they are.
    Raw,
    /// `text.1`: NFKC, lower case, white space collapsed and trimmed.
    Text,
    /// `email.1`: trim, NFKC, lower case.
    Email,
    /// `e164.1`: telephone number in E.164, parsed with a default region.
    E164 {
        /// ISO 3166-1 alpha-2 code of the region that national notations belong to.
        region: Arc<str>,
    },
}

/// A blind index: equality search without the value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexSpec {
    /// Columns that share a domain share tags for equal values and may be compared. Default: the column's context.
    pub domain: Arc<str>,
    /// Bytes of the tag in the envelope: 2 to 16.
    pub length: u8,
    /// The normaliser.
    pub normaliser: Normaliser,
}

/// Block size that plaintext is padded to before it is sealed (ISO/IEC 7816-4); hides exact lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No padding: the length of the value shows.
    None,
    /// To a multiple of this many bytes: 16, 32 or 64.
    Block(u8),
}

/// One protected column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedColumn {
    /// The column in the database.
    pub column: ColumnRef,
    /// The keyset that seals it.
    pub keyset: Arc<str>,
    /// Stable string bound into every envelope (HKDF info and associated data). Default: `db.table.column` when first
    /// protected. It never changes when the table is renamed.
    pub context: Arc<str>,
    /// What clients see.
    pub logical: LogicalType,
    /// The collation name that clients see for the column, e.g. `utf8mb4_0900_ai_ci`; metadata only.
    pub collation: Option<Arc<str>>,
    /// The blind index, if the column is searched.
    pub index: Option<IndexSpec>,
    /// Padding.
    pub padding: Padding,
    /// The column of the same table that says whose the row is, if each person's values have a key of their own.
    pub subject: Option<Arc<str>>,
    /// What envelopes are bound to beside the column, if they are.
    pub bind: Option<Bind>,
}

/// Binds envelopes to their rows: each opens beside the value of another column that it was sealed beside, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// That column of the same table. The application says its value when it writes, and never changes it.
    pub to: Arc<str>,
    /// Whether envelopes that are not bound are opened.
    pub unbound: Unbound,
}

/// What becomes of envelopes that are bound to no row, in a column whose envelopes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unbound {
    /// They are not opened: whoever can write to the database could put them anywhere.
    #[default]
    Refused,
    /// They are, until all of them are sealed again.
    Accepted,
}

impl ProtectedColumn {
    /// All that policy says of it as bytes: each part behind a byte that says whether there is one, and its length as a
    /// 64-bit big-endian number. Proxies of other versions make the same.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let Self { column, keyset, context, logical, collation, index, padding, subject, bind } = self;
        let logical = match logical {
            LogicalType::Varchar { chars_max } => format!("varchar({chars_max})"),
            LogicalType::Text(TextSize::Tiny) => "tinytext".to_owned(),
            LogicalType::Text(TextSize::Text) => "text".to_owned(),
            LogicalType::Text(TextSize::Medium) => "mediumtext".to_owned(),
            LogicalType::Text(TextSize::Long) => "longtext".to_owned(),
        };
        let (domain, length, normaliser) = match index {
            Some(IndexSpec { domain, length, normaliser }) => {
                let normaliser = match normaliser {
                    Normaliser::Raw => "raw".to_owned(),
                    Normaliser::Text => "text".to_owned(),
                    Normaliser::Email => "email".to_owned(),
                    Normaliser::E164 { region } => format!("e164 {region}"),
                };
                (Some(domain), Some(length.to_string()), Some(normaliser))
            }
            None => (None, None, None),
        };
        let padding = match padding {
            Padding::None => None,
            Padding::Block(block) => Some(block.to_string()),
        };
        let unbound = bind.as_ref().map(|bind| match bind.unbound {
            Unbound::Refused => "refuse",
            Unbound::Accepted => "accept",
        });
        let parts: [Option<&str>; 14] = [
            Some(&column.database),
            Some(&column.table),
            Some(&column.column),
            Some(keyset),
            Some(context),
            Some(&logical),
            collation.as_deref(),
            domain.map(|domain| &**domain),
            length.as_deref(),
            normaliser.as_deref(),
            padding.as_deref(),
            subject.as_deref(),
            bind.as_ref().map(|bind| &*bind.to),
            unbound,
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.push(u8::from(part.is_some()));
            let part = part.unwrap_or_default();
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    /// The column of the same table whose value every write must state: whose the row is, or what envelopes are bound to.
    pub fn stated(&self) -> Option<&Arc<str>> {
        self.subject.as_ref().or(self.bind.as_ref().map(|bind| &bind.to))
    }

    /// Bytes of the envelope's index prefix: the fixed 7 and the tag.
    pub fn prefix_length(&self) -> usize {
        7 + self.index.as_ref().map_or(0, |index| usize::from(index.length))
    }

    /// The largest plaintext in bytes (UTF-8) that the logical type holds.
    pub fn plaintext_octets_max(&self) -> u64 {
        match self.logical {
            LogicalType::Varchar { chars_max } => u64::from(chars_max) * 4,
            LogicalType::Text(TextSize::Tiny) => 255,
            LogicalType::Text(TextSize::Text) => 65_535,
            LogicalType::Text(TextSize::Medium) => 16_777_215,
            LogicalType::Text(TextSize::Long) => 4_294_967_295,
        }
    }

    /// The largest envelope: what the stored column must hold.
    pub fn envelope_octets_max(&self) -> u64 {
        let plain = self.plaintext_octets_max();
        let padded = match self.padding {
            Padding::None => plain,
            Padding::Block(block) => (plain / u64::from(block) + 1) * u64::from(block),
        };
        45 + self.prefix_length() as u64 + padded
    }
}
