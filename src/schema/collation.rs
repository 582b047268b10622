//! Character sets that a connection may use, and how collation ids and names map to them.
//!
//! Sets whose second byte can be a quote or a backslash are deliberately absent: a statement in them is refused before
//! it is read.

/// A character set that Candado reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    /// UTF-8 of one to four bytes.
    Utf8mb4,
    /// UTF-8 of one to three bytes.
    Utf8mb3,
    /// Seven-bit ASCII.
    Ascii,
    /// MySQL's `latin1`, which is Windows-1252 with the five undefined bytes mapped to C1 controls.
    Latin1,
    /// No character set: bytes.
    Binary,
}

impl Charset {
    /// The set with that name (`@@character_set_client`), if Candado reads it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "utf8mb4" => Some(Self::Utf8mb4),
            "utf8mb3" | "utf8" => Some(Self::Utf8mb3),
            "ascii" => Some(Self::Ascii),
            "latin1" => Some(Self::Latin1),
            "binary" => Some(Self::Binary),
            _ => None,
        }
    }

    /// The set of a collation id (login packet, column definition), if Candado reads it.
    pub fn from_collation_id(id: u16) -> Option<Self> {
        match id {
            45 | 46 | 224..=247 | 255..=323 | 608..=620 | 1069 | 1070 | 1248..=1271 | 2304..=2559 => {
                Some(Self::Utf8mb4)
            }
            33 | 76 | 83 | 192..=215 | 223 | 576 | 577 | 1057 | 1107 | 1216..=1239 | 2048..=2303 => Some(Self::Utf8mb3),
            11 | 65 | 1035 | 1089 => Some(Self::Ascii),
            5 | 8 | 15 | 31 | 47..=49 | 94 | 1032 | 1071 => Some(Self::Latin1),
            63 => Some(Self::Binary),
            _ => None,
        }
    }

    /// The most bytes one character takes.
    pub fn bytes_per_char_max(self) -> u32 {
        match self {
            Self::Utf8mb4 => 4,
            Self::Utf8mb3 => 3,
            Self::Ascii | Self::Latin1 | Self::Binary => 1,
        }
    }
}
