//! What can be wrong with a packet.

/// A packet that does not have the form its place in the conversation demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The payload ends inside the named element.
    #[error("packet ends inside {0}")]
    Truncated(&'static str),
    /// The named element has a value that the protocol does not allow there.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The named limit is exceeded.
    #[error("{0} exceeds its limit")]
    TooLarge(&'static str),
    /// The packet does not belong here.
    #[error("unexpected packet in {0}")]
    Unexpected(&'static str),
}
