//! Layer 5: how many errors and unknown statements an account at a client address causes in a minute, and what is done when
//! they are too many. Blind probing causes hundreds.
//!
//! Counted is by account and address together, so that nobody shuts out the same account elsewhere. Each connection holds
//! its tally: a statement that causes neither costs one read of an atomic. Tallies outlive connections, or a probe would
//! begin anew with each; their number is bounded, and those that nobody uses and that are over go first.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::decision::Desk;
use super::registry::Connection;
use crate::policy::{Account, FirewallMode, Rates, Reaction};
use crate::wire::err;

/// Tallies that are held.
const TALLIES_MAX: usize = 20_000;
/// How long counts are added up.
const WINDOW: Duration = Duration::from_secs(60);
/// Errors that probing provokes: syntax, unknown column, another number of columns, a value out of range, and what
/// functions for XML and GTIDs say of a value.
const PROBED: [u16; 5] = [1064, 1054, 1222, 1690, 1105];

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// An error of the server with that code.
    Error(u16),
    /// A statement that the profile does not know.
    Novel,
}

/// What is done with the next command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Nothing.
    None,
    /// It waits for so long.
    Wait(Duration),
    /// Its statement is refused.
    Refuse,
    /// It is answered with an error, and the connection ends.
    Close,
}

/// All tallies.
#[derive(Debug)]
pub(super) struct Tallies {
    began: Instant,
    by_client: Mutex<HashMap<(Account, IpAddr), Arc<Tally>>>,
}

/// The counts of one account at one address.
#[derive(Debug)]
pub(super) struct Tally {
    began: Instant,
    counts: Mutex<Counts>,
    /// Until when a measure is taken, in nanoseconds after `began`; 0 for none.
    until: AtomicU64,
}

#[derive(Debug)]
struct Counts {
    since: Instant,
    errors: u32,
    novel: u32,
    measure: Measure,
}

impl Tallies {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), by_client: Mutex::default() }
    }

    /// The tally of an account at an address. Where there is no room, one that nobody else sees.
    pub(super) fn of(&self, account: &Account, address: IpAddr) -> Arc<Tally> {
        let key = (account.clone(), network(address));
        let mut tallies = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = tallies.get(&key) {
            return tally.clone();
        }
        if tallies.len() >= TALLIES_MAX {
            tallies.retain(|_, tally| Arc::strong_count(tally) > 1 || !tally.is_over());
        }
        let tally = Arc::new(Tally::new(self.began));
        if tallies.len() < TALLIES_MAX {
            tallies.insert(key, tally.clone());
        } else {
            tracing::warn!("too many clients: rates of a further one are counted for each connection alone");
        }
        tally
    }
}

impl Desk {
    /// What is done with the command that comes now. Accounts whose firewall is off are let be.
    pub(super) fn measure(&self) -> Measure {
        match self.tally.measure() {
            Measure::None => Measure::None,
            measure if self.is_judged() => measure,
            Measure::Wait(_) | Measure::Refuse | Measure::Close => Measure::None,
        }
    }

    /// Takes note of an error of the server.
    pub(super) fn server_error(&self, payload: &[u8]) {
        if let Ok(code) = err::code(payload)
            && PROBED.contains(&code)
            && self.is_judged()
        {
            let policy = &self.shared.snapshot.load().policy;
            self.tally.note(Sign::Error(code), policy.rates(), &self.state.account, &self.connection);
        }
    }

    /// In shadow mode nothing is done to anybody.
    fn is_judged(&self) -> bool {
        let policy = &self.shared.snapshot.load().policy;
        self.shared.shadow.is_none()
            && policy.resolve_with(&self.state.account, &self.state.mysql_roles).1 != FirewallMode::Off
    }
}

/// A client may have all addresses of an IPv6 network, so these count as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Tally {
    fn new(began: Instant) -> Self {
        let counts = Counts { since: Instant::now(), errors: 0, novel: 0, measure: Measure::None };
        Self { began, counts: Mutex::new(counts), until: AtomicU64::default() }
    }

    /// Counts a sign, and says so if it was too many.
    pub(super) fn note(&self, sign: Sign, rates: &Rates, account: &Account, connection: &Connection) {
        let Some(reaction) = self.count(sign, rates) else { return };
        tracing::warn!(
            target: "candado::rates",
            connection = connection.id,
            user = %account.user,
            host = %account.host,
            client = %connection.client,
            sign = match sign {
                Sign::Error(_) => "errors",
                Sign::Novel => "unknown statements",
            },
            reaction = reaction.name(),
            "too many in a minute"
        );
    }

    /// Counts a sign. Gives the reaction if this one was too many, the first time only.
    pub(super) fn count(&self, sign: Sign, rates: &Rates) -> Option<Reaction> {
        self.count_at(sign, rates, Instant::now())
    }

    fn count_at(&self, sign: Sign, rates: &Rates, now: Instant) -> Option<Reaction> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(counts.since) >= WINDOW {
            counts.since = now;
            counts.errors = 0;
            counts.novel = 0;
        }
        let (count, most) = match sign {
            Sign::Error(code) if PROBED.contains(&code) => (&mut counts.errors, rates.errors_max),
            Sign::Error(_) => return None,
            Sign::Novel => (&mut counts.novel, rates.novel_max),
        };
        *count = count.saturating_add(1);
        if *count != most.saturating_add(1) {
            return None;
        }
        let window_end = counts.since + WINDOW;
        let (measure, until) = match rates.reaction {
            Reaction::Log => return Some(rates.reaction),
            Reaction::Delay { milliseconds } => (Measure::Wait(Duration::from_millis(milliseconds.into())), window_end),
            Reaction::Refuse => (Measure::Refuse, window_end),
            Reaction::Close => (Measure::Close, window_end),
            Reaction::Quarantine { seconds } => (Measure::Refuse, now + Duration::from_secs(seconds.into())),
        };
        counts.measure = measure;
        self.until.fetch_max(self.nanoseconds(until), Ordering::Release);
        Some(rates.reaction)
    }

    /// What is done with a command that comes now.
    pub(super) fn measure(&self) -> Measure {
        // Hardly anybody is ever over a threshold: no clock is read then.
        match self.until.load(Ordering::Acquire) {
            0 => Measure::None,
            _ => self.measure_at(Instant::now()),
        }
    }

    fn measure_at(&self, now: Instant) -> Measure {
        if self.nanoseconds(now) >= self.until.load(Ordering::Acquire) {
            return Measure::None;
        }
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).measure
    }

    fn is_over(&self) -> bool {
        let now = Instant::now();
        let since = self.counts.lock().unwrap_or_else(PoisonError::into_inner).since;
        now.saturating_duration_since(since) >= WINDOW && self.measure_at(now) == Measure::None
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: Sign = Sign::Error(1064);

    fn rates(reaction: Reaction) -> Rates {
        Rates { errors_max: 2, novel_max: 1, reaction }
    }

    fn account(user: &str) -> Account {
        Account { user: user.into(), host: "%".into() }
    }

    #[test]
    fn one_more_than_allowed_is_too_many_and_said_once() {
        let tally = Tally::new(Instant::now());
        let rates = rates(Reaction::Refuse);
        assert_eq!(tally.count(ERROR, &rates), None);
        assert_eq!(tally.count(ERROR, &rates), None);
        assert_eq!(tally.measure(), Measure::None);
        assert_eq!(tally.count(Sign::Error(1062), &rates), None, "no error of a probe");
        assert_eq!(tally.count(Sign::Novel, &rates), None, "counted apart");
        assert_eq!(tally.count(ERROR, &rates), Some(Reaction::Refuse));
        assert_eq!(tally.measure(), Measure::Refuse);
        assert_eq!(tally.count(ERROR, &rates), None);
        assert_eq!(tally.count(Sign::Novel, &rates), Some(Reaction::Refuse));
    }

    #[test]
    fn counts_and_measures_end_with_the_minute_and_a_quarantine_later() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        for (reaction, measure, ends) in [
            (Reaction::Refuse, Measure::Refuse, 60),
            (Reaction::Close, Measure::Close, 60),
            (Reaction::Delay { milliseconds: 5 }, Measure::Wait(Duration::from_millis(5)), 60),
            (Reaction::Quarantine { seconds: 300 }, Measure::Refuse, 310),
        ] {
            let tally = Tally::new(start);
            for _ in 0..2 {
                assert_eq!(tally.count_at(ERROR, &rates(reaction), later(10)), None);
            }
            assert_eq!(tally.count_at(ERROR, &rates(reaction), later(10)), Some(reaction));
            assert_eq!(tally.measure_at(later(11)), measure);
            assert_eq!(tally.measure_at(later(ends - 1)), measure);
            assert_eq!(tally.measure_at(later(ends + 1)), Measure::None, "{reaction:?}");
            assert_eq!(tally.count_at(ERROR, &rates(reaction), later(400)), None, "another minute");
        }
        let tally = Tally::new(start);
        for _ in 0..9 {
            tally.count_at(ERROR, &rates(Reaction::Log), start);
        }
        assert_eq!(tally.measure_at(start), Measure::None, "logged alone");
    }

    #[test]
    fn nobody_shares_a_tally_but_the_same_account_at_the_same_network() {
        let tallies = Tallies::new();
        let of = |user: &str, address: &str| tallies.of(&account(user), address.parse().unwrap());
        let ours = of("app", "10.0.0.1");
        assert!(Arc::ptr_eq(&ours, &of("app", "10.0.0.1")));
        assert!(Arc::ptr_eq(&ours, &of("app", "::ffff:10.0.0.1")));
        assert!(!Arc::ptr_eq(&ours, &of("app", "10.0.0.2")));
        assert!(!Arc::ptr_eq(&ours, &of("other", "10.0.0.1")));
        assert!(Arc::ptr_eq(&of("app", "2001:db8::1"), &of("app", "2001:db8::ffff:1")));
        assert!(!Arc::ptr_eq(&of("app", "2001:db8::1"), &of("app", "2001:db8:0:1::1")));
    }

    #[test]
    fn the_number_of_tallies_is_bounded() {
        let tallies = Tallies::new();
        for number in 0..u32::try_from(TALLIES_MAX).unwrap() + 10 {
            tallies.of(&account("app"), IpAddr::from(number.to_be_bytes()));
        }
        assert_eq!(tallies.by_client.lock().unwrap().len(), TALLIES_MAX);
        let one = tallies.of(&account("app"), IpAddr::from([255, 0, 0, 1]));
        for _ in 0..3 {
            one.count(ERROR, &rates(Reaction::Refuse));
        }
        assert_eq!(one.measure(), Measure::Refuse, "without room it counts for its connection");
    }
}
