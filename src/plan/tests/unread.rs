//! Tables that the catalog does not know: for a role that does not see all values, it is read again first.

use super::*;

/// Statements with one, which names nothing that is known to be protected.
const UNKNOWN: &[&str] = &[
    "SELECT * FROM new_view",
    "SELECT p FROM shop.new_view v WHERE v.id = 1",
    "SELECT o.id FROM orders o JOIN new_view v ON v.id = o.id",
    "SELECT id FROM orders WHERE id IN (SELECT id FROM new_view)",
    "SELECT (SELECT COUNT(*) FROM new_view) FROM orders",
    "SELECT d.p FROM (SELECT p FROM new_view) d",
    "TABLE new_view",
    "WITH d AS (SELECT p FROM new_view) SELECT p FROM d",
    "WITH a AS (SELECT * FROM new_view), new_view AS (SELECT 1) SELECT * FROM a",
    "WITH new_view AS (SELECT * FROM new_view) SELECT * FROM new_view",
    "SELECT 1 FROM new_view, (WITH new_view AS (SELECT 1) SELECT 1 FROM new_view) d",
    "WITH new_view AS (SELECT 1) SELECT * FROM shop.new_view",
    "INSERT INTO orders (id) SELECT id FROM new_view",
    "INSERT INTO new_view (id) VALUES (1)",
    "UPDATE orders SET id = (SELECT MAX(id) FROM new_view)",
    "UPDATE new_view SET id = 1",
    "DELETE FROM orders WHERE id IN (SELECT id FROM new_view)",
    "EXPLAIN SELECT * FROM new_view",
    "PREPARE s FROM 'SELECT * FROM new_view'",
    "SET @p = (SELECT MAX(p) FROM new_view)",
    "DO (SELECT MAX(p) FROM new_view)",
    "CREATE TABLE copy AS SELECT p FROM new_view",
];

/// Statements without.
const KNOWN: &[&str] = &[
    "SELECT id FROM orders",
    "SELECT 1",
    "SELECT 1 FROM DUAL",
    "WITH d AS (SELECT id FROM orders), e AS (SELECT id FROM d) SELECT id FROM e",
    "WITH RECURSIVE d AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 3) SELECT n FROM d",
    "WITH d AS (SELECT 1 AS n) SELECT (SELECT n FROM d) FROM orders",
    "SELECT TABLE_NAME FROM information_schema.TABLES",
    "INSERT INTO orders (id) VALUES (1)",
    "SHOW TABLES",
];

#[test]
fn a_table_that_is_not_known_has_the_catalog_read_again() {
    for role in [MASKED, CIPHERTEXT, ENGINEER] {
        let first = Shop { role, lookup: Lookup::First, ..Shop::open() };
        let again = Shop { role, ..Shop::open() };
        for sql in UNKNOWN {
            // Twice: neither answer is remembered.
            for _ in 0..2 {
                assert!(matches!(first.refusal(sql), Some(Refusal::UnknownName { .. })), "{sql}");
                assert_eq!(again.refusal(sql), None, "{sql}");
            }
        }
        for sql in KNOWN {
            assert_eq!(first.refusal(sql), None, "{sql}");
        }
    }
    let plain = Shop { lookup: Lookup::First, ..Shop::open() };
    for sql in UNKNOWN.iter().chain(KNOWN) {
        assert_eq!(plain.refusal(sql), None, "who sees all values is not kept waiting: {sql}");
    }
}

#[test]
fn statistics_of_values_are_not_for_a_role_that_does_not_see_them() {
    for sql in [
        "SELECT histogram FROM information_schema.column_statistics",
        "SELECT `HISTOGRAM` FROM INFORMATION_SCHEMA.`COLUMN_STATISTICS`",
        "SET @h = (SELECT histogram FROM information_schema.column_statistics LIMIT 1)",
        "SELECT min_value FROM mysql.column_stats",
        "SELECT histogram FROM information_schema.`COLUMN_STAT\u{130}STICS`",
        "SELECT stat_value FROM mysql.innodb_index_stats WHERE stat_name = 'n_diff_pfx01'",
        "SELECT avg_frequency FROM mysql . `index_stats`",
        "SELECT * FROM information_schema.statistics",
        "SELECT s.* FROM information_schema.statistics s",
        "SELECT COUNT(*), Cardinality FROM INFORMATION_SCHEMA.Statistics GROUP BY 2",
        "SELECT `CARD\u{130}NALITY` FROM `information_schema` . `STATISTICS`",
        "WITH d (a) AS (SELECT index_name FROM information_schema.statistics WHERE cardinality > 5) SELECT a FROM d",
        "TABLE information_schema.statistics",
        "CREATE TABLE t AS TABLE information_schema.statistics",
        "INSERT INTO orders (remark) SELECT MAX(cardinality) FROM information_schema.statistics",
        "PREPARE s FROM 'SELECT * FROM information_schema.statistics'",
        "SHOW INDEX FROM customers",
        "SHOW EXTENDED INDEX IN `customers` IN shop",
        "SHOW KEYS FROM shop.Customers WHERE cardinality > 5",
        "PREPARE s FROM 'SHOW INDEXES FROM customers'",
    ] {
        assert!(
            matches!(Shop { role: MASKED, ..Shop::open() }.refusal(sql), Some(Refusal::Unsupported { .. })),
            "{sql}"
        );
        let seen = Shop::open().refusal(sql);
        assert!(!matches!(seen, Some(Refusal::Unsupported { .. })), "{sql}: {seen:?}");
    }
    let used = Shop { database: Some("information_schema"), role: MASKED, ..Shop::open() };
    assert!(matches!(used.refusal("SELECT cardinality FROM statistics"), Some(Refusal::Unsupported { .. })));
    for sql in [
        "SELECT COUNT(*) FROM information_schema.statistics WHERE index_name = 'one'",
        "SELECT index_name, column_name FROM information_schema.statistics",
        "SELECT * FROM statistics",
        "SELECT * FROM shop.index_stats",
        "SHOW INDEX FROM orders",
        "SHOW INDEX FROM customers FROM elsewhere",
    ] {
        let refusal = Shop { role: MASKED, database: Some("other"), ..Shop::open() }.refusal(sql);
        assert!(!matches!(refusal, Some(Refusal::Unsupported { .. })), "{sql}: {refusal:?}");
    }
    for role in [PLAIN, MASKED] {
        let shop = Shop { role, ..Shop::open() };
        for sql in [
            "ANALYZE TABLE customers UPDATE HISTOGRAM ON phone WITH 8 BUCKETS",
            "ANALYZE TABLE customers PERSISTENT FOR COLUMNS (phone) INDEXES ()",
        ] {
            assert!(matches!(shop.refusal(sql), Some(Refusal::Unsupported { .. })), "{sql}");
        }
        for sql in ["ANALYZE TABLE customers", "ANALYZE TABLE orders UPDATE HISTOGRAM ON id WITH 8 BUCKETS"] {
            assert_eq!(shop.refusal(sql), None, "{sql}");
        }
    }
}
