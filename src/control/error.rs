//! What goes wrong on the control connection. Causes are kept as sources: they are logged, never sent to clients.

use std::time::Duration;

/// A failure of the control plane. None of its texts holds a value, a key or a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The server could not be reached or closed the connection.
    #[error("cannot reach the server to {doing}")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server's certificate does not come from the configured authority, or carries another name.
    #[error("cannot {doing}: the server's certificate is not trusted (mode, ca and name under [server.tls])")]
    Untrusted {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// The server offers no TLS, which the configuration demands.
    #[error("cannot {doing}: the server offers no TLS, which [server.tls] demands")]
    WithoutTls {
        /// What was being done.
        doing: &'static str,
    },
    /// The server wants an authentication that this program does not have.
    #[error(
        "cannot {doing}: the server asks for authentication plugin `{plugin}`, which the control connection does not have; \
         MySQL also asks so for an account that does not exist"
    )]
    Plugin {
        /// What was being done.
        doing: &'static str,
        /// The plugin.
        plugin: String,
    },
    /// The server did not answer in time.
    #[error("the server did not answer within {limit:?} to {doing}")]
    TimedOut {
        /// What was being done.
        doing: &'static str,
        /// The limit that was set for it.
        limit: Duration,
    },
    /// The server answered with an error: a missing grant, a missing table.
    #[error("the server refused to {doing}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// MySQL's error code.
        code: u16,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer cannot be what this program asked for.
    #[error("the server's answer makes no sense: {what}")]
    Malformed {
        /// Which part of it.
        what: &'static str,
    },
    /// Schema `candado` is missing, or `keys init` has not run.
    #[error("the key store is empty: run keys-policy/schema.sql and `candado keys init` first")]
    NotInitialised,
    /// `keys init` was given another deployment id than the key store has.
    #[error("the key store belongs to deployment {found}")]
    OtherDeployment {
        /// The id in the key store.
        found: String,
    },
    /// A column is not at the stage that a change starts from.
    #[error("the stage of `{context}` was changed by somebody else")]
    StageMoved {
        /// The column's context.
        context: String,
    },
    /// The key provider failed.
    #[error("the key provider failed for keyset `{keyset}`")]
    Provider {
        /// The keyset whose key was being made.
        keyset: String,
        /// The cause.
        #[source]
        source: crate::keys::KeyError,
    },
    /// There is no audit key that may be used.
    #[error(
        "there is no active audit key to record this act with: run `candado keys init`, or see to keyset `candado`"
    )]
    NoAuditKey,
    /// The audit key cannot be opened.
    #[error("the audit key {kid} cannot be opened")]
    AuditKey {
        /// Its id.
        kid: u32,
        /// The cause.
        #[source]
        source: crate::keys::KeyError,
    },
    /// The audit key is not the one that its check value says.
    #[error("the audit key {kid} is not the key that its check value says")]
    AuditKeyWrong {
        /// Its id.
        kid: u32,
    },
    /// The audit key was replaced while a command ran that opened its keys before.
    #[error(
        "the record of acts goes on under audit key {kid}, which this command did not open: run it again; if that is said \
         again, the head is forged: run `candado audit verify`"
    )]
    AuditKeyReplaced {
        /// The key that authenticates the end.
        kid: u32,
    },
    /// Without the audit key nothing is recorded but the emergency brake.
    #[error("without the audit key nothing can be recorded but `candado keys suspend`")]
    BrakeAlone,
    /// The act needs the approval of a second person, and has none.
    #[error(transparent)]
    Approval(#[from] super::ApprovalError),
    /// The head of the record is missing.
    #[error("the record of acts has no head: it was never begun, or somebody removed it; run `candado audit verify`")]
    RecordNotBegun,
    /// The head of the record was not written by this program.
    #[error("the head of the record of acts is forged; nothing is done on top of it: run `candado audit verify`")]
    RecordForged,
}

/// MySQL codes that say that the key store's tables do not exist: unknown database, unknown table.
const MISSING_SCHEMA: [u16; 2] = [1049, 1146];

impl ControlError {
    /// Turns "there is no such table" into [`ControlError::NotInitialised`]; everything else stays.
    pub(super) fn or_not_initialised(self) -> Self {
        if matches!(&self, Self::Refused { code, .. } if MISSING_SCHEMA.contains(code)) {
            return Self::NotInitialised;
        }
        self
    }

    /// The whole chain of causes in one line, for the log.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error with all its causes in one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
