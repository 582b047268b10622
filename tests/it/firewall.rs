//! The statement firewall in front of a real server: what it refuses, what it lets pass, and what it leaves in the log.

use candado::firewall::rules;

use crate::support::on_each_server;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, prepared, refused, refused_prepared, text};

on_each_server!(
    every_rule_refuses_its_examples,
    look_alikes_pass,
    the_question_of_mysqls_own_client_is_the_servers,
    an_attack_in_a_value_is_data,
    connection_and_transaction_stay,
    events_name_rule_and_digest_and_no_value,
);

/// Refused before any rule is asked.
const UNREADABLE: &[(&str, &str)] = &[
    ("parse", "SELECT 'unclosed FROM orders"),
    ("parse", "SELECT id FROM orders WHERE remark = 'a\" OR 1 = 1"),
    ("stacked", "SELECT 1; DROP TABLE orders"),
    ("stacked", "SELECT id FROM orders WHERE id = 1; SELECT 2"),
];

fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_rules = rules::ALL.iter().flat_map(|rule| rule.refuses.iter().map(|sql| (rule.id.0, *sql)));
    UNREADABLE.iter().copied().chain(of_rules)
}

async fn every_rule_refuses_its_examples(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    for (_, sql) in examples() {
        refused(&mut conn, sql, 6444, "28000").await;
        refused_prepared(&mut conn, sql, (), 6444, "28000").await;
        // The same a second time: the verdict is kept with the plan.
        refused(&mut conn, sql, 6444, "28000").await;
    }
    let answer = text(&mut conn, "SELECT LOAD_FILE('/etc/passwd')").await;
    let Answer::Refused { text, .. } = &answer else { panic!("{answer:?}") };
    assert!(text.starts_with("Access denied: statement refused by policy"), "{text}");
    for told in ["file", "FILE", "passwd", "rule"] {
        assert!(!text.contains(told), "the attacker is told: {text}");
    }
}

async fn look_alikes_pass(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    for sql in rules::ALL.iter().flat_map(|rule| rule.passes) {
        // Most name tables that do not exist: the server says so, which is its right.
        let answer = text(&mut conn, sql).await;
        assert!(!matches!(answer, Answer::Refused { code: 6444, .. } | Answer::Lost), "{sql}: {answer:?}");
        assert_in_step(&mut conn, sql).await;
    }
    for sql in [
        "SELECT id FROM orders WHERE 1 = 1 AND id = 2",
        "SELECT id FROM orders WHERE remark = 'x' -- AND id = 1",
        "SELECT COUNT(*) FROM orders /* SLEEP(5) */",
        "SELECT id FROM customers WHERE phone = '1 OR 1=1' UNION ALL SELECT id FROM orders",
    ] {
        let answer = text(&mut conn, sql).await;
        assert!(matches!(answer, Answer::Rows { .. } | Answer::Refused { code: 1235, .. }), "{sql}: {answer:?}");
    }
}

/// `mysql` sends it at each start. It is no attack, and must not look like one.
async fn the_question_of_mysqls_own_client_is_the_servers(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    // An unfinished dollar quote, and where there are none, a name.
    let (own, reads_quotes) = match kind {
        Kind::MySql => ((1064, "42000"), true),
        Kind::MariaDb => ((1054, "42S22"), false),
    };
    refused(&mut conn, "select $$", own.0, own.1).await;
    assert_eq!(events(&shop).len(), 0);
    if reads_quotes {
        refused(&mut conn, "select $$ FROM customers", 6444, "28000").await;
        refused(&mut conn, "SELECT $$", 6444, "28000").await;
        assert_eq!(events(&shop).len(), 2);
    }
    assert_in_step(&mut conn, "select $$").await;
}

async fn an_attack_in_a_value_is_data(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    for (id, (_, attack)) in (1..).zip(examples()) {
        let literal = attack.replace('\\', "\\\\").replace('\'', "''");
        let answer = text(&mut conn, format!("INSERT INTO customers (id, note) VALUES ({id}, '{literal}')")).await;
        assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{attack}: {answer:?}");
        let answer = prepared(&mut conn, "UPDATE customers SET address = ? WHERE id = ?", (attack, id)).await;
        assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{attack}: {answer:?}");
        let read = text(&mut conn, format!("SELECT note, address FROM customers WHERE id = {id}")).await;
        assert_eq!(read.cells(), [[Some(attack.to_owned()), Some(attack.to_owned())]]);
    }
}

async fn connection_and_transaction_stay(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    let same = text(&mut conn, "SELECT CONNECTION_ID()").await;
    text(&mut conn, "BEGIN").await;
    text(&mut conn, "INSERT INTO orders (id, remark) VALUES (1, 'in the transaction')").await;
    text(&mut conn, "INSERT INTO customers (id, code) VALUES (1, 'c')").await;
    for (_, sql) in examples() {
        refused(&mut conn, sql, 6444, "28000").await;
    }
    assert_eq!(text(&mut conn, "SELECT code FROM customers").await.cells(), [[Some("c".to_owned())]]);
    assert_eq!(text(&mut conn, "SELECT CONNECTION_ID()").await, same);
    text(&mut conn, "ROLLBACK").await;
    let left = text(&mut conn, "SELECT (SELECT COUNT(*) FROM orders), COUNT(*) FROM customers").await;
    assert_eq!(left.cells(), [["0", "0"].map(|text| Some(text.to_owned()))]);
}

async fn events_name_rule_and_digest_and_no_value(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    for (rule, sql) in examples() {
        let before = events(&shop).len();
        refused(&mut conn, sql, 6444, "28000").await;
        let after = events(&shop);
        assert_eq!(after.len(), before + 1, "one event for {sql}");
        let event = &after[before];
        assert_eq!(event["level"], "WARN", "{event}");
        assert!(event["connection"].is_number(), "{event}");
        // An example may meet another rule first, as long as one of its own reaches it; the unreadable ones may not.
        let found = event["rule"].as_str().unwrap();
        assert!(found == rule || rules::ALL.iter().any(|rule| rule.id.0 == found), "{sql}: {event}");
        if rule != "parse" {
            assert!(event["digest"].is_string(), "{sql}: {event}");
        }
    }
    let log = shop.proxy.log();
    for value in ["<?php", "/var/www", "/etc/passwd", "2f6574632f", "migrations", "5000000", "unclosed"] {
        assert!(!log.contains(value), "{value} stands in the log");
    }
    // The search can find something.
    assert!(log.contains("firewall event"));
}

/// Lines of the firewall in the proxy's log.
fn events(shop: &Shop<'_>) -> Vec<serde_json::Value> {
    shop.proxy.events().into_iter().filter(|event| event["target"] == "candado::firewall").collect()
}
