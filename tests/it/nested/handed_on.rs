//! Expressions that hand on values of protected columns, simple CASE over one, and statements that change rows of several
//! tables: each answer is that of a plain table.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Params, Value};

use super::alike::Select;
use super::{Kind, Twins, sorted, sorted_by, sorted_prepared};
use crate::support::shop::{Answer, Who, prepared, refused, text};

/// Statements with their parameters.
const SELECTS: &[Select] = &[
    (
        "SELECT id, COALESCE(code, 'none') AS c, IFNULL(phone, '') AS p, COALESCE(note, NULL, 'nought') AS n FROM {t}",
        &[],
    ),
    (
        "SELECT id, COALESCE(code, ?) AS c, IFNULL(phone, ?) AS p, IF(id = ?, note, ?) AS n FROM {t}",
        &["k", "7", "1", "m"],
    ),
    ("SELECT IFNULL(code, 'x\u{1f600}\u{e9}') AS c, COALESCE(NULL, phone) AS p FROM {t}", &[]),
    ("SELECT a.id, COALESCE(a.code, b.code) AS c FROM {t} a JOIN {t} b ON b.id = a.id + 1", &[]),
    ("SELECT id, IF(code = 'x', phone, 'other') AS p, IF(phone IS NULL, code, NULL) AS c FROM {t}", &[]),
    ("SELECT id, CASE WHEN id < 3 THEN code WHEN phone = '1' THEN 'one' END AS c FROM {t}", &[]),
    ("SELECT id, CASE id WHEN 1 THEN phone WHEN 3 THEN ? ELSE phone END AS p FROM {t} WHERE id > ?", &["v", "0"]),
    ("SELECT id, COALESCE((SELECT i.code FROM {t} i WHERE i.id = o.id + 1), 'last') AS c FROM {t} o", &[]),
    ("SELECT id, LAG(code) OVER (ORDER BY id) AS a, LEAD(phone, 2) OVER (ORDER BY id DESC) AS b FROM {t}", &[]),
    (
        "SELECT id, FIRST_VALUE(code) OVER w AS a, LAST_VALUE(phone) OVER w AS b, NTH_VALUE(code, 2) OVER w AS c FROM {t} \
         WINDOW w AS (ORDER BY id)",
        &[],
    ),
    ("SELECT id, NULLIF(code, 'x') AS a, NULLIF(phone, ?) AS b, NULLIF(code, NULL) AS c FROM {t}", &["30"]),
    ("SELECT id, COALESCE(NULLIF(code, ''), 'empty') AS c FROM {t}", &[]),
    ("SELECT d.c FROM (SELECT COALESCE(code, 'none') AS c FROM {t}) d WHERE d.c IN ('none', 'x')", &[]),
    ("SELECT d.c FROM (SELECT COALESCE(code, ?) AS c FROM {t}) d WHERE d.c <> ?", &["none", "x"]),
    (
        "WITH d AS (SELECT id, IFNULL(phone, '5') AS p FROM {t}) SELECT a.id FROM d a JOIN d b ON a.p = b.p AND a.id < b.id",
        &[],
    ),
    ("SELECT code FROM {t} UNION ALL SELECT COALESCE(code, 'none') AS c FROM {t}", &[]),
    ("SELECT id, CASE code WHEN 'x' THEN 1 WHEN ? THEN 2 WHEN NULL THEN 3 ELSE 0 END AS n FROM {t}", &["y"]),
    ("SELECT id, CASE (code) WHEN 'x' THEN 1 END AS n FROM {t} WHERE CASE phone WHEN '1' THEN id ELSE 9 END < 9", &[]),
    ("SELECT a.id, b.id AS o FROM {t} a JOIN {t} b ON CASE a.code WHEN b.code THEN 1 ELSE 0 END = 1", &[]),
    (
        "SELECT COUNT(CASE code WHEN 'x' THEN 1 END) AS n, SUM(CASE phone WHEN ? THEN 1 ELSE 0 END) AS m FROM {t}",
        &["1"],
    ),
    ("SELECT id, CASE code WHEN 'x' THEN code ELSE 'other' END AS c FROM {t}", &[]),
];

/// The same in MySQL alone.
const SELECTS_MYSQL: &[Select] = &[
    ("SELECT ANY_VALUE(code) AS c FROM {t} WHERE id = 1", &[]),
    (
        "SELECT id, LAG(code, 1, 'first') OVER (ORDER BY id) AS a, LEAD(phone, 1, ?) OVER (ORDER BY id) AS b FROM {t}",
        &["z"],
    ),
];

const REFUSED: &[&str] = &[
    "SELECT COALESCE(code, name) AS c FROM customers",
    "SELECT IF(id = 1, code, phone) AS c FROM customers",
    "SELECT COALESCE(code, 1) AS c FROM customers",
    "SELECT COALESCE(code, x'41') AS c FROM customers",
    "SELECT d.id FROM (SELECT id, COALESCE(code, 'none') FROM customers) d",
    "SELECT NULLIF(note, 'n') AS n FROM customers",
    "SELECT NULLIF(name, code) AS n FROM customers",
    "SELECT MIN(code) AS n FROM customers",
    "SELECT CASE name WHEN code THEN 1 END AS n FROM customers",
    "SELECT CASE note WHEN 'n' THEN 1 END AS n FROM customers",
    "SELECT code FROM customers UNION ALL SELECT COALESCE(NULL, 'none') FROM customers",
];

fn values(params: &[&str]) -> Params {
    if params.is_empty() {
        Params::Empty
    } else {
        Params::Positional(params.iter().map(|one| Value::from(*one)).collect())
    }
}

/// The statement with its parameters as literals.
fn spelled(sql: &str, params: &[&str]) -> String {
    params.iter().fold(sql.to_owned(), |sql, value| sql.replacen('?', &format!("'{value}'"), 1))
}

impl Twins {
    /// Both answers to a statement, sent whole and prepared.
    pub(super) async fn answers(&mut self, sql: &str, params: &[&str]) -> [(Answer, Answer); 2] {
        let (hidden, plain) = (sql.replace("{t}", "customers"), sql.replace("{t}", "people"));
        let through = text(&mut self.through, spelled(&hidden, params)).await;
        let whole = (through, text(&mut self.direct, spelled(&plain, params)).await);
        let through = prepared(&mut self.through, &hidden, values(params)).await;
        [whole, (through, prepared(&mut self.direct, &plain, values(params)).await)]
    }
}

pub(super) async fn values_are_handed_on(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    let own = if kind == Kind::MySql { SELECTS_MYSQL } else { &[] };
    twins.assert_alike(kind, SELECTS.iter().chain(own), sorted_by).await;
    twins.assert_refused(REFUSED).await;
    let long = format!("SELECT COALESCE(code, '{}') AS c FROM customers", "x".repeat(31));
    refused(&mut twins.through, &long, 1406, "22001").await;
}

/// Statements that change rows, with their parameters.
const CHANGES: &[(&str, &[&str])] = &[
    ("UPDATE {t} a JOIN {t} b ON a.id = b.id + 1 SET a.name = 'k' WHERE b.code = ?", &["x"]),
    (
        "UPDATE {t} a JOIN orders o ON a.code = 'x' AND o.id > 0 SET a.name = 'k', a.phone = '7' WHERE a.phone IN (?, '2')",
        &["1"],
    ),
    ("UPDATE {t} a, orders o SET a.code = ? WHERE a.id = o.customer AND a.phone IS NULL", &["w"]),
    ("UPDATE {t} a JOIN {t} b ON a.code = b.code AND a.id < b.id SET a.name = b.name", &[]),
    ("UPDATE {t} a JOIN orders o ON o.customer = a.id SET a.code = CASE WHEN o.id > 1 THEN ? ELSE a.code END", &["w"]),
    ("DELETE a FROM {t} a JOIN {t} b ON a.id = b.id WHERE b.phone = ? OR b.code <> 'x'", &["30"]),
    ("DELETE a, o FROM {t} a JOIN orders o ON o.customer = a.id WHERE a.code IN ('y', ?)", &["none"]),
    ("DELETE FROM a USING {t} a JOIN {t} b ON a.code = b.code AND a.id > b.id", &[]),
    ("UPDATE {t} SET code = CASE id WHEN 1 THEN 'p' WHEN 2 THEN ? ELSE code END WHERE id IN (1, 2)", &["q"]),
    ("UPDATE {t} SET phone = CASE WHEN id = 1 THEN ? WHEN id = 2 THEN ? END WHERE id < 4", &["8", "9"]),
    ("UPDATE {t} SET phone = COALESCE(phone, '44'), note = IFNULL(note, ?) WHERE phone IS NULL", &["r"]),
    ("UPDATE {t} SET code = IF(id = 3, ?, code) WHERE id = 3", &["q"]),
    ("UPDATE {t} SET code = NULLIF(code, ''), phone = CASE phone WHEN '' THEN ? ELSE phone END WHERE id = 4", &["2"]),
    ("UPDATE {t} SET name = IF(code = 'x', 'found', 'not')", &[]),
    ("UPDATE {t} SET code = 'k', name = IF(code = 'k', 'new', 'old') WHERE id < 3", &[]),
    (
        "INSERT INTO {t} (id, code, phone) VALUES (1, 'p', '3') ON DUPLICATE KEY UPDATE code = COALESCE(VALUES(code), code)",
        &[],
    ),
    (
        "INSERT INTO {t} (id, code, phone) VALUES (1, NULL, ?) ON DUPLICATE KEY UPDATE code = IFNULL(VALUES(code), code), \
         name = 'again'",
        &["3"],
    ),
    ("INSERT INTO {t} (id, code) VALUES (9, COALESCE(NULL, ?))", &["fresh"]),
    ("INSERT INTO {t} (id, code, phone) SELECT 9, 'k', ? FROM {t} WHERE code = ? LIMIT 1", &["5", "x"]),
    (
        "INSERT INTO {t} (id, code) SELECT 9, ? FROM (SELECT 1 AS one) d WHERE NOT EXISTS (SELECT id FROM {t} WHERE code = ?)",
        &["k", "k"],
    ),
    ("INSERT INTO {t} (id, name, code, phone, note) SELECT id + 10, name, code, phone, note FROM {t}", &[]),
    ("REPLACE INTO {t} SELECT * FROM {t} WHERE code = ?", &["x"]),
    (
        "INSERT INTO {t} (id, code, phone) SELECT a.id + b.id * 10, b.code, a.phone FROM {t} a JOIN {t} b ON a.code = b.code ORDER BY 1",
        &[],
    ),
    ("INSERT INTO {t} (id, code) SELECT id + 10, IF(id < 3, code, ?) FROM {t} WHERE phone <=> ?", &["k", "1"]),
    (
        "INSERT INTO {t} (id, phone) SELECT 9, ? UNION ALL SELECT 10, NULL UNION ALL SELECT id + 10, phone FROM {t} WHERE id = 5",
        &["5"],
    ),
    ("INSERT INTO {t} (id, code) SELECT 20 + MIN(id), code FROM {t} GROUP BY code", &[]),
    (
        "INSERT INTO {t} (id, code) SELECT id + 10, code FROM {t} WHERE id < 4 UNION SELECT id + 10, code FROM {t} WHERE code = ?",
        &["x"],
    ),
    ("INSERT INTO {t} (id, code, phone) SELECT 9, ?, '1' UNION SELECT 9, 'k', '1' UNION SELECT 10, NULL, ''", &["k"]),
    (
        "INSERT INTO {t} (id, code) WITH d AS (SELECT id + 10 AS i, code FROM {t}) SELECT i, code FROM d WHERE i < ? \
         UNION (SELECT i, code FROM d WHERE code = 'x')",
        &["13"],
    ),
    ("INSERT INTO {t} (id, code) SELECT 20, code FROM {t} WHERE id = 1 UNION SELECT 20, ? FROM {t}", &["x"]),
    (
        "INSERT INTO {t} (id, code) SELECT id + 10, code FROM {t} INTERSECT SELECT id + 10, code FROM {t} WHERE phone = ?",
        &["1"],
    ),
    (
        "INSERT INTO {t} (code, id) SELECT code, id + 20 FROM {t} EXCEPT SELECT code, id + 20 FROM {t} WHERE code = ?",
        &["x"],
    ),
    (
        "INSERT INTO {t} (id, code) SELECT id, ? FROM {t} WHERE id < 3 UNION SELECT id, 'k' FROM {t} WHERE id < 2 \
         ON DUPLICATE KEY UPDATE code = VALUES(code), name = 'n'",
        &["k"],
    ),
    ("INSERT INTO {t} (id, code) WITH d AS (SELECT id + 10 AS i, code AS c FROM {t}) SELECT i, c FROM d", &[]),
    ("REPLACE INTO {t} (id, code, note) SELECT id, 'k', note FROM {t} WHERE code = 'x'", &[]),
    (
        "INSERT INTO {t} (id, code) SELECT id, ? FROM {t} WHERE id < 3 ON DUPLICATE KEY UPDATE code = VALUES(code), name = 'n'",
        &["k"],
    ),
    ("INSERT INTO orders (id, customer) SELECT id + 10, id FROM {t} WHERE phone IN (?, '2')", &["1"]),
];

pub(super) async fn changes_answer_like_a_plain_table(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    text(&mut twins.direct, "INSERT INTO orders (id, customer) VALUES (1, 2), (2, 3), (3, 4)").await;
    let mut wrong = Vec::new();
    for (sql, params) in CHANGES {
        for whole in [true, false] {
            let mut found = Vec::new();
            for (conn, table) in [(&mut twins.through, "customers"), (&mut twins.direct, "people")] {
                let sql = sql.replace("{t}", table);
                text(conn, "START TRANSACTION").await;
                let mut answer = if whole {
                    text(conn, spelled(&sql, params)).await
                } else {
                    prepared(conn, &sql, values(params)).await
                };
                // Rows come in any order, and the last one gives the number.
                if let Answer::Done { last_insert_id, .. } = &mut answer
                    && sql.contains("SELECT")
                {
                    *last_insert_id = None;
                }
                let rows = text(conn, format!("SELECT id, name, code, phone, note FROM {table} ORDER BY id")).await;
                let orders = text(conn, "SELECT id FROM orders ORDER BY id").await;
                text(conn, "ROLLBACK").await;
                found.push((answer, rows.cells(), orders.cells()));
            }
            if found[0] != found[1] || !matches!(found[0].0, Answer::Done { affected: 1.., .. }) {
                wrong.push(format!("{sql}\n  through {:?}\n  direct  {:?}", found[0], found[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for sql in [
        "UPDATE customers a JOIN customers b ON a.id = b.id SET a.code = b.code",
        "UPDATE customers a JOIN orders o ON o.customer = a.id SET o.remark = a.code",
        "UPDATE customers a JOIN orders o ON o.remark = a.code SET a.name = 'x'",
        "UPDATE customers SET code = CASE WHEN id = 1 THEN 'a' ELSE name END",
        "UPDATE customers SET code = (SELECT d.code FROM (SELECT code FROM customers) d LIMIT 1)",
        "DELETE a FROM customers a JOIN orders o ON o.remark = a.code",
        "INSERT INTO customers (id, code) SELECT id + 10, phone FROM customers",
        "INSERT INTO customers (id, code) SELECT id + 10, name FROM customers",
        "INSERT INTO customers (id, code) SELECT id + 10, COALESCE(code, name) FROM customers",
        "INSERT INTO customers (id, code) SELECT id + 10, UPPER('x') FROM customers",
        "INSERT INTO customers (id, code) SELECT d.i, d.c FROM (SELECT 9 AS i, 'x' AS c) d",
        "INSERT INTO customers (id, name) SELECT id + 10, code FROM customers",
        "INSERT INTO customers (id, code) SELECT id + 10, code FROM customers UNION ALL SELECT id + 20, name FROM customers",
        "INSERT INTO orders (id, remark) SELECT id + 10, code FROM customers",
        "INSERT INTO customers SELECT id + 10, code FROM customers",
        "INSERT INTO customers (id, code) SELECT 9, code FROM customers ON DUPLICATE KEY UPDATE name = customers.code",
    ] {
        refused(&mut twins.through, sql, 1235, "42000").await;
    }
    // A cell that is copied behind the back of a walk would be left over; a value is not.
    let copied = "INSERT INTO customers (id, code) SELECT id + 10, code FROM customers";
    let written = "INSERT INTO customers (id, code) SELECT id + 100, 'k' FROM customers WHERE id = 1";
    let statement = twins.through.prep(copied).await.unwrap();
    twins.shop.move_to("encrypting");
    refused(&mut twins.through, copied, 1235, "42000").await;
    let refused = twins.through.exec_drop(&statement, ()).await.unwrap_err();
    assert!(matches!(&refused, mysql_async::Error::Server(error) if error.code == 1235), "{refused}");
    assert!(matches!(text(&mut twins.through, written).await, Answer::Done { affected: 1, .. }));
    twins.shop.move_to("sealed");
    twins.through.exec_drop(&statement, ()).await.unwrap();
    assert_eq!(twins.through.affected_rows(), 6);
}

/// MariaDB shows rows of a statement that writes.
pub(super) async fn written_rows_are_shown(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    for (sql, params) in [
        (
            "INSERT INTO {t} (id, code, phone) VALUES (9, ?, ?), (10, NULL, '1') RETURNING id, code, phone AS p",
            &["k", "5"][..],
        ),
        ("REPLACE INTO {t} (id, code) VALUES (1, ?) RETURNING *", &["k"]),
        ("INSERT INTO {t} (id, code) VALUES (1, 'p') ON DUPLICATE KEY UPDATE code = ? RETURNING code", &["q"]),
        ("INSERT INTO {t} (id, code) SELECT id + 10, code FROM {t} WHERE code = ? RETURNING id, code", &["x"]),
        ("DELETE FROM {t} WHERE phone = ? RETURNING id, note, COALESCE(code, 'none') AS c", &["1"]),
    ] {
        let mut found = Vec::new();
        for (conn, table) in [(&mut twins.through, "customers"), (&mut twins.direct, "people")] {
            let sql = sql.replace("{t}", table);
            for whole in [true, false] {
                text(conn, "START TRANSACTION").await;
                found.push(match whole {
                    true => sorted(kind, text(conn, spelled(&sql, params)).await),
                    false => sorted_prepared(kind, prepared(conn, &sql, values(params)).await),
                });
                text(conn, "ROLLBACK").await;
            }
        }
        match kind {
            Kind::MariaDb => {
                assert!(matches!(&found[0], Answer::Rows { rows, .. } if !rows.is_empty()), "{sql}: {found:?}")
            }
            Kind::MySql => assert!(matches!(&found[2], Answer::Refused { code: 1064, .. }), "{sql}: {found:?}"),
        }
        if kind == Kind::MariaDb {
            assert_eq!(found[..2], found[2..], "{sql}");
        }
    }
    for sql in [
        "DELETE FROM customers WHERE id = 1 RETURNING UPPER(code)",
        "DELETE FROM customers WHERE id = 1 RETURNING COALESCE(code, name)",
        "DELETE FROM customers WHERE id = 1 RETURNING code = 'x'",
    ] {
        refused(&mut twins.through, sql, 1235, "42000").await;
    }
    let mut engineer = twins.shop.connect(Who::Engineer).await;
    if kind == Kind::MariaDb {
        refused(&mut engineer, "DELETE FROM customers WHERE id = 1 RETURNING code", 1143, "42000").await;
    }
}

/// What stands in JSON_TABLE may be anything but a protected column, and its columns are plain ones.
pub(super) async fn documents_stand_beside_protected_columns(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    let columns = "COLUMNS (n FOR ORDINALITY, v INT PATH '$.a', NESTED PATH '$.b[*]' COLUMNS (w VARCHAR(9) PATH '$'))";
    let document = format!("JSON_TABLE('[{{\"a\": 1, \"b\": [\"x\", \"y\"]}}, {{\"a\": 5}}]', '$[*]' {columns}) j");
    for sql in [
        format!("SELECT t.id, t.code, j.v, w FROM {{t}} t JOIN {document} ON j.v = t.id"),
        format!("SELECT j.*, t.phone FROM {{t}} t, {document} WHERE t.code = 'x' AND n < 2"),
        format!("SELECT t.id, t.code FROM {{t}} t WHERE t.id IN (SELECT v FROM {document})"),
        "SELECT t.id, j.i, code FROM {t} t, JSON_TABLE(CONCAT('[', t.id, ']'), '$[*]' COLUMNS (i INT PATH '$')) j"
            .to_owned(),
    ] {
        let [whole, prepared] = twins.answers(&sql, &[]).await;
        assert!(matches!(&whole.1, Answer::Rows { rows, .. } if !rows.is_empty()), "{sql}: {:?}", whole.1);
        assert_eq!(sorted(kind, whole.0), sorted(kind, whole.1), "{sql}");
        assert_eq!(sorted_prepared(kind, prepared.0), sorted_prepared(kind, prepared.1), "{sql}");
    }
    for sql in [
        "SELECT j.i FROM customers t, JSON_TABLE(t.code, '$[*]' COLUMNS (i INT PATH '$')) j".to_owned(),
        "SELECT j.i FROM customers t, JSON_TABLE(CONCAT(t.code), '$' COLUMNS (i INT PATH '$')) j".to_owned(),
        format!("SELECT t.id FROM customers t JOIN {document} ON t.code = j.w"),
        format!("SELECT code FROM customers UNION ALL SELECT w FROM {document}"),
    ] {
        refused(&mut twins.through, &sql, 1235, "42000").await;
    }
}
