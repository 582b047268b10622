//! Column definitions (§ "Protocol::ColumnDefinition41") and the column types that rows and parameters are laid out by.
//!
//! A view over the payload: names are slices of it, the fixed part is read once. A changed definition is a copy of the
//! payload with other attributes; names are never changed.

use super::{WireError, lenenc};

/// Bytes of the fixed part behind the names: collation, length, type, flags, decimals and two of filler.
const ATTRIBUTES_OCTETS: usize = 12;

/// A column or parameter type as one byte says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are MySQL's own")]
pub enum ColumnType {
    Decimal = 0,
    Tiny = 1,
    Short = 2,
    Long = 3,
    Float = 4,
    Double = 5,
    Null = 6,
    Timestamp = 7,
    LongLong = 8,
    Int24 = 9,
    Date = 10,
    Time = 11,
    Datetime = 12,
    Year = 13,
    NewDate = 14,
    Varchar = 15,
    Bit = 16,
    Vector = 242,
    Json = 245,
    NewDecimal = 246,
    Enum = 247,
    Set = 248,
    TinyBlob = 249,
    MediumBlob = 250,
    LongBlob = 251,
    Blob = 252,
    VarString = 253,
    String = 254,
    Geometry = 255,
}

/// How a value of a type lies in a binary row or in COM_STMT_EXECUTE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueForm {
    /// Nothing: the type is NULL.
    Empty,
    /// So many bytes.
    Fixed(u8),
    /// One byte that tells how many follow: dates and times.
    Temporal,
    /// A length-encoded string.
    Sized,
}

impl ColumnType {
    /// The type of a byte. Types that only live inside the server are refused.
    pub fn from_byte(byte: u8) -> Result<Self, WireError> {
        Ok(match byte {
            0 => Self::Decimal,
            1 => Self::Tiny,
            2 => Self::Short,
            3 => Self::Long,
            4 => Self::Float,
            5 => Self::Double,
            6 => Self::Null,
            7 => Self::Timestamp,
            8 => Self::LongLong,
            9 => Self::Int24,
            10 => Self::Date,
            11 => Self::Time,
            12 => Self::Datetime,
            13 => Self::Year,
            14 => Self::NewDate,
            15 => Self::Varchar,
            16 => Self::Bit,
            242 => Self::Vector,
            245 => Self::Json,
            246 => Self::NewDecimal,
            247 => Self::Enum,
            248 => Self::Set,
            249 => Self::TinyBlob,
            250 => Self::MediumBlob,
            251 => Self::LongBlob,
            252 => Self::Blob,
            253 => Self::VarString,
            254 => Self::String,
            255 => Self::Geometry,
            _ => return Err(WireError::Malformed("column type")),
        })
    }

    /// Whether a parameter of the type is bytes without a character set.
    pub fn is_blob(self) -> bool {
        matches!(self, Self::TinyBlob | Self::MediumBlob | Self::LongBlob | Self::Blob)
    }

    /// How values of the type lie in a binary row.
    #[inline]
    pub fn row_form(self) -> ValueForm {
        match self {
            Self::Null => ValueForm::Empty,
            Self::Tiny => ValueForm::Fixed(1),
            Self::Short | Self::Year => ValueForm::Fixed(2),
            Self::Long | Self::Int24 | Self::Float => ValueForm::Fixed(4),
            Self::LongLong | Self::Double => ValueForm::Fixed(8),
            Self::Timestamp | Self::Date | Self::Time | Self::Datetime | Self::NewDate => ValueForm::Temporal,
            Self::Decimal
            | Self::NewDecimal
            | Self::Varchar
            | Self::VarString
            | Self::String
            | Self::Bit
            | Self::Vector
            | Self::Json
            | Self::Enum
            | Self::Set
            | Self::TinyBlob
            | Self::MediumBlob
            | Self::LongBlob
            | Self::Blob
            | Self::Geometry => ValueForm::Sized,
        }
    }
}

/// Flag bits of a column definition that Candado changes.
pub mod flag {
    /// The column cannot be NULL.
    pub const NOT_NULL: u16 = 1;
    /// The column is a BLOB or TEXT.
    pub const BLOB: u16 = 0x10;
    /// The column's own collation is binary.
    pub const BINARY: u16 = 0x80;
}

/// The fixed part of a column definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnAttributes {
    /// Collation id; 63 is binary.
    pub collation_id: u16,
    /// Most bytes of a value, in the character set of results.
    pub length: u32,
    /// The type byte, known or not.
    pub column_type: u8,
    /// Flag bits.
    pub flags: u16,
    /// Digits behind the point.
    pub decimals: u8,
}

/// A view over a column definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDefinition<'a> {
    /// Everything before the fixed part: catalog, names and the fixed part's length.
    head: &'a [u8],
    /// What follows the fixed part: nothing, or the default value in an answer to COM_FIELD_LIST.
    tail: &'a [u8],
    /// Database of the table.
    pub schema: &'a [u8],
    /// Alias of the table.
    pub table: &'a [u8],
    /// Name of the table; a view's own name for a column of a view.
    pub org_table: &'a [u8],
    /// Alias of the column.
    pub name: &'a [u8],
    /// Name of the column in the table; empty for an expression.
    pub org_name: &'a [u8],
    /// The fixed part.
    pub attributes: ColumnAttributes,
}

impl<'a> ColumnDefinition<'a> {
    /// Reads a column definition. Names are in the character set of results and need not be UTF-8.
    pub fn parse(payload: &'a [u8]) -> Result<Self, WireError> {
        const WHAT: &str = "column definition";
        let (_catalog, rest) = lenenc::take_string(payload, WHAT)?;
        let (schema, rest) = lenenc::take_string(rest, WHAT)?;
        let (table, rest) = lenenc::take_string(rest, WHAT)?;
        let (org_table, rest) = lenenc::take_string(rest, WHAT)?;
        let (name, rest) = lenenc::take_string(rest, WHAT)?;
        let (org_name, rest) = lenenc::take_string(rest, WHAT)?;
        let (fixed_length, rest) = lenenc::take_integer(rest, WHAT)?;
        if fixed_length != ATTRIBUTES_OCTETS as u64 {
            return Err(WireError::Malformed(WHAT));
        }
        let (fixed, tail) = rest.split_first_chunk::<ATTRIBUTES_OCTETS>().ok_or(WireError::Truncated(WHAT))?;
        let &[c0, c1, l0, l1, l2, l3, column_type, f0, f1, decimals, _, _] = fixed;
        match tail.split_first() {
            None => {}
            // COM_FIELD_LIST's default value: NULL or one string.
            Some((&lenenc::NULL, [])) => {}
            Some(_) if lenenc::take_string(tail, WHAT)?.1.is_empty() => {}
            Some(_) => return Err(WireError::Malformed(WHAT)),
        }
        let (head, _) = payload.split_at_checked(payload.len().saturating_sub(rest.len())).unwrap_or((payload, &[]));
        let attributes = ColumnAttributes {
            collation_id: u16::from_le_bytes([c0, c1]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            column_type,
            flags: u16::from_le_bytes([f0, f1]),
            decimals,
        };
        Ok(Self { head, tail, schema, table, org_table, name, org_name, attributes })
    }

    /// Appends a copy of the definition with other attributes; names and default value stay byte for byte.
    pub fn put_with(&self, attributes: &ColumnAttributes, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head);
        attributes.put(out);
        out.extend_from_slice(self.tail);
    }

    /// Appends a copy of the definition with another name.
    pub fn put_named(&self, name: &[u8], out: &mut Vec<u8>) {
        for text in [b"def", self.schema, self.table, self.org_table, name, self.org_name] {
            lenenc::put_string(text, out);
        }
        lenenc::put_integer(ATTRIBUTES_OCTETS as u64, out);
        self.attributes.put(out);
        out.extend_from_slice(self.tail);
    }
}

impl ColumnAttributes {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.collation_id.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.push(self.column_type);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.push(self.decimals);
        out.extend_from_slice(&[0, 0]);
    }
}

/// Appends the definition of a column that belongs to no table.
pub fn put_alone(name: &[u8], attributes: &ColumnAttributes, out: &mut Vec<u8>) {
    for text in [b"def".as_slice(), b"", b"", b"", name, b""] {
        lenenc::put_string(text, out);
    }
    lenenc::put_integer(ATTRIBUTES_OCTETS as u64, out);
    attributes.put(out);
}

#[cfg(test)]
mod tests;
