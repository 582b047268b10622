//! Time-outs and the connection limit: a client that holds something without using it loses it, and nobody else does.
//!
//! The time-outs are short, and long enough for a busy machine to do in them what the tests' other clients do.

use std::io::Read;

use candado::wire::Capabilities;
use candado::wire::response::{Response, RowFormat};
use mysql_async::Error;
use tokio::task::JoinSet;

use super::{HeldLock, code, is_running, silent, wait_running};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, wait_until};
use crate::support::raw::{Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, bounded, text};

on_each_server!(
    a_silent_client_is_told_and_a_waiting_one_is_not,
    a_client_that_never_logs_in_is_cut_off,
    a_client_that_takes_no_answer_is_cut_off_with_its_server_connection,
    one_connection_too_many_is_told,
    texts_of_prepared_statements_are_bounded,
);

/// Waits until the log says that a connection ended for one of these reasons.
fn wait_reason(shop: &Shop<'_>, reasons: &[&str]) {
    let is_one = |event: &serde_json::Value| reasons.iter().any(|reason| event["reason"] == *reason);
    tokio::task::block_in_place(|| wait_until("the reason is logged", || shop.proxy.events().iter().any(is_one)));
}

async fn a_silent_client_is_told_and_a_waiting_one_is_not(kind: Kind) {
    let shop = Shop::open_with_limits(Deployment::shared(kind), "idle_timeout_s = 2");
    let lock = HeldLock::take(&shop).await;
    let (mut conn, sql) = (shop.connect(Who::Application).await, lock.statement());
    let mut running = JoinSet::new();
    running.spawn(async move { text(&mut conn, sql).await });
    wait_running(shop.deployment.server, &lock.statement());

    // Logged in after the other's statement began: when its time is over, so is the other's, if that one's ran.
    let mut idle = Raw::login(shop.proxy.port, Capabilities::DEPRECATE_EOF);
    assert_eq!(code(&idle.read().expect("a word to the silent client").1), 4031);
    assert!(idle.read().is_none());
    lock.give_back().await;
    let answer = bounded(running.join_next()).await.unwrap().unwrap();
    assert_eq!(answer.cells(), [[Some("1".to_owned())]]);
}

async fn a_client_that_never_logs_in_is_cut_off(kind: Kind) {
    let shop = Shop::open_with_limits(Deployment::shared(kind), "login_timeout_s = 3");
    let mut conn = shop.connect(Who::Application).await;
    let mut stream = silent(shop.proxy.port);
    let mut said = Vec::new();
    // It gets the greeting and then the end.
    stream.read_to_end(&mut said).expect("an end within the time-out");
    assert_eq!(said.get(4), Some(&10), "a greeting: {said:?}");
    wait_reason(&shop, &["login timed out"]);
    assert_in_step(&mut conn, "another client's time-out").await;
}

async fn a_client_that_takes_no_answer_is_cut_off_with_its_server_connection(kind: Kind) {
    let shop = Shop::open_with_limits(Deployment::shared(kind), "write_timeout_s = 2");
    let (server, database) = (shop.deployment.server, &shop.database);
    server.sql(&format!("INSERT INTO `{database}`.orders (customer) VALUES (1), (2), (3), (4), (5), (6), (7), (8)"));
    // Far more than fits into the buffers of four sockets.
    let sql = format!("SELECT REPEAT('x', 600000) FROM `{database}`.orders a, `{database}`.orders b");
    let mut query = vec![3];
    query.extend_from_slice(sql.as_bytes());

    let mut reader = Raw::login(shop.proxy.port, Capabilities::DEPRECATE_EOF);
    reader.send(&query, 0);
    let packets = reader.answer(Response::Header(RowFormat::Text));
    assert_eq!((packets.len(), error_code(&packets)), (1 + 1 + 64 + 1, 0), "who reads gets it all");

    let mut stalled = Raw::login(shop.proxy.port, Capabilities::DEPRECATE_EOF);
    stalled.send(&query, 0);
    // The kernel has the same limit for bytes that it could not deliver, and may be first.
    wait_reason(&shop, &["write stalled", "client connection failed"]);
    tokio::task::block_in_place(|| wait_until("the server connection ends", || !is_running(server, &sql)));
    assert_eq!(error_code(&reader.query("SELECT 1")), 0, "the other client stays");
}

async fn one_connection_too_many_is_told(kind: Kind) {
    let shop = Shop::open_with_limits(Deployment::shared(kind), "connections_max = 2");
    let (mut first, second) = (shop.connect(Who::Application).await, shop.connect(Who::Support).await);
    match shop.try_connect(Who::Application).await {
        Err(Error::Server(error)) => assert_eq!(error.code, 1040, "{error}"),
        other => panic!("{other:?}"),
    }
    assert_in_step(&mut first, "a refused client").await;
    bounded(second.disconnect()).await.unwrap();
    // The place is free when the proxy has seen the end, not when the client has said it.
    let free = || shop.proxy.probe("/metrics").1.contains("candado_connections 1\n");
    tokio::task::block_in_place(|| wait_until("a place is free", free));
    let mut third = shop.connect(Who::Application).await;
    assert!(matches!(text(&mut third, "SELECT 1").await, Answer::Rows { .. }));
}

async fn texts_of_prepared_statements_are_bounded(kind: Kind) {
    let shop = Shop::open_with_limits(Deployment::shared(kind), "packet_octets_max = 2_097_152");
    let mut client = Raw::login(shop.proxy.port, Capabilities::DEPRECATE_EOF);
    let sql = format!("SELECT '{}' AS a", "x".repeat(1 << 20));
    let mut made = Vec::new();
    let refused = loop {
        let (id, packets) = client.prepare(&sql);
        match error_code(&packets) {
            0 => made.push(id),
            code => break code,
        }
        assert!(made.len() < 16, "16 MiB and a bit are more than 16 MiB");
    };
    assert_eq!((refused, made.len()), (1461, 15));
    assert_eq!(error_code(&client.prepare("SELECT 1").1), 0, "a short one still fits");
    client.statement(0x19, made[0], &[]);
    assert_eq!(error_code(&client.prepare(&sql).1), 0, "what was closed does not count");
}
