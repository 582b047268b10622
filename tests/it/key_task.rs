//! The key task on real servers with the fake key service: from nothing to a ring, and what takes the ring away.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use candado::control::{KeysMissing, KeysState};
use candado::crypto::KeyPurpose;
use candado::keys::KeyRing;
use candado::policy::ColumnId;

use crate::fakekms::{Fault, Role, State};
use crate::support::key_task::{Running, opens, sealed};
use crate::support::keys::{Setup, policy, policy_version};
use crate::support::on_each_server;
use crate::support::proxy::wait_until;
use crate::support::server::Kind;

on_each_server!(
    what_one_proxy_seals_another_one_opens_without_asking_again,
    a_key_service_that_is_down_at_the_start_is_waited_for,
    a_key_store_that_is_not_initialised_is_waited_for,
    a_refusal_is_told_apart_from_an_outage,
    a_key_that_is_not_the_right_one_makes_no_ring,
    exchanged_wraps_make_no_ring,
    a_barred_key_is_in_no_ring_and_touches_no_other_keyset,
    a_key_that_cannot_be_opened_yet_does_not_hold_up_the_brake,
    a_new_policy_gets_a_ring_with_its_keys,
    a_proxy_reports_what_it_works_with,
    an_epoch_without_new_keys_asks_the_provider_for_nothing,
    a_key_that_a_stored_value_names_is_there_when_the_answer_comes,
    a_key_that_does_not_exist_is_said_to_be_unknown,
);

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

async fn a_barred_key_is_in_no_ring_and_touches_no_other_keyset(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false), ("credentials", false)]);
    setup.init(&policy).await.unwrap();
    let mut running = Running::new(&setup, policy);
    running.ready().await;
    let schema = &setup.schema;
    setup.server.sql(&format!(
        "START TRANSACTION; UPDATE {schema}.data_key k JOIN {schema}.keyset s USING (keyset_id)
         SET k.state = 'suspended' WHERE s.name = 'contact'; UPDATE {schema}.epoch SET epoch = epoch + 1; COMMIT"
    ));
    running.rings.wait_for(|ring| ring.as_ref().is_some_and(|ring| ring.version() == 2)).await.unwrap();
    let ring = running.newest().unwrap();
    assert!(!ring.column(ColumnId(0)).unwrap().opens_anything() && ring.column(ColumnId(1)).unwrap().may_seal());
    assert_eq!(ring.inactive().iter().map(|found| &*found.keyset).collect::<Vec<_>>(), ["contact"]);
    running.end().await;
}

async fn a_key_that_cannot_be_opened_yet_does_not_hold_up_the_brake(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false), ("credentials", false)]);
    setup.init(&policy).await.unwrap();
    let mut running = Running::new(&setup, policy);
    running.ready().await;
    let schema = &setup.schema;
    let acknowledged = || setup.server.sql(&format!("SELECT loaded_epoch FROM {schema}.replica"));
    setup.fake.allow("PROXY", &[]);
    setup.rotation().create("credentials", KeyPurpose::Data).await;
    tokio::task::block_in_place(|| wait_until("the new key is refused", || running.vitals.refusals() > 0));
    setup.server.sql(&format!(
        "START TRANSACTION; UPDATE {schema}.data_key k JOIN {schema}.keyset s USING (keyset_id)
         SET k.state = 'suspended' WHERE s.name = 'contact'; UPDATE {schema}.epoch SET epoch = epoch + 1; COMMIT"
    ));
    let braked = |ring: &Option<Arc<KeyRing>>| !ring.as_ref().unwrap().column(ColumnId(0)).unwrap().opens_anything();
    let ring = running.rings.wait_for(braked).await.unwrap().clone().unwrap();
    assert!(ring.column(ColumnId(1)).unwrap().may_seal(), "the other keyset is not touched");
    assert_eq!(acknowledged(), "1\n", "a key that is not open must not be activated");
    setup.fake.allow_role("PROXY", Role::Proxy);
    tokio::task::block_in_place(|| wait_until("the new key is open", || acknowledged() == "3\n"));
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
    let digest = format!("{}\n", data_encoding::HEXUPPER.encode(&larger.digest()));
    running.policies.send_replace(Arc::new(larger));
    let is_larger = |ring: &Option<Arc<KeyRing>>| ring.as_ref().is_some_and(|ring| ring.policy_version() == 2);
    running.rings.wait_for(is_larger).await.unwrap();
    assert!(running.newest().unwrap().column(ColumnId(1)).is_some());
    let told = format!("SELECT HEX(policy_digest) FROM {}.replica", setup.schema);
    tokio::task::block_in_place(|| wait_until("the key store hears of it", || setup.server.sql(&told) == digest));
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
    assert_eq!(listing.replicas[0].name, "proxy 1");
    assert_eq!((listing.replicas[0].epoch, listing.replicas[0].version.as_str()), (1, env!("CARGO_PKG_VERSION")));
}

async fn an_epoch_without_new_keys_asks_the_provider_for_nothing(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true), ("credentials", false)]);
    setup.init(&policy).await.unwrap();
    let mut running = Running::new(&setup, policy);
    running.ready().await;
    let calls = setup.fake.calls("Decrypt");
    setup.server.sql(&format!("UPDATE {}.epoch SET epoch = epoch + 1", setup.schema));
    running.rings.wait_for(|ring| ring.as_ref().is_some_and(|ring| ring.version() == 2)).await.unwrap();
    assert_eq!(setup.fake.calls("Decrypt"), calls);
    // Not even an outage keeps the proxy from following.
    setup.fake.go_down();
    setup.server.sql(&format!("UPDATE {}.epoch SET epoch = epoch + 1", setup.schema));
    running.rings.wait_for(|ring| ring.as_ref().is_some_and(|ring| ring.version() == 3)).await.unwrap();
    running.end().await;
}

async fn a_key_that_a_stored_value_names_is_there_when_the_answer_comes(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true)]);
    setup.init(&policy).await.unwrap();
    // The audit key, which no proxy opens.
    let before = setup.fake.calls("Decrypt");
    let (mut early, mut late) = (Running::new(&setup, policy.clone()), Running::new(&setup, policy.clone()));
    late.ready().await;
    early.ready().await;
    // Activated by force: nobody waits for the others.
    let rotation = setup.rotation();
    let kid = rotation.create("contact", KeyPurpose::Data).await;
    rotation.activate(kid);
    assert!(early.requests.find(kid).await, "the key is in the store");
    let envelope = sealed(&early.newest().unwrap());
    // All that ask share one answer.
    let asking: Vec<_> = (0..50).map(|_| late.requests.clone()).collect();
    let mut answers = tokio::task::JoinSet::new();
    for requests in asking {
        answers.spawn(async move { requests.find(kid).await });
    }
    assert_eq!(answers.join_all().await, [true; 50]);
    assert!(opens(&late.newest().unwrap(), &policy, &envelope));
    assert_eq!(setup.fake.calls("Decrypt") - before, 6, "three keys, two proxies");
    early.end().await;
    late.end().await;
}

async fn a_key_that_does_not_exist_is_said_to_be_unknown(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    let made = setup.init(&policy).await.unwrap();
    let kid = made.created.iter().find(|key| &*key.keyset == "contact").unwrap().kid;
    let before = setup.fake.calls("Decrypt");
    let mut running = Running::new(&setup, policy);
    running.ready().await;
    for number in 1_000..1_100 {
        assert!(!running.requests.find(candado::crypto::KeyId::new(number).unwrap()).await);
    }
    assert!(running.requests.find(kid).await, "the others are answered still");
    assert_eq!(setup.fake.calls("Decrypt") - before, 1, "forged ids never reach the provider");
    running.end().await;
}
