//! The acts of the key store: everything under the security team's account and its principal of the key service, which
//! opens no data key. Each refusal stands beside the act that is allowed.

use std::time::Duration;

use candado::control::{
    Acknowledged, ActError, Actor, Behind, By, Fence, GuardedAct, Heartbeat, KeyStore, Lacks, MissingProof, Proofs,
    Recorder, Request, Run, Signer, Signers, WhyNoProof, wait_for_fence,
};
use candado::crypto::{KeyId, KeyPurpose, SigningKey};
use candado::keys::{Change, Impossible, KeyState, Unwrapper};
use candado::policy::Policy;
use data_encoding::BASE64;

use super::proofs::{Proof, age};
use crate::fakekms::State;
use crate::support::keys::{Setup, policy};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    a_key_lives_from_its_making_to_its_end,
    an_activation_waits_for_every_living_proxy,
    what_is_refused_changes_nothing,
    a_rehearsal_changes_nothing,
    a_key_is_put_aside_on_proof_alone,
    a_key_is_destroyed_after_its_grace,
    one_older_index_key_is_looked_up_at_a_time,
    a_suspended_key_comes_back_for_reading,
    a_shredded_keyset_has_no_wraps,
    two_at_once_act_one_after_the_other,
    a_provider_that_fails_makes_no_key,
    every_act_is_recorded_with_its_actor,
    what_cannot_be_undone_takes_a_second_person,
    the_proxy_account_can_do_none_of_it,
);

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const WRITE_TIMEOUT: Duration = Duration::from_secs(600);

/// A key store with one keyset, and the security team at work.
pub(super) struct Team {
    pub(super) setup: Setup,
    pub(super) store: KeyStore,
    pub(super) policy: Policy,
    pub(super) recorder: Recorder,
    pub(super) actor: Actor,
    pub(super) signers: Signers,
}

impl Team {
    pub(super) async fn new(kind: Kind) -> Self {
        let setup = Setup::new(kind).await;
        let policy = policy(&[("contact", true)]);
        setup.init(&policy).await.unwrap();
        let store = setup.security();
        let recorder = Recorder::open(&store, &*setup.opener).await.unwrap();
        let actor = store.actor("tester").await.unwrap();
        Self { setup, store, policy, recorder, actor, signers: Signers::none() }
    }

    pub(super) fn by(&self) -> By<'_> {
        By { actor: &self.actor, recorder: &self.recorder, signers: &self.signers }
    }

    pub(super) async fn create(&self, purpose: KeyPurpose) -> Result<KeyId, ActError> {
        let Setup { admin, kek, .. } = &self.setup;
        let made = self.store.create_key("contact", purpose, &**admin, kek, Run::Real, self.by()).await?;
        Ok(made.kid.unwrap())
    }

    /// What a proxy does with a new key.
    pub(super) async fn open(&self, kid: KeyId) {
        let stored = self.setup.proxy().load().await.unwrap();
        let record = stored.records.iter().find(|record| record.kid == kid).unwrap();
        let context = record.encryption_context(stored.deployment);
        let secret = self.setup.unwrapper.unwrap(&record.wraps[0], &context).await.unwrap();
        self.setup.proxy().publish_kcv(kid, secret.kcv(kid, record.purpose)).await.unwrap();
    }

    /// Creates, opens and activates.
    pub(super) async fn rotate(&self, purpose: KeyPurpose) -> KeyId {
        let kid = self.create(purpose).await.unwrap();
        self.open(kid).await;
        self.store.activate_key(kid, Run::Real, self.by()).await.unwrap();
        kid
    }

    async fn state(&self, kid: KeyId) -> KeyState {
        let stored = self.store.load().await.unwrap();
        stored.records.iter().find(|record| record.kid == kid).unwrap().state
    }

    async fn retire(&self, kid: KeyId, run: Run) -> Result<candado::control::Ending, ActError> {
        let proofs = Proofs { policy: &self.policy, age_max: DAY, write_timeout: WRITE_TIMEOUT };
        let endings = self.store.retire_keys(&[kid], &proofs, run, self.by()).await?;
        Ok(endings.into_iter().next().unwrap())
    }

    async fn destroy(&self, kid: KeyId, run: Run) -> Result<candado::control::Ending, ActError> {
        self.store
            .destroy_key(
                kid,
                &Proofs { policy: &self.policy, age_max: DAY, write_timeout: WRITE_TIMEOUT },
                DAY,
                run,
                self.by(),
            )
            .await
    }

    fn prove(&self, proof: &Proof<'_>) {
        proof.write(self.setup.server, &self.setup.schema);
    }

    fn age(&self, kid: KeyId, hours: u32) {
        age(self.setup.server, &self.setup.schema, kid.number(), hours);
    }

    /// Changes if anything does that acts change.
    fn dump(&self) -> String {
        let tables = ["epoch", "keyset", "data_key", "wrapped_key", "event", "event_head"];
        let tables = tables.map(|table| format!("{}.{table}", self.setup.schema)).join(", ");
        self.setup.server.sql(&format!("CHECKSUM TABLE {tables}"))
    }

    async fn beat(&self, instance: u8, epoch: u64, policy_digest: [u8; 32]) {
        let beat = Heartbeat {
            name: "".into(),
            instance: [instance; 16],
            boot: [0; 16],
            epoch,
            digest: [0; 32],
            policy_digest,
        };
        self.setup.proxy().heartbeat(&beat).await.unwrap();
    }
}

const CONTEXT: &str = "shop.customers.c0";

pub(super) fn kid(number: u32) -> KeyId {
    KeyId::new(number).unwrap()
}

/// The first keys that `keys init` makes.
pub(super) const AUDIT: u32 = 1;
pub(super) const DATA: u32 = 2;
pub(super) const INDEX: u32 = 3;

async fn a_key_lives_from_its_making_to_its_end(kind: Kind) {
    let team = Team::new(kind).await;
    let made = team.create(KeyPurpose::Data).await.unwrap();
    let listed = team.store.list().await.unwrap();
    let key = &listed.keys[3];
    assert_eq!((key.kid, key.version, key.state.as_str(), key.activated_at.is_none()), (4, 2, "pending", true));
    assert_eq!((key.keks.len(), listed.epoch), (1, 2));
    team.open(made).await;

    let done = team.store.activate_key(made, Run::Real, team.by()).await.unwrap();
    let step = |kid, from, to| Change { kid, from, to };
    let old = kid(DATA);
    let changes = [step(old, KeyState::Active, KeyState::DecryptOnly), step(made, KeyState::Pending, KeyState::Active)];
    assert_eq!((done.changes.as_slice(), done.epoch), (&changes[..], 3));
    let listed = team.store.list().await.unwrap();
    assert!(listed.keys[1].deactivated_at.is_some() && listed.keys[3].deactivated_at.is_none());

    team.age(old, 30);
    team.prove(&Proof::clean(CONTEXT));
    let retired = team.retire(old, Run::Real).await.unwrap();
    assert_eq!(
        (retired.done.changes.as_slice(), retired.wraps_deleted),
        (&[step(old, KeyState::DecryptOnly, KeyState::Retired)][..], 0)
    );
    let backups = retired.backups.unwrap();
    assert_eq!(backups.from, listed.keys[1].activated_at.clone().unwrap());
    assert!(backups.until.is_some_and(|until| until >= backups.from));

    team.age(old, 30);
    let destroyed = team.destroy(old, Run::Real).await.unwrap();
    assert_eq!((destroyed.wraps_deleted, destroyed.done.epoch), (1, 5));
    let stored = team.store.load().await.unwrap();
    let tombstone = &stored.records[1];
    assert_eq!((tombstone.kid, tombstone.state, tombstone.wraps.len()), (old, KeyState::Destroyed, 0));

    // Neither its id nor its version comes back.
    let next = team.rotate(KeyPurpose::Data).await;
    let versions: Vec<_> = team.store.list().await.unwrap().keys.iter().map(|key| (key.kid, key.version)).collect();
    assert_eq!(versions, [(1, 1), (2, 1), (3, 1), (4, 2), (next.number(), 3)]);
    assert!(next > made);
}

async fn an_activation_waits_for_every_living_proxy(kind: Kind) {
    let team = Team::new(kind).await;
    let made = team.create(KeyPurpose::Data).await.unwrap();
    let unopened = team.store.activate_key(made, Run::Real, team.by()).await.unwrap_err();
    assert!(matches!(unopened, ActError::NotOpened { kid } if kid == made), "{unopened:?}");
    team.open(made).await;

    team.beat(1, 2, [7; 32]).await;
    team.beat(2, 1, [7; 32]).await;
    let refused = team.store.activate_key(made, Run::Real, team.by()).await.unwrap_err();
    let ActError::Behind { epoch: 2, behind } = &refused else { panic!("{refused:?}") };
    let [Behind { instance, epoch: 1, lacks: Lacks::Epoch, .. }] = behind.as_slice() else { panic!("{behind:?}") };
    assert_eq!(*instance, "02".repeat(16));
    assert!(refused.to_string().contains(instance), "{refused}");
    assert_eq!(team.state(made).await, KeyState::Pending);

    let fence = |epoch, digest| Fence { epoch, policy_digest: digest };
    let all = |replicas| Acknowledged::All { replicas };
    assert_eq!(team.store.acknowledged(&fence(1, None)).await.unwrap(), all(2));
    assert_eq!(team.store.acknowledged(&fence(1, Some([7; 32]))).await.unwrap(), all(2));
    let Acknowledged::Waiting { behind } = team.store.acknowledged(&fence(2, Some([8; 32]))).await.unwrap() else {
        panic!("nobody has that policy")
    };
    let lacks: Vec<_> = behind.iter().map(|proxy| proxy.lacks).collect();
    assert_eq!(lacks, [Lacks::Policy, Lacks::EpochAndPolicy]);

    // One that has been silent for longer than the lease is not waited for; one that comes back is.
    let schema = &team.setup.schema;
    let silent =
        format!("UPDATE {schema}.replica SET last_seen = last_seen - INTERVAL 31 SECOND WHERE loaded_epoch = 1");
    team.setup.server.sql(&silent);
    assert_eq!(team.store.acknowledged(&fence(2, None)).await.unwrap(), all(1));
    team.beat(2, 1, [7; 32]).await;
    assert!(matches!(team.store.activate_key(made, Run::Real, team.by()).await, Err(ActError::Behind { .. })));

    // Whoever waits is told once who is behind, and goes on when nobody is.
    let (told, proxy) = (std::sync::Mutex::new(Vec::new()), &team);
    let deadline = tokio::time::Instant::now() + crate::support::proxy::PATIENCE;
    let (catches_up, seen) = tokio::sync::oneshot::channel();
    let catches_up = std::sync::Mutex::new(Some(catches_up));
    let progress = |behind: &[Behind]| {
        told.lock().unwrap().extend(behind.iter().map(|one| one.instance.clone()));
        if let Some(sender) = catches_up.lock().unwrap().take() {
            sender.send(()).unwrap();
        }
    };
    let fence = fence(2, None);
    let (waited, ()) = tokio::join!(wait_for_fence(&team.store, &fence, progress, deadline), async {
        seen.await.unwrap();
        proxy.beat(2, 2, [7; 32]).await;
    });
    assert_eq!(waited.unwrap(), all(2));
    assert_eq!(told.into_inner().unwrap(), ["02".repeat(16)]);
    assert!(team.store.activate_key(made, Run::Real, team.by()).await.is_ok());
}

async fn what_is_refused_changes_nothing(kind: Kind) {
    let team = Team::new(kind).await;
    let (store, by) = (&team.store, team.by());
    let pending = team.create(KeyPurpose::Data).await.unwrap();
    let before = team.dump();
    let (active, unknown) = (kid(DATA), kid(99));
    let state = |outcome: Result<candado::control::Done, ActError>| match outcome {
        Err(ActError::Impossible(Impossible::Barred { barred, .. })) => Some(barred.state),
        Err(ActError::Impossible(Impossible::UnknownKey { .. })) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(state(store.activate_key(active, Run::Real, by).await), Some(KeyState::Active));
    assert_eq!(state(store.activate_key(unknown, Run::Real, by).await), None);
    assert_eq!(state(store.suspend_key(pending, Run::Real, by).await), Some(KeyState::Pending));
    assert_eq!(state(store.suspend_key(unknown, Run::Real, by).await), None);
    assert_eq!(state(store.resume_key(active, Run::Real, by).await), Some(KeyState::Active));
    assert_eq!(state(store.restore_key(active, Run::Real, by).await), Some(KeyState::Active));
    assert_eq!(state(team.retire(active, Run::Real).await.map(|ending| ending.done)), Some(KeyState::Active));
    assert_eq!(state(team.destroy(active, Run::Real).await.map(|ending| ending.done)), Some(KeyState::Active));
    assert_eq!(state(team.destroy(unknown, Run::Real).await.map(|ending| ending.done)), None);

    let second = team.create(KeyPurpose::Data).await.unwrap_err();
    assert!(matches!(second, ActError::Impossible(Impossible::PendingExists { kid }) if kid == pending), "{second:?}");
    let Setup { admin, kek, .. } = &team.setup;
    let nowhere = store.create_key("contcat", KeyPurpose::Data, &**admin, kek, Run::Real, by).await.unwrap_err();
    assert!(nowhere.to_string().contains("contact"), "{nowhere}");
    assert_eq!(nowhere.code(), "unknown_keyset");
    assert_eq!(store.shred_keyset("contcat", Run::Real, by).await.unwrap_err().code(), "unknown_keyset");
    // The key that records is nobody's to handle.
    assert_eq!(store.suspend_key(kid(AUDIT), Run::Real, by).await.unwrap_err().code(), "reserved");
    assert_eq!(store.shred_keyset("candado", Run::Real, by).await.unwrap_err().code(), "reserved");
    assert_eq!(team.dump(), before);
}

async fn a_rehearsal_changes_nothing(kind: Kind) {
    let team = Team::new(kind).await;
    let (store, by, old) = (&team.store, team.by(), kid(DATA));
    let Setup { admin, kek, .. } = &team.setup;
    let before = team.dump();
    let made = store.create_key("contact", KeyPurpose::Data, &**admin, kek, Run::Rehearsal, by).await.unwrap();
    assert_eq!((made.kid, made.version.get(), made.epoch), (None, 2, 2));
    assert_eq!(store.suspend_key(old, Run::Rehearsal, by).await.unwrap().epoch, 2);
    assert_eq!(store.shred_keyset("contact", Run::Rehearsal, by).await.unwrap().wraps_deleted, 2);
    assert_eq!(team.dump(), before);

    let made = team.create(KeyPurpose::Data).await.unwrap();
    assert_eq!(made, kid(4), "the rehearsal used up no id");
    team.open(made).await;
    let before = team.dump();
    assert_eq!(store.activate_key(made, Run::Rehearsal, by).await.unwrap().changes.len(), 2);
    assert_eq!(team.dump(), before);

    store.activate_key(made, Run::Real, by).await.unwrap();
    team.age(old, 30);
    let before = team.dump();
    assert_eq!(team.retire(old, Run::Rehearsal).await.unwrap_err().code(), "not_proven", "it says what would stop it");
    team.prove(&Proof::clean(CONTEXT));
    assert!(team.retire(old, Run::Rehearsal).await.is_ok());
    assert_eq!(team.dump(), before);
    team.retire(old, Run::Real).await.unwrap();
    team.age(old, 30);
    let before = team.dump();
    assert!(team.destroy(old, Run::Rehearsal).await.is_ok());
    assert!(store.restore_key(old, Run::Rehearsal, by).await.is_ok());
    assert_eq!(team.dump(), before);
}

async fn a_key_is_put_aside_on_proof_alone(kind: Kind) {
    let team = Team::new(kind).await;
    let (data, index) = (kid(DATA), kid(INDEX));
    team.rotate(KeyPurpose::Data).await;
    team.rotate(KeyPurpose::Index).await;
    let before = team.dump();
    let why = async |kid| match team.retire(kid, Run::Real).await {
        Err(ActError::NotProven { missing, .. }) => {
            let [MissingProof { column, why }] = missing.as_slice() else { panic!("{missing:?}") };
            assert_eq!(column, CONTEXT);
            *why
        }
        other => panic!("{other:?}"),
    };
    // There is no table of proofs at all, then none about this column.
    assert_eq!(why(data).await, WhyNoProof::None);
    team.prove(&Proof::clean("shop.customers.other"));
    assert_eq!(why(data).await, WhyNoProof::None);
    team.prove(&Proof { finished: false, ..Proof::clean(CONTEXT) });
    assert_eq!(why(data).await, WhyNoProof::None, "a scan that did not finish proves nothing");
    // Writers under the old key may live until the lease is over, and their last statement be under way for longer.
    for seconds in [20, 590, 625] {
        let started = format!("UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND");
        team.prove(&Proof { started: &started, ..Proof::clean(CONTEXT) });
        assert_eq!(why(data).await, WhyNoProof::TooEarly, "after {seconds} s");
    }
    team.prove(&Proof { started: "UTC_TIMESTAMP(6) + INTERVAL 635 SECOND", ..Proof::clean(CONTEXT) });
    assert!(team.retire(data, Run::Rehearsal).await.is_ok());
    assert_eq!(team.dump(), before);

    team.age(data, 48);
    team.age(index, 48);
    let before = team.dump();
    team.prove(&Proof { started: "UTC_TIMESTAMP(6) - INTERVAL 25 HOUR", ..Proof::clean(CONTEXT) });
    assert_eq!(why(data).await, WhyNoProof::TooOld);
    team.prove(&Proof { by_kid: "{\"4\": 100, \"2\": 3}", by_index: "{\"1\": 5, \"2\": 98}", ..Proof::clean(CONTEXT) });
    assert_eq!(why(data).await, WhyNoProof::Found { cells: 3 });
    assert_eq!(why(index).await, WhyNoProof::Found { cells: 5 });
    team.prove(&Proof { by_kid: "[1]", by_index: "{\"1\": \"x\"}", ..Proof::clean(CONTEXT) });
    assert_eq!(why(data).await, WhyNoProof::Unreadable);
    assert_eq!(why(index).await, WhyNoProof::Unreadable);

    // The newest scan counts, and the key that is asked about.
    team.prove(&Proof {
        by_kid: "{\"4\": 103, \"22\": 7}",
        by_index: "{\"1\": 5, \"2\": 98}",
        ..Proof::clean(CONTEXT)
    });
    assert_eq!(why(index).await, WhyNoProof::Found { cells: 5 });
    team.beat(1, 1, [0; 32]).await;
    assert!(matches!(team.retire(data, Run::Real).await, Err(ActError::Behind { .. })), "a proxy does not know yet");
    assert_eq!(team.dump(), before);
    team.beat(1, team.store.epoch().await.unwrap(), [0; 32]).await;
    team.retire(data, Run::Real).await.unwrap();
    assert_eq!(team.state(data).await, KeyState::Retired);

    // A policy that does not name the keyset's columns proves nothing about them.
    team.prove(&Proof::clean(CONTEXT));
    let other = policy(&[("credentials", true)]);
    let proofs = Proofs { policy: &other, age_max: DAY, write_timeout: WRITE_TIMEOUT };
    team.beat(1, team.store.epoch().await.unwrap(), [0; 32]).await;
    let refused = team.store.retire_keys(&[index], &proofs, Run::Real, team.by()).await.unwrap_err();
    assert_eq!(refused.code(), "no_columns");
    assert!(team.retire(index, Run::Real).await.is_ok());
}

async fn a_key_is_destroyed_after_its_grace(kind: Kind) {
    let team = Team::new(kind).await;
    let old = kid(DATA);
    // A key that never wrote goes at once.
    let unused = team.create(KeyPurpose::Data).await.unwrap();
    let gone = team.destroy(unused, Run::Real).await.unwrap();
    assert_eq!((gone.backups, gone.wraps_deleted), (None, 1));

    team.rotate(KeyPurpose::Data).await;
    team.age(old, 30);
    team.prove(&Proof::clean(CONTEXT));
    team.retire(old, Run::Real).await.unwrap();
    let before = team.dump();
    let early = team.destroy(old, Run::Real).await.unwrap_err();
    assert!(matches!(early, ActError::Grace { state: KeyState::Retired, grace_s: 86_400, .. }), "{early:?}");
    assert_eq!(team.dump(), before);
    team.age(old, 25);
    // Retiring was proven; destroying is proven again.
    team.prove(&Proof { by_kid: "{\"2\": 1}", ..Proof::clean(CONTEXT) });
    let found = team.destroy(old, Run::Real).await.unwrap_err();
    assert_eq!(found.code(), "not_proven", "{found:?}");
    team.prove(&Proof::clean(CONTEXT));
    team.beat(1, 1, [0; 32]).await;
    assert_eq!(team.destroy(old, Run::Real).await.unwrap_err().code(), "replica_behind");
    team.beat(1, team.store.epoch().await.unwrap(), [0; 32]).await;
    assert_eq!(team.destroy(old, Run::Real).await.unwrap().wraps_deleted, 1);
    assert_eq!(team.destroy(old, Run::Real).await.unwrap_err().code(), "wrong_state");
    assert_eq!(team.store.restore_key(old, Run::Real, team.by()).await.unwrap_err().code(), "wrong_state");
}

async fn one_older_index_key_is_looked_up_at_a_time(kind: Kind) {
    let team = Team::new(kind).await;
    let first = kid(INDEX);
    team.rotate(KeyPurpose::Index).await;
    let third = team.create(KeyPurpose::Index).await.unwrap_err();
    assert!(matches!(third, ActError::Impossible(Impossible::DualPeriod { older }) if older == first), "{third:?}");
    assert!(third.to_string().contains("candado column reindex"), "{third}");
    // Data keys have no such limit.
    team.rotate(KeyPurpose::Data).await;
    team.rotate(KeyPurpose::Data).await;
    team.age(first, 30);
    team.prove(&Proof { by_index: "{\"2\": 10}", ..Proof::clean(CONTEXT) });
    team.retire(first, Run::Real).await.unwrap();
    team.rotate(KeyPurpose::Index).await;
}

async fn a_suspended_key_comes_back_for_reading(kind: Kind) {
    let team = Team::new(kind).await;
    let (store, by, old) = (&team.store, team.by(), kid(DATA));
    store.suspend_key(old, Run::Real, by).await.unwrap();
    let listed = store.list().await.unwrap();
    assert!(listed.keys[1].deactivated_at.is_some(), "it does not write any more");
    assert_eq!(team.destroy(old, Run::Real).await.unwrap_err().code(), "grace");
    store.resume_key(old, Run::Real, by).await.unwrap();
    assert_eq!(team.state(old).await, KeyState::DecryptOnly);
    assert_eq!(store.activate_key(old, Run::Real, by).await.unwrap_err().code(), "wrong_state");
    let new = team.rotate(KeyPurpose::Data).await;
    assert_eq!((team.state(old).await, team.state(new).await), (KeyState::DecryptOnly, KeyState::Active));
}

async fn a_shredded_keyset_has_no_wraps(kind: Kind) {
    let team = Team::new(kind).await;
    team.rotate(KeyPurpose::Data).await;
    let pending = team.create(KeyPurpose::Data).await.unwrap();
    let done = team.store.shred_keyset("contact", Run::Real, team.by()).await.unwrap();
    let destroyed: Vec<_> = done.changes.iter().map(|change| (change.kid.number(), change.from)).collect();
    let expected = [
        (DATA, KeyState::DecryptOnly),
        (4, KeyState::Active),
        (pending.number(), KeyState::Pending),
        (INDEX, KeyState::Active),
    ];
    assert_eq!(destroyed, expected);
    assert_eq!((done.wraps_deleted, done.keks), (4, vec![team.setup.kek.to_string()]));
    let stored = team.store.load().await.unwrap();
    for record in &stored.records[1..] {
        assert_eq!((record.state, record.wraps.len()), (KeyState::Destroyed, 0));
    }
    assert_eq!(stored.records[0].wraps.len(), 1, "the key that records is another keyset's");
    let again = team.store.shred_keyset("contact", Run::Real, team.by()).await.unwrap();
    assert_eq!((again.changes.len(), again.wraps_deleted), (0, 0));
}

async fn two_at_once_act_one_after_the_other(kind: Kind) {
    let team = Team::new(kind).await;
    let other = team.setup.security();
    let Setup { admin, kek, .. } = &team.setup;
    let (first, second) = tokio::join!(
        team.create(KeyPurpose::Data),
        other.create_key("contact", KeyPurpose::Data, &**admin, kek, Run::Real, team.by())
    );
    let codes: Vec<_> = [first.err(), second.err()].into_iter().flatten().map(|error| error.code()).collect();
    assert_eq!(codes, ["pending_exists"], "one makes it, the other is told");
    let pending = team.store.pending_key("contact", KeyPurpose::Data).await.unwrap().unwrap();
    team.open(pending).await;
    let (first, second) = tokio::join!(
        team.store.activate_key(pending, Run::Real, team.by()),
        other.activate_key(pending, Run::Real, team.by())
    );
    let codes: Vec<_> = [first.err(), second.err()].into_iter().flatten().map(|error| error.code()).collect();
    assert_eq!(codes, ["wrong_state"]);
    let stored = team.store.load().await.unwrap();
    let active = stored.records.iter().filter(|key| key.purpose == KeyPurpose::Data && key.state == KeyState::Active);
    assert_eq!((active.count(), stored.epoch), (1, 3));
}

async fn a_provider_that_fails_makes_no_key(kind: Kind) {
    let team = Team::new(kind).await;
    let before = team.dump();
    let Setup { fake, kek, admin, .. } = &team.setup;
    for run in [Run::Real, Run::Rehearsal] {
        fake.set_state(&kek.reference, State::Disabled);
        let refused = team.store.create_key("contact", KeyPurpose::Data, &**admin, kek, run, team.by()).await;
        assert_eq!(refused.unwrap_err().code(), "key_store");
        assert_eq!(team.dump(), before);
    }
    fake.set_state(&kek.reference, State::Enabled);
    assert!(team.create(KeyPurpose::Data).await.is_ok());
}

async fn every_act_is_recorded_with_its_actor(kind: Kind) {
    let team = Team::new(kind).await;
    let events = || {
        let schema = &team.setup.schema;
        let sql = format!("SELECT act, subject, value_before, value_after, actor FROM {schema}.event ORDER BY seq");
        team.setup.server.sql(&sql).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let begun = events().len();
    let new = team.rotate(KeyPurpose::Data).await;
    team.store.suspend_key(new, Run::Real, team.by()).await.unwrap();
    team.store.suspend_key(new, Run::Real, team.by()).await.unwrap_err();
    team.store.resume_key(new, Run::Rehearsal, team.by()).await.unwrap();
    team.store.resume_key(new, Run::Real, team.by()).await.unwrap();
    let recorded: Vec<_> = events().split_off(begun);
    let acts: Vec<_> = recorded.iter().map(|line| line.split('\t').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        acts,
        ["key.create key 4", "key.deactivate key 2", "key.activate key 4", "key.suspend key 4", "key.resume key 4"]
    );
    assert!(recorded.iter().all(|line| line.ends_with("candado_security@% (os: tester)")), "{recorded:?}");
    let resumed = recorded.last().unwrap();
    assert!(resumed.contains(r#""state":"suspended""#) && resumed.contains(r#""state":"decrypt_only""#), "{resumed}");
}

/// A private key from its 32 bytes.
fn signing_key(seed: u8) -> SigningKey {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&der));
    SigningKey::from_pem(pem.as_bytes()).unwrap()
}

async fn what_cannot_be_undone_takes_a_second_person(kind: Kind) {
    let mut team = Team::new(kind).await;
    let bob = signing_key(7);
    let signer = Signer { name: "bob".into(), key: bob.public().unwrap() };
    team.signers = Signers::new(vec![signer], 1, DAY).unwrap();
    let (store, old) = (&team.store, kid(DATA));
    let wanted = |refused: ActError| match refused {
        ActError::NotApproved { wanted, .. } => wanted,
        other => panic!("{other:?}"),
    };
    // One person pulls the brake; letting it go takes two.
    store.suspend_key(old, Run::Real, team.by()).await.unwrap();
    let before = team.dump();
    let resume = wanted(store.resume_key(old, Run::Real, team.by()).await.unwrap_err());
    assert_eq!((resume.act, resume.subject.as_str()), (GuardedAct::Resume, "key 2 (keyset contact, data, version 1)"));
    assert_eq!(wanted(store.shred_keyset("contact", Run::Real, team.by()).await.unwrap_err()).act, GuardedAct::Shred);
    assert_eq!(team.dump(), before);

    let approve = async |wanted: &Request| {
        let request = store.ask_for_approval(wanted, &team.signers, &team.actor, &team.recorder).await.unwrap();
        let signature = bob.sign(request.text().as_bytes()).unwrap();
        store.approve(request.id, &signature, &team.signers, &team.actor, &team.recorder).await.unwrap();
    };
    approve(&resume).await;
    store.resume_key(old, Run::Rehearsal, team.by()).await.unwrap();
    store.resume_key(old, Run::Real, team.by()).await.unwrap();
    // It served once.
    store.suspend_key(old, Run::Real, team.by()).await.unwrap();
    assert_eq!(store.resume_key(old, Run::Real, team.by()).await.unwrap_err().code(), "not_approved");

    team.rotate(KeyPurpose::Index).await;
    team.age(kid(INDEX), 30);
    team.prove(&Proof::clean(CONTEXT));
    let retire = wanted(team.retire(kid(INDEX), Run::Real).await.unwrap_err());
    approve(&retire).await;
    team.retire(kid(INDEX), Run::Real).await.unwrap();
    team.age(kid(INDEX), 30);
    let destroy = wanted(team.destroy(kid(INDEX), Run::Real).await.unwrap_err());
    assert_eq!((retire.act, destroy.act), (GuardedAct::Retire, GuardedAct::Destroy));
    approve(&destroy).await;
    team.destroy(kid(INDEX), Run::Real).await.unwrap();
    let schema = &team.setup.schema;
    let last = team.setup.server.sql(&format!("SELECT value_after FROM {schema}.event ORDER BY seq DESC LIMIT 1"));
    assert!(last.contains(r#""by":["bob"]"#), "{last}");
}

async fn the_proxy_account_can_do_none_of_it(kind: Kind) {
    let team = Team::new(kind).await;
    let proxy = team.setup.proxy();
    let before = team.dump();
    let Setup { admin, kek, .. } = &team.setup;
    let outcomes = [
        proxy.create_key("contact", KeyPurpose::Data, &**admin, kek, Run::Real, team.by()).await.err(),
        proxy.suspend_key(kid(DATA), Run::Real, team.by()).await.err(),
        proxy.shred_keyset("contact", Run::Real, team.by()).await.err(),
    ];
    for refused in outcomes {
        assert_eq!(refused.map(|error| error.code()), Some("key_store"));
    }
    assert_eq!(team.dump(), before);
}
