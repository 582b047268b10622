//! UNION, INTERSECT and EXCEPT: rows with protected columns are equal where a plain table's are, and a statement that
//! cannot tell is refused.

use super::alike::Select;
use super::equal_values::SPELLINGS;
use super::{Kind, Twins, sorted_as};
use crate::support::shop::{Who, refused, text};

/// Statements with their parameters.
const SELECTS: &[Select] = &[
    ("SELECT code FROM {t} UNION SELECT code FROM {t}", &[]),
    (
        "SELECT id, code AS c, phone FROM {t} WHERE id < ? UNION DISTINCT SELECT id, code, phone FROM {t} WHERE code = ?",
        &["4", "x"],
    ),
    ("SELECT code, name FROM {t} WHERE phone = ? INTERSECT SELECT code, name FROM {t} WHERE id > ?", &["1", "1"]),
    ("SELECT phone, code FROM {t} EXCEPT SELECT phone, code FROM {t} WHERE code = ? OR phone IS NULL", &["x"]),
    ("SELECT code FROM {t} EXCEPT DISTINCT SELECT code FROM {t} WHERE code IN ('x', ?)", &["y"]),
    ("SELECT name, code FROM {t} INTERSECT DISTINCT SELECT name, code FROM {t} WHERE id IN (1, 3, 5)", &[]),
    // Chains: INTERSECT comes before the others, and ALL lets equal rows in that a later operation leaves out or not.
    ("SELECT code FROM {t} UNION ALL SELECT code FROM {t} UNION SELECT code FROM {t} WHERE id = ?", &["1"]),
    (
        "SELECT code FROM {t} WHERE id < ? UNION SELECT code FROM {t} UNION ALL SELECT code FROM {t} WHERE id = ?",
        &["3", "1"],
    ),
    (
        "SELECT code FROM {t} WHERE id = ? UNION SELECT code FROM {t} WHERE id < ? INTERSECT SELECT code FROM {t} WHERE id > ?",
        &["2", "5", "2"],
    ),
    (
        "SELECT code FROM {t} EXCEPT SELECT code FROM {t} WHERE code = ? EXCEPT SELECT code FROM {t} WHERE code = ? \
         UNION SELECT code FROM {t} WHERE id = 1",
        &["x", "y"],
    ),
    (
        "SELECT code FROM {t} INTERSECT SELECT code FROM {t} WHERE id > ? INTERSECT SELECT code FROM {t} WHERE id < ?",
        &["1", "4"],
    ),
    (
        "SELECT code FROM {t} EXCEPT (SELECT code FROM {t} WHERE id > ? EXCEPT SELECT code FROM {t} WHERE id > ?)",
        &["1", "3"],
    ),
    ("(SELECT code FROM {t} WHERE id < ?) UNION (SELECT code FROM {t} ORDER BY id LIMIT 3)", &["2"]),
    ("((SELECT code FROM {t}) UNION ((SELECT code FROM {t})))", &[]),
    // What stands behind the last operand belongs to the whole.
    ("SELECT id, code FROM {t} UNION SELECT id, code FROM {t} WHERE code = ? ORDER BY id DESC LIMIT 3", &["x"]),
    ("SELECT name AS n, code FROM {t} INTERSECT SELECT name, code FROM {t} ORDER BY 1, n IS NULL", &[]),
    ("(SELECT id AS i, code FROM {t} EXCEPT SELECT id, code FROM {t} WHERE id = ?) ORDER BY i LIMIT 2", &["3"]),
    // Names: of stars, aliases, expressions, and twice the same one.
    ("SELECT id, name, code, phone FROM {t} UNION SELECT * FROM (SELECT id, name, code, phone FROM {t}) d", &[]),
    ("SELECT d.* FROM (SELECT name, code FROM {t}) d UNION SELECT name, code FROM {t}", &[]),
    ("SELECT t.Code, `code`, id + 1, ID FROM {t} t UNION SELECT code, code, 7, id FROM {t}", &[]),
    (
        "SELECT code AS `a``b`, COUNT(*) , 'lit' AS l FROM {t} GROUP BY code UNION SELECT phone_code, n, 'x' FROM \
      (SELECT code AS phone_code, COUNT(*) AS n FROM {t} GROUP BY code) d",
        &[],
    ),
    ("SELECT DISTINCT code, name FROM {t} EXCEPT SELECT code, name FROM {t} WHERE name = 'a'", &[]),
    ("SELECT COALESCE(code, 'none') AS c FROM {t} UNION SELECT NULLIF(code, ?) AS d FROM {t}", &["x"]),
    // Nested.
    (
        "SELECT d.c, COUNT(*) AS n FROM (SELECT code AS c FROM {t} UNION SELECT code FROM {t}) d WHERE d.c <> ? GROUP BY d.c",
        &["y"],
    ),
    ("SELECT * FROM (SELECT code, name FROM {t} INTERSECT SELECT code, name FROM {t}) d", &[]),
    ("SELECT COUNT(*) AS n FROM (SELECT id + 1 AS i, code FROM {t} EXCEPT SELECT id, code FROM {t}) d", &[]),
    (
        "WITH w AS (SELECT code FROM {t} WHERE id > ?), v (c) AS (SELECT code FROM w UNION SELECT code FROM w) \
      SELECT c FROM v EXCEPT SELECT code FROM w WHERE code = ?",
        &["1", "x"],
    ),
    (
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) \
      SELECT code FROM {t} JOIN n ON n.i = id UNION SELECT code FROM {t} WHERE id = 5",
        &[],
    ),
    (
        "SELECT id FROM {t} WHERE code IN (SELECT code FROM {t} WHERE id = 1 EXCEPT SELECT code FROM {t} WHERE id = ?)",
        &["4"],
    ),
    (
        "SELECT id FROM {t} WHERE EXISTS (SELECT code FROM {t} WHERE id = 1 INTERSECT SELECT code FROM {t} WHERE id = ?)",
        &["2"],
    ),
    (
        "SELECT id FROM {t} WHERE NOT EXISTS (SELECT phone FROM {t} WHERE id = 3 EXCEPT SELECT phone FROM {t} WHERE id > ?)",
        &["2"],
    ),
    ("SELECT (SELECT code FROM {t} WHERE id = 1 UNION SELECT code FROM {t} WHERE id = ?) AS c", &["5"]),
    (
        "SELECT code, b.id FROM {t} a JOIN {t} b USING (code) UNION SELECT code, a.id FROM {t} b JOIN {t} a USING (code)",
        &[],
    ),
    ("SELECT id FROM {t} UNION SELECT id FROM {t} WHERE code = ?", &["x"]),
];

const REFUSED: &[&str] = &[
    "SELECT note FROM customers UNION SELECT note FROM customers",
    "SELECT code FROM customers UNION SELECT name FROM customers",
    "SELECT code FROM customers INTERSECT SELECT phone FROM customers",
    "SELECT code FROM customers EXCEPT SELECT 'x'",
    "SELECT code FROM customers UNION SELECT NULL",
    "SELECT code FROM customers INTERSECT ALL SELECT code FROM customers",
    "SELECT code FROM customers EXCEPT ALL SELECT code FROM customers",
    "SELECT code, id FROM customers UNION SELECT code FROM customers",
    "SELECT code FROM customers UNION SELECT code FROM customers ORDER BY code",
    "SELECT code FROM customers UNION SELECT code FROM customers FOR UPDATE",
    "(SELECT code FROM customers FOR UPDATE) UNION (SELECT code FROM customers)",
    "(SELECT code FROM customers UNION SELECT code FROM customers) FOR UPDATE",
    "SELECT SQL_CALC_FOUND_ROWS code FROM customers UNION SELECT code FROM customers",
    "SELECT code FROM customers UNION SELECT code FROM customers INTO @v",
    "SELECT id FROM customers o WHERE EXISTS (SELECT code FROM customers UNION SELECT code FROM customers i WHERE i.id = o.id)",
    "SELECT (SELECT i.code FROM customers i WHERE i.id = o.id INTERSECT SELECT code FROM customers) FROM customers o",
    "SELECT code, 'lit' FROM customers UNION SELECT code, 'lit' FROM customers",
    "SELECT d.code FROM (SELECT code, id + 1 FROM customers UNION SELECT code, id FROM customers) d",
    "WITH RECURSIVE n AS (SELECT id, code FROM customers UNION SELECT id + 1, code FROM n WHERE id < 9) SELECT code FROM n",
    "INSERT INTO orders (remark) SELECT code FROM customers UNION SELECT code FROM customers",
    "CREATE TABLE copied AS SELECT code FROM customers UNION SELECT code FROM customers",
];

pub(super) async fn rows_are_compared_by_what_they_hold(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.assert_alike(kind, SELECTS, sorted_as).await;
    twins.assert_refused(REFUSED).await;
    text(&mut twins.through, SPELLINGS).await;
    for (sql, expected) in [
        ("SELECT phone FROM customers WHERE id > 20 EXCEPT SELECT phone FROM customers WHERE id = 22", None),
        // The left operand's spelling is shown.
        (
            "SELECT phone FROM customers WHERE id = 23 INTERSECT SELECT phone FROM customers WHERE id IN (21, 22)",
            Some("(090) 1234 5678"),
        ),
    ] {
        let cells = text(&mut twins.through, sql).await.cells();
        assert_eq!(cells, expected.map(|cell| vec![Some(cell.to_owned())]).into_iter().collect::<Vec<_>>(), "{sql}");
    }
    // To a role that sees masks, which rows are equal says something of the values.
    let mut engineer = twins.shop.connect(Who::Engineer).await;
    for sql in [
        "SELECT code FROM customers UNION SELECT code FROM customers",
        "SELECT id FROM customers WHERE EXISTS (SELECT code FROM customers INTERSECT SELECT code FROM customers)",
    ] {
        refused(&mut engineer, sql, 1143, "42000").await;
    }
}

/// Statements that need all cells to be indexed under one key.
const ONE_FORM: &[&str] = &[
    "SELECT code FROM {t} UNION SELECT code FROM {t}",
    "SELECT code, id FROM {t} INTERSECT SELECT code, id FROM {t} WHERE id < 4",
    "SELECT code FROM {t} EXCEPT SELECT code FROM {t} WHERE id = 1",
];

pub(super) async fn rows_are_compared_only_while_all_cells_have_one_form(kind: Kind) {
    Twins::of_several_forms(kind, ONE_FORM).await;
}
