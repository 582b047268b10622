//! Masks: what a role with access `masked` sees in place of a value. How a value is masked is [`crate::crypto`]'s.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::Deserializer;

use super::written::{Text, word_or_table};
use super::{LogicalType, Normaliser, ProtectedColumn};

/// Most characters of a value that a mask may show.
const SHOWN_MAX: u8 = 32;
const SHOWN_OF_PHONE: u8 = 2;
const SHOWN_OF_EMAIL: u8 = 1;
/// Characters that stand for hidden ones, however many these are: lengths are not shown.
pub const HIDDEN: &str = "****";
/// Characters of a pseudonym: 64 bits as hexadecimal digits.
pub const PSEUDONYM_CHARS: usize = 16;

/// What is left of a value. Where a number of characters is shown, the value must have twice as many: a shorter one is
/// hidden wholly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mask {
    /// Of a telephone number, the country's code and the last digits.
    Phone {
        /// How many digits.
        shown: u8,
        /// ISO 3166-1 code of the country that national notations belong to. `None`: they are hidden wholly.
        region: Option<Arc<str>>,
    },
    /// Of an e-mail address, the first characters before the `@`, and what is behind it.
    Email {
        /// How many characters.
        shown: u8,
    },
    /// Of an address, the city, or nothing.
    Address(AddressPart),
    /// The first characters.
    First(u8),
    /// The last characters.
    Last(u8),
    /// A text of policy's own.
    Fixed(Arc<str>),
    /// A pseudonym: the same for values that are equal to the column's blind index, in all columns of its domain.
    Hash,
    /// NULL.
    Null,
    /// Text with pieces of the value in it.
    Template(Arc<[Piece]>),
}

/// What is kept of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressPart {
    /// The last part between commas, semicolons or line ends, without words that have a digit in them.
    City {
        /// Parts that follow it, such as the country.
        after: u8,
    },
    /// Nothing.
    Nothing,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text.
    Text(Arc<str>),
    /// The first characters of the value.
    First(u8),
    /// Its last ones.
    Last(u8),
    /// Its pseudonym.
    Hash,
}

impl Mask {
    /// Its name in policy.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Phone { .. } => "phone",
            Self::Email { .. } => "email",
            Self::Address(_) => "address",
            Self::First(_) => "first",
            Self::Last(_) => "last",
            Self::Fixed(_) => "fixed",
            Self::Hash => "hash",
            Self::Null => "null",
            Self::Template(_) => "template",
        }
    }

    /// Whether it depends on the value at all. Where it does not, no cell is opened for it.
    pub fn reads(&self) -> Reads {
        match self {
            Self::Fixed(_) | Self::Null => Reads::Nothing,
            Self::Phone { .. }
            | Self::Email { .. }
            | Self::Address(_)
            | Self::First(_)
            | Self::Last(_)
            | Self::Hash
            | Self::Template(_) => Reads::Value,
        }
    }

    fn is_pseudonym(&self) -> bool {
        match self {
            Self::Hash => true,
            Self::Template(pieces) => pieces.contains(&Piece::Hash),
            Self::Phone { .. }
            | Self::Email { .. }
            | Self::Address(_)
            | Self::First(_)
            | Self::Last(_)
            | Self::Fixed(_)
            | Self::Null => false,
        }
    }
}

/// What a mask is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The value.
    Value,
    /// Nothing: it is the same for all values but NULL.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Phone,
    Email,
    Address,
    First,
    Last,
    Fixed,
    Hash,
    Null,
    Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Keep {
    City,
    Nothing,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kind: Kind,
    shown: Option<u8>,
    region: Option<String>,
    keep: Option<Keep>,
    after: Option<u8>,
    text: Option<String>,
}

/// A mask as written: its name, or a table with its name as `kind`.
#[derive(Clone, Debug)]
pub(super) struct WrittenMask(Table);

impl<'de> Deserialize<'de> for WrittenMask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let by_name = |kind| Table { kind, shown: None, region: None, keep: None, after: None, text: None };
        word_or_table(deserializer, "the name of a mask, or a table with `kind`", by_name).map(Self)
    }
}

impl WrittenMask {
    /// The mask for a column. What is wrong with it is noted at `at`.
    pub(super) fn checked(&self, text: &mut Text<'_>, at: &Range<usize>, column: &ProtectedColumn) -> Mask {
        let table = &self.0;
        for (key, is_written, kinds) in [
            ("shown", table.shown.is_some(), &[Kind::Phone, Kind::Email, Kind::First, Kind::Last][..]),
            ("region", table.region.is_some(), &[Kind::Phone]),
            ("keep", table.keep.is_some(), &[Kind::Address]),
            ("after", table.after.is_some(), &[Kind::Address]),
            ("text", table.text.is_some(), &[Kind::Fixed, Kind::Template]),
        ] {
            if is_written && !kinds.contains(&table.kind) {
                text.wrong(at, format!("mask: `{key}` does not belong to this kind"));
            }
        }
        let mask = match table.kind {
            Kind::Phone => {
                Mask::Phone { shown: self.shown(text, at, Some(SHOWN_OF_PHONE)), region: region(table, column) }
            }
            Kind::Email => Mask::Email { shown: self.shown(text, at, Some(SHOWN_OF_EMAIL)) },
            Kind::Address => Mask::Address(match table.keep {
                Some(Keep::City) => AddressPart::City { after: table.after.unwrap_or(0) },
                Some(Keep::Nothing) | None => AddressPart::Nothing,
            }),
            Kind::First => Mask::First(self.shown(text, at, None)),
            Kind::Last => Mask::Last(self.shown(text, at, None)),
            Kind::Fixed => Mask::Fixed(self.text(text, at).into()),
            Kind::Hash => Mask::Hash,
            Kind::Null => Mask::Null,
            Kind::Template => {
                let template = self.text(text, at);
                Mask::Template(pieces(text, at, &template).into())
            }
        };
        fits(text, at, &mask, column);
        mask
    }

    fn shown(&self, text: &mut Text<'_>, at: &Range<usize>, default: Option<u8>) -> u8 {
        match self.0.shown.or(default) {
            Some(shown) if (1..=SHOWN_MAX).contains(&shown) => shown,
            Some(_) => {
                text.wrong(at, format!("mask: `shown` is 1 to {SHOWN_MAX} characters"));
                1
            }
            None => {
                text.wrong(at, "mask: `shown` says how many characters are shown");
                1
            }
        }
    }

    fn text(&self, text: &mut Text<'_>, at: &Range<usize>) -> String {
        self.0.text.clone().unwrap_or_else(|| {
            text.wrong(at, "mask: `text` says what is shown");
            String::new()
        })
    }
}

/// The region that national notations belong to: the mask's own, or the index's.
fn region(table: &Table, column: &ProtectedColumn) -> Option<Arc<str>> {
    if let Some(region) = &table.region {
        return Some(region.as_str().into());
    }
    match column.index.as_ref().map(|index| &index.normaliser) {
        Some(Normaliser::E164 { region }) => Some(region.clone()),
        Some(Normaliser::Raw | Normaliser::Text | Normaliser::Email) | None => None,
    }
}

/// A template's pieces: `{first:2}`, `{last:2}`, `{hash}` and text between them.
fn pieces(text: &mut Text<'_>, at: &Range<usize>, template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let Some((name, after)) = after.split_once('}') else {
            text.wrong(at, "mask: `{` without `}`");
            return pieces;
        };
        match piece(name) {
            Some(piece) => pieces.push(piece),
            None => text.wrong(at, format!("mask: `{{{name}}}`: use {{first:n}}, {{last:n}} or {{hash}}")),
        }
        rest = after;
    }
    if rest.contains('}') {
        text.wrong(at, "mask: `}` without `{`");
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    pieces
}

fn piece(name: &str) -> Option<Piece> {
    if name == "hash" {
        return Some(Piece::Hash);
    }
    let (kind, shown) = name.split_once(':')?;
    let shown = shown.parse().ok().filter(|shown| (1..=SHOWN_MAX).contains(shown))?;
    match kind {
        "first" => Some(Piece::First(shown)),
        "last" => Some(Piece::Last(shown)),
        _ => None,
    }
}

/// Notes what the column cannot hold, or cannot give.
fn fits(text: &mut Text<'_>, at: &Range<usize>, mask: &Mask, column: &ProtectedColumn) {
    if let Mask::Phone { region: Some(region), .. } = mask
        && region.parse::<phonenumber::country::Id>().is_err()
    {
        text.wrong(at, format!("mask: region `{region}` is no ISO 3166 code in capitals, such as \"JP\""));
    }
    if mask.is_pseudonym() && column.index.is_none() {
        text.wrong(at, "mask: a pseudonym needs the column's `index`, whose key and normaliser make it");
    }
    let chars = match mask {
        Mask::Fixed(shown) => shown.chars().count(),
        Mask::Hash => PSEUDONYM_CHARS,
        Mask::Template(pieces) => pieces.iter().map(length_max).sum(),
        // Cut to what the column holds.
        Mask::Phone { .. } | Mask::Email { .. } | Mask::Address(_) | Mask::First(_) | Mask::Last(_) | Mask::Null => 0,
    };
    let holds = match column.logical {
        LogicalType::Varchar { chars_max } => u64::from(chars_max),
        // Bytes, of which a character has up to four.
        LogicalType::Text(_) => column.plaintext_octets_max() / 4,
    };
    if chars as u64 > holds {
        text.wrong(at, format!("mask: it is up to {chars} characters long, and the column holds {holds}"));
    }
}

fn length_max(piece: &Piece) -> usize {
    match piece {
        Piece::Text(text) => text.chars().count(),
        Piece::First(shown) | Piece::Last(shown) => usize::from(*shown).max(HIDDEN.len()),
        Piece::Hash => PSEUDONYM_CHARS,
    }
}
