//! Firewall modes with a profile: what is learned, what is known, what is allowed, and that nobody gets another's verdict.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Shop, catalog};
use crate::firewall::Digest;
use crate::firewall::profile::{Growth, Place, Profile, Profiles, Sighting};
use crate::plan::Refusal;
use crate::policy::{Account, FirewallMode};
use crate::sql;

const HARD: &str = "SELECT id FROM orders WHERE id = 1 OR SLEEP(5)";
const SOFT: &str = "SELECT id FROM orders WHERE id = 1 OR 1 = 1";
const KNOWN: &str = "SELECT id FROM orders WHERE id = 1";
const NEAR: &str = "SELECT id FROM orders WHERE id IN (1, 2)";
const FAR: &str = "SELECT id FROM orders WHERE id = 2 - 1";

fn digest(shop: &Shop, text: &str) -> Digest {
    let mut tokens = Vec::new();
    sql::lex(text.as_bytes(), &shop.dialect, &mut tokens).unwrap();
    Digest::of(text.as_bytes(), &tokens)
}

fn account(user: &str) -> Account {
    Account { user: user.into(), host: "%".into() }
}

/// What the statements of a learning account leave behind.
fn learned(shop: &mut Shop, profiles: &Profiles, statements: &[&str]) -> Vec<Arc<Sighting>> {
    shop.firewall = FirewallMode::Learn;
    shop.profile = Some(profiles.of(&shop.account, shop.database));
    for sql in statements {
        assert_eq!(shop.refusal(sql), None, "{sql}");
    }
    assert_eq!(profiles.sightings().pending().len(), 0, "what is only asked about is not learned");
    for sql in statements {
        shop.inspect(sql.as_bytes(), |admitted| admitted.unwrap().note_sent());
    }
    profiles.sightings().pending()
}

/// The snapshot behind it, with the profile as it was learned.
fn known(profiles: &Profiles, growth: Growth, sightings: &[Arc<Sighting>]) -> Profiles {
    let mut places: HashMap<Place, Vec<_>> = HashMap::new();
    for sighting in sightings {
        places.entry(sighting.place.clone()).or_default().push((sighting.digest, sighting.shape.clone()));
    }
    let places = places.into_iter().map(|(place, known)| (place, Arc::new(Profile::new(growth, known)))).collect();
    profiles.next(places, HashMap::new())
}

fn rule(shop: &Shop, sql: &str) -> Option<&'static str> {
    let refusal = shop.refusal(sql)?;
    let Refusal::Firewall { rule } = refusal else { panic!("{sql}: {refusal}") };
    Some(rule)
}

#[test]
fn a_learning_account_is_counted_and_refused_only_what_is_certain() {
    let (mut shop, profiles) = (Shop::open(), Profiles::default());
    let sightings = learned(&mut shop, &profiles, &[KNOWN, "SELECT id FROM orders WHERE id = 22", SOFT, "COMMIT"]);
    let mut seen: Vec<_> = sightings.iter().map(|sighting| (sighting.pending(), &*sighting.text)).collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [(1, "SELECT id FROM orders WHERE id = ? OR ? = ?"), (2, "SELECT id FROM orders WHERE id = ?")],
        "one digest, counted from the cache too; transactions are nobody's"
    );
    assert_eq!(&*sightings[0].place.account, "app@%");
    assert_eq!(rule(&shop, HARD), Some("delay"));
    assert_eq!(rule(&shop, "SELECT 1; SELECT 2"), Some("stacked"));
    assert_eq!(rule(&shop, "SELECT 'unclosed"), Some("parse"));
    assert_eq!(profiles.sightings().pending().len(), 2, "what is refused is not learned");
    let observed = shop.inspect(SOFT.as_bytes(), |admitted| admitted.unwrap().observed());
    assert_eq!(observed, Some("constant-operand"));
}

#[test]
fn a_protected_account_may_what_is_known_or_near() {
    let (mut shop, profiles) = (Shop::open(), Profiles::default());
    let sightings = learned(&mut shop, &profiles, &[KNOWN, SOFT, "SET NAMES utf8mb4"]);
    let profiles = known(&profiles, Growth::Frozen, &sightings);
    shop.firewall = FirewallMode::Protect;
    shop.profile = Some(profiles.of(&shop.account, shop.database));
    for round in 0..2 {
        for sql in [KNOWN, NEAR, "SET NAMES utf8mb4", "SAVEPOINT a17"] {
            assert_eq!(rule(&shop, sql), None, "{round}: {sql}");
        }
        for (sql, expected) in
            [(FAR, "profile"), ("SET NAMES latin1", "profile"), (SOFT, "constant-operand"), (HARD, "delay")]
        {
            assert_eq!(rule(&shop, sql), Some(expected), "{round}: {sql}");
        }
    }
    shop.firewall = FirewallMode::Block;
    assert_eq!(rule(&shop, FAR), None, "the same account without a profile");
}

#[test]
fn a_frozen_profile_says_what_protect_would_refuse() {
    let (mut shop, profiles) = (Shop::open(), Profiles::default());
    let sightings = learned(&mut shop, &profiles, &[KNOWN]);
    let growing = known(&profiles, Growth::Learning, &sightings);
    let frozen = known(&profiles, Growth::Frozen, &sightings);
    let observed = |shop: &Shop, sql: &str| shop.inspect(sql.as_bytes(), |admitted| admitted.unwrap().observed());
    shop.profile = Some(growing.of(&shop.account, shop.database));
    assert_eq!(observed(&shop, FAR), None);
    shop.profile = Some(frozen.of(&shop.account, shop.database));
    assert_eq!(observed(&shop, FAR), Some("profile"));
    assert_eq!(observed(&shop, KNOWN), None);
    assert_eq!(observed(&shop, NEAR), None);
}

#[test]
fn a_profile_that_could_not_be_read_knows_nothing() {
    let mut shop = Shop { firewall: FirewallMode::Protect, ..Shop::open() };
    assert_eq!(rule(&shop, KNOWN), Some("profile-missing"));
    let profiles = Profiles::default();
    shop.profile = Some(profiles.of(&shop.account, shop.database));
    assert_eq!(rule(&shop, KNOWN), Some("profile-missing"));
    assert_eq!(rule(&shop, "COMMIT"), None);
    let read = profiles.next(HashMap::new(), HashMap::new());
    shop.profile = Some(read.of(&shop.account, shop.database));
    assert_eq!(rule(&shop, KNOWN), Some("profile"), "read, and nothing was ever learned");
}

#[test]
fn an_exception_holds_for_its_account_and_its_digest() {
    let (mut shop, profiles) = (Shop::open(), Profiles::default());
    let sightings = learned(&mut shop, &profiles, &[KNOWN]);
    let digests: HashSet<Digest> =
        [SOFT, HARD, FAR, "SELECT 1; SELECT 2"].iter().map(|sql| digest(&shop, sql)).collect();
    let allowed = HashMap::from([("app@%".into(), digests)]);
    let place = sightings[0].place.clone();
    let profile = Arc::new(Profile::new(Growth::Frozen, [(sightings[0].digest, sightings[0].shape.clone())]));
    let with = profiles.next(HashMap::from([(place.clone(), profile.clone())]), allowed);
    let without = with.next(HashMap::from([(place, profile)]), HashMap::new());
    for (mode, far) in [(FirewallMode::Block, None), (FirewallMode::Protect, Some("profile"))] {
        shop.firewall = mode;
        shop.profile = Some(with.of(&shop.account, shop.database));
        for sql in [SOFT, HARD, FAR, KNOWN, &format!("{SOFT};")] {
            assert_eq!(rule(&shop, sql), None, "{mode:?}: {sql}");
        }
        assert_eq!(rule(&shop, "SELECT id FROM orders WHERE id = 1 OR 2 > 1"), Some("constant-operand"));
        assert_eq!(rule(&shop, "SELECT 1; SELECT 2"), Some("stacked"), "several statements have no exception");
        shop.profile = Some(without.of(&shop.account, shop.database));
        assert_eq!(rule(&shop, SOFT), Some("constant-operand"), "taken back");
        assert_eq!(rule(&shop, FAR), far);
        shop.profile = Some(with.of(&account("other"), shop.database));
        assert_eq!(rule(&shop, SOFT), Some("constant-operand"), "another account");
    }
}

#[test]
fn nobody_gets_the_verdict_of_another_profile() {
    let (mut shop, profiles) = (Shop::open(), Profiles::default());
    let sightings = learned(&mut shop, &profiles, &[KNOWN]);
    let profiles = known(&profiles, Growth::Frozen, &sightings);
    shop.firewall = FirewallMode::Protect;
    shop.profile = Some(profiles.of(&shop.account, shop.database));
    assert_eq!(rule(&shop, KNOWN), None);
    shop.profile = Some(profiles.of(&account("other"), shop.database));
    assert_eq!(rule(&shop, KNOWN), Some("profile"));
    shop.profile = Some(profiles.of(&shop.account, None));
    assert_eq!(rule(&shop, KNOWN), Some("profile"), "another database");
    // Two accounts that learn: each digest is seen at both.
    let (fresh, mut shop) = (Profiles::default(), Shop { firewall: FirewallMode::Learn, ..Shop::open() });
    for user in ["app", "other"] {
        shop.profile = Some(fresh.of(&account(user), shop.database));
        for _ in 0..2 {
            shop.inspect(KNOWN.as_bytes(), |admitted| admitted.unwrap().note_sent());
        }
    }
    let mut seen: Vec<_> =
        fresh.sightings().pending().iter().map(|one| (one.place.account.to_string(), one.pending())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("app@%".to_owned(), 2), ("other@%".to_owned(), 2)]);
    // A table that comes later is a name that the schema knows from then on.
    shop.catalog = catalog(shop.dialect.server, 1);
    assert_eq!(rule(&shop, KNOWN), None);
}
