//! What is known of a server session: account, default database, SQL mode, character sets.
//!
//! The server's own reports are the only source: the statements of [`probe`](super::probe) at the start, and the session
//! state in OK packets from then on. The text of SET statements is not trusted, because a procedure may set as well.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::policy::{Account, MysqlRole};
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::{Dialect, SqlMode};
use crate::wire::WireError;
use crate::wire::ok::{OkPacket, StateChange, Status};

/// Variables that the server reports because of the proxy.
pub(super) const TRACKED: [&str; 5] = [
    "sql_mode",
    "session_track_system_variables",
    "session_track_schema",
    "character_set_client",
    "character_set_results",
];

/// Whether the state is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It is.
    Known,
    /// Something happened that may have changed it unreported: it is asked for before the next command.
    Stale,
}

/// Whether the session has a transaction open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    Open,
}

/// What the server lets the session's account do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything that it may.
    Ordinary,
    /// Its password has expired: the server takes a new one and answers nothing else, questions about the state least.
    PasswordExpired,
}

/// Values that a probe reads; see [`super::probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probed {
    pub(super) tracked_before: String,
    pub(super) sql_mode: String,
    pub(super) client_charset: String,
    pub(super) results_charset: Option<String>,
    /// Collation id that text columns of results have.
    pub(super) results_collation: u16,
    pub(super) account: String,
    pub(super) database: Option<String>,
    /// `CURRENT_ROLE()`.
    pub(super) roles: Option<String>,
}

/// The state of a session.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) account: Account,
    /// The roles of the server's own that were active when the account logged in. What SET ROLE does later is no matter.
    pub(super) mysql_roles: Arc<[MysqlRole]>,
    pub(super) database: Option<Arc<str>>,
    pub(super) mode: SqlMode,
    /// `None`: a set that Candado does not read; statements are refused.
    pub(super) client_charset: Option<Charset>,
    pub(super) results: Results,
    /// Collation id that text columns of results have; `None` after the set changed, until it is asked for.
    pub(super) results_collation: Option<u16>,
    pub(super) server: ServerVersion,
    pub(super) freshness: Freshness,
    pub(super) transaction: Transaction,
    /// The flags that came with the last answer.
    pub(super) status: Status,
    pub(super) standing: Standing,
    /// Members of [`TRACKED`] that the client's own list has not.
    hidden: [bool; TRACKED.len()],
    /// The list with the proxy's own names in it, sorted.
    tracked: Vec<String>,
}

/// The character set that the server converts results to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Results {
    /// None: `character_set_results` is NULL.
    AsStored,
    /// One that Candado writes. Under `binary` text goes out as it is stored, and is announced as bytes.
    Converted(Charset),
    /// One that it does not: even the names in column definitions cannot be read.
    Unreadable,
}

impl Results {
    fn from_name(name: &str) -> Self {
        match Charset::from_name(name) {
            None if name.is_empty() => Self::AsStored,
            None => Self::Unreadable,
            Some(charset) => Self::Converted(charset),
        }
    }

    /// The set, if results are converted.
    pub(super) fn charset(self) -> Option<Charset> {
        match self {
            Self::Converted(charset) => Some(charset),
            Self::AsStored | Self::Unreadable => None,
        }
    }
}

impl State {
    /// The state that a probe found. `None` if the account is not in the form `user@host`.
    ///
    /// `before` is the state that it replaces: a list that is still the one the proxy made is not the client's own.
    pub(super) fn new(probed: Probed, server: ServerVersion, before: Option<&Self>) -> Option<Self> {
        // User names may hold an @, host parts may not.
        let (user, host) = probed.account.rsplit_once('@')?;
        let own = names(probed.tracked_before.split(','));
        let tracked = names(own.iter().map(String::as_str).chain(TRACKED));
        let all = own.iter().any(|name| name == "*");
        let hidden = match before {
            Some(before) if before.standing == Standing::Ordinary && before.tracked == own => before.hidden,
            Some(_) | None => TRACKED.map(|name| !all && !own.iter().any(|own| own == name)),
        };
        let account = Account { user: user.into(), host: host.into() };
        let mysql_roles = match before {
            Some(before) if before.standing == Standing::Ordinary && before.account == account => {
                before.mysql_roles.clone()
            }
            Some(_) | None => MysqlRole::active(&probed.roles.unwrap_or_default()).into(),
        };
        Some(Self {
            account,
            mysql_roles,
            database: probed.database.map(Arc::from),
            mode: SqlMode::from_variable(&probed.sql_mode),
            client_charset: Charset::from_name(&probed.client_charset),
            results: Results::from_name(&probed.results_charset.unwrap_or_default()),
            results_collation: Some(probed.results_collation),
            server,
            freshness: Freshness::Known,
            transaction: before.map_or(Transaction::None, |before| before.transaction),
            status: before.map_or(Status::AUTOCOMMIT, |before| before.status),
            standing: Standing::Ordinary,
            hidden,
            tracked,
        })
    }

    /// The state of a session whose account has to set another password first. Nothing is known of it: no account has
    /// this empty name, and no statement can be read without a character set.
    pub(super) fn expired(server: ServerVersion) -> Self {
        Self {
            account: Account { user: "".into(), host: "".into() },
            mysql_roles: Arc::default(),
            database: None,
            mode: SqlMode::empty(),
            client_charset: None,
            results: Results::Unreadable,
            results_collation: None,
            server,
            freshness: Freshness::Known,
            transaction: Transaction::None,
            status: Status::AUTOCOMMIT,
            standing: Standing::PasswordExpired,
            hidden: [false; TRACKED.len()],
            tracked: Vec::new(),
        }
    }

    /// Whether a login may not end in this state: the client's character set is none that Candado reads.
    pub(super) fn is_unreadable(&self) -> bool {
        self.standing == Standing::Ordinary && self.client_charset.is_none()
    }

    /// What decides how a statement is read; `None` if its character set, or that of results, is none that Candado
    /// reads.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        if self.results == Results::Unreadable {
            return None;
        }
        Some(Dialect { mode: self.mode, charset: self.client_charset?, server: self.server })
    }

    /// Whether the client did not ask for reports on this variable.
    pub(super) fn is_hidden(&self, name: &[u8]) -> bool {
        TRACKED.iter().zip(self.hidden).any(|(tracked, hidden)| hidden && tracked.as_bytes() == name)
    }

    /// Takes over what an OK packet reports.
    pub(super) fn observe(&mut self, ok: &OkPacket<'_>) -> Result<(), WireError> {
        let mut changes = ok.changes();
        while let Some(change) = changes.next_change()? {
            match change {
                StateChange::Schema(name) => self.database = text(name)?.filter(|name| !name.is_empty()),
                StateChange::Variable { name: b"sql_mode", value } => {
                    self.mode = SqlMode::from_variable(&text(value)?.unwrap_or_default());
                }
                StateChange::Variable { name: b"character_set_client", value } => {
                    self.client_charset = text(value)?.and_then(|name| Charset::from_name(&name));
                }
                // The report has the set's name, column definitions have its collation's id: the server is asked when
                // that is needed, and not before, because asking clears the session's warnings.
                StateChange::Variable { name: b"character_set_results", value } => {
                    self.results = Results::from_name(&text(value)?.unwrap_or_default());
                    self.results_collation = None;
                }
                StateChange::Variable { name: b"session_track_system_variables" | b"session_track_schema", .. } => {
                    self.freshness = Freshness::Stale;
                }
                StateChange::Variable { .. } | StateChange::Other => {}
            }
        }
        Ok(())
    }

    /// Takes over whether a transaction is open from the status flags that come with every answer, and compares the others
    /// with what is known: a second report on part of sql_mode.
    #[inline]
    pub(super) fn observe_status(&mut self, status: Status) {
        self.status = status;
        let is_open = status.contains(Status::IN_TRANS);
        self.transaction = if is_open { Transaction::Open } else { Transaction::None };
        let escapes = status.contains(Status::NO_BACKSLASH_ESCAPES);
        let quotes = status.contains(Status::ANSI_QUOTES);
        if escapes != self.mode.contains(SqlMode::NO_BACKSLASH_ESCAPES)
            || self.server.kind == ServerKind::MariaDb && quotes != self.mode.contains(SqlMode::ANSI_QUOTES)
        {
            self.freshness = Freshness::Stale;
        }
    }
}

fn text(bytes: &[u8]) -> Result<Option<Arc<str>>, WireError> {
    std::str::from_utf8(bytes).map(|text| Some(Arc::from(text))).map_err(|_| WireError::Malformed("session state"))
}

/// Names of a list: folded, sorted, without repetition.
fn names<'a>(list: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<String> = list.map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()).collect();
    names.into_iter().collect()
}

/// Whether a statement's text may switch the server's reports off, which the server does not report.
pub(super) fn may_stop_tracking(sql: &[u8]) -> bool {
    const NAME: &[u8] = b"session_track";
    memchr::memchr2_iter(b'k', b'K', sql).any(|at| {
        at.checked_sub(NAME.len() - 1)
            .and_then(|start| sql.get(start..=at))
            .is_some_and(|word| word.eq_ignore_ascii_case(NAME))
    })
}

/// Product and version of `9.7.4-2` or `5.5.5-10.11.18-MariaDB`.
pub(super) fn parse_version(text: &[u8]) -> ServerVersion {
    let is_mariadb = text.windows(7).any(|window| window.eq_ignore_ascii_case(b"mariadb"));
    let kind = if is_mariadb { ServerKind::MariaDb } else { ServerKind::MySql };
    let text = if is_mariadb { text.strip_prefix(b"5.5.5-").unwrap_or(text) } else { text };
    let mut parts = text.split(|byte| *byte == b'.').map(|part| {
        part.iter()
            .take_while(|byte| byte.is_ascii_digit())
            .take(3)
            .fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0'))))
    });
    let mut next = |weight: u32| parts.next().unwrap_or(0).saturating_mul(weight);
    let number = next(10_000).saturating_add(next(100)).saturating_add(next(1));
    ServerVersion { kind, number }
}

#[cfg(test)]
mod tests;
