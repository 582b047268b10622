//! Temporary tables: in their session they stand in the place of tables that the catalog knows, with other columns.

use super::{ONE, masking, store};
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, prepared, text};

/// Temporary tables in the place of `people`, which has a column `phone` otherwise, and of two more.
const SHADOWS: [&str; 8] = [
    "CREATE TEMPORARY TABLE people (x INT)",
    "CREATE TEMPORARY TABLE narrow (a INT)",
    "CREATE TEMPORARY TABLE wide (c INT, d INT)",
    "INSERT INTO people VALUES (1)",
    "INSERT INTO narrow VALUES (1)",
    "INSERT INTO wide VALUES (1, NULL)",
    "CREATE TEMPORARY TABLE kept (name VARCHAR(600), z INT PRIMARY KEY)",
    "INSERT INTO kept VALUES ('', 1)",
];

/// What would show the envelope with its blind index, or let it be compared, and the error that it is refused with.
const ATTEMPTS: [(&str, u16); 9] = [
    ("SELECT (SELECT HEX(phone) FROM people LIMIT 1) AS h FROM customers", 1143),
    ("SELECT (SELECT HEX(people.phone) FROM people LIMIT 1) AS h FROM customers AS people", 1143),
    ("SELECT id FROM customers WHERE EXISTS (SELECT 1 FROM people WHERE phone > x'C1FE1D0110000180')", 1143),
    ("UPDATE customers SET name = (SELECT HEX(phone) FROM people LIMIT 1)", 1143),
    ("DELETE FROM customers WHERE (SELECT phone FROM people LIMIT 1) IS NULL", 1143),
    // The servers know a list of names behind a derived table as such, or one behind a common table expression.
    (
        "WITH d (x0, x1, x2, x3, x4) AS (SELECT n.*, k.id, k.phone, w.* FROM narrow n, customers k, wide w) \
         SELECT HEX(x2) FROM d",
        1235,
    ),
    (
        "INSERT INTO kept (z) SELECT c.id FROM (SELECT id, phone AS p FROM customers) c \
         ON DUPLICATE KEY UPDATE name = HEX(p)",
        1235,
    ),
    (
        "INSERT INTO customers (id) SELECT c.id FROM (SELECT id, phone AS p FROM customers) c \
         ON DUPLICATE KEY UPDATE name = (SELECT MAX(HEX(p)) FROM kept)",
        1235,
    ),
    ("SELECT * FROM (SELECT n.*, k.phone, k.id, w.* FROM narrow n, customers k, wide w LIMIT 3) d", 1235),
];

pub(super) async fn tables_lead_nowhere(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| {
        deployment.server.sql(&format!(
            "CREATE TABLE {database}.narrow (a INT, b VARBINARY(256)); CREATE TABLE {database}.wide (c INT); \
             CREATE TABLE {database}.kept (name VARCHAR(600), p VARBINARY(256), z INT PRIMARY KEY); \
             INSERT INTO {database}.people (id, phone) VALUES (1, 'their own')"
        ));
        masking(database)
    });
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    for who in [Who::Engineer, Who::Support, Who::Nobody] {
        let mut conn = shop.connect(who).await;
        // Where nothing could be meant farther out, the tables themselves answer.
        let own = "SELECT (SELECT MAX(p.phone) FROM people p) AS h FROM customers";
        assert_eq!(text(&mut conn, own).await.cells(), [[Some("their own".to_owned())]], "{who:?}");
        for sql in SHADOWS {
            assert!(matches!(text(&mut conn, sql).await, Answer::Done { .. }), "{who:?} {sql}");
        }
        for (sql, code) in ATTEMPTS {
            // Who sees no value of a column at all is denied it first.
            let code = if who == Who::Nobody { 1143 } else { code };
            for answer in [text(&mut conn, sql).await, prepared(&mut conn, sql, ()).await] {
                assert_eq!(answer.error(), (code, "42000"), "{who:?} {sql}: {answer:?}");
            }
        }
        assert_eq!(text(&mut conn, own).await.error().0, 1054, "the server takes the temporary table");
        assert_in_step(&mut conn, "temporary tables").await;
    }
    // The role that sees the values is refused none of it.
    let (sql, _) = ATTEMPTS[0];
    assert_eq!(text(&mut application, sql).await.cells(), [[Some("7468656972206F776E".to_owned())]]);
}
