//! Why a connection ends, and the errors that the data plane itself gives to clients.

use std::io;

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

/// An error that the data plane itself finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Complaint {
    #[error("Too many connections")]
    TooManyConnections,
    #[error("Server shutdown in progress")]
    ShuttingDown,
    #[error("The client was disconnected by the server because of shutdown")]
    Drained,
    #[error("The client was disconnected by the server because of inactivity.")]
    Idle,
    #[error("Unable to connect to the database server")]
    ServerUnreachable,
    #[error("The database server does not offer TLS, which is required")]
    ServerWithoutTls,
    #[error("The database server is too old: it does not report session state")]
    ServerTooOld,
    #[error("Connections using insecure transport are prohibited while TLS is required")]
    TlsRequired,
    #[error("Client does not support authentication protocol requested by server; consider upgrading MySQL client")]
    ClientTooOld,
    #[error("This authentication plugin needs equal encryption on both sides of the proxy")]
    PluginNotCarried,
    #[error("The password could not be decrypted: the client used another RSA key")]
    PasswordNotDecrypted,
    #[error("Unsupported character set: use utf8mb4, utf8mb3, ascii, latin1 or binary")]
    CharacterSet,
    #[error("Unknown command")]
    UnknownCommand,
    #[error("Access denied; replication and cloning do not pass the proxy")]
    CopyingDenied,
    #[error("Got a packet bigger than 'max_allowed_packet' bytes")]
    PacketTooLarge,
    #[error("Got packets out of order")]
    OutOfOrder,
    #[error("Malformed communication packet.")]
    Malformed,
    #[error("Can't create more prepared statements on this connection")]
    TooManyPrepared,
    #[error("Unknown prepared statement handler given to the server")]
    UnknownStatement,
    #[error("Prepared statement needs to be re-prepared")]
    NeedsReprepare,
    #[error("The catalog could not be loaded; try again")]
    CatalogNotLoaded,
    #[error("Data keys are not available; try again")]
    KeysNotLoaded,
    #[error("Access denied: the result names a protected column that the statement did not")]
    ProtectedColumn,
    #[error("The session's state could not be read")]
    StateNotRead,
}

impl Complaint {
    /// Error number and SQLSTATE.
    pub(super) fn code(self) -> (u16, [u8; 5]) {
        match self {
            Self::TooManyConnections => (1040, *b"08004"),
            Self::ShuttingDown => (1053, *b"08S01"),
            Self::Drained | Self::Idle => (4031, *b"HY000"),
            Self::ServerUnreachable => (1429, *b"HY000"),
            Self::ServerWithoutTls => (2026, *b"HY000"),
            Self::ServerTooOld => (1105, *b"HY000"),
            Self::TlsRequired => (3159, *b"HY000"),
            Self::ClientTooOld | Self::PluginNotCarried => (1251, *b"08004"),
            Self::PasswordNotDecrypted => (1045, *b"28000"),
            Self::CharacterSet => (1115, *b"42000"),
            Self::UnknownCommand => (1047, *b"08S01"),
            Self::CopyingDenied => (1227, *b"42000"),
            Self::PacketTooLarge => (1153, *b"08S01"),
            Self::OutOfOrder => (1156, *b"08S01"),
            Self::Malformed => (1835, *b"HY000"),
            Self::TooManyPrepared => (1461, *b"42000"),
            Self::UnknownStatement => (1243, *b"HY000"),
            Self::NeedsReprepare => (1615, *b"HY000"),
            Self::CatalogNotLoaded => (1105, *b"HY000"),
            Self::KeysNotLoaded => (3185, *b"HY000"),
            Self::ProtectedColumn => (1143, *b"42000"),
            Self::StateNotRead => (1105, *b"HY000"),
        }
    }
}
