//! Receive buffers: one per direction while bytes are under way, none while a connection is idle.
//!
//! Buffers come from a pool of the thread and go back when they are drained, so that ten thousand idle connections hold
//! none. Their bytes are initialised once, when a buffer is made.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use zeroize::Zeroize;

use super::stream::Stream;

/// Sizes that are pooled: a connection starts with the first and moves up after reads that fill a buffer.
const SIZES: [usize; 3] = [16 << 10, 64 << 10, 256 << 10];
/// Buffers of one size that a thread keeps.
const POOLED_MAX: usize = 32;

thread_local! {
    static POOL: RefCell<[Vec<Vec<u8>>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// Bytes read from one side and not yet passed on.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Initialised to its length; empty while no buffer is held.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Position in [`SIZES`] of the next buffer that is taken.
    class: usize,
}

impl Input {
    /// The bytes that are there.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes that are there, to be patched in place.
    #[inline]
    pub(super) fn data_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Gives up the first `length` bytes.
    #[inline]
    pub(super) fn consume(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Gives up the first `length` bytes and overwrites them: they may hold a password.
    pub(super) fn consume_and_wipe(&mut self, length: usize) {
        let upto = self.start.saturating_add(length).min(self.end);
        if let Some(bytes) = self.bytes.get_mut(self.start..upto) {
            bytes.zeroize();
        }
        self.consume(length);
    }

    /// Reads once. `Ok(0)` is the peer's end. Callers bound [`Input::len`] by what they wait for. Cancel-safe.
    pub(super) fn poll_fill(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let Some(free) = self.bytes.get_mut(self.end..) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let free_length = free.len();
        let mut buffer = ReadBuf::new(free);
        let Poll::Ready(result) = stream.poll_read(cx, &mut buffer) else {
            if self.is_empty() {
                self.release();
            }
            return Poll::Pending;
        };
        let read = buffer.filled().len();
        result?;
        self.end = self.end.saturating_add(read);
        if read == free_length && self.class + 1 < SIZES.len() {
            self.class += 1;
        } else if self.class > 0 && read < SIZES[0] {
            self.class -= 1;
        }
        Poll::Ready(Ok(read))
    }

    /// Leaves at least one free byte behind the data.
    fn make_room(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = take(self.class);
            return;
        }
        if self.is_empty() && SIZES.get(self.class).is_some_and(|size| *size > self.bytes.len()) {
            self.release();
            self.bytes = take(self.class);
            return;
        }
        if self.end < self.bytes.len() {
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end = self.len();
            self.start = 0;
            // A little room would mean many small reads.
            if self.end <= self.bytes.len() / 2 {
                return;
            }
        }
        let doubled = self.bytes.len().saturating_mul(2);
        let size = SIZES.into_iter().find(|size| *size >= doubled).unwrap_or(doubled);
        self.bytes.resize(size, 0);
    }

    /// Gives the buffer back to the pool.
    fn release(&mut self) {
        let buffer = std::mem::take(&mut self.bytes);
        self.start = 0;
        self.end = 0;
        let Some(class) = SIZES.into_iter().position(|size| size == buffer.len()) else { return };
        POOL.with_borrow_mut(|pool| {
            if let Some(kept) = pool.get_mut(class)
                && kept.len() < POOLED_MAX
            {
                kept.push(buffer);
            }
        });
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.release();
    }
}

fn take(class: usize) -> Vec<u8> {
    let pooled = POOL.with_borrow_mut(|pool| pool.get_mut(class).and_then(Vec::pop));
    pooled.unwrap_or_else(|| vec![0; SIZES.get(class).copied().unwrap_or(SIZES[0])])
}

/// Waits for more bytes.
pub(super) fn poll_some(input: &mut Input, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let read = ready!(input.poll_fill(stream, cx))?;
    if read == 0 {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    Poll::Ready(Ok(read))
}
