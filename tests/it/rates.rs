//! Rates of errors and unknown statements, and what is done when they are too many, in front of a real server.

use mysql_async::Conn;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, assert_in_step, bounded, options, policy, refused, text};

on_each_server!(
    a_probing_client_is_quarantined_and_nobody_else,
    a_probing_client_is_cut_off,
    who_is_only_logged_or_delayed_is_served,
    unknown_statements_are_counted_once_each,
);

fn with_rates(database: &str, rates: &str) -> String {
    format!("{}[rates]\n{rates}", policy(database))
}

/// What probing provokes, each with another code.
async fn probe(conn: &mut Conn, times: usize) {
    let probes = [
        ("SELECT id FROM orders WHERE", 1064),
        ("SELECT nothing FROM orders", 1054),
        ("SELECT id, remark FROM orders UNION SELECT id FROM orders", 1222),
    ];
    for (sql, code) in probes.into_iter().cycle().take(times) {
        let answer = text(conn, sql).await;
        assert!(matches!(answer, Answer::Refused { code: found, .. } if found == code), "{sql}: {answer:?}");
    }
}

/// A connection of the application that comes from another address of this machine, through a tunnel that must be kept.
async fn from_elsewhere(shop: &Shop<'_>) -> (Conn, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = ([127, 0, 0, 1], shop.proxy.port).into();
    let mut tunnel = JoinSet::new();
    tunnel.spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        let mut proxy = socket.connect(proxy).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut client, &mut proxy).await);
    });
    let account = options("127.0.0.1", port, &shop.database).user(Some(shop.account(Who::Application)));
    (bounded(Conn::new(account.pass(Some(SECRET)))).await.unwrap(), tunnel)
}

fn logged(shop: &Shop<'_>) -> Vec<serde_json::Value> {
    shop.proxy.events().into_iter().filter(|event| event["target"] == "candado::rates").collect()
}

async fn a_probing_client_is_quarantined_and_nobody_else(kind: Kind) {
    let rates = "errors_per_minute = 5\nreaction = \"quarantine\"\nquarantine_s = 3600\n";
    let shop = Shop::open_as(Deployment::shared(kind), |database| with_rates(database, rates));
    let (mut conn, mut other) = (shop.connect(Who::Application).await, shop.connect(Who::Application).await);
    probe(&mut conn, 5).await;
    for _ in 0..3 {
        // No error of a probe.
        let answer = text(&mut conn, "SELECT id FROM no_such_table").await;
        assert!(matches!(answer, Answer::Refused { code: 1146, .. }), "{answer:?}");
    }
    assert_in_step(&mut conn, "as many errors as are allowed").await;
    assert!(logged(&shop).is_empty());
    probe(&mut conn, 1).await;
    let mut later = shop.connect(Who::Application).await;
    for conn in [&mut conn, &mut other, &mut later] {
        let answer = text(conn, "SELECT 1").await;
        assert!(matches!(answer, Answer::Refused { code: 6444, .. }), "{answer:?}");
    }
    let events = logged(&shop);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["reaction"], &events[0]["sign"]), (&"quarantine".into(), &"errors".into()));
    let mut support = shop.connect(Who::Support).await;
    assert_in_step(&mut support, "another account at the same address").await;
    let (mut elsewhere, _tunnel) = from_elsewhere(&shop).await;
    assert_in_step(&mut elsewhere, "the same account at another address").await;
}

async fn a_probing_client_is_cut_off(kind: Kind) {
    let rates = "errors_per_minute = 2\nreaction = \"close\"\n";
    let shop = Shop::open_as(Deployment::shared(kind), |database| with_rates(database, rates));
    let mut conn = shop.connect(Who::Application).await;
    probe(&mut conn, 3).await;
    let answer = text(&mut conn, "SELECT 1").await;
    assert!(matches!(answer, Answer::Refused { code: 6444, .. }), "{answer:?}");
    assert_eq!(text(&mut conn, "SELECT 1").await, Answer::Lost);
    assert_in_step(&mut shop.connect(Who::Support).await, "another account").await;
}

async fn who_is_only_logged_or_delayed_is_served(kind: Kind) {
    for (reaction, written) in [("log", ""), ("delay", "reaction = \"delay\"\ndelay_ms = 1\n")] {
        let rates = format!("errors_per_minute = 2\n{written}");
        let shop = Shop::open_as(Deployment::shared(kind), |database| with_rates(database, &rates));
        let mut conn = shop.connect(Who::Application).await;
        probe(&mut conn, 9).await;
        assert_in_step(&mut conn, "more errors than are allowed").await;
        let events = logged(&shop);
        assert_eq!(events.len(), 1, "said once in a minute: {events:?}");
        assert_eq!(events[0]["reaction"], reaction);
    }
}

async fn unknown_statements_are_counted_once_each(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), |database| {
        let account = format!("user = \"{database}_app\"\nrole = \"application\"\n");
        let rates = "novel_per_minute = 2\nreaction = \"refuse\"\n";
        with_rates(database, rates).replace(&account, &format!("{account}firewall = \"protect\"\n"))
    });
    let mut conn = shop.connect(Who::Application).await;
    for sql in ["SELECT 1", "SELECT 1, 1", "SELECT 1", "SELECT 1, 1", "SELECT 1"] {
        let answer = text(&mut conn, sql).await;
        assert!(matches!(answer, Answer::Refused { code: 6444, .. }), "{answer:?}");
    }
    let answer = text(&mut conn, "BEGIN").await;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    assert!(logged(&shop).is_empty());
    text(&mut conn, "SELECT 1, 1, 1").await;
    assert_eq!(logged(&shop)[0]["sign"], "unknown statements");
    let answer = text(&mut conn, "COMMIT").await;
    assert!(matches!(answer, Answer::Refused { code: 6444, .. }), "{answer:?}");
    refused(&mut shop.connect(Who::Engineer).await, "SELECT phone FROM customers", 1143, "42000").await;
}
