//! Where the data plane hands hits over, and where they become events.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;

use super::counters::SinkCounters;
use super::sampler::{Admission, Sampler};
use super::sink::{Destination, Worker};
use super::time::{rfc3339, since_epoch};
use super::{Class, Counters, Event, LogSink, Outcome, Settings, SettingsError};
use crate::firewall::{self, LatestNames, Vocabulary, outline};
use crate::policy::{Account, FirewallMode};
use crate::schema::Catalog;
use crate::sql::{self, Dialect, ReservedWords};

/// Bytes of an event's text, about, at most.
pub(super) const TEXT_OCTETS_MAX: usize = 4096;

/// A statement that a rule matched, as the data plane knows it.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The rule that decided.
    pub rule: &'static str,
    /// What becomes of the statement.
    pub outcome: Outcome,
    /// The account's mode.
    pub mode: FirewallMode,
    /// The statement.
    pub sql: &'a [u8],
    /// How the server reads it.
    pub dialect: Dialect,
    /// The default database.
    pub database: Option<&'a str>,
    /// Who sent it.
    pub account: &'a Account,
    /// From where.
    pub client: SocketAddr,
    /// The connection's number.
    pub connection: u64,
    /// The statement's number in it.
    pub statement: u64,
    /// The names that may be shown.
    pub catalog: &'a Catalog,
}

/// Something about an account that somebody should know, and that is no statement which a rule matched.
#[derive(Clone, Copy, Debug)]
pub struct Alarm<'a> {
    /// What, in place of a rule.
    pub rule: &'static str,
    /// What became of the statement.
    pub outcome: Outcome,
    /// The limit that it is about, by its name in policy.
    pub limit: Option<&'static str>,
    /// Whose.
    pub account: &'a Account,
    /// From where.
    pub client: SocketAddr,
    /// The connection's number.
    pub connection: u64,
    /// The statement's number in it.
    pub statement: u64,
}

/// What stands in an alarm's event for the account's firewall mode.
const NO_MODE: &str = "budget";
/// What stands there for the client of what no client did.
pub(super) const NO_CLIENT: &str = "-";

/// The way to all sinks. Taking a hit never waits.
pub struct Events {
    /// Tells this run of the proxy from all others.
    run: String,
    log: LogSink,
    counters: Arc<Counters>,
    sampler: Mutex<Sampler>,
    /// For alarms, which no flood of hits may drown.
    alarms: Mutex<Sampler>,
    /// Counts what is about no statement.
    announced: AtomicU64,
    names: LatestNames,
    outlets: Vec<Outlet>,
    reopen: watch::Sender<()>,
}

struct Outlet {
    queue: mpsc::Sender<Arc<Event>>,
    counters: Arc<SinkCounters>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("run", &self.run).field("sinks", &self.outlets.len()).finish_non_exhaustive()
    }
}

impl Events {
    /// Makes the way, and the workers at its ends, which have to be run.
    ///
    /// # Errors
    /// An address or a file of authorities cannot be used.
    pub fn new(settings: &Settings) -> Result<(Self, Vec<Worker>), SettingsError> {
        let counters = Arc::new(Counters::default());
        let reopen = watch::Sender::new(());
        let (mut outlets, mut workers) = (Vec::new(), Vec::new());
        for destination in Destination::all(settings)? {
            let (queue, waiting) = mpsc::channel(settings.queue_max.max(1));
            let of_sink = counters.sink(destination.name());
            outlets.push(Outlet { queue, counters: of_sink.clone() });
            workers.push(Worker::new(destination, waiting, of_sink, reopen.subscribe()));
        }
        // Without random numbers two runs may share a name; the time of an event tells them apart then.
        let run = format!("{:08x}", getrandom::u32().unwrap_or_default());
        let sampler = || Mutex::new(Sampler::new(settings.per_second_max, Instant::now()));
        let (sampler, alarms) = (sampler(), sampler());
        let (log, names) = (settings.log, LatestNames::default());
        let announced = AtomicU64::default();
        Ok((Self { run, log, counters, sampler, alarms, announced, names, outlets, reopen }, workers))
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Files are closed, and opened again for the next event: somebody has moved them.
    pub fn reopen(&self) {
        self.reopen.send_replace(());
    }

    /// Takes a hit.
    pub fn take(&self, hit: &Hit<'_>) {
        self.counters.hit(hit.rule, hit.mode.name(), hit.outcome);
        let Some(suppressed) = self.admit(hit.account, hit.client, hit.rule) else { return };
        let event = self.event(hit, suppressed);
        if self.log == LogSink::On {
            log(&event, hit);
        }
        self.send(event);
    }

    /// Takes an alarm. The log has been told of it in words of its own.
    pub fn raise(&self, alarm: &Alarm<'_>) {
        let Alarm { rule, outcome, limit, account, client, connection, statement } = *alarm;
        let Some(suppressed) = self.admit_alarm(account, client.ip(), rule) else { return };
        let id = self.id(connection, statement);
        let event = of_budget(id, rule, outcome, account, client.to_string(), suppressed);
        self.send(Event { limit: limit.map(str::to_owned), ..event });
    }

    /// Takes something that happened to an account's budget by no statement of its own. It is numbered as if it were one of a
    /// connection 0, and has no client. The log has been told of it in words of its own.
    pub fn announce(&self, rule: &'static str, outcome: Outcome, account: &Account) {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let Some(suppressed) = self.admit_alarm(account, nowhere, rule) else { return };
        let id = self.id(0, self.announced.fetch_add(1, Ordering::Relaxed).saturating_add(1));
        self.send(of_budget(id, rule, outcome, account, NO_CLIENT.to_owned(), suppressed));
    }

    /// How many were only counted before this one; `None`: so is this one.
    fn admit(&self, account: &Account, client: SocketAddr, rule: &'static str) -> Option<u64> {
        self.sampled(&self.sampler, account, client.ip(), rule)
    }

    /// The same for an alarm.
    pub(super) fn admit_alarm(&self, account: &Account, address: IpAddr, rule: &'static str) -> Option<u64> {
        self.sampled(&self.alarms, account, address, rule)
    }

    fn sampled(&self, sampler: &Mutex<Sampler>, account: &Account, address: IpAddr, rule: &'static str) -> Option<u64> {
        let admission = {
            let mut sampler = sampler.lock().unwrap_or_else(PoisonError::into_inner);
            sampler.admit(account, address, rule, Instant::now())
        };
        match admission {
            Admission::Suppressed => {
                self.counters.suppressed.fetch_add(1, Ordering::Relaxed);
                None
            }
            Admission::Event { suppressed } => Some(suppressed),
        }
    }

    /// Hands an event to all sinks.
    pub(super) fn send(&self, event: Event) {
        let event = Arc::new(event);
        for outlet in &self.outlets {
            match outlet.queue.try_send(event.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                    outlet.counters.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// One form for all events: what ends a client's error text finds everything that its statement brought about.
    pub(super) fn id(&self, connection: u64, statement: u64) -> String {
        format!("{}-{connection}:{statement}", self.run)
    }

    pub(super) fn event(&self, hit: &Hit<'_>, suppressed: u64) -> Event {
        let reserved = ReservedWords::of_catalog(hit.catalog);
        let findings = firewall::findings(hit.sql, &hit.dialect, &reserved);
        let mut rules = vec![hit.rule.to_owned()];
        rules.extend(findings.rules.iter().map(|rule| rule.0.to_owned()).filter(|rule| *rule != hit.rule));
        Event {
            class: Class::Firewall,
            limit: None,
            columns: Vec::new(),
            id: self.id(hit.connection, hit.statement),
            at: rfc3339(since_epoch(SystemTime::now())),
            account: format!("{}@{}", hit.account.user, hit.account.host),
            client: hit.client.to_string(),
            database: hit.database.map(str::to_owned),
            // What is refused before any rule is asked has no points of its own.
            score: findings.score.max(firewall::rules::POINTS_MAX),
            rules,
            mode: hit.mode.name().to_owned(),
            outcome: hit.outcome,
            digest: firewall::digest(hit.sql, &hit.dialect),
            text: self.text(hit, &reserved),
            suppressed,
        }
    }

    fn text(&self, hit: &Hit<'_>, reserved: &ReservedWords<'_>) -> Option<String> {
        let mut tokens = Vec::new();
        sql::lex(hit.sql, &hit.dialect, &mut tokens).ok()?;
        let names = self.names.of(hit.catalog);
        Some(outline(hit.sql, &tokens, Vocabulary { names: &names, reserved }, TEXT_OCTETS_MAX))
    }
}

fn of_budget(
    id: String,
    rule: &'static str,
    outcome: Outcome,
    account: &Account,
    client: String,
    suppressed: u64,
) -> Event {
    Event {
        class: Class::Budget,
        limit: None,
        columns: Vec::new(),
        id,
        at: rfc3339(since_epoch(SystemTime::now())),
        account: format!("{}@{}", account.user, account.host),
        client,
        database: None,
        rules: vec![rule.to_owned()],
        score: 0,
        mode: NO_MODE.to_owned(),
        outcome,
        digest: None,
        text: None,
        suppressed,
    }
}

/// Everything but the text, which not even without values belongs into the log.
fn log(event: &Event, hit: &Hit<'_>) {
    logged!(
        warn,
        "candado::firewall",
        (event, hit),
        rule = hit.rule,
        rules = event.rules.join(","),
        score = event.score,
        mode = event.mode,
        "firewall event"
    );
}

/// A line of the log about an event: what all of them tell, and what is said beside it.
macro_rules! logged {
    ($level:ident, $target:literal, ($event:ident, $of:ident), $($more:tt)+) => {
        tracing::$level!(
            target: $target,
            event = $event.id,
            connection = $of.connection,
            statement = $of.statement,
            user = %$of.account.user,
            host = %$of.account.host,
            client = $event.client,
            database = $event.database,
            digest = $event.digest.as_deref().unwrap_or_default(),
            outcome = $event.outcome.name(),
            suppressed = $event.suppressed,
            $($more)+
        )
    };
}
pub(super) use logged;
