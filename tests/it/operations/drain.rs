//! SIGTERM: work under way ends within the drain time, everybody else is told at once, and the exit code says which of
//! the two it was.

use candado::wire::Capabilities;
use mysql_async::{Conn, Error};
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::{HeldLock, code, is_over, wait_running};
use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::raw::Raw;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, bounded, text};

on_each_server!(
    running_statements_and_open_transactions_end_well,
    what_outlasts_the_drain_time_is_cut_off,
    a_second_signal_ends_at_once,
);

/// Starts a statement that runs until the lock is given back, on a connection of its own.
async fn start_waiting(shop: &Shop<'_>, lock: &HeldLock) -> JoinSet<Answer> {
    let (mut conn, sql) = (shop.connect(Who::Application).await, lock.statement());
    let mut running = JoinSet::new();
    running.spawn(async move { text(&mut conn, sql).await });
    wait_running(shop.deployment.server, &lock.statement());
    running
}

fn rows(shop: &Shop<'_>) -> String {
    shop.deployment.server.sql(&format!("SELECT COUNT(*) FROM `{}`.customers", shop.database))
}

async fn running_statements_and_open_transactions_end_well(kind: Kind) {
    let shop = Shop::open(kind);
    let mut refused = open_by_a_refused_result(&shop).await;
    let lock = HeldLock::take(&shop).await;
    let mut running = start_waiting(&shop, &lock).await;
    let mut transaction = shop.connect(Who::Application).await;
    for sql in ["BEGIN", "INSERT INTO customers (phone) VALUES ('1')"] {
        assert!(matches!(text(&mut transaction, sql).await, Answer::Done { .. }), "{sql}");
    }
    let mut idle = Raw::login(shop.proxy.port, Capabilities::DEPRECATE_EOF);

    shop.proxy.signal(Signal::TERM);
    assert_eq!(code(&idle.read().expect("a word to the idle client").1), 4031);
    assert!(idle.read().is_none(), "and its end");
    match shop.try_connect(Who::Application).await {
        Err(Error::Server(error)) => assert_eq!(error.code, 1053, "{error}"),
        other => panic!("a new client gets {other:?}"),
    }
    assert_eq!(shop.proxy.probe("/readyz"), (503, "not ready: draining\n".to_owned()));
    assert_eq!(shop.proxy.probe("/livez").0, 200);

    assert!(matches!(text(&mut refused, "COMMIT").await, Answer::Done { .. }), "its transaction was open, too");
    for sql in ["INSERT INTO customers (phone) VALUES ('2')", "COMMIT"] {
        assert!(matches!(text(&mut transaction, sql).await, Answer::Done { .. }), "{sql}");
    }
    let after = text(&mut transaction, "SELECT 1").await;
    assert!(is_over(&after), "the transaction is done, and so is the client: {after:?}");
    lock.give_back().await;
    let answer = bounded(running.join_next()).await.unwrap().unwrap();
    assert_eq!(answer.cells(), [[Some("1".to_owned())]], "the statement that ran has its answer");
    assert_eq!(tokio::task::block_in_place(|| shop.proxy.wait_end()), 0);
    assert_eq!(rows(&shop), "3\n");
}

/// A connection whose transaction began with a result that was refused in its midst: only the end of what was dropped
/// says that it is open.
async fn open_by_a_refused_result(shop: &Shop<'_>) -> Conn {
    let mut conn = shop.connect(Who::Application).await;
    for sql in ["INSERT INTO customers (phone, address) VALUES ('0', 'somewhere')", "SET autocommit = 0"] {
        assert!(matches!(text(&mut conn, sql).await, Answer::Done { .. }), "{sql}");
    }
    shop.deployment.server.sql(&format!("UPDATE `{}`.customers SET address = phone", shop.database));
    assert_eq!(text(&mut conn, "SELECT address FROM customers").await.error().0, 1105);
    conn
}

async fn what_outlasts_the_drain_time_is_cut_off(kind: Kind) {
    let shop = Shop::open_with_limits(Deployment::shared(kind), "drain_timeout_s = 1");
    let lock = HeldLock::take(&shop).await;
    let mut running = start_waiting(&shop, &lock).await;
    let mut transaction = shop.connect(Who::Application).await;
    for sql in ["BEGIN", "INSERT INTO customers (phone) VALUES ('1')"] {
        assert!(matches!(text(&mut transaction, sql).await, Answer::Done { .. }), "{sql}");
    }
    shop.proxy.signal(Signal::TERM);
    assert_eq!(bounded(running.join_next()).await.unwrap().unwrap(), Answer::Lost);
    assert_eq!(tokio::task::block_in_place(|| shop.proxy.wait_end()), 1);
    assert_eq!(text(&mut transaction, "COMMIT").await, Answer::Lost);
    lock.give_back().await;
    assert_eq!(rows(&shop), "0\n", "nobody has committed");
    let log = shop.proxy.log();
    assert!(log.contains("the drain time is over: connections that are still busy are closed"), "{log}");
    assert!(log.contains("candado: error: ended, but clients that were still busy"), "{log}");
}

async fn a_second_signal_ends_at_once(kind: Kind) {
    let shop = Shop::open(kind);
    let lock = HeldLock::take(&shop).await;
    let mut running = start_waiting(&shop, &lock).await;
    let mut idle = Raw::login(shop.proxy.port, Capabilities::DEPRECATE_EOF);
    shop.proxy.signal(Signal::INT);
    assert_eq!(code(&idle.read().expect("the first signal has been heard").1), 4031);
    shop.proxy.signal(Signal::INT);
    assert_eq!(tokio::task::block_in_place(|| shop.proxy.wait_end()), 1);
    assert_eq!(bounded(running.join_next()).await.unwrap().unwrap(), Answer::Lost);
    lock.give_back().await;
    let log = shop.proxy.log();
    assert!(log.contains("candado: error: ended at once by a second signal"), "{log}");
}
