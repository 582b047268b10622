//! USING and NATURAL with protected common columns: such a column stands once in the result, and is the one that a plain
//! table's join shows.

use super::alike::Select;
use super::{Kind, Twins, sorted_as};

/// Statements with their parameters.
const SELECTS: &[Select] = &[
    ("SELECT * FROM {t} a JOIN {t} b USING (code)", &[]),
    ("SELECT code, a.id, b.id AS other FROM {t} a JOIN {t} b USING (code) WHERE code <> ? AND b.phone = '1'", &["y"]),
    ("SELECT (code), CODE AS c, `code` FROM {t} a INNER JOIN {t} b USING (`code`)", &[]),
    ("SELECT * FROM {t} a LEFT JOIN {t} b USING (id, code) WHERE id > ?", &["1"]),
    ("SELECT * FROM {t} a LEFT JOIN {t} b USING (phone, code)", &[]),
    ("SELECT * FROM {t} a RIGHT JOIN {t} b USING (code, phone)", &[]),
    ("SELECT id, code, a.id AS one FROM {t} a RIGHT JOIN {t} b USING (id, code) ORDER BY id", &[]),
    ("SELECT code, a.*, b.phone FROM {t} a STRAIGHT_JOIN {t} b USING (code)", &[]),
    ("SELECT * FROM {t} a JOIN {t} b USING (code) LEFT JOIN {t} c USING (code)", &[]),
    ("SELECT * FROM {t} a JOIN ({t} b LEFT JOIN {t} c USING (id, code)) USING (code)", &[]),
    (
        "SELECT a.note FROM {t} a JOIN {t} b USING (code) JOIN {t} c ON c.id = a.id WHERE a.code = ? AND b.phone IS NOT NULL",
        &["x"],
    ),
    ("SELECT code, COUNT(*) AS n FROM {t} a JOIN {t} b USING (code) GROUP BY code HAVING COUNT(*) > 1", &[]),
    ("SELECT COUNT(code), UPPER(id), id = 1 FROM {t} a JOIN {t} b USING (code, id) GROUP BY id", &[]),
    ("SELECT UPPER(id), code = 'x', IFNULL(code, 'none') FROM {t} a JOIN {t} b USING (code, id)", &[]),
    ("SELECT DISTINCT code FROM {t} a JOIN {t} b USING (code)", &[]),
    (
        "SELECT COALESCE(code, ?) AS c, IF(code = 'x', phone, NULL) AS p FROM {t} a LEFT JOIN {t} b USING (code, phone)",
        &["y"],
    ),
    ("SELECT id FROM {t} a JOIN {t} b USING (id, code) WHERE (code, id) IN (('x', 1), ('y', 2))", &[]),
    ("SELECT d.code, d.p FROM (SELECT code, a.phone AS p FROM {t} a JOIN {t} b USING (code)) d WHERE d.p = ?", &["1"]),
    (
        "SELECT code, d.n, e.phone FROM (SELECT code, COUNT(*) AS n FROM {t} GROUP BY code) d JOIN {t} e USING (code)",
        &[],
    ),
    (
        "WITH w AS (SELECT id, code FROM {t}) SELECT id, code FROM w NATURAL JOIN (SELECT code FROM {t} WHERE id < 3) d",
        &[],
    ),
    ("SELECT id, code FROM {t} a NATURAL LEFT JOIN (SELECT id, code, 1 AS one FROM {t} WHERE phone = '1') d", &[]),
    (
        "SELECT code, one FROM {t} a NATURAL RIGHT JOIN (SELECT phone, code, 1 AS one FROM {t}) d WHERE phone IS NOT NULL",
        &[],
    ),
    ("SELECT id FROM {t} WHERE code IN (SELECT code FROM {t} a JOIN {t} b USING (code) WHERE a.id < b.id)", &[]),
    ("SELECT a.id FROM {t} a JOIN {t} b USING (code), {t} c WHERE c.id = 1", &[]),
];

const REFUSED: &[&str] = &[
    "SELECT a.id FROM customers a JOIN customers b USING (note)",
    "SELECT a.id FROM customers a NATURAL JOIN customers b",
    "SELECT a.id FROM customers a JOIN (SELECT name AS code FROM customers) b USING (code)",
    "SELECT a.id FROM customers a JOIN (SELECT phone AS code FROM customers) b USING (code)",
    "SELECT * FROM customers a JOIN (SELECT id AS n, code FROM customers) b USING (code)",
    "SELECT a.id FROM customers a JOIN customers b USING (code) WHERE EXISTS (SELECT code)",
    "SELECT b.id FROM customers a LEFT JOIN customers b USING (id, code) ORDER BY id",
    "SELECT a.name AS code FROM customers a LEFT JOIN customers b USING (code) ORDER BY code",
    "SELECT d.x FROM (SELECT COUNT(code) FROM customers a JOIN customers b USING (code)) d (x)",
    "UPDATE customers a JOIN customers b USING (code) SET a.name = 'x'",
    "DELETE a FROM customers a JOIN customers b USING (code)",
];

pub(super) async fn common_columns_are_one(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.assert_alike(kind, SELECTS, sorted_as).await;
    twins.assert_refused(REFUSED).await;
    twins.shop.move_to("encrypting");
    twins.assert_refused(&["SELECT a.id FROM customers a JOIN customers b USING (code)"]).await;
}
