//! Associated data of an envelope, built on the stack: opening a cell allocates nothing, unless it is bound to its row.

use super::envelope::HEADER_LENGTH_MAX;

/// Most bytes of a column context: three names of 64 three-byte characters, and two dots.
pub(super) const CONTEXT_OCTETS_MAX: usize = 578;

const DOMAIN: [u8; 4] = *b"FE1\0";
const CAPACITY: usize = DOMAIN.len() + HEADER_LENGTH_MAX + 2 + CONTEXT_OCTETS_MAX;

/// Most bytes of the value that an envelope is bound to.
pub(super) const ROW_VALUE_OCTETS_MAX: usize = 1024;

/// The value of the column that an envelope is bound to, in the one form that [`crate::schema::SubjectForm`] gives it. Not
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowValue(Vec<u8>);

impl RowValue {
    /// Takes a value; `None` if it is longer than 1,024 bytes.
    pub fn new(value: Vec<u8>) -> Option<Self> {
        (value.len() <= ROW_VALUE_OCTETS_MAX).then_some(Self(value))
    }
}

/// `"FE1\0" ‖ header ‖ u16be(|context|) ‖ context`; the header is the envelope up to its nonce. If the envelope is bound to
/// its row, `u16be(|row|) ‖ row` follows with `row = u16be(|value|) ‖ value`, a list that could have more values.
pub(super) struct Aad {
    bytes: [u8; CAPACITY],
    length: usize,
    /// All of it, with the row.
    bound: Option<Vec<u8>>,
}

impl Aad {
    /// Builds it, or gives `None` if header or context is longer than the format allows.
    pub(super) fn new(header: &[u8], context: &[u8], row: Option<&RowValue>) -> Option<Self> {
        let context_length = u16::try_from(context.len()).ok()?.to_be_bytes();
        let mut aad = Self { bytes: [0; CAPACITY], length: 0, bound: None };
        aad.append(&DOMAIN)?;
        aad.append(header)?;
        aad.append(&context_length)?;
        aad.append(context)?;
        if let Some(RowValue(value)) = row {
            let length = u16::try_from(value.len()).ok()?;
            let listed = length.checked_add(2)?;
            aad.bound = Some([aad.as_bytes(), &listed.to_be_bytes(), &length.to_be_bytes(), value].concat());
        }
        Some(aad)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.bound {
            Some(bytes) => bytes,
            None => self.bytes.get(..self.length).unwrap_or_default(),
        }
    }

    fn append(&mut self, part: &[u8]) -> Option<()> {
        let end = self.length.checked_add(part.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(part);
        self.length = end;
        Some(())
    }
}
