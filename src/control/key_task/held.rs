//! The keys that are held open: when each was last proved, when the provider is asked again, and which are lost.
//!
//! Pure: moments come from the caller. Asking and publishing are the task's work. Secrets are wiped when their entry
//! goes, so whatever is here may be used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::crypto::{KeyId, KeySecret};

/// Refusals that make a key lost, all of them within [`REFUSALS_WITHIN`]: one may come from a permission that has not
/// reached every machine of the provider yet.
const REFUSALS_MAX: usize = 3;
/// Refusals that lie further apart are not of one piece.
const REFUSALS_WITHIN: Duration = Duration::from_secs(60);
/// The longest time between two questions that confirm a refusal.
const CONFIRM_MAX: Duration = Duration::from_secs(15);
/// How long the provider may fail to prove a key before that is an alarm.
const ALARM: Duration = Duration::from_secs(600);

/// How open keys are proved anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revalidation {
    /// Every key is unwrapped again after this time, give or take a fifth. It bounds how long a key works that was
    /// disabled in the provider.
    pub every: Duration,
    /// How long an open key is used while the provider gives no answer that counts.
    pub grace: Duration,
}

impl Default for Revalidation {
    fn default() -> Self {
        Self { every: Duration::from_secs(300), grace: Duration::from_secs(24 * 3600) }
    }
}

impl Revalidation {
    /// Between questions that confirm a refusal.
    fn confirm(self) -> Duration {
        CONFIRM_MAX.min(self.every / 20)
    }

    /// Until the next proof. `fraction` is from 0 to 1. The time that a refusal needs to be confirmed is taken off, so
    /// that a disabled key is gone within six fifths of `every`.
    fn next(self, fraction: f64) -> Duration {
        self.every.mul_f64(0.8 + 0.4 * fraction).saturating_sub(self.confirm() * 2)
    }

    /// Until the provider is asked again after no answer, or about a key that is lost.
    fn again(self) -> Duration {
        self.every / 4
    }

    fn alarm(self) -> Duration {
        ALARM.min(self.grace / 2)
    }
}

/// Whether a key is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Not yet: it is new here, and was never open.
    Closed,
    /// It is.
    Open,
    /// It was, and may not be any more.
    Lost,
}

/// What an answer of the provider means for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The provider says no.
    Refused,
    /// No answer, or one that says nothing about the key.
    Nothing,
}

/// What has changed for the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// A key is open that was not.
    Opened,
    /// A key that was open is not any more; its secret is wiped.
    Lost,
}

#[derive(Debug)]
struct Key {
    stand: Stand,
    secret: Option<KeySecret>,
    proved: Option<Instant>,
    /// When the provider is asked next; `None` while it is being asked.
    due: Option<Instant>,
    refusals: Vec<Instant>,
    alarmed: bool,
}

/// All keys that the policy needs and whose states allow use.
#[derive(Debug)]
pub(super) struct Held {
    keys: BTreeMap<KeyId, Key>,
    pub(super) revalidation: Revalidation,
}

impl Held {
    pub(super) fn new(revalidation: Revalidation) -> Self {
        Self { keys: BTreeMap::new(), revalidation }
    }

    /// Takes in new keys, to be opened at once, and wipes those that are not wanted any more.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<KeyId>, now: Instant) {
        self.keys.retain(|kid, _| wanted.contains(kid));
        for kid in wanted {
            self.keys.entry(*kid).or_insert_with(|| Key {
                stand: Stand::Closed,
                secret: None,
                proved: None,
                due: Some(now),
                refusals: Vec::new(),
                alarmed: false,
            });
        }
    }

    /// Asks about the keys that were never open without waiting for their turn.
    pub(super) fn hurry(&mut self, now: Instant) {
        for key in self.keys.values_mut().filter(|key| key.stand == Stand::Closed) {
            key.due = key.due.map(|due| due.min(now));
        }
    }

    pub(super) fn stand(&self, kid: KeyId) -> Option<Stand> {
        self.keys.get(&kid).map(|key| key.stand)
    }

    pub(super) fn secret(&self, kid: KeyId) -> Option<&KeySecret> {
        self.keys.get(&kid)?.secret.as_ref()
    }

    /// Whether keys are missing that were never open: a ring cannot be made yet.
    pub(super) fn has_closed(&self) -> bool {
        self.keys.values().any(|key| key.stand == Stand::Closed)
    }

    /// The key whose turn has come; it counts as being asked about from now on.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<KeyId> {
        let (kid, key) = self.keys.iter_mut().find(|(_, key)| key.due.is_some_and(|due| due <= now))?;
        key.due = None;
        Some(*kid)
    }

    /// When a question is due next.
    pub(super) fn next_question(&self) -> Option<Instant> {
        self.keys.values().filter_map(|key| key.due).min()
    }

    /// When a key that is not proved becomes an alarm, or is lost.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let open = self.keys.values().filter(|key| key.stand == Stand::Open);
        open.filter_map(|key| {
            let wait = if key.alarmed { self.revalidation.grace } else { self.revalidation.alarm() };
            key.proved.map(|proved| proved + wait)
        })
        .min()
    }

    /// The provider opened the key. `fraction`, from 0 to 1, spreads the next questions.
    pub(super) fn opened(&mut self, kid: KeyId, secret: KeySecret, now: Instant, fraction: f64) -> Change {
        let next = now + self.revalidation.next(fraction);
        let Some(key) = self.keys.get_mut(&kid) else { return Change::None };
        key.proved = Some(now);
        key.due = Some(next);
        key.refusals.clear();
        key.alarmed = false;
        match key.stand {
            Stand::Open => Change::None,
            Stand::Closed | Stand::Lost => {
                key.stand = Stand::Open;
                key.secret = Some(secret);
                Change::Opened
            }
        }
    }

    /// The provider did not open the key.
    pub(super) fn not_opened(&mut self, kid: KeyId, verdict: Verdict, now: Instant) -> Change {
        let Self { keys, revalidation } = self;
        let Some(key) = keys.get_mut(&kid) else { return Change::None };
        match (key.stand, verdict) {
            // The task hurries it long before.
            (Stand::Closed, _) => key.due = Some(now + revalidation.every),
            (Stand::Lost, _) => key.due = Some(now + revalidation.again()),
            (Stand::Open, Verdict::Refused) => {
                key.refusals.retain(|refusal| now.duration_since(*refusal) < REFUSALS_WITHIN);
                key.refusals.push(now);
                if key.refusals.len() >= REFUSALS_MAX {
                    key.lose(now + revalidation.again());
                    return Change::Lost;
                }
                key.due = Some(now + revalidation.confirm());
            }
            // A refusal that is not confirmed yet is asked about quickly, whatever lies in between.
            (Stand::Open, Verdict::Nothing) if key.refusals.is_empty() => key.due = Some(now + revalidation.again()),
            (Stand::Open, Verdict::Nothing) => {
                key.refusals.retain(|refusal| now.duration_since(*refusal) < REFUSALS_WITHIN);
                key.due = Some(now + revalidation.confirm());
            }
        }
        Change::None
    }

    /// Keys that have not been proved for so long that somebody has to know; each is told once.
    pub(super) fn alarms(&mut self, now: Instant) -> Vec<KeyId> {
        let alarm = self.revalidation.alarm();
        let silent = self.keys.iter_mut().filter(|(_, key)| {
            key.stand == Stand::Open && !key.alarmed && key.proved.is_some_and(|proved| now >= proved + alarm)
        });
        silent
            .map(|(kid, key)| {
                key.alarmed = true;
                *kid
            })
            .collect()
    }

    /// Wipes the keys whose grace is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<KeyId> {
        let Self { keys, revalidation } = self;
        let over = keys.iter_mut().filter(|(_, key)| {
            key.stand == Stand::Open && key.proved.is_some_and(|proved| now >= proved + revalidation.grace)
        });
        over.map(|(kid, key)| {
            // A question that is under way stays so.
            let due = key.due;
            key.lose(now + revalidation.again());
            key.due = due.and(key.due);
            *kid
        })
        .collect()
    }

    /// How many keys are lost.
    pub(super) fn lost(&self) -> usize {
        self.keys.values().filter(|key| key.stand == Stand::Lost).count()
    }

    /// The moment at which the key was proved that has waited longest.
    pub(super) fn oldest_proof(&self) -> Option<Instant> {
        self.keys.values().filter_map(|key| key.proved).min()
    }
}

impl Key {
    fn lose(&mut self, due: Instant) {
        self.stand = Stand::Lost;
        self.secret = None;
        self.refusals.clear();
        self.due = Some(due);
    }
}

#[cfg(test)]
mod tests;
