//! The one table from our refusals to MySQL error codes, SQLSTATEs and texts.
//!
//! Errors of the server pass unchanged and never come here. Texts name rules, columns and constructs, never a value, key,
//! file or address; [`ClientError::with_reference`] adds the reference under which the log has the cause.
//! `OPERATIONS.md` holds the same table with causes and cures; a test compares them.

use crate::plan::Refusal;
use crate::rewrite::RewriteError;
use crate::wire::WireError;

/// One code that clients can get from Candado itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// MySQL's error code.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: [u8; 5],
}

const fn row(code: u16, sqlstate: [u8; 5]) -> Row {
    Row { code, sqlstate }
}

const TOO_MANY_CONNECTIONS: Row = row(1040, *b"08004");
const ACCESS_DENIED: Row = row(1045, *b"28000");
const UNKNOWN_COMMAND: Row = row(1047, *b"08S01");
const SHUTDOWN: Row = row(1053, *b"08S01");
const UNKNOWN: Row = row(1105, *b"HY000");
const CHARACTER_SET: Row = row(1115, *b"42000");
const COLUMN_DENIED: Row = row(1143, *b"42000");
const PACKET_TOO_LARGE: Row = row(1153, *b"08S01");
const OUT_OF_ORDER: Row = row(1156, *b"08S01");
const LIMIT_REACHED: Row = row(1226, *b"42000");
const PRIVILEGE: Row = row(1227, *b"42000");
const NOT_SUPPORTED: Row = row(1235, *b"42000");
const UNKNOWN_STATEMENT: Row = row(1243, *b"HY000");
const AUTHENTICATION_PROTOCOL: Row = row(1251, *b"08004");
const WRONG_VALUE: Row = row(1366, *b"HY000");
const DATA_TOO_LONG: Row = row(1406, *b"22001");
const SERVER_UNREACHABLE: Row = row(1429, *b"HY000");
const TOO_MANY_PREPARED: Row = row(1461, *b"42000");
const NEEDS_REPREPARE: Row = row(1615, *b"HY000");
const PASSWORD_EXPIRED: Row = row(1820, *b"HY000");
const MALFORMED_PACKET: Row = row(1835, *b"HY000");
const SERVER_WITHOUT_TLS: Row = row(2026, *b"HY000");
const TLS_REQUIRED: Row = row(3159, *b"HY000");
const KEY_NOT_AVAILABLE: Row = row(3185, *b"HY000");
const IDLE: Row = row(4031, *b"HY000");
const FIREWALL: Row = row(6444, *b"28000");

/// Every code, in ascending order.
pub const ROWS: [Row; 26] = [
    TOO_MANY_CONNECTIONS,
    ACCESS_DENIED,
    UNKNOWN_COMMAND,
    SHUTDOWN,
    UNKNOWN,
    CHARACTER_SET,
    COLUMN_DENIED,
    PACKET_TOO_LARGE,
    OUT_OF_ORDER,
    LIMIT_REACHED,
    PRIVILEGE,
    NOT_SUPPORTED,
    UNKNOWN_STATEMENT,
    AUTHENTICATION_PROTOCOL,
    WRONG_VALUE,
    DATA_TOO_LONG,
    SERVER_UNREACHABLE,
    TOO_MANY_PREPARED,
    NEEDS_REPREPARE,
    PASSWORD_EXPIRED,
    MALFORMED_PACKET,
    SERVER_WITHOUT_TLS,
    TLS_REQUIRED,
    KEY_NOT_AVAILABLE,
    IDLE,
    FIREWALL,
];

/// An error as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// MySQL's error code.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: [u8; 5],
    /// The text.
    pub text: String,
}

impl ClientError {
    fn new(row: Row, text: String) -> Self {
        Self { code: row.code, sqlstate: row.sqlstate, text }
    }

    /// Adds the reference under which the log has the cause: the connection's number and the statement's number in it.
    /// What the server itself would have answered keeps the server's text.
    #[must_use]
    pub fn with_reference(mut self, connection: u64, statement: u64) -> Self {
        if [UNKNOWN_COMMAND.code, UNKNOWN_STATEMENT.code, PASSWORD_EXPIRED.code].contains(&self.code) {
            return self;
        }
        self.text.push_str(&format!(" (ref {connection}:{statement})"));
        self
    }
}

impl From<&Refusal> for ClientError {
    fn from(refusal: &Refusal) -> Self {
        let row = match refusal {
            Refusal::Firewall { .. } => FIREWALL,
            Refusal::Denied { .. } => COLUMN_DENIED,
            Refusal::Administration => PRIVILEGE,
            Refusal::Unsupported { .. } | Refusal::UnknownName { .. } => NOT_SUPPORTED,
            Refusal::NotReady => KEY_NOT_AVAILABLE,
        };
        let text = match refusal {
            // The rule stays in the log: it would tell an attacker what to change.
            Refusal::Firewall { .. } => format!("Access denied: {refusal}"),
            Refusal::Denied { .. }
            | Refusal::Administration
            | Refusal::Unsupported { .. }
            | Refusal::UnknownName { .. }
            | Refusal::NotReady => refusal.to_string(),
        };
        Self::new(row, text)
    }
}

impl From<&RewriteError> for ClientError {
    fn from(error: &RewriteError) -> Self {
        let text = error.to_string();
        match error {
            RewriteError::TooLong { column } => {
                Self::new(DATA_TOO_LONG, format!("Data too long for column '{}'", column.column))
            }
            RewriteError::NotText { column } => {
                Self::new(WRONG_VALUE, format!("Incorrect string value for column '{}'", column.column))
            }
            RewriteError::NotAHash { .. } => Self::new(WRONG_VALUE, text),
            RewriteError::Unsupported { .. } => Self::new(NOT_SUPPORTED, text),
            RewriteError::KeyUnavailable { .. }
            | RewriteError::NoActiveKey { .. }
            | RewriteError::KeyBarred { .. }
            | RewriteError::IndexKeyBarred { .. }
            | RewriteError::UnknownKey { .. }
            | RewriteError::WithoutSubjectKeys { .. }
            | RewriteError::SubjectErased { .. } => Self::new(KEY_NOT_AVAILABLE, text),
            RewriteError::NoRandom { .. }
            | RewriteError::Tampered { .. }
            | RewriteError::RowBound { .. }
            | RewriteError::NotRowBound { .. } => Self::new(UNKNOWN, text),
            RewriteError::Unplanned { .. } => Self::new(COLUMN_DENIED, text),
            RewriteError::Bait { .. } => Self::from(Complaint::Bait),
            RewriteError::Outdated => Self::from(Complaint::NeedsReprepare),
            RewriteError::TooLarge => Self::from(Complaint::PacketTooLarge),
            RewriteError::Wire(error) => Self::from(*error),
            // A defect of ours: what exactly is wrong is for the log.
            RewriteError::PlanMismatch(_) => {
                Self::new(UNKNOWN, "the statement's plan does not fit; nothing was changed".to_owned())
            }
        }
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated(_) | WireError::Malformed(_) => Self::from(Complaint::Malformed),
            WireError::TooLarge(_) => Self::from(Complaint::PacketTooLarge),
            WireError::Unexpected(_) => Self::from(Complaint::OutOfOrder),
        }
    }
}

impl From<Complaint> for ClientError {
    fn from(complaint: Complaint) -> Self {
        Self::new(complaint.row(), complaint.to_string())
    }
}

/// The server's error 1062 as a client gets it, if it prints an envelope: with the key's name and without the entry,
/// whose first bytes are the blind index. `None`: the error passes unchanged.
pub fn without_envelope(payload: &[u8]) -> Option<Vec<u8>> {
    /// Code and SQLSTATE.
    const HEAD: usize = 9;
    let (head, text) = payload.split_at_checked(HEAD)?;
    if !head.starts_with(&[0xff, 0x26, 0x04, b'#']) || memchr::memmem::find(text, SPELLED_MAGIC).is_none() {
        return None;
    }
    Some([head, &duplicate_entry(text)].concat())
}

/// The same for a text among the diagnostics of the server, under a code in digits: of another error than 1062 nothing is
/// left.
pub fn message_without_envelope(code: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(text, SPELLED_MAGIC)?;
    Some(if code == b"1062" { duplicate_entry(text) } else { b"<protected>".to_vec() })
}

/// The beginning of an envelope. Both servers spell bytes that are no text in this way.
const SPELLED_MAGIC: &[u8] = br"\xC1\xFE\x1D";

/// The text of error 1062 without its entry. The key is what is quoted last, unless that is an entry, too.
fn duplicate_entry(text: &[u8]) -> Vec<u8> {
    let mut out = b"Duplicate entry '<protected>'".to_vec();
    let before_quote = text.strip_suffix(b"'");
    let key = before_quote.and_then(|text| text.get(memchr::memrchr(b'\'', text)?.saturating_add(1)..));
    if let Some(key) = key.filter(|key| memchr::memmem::find(key, SPELLED_MAGIC).is_none()) {
        out.extend_from_slice(b" for key '");
        out.extend_from_slice(key);
        out.push(b'\'');
    }
    out
}

/// What the data plane itself has to complain of. Texts are MySQL's own where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// The connection limit is reached.
    #[error("Too many connections")]
    TooManyConnections,
    /// A new client while the proxy ends.
    #[error("Server shutdown in progress")]
    ShuttingDown,
    /// An idle client while the proxy ends. The code makes drivers take a new connection.
    #[error("The client was disconnected by the server because of shutdown")]
    Drained,
    /// A client that was silent for too long.
    #[error("The client was disconnected by the server because of inactivity.")]
    Idle,
    /// The server does not answer at login.
    #[error("Unable to connect to the database server")]
    ServerUnreachable,
    /// The server offers no TLS and must.
    #[error("The database server does not offer TLS, which is required")]
    ServerWithoutTls,
    /// The server lacks session tracking.
    #[error("The database server is too old: it does not report session state")]
    ServerTooOld,
    /// The client came without TLS and must not.
    #[error("Connections using insecure transport are prohibited while TLS is required")]
    TlsRequired,
    /// The client speaks a protocol before 4.1.
    #[error("Client does not support authentication protocol requested by server; consider upgrading MySQL client")]
    ClientTooOld,
    /// An authentication plugin that cannot be carried between a TLS and a plain side.
    #[error("This authentication plugin needs TLS on both sides of the proxy, or on neither")]
    PluginNotCarried,
    /// The client encrypted its password for another RSA key.
    #[error(
        "The password could not be decrypted: the client used another RSA key; take the pinned key out, or use TLS"
    )]
    PasswordNotDecrypted,
    /// The connection's character set cannot be read.
    #[error("Unsupported character set: use utf8mb4, utf8mb3, ascii, latin1 or binary")]
    CharacterSet,
    /// A command that does not exist or is not carried.
    #[error("Unknown command")]
    UnknownCommand,
    /// Replication or cloning.
    #[error("Access denied; replication and cloning do not pass the proxy: connect to the server itself")]
    CopyingDenied,
    /// A command or row above the limit.
    #[error("Got a packet bigger than 'max_allowed_packet' bytes")]
    PacketTooLarge,
    /// Sequence ids do not follow each other.
    #[error("Got packets out of order")]
    OutOfOrder,
    /// Bytes that are no protocol.
    #[error("Malformed communication packet.")]
    Malformed,
    /// The limit of prepared statements is reached.
    #[error("Can't create more prepared statements on this connection")]
    TooManyPrepared,
    /// A statement id that was never given.
    #[error("Unknown prepared statement handler given to the server")]
    UnknownStatement,
    /// A prepared statement whose plan is no longer valid.
    #[error("Prepared statement needs to be re-prepared")]
    NeedsReprepare,
    /// A result is of another view than the statement was decided for.
    #[error("A view was replaced in the meantime; send the statement again")]
    ViewReplaced,
    /// The catalog is stale and no fresh one came.
    #[error("The catalog could not be loaded; try again")]
    CatalogNotLoaded,
    /// No keys.
    #[error("Data keys are not available; try again")]
    KeysNotLoaded,
    /// The key store has not heard of this proxy for too long.
    #[error(
        "Protected columns cannot be written at present: the key store has not been reached for too long; reading goes on; \
         try again"
    )]
    WriteLeaseOver,
    /// The second lock: a result names a protected column that the plan did not expect.
    #[error("Access denied: the result names a protected column that the statement did not")]
    ProtectedColumn,
    /// Too many errors or unknown statements of the account at the client's address. The text is that of a refused
    /// statement: an attacker need not know which it was.
    #[error("Access denied: statement refused by policy")]
    TooManySigns,
    /// The result would show bait. The text is that of a refused statement: nothing tells that there is any.
    #[error("Access denied: statement refused by policy")]
    Bait,
    /// The account has been shown as much as its role's budget allows.
    #[error("The budget for protected cells is spent: nothing more is shown")]
    BudgetSpent,
    /// The account has searched by protected columns as often as its role may in a minute.
    #[error("Too many searches by protected columns in a minute: the statement was not sent; try again later")]
    TooManySearches,
    /// The record of accesses cannot be written, and policy wants it before the result's end.
    #[error("The access could not be recorded: nothing more is shown; try again")]
    NotRecorded,
    /// The record of accesses is known to fail, and policy wants it before the result's end.
    #[error("Accesses cannot be recorded at present: the statement was not sent; try again")]
    NotRecordable,
    /// The session's state could not be asked for.
    #[error("The session's state could not be read")]
    StateNotRead,
    /// Shadow mode, and a column is not plain any more.
    #[error("Shadow mode is over: a protected column holds or may hold sealed values; nothing was sent")]
    ShadowOver,
    /// The account's password has expired, and the command does not set another one.
    #[error("You must reset your password using ALTER USER statement before executing this statement.")]
    PasswordExpired,
}

impl Complaint {
    /// Error code and SQLSTATE.
    pub fn code(self) -> (u16, [u8; 5]) {
        let row = self.row();
        (row.code, row.sqlstate)
    }

    fn row(self) -> Row {
        match self {
            Self::TooManyConnections => TOO_MANY_CONNECTIONS,
            Self::ShuttingDown => SHUTDOWN,
            Self::Drained | Self::Idle => IDLE,
            Self::ServerUnreachable => SERVER_UNREACHABLE,
            Self::ServerWithoutTls => SERVER_WITHOUT_TLS,
            Self::ServerTooOld
            | Self::CatalogNotLoaded
            | Self::StateNotRead
            | Self::ShadowOver
            | Self::NotRecorded
            | Self::NotRecordable => UNKNOWN,
            Self::TlsRequired => TLS_REQUIRED,
            Self::ClientTooOld | Self::PluginNotCarried => AUTHENTICATION_PROTOCOL,
            Self::PasswordNotDecrypted => ACCESS_DENIED,
            Self::CharacterSet => CHARACTER_SET,
            Self::UnknownCommand => UNKNOWN_COMMAND,
            Self::CopyingDenied => PRIVILEGE,
            Self::PacketTooLarge => PACKET_TOO_LARGE,
            Self::OutOfOrder => OUT_OF_ORDER,
            Self::Malformed => MALFORMED_PACKET,
            Self::TooManyPrepared => TOO_MANY_PREPARED,
            Self::UnknownStatement => UNKNOWN_STATEMENT,
            Self::NeedsReprepare | Self::ViewReplaced => NEEDS_REPREPARE,
            Self::PasswordExpired => PASSWORD_EXPIRED,
            Self::KeysNotLoaded | Self::WriteLeaseOver => KEY_NOT_AVAILABLE,
            Self::ProtectedColumn => COLUMN_DENIED,
            Self::BudgetSpent | Self::TooManySearches => LIMIT_REACHED,
            Self::TooManySigns | Self::Bait => FIREWALL,
        }
    }
}

#[cfg(test)]
mod tests;
