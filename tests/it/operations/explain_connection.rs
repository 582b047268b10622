//! `EXPLAIN CANDADO` over a connection: it says what the command says, sends nothing to the server, shows no value, and
//! tells a role that may not see a column no more than the refusal does.

use mysql_async::Conn;
use serde_json::Value;

use super::explain::{STATEMENTS, explain, said};
use crate::support::on_each_server;
use crate::support::proxy::Tls;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, policy, prepared, refused, refused_prepared, text};

on_each_server!(
    it_says_what_the_command_says,
    nothing_of_it_goes_to_the_server,
    a_denied_role_hears_the_refusal_and_no_more,
    it_is_refused_where_no_answer_can_be_made,
    the_session_stays_as_it_is,
);

type Parts = Vec<(String, String)>;

/// The parts of an answer.
async fn parts(conn: &mut Conn, sql: &str) -> Parts {
    let answer = text(conn, format!("EXPLAIN CANDADO {sql}")).await;
    let Answer::Rows { columns, .. } = &answer else { panic!("{sql}: {answer:?}") };
    assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["part", "text"]);
    let pair = |row: Vec<Option<String>>| <[Option<String>; 2]>::try_from(row).unwrap().map(Option::unwrap).into();
    answer.cells().into_iter().map(pair).collect()
}

fn part(name: &str, text: impl Into<String>) -> (String, String) {
    (name.to_owned(), text.into())
}

/// What the command says of a statement, as parts.
fn commands_parts(shop: &Shop<'_>, sql: &str) -> Parts {
    let folder = tempfile::tempdir().unwrap();
    let config = shop.deployment.write(folder.path(), &policy(&shop.database), Tls::Off);
    let account = format!("{}@%", shop.account(Who::Application));
    let options = ["--json", "--database", &shop.database, "--account", &account, sql];
    let output = explain(shop.deployment, &config, &options, "");
    let document: Value = serde_json::from_str(said(&output.stdout)).unwrap();
    let statement = &document["statements"][0];
    let mut parts = vec![part("outcome", statement["verdict"].as_str().unwrap())];
    for (key, name) in [("text", "sent"), ("seals", "seals"), ("index", "index"), ("opens", "opens")] {
        match &statement[key] {
            Value::String(text) => parts.push(part(name, text)),
            Value::Array(columns) => {
                let columns: Vec<_> = columns.iter().map(|column| column.as_str().unwrap()).collect();
                parts.push(part(name, columns.join(", ")));
            }
            _ => {}
        }
    }
    if let Some(error) = statement["error"].as_object() {
        let string = |key: &str| error.get(key).and_then(Value::as_str);
        parts.push(part("error", format!("{} ({})", error["code"], string("sqlstate").unwrap())));
        // The command alone names the rule.
        let text = string("text").unwrap().split(" (firewall rule").next().unwrap();
        let reason = string("remedy").map_or(text, |remedy| text.strip_suffix(&format!("; {remedy}")).unwrap());
        parts.push(part("reason", reason));
        parts.extend(string("remedy").map(|remedy| part("remedy", remedy)));
    }
    parts
}

fn statements() -> impl Iterator<Item = &'static str> {
    STATEMENTS.split(";\n").filter(|sql| !sql.trim().is_empty())
}

async fn it_says_what_the_command_says(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    let mut outcomes = std::collections::BTreeSet::new();
    for sql in statements() {
        let found = parts(&mut conn, sql).await;
        assert_eq!(found, commands_parts(&shop, sql), "{sql}");
        assert!(found.iter().all(|(_, text)| !text.contains("secret")), "{found:?}");
        outcomes.insert(found[0].1.clone());
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["refused", "relayed", "rewritten"]);
    let sorted = parts(&mut conn, "SELECT id FROM customers ORDER BY phone").await;
    let names: Vec<_> = sorted.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(names, ["outcome", "error", "reason", "remedy"], "{sorted:?}");
    assert_in_step(&mut conn, "EXPLAIN CANDADO").await;
}

/// Statements that the server has had of this connection.
async fn questions(conn: &mut Conn) -> u64 {
    let cells = text(conn, "SHOW SESSION STATUS LIKE 'Questions'").await.cells();
    cells[0][1].as_ref().unwrap().parse().unwrap()
}

async fn nothing_of_it_goes_to_the_server(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    let before = questions(&mut conn).await;
    for sql in statements() {
        parts(&mut conn, sql).await;
    }
    for sql in [
        "/* who */ explain candado INSERT INTO customers (note) VALUES ('secret')",
        "EXPLAIN CANDADO INSERT INTO customers (note) VALUES ('never closed)",
        "EXPLAIN CANDADO DROP TABLE customers",
        "EXPLAIN CANDADO SELECT 'secret'; DROP TABLE customers",
        "EXPLAIN CANDADO nonsense",
        "EXPLAIN CANDADO EXPLAIN CANDADO SELECT 'secret'",
    ] {
        let answer = text(&mut conn, sql).await;
        assert!(matches!(answer, Answer::Rows { .. }), "{sql}: {answer:?}");
    }
    assert_eq!(questions(&mut conn).await, before + 1);
    assert_eq!(text(&mut conn, "SELECT COUNT(*) FROM customers").await.cells(), [[Some("0".to_owned())]]);
    // A table of that name is described by the server.
    text(&mut conn, "CREATE TABLE candado (phone INT)").await;
    for sql in ["EXPLAIN candado", "DESCRIBE candado phone", "EXPLAIN `candado` phone"] {
        assert_eq!(text(&mut conn, sql).await.cells()[0][0].as_deref(), Some("phone"), "{sql}");
    }
}

async fn a_denied_role_hears_the_refusal_and_no_more(kind: Kind) {
    let shop = Shop::open(kind);
    for (who, sql) in [
        (Who::Engineer, "SELECT phone FROM customers"),
        (Who::Engineer, "SELECT id FROM customers WHERE phone = '090-1234-5678'"),
        (Who::Engineer, "SELECT id FROM customers ORDER BY phone"),
        (Who::Engineer, "INSERT INTO customers (note) VALUES ('x')"),
        (Who::Support, "SELECT phone, address FROM customers"),
        (Who::Nobody, "SELECT * FROM customers"),
    ] {
        let mut conn = shop.connect(who).await;
        let Answer::Refused { code, state, text } = text(&mut conn, sql).await else { panic!("{sql} is allowed") };
        let found = parts(&mut conn, sql).await;
        let said = text.split(" (ref ").next().unwrap();
        let (reason, remedy) = said.split_once("; ").map_or((said, None), |(reason, remedy)| (reason, Some(remedy)));
        let mut expected =
            vec![part("outcome", "refused"), part("error", format!("{code} ({state})")), part("reason", reason)];
        expected.extend(remedy.map(|remedy| part("remedy", remedy)));
        assert_eq!(found, expected, "{sql}");
    }
    // What it may do is explained to it.
    let mut conn = shop.connect(Who::Engineer).await;
    assert_eq!(parts(&mut conn, "SELECT id FROM customers").await[0].1, "relayed");
}

async fn it_is_refused_where_no_answer_can_be_made(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    refused_prepared(&mut conn, "EXPLAIN CANDADO SELECT phone FROM customers", (), 1235, "42000").await;
    let asked = prepared(&mut conn, "EXPLAIN CANDADO SELECT id FROM customers WHERE phone = ?", ("x",)).await;
    let Answer::Refused { text: said, .. } = asked else { panic!("{asked:?}") };
    assert!(said.contains("send it as text, by itself"), "{said}");
    refused(&mut conn, "PREPARE s FROM 'EXPLAIN CANDADO SELECT phone FROM customers'", 1235, "42000").await;
}

async fn the_session_stays_as_it_is(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    text(&mut conn, "SET NAMES latin1").await;
    assert_eq!(parts(&mut conn, "SELECT phone FROM customers").await[1].1, "SELECT phone FROM customers");
    text(&mut conn, "SET NAMES utf8mb4").await;
    assert_eq!(parts(&mut conn, "SELECT 1 AS `caf\u{e9} \u{1f600}`").await[1].1, "SELECT ? AS `caf\u{e9} \u{1f600}`");
    text(&mut conn, "BEGIN").await;
    text(&mut conn, "INSERT INTO orders (remark) VALUES ('open')").await;
    parts(&mut conn, "SELECT 1").await;
    text(&mut conn, "ROLLBACK").await;
    assert_eq!(text(&mut conn, "SELECT COUNT(*) FROM orders").await.cells(), [[Some("0".to_owned())]]);
    text(&mut conn, "USE mysql").await;
    let elsewhere = parts(&mut conn, "SELECT phone FROM customers").await;
    assert_eq!(elsewhere[0].1, "relayed", "judged by the default database of now");
}
