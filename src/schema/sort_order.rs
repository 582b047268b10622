//! The order that a collation gives to values, where Candado knows it exactly.
//!
//! A value is weighed once and compared by its weights. A collation is named here only if its order was compared with a
//! server's own.

mod weights;

use std::cmp::Ordering;

use self::weights::Weights;

/// The weight of a blank under collations that compare code points, and under version 4.0.0 of the Unicode Collation
/// Algorithm.
const BLANK: u16 = 0x20;
const BLANK_400: u16 = 0x0209;

/// The order of a collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// By code points; a shorter value counts as filled up with blanks.
    Padded,
    /// By code points; a shorter value comes first.
    Unpadded,
    /// That of `utf8mb4_general_ci`.
    General,
    /// That of `utf8mb4_unicode_ci`.
    Unicode,
    /// That of `utf8mb4_0900_ai_ci`.
    Unicode900,
}

impl SortOrder {
    /// Names of the collations whose order is known.
    pub const NAMES: [&'static str; 6] = [
        "utf8mb4_0900_ai_ci",
        "utf8mb4_0900_bin",
        "utf8mb4_bin",
        "utf8mb4_general_ci",
        "utf8mb4_nopad_bin",
        "utf8mb4_unicode_ci",
    ];

    /// The order of a collation by name, if it is known.
    pub fn of(collation: &str) -> Option<Self> {
        match collation.to_ascii_lowercase().as_str() {
            "utf8mb4_bin" => Some(Self::Padded),
            "utf8mb4_0900_bin" | "utf8mb4_nopad_bin" => Some(Self::Unpadded),
            "utf8mb4_general_ci" => Some(Self::General),
            "utf8mb4_unicode_ci" => Some(Self::Unicode),
            "utf8mb4_0900_ai_ci" => Some(Self::Unicode900),
            _ => None,
        }
    }

    /// Gives the weights of a value, in pieces.
    pub fn weigh(self, value: &str, mut put: impl FnMut(&[u16])) {
        let table = match self {
            // Bytes of UTF-8 are in the order of code points.
            Self::Padded | Self::Unpadded => return value.bytes().for_each(|byte| put(&[u16::from(byte)])),
            Self::General => Weights::general(),
            Self::Unicode => Weights::uca400(),
            Self::Unicode900 => Weights::uca900(),
        };
        value.chars().for_each(|character| table.weigh(character, &mut put));
    }

    /// Compares two values by their weights.
    pub fn compare(self, left: &[u16], right: &[u16]) -> Ordering {
        match self {
            Self::Padded | Self::General => padded(left, right, BLANK),
            Self::Unicode => padded(left, right, BLANK_400),
            Self::Unpadded | Self::Unicode900 => left.cmp(right),
        }
    }
}

/// Compares as if the shorter one went on with blanks.
fn padded(left: &[u16], right: &[u16], blank: u16) -> Ordering {
    let common = left.len().min(right.len());
    let (left, left_rest) = left.split_at(common);
    let (right, right_rest) = right.split_at(common);
    let beside_blanks = |rest: &[u16]| {
        rest.iter().map(|weight| weight.cmp(&blank)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    left.cmp(right).then_with(|| beside_blanks(left_rest)).then_with(|| beside_blanks(right_rest).reverse())
}

#[cfg(test)]
mod tests;
