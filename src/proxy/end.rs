//! Why a connection ends.

use std::io;

use crate::client_error::Complaint;
use crate::wire::WireError;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The client said COM_QUIT or closed.
    #[error("client closed")]
    ClientClosed,
    /// The client's socket failed.
    #[error("client connection failed")]
    Client(#[source] io::Error),
    /// The server closed.
    #[error("server closed")]
    ServerClosed,
    /// The server's socket failed.
    #[error("server connection failed")]
    Server(#[source] io::Error),
    /// The client's bytes are no protocol.
    #[error("client sent a malformed packet")]
    ClientMalformed(#[source] WireError),
    /// The server's bytes are no protocol.
    #[error("server sent a malformed packet")]
    ServerMalformed(#[source] WireError),
    /// A peer takes nothing of what is written to it.
    #[error("write stalled")]
    Stalled,
    /// The login took too long.
    #[error("login timed out")]
    LoginTimeout,
    /// The server refused the login; its error went to the client.
    #[error("server refused the login")]
    LoginRefused,
    /// The client was told why and the connection closes.
    #[error("{0}")]
    Told(Complaint),
    /// The proxy shuts down.
    #[error("drained")]
    Drained,
}
