//! COM_STMT_EXECUTE (§ "COM_STMT_EXECUTE"): finds the parameters of a statement whose number of them is known.
//!
//! Query attributes are not negotiated, so neither count nor names of parameters stand in the packet. Types that
//! servers lay out differently from each other and from their documentation are refused: no driver sends them.

use std::fmt;
use std::ops::Range;

use super::WireError;
use super::binary_row::{null_bit, take_value};
use super::column::{ColumnType, ValueForm};

/// COM_STMT_EXECUTE's command byte.
const COMMAND: u8 = 0x17;
/// Flag: count and names of parameters follow, which they cannot without query attributes.
const FLAG_PARAMETER_COUNT: u8 = 8;
const WHAT: &str = "COM_STMT_EXECUTE";

/// Type of a parameter as the client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamType {
    /// The type.
    pub column_type: ColumnType,
    /// The second byte: bit 7 is unsigned.
    pub flags: u8,
}

impl ParamType {
    /// A string of bytes without a character set.
    pub const BLOB: Self = Self { column_type: ColumnType::Blob, flags: 0 };

    /// Reads a parameter type.
    pub fn from_bytes(column_type: u8, flags: u8) -> Result<Self, WireError> {
        let column_type = ColumnType::from_byte(column_type)?;
        Self { column_type, flags }.form().map(|_| Self { column_type, flags })
    }

    /// Whether an integer is unsigned.
    pub fn is_unsigned(self) -> bool {
        self.flags & 0x80 != 0
    }

    /// How a value of the type lies in the packet.
    pub fn form(self) -> Result<ValueForm, WireError> {
        match self.column_type {
            // MySQL reads these as strings, its manual says two and four bytes, MariaDB follows the manual.
            ColumnType::Year | ColumnType::Int24 | ColumnType::NewDate => Err(WireError::Malformed(WHAT)),
            ColumnType::Decimal
            | ColumnType::Tiny
            | ColumnType::Short
            | ColumnType::Long
            | ColumnType::Float
            | ColumnType::Double
            | ColumnType::Null
            | ColumnType::Timestamp
            | ColumnType::LongLong
            | ColumnType::Date
            | ColumnType::Time
            | ColumnType::Datetime
            | ColumnType::Varchar
            | ColumnType::Bit
            | ColumnType::Vector
            | ColumnType::Json
            | ColumnType::NewDecimal
            | ColumnType::Enum
            | ColumnType::Set
            | ColumnType::TinyBlob
            | ColumnType::MediumBlob
            | ColumnType::LongBlob
            | ColumnType::Blob
            | ColumnType::VarString
            | ColumnType::String
            | ColumnType::Geometry => Ok(self.column_type.row_form()),
        }
    }
}

/// A parameter's place in the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue {
    /// NULL.
    Null,
    /// Sent before by COM_STMT_SEND_LONG_DATA: the packet holds nothing of it.
    LongData,
    /// In the packet.
    Inline {
        /// All bytes, the length included.
        whole: Range<usize>,
        /// The value's own bytes.
        value: Range<usize>,
    },
}

/// The fixed part of COM_STMT_EXECUTE with what follows for the parameters.
#[derive(Clone)]
pub struct Execute<'a> {
    payload: &'a [u8],
    /// The statement id.
    pub statement_id: u32,
    /// Cursor type.
    pub flags: u8,
    /// Always 1.
    pub iterations: u32,
    bitmap: &'a [u8],
    /// The types, if the client sent them with this execution (new_params_bound = 1): two bytes for each parameter.
    types: Option<&'a [u8]>,
    values: &'a [u8],
}

impl<'a> Execute<'a> {
    /// Reads everything before the values. `payload` starts with the command byte.
    pub fn parse(payload: &'a [u8], params: u16) -> Result<Self, WireError> {
        let (&[command, i0, i1, i2, i3, flags, n0, n1, n2, n3], rest) =
            payload.split_first_chunk::<10>().ok_or(WireError::Truncated(WHAT))?;
        if command != COMMAND || flags & FLAG_PARAMETER_COUNT != 0 {
            return Err(WireError::Malformed(WHAT));
        }
        let statement_id = u32::from_le_bytes([i0, i1, i2, i3]);
        let iterations = u32::from_le_bytes([n0, n1, n2, n3]);
        if params == 0 {
            let (bitmap, types, values) = (&[][..], None, &[][..]);
            return Ok(Self { payload, statement_id, flags, iterations, bitmap, types, values });
        }
        let params = usize::from(params);
        let (bitmap, rest) = rest.split_at_checked(params.div_ceil(8)).ok_or(WireError::Truncated(WHAT))?;
        let (&bound, rest) = rest.split_first().ok_or(WireError::Truncated(WHAT))?;
        let (types, values) = match bound {
            0 => (None, rest),
            1 => rest
                .split_at_checked(params.saturating_mul(2))
                .map(|(types, values)| (Some(types), values))
                .ok_or(WireError::Truncated(WHAT))?,
            _ => return Err(WireError::Malformed(WHAT)),
        };
        Ok(Self { payload, statement_id, flags, iterations, bitmap, types, values })
    }

    /// The types that came with this execution; `None` if those of the last one hold.
    pub fn types(&self) -> Option<impl Iterator<Item = Result<ParamType, WireError>> + 'a> {
        let (pairs, _) = self.types?.as_chunks::<2>();
        Some(pairs.iter().map(|&[column_type, flags]| ParamType::from_bytes(column_type, flags)))
    }

    /// Walks the values in order. The caller brings the types, from here or from the last execution.
    pub fn values(&self) -> ParamValues<'a> {
        ParamValues { payload: self.payload, bitmap: self.bitmap, rest: self.values, param: 0 }
    }
}

impl fmt::Debug for Execute<'_> {
    /// Without the values: they may be what is to be sealed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execute").field("statement_id", &self.statement_id).finish_non_exhaustive()
    }
}

/// Whether a parameter's value came before, in COM_STMT_SEND_LONG_DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// In the packet, or NULL by the bitmap.
    Here,
    /// Before: the packet holds nothing of it, and the bitmap does not count.
    Before,
}

/// Walks the values of COM_STMT_EXECUTE.
#[derive(Clone)]
pub struct ParamValues<'a> {
    payload: &'a [u8],
    bitmap: &'a [u8],
    rest: &'a [u8],
    param: usize,
}

impl ParamValues<'_> {
    /// The next value.
    pub fn next_value(&mut self, param_type: ParamType, arrival: Arrival) -> Result<ParamValue, WireError> {
        let is_null = null_bit(self.bitmap, self.param);
        self.param = self.param.saturating_add(1);
        let form = param_type.form()?;
        match arrival {
            Arrival::Before => return Ok(ParamValue::LongData),
            Arrival::Here if is_null || form == ValueForm::Empty => return Ok(ParamValue::Null),
            Arrival::Here => {}
        }
        let start = self.position();
        let (value, rest) = take_value(self.rest, form, WHAT)?;
        self.rest = rest;
        let end = self.position();
        Ok(ParamValue::Inline { whole: start..end, value: end.saturating_sub(value.len())..end })
    }

    /// Fails if bytes are left behind the last value.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Malformed(WHAT)) }
    }

    fn position(&self) -> usize {
        self.payload.len().saturating_sub(self.rest.len())
    }
}

impl fmt::Debug for ParamValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParamValues").field("param", &self.param).finish_non_exhaustive()
    }
}

/// What COM_STMT_EXECUTE is written from.
#[derive(Clone, Default)]
pub struct ExecuteWriter {
    bitmap: Vec<u8>,
    types: Vec<u8>,
    values: Vec<u8>,
    params: usize,
}

impl ExecuteWriter {
    /// Adds a parameter that is NULL.
    pub fn put_null(&mut self, param_type: ParamType) {
        let bit = self.params;
        self.put_type(param_type);
        if let Some(byte) = self.bitmap.get_mut(bit >> 3) {
            *byte |= 1 << (bit & 7);
        }
    }

    /// Adds a parameter whose value the server holds already.
    pub fn put_long_data(&mut self, param_type: ParamType) {
        self.put_type(param_type);
    }

    /// Adds a parameter with its value in the form of its type, its length included.
    pub fn put_value(&mut self, param_type: ParamType, whole: &[u8]) {
        self.put_type(param_type);
        self.values.extend_from_slice(whole);
    }

    /// Adds a parameter of a type with length-encoded values.
    pub fn put_string(&mut self, param_type: ParamType, value: &[u8]) {
        self.put_type(param_type);
        super::lenenc::put_string(value, &mut self.values);
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bitmap.len().saturating_add(self.types.len()).saturating_add(self.values.len())
    }

    /// Whether no parameter was added.
    pub fn is_empty(&self) -> bool {
        self.params == 0
    }

    /// Appends the packet, types included.
    pub fn finish(&self, head: &Execute<'_>, out: &mut Vec<u8>) {
        out.push(COMMAND);
        out.extend_from_slice(&head.statement_id.to_le_bytes());
        out.push(head.flags);
        out.extend_from_slice(&head.iterations.to_le_bytes());
        if self.is_empty() {
            return;
        }
        out.extend_from_slice(&self.bitmap);
        out.push(1);
        out.extend_from_slice(&self.types);
        out.extend_from_slice(&self.values);
    }

    fn put_type(&mut self, param_type: ParamType) {
        if self.params & 7 == 0 {
            self.bitmap.push(0);
        }
        self.params = self.params.saturating_add(1);
        self.types.push(param_type.column_type as u8);
        self.types.push(param_type.flags);
    }
}

impl fmt::Debug for ExecuteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecuteWriter").field("params", &self.params).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
