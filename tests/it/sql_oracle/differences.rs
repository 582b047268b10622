//! Statements of `tests/data/sql` that Candado and a server judge differently, each with the reason.

use crate::support::server::Kind;

/// What is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The server refuses what we read: it will say so itself.
    WeRead,
    /// We refuse what the server takes: near protected data the client gets an error.
    WeRefuse,
}

/// Where a difference is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Both,
    Only(Kind),
}

/// Reason, server, difference, statements.
type Group = (&'static str, On, Difference, &'static [&'static str]);

const KNOWN: &[Group] = &[
    (
        "Arguments are not counted, and any call may have DISTINCT, a star, ORDER BY, SEPARATOR or LIMIT.",
        On::Both,
        Difference::WeRead,
        &[
            "SELECT COUNT() FROM t",
            "SELECT SUM(a, b) FROM t",
            "SELECT GROUP_CONCAT(a ORDER BY b, c SEPARATOR x) FROM t",
            "SELECT NOW(a)",
            "SELECT IF(a, b)",
            "SELECT LEFT(a)",
            "SELECT YEAR(a, b)",
            "SELECT own_function(DISTINCT a)",
            "SELECT own_function(*)",
            "SELECT GROUP_CONCAT(a SEPARATOR \",\")",
            "SELECT DATE_ADD(a, 5)",
        ],
    ),
    (
        "The same; MariaDB knows other functions by their number of arguments.",
        On::Only(Kind::MySql),
        Difference::WeRead,
        &[
            "SELECT COALESCE()",
            "SELECT GROUP_CONCAT(a LIMIT 2) FROM t",
            "SELECT PASSWORD('x')",
            "SELECT CONTAINS(a, b)",
            "INSERT INTO customers VALUES (1) ON DUPLICATE KEY UPDATE phone = VALUE(phone)",
        ],
    ),
    (
        "Window functions may stand without OVER.",
        On::Both,
        Difference::WeRead,
        &["SELECT ROW_NUMBER() FROM orders", "SELECT LAG(a)", "SELECT RANK()"],
    ),
    (
        "Types and collations are any words.",
        On::Both,
        Difference::WeRead,
        &["SELECT CAST(a AS TEXT)", "SELECT a COLLATE binary"],
    ),
    (
        "Types are any words.",
        On::Only(Kind::MySql),
        Difference::WeRead,
        &["SELECT CAST(a AS INT)", "SELECT CAST(a AS VARCHAR(3))"],
    ),
    (
        "Types are any words, and JSON_VALUE has MySQL's clauses.",
        On::Only(Kind::MariaDb),
        Difference::WeRead,
        &[
            "SELECT CAST(a AS YEAR), CAST(a AS JSON)",
            "SELECT CAST(a AS CHAR ARRAY)",
            "SELECT JSON_VALUE(a, '$.x' RETURNING UNSIGNED)",
            "SELECT JSON_VALUE(a, '$.x' RETURNING CHAR(5) DEFAULT 'n' ON EMPTY NULL ON ERROR)",
        ],
    ),
    (
        "REPLACE takes what INSERT takes.",
        On::Both,
        Difference::WeRead,
        &[
            "REPLACE HIGH_PRIORITY INTO customers VALUES (1)",
            "REPLACE IGNORE INTO customers VALUES (1)",
            "REPLACE INTO customers VALUES (1) ON DUPLICATE KEY UPDATE id = 2",
            "REPLACE INTO customers VALUES (1) AS new",
        ],
    ),
    (
        "Clauses and options are taken in more places and orders than the servers do.",
        On::Both,
        Difference::WeRead,
        &[
            "SELECT id FROM customers LIMIT 0x5",
            "SELECT id FROM customers WHERE id <=> ANY (SELECT customer FROM orders)",
            "INSERT INTO customers (id) SET id = 1",
            "UPDATE customers SET phone = 'x' LIMIT 2, 3",
            "UPDATE IGNORE LOW_PRIORITY customers SET phone = 'x'",
            "DELETE FROM customers LIMIT 1, 2",
            "INSERT INTO count (a) VALUES (1)",
            "SELECT COUNT /* c */ (*) FROM t",
        ],
    ),
    (
        "What MySQL no longer has, MariaDB has.",
        On::Only(Kind::MySql),
        Difference::WeRead,
        &[
            "SELECT id FROM customers GROUP BY city ASC",
            "EXPLAIN EXTENDED SELECT 1",
            "EXPLAIN PARTITIONS SELECT 1",
            "SELECT id FROM ((SELECT 1 AS id) AS a)",
        ],
    ),
    (
        "What MariaDB does not have, MySQL has.",
        On::Only(Kind::MariaDb),
        Difference::WeRead,
        &[
            "SELECT id FROM customers FOR SHARE",
            "SELECT id FROM customers c FOR UPDATE OF c",
            "SELECT id FROM customers FOR UPDATE FOR SHARE",
            "SELECT id FROM (SELECT id FROM customers)",
            "SELECT n FROM (SELECT id FROM customers) AS d (n)",
            "SELECT 1 INTO @a UNION SELECT 2",
            "TABLE customers",
            "TABLE shop.customers ORDER BY id LIMIT 2",
            "TABLE customers UNION TABLE orders",
            "WITH c AS (SELECT 1) TABLE c",
            "SELECT SUM(total) OVER (ORDER BY id RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND UNBOUNDED FOLLOWING) FROM orders",
            "SELECT LAG(total) OVER w, LEAD(total, 2) OVER w, LAG(total, 1, 0) OVER w FROM orders WINDOW w AS (ORDER BY id)",
            "SELECT FIRST_VALUE(total) RESPECT NULLS OVER w FROM orders WINDOW w AS (ORDER BY id)",
            "SELECT 1 FROM customers c, LATERAL (SELECT c.id) AS l",
            "SELECT 1 FROM customers c JOIN LATERAL (SELECT c.id AS n) l ON l.n = 1",
            "INSERT INTO customers TABLE old",
            "INSERT INTO customers VALUES (1) AS new ON DUPLICATE KEY UPDATE phone = new.phone",
            "INSERT INTO customers VALUES (1, 2) AS new (a, b) ON DUPLICATE KEY UPDATE phone = b",
            "INSERT INTO customers VALUES (1) AS new",
            "INSERT INTO customers SET id = 1 AS new ON DUPLICATE KEY UPDATE phone = new.phone",
            "UPDATE customers SET phone = 'x' RETURNING id",
            "WITH c AS (SELECT 1 AS n) UPDATE customers, c SET phone = c.n",
            "DELETE FROM customers AS c WHERE c.id = 1",
            "DELETE FROM customers c WHERE c.id = 1",
            "WITH c AS (SELECT 1 AS n) DELETE FROM customers WHERE id IN (SELECT n FROM c)",
            "WITH c AS (SELECT 1 AS n) DELETE customers FROM customers, c WHERE id = n",
            "SELECT a MEMBER OF ('[1]')",
            "SELECT VALUES(a)",
            "SELECT VALUES(a), VALUES(t.a) FROM t",
        ],
    ),
    (
        "With a blank before the parenthesis these are calls of a stored function of that name, not of the built-in one.",
        On::Both,
        Difference::WeRefuse,
        &["SELECT SUM (a) FROM t", "SELECT TRIM (a)", "SELECT SUBSTRING (a, 1)", "SELECT NOW ()", "SELECT CURDATE ()"],
    ),
    (
        "A second INTO and an INTO below INSERT have errors of their own.",
        On::Only(Kind::MySql),
        Difference::WeRefuse,
        &["SELECT id INTO @a FROM customers INTO @b", "INSERT INTO customers SELECT 1 INTO @a"],
    ),
    (
        "A variable without a name is a typing error that MySQL takes.",
        On::Only(Kind::MySql),
        Difference::WeRefuse,
        &["SELECT @ a"],
    ),
    (
        "Chains of predicates, which nobody writes on purpose.",
        On::Only(Kind::MariaDb),
        Difference::WeRefuse,
        &["SELECT a IN (1) IN (2)", "SELECT a LIKE 'x' LIKE 'y'", "SELECT a REGEXP 'x' REGEXP 'y'"],
    ),
    (
        "Old or odd forms: a name that begins with a dot, a procedure behind SELECT, LATERAL as a table, LIMIT behind VALUES, packages.",
        On::Only(Kind::MariaDb),
        Difference::WeRefuse,
        &[
            "SELECT .customers.phone FROM customers",
            "SELECT COUNT(*) FROM customers PROCEDURE ANALYSE()",
            "SELECT 1 FROM LATERAL customers",
            "INSERT INTO customers VALUES (1) LIMIT 1",
            "SELECT a.b.c(1)",
        ],
    ),
    (
        "The server counts these arguments after it has read them.",
        On::Only(Kind::MariaDb),
        Difference::WeRefuse,
        &["SELECT JSON_VALUE(a)"],
    ),
];

/// The difference that is known for a statement.
pub(super) fn known(kind: Kind, sql: &str) -> Option<Difference> {
    of_kind(kind).find(|(.., statements)| statements.contains(&sql)).map(|(_, _, difference, _)| *difference)
}

/// All statements with a known difference.
pub(super) fn of(kind: Kind) -> impl Iterator<Item = &'static str> {
    of_kind(kind).flat_map(|(.., statements)| statements.iter().copied())
}

fn of_kind(kind: Kind) -> impl Iterator<Item = &'static Group> {
    KNOWN.iter().filter(move |(_, on, ..)| *on == On::Both || *on == On::Only(kind))
}
