//! ORDER BY a protected column where policy has the proxy sort: the rows, and their order, are those of a plain table with
//! the declared collation.

use candado::wire::Capabilities;
use mysql_async::{Conn, Params, Value};

use crate::statements::{Parameter, Types, execution};
use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::raw::{Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{self, Answer, Shop, Who, prepared, refused, refused_prepared, text};

on_each_server!(
    order_is_that_of_a_plain_table,
    order_without_case_and_accents_is_that_of_a_plain_table,
    an_execution_that_asks_for_a_cursor_gets_all_rows_at_once,
    limits_cut_what_is_sorted,
    more_rows_than_the_bound_are_refused,
    what_has_no_exact_order_is_refused,
    an_open_transaction_sees_its_own_rows_in_order,
);

/// Rows that the proxy sorts at most: more than it sorts where it stands.
const ROWS_MAX: usize = 1_100;

/// Values that collations treat in different ways.
const VALUES: [Option<&str>; 29] = [
    Some("b"),
    None,
    Some("a"),
    Some(""),
    Some("B"),
    Some("A"),
    Some(" "),
    Some("a "),
    Some("a\t"),
    Some("a!"),
    Some("ab"),
    Some("\u{e4}"),
    Some("a\u{308}"),
    Some("\u{df}"),
    Some("ss"),
    Some("sS"),
    Some("\u{3b1}"),
    Some("\u{418}"),
    Some("\u{6f22}"),
    Some("\u{30ab}"),
    Some("\u{ff76}"),
    Some("\u{ac00}"),
    Some("\u{ffff}"),
    Some("\u{1f600}"),
    Some("\u{1f600} "),
    Some("\u{20000}"),
    Some("10"),
    Some("9"),
    None,
];

fn collations(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::MySql => ["utf8mb4_bin", "utf8mb4_0900_bin"],
        Kind::MariaDb => ["utf8mb4_bin", "utf8mb4_nopad_bin"],
    }
}

/// A shop whose `code` and `note` are sorted by the proxy; `people` has the same rows and the same collations.
async fn open(kind: Kind, [code, note]: [&str; 2]) -> (Shop<'static>, Conn, Conn) {
    let shop = Shop::open_as(Deployment::shared(kind), |database| {
        let sorted =
            |collation: &str| format!("collation = \"{collation}\"\nsort = \"proxy\"\nsort_rows = {ROWS_MAX}\n");
        shop::policy(database)
            .replace("type = \"varchar(30)\"\n", &format!("type = \"varchar(30)\"\n{}", sorted(code)))
            .replace("type = \"text\"\n", &format!("type = \"text\"\n{}", sorted(note)))
    });
    let (mut through, mut direct) = (shop.connect(Who::Application).await, shop.direct().await);
    let alter = format!(
        "ALTER TABLE people MODIFY code VARCHAR(30) COLLATE {code}, MODIFY note TEXT COLLATE {note}, \
         MODIFY name VARCHAR(100) COLLATE utf8mb4_general_ci"
    );
    assert!(matches!(text(&mut direct, alter).await, Answer::Done { .. }));
    text(&mut direct, "ALTER TABLE customers MODIFY name VARCHAR(100) COLLATE utf8mb4_general_ci").await;
    for (id, value) in (1..).zip(VALUES) {
        // Each value twice, beside others.
        for (id, name) in [(id, ["x", "Y", "y"][id % 3]), (id + 100, ["Z", "x"][id % 2])] {
            let note = VALUES[(id * 7) % VALUES.len()];
            let params: Params = vec![Value::from(id), name.into(), value.into(), note.into()].into();
            for (conn, table) in [(&mut through, "customers"), (&mut direct, "people")] {
                let sql = format!("INSERT INTO {table} (id, name, code, note) VALUES (?, ?, ?, ?)");
                assert!(matches!(prepared(conn, &sql, params.clone()).await, Answer::Done { .. }));
            }
        }
    }
    shop.assert_sealed();
    (shop, through, direct)
}

/// Names of the columns, and the rows.
fn shown(answer: &Answer) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    let Answer::Rows { columns, .. } = answer else { panic!("{answer:?}") };
    (columns.iter().map(|column| column.name.clone()).collect(), answer.cells())
}

/// Both answers to a statement are the same, as text and prepared.
async fn same(through: &mut Conn, direct: &mut Conn, sql: &str) {
    let (ours, plain) = (sql.replace("{t}", "customers"), sql.replace("{t}", "people"));
    let expected = text(direct, &plain).await;
    assert_eq!(shown(&text(through, &ours).await), shown(&expected), "{sql}");
    let expected = prepared(direct, &plain, ()).await;
    assert_eq!(shown(&prepared(through, &ours, ()).await), shown(&expected), "prepared {sql}");
}

async fn order_is_that_of_a_plain_table(kind: Kind) {
    order_is_that_of(kind, collations(kind)).await;
}

async fn order_without_case_and_accents_is_that_of_a_plain_table(kind: Kind) {
    match kind {
        Kind::MySql => order_is_that_of(kind, ["utf8mb4_0900_ai_ci", "utf8mb4_unicode_ci"]).await,
        Kind::MariaDb => order_is_that_of(kind, ["utf8mb4_unicode_ci", "utf8mb4_general_ci"]).await,
    }
}

async fn order_is_that_of(kind: Kind, collations: [&str; 2]) {
    let (_shop, mut through, mut direct) = open(kind, collations).await;
    for sql in [
        "SELECT id, code FROM {t} ORDER BY code, id",
        "SELECT id, code FROM {t} ORDER BY code DESC, id DESC",
        "SELECT code AS c, id FROM {t} ORDER BY c ASC, 2",
        "SELECT id, code FROM {t} ORDER BY 2 DESC, 1",
        "SELECT id, note FROM {t} ORDER BY note, id",
        "SELECT * FROM {t} ORDER BY note DESC, code, id DESC",
        "SELECT t.* FROM {t} t ORDER BY t.code DESC, t.note, t.id",
        // Columns that are not shown.
        "SELECT id FROM {t} ORDER BY code, id",
        "SELECT id, name FROM {t} ORDER BY note DESC, code DESC, id",
        "SELECT COALESCE(code, 'b') AS c, id FROM {t} ORDER BY c, id",
        // Other keys before it, whose order is the server's.
        "SELECT id, name FROM {t} ORDER BY name, code, id",
        "SELECT id FROM {t} ORDER BY name DESC, note, id",
        "SELECT id, code FROM {t} ORDER BY code IS NULL, code, id",
        "SELECT id FROM {t} ORDER BY note, name DESC, code DESC, id",
        "SELECT id FROM {t} WHERE id > 5 AND name IS NOT NULL ORDER BY note DESC, id DESC",
        // Joins, nested queries, set operations.
        "SELECT a.id, b.id FROM {t} a JOIN {t} b ON b.id = a.id + 100 ORDER BY b.note, a.code DESC, a.id",
        "SELECT d.c FROM (SELECT code AS c, id FROM {t}) d ORDER BY d.c, d.id",
        "WITH d AS (SELECT note, id FROM {t}) SELECT id FROM d ORDER BY note, id DESC",
        "SELECT id, code FROM {t} WHERE id < 10 UNION ALL SELECT id, code FROM {t} WHERE id > 115 ORDER BY code, id",
        "(SELECT id, code FROM {t}) ORDER BY code DESC, id",
        "SELECT id FROM {t} WHERE id = 7 ORDER BY code",
        "SELECT id, code FROM {t} WHERE FALSE ORDER BY code",
    ] {
        same(&mut through, &mut direct, sql).await;
    }
}

async fn limits_cut_what_is_sorted(kind: Kind) {
    let (_shop, mut through, mut direct) = open(kind, collations(kind)).await;
    for limit in ["LIMIT 0", "LIMIT 1", "LIMIT 7", "LIMIT 3, 5", "LIMIT 5 OFFSET 50", "LIMIT 10, 1000", "LIMIT 1000, 1"]
    {
        for sql in [
            "SELECT id, code FROM {t} ORDER BY code, id",
            "SELECT id FROM {t} ORDER BY name, note DESC, id DESC",
            "SELECT code, id FROM {t} WHERE id > 50 ORDER BY code DESC, id",
        ] {
            same(&mut through, &mut direct, &format!("{sql} {limit}")).await;
        }
    }
    for (count, offset) in [(0_u64, 0_u64), (4, 0), (4, 9), (1000, 30)] {
        for (sql, params) in [
            ("SELECT id, code FROM {t} ORDER BY code DESC, id LIMIT ? OFFSET ?", vec![count, offset]),
            ("SELECT id FROM {t} ORDER BY note, id LIMIT ?, ?", vec![offset, count]),
            ("SELECT id, name FROM {t} WHERE id > ? ORDER BY name DESC, code, id LIMIT ?", vec![20, count]),
            ("SELECT id FROM {t} ORDER BY code, id LIMIT 2, ?", vec![count]),
        ] {
            let params: Vec<Value> = params.into_iter().map(Value::from).collect();
            let ours = prepared(&mut through, &sql.replace("{t}", "customers"), params.clone()).await;
            let expected = prepared(&mut direct, &sql.replace("{t}", "people"), params).await;
            assert_eq!(shown(&ours), shown(&expected), "{sql}");
        }
    }
    let sql = "SELECT id FROM customers ORDER BY code LIMIT ?";
    refused_prepared(&mut through, sql, (-1_i64,), 1235, "42000").await;
}

async fn more_rows_than_the_bound_are_refused(kind: Kind) {
    let (_shop, mut through, mut direct) = open(kind, collations(kind)).await;
    let rows = VALUES.len() * 2;
    let more: Vec<String> = (rows..ROWS_MAX).map(|row| format!("({}, 'x')", 1000 + row)).collect();
    text(&mut through, format!("INSERT INTO customers (id, code) VALUES {}", more.join(", "))).await;
    let sql = "SELECT id, code FROM customers ORDER BY code";
    assert_eq!(text(&mut through, sql).await.cells().len(), ROWS_MAX);
    assert_eq!(prepared(&mut through, sql, ()).await.cells().len(), ROWS_MAX);
    text(&mut through, "INSERT INTO customers (id, code) VALUES (5000, 'y')").await;
    for sql in
        [sql, "SELECT id FROM customers ORDER BY note DESC LIMIT 1", "SELECT id FROM customers ORDER BY name, code"]
    {
        refused(&mut through, sql, 1235, "42000").await;
        refused_prepared(&mut through, sql, (), 1235, "42000").await;
    }
    let some = "SELECT id, code FROM {t} WHERE id < 20 ORDER BY code, id";
    same(&mut through, &mut direct, some).await;
}

async fn what_has_no_exact_order_is_refused(kind: Kind) {
    let (shop, mut through, _) = open(kind, collations(kind)).await;
    for sql in [
        // Nobody has the proxy sort by these.
        "SELECT id FROM customers ORDER BY phone",
        "SELECT id FROM customers ORDER BY code, email",
        // Not by the column itself.
        "SELECT id FROM customers ORDER BY UPPER(code)",
        "SELECT id FROM customers ORDER BY code COLLATE utf8mb4_general_ci",
        "SELECT id AS code FROM customers ORDER BY code",
        "SELECT id FROM customers ORDER BY RAND(), code",
        // Not the outermost query's.
        "SELECT d.code FROM (SELECT code FROM customers ORDER BY code LIMIT 3) d",
        "SELECT id FROM customers WHERE id IN (SELECT id FROM customers ORDER BY code)",
        "SELECT DISTINCT name FROM customers ORDER BY code",
        "SELECT id FROM customers ORDER BY code INTO @id",
        "UPDATE customers SET name = 'x' ORDER BY code LIMIT 1",
        "DELETE FROM customers ORDER BY code LIMIT 1",
        "INSERT INTO orders (customer) SELECT id FROM customers ORDER BY code",
        "SELECT ROW_NUMBER() OVER (ORDER BY code) FROM customers",
        "SELECT MIN(code) FROM customers",
    ] {
        refused(&mut through, sql, 1235, "42000").await;
    }
    let mut engineer = shop.connect(Who::Engineer).await;
    refused(&mut engineer, "SELECT id FROM customers ORDER BY code", 1143, "42000").await;
    text(&mut through, "SET NAMES latin1").await;
    refused(&mut through, "SELECT id FROM customers ORDER BY code", 1235, "42000").await;
    text(&mut through, "SET NAMES utf8mb4").await;
    assert_eq!(text(&mut through, "SELECT id FROM customers ORDER BY code").await.cells().len(), VALUES.len() * 2);
}

async fn an_open_transaction_sees_its_own_rows_in_order(kind: Kind) {
    let (_shop, mut through, mut direct) = open(kind, collations(kind)).await;
    for conn in [&mut through, &mut direct] {
        text(conn, "START TRANSACTION").await;
    }
    text(&mut through, "UPDATE customers SET code = 'm' WHERE id = 3").await;
    text(&mut direct, "UPDATE people SET code = 'm' WHERE id = 3").await;
    same(&mut through, &mut direct, "SELECT id, code FROM {t} ORDER BY code, id LIMIT 20 FOR UPDATE").await;
    for conn in [&mut through, &mut direct] {
        text(conn, "ROLLBACK").await;
    }
    same(&mut through, &mut direct, "SELECT id FROM {t} ORDER BY code DESC, id LIMIT 20").await;
}

async fn an_execution_that_asks_for_a_cursor_gets_all_rows_at_once(kind: Kind) {
    const EXECUTE: u8 = 0x17;
    const FETCH: u8 = 0x1c;
    let (shop, _, mut direct) = open(kind, collations(kind)).await;
    for capabilities in [Capabilities::empty(), Capabilities::DEPRECATE_EOF] {
        let mut raw = Raw::login(shop.proxy.port, capabilities);
        raw.query(&format!("USE `{}`", shop.database));
        let (id, _) = raw.prepare("SELECT id FROM customers WHERE id < ? ORDER BY code, id");
        let packets = raw.statement(EXECUTE, id, &execution(1, Types::Sent, &[Parameter::Int(20)]));
        let rows = packets.iter().map(|(_, payload)| payload).filter(|row| row.len() == 6 && row[0] == 0);
        let ids: Vec<String> = rows.map(|row| u32::from_le_bytes(row[2..].try_into().unwrap()).to_string()).collect();
        let expected = text(&mut direct, "SELECT id FROM people WHERE id < 20 ORDER BY code, id").await.cells();
        assert_eq!(ids, expected.into_iter().map(|mut row| row.remove(0).unwrap()).collect::<Vec<_>>());
        // There is no cursor, and the connection is in step.
        assert_eq!(error_code(&raw.statement(FETCH, id, &5_u32.to_le_bytes())), 1421);
        assert!(raw.query("SELECT 'in step'").len() > 2);
    }
}
