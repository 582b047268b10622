//! Attempts at a value that the role may not see, as data. `{c}` is the column, `{v}` a guess that is right in one of two
//! rounds.

use crate::support::server::Kind;

/// How an attempt ends for every role without the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With error 1143.
    Denied,
    /// With another error: the construct is closed to everybody, or is the server's to refuse.
    Refused,
    /// With whatever answer: it is the same for all values.
    Harmless,
}

/// An attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) end: End,
    pub(super) sql: &'static str,
    /// The only kind of server that knows the construct.
    pub(super) server: Option<Kind>,
}

const fn denied(sql: &'static str) -> Attempt {
    Attempt { end: End::Denied, sql, server: None }
}

const fn refused(sql: &'static str) -> Attempt {
    Attempt { end: End::Refused, sql, server: None }
}

const fn harmless(sql: &'static str) -> Attempt {
    Attempt { end: End::Harmless, sql, server: None }
}

impl Attempt {
    const fn on(self, kind: Kind) -> Self {
        Self { server: Some(kind), ..self }
    }
}

/// Those that are searches, for a role that policy grants them to.
pub(super) const SEARCHES: &[&str] = &[
    "SELECT id FROM customers WHERE {c} = '{v}'",
    "SELECT id FROM customers WHERE '{v}' = {c}",
    "SELECT id FROM customers WHERE {c} <=> '{v}'",
    "SELECT id FROM customers WHERE {c} IN ('{v}', 'x')",
    "SELECT id FROM customers WHERE id = 1 AND (name = 'x' OR customers.{c} = '{v}')",
    "SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE {c} = '{v}')",
    "SELECT d.n FROM (SELECT COUNT(*) AS n FROM customers WHERE {c} = '{v}') d",
    "SELECT d.p FROM (SELECT {c} AS p FROM customers) d WHERE d.p = '{v}'",
    "WITH d AS (SELECT {c} AS p FROM customers) SELECT p FROM d WHERE p = '{v}'",
];

pub(super) const ATTEMPTS: &[Attempt] = &[
    // Comparisons: each is a question about the value.
    denied("SELECT id FROM customers WHERE {c} = '{v}'"),
    denied("SELECT id FROM customers WHERE '{v}' = {c}"),
    denied("SELECT id FROM customers WHERE {c} <> '{v}'"),
    denied("SELECT id FROM customers WHERE {c} <=> '{v}'"),
    denied("SELECT id FROM customers WHERE NOT {c} = '{v}'"),
    denied("SELECT id FROM customers WHERE {c} IN ('{v}', 'x')"),
    denied("SELECT id FROM customers WHERE {c} NOT IN ('{v}')"),
    denied("SELECT id FROM customers WHERE {c} LIKE '{v}'"),
    denied("SELECT id FROM customers WHERE {c} LIKE '%1%'"),
    denied("SELECT id FROM customers WHERE {c} REGEXP '1'"),
    denied("SELECT id FROM customers WHERE {c} SOUNDS LIKE '{v}'"),
    denied("SELECT id FROM customers WHERE {c} > '+8'"),
    denied("SELECT id FROM customers WHERE {c} BETWEEN '+' AND ':'"),
    denied("SELECT id FROM customers WHERE {c} IS NULL"),
    denied("SELECT id FROM customers WHERE {c} IS NOT NULL"),
    denied("SELECT id FROM customers WHERE ISNULL({c})"),
    denied("SELECT id FROM customers WHERE ({c}, id) = ('{v}', 1)"),
    denied("SELECT id FROM customers WHERE ({c}, id) IN (('{v}', 1), ('x', 2))"),
    denied("SELECT id FROM customers WHERE {c}"),
    denied("SELECT id FROM customers WHERE {c} IS TRUE"),
    denied("SELECT id FROM customers WHERE {c} + 0 > 1"),
    denied("SELECT id FROM customers WHERE id = 1 AND (name = 'x' OR customers.{c} = '{v}')"),
    denied("SELECT id FROM customers WHERE STRCMP({c}, '{v}') = 0"),
    denied("SELECT id FROM customers WHERE FIELD({c}, '{v}') = 1"),
    denied("SELECT id FROM customers WHERE LOCATE('1', {c}) > 0"),
    denied("SELECT id FROM customers WHERE CASE {c} WHEN '{v}' THEN 1 ELSE 0 END = 1"),
    denied("SELECT id FROM customers WHERE IF({c} = '{v}', SLEEP(0), 0) = 0"),
    denied("SELECT {c} = '{v}' AS hit FROM customers"),
    denied("SELECT {c} IN ('{v}') AS hit FROM customers"),
    denied("SELECT customers.{c} = _binary'{v}' AS hit FROM customers"),
    // Functions and expressions of the select list.
    denied("SELECT UPPER({c}) FROM customers"),
    denied("SELECT HEX({c}) FROM customers"),
    denied("SELECT TO_BASE64({c}) FROM customers"),
    denied("SELECT LENGTH({c}) FROM customers"),
    denied("SELECT SUBSTRING({c}, 1, 23) FROM customers"),
    denied("SELECT MD5({c}) FROM customers"),
    denied("SELECT CRC32({c}) FROM customers"),
    denied("SELECT CONCAT('x', {c}) FROM customers"),
    denied("SELECT CONCAT_WS(',', id, {c}) FROM customers"),
    denied("SELECT CAST({c} AS CHAR) FROM customers"),
    denied("SELECT CONVERT({c} USING utf8mb4) FROM customers"),
    denied("SELECT BINARY {c} FROM customers"),
    denied("SELECT {c} COLLATE utf8mb4_bin FROM customers"),
    denied("SELECT COALESCE({c}, 'x') AS p FROM customers"),
    denied("SELECT IFNULL({c}, 'x') AS p FROM customers"),
    denied("SELECT NULLIF({c}, '{v}') AS p FROM customers"),
    denied("SELECT IF(id = 1, {c}, NULL) AS p FROM customers"),
    denied("SELECT CASE WHEN id = 1 THEN {c} END AS p FROM customers"),
    denied("SELECT CASE {c} WHEN '{v}' THEN 1 END AS p FROM customers"),
    denied("SELECT GREATEST({c}, 'x') FROM customers"),
    denied("SELECT -{c} FROM customers"),
    denied("SELECT {c} || 'x' FROM customers"),
    denied("SELECT JSON_OBJECT('p', {c}) FROM customers"),
    denied("SELECT JSON_ARRAYAGG({c}) FROM customers"),
    denied("SELECT JSON_EXTRACT({c}, '$') FROM customers"),
    denied("SELECT ANY_VALUE({c}) AS p FROM customers").on(Kind::MySql),
    denied("SELECT (SELECT {c} FROM customers LIMIT 1) AS p"),
    denied("SELECT (SELECT d.{c} FROM customers d WHERE d.id = c.id) AS p FROM customers c"),
    denied("SELECT DEFAULT({c}) FROM customers"),
    denied("SELECT EXPORT_SET(1, {c}, 'x') FROM customers"),
    denied("SELECT EXTRACTVALUE(1, {c}) FROM customers"),
    denied("SELECT UPDATEXML(1, CONCAT(0x7e, {c}), 1) FROM customers"),
    denied("SELECT EXP(~(SELECT d.x FROM (SELECT {c} AS x FROM customers) d))"),
    denied("SELECT GTID_SUBSET({c}, 1) FROM customers").on(Kind::MySql),
    // Grouping, ordering, aggregates, windows.
    denied("SELECT COUNT({c}) FROM customers"),
    denied("SELECT COUNT(DISTINCT {c}) AS n FROM customers"),
    denied("SELECT MAX({c}) FROM customers"),
    denied("SELECT MIN({c}) FROM customers"),
    denied("SELECT GROUP_CONCAT({c}) FROM customers"),
    denied("SELECT BIT_XOR({c}) FROM customers"),
    denied("SELECT COUNT(*) FROM customers GROUP BY {c}"),
    denied("SELECT {c}, COUNT(*) FROM customers GROUP BY 1"),
    denied("SELECT {c} AS p, COUNT(*) FROM customers GROUP BY p"),
    denied("SELECT COUNT(*) FROM customers GROUP BY LEFT({c}, 23)"),
    denied("SELECT name FROM customers GROUP BY name HAVING MAX({c}) > 'x'"),
    denied("SELECT {c} AS p FROM customers HAVING p = '{v}'"),
    denied("SELECT {c} AS p FROM customers HAVING p LIKE '%1%'"),
    denied("SELECT DISTINCT {c} FROM customers"),
    denied("SELECT DISTINCT d.p FROM (SELECT {c} AS p FROM customers) d"),
    denied("SELECT id FROM customers ORDER BY {c}"),
    denied("SELECT {c}, id FROM customers ORDER BY {x 1}"),
    // Names that the server changes before it looks for them.
    refused("SELECT {c} AS ' name' FROM customers ORDER BY name"),
    refused("SELECT id, {c} AS ` name` FROM customers HAVING HEX(name) LIKE 'C%'"),
    refused("SELECT {c} AS 'na\\me' FROM customers ORDER BY name"),
    refused(
        "SELECT (SELECT HEX(name) FROM (SELECT {c} AS ' name' FROM customers WHERE id = 1) d) AS x FROM customers c LIMIT 1",
    ),
    refused(
        "SELECT (SELECT HEX(name) FROM (SELECT {c} FROM customers WHERE id = 1) d (` name`)) AS x FROM customers c LIMIT 1",
    ),
    denied("SELECT {c} FROM customers ORDER BY 1"),
    denied("SELECT {c} AS p FROM customers ORDER BY p"),
    denied("SELECT id FROM customers ORDER BY {c} = '{v}'"),
    denied("SELECT id FROM customers ORDER BY IF({c} = '{v}', id, -id)"),
    denied("(SELECT {c} AS p FROM customers) ORDER BY p"),
    denied("SELECT LAG({c}) OVER (ORDER BY id) AS p FROM customers"),
    denied("SELECT FIRST_VALUE({c}) OVER (ORDER BY id) AS p FROM customers"),
    denied("SELECT COUNT(*) OVER (PARTITION BY {c}) AS n FROM customers"),
    denied("SELECT RANK() OVER (ORDER BY {c}) AS n FROM customers"),
    denied("SELECT COUNT(*) OVER w AS n FROM customers WINDOW w AS (PARTITION BY {c})"),
    // Joins, nested queries, set operations.
    denied("SELECT a.id FROM customers a JOIN customers b ON a.{c} = b.{c}"),
    denied("SELECT id FROM customers a JOIN customers b USING ({c})"),
    denied("SELECT 1 FROM customers a NATURAL JOIN customers b"),
    denied("SELECT o.id FROM orders o JOIN customers c ON o.remark = c.{c}"),
    denied("SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE {c} = '{v}')"),
    denied("SELECT id FROM orders WHERE remark IN (SELECT {c} FROM customers)"),
    denied("SELECT id FROM customers WHERE {c} IN (SELECT {c} FROM customers)"),
    denied("SELECT id FROM customers WHERE {c} = ANY (SELECT d.{c} FROM customers d)"),
    denied("SELECT id FROM orders WHERE remark < (SELECT {c} FROM customers LIMIT 1)"),
    denied("SELECT 1 WHERE '{v}' = (SELECT {c} FROM customers LIMIT 1)"),
    denied("SELECT 1 WHERE '{v}' IN (SELECT {c} FROM customers)"),
    denied("SELECT d.n FROM (SELECT COUNT(*) AS n FROM customers WHERE {c} = '{v}') d"),
    denied("SELECT d.p FROM (SELECT {c} AS p FROM customers) d WHERE d.p = '{v}'"),
    denied("WITH d AS (SELECT {c} AS p FROM customers) SELECT p FROM d WHERE p = '{v}'"),
    denied("WITH d (p) AS (SELECT {c} FROM customers) SELECT UPPER(p) AS p FROM d"),
    denied(
        "WITH RECURSIVE d AS (SELECT {c} AS p, 1 AS n FROM customers UNION ALL SELECT UPPER(p), n + 1 FROM d WHERE n < 2) SELECT p FROM d",
    ),
    denied("SELECT {c} FROM customers UNION SELECT {c} FROM customers"),
    denied("SELECT {c} FROM customers UNION ALL SELECT remark FROM orders"),
    denied("SELECT '{v}' UNION SELECT {c} FROM customers"),
    denied("SELECT {c} FROM customers UNION ALL SELECT '{v}'"),
    denied("SELECT '{v}' AS p UNION ALL SELECT {c} FROM customers"),
    denied("SELECT {c} FROM customers INTERSECT SELECT {c} FROM customers"),
    denied("SELECT {c} FROM customers EXCEPT SELECT {c} FROM customers"),
    denied("SELECT d.p FROM customers c, LATERAL (SELECT CONCAT(c.{c}) AS p) d").on(Kind::MySql),
    // Variables and INTO.
    denied("SELECT {c} INTO @p FROM customers LIMIT 1"),
    denied("SELECT @p := {c} FROM customers"),
    denied("SELECT {c} INTO OUTFILE '/tmp/never-written' FROM customers"),
    denied("SELECT {c} INTO DUMPFILE '/tmp/never-written' FROM customers LIMIT 1"),
    refused("SET @p = (SELECT {c} FROM customers LIMIT 1)"),
    refused("DO (SELECT {c} FROM customers LIMIT 1)"),
    // Writes.
    denied("INSERT INTO customers (id, {c}) VALUES (2, '{v}')"),
    denied("INSERT INTO customers (id, {c}) VALUES (2, NULL)"),
    denied("INSERT INTO customers SET id = 2, {c} = '{v}'"),
    denied("REPLACE INTO customers (id, {c}) VALUES (1, '{v}')"),
    denied("INSERT IGNORE INTO customers (id, {c}) VALUES (2, '{v}')"),
    denied("INSERT INTO customers (id) VALUES (1) ON DUPLICATE KEY UPDATE {c} = '{v}'"),
    denied("INSERT INTO customers (id) VALUES (1) ON DUPLICATE KEY UPDATE name = {c}"),
    denied(
        "INSERT INTO customers (id, name) VALUES (1, 'x') ON DUPLICATE KEY UPDATE name = IF({c} = '{v}', 'y', name)",
    ),
    denied("INSERT INTO orders (remark) SELECT {c} FROM customers"),
    denied("INSERT INTO orders (customer) SELECT id FROM customers WHERE {c} = '{v}'"),
    denied("INSERT INTO customers (id, {c}) SELECT 2, {c} FROM customers"),
    denied("REPLACE INTO orders (remark) SELECT {c} FROM customers"),
    denied("INSERT INTO orders (remark) VALUES ((SELECT {c} FROM customers LIMIT 1))"),
    denied("UPDATE customers SET {c} = '{v}' WHERE id = 1"),
    denied("UPDATE customers SET {c} = {c}"),
    denied("UPDATE customers SET {c} = NULL WHERE id = 1"),
    denied("UPDATE customers SET {c} = DEFAULT WHERE id = 1"),
    denied("UPDATE customers SET name = {c}"),
    denied("UPDATE customers SET name = CONCAT(name, {c})"),
    denied("UPDATE customers SET name = 'x' WHERE {c} = '{v}'"),
    denied("UPDATE customers SET name = 'x' ORDER BY {c} LIMIT 1"),
    denied("UPDATE orders o JOIN customers c ON c.id = o.customer SET o.remark = c.{c}"),
    denied("UPDATE orders o JOIN customers c ON c.{c} = '{v}' SET o.remark = 'x'"),
    denied("UPDATE orders SET remark = (SELECT {c} FROM customers LIMIT 1)"),
    denied("DELETE FROM customers WHERE {c} = '{v}'"),
    denied("DELETE FROM customers ORDER BY {c} LIMIT 1"),
    denied("DELETE o FROM orders o JOIN customers c ON c.{c} = '{v}'"),
    denied("DELETE FROM customers WHERE id = 9 RETURNING {c}").on(Kind::MariaDb),
    denied("INSERT INTO customers (id) VALUES (2) RETURNING {c}").on(Kind::MariaDb),
    // Statements about statements.
    denied("EXPLAIN SELECT id FROM customers WHERE {c} = '{v}'"),
    denied("EXPLAIN FORMAT=JSON SELECT id FROM customers WHERE {c} = '{v}'"),
    denied("EXPLAIN UPDATE customers SET name = 'x' WHERE {c} = '{v}'"),
    denied("EXPLAIN ANALYZE SELECT id FROM customers WHERE {c} = '{v}'").on(Kind::MySql),
    // What stands in a row that is found by a key is a constant to the server, and is described as such.
    denied("EXPLAIN SELECT {c} FROM customers WHERE id = 1"),
    denied("EXPLAIN FORMAT=JSON SELECT {c} FROM customers WHERE id = 1"),
    denied("EXPLAIN FORMAT=JSON SELECT d.id FROM (SELECT * FROM customers WHERE id = 1) d"),
    denied("EXPLAIN EXTENDED SELECT {c} FROM customers WHERE id = 1").on(Kind::MariaDb),
    denied("ANALYZE FORMAT=JSON SELECT {c} FROM customers WHERE id = 1").on(Kind::MariaDb),
    refused("EXPLAIN FOR CONNECTION 1").on(Kind::MySql),
    refused("SHOW EXPLAIN FOR 1").on(Kind::MariaDb),
    refused("SHOW ANALYZE FORMAT=JSON FOR 1").on(Kind::MariaDb),
    refused("SET STATEMENT max_statement_time = 1 FOR SHOW EXPLAIN FOR 1").on(Kind::MariaDb),
    denied("PREPARE s FROM 'SELECT id FROM customers WHERE {c} = 1'"),
    harmless("PREPARE s FROM 'SELECT {c} FROM customers'"),
    harmless("EXECUTE s"),
    denied("PREPARE t FROM 'SELECT id FROM customers WHERE {c} = ?'"),
    denied("PREPARE t FROM 'UPDATE customers SET {c} = ''{v}'' WHERE id = 1'"),
    refused("PREPARE s FROM @p"),
    denied("EXECUTE IMMEDIATE 'SELECT UPPER({c}) FROM customers'").on(Kind::MariaDb),
    // Other ways to the rows.
    refused("HANDLER customers OPEN"),
    refused("HANDLER customers READ FIRST"),
    refused("LOAD DATA INFILE '/tmp/never-there' INTO TABLE customers"),
    refused("LOAD DATA LOCAL INFILE '/tmp/never-there' INTO TABLE customers"),
    refused("CREATE TABLE copy AS SELECT {c} FROM customers"),
    refused("CREATE TABLE copy AS SELECT * FROM customers"),
    refused("CREATE TABLE copy LIKE customers"),
    refused("CREATE TEMPORARY TABLE copy SELECT id, {c} FROM customers"),
    refused("CREATE VIEW copy AS SELECT {c} FROM customers"),
    refused("CREATE VIEW copy AS SELECT id FROM customers WHERE {c} = '{v}'"),
    refused("CREATE TRIGGER copying AFTER UPDATE ON customers FOR EACH ROW SET @p = NEW.{c}"),
    refused("CREATE FUNCTION copying() RETURNS TEXT RETURN (SELECT {c} FROM customers LIMIT 1)"),
    refused("CREATE PROCEDURE copying() SELECT {c} FROM customers"),
    refused("CREATE EVENT copying ON SCHEDULE EVERY 1 DAY DO SELECT {c} FROM customers"),
    // An event sends what nobody sees.
    refused("CREATE EVENT copying ON SCHEDULE EVERY 1 DAY DO CALL copying()"),
    refused("CREATE EVENT copying ON SCHEDULE EVERY 1 DAY DO BEGIN PREPARE s FROM @s; EXECUTE s; END"),
    refused("CREATE EVENT copying ON SCHEDULE EVERY 1 DAY DO EXECUTE IMMEDIATE CONCAT('SELECT 1', '')")
        .on(Kind::MariaDb),
    refused("BEGIN NOT ATOMIC CREATE EVENT copying ON SCHEDULE EVERY 1 DAY DO CALL copying(); END").on(Kind::MariaDb),
    // Whether an index can be made depends on the values.
    denied("CREATE UNIQUE INDEX alike ON customers ({c}(23))"),
    denied("CREATE UNIQUE INDEX alike ON customers (name, {c}(23))"),
    denied("CREATE INDEX number ON customers ((CAST(HEX({c}) AS SIGNED)))").on(Kind::MySql),
    denied("ALTER TABLE customers ADD UNIQUE KEY alike ({c}(23))"),
    denied("ALTER TABLE customers ADD COLUMN born DATE, ADD UNIQUE KEY alike (name, {c}(23))"),
    refused("ALTER TABLE customers RENAME TO copy"),
    refused("RENAME TABLE customers TO copy"),
    refused("ALTER TABLE customers RENAME COLUMN {c} TO name2"),
    refused("ALTER TABLE customers MODIFY {c} TEXT"),
    refused("ALTER TABLE customers ADD COLUMN copy VARBINARY(256) AS ({c})"),
    harmless("TABLE customers").on(Kind::MySql),
    harmless("SELECT {c} FROM customers PROCEDURE ANALYSE()").on(Kind::MariaDb),
    // What the database tells about itself.
    harmless("SHOW CREATE TABLE customers"),
    harmless("SHOW FULL COLUMNS FROM customers"),
    harmless("DESCRIBE customers {c}"),
    harmless("SHOW WARNINGS"),
    harmless("SHOW ERRORS"),
    harmless(
        "SELECT column_default FROM information_schema.columns WHERE table_name = 'customers' AND column_name = '{c}'",
    ),
    harmless(
        "SELECT COUNT(*) FROM information_schema.statistics WHERE table_name = 'customers' AND column_name = '{c}' AND index_name IS NULL",
    ),
    refused("SHOW INDEX FROM customers"),
    refused("SHOW INDEXES IN customers WHERE cardinality > 1"),
    refused("SHOW EXTENDED KEYS FROM customers").on(Kind::MySql),
    refused("PREPARE s FROM 'SHOW KEYS FROM customers'"),
    refused("SELECT cardinality FROM information_schema.statistics WHERE table_name = 'customers'"),
    refused("SELECT 1 FROM information_schema.statistics WHERE table_name = 'customers' AND cardinality > 1"),
    refused("SELECT * FROM information_schema.statistics WHERE table_name = 'customers' AND column_name = '{c}'"),
    refused("SELECT d.c FROM (SELECT s.* FROM information_schema.statistics s) AS d"),
    refused("TABLE information_schema.statistics").on(Kind::MySql),
    refused("CREATE TABLE copy AS SELECT cardinality FROM information_schema.statistics"),
    refused("SELECT stat_value FROM mysql.innodb_index_stats WHERE table_name = 'customers'"),
    refused("SELECT avg_frequency FROM mysql.index_stats WHERE table_name = 'customers'").on(Kind::MariaDb),
    refused("ANALYZE TABLE customers UPDATE HISTOGRAM ON {c} WITH 8 BUCKETS").on(Kind::MySql),
    refused("SELECT histogram FROM information_schema.column_statistics WHERE table_name = 'customers'")
        .on(Kind::MySql),
    refused("ANALYZE TABLE customers PERSISTENT FOR COLUMNS ({c}) INDEXES ()").on(Kind::MariaDb),
    refused("SELECT min_value FROM mysql.column_stats WHERE table_name = 'customers'").on(Kind::MariaDb),
    harmless("SELECT COUNT(*) FROM sys.statement_analysis WHERE query LIKE CONCAT('%', '{v}', '%')").on(Kind::MySql),
    harmless(
        "SELECT COUNT(*) FROM performance_schema.events_statements_history WHERE sql_text LIKE CONCAT('%', '{v}', '%stored%')",
    ),
    harmless("SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()"),
    // Plain columns of the result, which is what the role may see.
    harmless("SELECT {c} FROM customers"),
    harmless("SELECT `{c}` AS `id` FROM customers"),
    harmless("SELECT customers.* FROM customers"),
    harmless("SELECT (({c})) FROM customers"),
    harmless("SELECT {c} FROM customers UNION ALL SELECT {c} FROM customers"),
    harmless("SELECT {c} FROM customers FOR UPDATE"),
    harmless("SELECT SQL_BUFFER_RESULT {c} FROM customers"),
    harmless("SELECT SQL_CALC_FOUND_ROWS {c} FROM customers LIMIT 1"),
    harmless("SELECT id FROM customers WHERE EXISTS (SELECT {c} FROM customers)"),
    harmless("SELECT {c} FROM customers GROUP BY id"),
    harmless("SELECT 1 AS {c} FROM customers ORDER BY id"),
];
