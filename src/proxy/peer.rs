//! One side of a connection: its stream, what was read from it, and how it is written to.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use zeroize::Zeroizing;

use super::buffer::{Input, poll_some};
use super::end::End;
use super::stream::Stream;
use crate::wire::packet::{HEADER_LENGTH, Header, Whole};
use crate::wire::{WireError, packet};

/// Which side; decides how failures are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    /// The end that a socket error means.
    pub(super) fn failed(self, error: io::Error) -> End {
        let closed = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        );
        match (self, closed) {
            (Self::Client, true) => End::ClientClosed,
            (Self::Client, false) => End::Client(error),
            (Self::Server, true) => End::ServerClosed,
            (Self::Server, false) => End::Server(error),
        }
    }

    /// The end that malformed bytes mean.
    pub(super) fn malformed(self, error: WireError) -> End {
        match self {
            Self::Client => End::ClientMalformed(error),
            Self::Server => End::ServerMalformed(error),
        }
    }
}

/// Sequence id and payload of a packet of the login, which may hold a password.
pub(super) type LoginPacket = (u8, Zeroizing<Vec<u8>>);

/// One side of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) side: Side,
    pub(super) stream: Stream,
    pub(super) input: Input,
    pub(super) write_stall: Duration,
}

impl Peer {
    pub(super) fn new(side: Side, stream: Stream, write_stall: Duration) -> Self {
        Self { side, stream, input: Input::default(), write_stall }
    }

    /// Writes all bytes and flushes. A timer runs only while the peer takes nothing. Not cancel-safe.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        write(&mut self.stream, self.side, self.write_stall, bytes).await
    }

    /// Writes the first `length` bytes that were read from `from`.
    pub(super) async fn write_from(&mut self, from: &Input, length: usize) -> Result<(), End> {
        let bytes = from.data().get(..length).unwrap_or_default();
        write(&mut self.stream, self.side, self.write_stall, bytes).await
    }

    /// Writes a payload as packets. Not cancel-safe.
    pub(super) async fn write_packet(&mut self, payload: &[u8], sequence: u8) -> Result<u8, End> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(payload.len().saturating_add(HEADER_LENGTH)));
        let next = packet::put(payload, sequence, &mut bytes);
        self.write(&bytes).await?;
        Ok(next)
    }

    /// Waits for more bytes. Cancel-safe.
    pub(super) async fn fill(&mut self) -> Result<(), End> {
        let side = self.side;
        let Self { stream, input, .. } = self;
        poll_fn(|cx| poll_some(input, stream, cx)).await.map(|_| ()).map_err(|error| side.failed(error))
    }

    /// Takes the packet at the front of what was read, if it is all there. For the login, whose packets are short: the
    /// bytes are copied out and wiped.
    pub(super) fn take_packet(&mut self, length_max: usize) -> Result<Option<LoginPacket>, End> {
        let Some(header) = Header::read(self.input.data()) else { return Ok(None) };
        if header.length > length_max {
            return Err(self.side.malformed(WireError::TooLarge("login packet")));
        }
        let Some(payload) = self.input.data().get(HEADER_LENGTH..header.packet_length()) else { return Ok(None) };
        let payload = Zeroizing::new(payload.to_vec());
        self.input.consume_and_wipe(header.packet_length());
        Ok(Some((header.sequence, payload)))
    }

    /// Waits for a packet. Cancel-safe.
    pub(super) async fn packet(&mut self, length_max: usize) -> Result<LoginPacket, End> {
        loop {
            if let Some(packet) = self.take_packet(length_max)? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// Waits for a packet and reads nothing behind it. A client that wants TLS sends its first TLS bytes right behind the
    /// request in clear: they belong to the TLS library. Not cancel-safe.
    pub(super) async fn packet_alone(&mut self, length_max: usize) -> Result<LoginPacket, End> {
        let mut bytes = [0; HEADER_LENGTH];
        self.read_exact(&mut bytes).await?;
        let incomplete = WireError::Truncated("login packet");
        let header = Header::read(&bytes).ok_or(incomplete).map_err(|error| self.side.malformed(error))?;
        if header.length > length_max {
            return Err(self.side.malformed(WireError::TooLarge("login packet")));
        }
        let mut payload = Zeroizing::new(vec![0; header.length]);
        self.read_exact(&mut payload).await?;
        Ok((header.sequence, payload))
    }

    async fn read_exact(&mut self, mut bytes: &mut [u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let mut buffer = ReadBuf::new(bytes);
            let stream = &mut self.stream;
            let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await;
            read.map_err(|error| self.side.failed(error))?;
            let length = buffer.filled().len();
            if length == 0 {
                return Err(self.side.failed(io::ErrorKind::UnexpectedEof.into()));
            }
            bytes = bytes.get_mut(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits for a payload with all its packets, which stays where it was read. Cancel-safe.
    pub(super) async fn whole(&mut self, length_max: usize, what: &'static str) -> Result<Whole, End> {
        loop {
            let found = Whole::find(self.input.data(), length_max, what);
            if let Some(whole) = found.map_err(|error| self.side.malformed(error))? {
                return Ok(whole);
            }
            self.fill().await?;
        }
    }

    /// Closes the sending direction, so that the peer reads what was written before it sees the end.
    pub(super) async fn close(&mut self) {
        let stream = &mut self.stream;
        // The connection ends in any case: a peer that is gone already needs no close.
        let closing = tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| stream.poll_shutdown(cx)));
        drop(closing.await);
    }
}

/// Writes all bytes and flushes.
async fn write(stream: &mut Stream, side: Side, stall: Duration, bytes: &[u8]) -> Result<(), End> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // The first try needs no timer: it nearly always takes everything.
        let written = match poll_fn(|cx| Poll::Ready(stream.poll_write(cx, rest))).await {
            Poll::Ready(written) => written,
            Poll::Pending => tokio::time::timeout(stall, poll_fn(|cx| stream.poll_write(cx, rest)))
                .await
                .map_err(|_| End::Stalled)?,
        };
        let written = written.map_err(|error| side.failed(error))?;
        if written == 0 {
            return Err(side.failed(io::ErrorKind::WriteZero.into()));
        }
        rest = rest.get(written..).unwrap_or_default();
    }
    let flushed = match poll_fn(|cx| Poll::Ready(stream.poll_flush(cx))).await {
        Poll::Ready(flushed) => flushed,
        Poll::Pending => {
            tokio::time::timeout(stall, poll_fn(|cx| stream.poll_flush(cx))).await.map_err(|_| End::Stalled)?
        }
    };
    flushed.map_err(|error| side.failed(error))
}
