//! Shadow mode: every statement is answered as without a proxy, what would become of it is reported, and where a column
//! holds or may hold envelopes nothing passes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mysql_async::prelude::Queryable;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Proxy, Tls};
use crate::support::server::Kind;
use crate::support::shop::{
    Answer, SHADOW, Shop, Who, bounded, policy, prepare, prepare_plain, prepared, refused, text,
};

on_each_server!(
    every_answer_is_the_servers_own_and_what_would_be_is_reported,
    it_ends_when_a_column_is_no_longer_plain,
    it_ends_when_a_column_holds_bytes,
    it_does_not_begin_where_envelopes_may_stand,
);

/// Statements on `customers` with a value in them; each would be relayed, rewritten, or refused for another reason.
const STATEMENTS: &[&str] = &[
    "INSERT INTO customers (id, name, phone, note) VALUES (1, 'Ana', '090-1234-5678', 'marked'), (2, 'Ben', '+81 90', NULL)",
    "SELECT * FROM customers ORDER BY phone",
    "SELECT id FROM customers WHERE phone LIKE '090%'",
    "SELECT id, phone FROM customers WHERE phone = '090-1234-5678'",
    "SELECT UPPER(note), COUNT(*) FROM customers GROUP BY note",
    "SELECT DISTINCT phone FROM customers",
    "SELECT nothing FROM customers",
    "SELECT id FROM customers WHERE id = 1 OR SLEEP(0) = 0",
    "UPDATE customers SET phone = CONCAT(phone, 'x') WHERE id = 2",
    "SELECT name FROM customers WHERE name = 'marked' AND 1 = 1",
    "SELEC 'marked' FROM customers",
    "DELETE FROM customers WHERE note REGEXP 'marked'",
    "SELECT COUNT(*) FROM customers",
];

/// An answer without what names the table.
fn comparable(answer: Answer) -> Answer {
    match answer {
        Answer::Refused { code, state, text } => {
            Answer::Refused { code, state, text: text.replace("people", "customers") }
        }
        other => other,
    }
}

async fn every_answer_is_the_servers_own_and_what_would_be_is_reported(kind: Kind) {
    let shop = Shop::open_in_shadow(Deployment::shared(kind));
    let (mut conn, mut direct) = (shop.connect(Who::Application).await, shop.direct().await);
    for sql in STATEMENTS {
        let expected = comparable(text(&mut direct, sql.replace("customers", "people")).await);
        assert_eq!(comparable(text(&mut conn, sql).await), expected, "{sql}");
        let expected = comparable(prepared(&mut direct, &sql.replace("customers", "people"), ()).await);
        assert_eq!(comparable(prepared(&mut conn, sql, ()).await), expected, "prepared: {sql}");
    }
    // What a role may not see is shown all the same, as it is without a proxy.
    let mut engineer = shop.connect(Who::Engineer).await;
    text(&mut engineer, "INSERT INTO customers (id, phone) VALUES (7, '090-1111-2222')").await;
    assert_eq!(text(&mut engineer, "SELECT phone FROM customers WHERE id = 7").await.cells().len(), 1);
    let stored = shop.deployment.server.sql(&format!("SELECT phone FROM `{}`.customers WHERE id = 7", shop.database));
    assert_eq!(stored, "090-1111-2222\n", "plaintext, as before");
    for _ in 0..2 {
        let found: Option<u32> =
            bounded(conn.exec_first("SELECT id FROM customers WHERE phone = ?", ("090-1111-2222",))).await.unwrap();
        assert_eq!(found, Some(7));
    }

    shop.proxy.signal(Signal::USR1);
    // The first one was written at the start.
    tokio::task::block_in_place(|| shop.proxy.wait_logged("shadow mode: report written", 2));
    let report = shop.proxy.folder().join("shadow.jsonl");
    assert_eq!(report.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&report).unwrap();
    for value in ["marked", "090-1", "+81", "Ana"] {
        assert!(!written.contains(value), "{value} is in the report:\n{written}");
    }
    let (head, lines) = read(&written);
    let executed = |verdict: &str| {
        let of_verdict = lines.iter().filter(|line| line["verdict"] == verdict);
        of_verdict.map(|line| line["executed"].as_u64().unwrap()).sum::<u64>()
    };
    for verdict in ["relayed", "rewritten", "refused"] {
        assert_eq!(head[verdict].as_u64().unwrap(), executed(verdict), "{head} {lines:#?}");
        assert!(executed(verdict) > 0, "{verdict}");
    }
    let metric = |name: &str| shop.proxy.metric(name);
    assert_eq!((metric("shadow_mode"), metric("shadow_refused_total")), (1.0, executed("refused") as f64));
    assert_eq!(metric("refusals_total"), 0.0);
    let looked_up =
        lines.iter().find(|line| line["text"].as_str().is_some_and(|text| text.ends_with("phone < <tag+1>)")));
    let looked_up = looked_up.expect("the look-up");
    assert_eq!(looked_up["index"], serde_json::json!([format!("{}.customers.phone", shop.database)]));
    assert_reasons(&shop, &report, &lines);

    // The end is reported, too.
    assert_eq!(text(&mut conn, "SELECT 'at', 'last'").await.cells().len(), 1);
    drop((conn, engineer));
    shop.proxy.signal(Signal::TERM);
    assert_eq!(tokio::task::block_in_place(|| shop.proxy.wait_end()), 0);
    let (end, _) = read(&std::fs::read_to_string(&report).unwrap());
    assert_eq!(end["relayed"].as_u64().unwrap(), head["relayed"].as_u64().unwrap() + 1);
}

fn read(report: &str) -> (Value, Vec<Value>) {
    let mut lines = report.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (lines.next().unwrap(), lines.collect())
}

/// The report, and the command that sums it up, give the reasons.
fn assert_reasons(shop: &Shop<'_>, report: &Path, lines: &[Value]) {
    let codes = |code: u16| lines.iter().filter(|line| line["error"]["code"] == code).count();
    assert!(codes(1235) >= 5 && codes(6444) >= 1 && codes(1143) >= 1, "{lines:#?}");
    let output =
        shop.deployment.command("AKIAPROXY").args(["explain", "--shadow"]).arg(report).output().expect("candado runs");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in ["1235: ORDER BY is not supported for protected column", "(firewall rule ", "SELECT command denied to"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let wrong = shop.deployment.command("AKIAPROXY").args(["explain", "--shadow", "nowhere"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(64));
}

async fn it_ends_when_a_column_is_no_longer_plain(kind: Kind) {
    let shop = Shop::open_in_shadow(Deployment::shared(kind));
    let mut conn = shop.connect(Who::Application).await;
    let before = bounded(conn.prep("SELECT id FROM orders WHERE id = ?")).await.unwrap();
    shop.move_to("plain");
    text(&mut conn, "INSERT INTO customers (phone) VALUES ('090-1234-5678')").await;
    assert_eq!(text(&mut conn, "SELECT phone FROM customers").await.cells().len(), 1);
    shop.move_to("encrypting");
    for sql in ["SELECT phone FROM customers", "INSERT INTO customers (phone) VALUES ('x')", "SELECT 1"] {
        assert_eq!(text(&mut conn, sql).await.error(), (1105, "HY000"), "{sql}");
    }
    let answer = bounded(conn.exec_drop(&before, (1,))).await;
    assert!(matches!(answer, Err(mysql_async::Error::Server(error)) if error.code == 1105));
    let (status, body) = shop.proxy.probe("/readyz");
    assert_eq!((status, body.as_str()), (503, "not ready: shadow mode, and a protected column is not plain\n"));
    shop.move_to("plain");
    assert!(matches!(text(&mut conn, "SELECT phone FROM customers").await, Answer::Rows { .. }));
}

async fn it_ends_when_a_column_holds_bytes(kind: Kind) {
    let shop = Shop::open_in_shadow(Deployment::shared(kind));
    let mut conn = shop.connect(Who::Application).await;
    // Past the proxy, which does not hear of it until it loads the catalog again.
    let alter = "ALTER TABLE customers MODIFY phone VARBINARY(256)";
    let insert = "INSERT INTO customers (phone) VALUES (x'C1FE1D01')";
    shop.deployment.server.sql(&format!("USE `{}`; {alter}; {insert}", shop.database));
    for sql in ["SELECT phone FROM customers", "SELECT id, phone AS p FROM customers c"] {
        refused(&mut conn, sql, 1143, "42000").await;
    }
    // Through the proxy, which then does.
    text(&mut conn, "ALTER TABLE customers MODIFY code VARBINARY(256)").await;
    assert_eq!(text(&mut conn, "SELECT id FROM customers").await.error(), (1105, "HY000"));
}

async fn it_does_not_begin_where_envelopes_may_stand(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let sealed = prepare(deployment);
    let encrypting = prepare_plain(deployment);
    deployment.server.sql(&format!(
        "INSERT INTO candado.column_stage (context, stage, changed_at) VALUES \
         ('{encrypting}.customers.phone', 'encrypting', NOW(6)); UPDATE candado.epoch SET epoch = epoch + 1"
    ));
    for (database, words) in [(sealed, "is no column of text"), (encrypting, "customers.phone is encrypting")] {
        let proxy = Proxy::start_with_limits(deployment, &policy(&database), Tls::Off, SHADOW);
        assert_eq!(tokio::task::block_in_place(|| proxy.wait_end()), 1);
        assert!(proxy.log().contains(words), "{words}");
        assert!(proxy.log().contains("no shadow mode: a protected column holds or may hold sealed values"));
        let config = proxy.folder().join("candado.toml");
        let output = deployment.command("AKIAPROXY").args(["check", "--config"]).arg(config).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("cannot begin: ") && said.contains(words), "{said}");
    }
}
