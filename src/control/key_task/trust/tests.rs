use super::*;
use crate::crypto::KeyPurpose;
use std::num::NonZeroU16;
use uuid::Uuid;

fn record(kid: u32, state: KeyState) -> KeyRecord {
    KeyRecord {
        kid: KeyId::new(kid).unwrap(),
        keyset: "contact".into(),
        purpose: KeyPurpose::Data,
        version: NonZeroU16::MIN,
        state,
        kcv: Some([1; 16]),
        wraps: vec![],
    }
}

fn stored(epoch: u64, records: Vec<KeyRecord>) -> StoredKeys {
    StoredKeys { deployment: Uuid::from_u128(1), epoch, records, stages: crate::keys::Stages::new() }
}

const STATES: [KeyState; 6] = [
    KeyState::Pending,
    KeyState::Active,
    KeyState::DecryptOnly,
    KeyState::Suspended,
    KeyState::Retired,
    KeyState::Destroyed,
];

/// The states that one act leads to.
fn steps(state: KeyState) -> &'static [KeyState] {
    match state {
        KeyState::Pending => &[KeyState::Active, KeyState::Destroyed],
        KeyState::Active => &[KeyState::DecryptOnly, KeyState::Suspended],
        KeyState::DecryptOnly => &[KeyState::Retired, KeyState::Suspended],
        KeyState::Suspended => &[KeyState::DecryptOnly, KeyState::Destroyed],
        KeyState::Retired => &[KeyState::Destroyed, KeyState::DecryptOnly],
        KeyState::Destroyed => &[],
    }
}

#[test]
fn exactly_the_reachable_states_may_follow() {
    for old in STATES {
        let mut reachable = vec![old];
        let mut next = 0;
        while let Some(state) = reachable.get(next).copied() {
            for step in steps(state) {
                if !reachable.contains(step) {
                    reachable.push(*step);
                }
            }
            next += 1;
        }
        for new in STATES {
            let (before, now) = (stored(1, vec![record(1, old)]), stored(2, vec![record(1, new)]));
            assert_eq!(check(&before, &now).is_ok(), reachable.contains(&new), "{old} to {new}");
        }
    }
}

#[test]
fn new_keys_and_new_wraps_are_believed() {
    let before = stored(1, vec![KeyRecord { kcv: None, ..record(1, KeyState::Active) }]);
    let now = stored(1, vec![record(1, KeyState::Active), record(2, KeyState::Pending)]);
    assert_eq!(check(&before, &now), Ok(()));
}

#[test]
fn a_store_that_was_exchanged_is_not_believed() {
    let before = stored(5, vec![record(1, KeyState::Active)]);
    let other = |change: fn(&mut KeyRecord)| {
        let mut changed = record(1, KeyState::Active);
        change(&mut changed);
        stored(6, vec![changed])
    };
    for (now, says) in [
        (StoredKeys { deployment: Uuid::from_u128(2), ..before.clone() }, "it belongs to another deployment"),
        (StoredKeys { epoch: 4, ..before.clone() }, "its epoch went back from 5 to 4"),
        (stored(6, vec![]), "key 1 is gone"),
        (other(|record| record.keyset = "credentials".into()), "key 1 became another key"),
        (other(|record| record.purpose = KeyPurpose::Index), "key 1 became another key"),
        (other(|record| record.version = NonZeroU16::new(2).unwrap()), "key 1 became another key"),
        (other(|record| record.kcv = Some([2; 16])), "key 1 has another check value"),
        (other(|record| record.kcv = None), "key 1 has another check value"),
    ] {
        assert_eq!(check(&before, &now), Err(says.to_owned()));
    }
    assert_eq!(check(&before, &before), Ok(()));
}

#[test]
fn only_keys_that_were_usable_are_revoked() {
    for old in STATES {
        for new in STATES {
            let (before, now) = (stored(1, vec![record(1, old)]), stored(2, vec![record(1, new)]));
            let expected = old.may_decrypt() && matches!(new, KeyState::Suspended | KeyState::Destroyed);
            assert_eq!(!revoked(&before, &now).is_empty(), expected, "{old} to {new}");
        }
    }
}
