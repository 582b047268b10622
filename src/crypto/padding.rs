//! ISO/IEC 7816-4 padding: one byte 80, then zeros up to a multiple of the block.

const MARK: u8 = 0x80;

/// Pads what stands in `buffer` from `start` on. Every value grows by at least one byte.
pub(super) fn pad(buffer: &mut Vec<u8>, start: usize, block: u8) {
    buffer.push(MARK);
    while !buffer.len().saturating_sub(start).is_multiple_of(usize::from(block)) {
        buffer.push(0);
    }
}

/// The length of the value before padding, or `None` if the padding is not well formed.
///
/// Called on authenticated bytes only, so that a malformed padding tells an attacker nothing.
pub(super) fn unpadded_length(padded: &[u8]) -> Option<usize> {
    let mark = padded.iter().rposition(|byte| *byte != 0)?;
    (padded.get(mark) == Some(&MARK)).then_some(mark)
}
