//! TABLE in the place of a nested query: it stands for all columns of the table.

use super::alike::Select;
use super::{Kind, Twins, sorted_as};
use crate::support::shop::{Who, refused, text};

/// Statements that MySQL alone has.
const SELECTS: &[Select] = &[
    ("SELECT d.code, d.note FROM (TABLE {t}) d WHERE d.code = 'x'", &[]),
    ("WITH w AS (TABLE {t} LIMIT 9) SELECT id, code FROM w WHERE phone = '1'", &[]),
    ("SELECT EXISTS (TABLE {t}) AS e, NOT EXISTS (TABLE {t} LIMIT 0) AS n", &[]),
    ("SELECT id, code FROM {t} WHERE id IN (TABLE numbers)", &[]),
    ("SELECT id FROM {t} WHERE EXISTS (TABLE numbers) AND code = 'x'", &[]),
];

const REFUSED: &[&str] = &[
    "SELECT id FROM customers WHERE code IN (TABLE words)",
    "SELECT id FROM customers WHERE code = (TABLE words)",
    "SELECT id FROM customers WHERE code NOT IN (TABLE words)",
    "SELECT id FROM customers WHERE name IN (TABLE customers)",
    "SELECT d.code FROM (TABLE customers) d ORDER BY d.code",
];

/// What tells whether there are rows with protected columns, and shows them.
const DENIED: &[&str] = &[
    "SELECT EXISTS (TABLE customers) AS e",
    "SELECT id FROM orders WHERE EXISTS (TABLE customers)",
    "SELECT d.id FROM (TABLE customers) d",
    "WITH w AS (TABLE customers) SELECT id FROM w",
];

pub(super) async fn tables_stand_for_their_columns(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    if kind == Kind::MariaDb {
        return refused(&mut twins.through, "SELECT d.code FROM (TABLE customers) d", 1064, "42000").await;
    }
    for sql in [
        "CREATE TABLE numbers (n INT)",
        "CREATE TABLE words (w VARCHAR(30))",
        "INSERT INTO numbers VALUES (1), (3)",
        "INSERT INTO words VALUES ('x')",
    ] {
        text(&mut twins.direct, sql).await;
    }
    // The proxy loads the catalog again behind a change of the schema that it sees.
    text(&mut twins.through, "DROP TABLE IF EXISTS nothing").await;
    twins.assert_alike(kind, SELECTS, sorted_as).await;
    twins.assert_refused(REFUSED).await;
    let mut engineer = twins.shop.connect(Who::Engineer).await;
    for sql in DENIED {
        refused(&mut engineer, sql, 1143, "42000").await;
    }
}
