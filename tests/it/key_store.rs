//! The key store on real servers, under the accounts of `keys-policy/schema.sql`, with keys from the fake key service.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use candado::control::{ControlError, Heartbeat, Initialisation, KeyStore, Pool, Tls};
use candado::crypto::{KeyId, KeyPurpose};
use candado::keys::{KeyError, KeyRecord, KeyState, Unwrapper};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fakekms::State;
use crate::support::gate::Gate;
use crate::support::key_store::{self, AUDITOR, BACKFILL, PASSWORD, PROXY, SECURITY};
use crate::support::keys::{Setup, policy};
use crate::support::on_each_server;
use crate::support::server::Kind;
use crate::support::shop::bounded;

on_each_server!(
    init_makes_what_policy_needs_and_no_more,
    stored_keys_open_and_check_values_are_published_once,
    a_provider_that_fails_leaves_nothing_behind,
    two_runs_at_once_make_each_key_once,
    a_revoked_keyset_gets_no_new_key,
    a_key_store_belongs_to_one_deployment,
    an_empty_server_is_told_apart_from_a_broken_one,
    heartbeats_show_in_the_listing,
    the_accounts_can_do_no_more_than_they_must,
    the_control_connection_verifies_the_server,
    a_server_that_hangs_is_given_up_and_found_again,
    an_older_store_is_given_its_key_of_anchors,
);

fn named(created: &[candado::control::CreatedKey]) -> Vec<(Arc<str>, KeyPurpose)> {
    created.iter().map(|key| (key.keyset.clone(), key.purpose)).collect()
}

async fn init_makes_what_policy_needs_and_no_more(kind: Kind) {
    let setup = Setup::new(kind).await;
    let small = policy(&[("contact", true), ("contact", false), ("credentials", false)]);
    let first = setup.init(&small).await.unwrap();
    let expected = [
        ("candado".into(), KeyPurpose::Audit),
        ("contact".into(), KeyPurpose::Data),
        ("contact".into(), KeyPurpose::Index),
        ("credentials".into(), KeyPurpose::Data),
    ];
    assert_eq!(named(&first.created), expected);
    assert_eq!((first.epoch, first.without_active.len()), (1, 0));

    let again = setup.init(&small).await.unwrap();
    assert_eq!((again.created.len(), again.epoch, again.deployment), (0, 1, first.deployment));

    let larger = policy(&[("contact", true), ("credentials", true)]);
    let third = setup.init(&larger).await.unwrap();
    assert_eq!(named(&third.created), [("credentials".into(), KeyPurpose::Index)]);
    assert_eq!(third.epoch, 2);
    assert_eq!(setup.proxy().epoch().await.unwrap(), 2);
    assert_eq!(setup.fake.calls("GenerateDataKeyWithoutPlaintext"), 5, "one request for each key");
}

async fn stored_keys_open_and_check_values_are_published_once(kind: Kind) {
    let setup = Setup::new(kind).await;
    let report = setup.init(&policy(&[("contact", true)])).await.unwrap();
    let store = setup.proxy();
    let stored = store.load().await.unwrap();
    assert_eq!((stored.deployment, stored.epoch, stored.records.len()), (report.deployment, 1, 3));
    let (audit, columns) = stored.records.split_first().unwrap();
    assert_eq!((&*audit.keyset, audit.purpose, audit.kcv.is_some()), ("candado", KeyPurpose::Audit, true));
    for record in columns {
        let KeyRecord { kid, purpose, state, kcv, wraps, .. } = record;
        assert_eq!((*state, *kcv, wraps.len()), (KeyState::Active, None, 1));
        let context = record.encryption_context(stored.deployment);
        let secret = setup.unwrapper.unwrap(&wraps[0], &context).await.unwrap();
        let published = secret.kcv(*kid, *purpose);
        assert_eq!(store.publish_kcv(*kid, published).await.unwrap(), published);
        assert_eq!(store.publish_kcv(*kid, [0; 16]).await.unwrap(), published, "the first one counts");
    }
    let reloaded = store.load().await.unwrap();
    assert!(reloaded.records.iter().all(|record| record.kcv.is_some()));

    // Blobs that were exchanged between keys do not open: the context names the key.
    let (first, second) = (&columns[0], &columns[1]);
    let swapped = setup.unwrapper.unwrap(&first.wraps[0], &second.encryption_context(stored.deployment)).await;
    assert_eq!(swapped.unwrap_err(), KeyError::ContextMismatch);
    assert!(store.publish_kcv(KeyId::new(u32::MAX).unwrap(), [0; 16]).await.is_err(), "no such key");
}

async fn a_provider_that_fails_leaves_nothing_behind(kind: Kind) {
    let setup = Setup::new(kind).await;
    setup.fake.set_state(&setup.kek.reference, State::Disabled);
    let error = setup.init(&policy(&[("contact", true)])).await.unwrap_err();
    assert!(matches!(error, ControlError::Provider { source: KeyError::Disabled, .. }), "{error:?}");
    assert!(matches!(setup.proxy().load().await.unwrap_err(), ControlError::NotInitialised));

    setup.fake.set_state(&setup.kek.reference, State::Enabled);
    assert_eq!(setup.init(&policy(&[("contact", true)])).await.unwrap().created.len(), 3);
}

async fn two_runs_at_once_make_each_key_once(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", true), ("credentials", false)]);
    let (first, second) = tokio::join!(setup.init(&policy), setup.init(&policy));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.deployment, second.deployment);
    assert_eq!(first.created.len() + second.created.len(), 4);
    assert_eq!(setup.proxy().load().await.unwrap().records.len(), 4);
    assert_eq!(setup.proxy().epoch().await.unwrap(), 1);
}

async fn a_revoked_keyset_gets_no_new_key(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    setup.init(&policy).await.unwrap();
    setup.server.sql(&format!("UPDATE {}.data_key SET state = 'suspended' WHERE purpose = 'data'", setup.schema));
    let report = setup.init(&policy).await.unwrap();
    assert_eq!((report.created.len(), report.epoch), (0, 1));
    assert_eq!(report.without_active, [("contact".into(), KeyPurpose::Data)]);
}

async fn a_key_store_belongs_to_one_deployment(kind: Kind) {
    let setup = Setup::new(kind).await;
    let policy = policy(&[("contact", false)]);
    let mine = Uuid::from_u128(7);
    let store = setup.security();
    let of = |deployment| Initialisation { deployment: Some(deployment), ..setup.initialisation(&policy) };
    let report = store.init(of(mine)).await.unwrap();
    assert_eq!(report.deployment, mine);
    let other = store.init(of(Uuid::from_u128(8))).await.unwrap_err();
    assert!(matches!(other, ControlError::OtherDeployment { found } if found == mine.to_string()));
    assert!(store.init(of(mine)).await.is_ok());
}

async fn an_empty_server_is_told_apart_from_a_broken_one(kind: Kind) {
    let setup = Setup::new(kind).await;
    assert!(matches!(setup.proxy().load().await.unwrap_err(), ControlError::NotInitialised), "tables, but no init");
    // Under root a missing schema is told from a forbidden one.
    let mut settings = key_store::settings(setup.server, "root");
    settings.password = String::new().into();
    let nowhere = KeyStore::new(Pool::new(&settings), "it_no_such_schema");
    assert!(matches!(nowhere.epoch().await.unwrap_err(), ControlError::NotInitialised), "no tables");
    settings.port = 1;
    let unreachable = KeyStore::new(Pool::new(&settings), &setup.schema);
    assert!(matches!(unreachable.epoch().await.unwrap_err(), ControlError::Unreachable { .. }));
}

async fn heartbeats_show_in_the_listing(kind: Kind) {
    let setup = Setup::new(kind).await;
    setup.init(&policy(&[("contact", false)])).await.unwrap();
    let store = setup.proxy();
    let beat = Heartbeat {
        instance: [1; 16],
        name: "host:1".into(),
        boot: [2; 16],
        epoch: 1,
        digest: [3; 32],
        policy_digest: [5; 32],
    };
    store.heartbeat(&beat).await.unwrap();
    store.heartbeat(&Heartbeat { epoch: 2, boot: [4; 16], ..beat }).await.unwrap();
    let listing = store.list().await.unwrap();
    assert_eq!(listing.replicas.len(), 1, "a proxy has one row, however often it starts");
    assert_eq!((listing.replicas[0].instance.as_str(), listing.replicas[0].epoch), ("01".repeat(16).as_str(), 2));
    let key = &listing.keys[1];
    assert_eq!(
        (key.keyset.as_str(), key.purpose.as_str(), key.version, key.state.as_str()),
        ("contact", "data", 1, "active")
    );
    assert_eq!(key.keks, [format!("aws-kms:{}", setup.kek.reference)]);
    assert!(key.kcv.is_none() && key.activated_at.as_ref().is_some_and(|at| at.ends_with('Z')), "{key:?}");
}

async fn the_accounts_can_do_no_more_than_they_must(kind: Kind) {
    let setup = Setup::new(kind).await;
    setup.init(&policy(&[("contact", false)])).await.unwrap();
    let (server, keys) = (setup.server, &setup.schema);
    let shop = server.database("shop");
    server.sql(&format!(
        "CREATE TABLE {shop}.customers (phone VARBINARY(20)); INSERT INTO {shop}.customers VALUES ('x')"
    ));
    let refused = |account: &str, sql: String| {
        let error = server.sql_as(account, PASSWORD, &sql).unwrap_err();
        assert!(
            ["1044", "1142", "1143"].iter().any(|code| error.contains(&format!("ERROR {code} "))),
            "{sql}: {error}"
        );
    };
    for account in [PROXY, SECURITY] {
        refused(account, format!("SELECT * FROM {shop}.customers"));
        refused(account, format!("UPDATE {shop}.customers SET phone = NULL"));
        refused(account, format!("DELETE FROM {keys}.data_key"));
        refused(account, format!("UPDATE {keys}.data_key SET kid = 99"));
        refused(account, format!("UPDATE {keys}.data_key SET purpose = 'data', keyset_id = 1, version = 9"));
        refused(account, format!("UPDATE {keys}.wrapped_key SET kid = 1"));
        refused(account, format!("DROP TABLE {keys}.epoch"));
        refused(account, format!("CREATE TABLE {shop}.mine (a INT)"));
    }
    refused(
        PROXY,
        format!("INSERT INTO {keys}.data_key (keyset_id, purpose, version, state) VALUES (1, 'data', 9, 'active')"),
    );
    refused(PROXY, format!("UPDATE {keys}.epoch SET epoch = 9"));
    refused(PROXY, format!("UPDATE {keys}.data_key SET state = 'destroyed'"));
    refused(PROXY, format!("UPDATE {keys}.wrapped_key SET wrapped = ''"));
    refused(PROXY, format!("DELETE FROM {keys}.wrapped_key"));
    refused(SECURITY, format!("UPDATE {keys}.data_key SET created_at = UTC_TIMESTAMP(6)"));
    refused(SECURITY, format!("DELETE FROM {keys}.keyset"));
    refused(PROXY, format!("DELETE FROM {keys}.replica"));
    for account in [PROXY, SECURITY, BACKFILL, AUDITOR] {
        refused(account, format!("UPDATE {keys}.event SET actor = 'somebody else'"));
        refused(account, format!("DELETE FROM {keys}.event"));
        refused(account, format!("DELETE FROM {keys}.event_head"));
        refused(account, format!("TRUNCATE TABLE {keys}.event"));
    }
    for account in [PROXY, AUDITOR] {
        refused(account, format!("INSERT INTO {keys}.event SELECT * FROM {keys}.event"));
        refused(account, format!("UPDATE {keys}.event_head SET seq = 0"));
    }
    for table in ["epoch", "keyset", "data_key", "wrapped_key", "event_head", "replica"] {
        refused(AUDITOR, format!("DELETE FROM {keys}.{table}"));
    }
    let other = policy(&[("other", false)]);
    let error = setup.proxy().init(setup.initialisation(&other)).await.unwrap_err();
    assert!(matches!(error, ControlError::Refused { code: 1142, .. }), "{error:?}");
}

async fn the_control_connection_verifies_the_server(kind: Kind) {
    let setup = Setup::new(kind).await;
    setup.init(&policy(&[("contact", false)])).await.unwrap();
    let epoch = async |tls: Tls| {
        let mut settings = key_store::settings(setup.server, PROXY);
        settings.tls = tls;
        KeyStore::new(Pool::new(&settings), &setup.schema).epoch().await
    };
    let verified = |ca_file, server_name: Option<&str>| Tls::Verified {
        ca_file,
        server_name: server_name.map(str::to_owned),
        identity: None,
    };
    let ca = Some(setup.server.ca.clone());
    assert_eq!(epoch(verified(ca.clone(), Some("localhost"))).await.unwrap(), 1);
    assert_eq!(epoch(Tls::Off).await.unwrap(), 1);
    let ca_file = setup.server.ca.clone();
    // Not an authority, and not the one that signed.
    let stranger = ca_file.with_file_name("server-cert.pem");
    assert_eq!(epoch(Tls::AuthorityOnly { ca_file }).await.unwrap(), 1);
    let stranger = Tls::AuthorityOnly { ca_file: stranger };
    for wrong in [verified(None, None), verified(ca, Some("db.example")), stranger] {
        let error = epoch(wrong.clone()).await.unwrap_err();
        assert!(matches!(error, ControlError::Untrusted { .. }), "{wrong:?}: {error:?}");
    }
}

async fn a_server_that_hangs_is_given_up_and_found_again(kind: Kind) {
    let setup = Setup::new(kind).await;
    setup.init(&policy(&[("contact", false)])).await.unwrap();
    let gate = Gate::start(setup.server.port).await;
    let mut settings = key_store::settings(setup.server, PROXY);
    settings.port = gate.port();
    settings.operation_timeout = Duration::from_secs(2);
    let store = KeyStore::new(Pool::new(&settings), &setup.schema);
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        waiting.spawn(async move { store.epoch().await });
    }
    for outcome in waiting.join_all().await {
        assert!(matches!(outcome, Err(ControlError::TimedOut { .. })), "{outcome:?}");
    }
    // None of the connections that were given up stands in the way of a new one.
    gate.open();
    let found = async {
        loop {
            if let Ok(epoch) = store.epoch().await {
                return epoch;
            }
        }
    };
    assert_eq!(bounded(found).await, 1);
}

async fn an_older_store_is_given_its_key_of_anchors(kind: Kind) {
    let setup = Setup::new(kind).await;
    let server = setup.server;
    let key = "audit_anchor_name";
    let schema = key_store::create(server);
    server.sql(&format!("ALTER TABLE {schema}.audit_anchor DROP KEY {key}"));
    let columns = format!(
        "SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = '{schema}' AND INDEX_NAME = '{key}'"
    );
    for run in ["adds it", "lets it be"] {
        server.sql(&key_store::script(&schema));
        assert_eq!(server.sql(&columns).trim(), "name,chain,seq", "the file {run}");
    }
    let plan = format!("EXPLAIN SELECT chain, MAX(seq) FROM {schema}.audit_anchor WHERE name = 'a' GROUP BY chain");
    assert!(server.sql(&plan).contains(key), "found by the name");
}
