use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn kid(number: u32) -> KeyId {
    KeyId::new(number).unwrap()
}

#[test]
fn every_act_in_every_state_has_its_answer() {
    let mut table = String::new();
    for state in KeyState::ALL {
        for act in Act::ALL {
            match state.after(act) {
                Ok(next) => writeln!(table, "{state:12} {act:10} -> {next}"),
                Err(barred) => writeln!(table, "{state:12} {act:10} no: {}", barred.instead),
            }
            .unwrap();
        }
    }
    expect![[r#"
        pending activate -> active
        pending deactivate no: nothing was ever written under it; destroy it instead
        pending suspend no: nothing was ever written under it; destroy it instead
        pending resume no: it is not suspended
        pending retire no: nothing was ever written under it; destroy it instead
        pending restore no: it is not retired
        pending destroy -> destroyed
        active activate no: it is active already
        active deactivate -> decrypt_only
        active suspend -> suspended
        active resume no: it is not suspended
        active retire no: it is the key that writes; rotate the keyset, re-encrypt its columns and retire the key then, or suspend it in an emergency
        active restore no: it is not retired
        active destroy no: it is the key that writes; rotate the keyset, re-encrypt its columns and retire the key then, or suspend it in an emergency
        decrypt_only activate no: a key that was put aside never writes again; make a new one with `candado keys rotate`
        decrypt_only deactivate no: it does not write any more already
        decrypt_only suspend -> suspended
        decrypt_only resume no: it is not suspended
        decrypt_only retire -> retired
        decrypt_only restore no: it is not retired
        decrypt_only destroy no: rows may need it; prove that none does and retire it first
        suspended activate no: a key that was put aside never writes again; make a new one with `candado keys rotate`
        suspended deactivate no: it does not write; resume it, and it reads again
        suspended suspend no: it is suspended already
        suspended resume -> decrypt_only
        suspended retire no: resume it first; it reads then, and never writes again
        suspended restore no: it is not retired
        suspended destroy -> destroyed
        retired activate no: a key that was put aside never writes again; make a new one with `candado keys rotate`
        retired deactivate no: no proxy uses it; restore or destroy it
        retired suspend no: no proxy uses it; restore or destroy it
        retired resume no: it is not suspended
        retired retire no: it is retired already
        retired restore -> decrypt_only
        retired destroy -> destroyed
        destroyed activate no: its wraps are deleted, and nothing brings it back
        destroyed deactivate no: its wraps are deleted, and nothing brings it back
        destroyed suspend no: its wraps are deleted, and nothing brings it back
        destroyed resume no: its wraps are deleted, and nothing brings it back
        destroyed retire no: its wraps are deleted, and nothing brings it back
        destroyed restore no: its wraps are deleted, and nothing brings it back
        destroyed destroy no: its wraps are deleted, and nothing brings it back
    "#]].assert_eq(&table);
}

#[test]
fn a_refusal_names_state_act_and_remedy() {
    let refusal = Siblings { purpose: KeyPurpose::Data, keys: vec![(kid(6), KeyState::DecryptOnly)] };
    expect![
        "key 6: cannot destroy a key that is decrypt_only: rows may need it; prove that none does and retire it first"
    ]
    .assert_eq(&refusal.apply(kid(6), Act::Destroy).unwrap_err().to_string());
    expect!["there is no key 7; `candado keys list` shows all"]
        .assert_eq(&refusal.apply(kid(7), Act::Destroy).unwrap_err().to_string());
}

#[test]
fn what_leads_where() {
    let mut table = String::new();
    for state in KeyState::ALL {
        let later: Vec<_> =
            KeyState::ALL.into_iter().filter(|later| state.leads_to(*later)).map(KeyState::name).collect();
        writeln!(table, "{state}: {}", later.join(" ")).unwrap();
    }
    expect![[r#"
        pending: pending active decrypt_only suspended retired destroyed
        active: active decrypt_only suspended retired destroyed
        decrypt_only: decrypt_only suspended retired destroyed
        suspended: decrypt_only suspended retired destroyed
        retired: decrypt_only suspended retired destroyed
        destroyed: destroyed
    "#]]
    .assert_eq(&table);
}

#[test]
fn an_activation_takes_the_pen_from_the_key_that_held_it() {
    let keys = vec![(kid(1), KeyState::Active), (kid(2), KeyState::Pending), (kid(3), KeyState::Retired)];
    let siblings = Siblings { purpose: KeyPurpose::Data, keys };
    let changes = siblings.apply(kid(2), Act::Activate).unwrap();
    let step = |kid, from, to| Change { kid, from, to };
    assert_eq!(
        changes,
        [step(kid(1), KeyState::Active, KeyState::DecryptOnly), step(kid(2), KeyState::Pending, KeyState::Active)]
    );
}

#[test]
fn one_key_waits_at_a_time_and_one_older_index_is_looked_up() {
    use KeyState::{Active, DecryptOnly, Destroyed, Pending, Retired, Suspended};
    let pending = Err(Impossible::PendingExists { kid: kid(2) });
    let dual = Err(Impossible::DualPeriod { older: kid(1) });
    for (purpose, states, expected) in [
        (KeyPurpose::Data, &[Active][..], Ok(())),
        (KeyPurpose::Data, &[Active, Pending], pending.clone()),
        (KeyPurpose::Data, &[DecryptOnly, Active], Ok(())),
        (KeyPurpose::Index, &[Active], Ok(())),
        (KeyPurpose::Index, &[Active, Pending], pending),
        (KeyPurpose::Index, &[DecryptOnly, Active], dual.clone()),
        (KeyPurpose::Index, &[Retired, Active], Ok(())),
        (KeyPurpose::Index, &[Destroyed, Active], Ok(())),
        // The active one was suspended, and perhaps resumed: something must write again.
        (KeyPurpose::Index, &[DecryptOnly, Suspended], Ok(())),
        (KeyPurpose::Index, &[DecryptOnly, DecryptOnly], Ok(())),
        (KeyPurpose::Index, &[], Ok(())),
    ] {
        let keys = (1..).map(kid).zip(states.iter().copied()).collect();
        assert_eq!(Siblings { purpose, keys }.may_create(), expected, "{purpose:?} {states:?}");
    }
    let keys = vec![(kid(1), DecryptOnly), (kid(2), Active), (kid(3), Pending)];
    assert_eq!(Siblings { purpose: KeyPurpose::Index, keys }.apply(kid(3), Act::Activate), dual.map(|()| vec![]));
}

/// What a person may try.
#[derive(Clone, Debug)]
enum Attempt {
    Create,
    Act(u32, Act),
    Shred,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let act = proptest::sample::select(Act::ALL.to_vec());
    prop_oneof![
        4 => Just(Attempt::Create),
        16 => (1..10_u32, act).prop_map(|(kid, act)| Attempt::Act(kid, act)),
        1 => Just(Attempt::Shred),
    ]
}

proptest! {
    #[test]
    fn whatever_is_tried_one_key_writes_and_what_is_destroyed_stays_so(
        index in any::<bool>(),
        attempts in proptest::collection::vec(attempt(), 0..60),
    ) {
        let purpose = if index { KeyPurpose::Index } else { KeyPurpose::Data };
        let mut keys = BTreeMap::new();
        for attempt in attempts {
            let before = keys.clone();
            let siblings = Siblings { purpose, keys: keys.clone().into_iter().collect() };
            let activates = matches!(attempt, Attempt::Act(_, Act::Activate));
            let changes = match attempt {
                Attempt::Create => {
                    if siblings.may_create().is_ok() {
                        let id = kid(u32::try_from(keys.len()).unwrap() + 1);
                        prop_assert!(keys.insert(id, KeyState::Pending).is_none(), "an id is given once");
                    }
                    vec![]
                }
                Attempt::Act(id, act) => siblings.apply(kid(id), act).unwrap_or_default(),
                Attempt::Shred => siblings.shred().unwrap(),
            };
            for Change { kid, from, to } in changes {
                prop_assert_eq!(keys.insert(kid, to), Some(from));
                let active = keys.values().filter(|state| **state == KeyState::Active).count();
                prop_assert!(active <= 1, "two keys write at the same moment");
            }
            for (id, state) in &before {
                prop_assert!(state.leads_to(keys[id]), "{} to {}", state, keys[id]);
                prop_assert!(*state != KeyState::Destroyed || keys[id] == KeyState::Destroyed);
            }
            let writes = |keys: &BTreeMap<KeyId, KeyState>| keys.values().any(|state| *state == KeyState::Active);
            let looked_up = keys.values().filter(|state| matches!(state, KeyState::Active | KeyState::DecryptOnly));
            if index && activates && before != keys && writes(&before) {
                prop_assert!(looked_up.count() <= 2, "a third version is looked up");
            }
        }
    }
}
