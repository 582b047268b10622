//! What the account's firewall mode makes of signatures, exceptions and profile.
//!
//! An exception lifts what signatures and profile say, and nothing else: a statement that cannot be read, or that is
//! several, has no exception.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Refusal;
use super::inspect::Remember;
use super::judge::Judge;
use super::text::Text;
use crate::firewall::profile::{
    self, AccountProfile, Growth, Loaded, Novelty, PROFILE, PROFILE_MISSING, Shape, Sighting, is_everybodys,
};
use crate::firewall::rules::{self, POINTS_MAX, RuleId, Weight};
use crate::firewall::{self, Digest, Reading, Verdict, Vocabulary, outline};
use crate::policy::FirewallMode;
use crate::sql::tree::Statement;
use crate::sql::{ReservedWords, StatementClass};

/// Longer statements may be judged each time they come.
const NOTED_OCTETS_MAX: usize = 8 * 1024;

/// What goes with a statement that the firewall lets pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    /// The rule that matched and did not refuse.
    pub(super) observed: Option<&'static str>,
    /// Where its digest is counted.
    pub(super) sighting: Option<Arc<Sighting>>,
}

impl Passed {
    fn observed(rule: Option<RuleId>) -> Self {
        Self { observed: rule.map(|rule| rule.0), sighting: None }
    }
}

impl Judge<'_> {
    /// The firewall's verdict, as the account's mode takes it.
    pub(super) fn firewall(
        &self,
        text: &Text<'_>,
        class: StatementClass,
        statement: Option<&Statement>,
    ) -> (Result<Passed, Refusal>, Remember) {
        if self.firewall == FirewallMode::Off {
            return (Ok(Passed::default()), Remember::Yes);
        }
        let reading = Reading::new(text.sql, text.tokens, class, statement);
        let hit = match firewall::judge(&reading) {
            Verdict::Pass => None,
            Verdict::Hit(rule) => Some(rule),
        };
        let digest = OnceCell::new();
        let digest = || *digest.get_or_init(|| Digest::of(text.sql, text.tokens));
        let allowed = || self.profile.is_some_and(|known| known.allows(digest()));
        let verdict = match (self.firewall, hit) {
            (FirewallMode::Off | FirewallMode::Observe, hit) => Ok(Passed::observed(hit)),
            (FirewallMode::Block | FirewallMode::Protect, Some(rule)) if !allowed() => Err(refused(rule)),
            (FirewallMode::Learn, Some(rule)) if is_hard(rule) && !allowed() => Err(refused(rule)),
            (FirewallMode::Block, _) => Ok(Passed::default()),
            (FirewallMode::Learn, hit) => Ok(self.learn(text, &reading, class, digest(), hit)),
            (FirewallMode::Protect, _) => match self.novelty(&reading, class, digest()) {
                Some(rule) if !allowed() => Err(refused(rule)),
                Some(_) | None => Ok(Passed::default()),
            },
        };
        (verdict, if reading.depends_on_values() { Remember::No } else { Remember::Yes })
    }

    /// Notes a statement, or says what a frozen profile would say of it under `protect`.
    fn learn(
        &self,
        text: &Text<'_>,
        reading: &Reading<'_>,
        class: StatementClass,
        digest: Digest,
        hit: Option<RuleId>,
    ) -> Passed {
        let Some(known) = self.profile.filter(|_| !is_everybodys(class)) else { return Passed::observed(hit) };
        match known.growth() {
            Growth::Frozen => {
                let novelty = || self.novelty(reading, class, digest).filter(|_| !known.allows(digest));
                Passed::observed(hit.or_else(novelty))
            }
            Growth::Learning => {
                let sighting = known.sightings.of(&known.place, digest, || {
                    let names = self.cache.catalog_names.of(self.catalog);
                    let reserved = ReservedWords::of_catalog(self.catalog);
                    let vocabulary = Vocabulary { names: &names, reserved: &reserved };
                    (Shape::of(reading, &names), outline(text.sql, text.tokens, vocabulary, profile::TEXT_OCTETS))
                });
                Passed { sighting, ..Passed::observed(hit) }
            }
        }
    }

    /// The rule that says that a statement is too far from what is known of the account.
    fn novelty(&self, reading: &Reading<'_>, class: StatementClass, digest: Digest) -> Option<RuleId> {
        if is_everybodys(class) {
            return None;
        }
        let Some(known @ AccountProfile { loaded: Loaded::Yes, .. }) = self.profile else {
            return Some(PROFILE_MISSING);
        };
        let shape = || Shape::of(reading, &self.cache.catalog_names.of(self.catalog));
        match known.novelty(digest, shape) {
            Novelty::Known => None,
            Novelty::Unknown(points) => {
                // What is judged anew each time it comes says nothing about how many different ones come.
                if !reading.depends_on_values() && reading.octets() <= NOTED_OCTETS_MAX {
                    known.note_novel();
                }
                (points >= POINTS_MAX).then_some(PROFILE)
            }
        }
    }
}

fn refused(rule: RuleId) -> Refusal {
    Refusal::Firewall { rule: rule.0 }
}

fn is_hard(rule: RuleId) -> bool {
    rules::ALL.iter().any(|known| known.id == rule && known.weight == Weight::Hard)
}
