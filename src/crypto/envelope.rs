//! Reads and writes the envelope's fields (envelope.md). Knows no keys: what parses is not yet authentic.

use super::{IndexVersion, KeyId};

/// The first four bytes of every envelope: magic and version. C1 occurs nowhere in UTF-8.
pub const MAGIC: [u8; 4] = [0xC1, 0xFE, 0x1D, 0x01];

/// The longest envelope. MySQL's largest packet, and so its largest cell, is 1 GiB.
pub const ENVELOPE_OCTETS_MAX: usize = 1 << 30;

/// Bytes of an XAES-256-GCM nonce.
pub(super) const NONCE_LENGTH: usize = 24;
/// Bytes of a GCM tag.
pub(super) const TAG_LENGTH: usize = 16;
/// The shortest and the longest blind index; 0 stands for none.
pub(super) const INDEX_LENGTHS: std::ops::RangeInclusive<u8> = 2..=16;
/// Bytes before the nonce with the longest blind index.
pub(super) const HEADER_LENGTH_MAX: usize = 28;

const MAGIC_LENGTH: usize = 3;
const FLAG_ROW: u8 = 0b01;
const FLAG_PAD: u8 = 0b10;

/// A field of the envelope, for error texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// VER.
    Version,
    /// L.
    IndexLength,
    /// IKV.
    IndexVersion,
    /// FLAGS.
    Flags,
    /// KID.
    KeyId,
    /// The envelope ends within its fields, or is longer than any cell.
    Length,
    /// The padding under a valid tag.
    Padding,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::IndexLength => "index length",
            Self::IndexVersion => "index version",
            Self::Flags => "flags",
            Self::KeyId => "key id",
            Self::Length => "length",
            Self::Padding => "padding",
        })
    }
}

/// Why bytes do not parse as an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The magic is missing: the bytes are something else altogether.
    #[error("not an envelope")]
    NotAnEnvelope,
    /// The magic is there and a field is wrong.
    #[error("malformed envelope: {0}")]
    Malformed(Field),
}

/// Whether the row is bound into the associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RowBinding {
    /// The row is not bound.
    Free,
    /// A value of the row is bound.
    Bound,
}

/// Whether the value was padded before it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Padded {
    /// Padded by ISO/IEC 7816-4.
    Yes,
    /// As it is.
    No,
}

/// The fields of an envelope, borrowed from a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Everything before the nonce; part of the associated data.
    pub(super) header: &'a [u8],
    /// Version of the index key and the blind index.
    pub(super) index: Option<(IndexVersion, &'a [u8])>,
    pub(super) row: RowBinding,
    pub(super) padded: Padded,
    pub(super) kid: KeyId,
    pub(super) nonce: &'a [u8; NONCE_LENGTH],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8; TAG_LENGTH],
}

impl<'a> Envelope<'a> {
    /// Takes the fields apart. Strict and total: whatever the writer would not write is an error, no bytes panic.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let short = EnvelopeError::Malformed(Field::Length);
        let (magic, rest) = bytes.split_at_checked(MAGIC_LENGTH).ok_or(EnvelopeError::NotAnEnvelope)?;
        if !MAGIC.starts_with(magic) {
            return Err(EnvelopeError::NotAnEnvelope);
        }
        if bytes.len() > ENVELOPE_OCTETS_MAX {
            return Err(short);
        }
        let ([version, length], rest) = rest.split_first_chunk().ok_or(short)?;
        if MAGIC.last() != Some(version) {
            return Err(EnvelopeError::Malformed(Field::Version));
        }
        if *length != 0 && !INDEX_LENGTHS.contains(length) {
            return Err(EnvelopeError::Malformed(Field::IndexLength));
        }
        let (index_version, rest) = rest.split_first_chunk().ok_or(short)?;
        let (blind_index, rest) = rest.split_at_checked(usize::from(*length)).ok_or(short)?;
        let index = match (IndexVersion::new(u16::from_be_bytes(*index_version)), blind_index.is_empty()) {
            (Some(version), false) => Some((version, blind_index)),
            (None, true) => None,
            (Some(_), true) | (None, false) => return Err(EnvelopeError::Malformed(Field::IndexVersion)),
        };
        let ([flags], rest) = rest.split_first_chunk().ok_or(short)?;
        if flags & !(FLAG_ROW | FLAG_PAD) != 0 {
            return Err(EnvelopeError::Malformed(Field::Flags));
        }
        let (kid, rest) = rest.split_first_chunk().ok_or(short)?;
        let kid = KeyId::new(u32::from_be_bytes(*kid)).ok_or(EnvelopeError::Malformed(Field::KeyId))?;
        let header_length = bytes.len().saturating_sub(rest.len());
        let (nonce, rest) = rest.split_first_chunk().ok_or(short)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(short)?;
        Ok(Self {
            header: bytes.get(..header_length).ok_or(short)?,
            index,
            row: if flags & FLAG_ROW == 0 { RowBinding::Free } else { RowBinding::Bound },
            padded: if flags & FLAG_PAD == 0 { Padded::No } else { Padded::Yes },
            kid,
            nonce,
            ciphertext,
            tag,
        })
    }

    /// Everything before the nonce.
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// The key that sealed it, as it says.
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// The index key's version, if it carries a blind index.
    pub fn index_version(&self) -> Option<IndexVersion> {
        self.index.map(|(version, _)| version)
    }

    /// The blind index, if it carries one.
    pub fn index(&self) -> Option<&'a [u8]> {
        self.index.map(|(_, index)| index)
    }

    /// Whether its plaintext was padded.
    pub fn is_padded(&self) -> bool {
        self.padded == Padded::Yes
    }

    /// Whether it is bound to its row.
    pub fn is_row_bound(&self) -> bool {
        self.row == RowBinding::Bound
    }

    /// The nonce.
    pub fn nonce(&self) -> &'a [u8] {
        self.nonce
    }

    /// The ciphertext without its tag.
    pub fn ciphertext(&self) -> &'a [u8] {
        self.ciphertext
    }

    /// The tag.
    pub fn tag(&self) -> &'a [u8] {
        self.tag
    }
}

/// Whether the bytes have the structure of an envelope. Says nothing of who made it.
pub fn is_envelope(bytes: &[u8]) -> bool {
    Envelope::parse(bytes).is_ok()
}

/// Appends an envelope with random bytes in place of its blind index, so that equal values do not show. It opens nowhere:
/// the index is authenticated. `None`, and nothing is appended, if the bytes are no envelope or the system's random number
/// generator failed.
pub fn blurred(stored: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let envelope = Envelope::parse(stored).ok()?;
    let start = out.len();
    let Some((version, tag)) = envelope.index else {
        out.extend_from_slice(stored);
        return Some(());
    };
    let mut random = [0; 16];
    let random = random.get_mut(..tag.len())?;
    getrandom::fill(random).ok()?;
    write_prefix(out, Some((version, random)))?;
    let prefix = out.len().saturating_sub(start);
    out.extend_from_slice(stored.get(prefix..).unwrap_or_default());
    Some(())
}

/// Appends magic, version, index length, index version and blind index: the part that an index search compares.
/// `None` if the blind index has a length that the format does not know.
pub(super) fn write_prefix(out: &mut Vec<u8>, index: Option<(IndexVersion, &[u8])>) -> Option<()> {
    let (version, blind_index) = index.map_or((0, &[][..]), |(version, tag)| (version.number(), tag));
    let length = u8::try_from(blind_index.len()).ok()?;
    if index.is_some() && !INDEX_LENGTHS.contains(&length) {
        return None;
    }
    out.extend_from_slice(&MAGIC);
    out.push(length);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(blind_index);
    Some(())
}

/// Appends flags and key id, which end the header.
pub(super) fn write_key(out: &mut Vec<u8>, row: RowBinding, padded: Padded, kid: KeyId) {
    let row = match row {
        RowBinding::Free => 0,
        RowBinding::Bound => FLAG_ROW,
    };
    let padded = match padded {
        Padded::Yes => FLAG_PAD,
        Padded::No => 0,
    };
    out.push(row | padded);
    out.extend_from_slice(&kid.number().to_be_bytes());
}
