//! Alarms of results that showed bait, or were refused for it.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use data_encoding::HEXLOWER;

use super::hub::logged;
use super::time::{rfc3339, since_epoch};
use super::{Class, Event, Events, Outcome};
use crate::policy::{Account, FirewallMode};

/// What stands for a rule in these events.
const RULE: &str = "honey";

/// A result with bait in it, as the data plane knows it.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    /// The columns whose bait it was.
    pub columns: Vec<String>,
    /// Whether the client got it.
    pub outcome: Outcome,
    /// The account's firewall mode.
    pub mode: FirewallMode,
    /// The account's role.
    pub role: &'a str,
    /// Who asked for it.
    pub account: &'a Account,
    /// From where.
    pub client: SocketAddr,
    /// The default database.
    pub database: Option<&'a str>,
    /// SHA-256 of the statement's structure.
    pub digest: Option<[u8; 32]>,
    /// The connection's number.
    pub connection: u64,
    /// The statement's number in it.
    pub statement: u64,
}

impl Events {
    /// Takes a sighting. Never waits.
    pub fn sighted(&self, sighting: &Sighting<'_>) {
        self.counters().sighted.fetch_add(1, Ordering::Relaxed);
        let Some(suppressed) = self.admit_alarm(sighting.account, sighting.client.ip(), RULE) else { return };
        let event = self.of_sighting(sighting, suppressed);
        // Whatever becomes of firewall events, the log has the alarm.
        let message = match sighting.outcome {
            Outcome::Refused | Outcome::Unanswered => "honey was asked for, and its result refused",
            Outcome::Shown | Outcome::Observed | Outcome::Explained | Outcome::Shadow => "honey was shown",
        };
        logged!(
            error,
            "candado::honey",
            (event, sighting),
            alarm = true,
            role = sighting.role,
            columns = event.columns.join(","),
            "{message}"
        );
        self.send(event);
    }

    pub(super) fn of_sighting(&self, sighting: &Sighting<'_>, suppressed: u64) -> Event {
        Event {
            class: Class::Honey,
            id: self.id(sighting.connection, sighting.statement),
            at: rfc3339(since_epoch(SystemTime::now())),
            account: format!("{}@{}", sighting.account.user, sighting.account.host),
            client: sighting.client.to_string(),
            database: sighting.database.map(str::to_owned),
            rules: vec![RULE.to_owned()],
            limit: None,
            columns: sighting.columns.clone(),
            score: 0,
            mode: sighting.mode.name().to_owned(),
            outcome: sighting.outcome,
            digest: sighting.digest.map(|digest| HEXLOWER.encode(&digest)),
            text: None,
            suppressed,
        }
    }
}
