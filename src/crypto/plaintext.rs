//! The one type that holds values of protected columns in the clear.

use std::fmt;

use zeroize::Zeroize;

/// Bytes of a protected value, wiped on drop, on [`Plaintext::clear`] and when the buffer grows.
#[derive(Default)]
pub struct Plaintext(Vec<u8>);

impl Plaintext {
    /// An empty value.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a byte.
    pub fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    /// Adds bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Makes room for more bytes, see [`make_room`].
    pub fn reserve(&mut self, more: usize) {
        make_room(&mut self.0, more);
    }

    /// Wipes the value and keeps the buffer for the next one.
    pub fn clear(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.clear();
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the value is the empty string; that is not NULL.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push_char(&mut self, char: char) {
        self.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    pub(super) fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Shortens the value; the cut bytes are wiped.
    pub(super) fn truncate(&mut self, length: usize) {
        if let Some(cut) = self.0.get_mut(length..) {
            cut.zeroize();
            self.0.truncate(length);
        }
    }
}

/// Makes room for more in a buffer with opened values. `Vec` would move them when it grows and leave them behind in freed
/// memory. What the buffer holds at its end is wiped by its owner.
#[inline]
pub fn make_room<T: Copy + Zeroize>(buffer: &mut Vec<T>, more: usize) {
    let needed = buffer.len().saturating_add(more);
    if needed > buffer.capacity() {
        let mut grown = Vec::with_capacity(needed.max(buffer.capacity().saturating_mul(2)));
        grown.extend_from_slice(buffer);
        buffer.zeroize();
        *buffer = grown;
    }
}

impl From<Vec<u8>> for Plaintext {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}
