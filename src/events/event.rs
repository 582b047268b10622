//! One event, as the file sink writes it and as `candado firewall log` reads it.

use serde::{Deserialize, Serialize};

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A rule of the firewall matched a statement.
    #[default]
    Firewall,
    /// A result showed bait, or was refused for it.
    Honey,
    /// An account was shown nearly or all that its budget allows.
    Budget,
}

impl Class {
    /// As it stands in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::Honey => "honey",
            Self::Budget => "budget",
        }
    }

    fn is_firewall(&self) -> bool {
        *self == Self::Firewall
    }
}

/// What became of a statement that a rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was not sent to the server, or its result was ended.
    Refused,
    /// Its result was ended because the database did not tell in time whether there is anything left to show.
    Unanswered,
    /// It was sent: the account's mode only observes.
    Observed,
    /// It was only asked about, by `EXPLAIN CANDADO`.
    Explained,
    /// It was sent: shadow mode refuses nothing.
    Shadow,
    /// Its result went to the client.
    Shown,
}

impl Outcome {
    /// As it stands in events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Observed => "observed",
            Self::Explained => "explained",
            Self::Shadow => "shadow",
            Self::Shown => "shown",
        }
    }
}

/// A statement that a rule matched, or in whose result was bait. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    #[serde(default, skip_serializing_if = "Class::is_firewall")]
    pub class: Class,
    /// Names a statement among those of all proxies: run of the proxy, connection and statement. The client's error text
    /// ends with the last two. A statement may have several events, of other classes, rules, outcomes or limits.
    pub id: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The account that the server authenticated, `user@host`.
    pub account: String,
    /// The client's address and port.
    pub client: String,
    /// The default database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The rules that matched, the one that decided first.
    pub rules: Vec<String>,
    /// The limit of a budget that is nearly reached, by its name in policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// The columns whose bait it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The sum of their points; a hard rule counts as much as is enough to refuse.
    pub score: u32,
    /// The account's firewall mode.
    pub mode: String,
    /// What became of the statement.
    pub outcome: Outcome,
    /// SHA-256 of the digest text; none if the statement could not be split into tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The statement with `?` for every literal and `<id>` for every name that the schema does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Hits of the same account, client address and rule that were only counted since the event before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suppressed: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Event {
    /// One line of JSON, with its line break.
    pub(super) fn line(&self, out: &mut Vec<u8>) {
        // Strings, numbers and lists of strings can always be written into memory.
        drop(serde_json::to_writer(&mut *out, self));
        out.push(b'\n');
    }

    /// What happened, in words.
    pub(super) fn message(&self) -> String {
        match self.class {
            Class::Firewall => format!("statement {} by rule {}", self.outcome.name(), self.rule()),
            Class::Honey => format!("honey of {} {}", self.columns.join(", "), self.outcome.name()),
            Class::Budget => format!("budget of an account: {}", self.rule()),
        }
    }

    /// The rule that decided.
    pub(super) fn rule(&self) -> &str {
        self.rules.first().map_or("", String::as_str)
    }
}
