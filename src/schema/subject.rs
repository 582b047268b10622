//! Values of the column that says whose a row is, or that its values are bound to, in the one form that the key of a data
//! subject is found by and that is bound.
//!
//! Two values that the server takes for one must give one form, and a value that the server would change on its way into
//! the column must give none: its row would belong to somebody else than the key it was sealed under.

#[cfg(test)]
mod tests;

use uuid::Uuid;

use super::Column;

/// Up to here the server compares an integer with a string or a floating-point number exactly.
const EXACT_MAX: i128 = (1 << 53) - 1;

/// How values of a subject column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectForm {
    /// An integer: its minimal decimal digits.
    Integer {
        /// The least that the column holds.
        min: i128,
        /// The largest.
        max: i128,
        /// What the server makes of 0.
        zero: Zero,
    },
    /// BINARY or VARBINARY: its bytes.
    Bytes {
        /// The most that the column holds.
        octets_max: u32,
        /// What the server makes of fewer.
        filling: Filling,
    },
    /// CHAR or VARCHAR with a binary collation: UTF-8, without trailing spaces if the column passes over them.
    Text {
        /// The most characters that the column holds.
        chars_max: u32,
        /// Which of them.
        repertoire: Repertoire,
        /// What trailing spaces are.
        blanks: Blanks,
    },
    /// MariaDB's UUID: 36 characters in lower case.
    Uuid,
}

/// What the server stores for the number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zero {
    /// 0.
    Itself,
    /// The next number of an AUTO_INCREMENT column.
    Generated,
}

/// What the server stores for fewer bytes than the column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filling {
    /// Those.
    None,
    /// As many zero bytes as are missing.
    Zeros,
}

/// Characters of a column's character set that are the same in UTF-8 and certain to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repertoire {
    /// ASCII, of any other character set.
    Ascii,
    /// Up to U+FFFF: utf8mb3.
    Plane0,
    /// All: utf8mb4.
    All,
}

/// Whether trailing spaces are part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blanks {
    /// CHAR, and collations with PAD SPACE: they are not.
    PassedOver,
    /// VARCHAR under a collation with NO PAD: they are.
    Counted,
}

/// What a value is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectPlace {
    /// It is stored in the column.
    Stored,
    /// The column is compared with it.
    Compared,
}

/// Why a column cannot say whose a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitSubject {
    /// It may be NULL.
    #[error("may be NULL")]
    Nullable,
    /// The server computes it.
    #[error("is a generated column")]
    Generated,
    /// Its type has values that are equal and yet not the same.
    #[error("is neither an integer, BINARY, VARBINARY or UUID, nor CHAR or VARCHAR with a binary (_bin) collation")]
    Type,
}

/// Why a value does not say for certain whose a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnclearSubject {
    /// NULL.
    #[error("NULL for the column that says whose the row is")]
    Null,
    /// 0 in an AUTO_INCREMENT column, for which the server puts a number of its own.
    #[error("0 for an AUTO_INCREMENT column that says whose the row is")]
    Generated,
    /// The server would convert it, shorten it, fill it up, or compare it loosely.
    #[error("a value for the column that says whose the row is that is not of its type, or outside its range")]
    Converted,
}

impl SubjectForm {
    /// The form of a column's values.
    pub fn of(column: &Column) -> Result<Self, UnfitSubject> {
        let extra = &*column.extra;
        if column.nullable {
            return Err(UnfitSubject::Nullable);
        }
        if extra.contains("generated") && !extra.contains("default_generated") {
            return Err(UnfitSubject::Generated);
        }
        let lower = column.column_type.to_ascii_lowercase();
        let size = || parenthesised(&lower).ok_or(UnfitSubject::Type);
        let bits = match &*column.data_type {
            "tinyint" => 8,
            "smallint" => 16,
            "mediumint" => 24,
            "int" => 32,
            "bigint" => 64,
            "binary" => return Ok(Self::Bytes { octets_max: size()?, filling: Filling::Zeros }),
            "varbinary" => return Ok(Self::Bytes { octets_max: size()?, filling: Filling::None }),
            "uuid" => return Ok(Self::Uuid),
            "char" | "varchar" if column.collation.as_deref().is_some_and(|name| name.ends_with("_bin")) => {
                let repertoire = match column.charset.as_deref() {
                    Some("utf8mb4") => Repertoire::All,
                    Some("utf8mb3" | "utf8") => Repertoire::Plane0,
                    // Not even all of ASCII is in it.
                    Some("swe7") => return Err(UnfitSubject::Type),
                    Some(_) | None => Repertoire::Ascii,
                };
                let is_padded = |collation: &str| !collation.contains("_0900_") && !collation.contains("_nopad_");
                let passed_over = &*column.data_type == "char" || column.collation.as_deref().is_none_or(is_padded);
                let blanks = if passed_over { Blanks::PassedOver } else { Blanks::Counted };
                return Ok(Self::Text { chars_max: size()?, repertoire, blanks });
            }
            _ => return Err(UnfitSubject::Type),
        };
        let zero = if extra.contains("auto_increment") { Zero::Generated } else { Zero::Itself };
        let half = 1_i128 << (bits - 1);
        Ok(if lower.contains("unsigned") {
            Self::Integer { min: 0, max: half * 2 - 1, zero }
        } else {
            Self::Integer { min: -half, max: half - 1, zero }
        })
    }

    /// The form of an integer.
    pub fn integer(self, number: i128, place: SubjectPlace) -> Result<Vec<u8>, UnclearSubject> {
        match self {
            Self::Integer { min, max, zero } => {
                if number == 0 && zero == Zero::Generated && place == SubjectPlace::Stored {
                    return Err(UnclearSubject::Generated);
                }
                if (min..=max).contains(&number) {
                    Ok(number.to_string().into_bytes())
                } else {
                    Err(UnclearSubject::Converted)
                }
            }
            // Stored, it becomes its digits; compared, both become floating-point numbers.
            Self::Text { .. } if place == SubjectPlace::Stored => self.text(&number.to_string(), place),
            Self::Text { .. } | Self::Bytes { .. } | Self::Uuid => Err(UnclearSubject::Converted),
        }
    }

    /// The form of a floating-point number, which some drivers send for every number.
    pub fn float(self, number: f64, place: SubjectPlace) -> Result<Vec<u8>, UnclearSubject> {
        // A float between the bounds converts without loss once it has no fraction.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "within the bounds it is exact"
        )]
        let whole = (number.fract() == 0.0 && number.abs() <= EXACT_MAX as f64).then_some(number as i64);
        match (self, whole) {
            (Self::Integer { .. }, Some(whole)) => self.integer(i128::from(whole), place),
            (Self::Integer { .. } | Self::Text { .. } | Self::Bytes { .. } | Self::Uuid, _) => {
                Err(UnclearSubject::Converted)
            }
        }
    }

    /// The form of a string of characters.
    pub fn text(self, text: &str, place: SubjectPlace) -> Result<Vec<u8>, UnclearSubject> {
        match self {
            Self::Integer { .. } => {
                let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<i128>().ok().filter(|number| is_number && number.abs() <= EXACT_MAX);
                self.integer(number.ok_or(UnclearSubject::Converted)?, place)
            }
            Self::Text { chars_max, repertoire, blanks } => {
                let text = match blanks {
                    Blanks::PassedOver => text.trim_end_matches(' '),
                    Blanks::Counted => text,
                };
                let fits = text.chars().count() as u64 <= u64::from(chars_max);
                let survives = match repertoire {
                    Repertoire::All => true,
                    Repertoire::Plane0 => text.chars().all(|letter| letter.len_utf8() <= 3),
                    Repertoire::Ascii => text.is_ascii(),
                };
                if fits && survives { Ok(text.as_bytes().to_vec()) } else { Err(UnclearSubject::Converted) }
            }
            // The server stores the bytes that the string has in the connection's character set: for ASCII these.
            Self::Bytes { .. } if text.is_ascii() => self.bytes(text.as_bytes(), place),
            Self::Bytes { .. } => Err(UnclearSubject::Converted),
            // The server takes no braces, and no `urn:`.
            Self::Uuid if text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') => {
                match Uuid::try_parse(text) {
                    Ok(uuid) => Ok(uuid.hyphenated().to_string().into_bytes()),
                    Err(_) => Err(UnclearSubject::Converted),
                }
            }
            Self::Uuid => Err(UnclearSubject::Converted),
        }
    }

    /// The form of a string of characters that is UTF-8.
    pub fn bytes_of_text(self, text: &[u8], place: SubjectPlace) -> Result<Vec<u8>, UnclearSubject> {
        std::str::from_utf8(text).map_err(|_| UnclearSubject::Converted).and_then(|text| self.text(text, place))
    }

    /// The form of a string of bytes.
    pub fn bytes(self, bytes: &[u8], place: SubjectPlace) -> Result<Vec<u8>, UnclearSubject> {
        match self {
            Self::Bytes { octets_max, filling } => {
                let (octets, most) = (bytes.len() as u64, u64::from(octets_max));
                let fits = match filling {
                    Filling::None => octets <= most,
                    Filling::Zeros => octets == most,
                };
                if fits { Ok(bytes.to_vec()) } else { Err(UnclearSubject::Converted) }
            }
            Self::Integer { .. } | Self::Text { .. } | Self::Uuid => match std::str::from_utf8(bytes) {
                Ok(text) => self.text(text, place),
                Err(_) => Err(UnclearSubject::Converted),
            },
        }
    }

    /// What stands around the column where its values are read: they come as bytes in the text and in the binary protocol,
    /// and no character set changes them.
    pub fn cast(self) -> (&'static str, &'static str) {
        match self {
            Self::Integer { .. } | Self::Bytes { .. } => ("CAST(", " AS BINARY)"),
            Self::Text { .. } => ("CAST(CONVERT(", " USING utf8mb4) AS BINARY)"),
            // As bytes it would be 16 of them.
            Self::Uuid => ("CAST(CAST(", " AS CHAR) AS BINARY)"),
        }
    }

    /// The form of a value that was read so. `None`: it is none of the column's.
    pub fn shown(self, value: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Integer { .. } => {
                let number = std::str::from_utf8(value).ok()?.parse::<i128>().ok()?;
                self.integer(number, SubjectPlace::Compared).ok()
            }
            Self::Bytes { .. } | Self::Text { .. } | Self::Uuid => self.bytes(value, SubjectPlace::Compared).ok(),
        }
    }

    /// The form of a hexadecimal literal, which is a number to an integer column.
    pub fn hex(self, bytes: &[u8], place: SubjectPlace) -> Result<Vec<u8>, UnclearSubject> {
        match self {
            Self::Integer { .. } | Self::Uuid => Err(UnclearSubject::Converted),
            Self::Bytes { .. } | Self::Text { .. } => self.bytes(bytes, place),
        }
    }
}

/// The number in `varchar(40)`.
fn parenthesised(column_type: &str) -> Option<u32> {
    column_type.split_once('(')?.1.split_once(')')?.0.trim().parse().ok()
}
