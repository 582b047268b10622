//! A stored value under a key that the ring does not know: the row opens as soon as the key is there, and is refused in
//! time if it is not. The data plane runs inside the test, which plays the control plane.

use std::sync::Arc;

use candado::control::{CatalogLoader, KeyTask};
use candado::crypto::{KeyId, KeyPurpose};
use candado::keys::KeyRing;
use candado::policy::{Policy, file};
use candado::proxy::{KeysWanted, Snapshot};
use mysql_async::{Conn, OptsBuilder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::data_plane::{DataPlane, settings};
use crate::support::key_store::{PROXY, key_store, pool};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, bounded, policy, prepared, text};

on_each_server!(a_row_under_an_unknown_key_opens_when_the_key_is_there);

/// The ring of a deployment's newest keys.
async fn ring(deployment: &Deployment, policy: &Arc<Policy>) -> Arc<KeyRing> {
    let (keep, mut rings) = watch::channel(None);
    let (_policies, receiver) = watch::channel(policy.clone());
    let publish = move |ring: Option<&Arc<KeyRing>>| drop(keep.send_replace(ring.cloned()));
    let store = key_store(deployment.server, PROXY, "candado");
    let task = KeyTask::new(store, Arc::new(deployment.key_opener()), receiver, publish).with_instance("not serving");
    let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(task.run(shutdown.clone()));
    let ring = bounded(rings.wait_for(Option::is_some)).await.unwrap().clone().unwrap();
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    deployment.server.sql("DELETE FROM candado.replica WHERE name = 'not serving'");
    ring
}

async fn a_row_under_an_unknown_key_opens_when_the_key_is_there(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let parsed = Arc::new(file::parse("policy.toml", &policy(&shop.database), 1).unwrap());
    let catalog = Arc::new(CatalogLoader::new(pool(deployment.server, PROXY)).load(1).await.unwrap());
    let snapshot = |ring: &Arc<KeyRing>, policy: &Arc<Policy>| Snapshot {
        profiles: Arc::default(),
        policy: policy.clone(),
        catalog: catalog.clone(),
        ring: Some(ring.clone()),
    };
    let old = ring(&deployment, &parsed).await;
    let mut writer = shop.connect(Who::Application).await;
    for id in 1..=3 {
        if id == 2 {
            let key_file = deployment.key_maker();
            deployment.rotation(&key_file).rotate(KEYSET, KeyPurpose::Data).await;
        }
        let sql = format!("INSERT INTO customers (id, code, note) VALUES ({id}, 'c{id}', 'note {id}')");
        assert!(matches!(text(&mut writer, sql).await, Answer::Done { .. }));
    }
    let new = ring(&deployment, &parsed).await;
    assert_ne!(old.version(), new.version());

    let (server, first) = (deployment.server, snapshot(&old, &parsed));
    // It has a runtime of its own.
    let plane = tokio::task::spawn_blocking(move || DataPlane::start_with(settings(server), first));
    let mut plane = plane.await.unwrap();
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(plane.port)
        .user(Some("root"))
        .db_name(Some(shop.database.clone()))
        .prefer_socket(false);
    let mut conn = bounded(Conn::new(options)).await.unwrap();
    const ALL: &str = "SELECT id, note FROM customers ORDER BY id";
    let all: Vec<_> = (1..=3).map(|id| vec![Some(id.to_string()), Some(format!("note {id}"))]).collect();
    assert_eq!(text(&mut conn, "SELECT note FROM customers WHERE id = 1").await.cells().len(), 1);
    assert!(plane.key_requests.try_recv().is_err(), "a known key is not asked for");

    // Not found: the row is refused, and no bytes of it went out.
    let (answer, wanted) = tokio::join!(text(&mut conn, ALL), async {
        let request = bounded(plane.key_requests.recv()).await.unwrap();
        request.wanted
    });
    assert_eq!(answer.error(), (3185, "HY000"));
    let kid = KeyId::new(u32::from_str_radix(&shop.stored("code", 2)[48..56], 16).unwrap()).unwrap();
    assert_eq!(wanted, KeysWanted::Key(kid));
    // No answer at all: refused when the time is over.
    let answer = tokio::join!(text(&mut conn, ALL), bounded(plane.key_requests.recv()));
    assert_eq!(answer.0.error(), (3185, "HY000"));
    drop(answer.1);
    // A ring for another policy is of no use for rows that were planned under this one.
    let other = Arc::new(file::parse("policy.toml", &policy(&shop.database), 2).unwrap());
    let answer = tokio::join!(text(&mut conn, ALL), async {
        let request = bounded(plane.key_requests.recv()).await.unwrap();
        plane.snapshot.store(Arc::new(snapshot(&new, &other)));
        request.done.send(()).unwrap();
    });
    assert_eq!(answer.0.error(), (3185, "HY000"));

    // Found: every row opens, over both protocols.
    for over_prepared in [false, true] {
        plane.snapshot.store(Arc::new(snapshot(&old, &parsed)));
        let reading =
            async { if over_prepared { prepared(&mut conn, ALL, ()).await } else { text(&mut conn, ALL).await } };
        let (answer, ()) = tokio::join!(reading, async {
            let request = bounded(plane.key_requests.recv()).await.unwrap();
            assert_eq!(request.wanted, KeysWanted::Key(kid));
            plane.snapshot.store(Arc::new(snapshot(&new, &parsed)));
            request.done.send(()).unwrap();
        });
        assert_eq!(answer.cells(), all, "prepared: {over_prepared}");
    }
    assert!(plane.key_requests.try_recv().is_err(), "one question for each statement");
    assert_eq!(plane.registry.totals().unknown_keys, 5);
}
