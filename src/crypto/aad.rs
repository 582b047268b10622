//! Associated data of an envelope, built on the stack: opening a cell allocates nothing.

use super::envelope::HEADER_LENGTH_MAX;

/// Most bytes of a column context: three names of 64 three-byte characters, and two dots.
pub(super) const CONTEXT_OCTETS_MAX: usize = 578;

const DOMAIN: [u8; 4] = *b"FE1\0";
const CAPACITY: usize = DOMAIN.len() + HEADER_LENGTH_MAX + 2 + CONTEXT_OCTETS_MAX;

/// `"FE1\0" ‖ header ‖ u16be(|context|) ‖ context`; the header is the envelope up to its nonce.
pub(super) struct Aad {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Aad {
    /// Builds it, or gives `None` if header or context is longer than the format allows.
    pub(super) fn new(header: &[u8], context: &[u8]) -> Option<Self> {
        let context_length = u16::try_from(context.len()).ok()?.to_be_bytes();
        let mut aad = Self { bytes: [0; CAPACITY], length: 0 };
        aad.append(&DOMAIN)?;
        aad.append(header)?;
        aad.append(&context_length)?;
        aad.append(context)?;
        Some(aad)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn append(&mut self, part: &[u8]) -> Option<()> {
        let end = self.length.checked_add(part.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(part);
        self.length = end;
        Some(())
    }
}
