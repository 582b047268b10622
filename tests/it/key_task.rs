//! The key task on real servers with the fake key service: from nothing to a ring, and what takes the ring away.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use candado::control::{KeyTask, KeysMissing, KeysState};
use candado::crypto::Plaintext;
use candado::keys::KeyRing;
use candado::policy::{ColumnId, Policy, RoleId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fakekms::{Fault, State};
use crate::support::keys::{Setup, policy, policy_version};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    what_one_proxy_seals_another_one_opens_without_asking_again,
    a_key_service_that_is_down_at_the_start_is_waited_for,
    a_key_store_that_is_not_initialised_is_waited_for,
    a_refusal_is_told_apart_from_an_outage,
    a_key_that_is_not_the_right_one_makes_no_ring,
    exchanged_wraps_make_no_ring,
    a_barred_key_takes_the_ring_away,
    a_new_policy_gets_a_ring_with_its_keys,
    a_proxy_reports_what_it_works_with,
);

/// A running key task with what it published last.
struct Running {
    rings: watch::Receiver<Option<Arc<KeyRing>>>,
    state: watch::Receiver<KeysState>,
    policies: watch::Sender<Arc<Policy>>,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Running {
    fn new(setup: &Setup, policy: Policy) -> Self {
        let (keep, rings) = watch::channel(None);
        let (policies, receiver) = watch::channel(Arc::new(policy));
        let publish = move |ring: Option<&Arc<KeyRing>>| drop(keep.send_replace(ring.cloned()));
        let task = KeyTask::new(setup.proxy(), setup.unwrapper.clone(), receiver, publish).with_instance("proxy 1");
        let state = task.state();
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        tracker.spawn(task.run(shutdown.clone()));
        tracker.close();
        Self { rings, state, policies, shutdown, tracker }
    }

    async fn reaches(&mut self, wanted: KeysState) {
        self.state.wait_for(|state| *state == wanted).await.unwrap();
    }

    async fn ready(&mut self) -> Arc<KeyRing> {
        self.reaches(KeysState::Ready).await;
        self.newest().unwrap()
    }

    fn newest(&self) -> Option<Arc<KeyRing>> {
        self.rings.borrow().clone()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.tracker.wait().await;
    }
}

fn sealed(ring: &KeyRing) -> Vec<u8> {
    let mut envelope = Vec::new();
    ring.column(ColumnId(0)).unwrap().seal(&Plaintext::from(b"0123".to_vec()), &mut envelope).unwrap();
    envelope
}

fn opens(ring: &KeyRing, policy: &Policy, envelope: &[u8]) -> bool {
    let (_, grant) = policy.access(RoleId(0), ColumnId(0));
    let mut plain = Plaintext::new();
    ring.column(ColumnId(0)).unwrap().open(&grant.unwrap(), envelope, &mut plain).is_ok()
}

async fn what_one_proxy_seals_another_one_opens_without_asking_again(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true), ("contact", true), ("credentials", false)]);
    setup.init(&policy).await.unwrap();
    let before = setup.fake.calls("Decrypt");
    let (mut first, mut second) = (Running::new(&setup, policy.clone()), Running::new(&setup, policy.clone()));
    let (writer, reader) = tokio::join!(first.ready(), second.ready());
    assert_eq!((writer.version(), writer.policy_version()), (1, 1));
    assert_eq!(writer.digest(), reader.digest());
    for _ in 0..1_000 {
        assert!(opens(&reader, &policy, &sealed(&writer)));
    }
    let calls = setup.fake.calls("Decrypt") - before;
    assert_eq!(calls, 6, "three keys, two proxies: once each, whatever is sealed and opened");
    first.end().await;
    second.end().await;
}

async fn a_key_service_that_is_down_at_the_start_is_waited_for(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true)]);
    setup.init(&policy).await.unwrap();
    setup.fake.go_down();
    let mut running = Running::new(&setup, policy);
    running.reaches(KeysState::Missing(KeysMissing::ProviderUnavailable)).await;
    assert!(!running.rings.has_changed().unwrap(), "nothing was published");
    setup.fake.come_up();
    running.ready().await;

    // Down again: what is open stays open.
    setup.fake.go_down();
    assert_eq!(*running.state.borrow(), KeysState::Ready);
    running.end().await;
}

async fn a_key_store_that_is_not_initialised_is_waited_for(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    let mut running = Running::new(&setup, policy.clone());
    running.reaches(KeysState::Missing(KeysMissing::NotInitialised)).await;
    setup.init(&policy).await.unwrap();
    running.ready().await;
    running.end().await;
}

async fn a_refusal_is_told_apart_from_an_outage(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    setup.init(&policy).await.unwrap();
    setup.fake.set_state(&setup.kek.reference, State::Disabled);
    let mut running = Running::new(&setup, policy);
    running.reaches(KeysState::Missing(KeysMissing::ProviderRefuses)).await;
    setup.fake.fail_always(Some(Fault::Throttle));
    running.reaches(KeysState::Missing(KeysMissing::ProviderUnavailable)).await;
    setup.fake.fail_always(None);
    setup.fake.set_state(&setup.kek.reference, State::Enabled);
    running.ready().await;
    running.end().await;
}

async fn a_key_that_is_not_the_right_one_makes_no_ring(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    setup.init(&policy).await.unwrap();
    setup.server.sql(&format!("UPDATE {}.data_key SET kcv = REPEAT('x', 16)", setup.schema));
    let mut running = Running::new(&setup, policy);
    running.reaches(KeysState::Missing(KeysMissing::Keys)).await;
    assert!(!running.rings.has_changed().unwrap());
    setup.server.sql(&format!("UPDATE {}.data_key SET kcv = NULL", setup.schema));
    running.ready().await;
    running.end().await;
}

async fn exchanged_wraps_make_no_ring(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false), ("credentials", false)]);
    setup.init(&policy).await.unwrap();
    let schema = &setup.schema;
    setup.server.sql(&format!(
        "SELECT wrapped INTO @first FROM {schema}.wrapped_key ORDER BY kid LIMIT 1;
         UPDATE {schema}.wrapped_key SET wrapped = @first"
    ));
    let mut running = Running::new(&setup, policy);
    running.reaches(KeysState::Missing(KeysMissing::ProviderRefuses)).await;
    assert!(!running.rings.has_changed().unwrap());
    running.end().await;
}

async fn a_barred_key_takes_the_ring_away(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    setup.init(&policy).await.unwrap();
    let mut running = Running::new(&setup, policy);
    running.ready().await;
    let schema = &setup.schema;
    setup.server.sql(&format!(
        "START TRANSACTION; UPDATE {schema}.data_key SET state = 'suspended';
         UPDATE {schema}.epoch SET epoch = epoch + 1; COMMIT"
    ));
    running.reaches(KeysState::Missing(KeysMissing::Keys)).await;
    assert!(running.newest().is_none(), "the ring was taken away, not only marked");
    running.end().await;
}

async fn a_new_policy_gets_a_ring_with_its_keys(kind: Kind) {
    let setup = Setup::new(kind).await;
    let small = policy(&[("contact", false)]);
    setup.init(&small).await.unwrap();
    let mut running = Running::new(&setup, small);
    let first = running.ready().await;
    assert!(first.column(ColumnId(1)).is_none());

    let larger = policy_version(2, &[("contact", false), ("credentials", true)]);
    setup.init(&larger).await.unwrap();
    running.policies.send_replace(Arc::new(larger));
    let is_larger = |ring: &Option<Arc<KeyRing>>| ring.as_ref().is_some_and(|ring| ring.policy_version() == 2);
    running.rings.wait_for(is_larger).await.unwrap();
    assert!(running.newest().unwrap().column(ColumnId(1)).is_some());
    running.end().await;
}

async fn a_proxy_reports_what_it_works_with(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true)]);
    setup.init(&policy).await.unwrap();
    for _ in 0..2 {
        let mut running = Running::new(&setup, policy.clone());
        running.ready().await;
        running.end().await;
    }
    let listing = setup.proxy().list().await.unwrap();
    assert!(listing.keys.iter().all(|key| key.kcv.is_some()), "the first proxy published the check values");
    assert_eq!(listing.replicas.len(), 1, "one proxy, however often it starts");
    assert_eq!((listing.replicas[0].epoch, listing.replicas[0].version.as_str()), (1, env!("CARGO_PKG_VERSION")));
}
