//! GROUP BY, DISTINCT, PARTITION BY and nested queries that are compared: values of a protected column are equal where a
//! plain table's are, and a statement that cannot tell is refused.

use super::alike::Select;
use super::{Kind, Twins, sorted, sorted_as};
use crate::support::shop::{Who, refused, text};

/// Statements with their parameters.
const SELECTS: &[Select] = &[
    ("SELECT code, COUNT(*) FROM {t} GROUP BY code", &[]),
    ("SELECT t.code AS c, COUNT(*) AS n, COUNT(phone) AS m FROM {t} t GROUP BY c HAVING COUNT(*) > 1 ORDER BY n", &[]),
    ("SELECT (phone), code FROM {t} WHERE id < ? GROUP BY 1, 2", &["5"]),
    ("SELECT code AS `the ``code`, name FROM {t} GROUP BY `the ``code`, name", &[]),
    ("SELECT COUNT(*) AS n, MIN(id) AS i FROM {t} GROUP BY phone", &[]),
    ("SELECT code, COUNT(*) AS n FROM {t} GROUP BY code HAVING code = 'x' OR code IS NULL", &[]),
    ("SELECT code AS c, COUNT(*) AS n FROM {t} GROUP BY code HAVING c IN ('x', ?) OR n > 1", &["y"]),
    (
        "SELECT code, SUM(phone = '1') AS n, COUNT(DISTINCT phone) AS m, COUNT(DISTINCT name, phone) AS o FROM {t} GROUP BY code",
        &[],
    ),
    ("SELECT d.c, COUNT(*) AS n FROM (SELECT code AS c FROM {t} WHERE phone <> ?) d GROUP BY d.c", &["30"]),
    (
        "SELECT d.code, d.n FROM (SELECT code, COUNT(*) AS n FROM {t} GROUP BY code) d WHERE d.code <> ? AND d.n > 0",
        &["y"],
    ),
    (
        "SELECT a.code, COUNT(b.id) AS n FROM {t} a LEFT JOIN {t} b ON b.code = a.code AND b.id > a.id GROUP BY a.code",
        &[],
    ),
    ("SELECT DISTINCT code FROM {t}", &[]),
    ("SELECT DISTINCT t.code AS c, name, phone FROM {t} t WHERE id > ? ORDER BY name", &["0"]),
    ("SELECT DISTINCT d.code FROM (SELECT DISTINCT code, name FROM {t}) d", &[]),
    ("SELECT COUNT(*) AS n FROM (SELECT DISTINCT code, phone FROM {t}) d", &[]),
    ("SELECT DISTINCT a.code, b.code AS other FROM {t} a JOIN {t} b ON a.id <> b.id", &[]),
    ("SELECT COUNT(DISTINCT code) AS n, COUNT(DISTINCT (phone), name) AS m FROM {t}", &[]),
    (
        "SELECT id, ROW_NUMBER() OVER (PARTITION BY code ORDER BY id) AS n, COUNT(*) OVER w AS m FROM {t} \
      WINDOW w AS (PARTITION BY (phone))",
        &[],
    ),
    (
        "SELECT d.id, d.code FROM (SELECT id, code, ROW_NUMBER() OVER (PARTITION BY code ORDER BY id) AS n FROM {t}) d \
      WHERE d.n = 1",
        &[],
    ),
    ("SELECT id, LAG(phone) OVER (PARTITION BY code ORDER BY id) AS p FROM {t}", &[]),
    ("SELECT id FROM {t} WHERE code IN (SELECT code FROM {t} WHERE phone = ?)", &["1"]),
    ("SELECT id FROM {t} WHERE code NOT IN (SELECT d.c FROM (SELECT code AS c FROM {t}) d WHERE d.c <> ?)", &["x"]),
    ("SELECT id FROM {t} WHERE code NOT IN (SELECT code FROM {t})", &[]),
    ("SELECT id FROM {t} o WHERE code = ANY (SELECT DISTINCT code FROM {t} i WHERE i.id <> o.id)", &[]),
    ("SELECT id FROM {t} WHERE code <> ALL (SELECT code FROM {t} WHERE id = 2 GROUP BY code)", &[]),
    (
        "SELECT id FROM {t} WHERE code IN (SELECT code FROM {t} WHERE id = 1 UNION SELECT code FROM {t} WHERE id = 4)",
        &[],
    ),
    (
        "SELECT id FROM {t} WHERE code = (SELECT code FROM {t} WHERE id = 1) OR (SELECT code FROM {t} WHERE id = 2) <> code",
        &[],
    ),
    ("SELECT id, code IN (SELECT code FROM {t} WHERE id > ?) AS hit FROM {t}", &["2"]),
    ("SELECT id FROM {t} WHERE code IN (SELECT NULL) IS UNKNOWN", &[]),
    ("SELECT DISTINCT code FROM {t} UNION ALL SELECT code FROM {t} GROUP BY code", &[]),
    ("SELECT id FROM {t} WHERE EXISTS (SELECT DISTINCT code FROM {t} WHERE id = ?)", &["1"]),
    ("SELECT DISTINCT code FROM {t} FOR UPDATE", &[]),
    ("SELECT d.c FROM (SELECT COALESCE(code, 'x') AS c FROM {t}) d RIGHT JOIN {t} b ON b.id = 1 GROUP BY d.c", &[]),
];

const REFUSED: &[&str] = &[
    "SELECT * FROM customers GROUP BY code",
    "SELECT note FROM customers GROUP BY note",
    "SELECT code FROM customers GROUP BY UPPER(code)",
    "SELECT code FROM customers GROUP BY code ORDER BY code",
    "SELECT COALESCE(code, 'x') AS c FROM customers GROUP BY code",
    "SELECT COUNT(*) FROM customers GROUP BY code HAVING code = 'x'",
    "SELECT DISTINCT * FROM customers",
    "SELECT DISTINCT note FROM customers",
    "SELECT DISTINCT code, COUNT(*) FROM customers GROUP BY code, name",
    "SELECT COUNT(DISTINCT note) AS n FROM customers",
    "SELECT COUNT(*) OVER (PARTITION BY note) AS n FROM customers",
    "SELECT id FROM customers WHERE code IN (SELECT phone FROM customers)",
    "SELECT id FROM customers WHERE code IN (SELECT name FROM customers)",
    "SELECT id FROM customers WHERE code IN (SELECT 'x')",
    "SELECT id FROM customers WHERE code > ANY (SELECT code FROM customers)",
    "SELECT id FROM customers WHERE note IN (SELECT note FROM customers)",
];

/// Rows whose protected values are written in several ways: equal by the normaliser of the index.
pub(super) const SPELLINGS: &str =
    "INSERT INTO customers (id, phone) VALUES (21, '090-1234-5678'), (22, '+819012345678'), (23, '(090) 1234 5678')";

/// Statements that MySQL alone answers.
const ROLLUPS: &[Select] = &[
    ("SELECT code, COUNT(*) AS n FROM {t} GROUP BY code WITH ROLLUP", &[]),
    ("SELECT code AS c, phone, SUM(id), MAX(name) FROM {t} WHERE id < ? GROUP BY c, phone WITH ROLLUP", &["5"]),
    ("SELECT name, t.code, COUNT(DISTINCT phone) AS n FROM {t} t GROUP BY 1, 2 WITH ROLLUP HAVING n > 0", &[]),
    ("SELECT COUNT(*) AS n FROM {t} GROUP BY code WITH ROLLUP", &[]),
    (
        "SELECT d.c, d.n FROM (SELECT code AS c, COUNT(*) AS n FROM {t} GROUP BY code WITH ROLLUP) d WHERE d.c <> ?",
        &["x"],
    ),
];

pub(super) async fn equal_values_are_one(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    let rollups = if kind == Kind::MySql { ROLLUPS } else { &[] };
    twins.assert_alike(kind, SELECTS.iter().chain(rollups), sorted_as).await;
    // Named by nothing that is grouped.
    let mut wrong = Vec::new();
    for sql in ["SELECT code, name FROM {t} GROUP BY code", "SELECT id, code FROM {t} GROUP BY phone"] {
        for conn in [&mut twins.through, &mut twins.direct] {
            text(conn, "SET sql_mode = 'ONLY_FULL_GROUP_BY'").await;
        }
        let [(through, direct), _] = twins.answers(sql, &[]).await;
        if through.error() != direct.error() {
            wrong.push(format!("{sql}\n  through {through:?}\n  direct  {direct:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if kind == Kind::MariaDb {
        refused(&mut twins.through, "SELECT code FROM customers GROUP BY code WITH ROLLUP", 1235, "42000").await;
        let sql = "SELECT DISTINCT d.c FROM (SELECT COALESCE(code, 'x') AS c FROM customers) d RIGHT JOIN customers b ON b.id = 1";
        refused(&mut twins.through, sql, 1235, "42000").await;
    }
    twins.assert_refused(REFUSED).await;
    text(&mut twins.through, SPELLINGS).await;
    let sql = "SELECT COUNT(*) AS n FROM customers WHERE id > 20 GROUP BY phone";
    assert_eq!(text(&mut twins.through, sql).await.cells(), [[Some("3".to_owned())]]);
    let mut engineer = twins.shop.connect(Who::Engineer).await;
    for sql in ["SELECT COUNT(*) FROM customers GROUP BY code", "SELECT COUNT(DISTINCT code) AS n FROM customers"] {
        refused(&mut engineer, sql, 1143, "42000").await;
    }
}

/// Statements that need all cells to be indexed under one key.
const ONE_FORM: &[&str] = &[
    "SELECT code, COUNT(*) AS n FROM {t} GROUP BY code",
    "SELECT DISTINCT code FROM {t}",
    "SELECT COUNT(DISTINCT code) AS n FROM {t}",
    "SELECT id, COUNT(*) OVER (PARTITION BY code) AS n FROM {t}",
    "SELECT id FROM {t} WHERE code IN (SELECT code FROM {t} WHERE id = 1)",
];

pub(super) async fn equal_values_are_told_only_while_all_cells_have_one_form(kind: Kind) {
    let mut twins = Twins::of_several_forms(kind, ONE_FORM).await;
    // A constant and a CASE say nothing of equality between cells.
    let sql = "SELECT id, COALESCE(code, ?) AS c, CASE code WHEN 'x' THEN 1 ELSE 0 END AS n FROM {t}";
    let [(through, direct), _] = twins.answers(sql, &["none"]).await;
    assert_eq!(sorted(kind, through), sorted(kind, direct), "{sql}");
}
