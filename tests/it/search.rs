//! Look-ups on protected columns: by the index, in other notations, and with SQL's logic of NULL.

use mysql_async::Conn;

use crate::support::on_each_server;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, prepared, refused, refused_prepared, text};

on_each_server!(
    fifty_thousand_rows_are_searched_by_the_index,
    another_notation_finds_the_row,
    null_logic_is_that_of_a_plain_table,
    changes_find_their_rows,
);

const ROWS: u32 = 50_000;
const ROWS_IN_STATEMENT: u32 = 1_000;

async fn fifty_thousand_rows_are_searched_by_the_index(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    for first in (0..ROWS).step_by(ROWS_IN_STATEMENT as usize) {
        let row = |number: u32| format!("('Customer {number}', '{}')", phone(number));
        let rows: Vec<String> = (first..first + ROWS_IN_STATEMENT).map(row).collect();
        let answer = text(&mut conn, format!("INSERT INTO customers (name, phone) VALUES {}", rows.join(","))).await;
        assert!(matches!(answer, Answer::Done { affected: 1_000, .. }), "{answer:?}");
    }
    // The server estimates from samples; the statistics decide between the index and a scan.
    text(&mut conn, "ANALYZE TABLE customers").await;
    let number = phone(31_415);
    for (sql, rows) in [
        (format!("SELECT name FROM customers WHERE phone = '{number}'"), "1"),
        (format!("SELECT name FROM customers WHERE '{number}' = phone AND name <> 'x'"), "1"),
        (format!("UPDATE customers SET name = 'x' WHERE phone = '{number}'"), "1"),
        (format!("DELETE FROM customers WHERE phone = '{number}'"), "1"),
        (format!("SELECT name FROM customers WHERE phone IN ('{number}', '{}')", phone(7)), "2"),
    ] {
        let plan = explain(&mut conn, &sql).await;
        assert!(["range", "ref"].contains(&plan.kind.as_str()), "{sql}: {plan:?}");
        assert_eq!((plan.key.as_str(), plan.rows.as_str()), ("by_phone", rows), "{sql}: {plan:?}");
    }
    let found = prepared(&mut conn, "SELECT name FROM customers WHERE phone = ?", (number,)).await;
    assert_eq!(found.cells(), [[Some("Customer 31415".to_owned())]]);
    // Beside it: what no index answers is refused, not scanned.
    refused(&mut conn, "EXPLAIN SELECT name FROM customers WHERE phone LIKE '+81%'", 1235, "42000").await;
    refused(&mut conn, "EXPLAIN SELECT name FROM customers WHERE address = 'x'", 1235, "42000").await;
}

/// Japanese mobile numbers; each is valid.
fn phone(number: u32) -> String {
    format!("+81 90 {:04} {:04}", 1000 + number / 10_000, number % 10_000)
}

#[derive(Debug)]
struct Plan {
    kind: String,
    key: String,
    rows: String,
}

async fn explain(conn: &mut Conn, sql: &str) -> Plan {
    // MySQL 9 answers with a tree by default.
    let answer = text(conn, format!("EXPLAIN FORMAT=TRADITIONAL {sql}")).await;
    let Answer::Rows { columns, .. } = &answer else { panic!("{sql}: {answer:?}") };
    let cells = answer.cells();
    let cell = |name: &str| {
        let at = columns.iter().position(|column| column.name == name).unwrap_or_else(|| panic!("{answer:?}"));
        cells[0][at].clone().unwrap_or_default()
    };
    Plan { kind: cell("type"), key: cell("key"), rows: cell("rows") }
}

async fn another_notation_finds_the_row(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    text(
        &mut conn,
        "INSERT INTO customers (id, phone, email, code) VALUES (1, '090-1234-5678', ' Ana@Example.ORG', 'Ab'), \
         (2, '03 1234 5678', 'ana@example.com', 'ab')",
    )
    .await;
    for (condition, found) in [
        ("phone = '+81 90 1234 5678'", "1"),
        ("phone = '+819012345678'", "1"),
        ("phone = '(090) 1234-5678'", "1"),
        ("phone = '09012345678' AND email = 'ana@example.org'", "1"),
        ("email IN ('ANA@EXAMPLE.COM')", "2"),
        ("phone <> '+81 90 1234 5678'", "2"),
        ("phone NOT IN ('+81 3 1234 5678', '1')", "1"),
        // Compared as they are.
        ("code = 'Ab'", "1"),
        ("code = 'ab'", "2"),
    ] {
        let sql = format!("SELECT id FROM customers WHERE {condition}");
        assert_eq!(text(&mut conn, &sql).await.cells(), [[Some(found.to_owned())]], "{sql}");
    }
    for condition in ["phone = '+81 90 1234 5679'", "phone = '1234-5678'", "code = 'AB'", "email = 'ana@example'"] {
        let sql = format!("SELECT id FROM customers WHERE {condition}");
        assert!(text(&mut conn, &sql).await.cells().is_empty(), "{sql}");
    }
    // What was written is what is read, not its normal form.
    let read = text(&mut conn, "SELECT phone, email FROM customers WHERE phone = '+819012345678'").await;
    assert_eq!(read.cells(), [[Some("090-1234-5678".to_owned()), Some(" Ana@Example.ORG".to_owned())]]);
}

async fn null_logic_is_that_of_a_plain_table(kind: Kind) {
    let shop = Shop::open(kind);
    let (mut through, mut direct) = (shop.connect(Who::Application).await, shop.direct().await);
    let insert = "INSERT INTO {t} (id, name, code, phone) VALUES (1, 'a', 'x', '1'), (2, 'b', 'y', NULL), \
                  (3, NULL, NULL, '3'), (4, 'd', '', ''), (5, NULL, 'x', '1')";
    text(&mut through, insert.replace("{t}", "customers")).await;
    text(&mut direct, insert.replace("{t}", "people")).await;
    for condition in [
        "code = 'x'",
        "code = ''",
        "code <> 'x'",
        "code != ''",
        "NOT code = 'x'",
        "NOT (code <> 'x')",
        "code = NULL",
        "code <> NULL",
        "NOT (code = NULL)",
        "code <=> NULL",
        "NOT (code <=> NULL)",
        "code <=> 'x'",
        "NOT (code <=> 'x')",
        "'x' <=> code",
        "code IN ('x', 'y')",
        "code IN ('x', NULL)",
        "code IN (NULL)",
        "code NOT IN ('x', 'y')",
        "code NOT IN ('x', NULL)",
        "code NOT IN ('')",
        "NOT (code IN ('x', NULL))",
        "code IS NULL",
        "code IS NOT NULL",
        "ISNULL(code)",
        "code = 'x' OR phone = '3'",
        "code = 'x' AND phone = '1' AND name IS NOT NULL",
        "code = 'x' XOR phone = '1'",
        "(code = 'x' OR name = 'b') AND NOT (phone = '3')",
        "code = 'none' OR phone IS NULL",
        "code LIKE 'x'",
        "(code = 'y') = (name = 'b')",
    ] {
        let sql = format!("SELECT id, name FROM {{t}} WHERE {condition} ORDER BY id");
        let hidden = text(&mut through, sql.replace("{t}", "customers")).await;
        let plain = text(&mut direct, sql.replace("{t}", "people")).await;
        assert_eq!(hidden, plain, "{condition}");
    }
    for beside in ["code", "NOT code", "code IS TRUE", "code > ''", "code LIKE 'x%'", "code + 0 = 1", "code IN (name)"]
    {
        let sql = format!("SELECT id FROM customers WHERE {beside}");
        refused(&mut through, &sql, 1235, "42000").await;
    }
    refused_prepared(&mut through, "SELECT id FROM customers WHERE code > ?", ("x",), 1235, "42000").await;
}

async fn changes_find_their_rows(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    text(&mut conn, "INSERT INTO customers (id, code, phone) VALUES (1, 'a', '1'), (2, 'b', '2'), (3, 'c', NULL)")
        .await;
    for (sql, affected) in [
        ("UPDATE customers SET code = 'z' WHERE code = 'a'", 1),
        ("UPDATE customers SET name = 'n' WHERE code <> 'z'", 2),
        ("UPDATE customers SET phone = '9' WHERE phone IN ('2', '7')", 1),
        ("UPDATE customers SET name = 'none' WHERE code = 'a'", 0),
        ("DELETE FROM customers WHERE phone = '9' OR phone IS NULL", 2),
    ] {
        let answer = text(&mut conn, sql).await;
        assert!(matches!(answer, Answer::Done { affected: found, .. } if found == affected), "{sql}: {answer:?}");
    }
    let left = text(&mut conn, "SELECT id, code, phone FROM customers").await.cells();
    assert_eq!(left, [["1", "z", "1"].map(|text| Some(text.to_owned()))]);
    shop.assert_sealed();
}
