//! Whether a value is there, asked of a UNIQUE key, and how many different ones there are, asked of the statistics of
//! indexes.

use mysql_async::Conn;

use super::{ONE, masking, store};
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, prepared, text};

/// Writes that would conflict with the row that has the value, or would not, had they been sent. `{v}` is the value.
const WRITES: [&str; 22] = [
    "INSERT INTO customers (id, phone) VALUES (9, {v})",
    "INSERT INTO customers (phone) VALUES ({v})",
    "INSERT INTO customers SET id = 9, phone = {v}",
    "INSERT INTO customers (id, phone) VALUES (9, NULL), (10, {v})",
    "INSERT INTO customers (id, phone) SELECT 9, {v}",
    "INSERT INTO customers (id, phone) SELECT id + 8, phone FROM customers",
    "INSERT IGNORE INTO customers (id, phone) VALUES (9, {v})",
    "INSERT IGNORE INTO customers (id, phone) SELECT 9, {v}",
    "INSERT INTO customers (id, phone) VALUES (9, {v}) ON DUPLICATE KEY UPDATE name = 'x'",
    "INSERT INTO customers (id, phone) VALUES (9, {v}) ON DUPLICATE KEY UPDATE id = id",
    "INSERT INTO customers (id) VALUES (2) ON DUPLICATE KEY UPDATE phone = {v}",
    "INSERT INTO customers (id) VALUES (2) ON DUPLICATE KEY UPDATE name = 'x', phone = {v}",
    "REPLACE INTO customers (id, phone) VALUES (9, {v})",
    "REPLACE INTO customers SET id = 9, phone = {v}",
    "REPLACE INTO customers (id, phone) SELECT 9, {v}",
    "UPDATE customers SET phone = {v} WHERE id = 2",
    "UPDATE customers SET name = 'x', phone = {v} WHERE id = 2",
    "UPDATE IGNORE customers SET phone = {v} WHERE id = 2",
    "UPDATE customers c JOIN orders o ON o.customer = c.id SET c.phone = {v}",
    "UPDATE orders o, customers c SET o.remark = 'x', c.phone = {v} WHERE c.id = 2",
    "UPDATE IGNORE customers c LEFT JOIN orders o ON o.customer = c.id SET c.phone = {v} WHERE c.id = 2",
    "UPDATE customers a, customers b SET a.phone = b.phone WHERE a.id = 2 AND b.id = 1",
];

fn open(kind: Kind) -> Shop<'static> {
    let deployment = Deployment::shared(kind);
    Shop::open_as(deployment, |database| {
        deployment.server.sql(&format!("ALTER TABLE {database}.customers ADD UNIQUE KEY one_phone (phone(23))"));
        masking(database)
    })
}

async fn two_customers(conn: &mut Conn) {
    store(conn, ONE).await;
    let sql = "INSERT INTO customers (id, name, phone) VALUES (2, 'Ben', '+81 90-1111-2222')";
    assert!(matches!(text(conn, sql).await, Answer::Done { .. }));
}

/// Each role without the values is told the same of a value that is there and of one that is not, and nothing is written.
pub(super) async fn answer_nothing(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    two_customers(&mut application).await;
    // The key does what it is for: the writes are denied before it is asked, not because it is not there.
    let taken = "INSERT INTO customers (id, phone) VALUES (9, '+81 90-1234-5678')";
    assert_eq!(text(&mut application, taken).await.error(), (1062, "23000"));
    let before = shop.deployment.server.sql(&format!("SELECT id, name, HEX(phone) FROM {}.customers", shop.database));
    for who in [Who::Engineer, Who::Support, Who::Nobody] {
        let mut conn = shop.connect(who).await;
        for write in WRITES {
            for value in [ONE[0], "+81 90-9999-9999"] {
                let sql = write.replace("{v}", &format!("'{value}'"));
                let mut answers = vec![text(&mut conn, &sql).await, prepared(&mut conn, &sql, ()).await];
                if write.contains("{v}") {
                    answers.push(prepared(&mut conn, &write.replace("{v}", "?"), (value,)).await);
                }
                for answer in answers {
                    assert_eq!(answer.error(), (1143, "42000"), "{who:?} {sql}: {answer:?}");
                }
            }
        }
        assert_in_step(&mut conn, "all writes").await;
    }
    let after = shop.deployment.server.sql(&format!("SELECT id, name, HEX(phone) FROM {}.customers", shop.database));
    assert_eq!(after, before);
}

/// Who sees the values is told how many there are; other roles are told of their indexes without that.
pub(super) async fn are_counted_for_nobody_else(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    two_customers(&mut application).await;
    let counted = [
        "SHOW INDEX FROM customers",
        "SELECT cardinality FROM information_schema.statistics WHERE table_name = 'customers'",
        "SELECT * FROM information_schema.statistics WHERE table_name = 'customers'",
    ];
    let uncounted = [
        "SHOW INDEX FROM orders",
        "SELECT index_name, column_name FROM information_schema.statistics WHERE table_name = 'customers'",
        "SELECT COUNT(*) FROM information_schema.statistics WHERE table_name = 'customers'",
    ];
    for who in [Who::Application, Who::Engineer, Who::Support, Who::Nobody] {
        let mut conn = shop.connect(who).await;
        for sql in counted {
            for answer in [text(&mut conn, sql).await, prepared(&mut conn, sql, ()).await] {
                match who {
                    Who::Application => assert!(!answer.cells().is_empty(), "{sql}: {answer:?}"),
                    Who::Engineer | Who::Support | Who::Nobody => {
                        assert_eq!(answer.error(), (1235, "42000"), "{who:?} {sql}: {answer:?}");
                    }
                }
            }
        }
        for sql in uncounted {
            for answer in [text(&mut conn, sql).await, prepared(&mut conn, sql, ()).await] {
                assert!(!answer.cells().is_empty(), "{who:?} {sql}: {answer:?}");
            }
        }
    }
}
