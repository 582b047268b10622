//! A parameter's value as the text that MySQL would store in a character column.

use std::fmt::{self, Write};

use super::RewriteError;
use super::charset::{NotText, to_utf8};
use crate::crypto::Plaintext;
use crate::plan::SubjectSource;
use crate::schema::{Charset, ColumnRef, UnclearSubject};
use crate::wire::WireError;
use crate::wire::column::ColumnType;
use crate::wire::execute::ParamType;

/// What a value is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is stored: numbers and dates become the text that MySQL makes of them.
    Seal,
    /// It is looked up. MySQL would compare numbers and dates as such, which an index of texts cannot answer.
    Search,
}

const MALFORMED: RewriteError = RewriteError::Wire(WireError::Malformed("parameter value"));
/// The longest TIME there is, in hours.
const TIME_HOURS_MAX: u32 = 838;

/// Fills `plain` with the value as UTF-8 text. A value sent as long data is text in the character set of its type.
pub(super) fn read(
    value: &[u8],
    param_type: ParamType,
    purpose: Purpose,
    charset: Charset,
    column: &ColumnRef,
    plain: &mut Plaintext,
) -> Result<(), RewriteError> {
    plain.clear();
    let refused = |construct, remedy| RewriteError::Unsupported { column: column.clone(), construct, remedy };
    match (param_type.column_type, purpose) {
        (ColumnType::Varchar | ColumnType::VarString | ColumnType::String, _) => {
            to_utf8(charset, value, |piece| plain.extend(piece))
                .map_err(|NotText| RewriteError::NotText { column: column.clone() })
        }
        (ColumnType::TinyBlob | ColumnType::MediumBlob | ColumnType::LongBlob | ColumnType::Blob, _) => {
            plain.extend(value);
            Ok(())
        }
        (ColumnType::Float | ColumnType::Double, Purpose::Seal) => {
            Err(refused("a floating-point parameter", "bind the value as a string"))
        }
        (
            ColumnType::Bit
            | ColumnType::Vector
            | ColumnType::Json
            | ColumnType::Enum
            | ColumnType::Set
            | ColumnType::Geometry
            | ColumnType::Null
            | ColumnType::Year
            | ColumnType::Int24
            | ColumnType::NewDate,
            _,
        ) => Err(refused("a parameter of this type", "bind the value as a string")),
        (_, Purpose::Search) => Err(refused("a comparison with a number or date", "bind the value as a string")),
        (ColumnType::Tiny | ColumnType::Short | ColumnType::Long | ColumnType::LongLong, Purpose::Seal) => {
            integer(value, param_type, plain)
        }
        (ColumnType::Decimal | ColumnType::NewDecimal, Purpose::Seal) => decimal(value, plain),
        (ColumnType::Date, Purpose::Seal) => date(value, plain),
        (ColumnType::Datetime | ColumnType::Timestamp, Purpose::Seal) => datetime(value, plain),
        (ColumnType::Time, Purpose::Seal) => time(value, plain),
    }
}

/// Whose a row is, by a parameter: the value in the form that the key is found by.
pub(super) fn subject(
    value: &[u8],
    param_type: ParamType,
    source: &SubjectSource,
    charset: Charset,
) -> Result<Vec<u8>, UnclearSubject> {
    let SubjectSource { form, place, .. } = *source;
    match param_type.column_type {
        ColumnType::Varchar | ColumnType::VarString | ColumnType::String => {
            let mut text = Vec::new();
            to_utf8(charset, value, |piece| text.extend_from_slice(piece)).map_err(|_| UnclearSubject::Converted)?;
            form.bytes_of_text(&text, place)
        }
        ColumnType::TinyBlob | ColumnType::MediumBlob | ColumnType::LongBlob | ColumnType::Blob => {
            form.bytes(value, place)
        }
        ColumnType::Tiny | ColumnType::Short | ColumnType::Long | ColumnType::LongLong => {
            form.integer(number(value, param_type).ok_or(UnclearSubject::Converted)?, place)
        }
        ColumnType::Double => match value.try_into() {
            Ok(bytes) => form.float(f64::from_le_bytes(bytes), place),
            Err(_) => Err(UnclearSubject::Converted),
        },
        ColumnType::Float
        | ColumnType::Decimal
        | ColumnType::NewDecimal
        | ColumnType::Bit
        | ColumnType::Vector
        | ColumnType::Json
        | ColumnType::Enum
        | ColumnType::Set
        | ColumnType::Geometry
        | ColumnType::Null
        | ColumnType::Year
        | ColumnType::Int24
        | ColumnType::NewDate
        | ColumnType::Date
        | ColumnType::Datetime
        | ColumnType::Timestamp
        | ColumnType::Time => Err(UnclearSubject::Converted),
    }
}

/// Text goes to wiped memory at once.
struct Text<'a>(&'a mut Plaintext);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.as_bytes());
        Ok(())
    }
}

fn put(plain: &mut Plaintext, text: fmt::Arguments<'_>) -> Result<(), RewriteError> {
    Text(plain).write_fmt(text).map_err(|_| MALFORMED)
}

fn integer(value: &[u8], param_type: ParamType, plain: &mut Plaintext) -> Result<(), RewriteError> {
    let number = number(value, param_type).ok_or(MALFORMED)?;
    put(plain, format_args!("{number}"))
}

fn number(value: &[u8], param_type: ParamType) -> Option<i128> {
    let unsigned = param_type.is_unsigned();
    Some(match *value {
        [a] if unsigned => i128::from(a),
        [a] => i128::from(i8::from_le_bytes([a])),
        [a, b] if unsigned => i128::from(u16::from_le_bytes([a, b])),
        [a, b] => i128::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] if unsigned => i128::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d] => i128::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] if unsigned => i128::from(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        [a, b, c, d, e, f, g, h] => i128::from(i64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => return None,
    })
}

/// A decimal arrives as text; MySQL stores it without needless zeros in front and without a sign on zero.
fn decimal(value: &[u8], plain: &mut Plaintext) -> Result<(), RewriteError> {
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let (whole, fraction) = match memchr::memchr(b'.', digits).and_then(|point| digits.split_at_checked(point)) {
        Some((whole, [_, fraction @ ..])) => (whole, fraction),
        Some((_, [])) | None => (digits, &[][..]),
    };
    let is_number =
        whole.len().saturating_add(fraction.len()) > 0 && whole.iter().chain(fraction).all(u8::is_ascii_digit);
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
    let whole = whole.get(zeros..).unwrap_or(&[]);
    // DECIMAL holds 65 digits, 30 of them behind the point. Beyond that MySQL rounds.
    if !is_number || fraction.len() > 30 || whole.len().saturating_add(fraction.len()) > 65 {
        return Err(MALFORMED);
    }
    let is_zero = whole.is_empty() && fraction.iter().all(|digit| *digit == b'0');
    if negative && !is_zero {
        plain.extend(b"-");
    }
    plain.extend(if whole.is_empty() { b"0" } else { whole });
    if !fraction.is_empty() {
        plain.extend(b".");
        plain.extend(fraction);
    }
    Ok(())
}

fn date(value: &[u8], plain: &mut Plaintext) -> Result<(), RewriteError> {
    match *value {
        [] => put(plain, format_args!("0000-00-00")),
        [y0, y1, month, day] | [y0, y1, month, day, _, _, _] | [y0, y1, month, day, _, _, _, _, _, _, _] => {
            put_date(y0, y1, month, day, plain)
        }
        _ => Err(MALFORMED),
    }
}

fn datetime(value: &[u8], plain: &mut Plaintext) -> Result<(), RewriteError> {
    let (date, clock, micros) = match *value {
        [] => ([0; 4], [0; 3], 0),
        [y0, y1, month, day] => ([y0, y1, month, day], [0; 3], 0),
        [y0, y1, month, day, hour, minute, second] => ([y0, y1, month, day], [hour, minute, second], 0),
        [y0, y1, month, day, hour, minute, second, m0, m1, m2, m3] => {
            ([y0, y1, month, day], [hour, minute, second], u32::from_le_bytes([m0, m1, m2, m3]))
        }
        _ => return Err(MALFORMED),
    };
    let [y0, y1, month, day] = date;
    put_date(y0, y1, month, day, plain)?;
    plain.extend(b" ");
    let [hour, minute, second] = clock;
    if hour > 23 {
        return Err(MALFORMED);
    }
    put_clock(u32::from(hour), minute, second, micros, plain)
}

fn time(value: &[u8], plain: &mut Plaintext) -> Result<(), RewriteError> {
    let (negative, days, clock, micros) = match *value {
        [] => (0, 0, [0; 3], 0),
        [negative, d0, d1, d2, d3, hour, minute, second] => {
            (negative, u32::from_le_bytes([d0, d1, d2, d3]), [hour, minute, second], 0)
        }
        [negative, d0, d1, d2, d3, hour, minute, second, m0, m1, m2, m3] => {
            let micros = u32::from_le_bytes([m0, m1, m2, m3]);
            (negative, u32::from_le_bytes([d0, d1, d2, d3]), [hour, minute, second], micros)
        }
        _ => return Err(MALFORMED),
    };
    let [hour, minute, second] = clock;
    let hours = days.checked_mul(24).and_then(|hours| hours.checked_add(u32::from(hour))).ok_or(MALFORMED)?;
    if hours > TIME_HOURS_MAX || hour > 23 {
        return Err(MALFORMED);
    }
    if negative != 0 && (hours, minute, second, micros) != (0, 0, 0, 0) {
        plain.extend(b"-");
    }
    put_clock(hours, minute, second, micros, plain)
}

fn put_date(y0: u8, y1: u8, month: u8, day: u8, plain: &mut Plaintext) -> Result<(), RewriteError> {
    let year = u16::from_le_bytes([y0, y1]);
    if year > 9999 || month > 12 || day > 31 {
        return Err(MALFORMED);
    }
    put(plain, format_args!("{year:04}-{month:02}-{day:02}"))
}

fn put_clock(hours: u32, minute: u8, second: u8, micros: u32, plain: &mut Plaintext) -> Result<(), RewriteError> {
    if minute > 59 || second > 59 || micros > 999_999 {
        return Err(MALFORMED);
    }
    put(plain, format_args!("{hours:02}:{minute:02}:{second:02}"))?;
    if micros > 0 {
        put(plain, format_args!(".{micros:06}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
