//! SELECT: outputs, predicates, and everything that is refused beside them.

use expect_test::expect;

use super::{Shop, check, check_in};

#[test]
fn columns_aliases_and_stars_are_opened_in_order() {
    check(
        &[
            "SELECT phone FROM customers",
            "SELECT id, (phone) AS p, c.email, `c`.`Name` FROM shop.customers AS c",
            "SELECT * FROM customers",
            "SELECT c.*, o.* FROM customers c JOIN orders o ON o.customer_id = c.id",
            "SELECT secret, phone FROM customers",
            "TABLE customers",
            "(SELECT phone FROM customers)",
            "SELECT shop.customers.phone FROM customers LIMIT 10 OFFSET 5",
            "SELECT phone FROM customers FOR UPDATE",
            "SELECT id, name FROM customers",
        ],
        expect![[""]],
    );
}

#[test]
fn joins_order_their_columns_as_the_server_does() {
    check(
        &[
            "SELECT * FROM customers, orders",
            "SELECT * FROM orders o LEFT JOIN customers c ON c.id = o.customer_id AND c.phone = '1'",
            "SELECT * FROM plain RIGHT JOIN customers ON plain.id = customers.id",
            "SELECT * FROM plain JOIN customers USING (id)",
            "SELECT * FROM plain JOIN customers USING (name, id)",
            "SELECT * FROM plain RIGHT JOIN customers USING (id)",
            "SELECT * FROM plain NATURAL JOIN customers",
            "SELECT id FROM plain JOIN customers USING (id)",
            "SELECT plain.*, phone FROM plain JOIN customers USING (id)",
            "SELECT * FROM orders JOIN customers USING (phone)",
            "SELECT * FROM orders NATURAL JOIN customers",
            "SELECT * FROM customers a JOIN customers b ON a.phone = b.phone",
        ],
        expect![[""]],
    );
}

#[test]
fn equality_becomes_a_search() {
    check(
        &[
            "SELECT id FROM customers WHERE phone = '123'",
            "SELECT id FROM customers WHERE '123' = phone",
            "SELECT id FROM customers c WHERE (c.phone) = ('1' '2' '3')",
            "SELECT id FROM customers WHERE phone = _utf8mb4'123' AND email <> N'x'",
            "SELECT id FROM customers WHERE phone = ? OR NOT (email != ? XOR id = ?)",
            "SELECT id FROM customers WHERE phone <=> ?",
            "SELECT id FROM customers WHERE phone = x'313233'",
            "SELECT id FROM customers WHERE phone = 0x313233",
            "SELECT id FROM customers WHERE phone IN ('a', ?, NULL, x'62')",
            "SELECT id FROM customers WHERE phone NOT IN ('a')",
            "SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id AND c.email = ? WHERE c.phone = ?",
            "SELECT id FROM customers WHERE phone = NULL",
            "SELECT id FROM customers WHERE phone IN (NULL)",
            "SELECT phone FROM customers WHERE customers.phone = 'x' AND id = 7 ORDER BY id LIMIT ?",
        ],
        expect![[""]],
    );
}

#[test]
fn comparisons_that_no_index_answers_are_refused() {
    check(
        &[
            "SELECT id FROM customers WHERE note = 'x'",
            "SELECT id FROM customers WHERE phone = 123",
            "SELECT id FROM customers WHERE phone = TRUE",
            "SELECT id FROM customers WHERE phone = DATE '2020-01-01'",
            "SELECT id FROM customers WHERE phone = b'1'",
            "SELECT id FROM customers WHERE phone = @v",
            "SELECT id FROM customers WHERE phone = name",
            "SELECT id FROM customers WHERE phone = email",
            "SELECT id FROM customers WHERE phone = phone",
            "SELECT id FROM customers WHERE phone = UPPER('x')",
            "SELECT id FROM customers WHERE phone = 'x' COLLATE utf8mb4_bin",
            "SELECT id FROM customers WHERE phone = CAST('x' AS CHAR)",
            "SELECT id FROM customers WHERE phone = 'a' = 'b'",
            "SELECT id FROM customers WHERE phone IN ('a', 1)",
            "SELECT id FROM customers WHERE phone IN (SELECT name FROM plain)",
            "SELECT id FROM customers WHERE 'x' IN (phone, name)",
            "SELECT id FROM customers WHERE (phone, id) = ('x', 1)",
            "SELECT id FROM customers WHERE phone < 'x'",
            "SELECT id FROM customers WHERE phone BETWEEN 'a' AND 'b'",
            "SELECT id FROM customers WHERE phone LIKE 'a%'",
            "SELECT id FROM customers WHERE phone REGEXP 'a'",
            "SELECT id FROM customers WHERE phone",
            "SELECT id FROM customers WHERE NOT phone",
            "SELECT id FROM customers WHERE phone IS TRUE",
            "SELECT id FROM customers WHERE (phone = 'x') IS TRUE",
            "SELECT id FROM customers WHERE IF(phone = 'x', 1, 0)",
            "SELECT id FROM customers WHERE CASE phone WHEN 'x' THEN 1 END",
            "SELECT id FROM customers WHERE phone->'$.a' = 'x'",
        ],
        expect![[""]],
    );
}

#[test]
fn nullness_is_the_servers_to_tell() {
    check(
        &[
            "SELECT id FROM customers WHERE phone IS NULL OR note IS NOT NULL",
            "SELECT phone IS NULL, ISNULL(email), COUNT(phone), COUNT(*) FROM customers",
            "SELECT id FROM customers WHERE phone <=> NULL AND NULL <=> email",
            "SELECT name FROM customers GROUP BY name HAVING COUNT(phone) > 1",
            "SELECT COUNT(DISTINCT phone) FROM customers",
            "SELECT COUNT(phone) OVER () FROM customers",
            "SELECT COUNT(CONCAT(phone)) FROM customers",
        ],
        expect![[""]],
    );
}

#[test]
fn expressions_over_a_protected_column_are_refused() {
    check(
        &[
            "SELECT UPPER(phone) FROM customers",
            "SELECT CONCAT(name, phone) FROM customers",
            "SELECT MAX(phone) FROM customers",
            "SELECT phone = 'x' FROM customers",
            "SELECT phone + 1 FROM customers",
            "SELECT -phone FROM customers",
            "SELECT @v := phone FROM customers",
            "SELECT BINARY phone FROM customers",
            "SELECT phone COLLATE utf8mb4_bin FROM customers",
            "SELECT CASE WHEN id = 1 THEN phone END FROM customers",
            "SELECT LAG(phone) OVER (ORDER BY id) FROM customers",
            "SELECT ROW_NUMBER() OVER (ORDER BY phone) FROM customers",
            "SELECT id FROM customers WINDOW w AS (PARTITION BY phone)",
            "SELECT DEFAULT(phone) FROM customers",
            "SELECT phone INTO @v FROM customers",
            "SELECT * INTO OUTFILE '/tmp/x' FROM customers",
            "SELECT (SELECT phone) FROM customers",
            "SELECT call_them(1) FROM plain",
        ],
        expect![[""]],
    );
}

#[test]
fn grouping_ordering_and_set_operations_need_unprotected_columns() {
    check(
        &[
            "SELECT phone FROM customers ORDER BY name, id",
            "SELECT phone FROM customers ORDER BY phone",
            "SELECT phone AS p FROM customers ORDER BY p",
            "SELECT phone AS p FROM customers ORDER BY UPPER(p)",
            "SELECT id, phone FROM customers ORDER BY 1",
            "SELECT id, phone FROM customers ORDER BY 2",
            "SELECT id, phone FROM customers ORDER BY 3",
            "SELECT id, phone FROM customers ORDER BY ?",
            "SELECT id FROM customers ORDER BY 1, phone",
            "SELECT name, COUNT(*) FROM customers GROUP BY name ORDER BY 2",
            "SELECT phone FROM customers GROUP BY phone",
            "SELECT id, phone FROM customers GROUP BY id",
            "SELECT id FROM customers GROUP BY 1 HAVING phone = 'x'",
            "SELECT phone AS p FROM customers HAVING p = 'x'",
            "SELECT DISTINCT phone FROM customers",
            "SELECT DISTINCT name FROM customers",
            "SELECT phone FROM customers UNION SELECT phone FROM orders",
            "SELECT id FROM customers WHERE phone = 'x' UNION ALL SELECT id FROM orders",
            "SELECT id FROM customers UNION ALL SELECT id FROM orders ORDER BY id",
            "(SELECT phone FROM customers) ORDER BY phone",
            "(SELECT phone FROM customers) LIMIT 1",
            "TABLE customers ORDER BY phone",
            "TABLE customers ORDER BY id",
        ],
        expect![[""]],
    );
}

#[test]
fn nested_queries_carry_unprotected_columns_only() {
    check(
        &[
            "SELECT phone FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 1)",
            "SELECT phone FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
            "SELECT id FROM plain WHERE EXISTS (SELECT * FROM customers WHERE customers.id = plain.id)",
            "SELECT id FROM plain WHERE name IN (SELECT phone FROM customers)",
            "SELECT id FROM plain WHERE id IN (SELECT id FROM customers WHERE phone = 'x')",
            "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.phone = c.phone)",
            "SELECT d.id FROM (SELECT id, name FROM customers) d",
            "SELECT d.phone FROM (SELECT id, phone FROM customers) d",
            "SELECT phone FROM (SELECT phone FROM orders) d JOIN customers c ON c.id = 1",
            "SELECT c.phone, d.phone FROM customers c JOIN (SELECT phone FROM orders) d ON d.phone = 'x'",
            "WITH d AS (SELECT id FROM customers) SELECT c.phone FROM customers c JOIN d ON d.id = c.id",
            "WITH d (a) AS (SELECT id FROM customers) SELECT a FROM d",
            "WITH d AS (SELECT phone FROM customers) SELECT * FROM d",
            "WITH customers AS (SELECT 'x' AS phone) SELECT phone FROM customers",
            "WITH customers AS (SELECT 'x' AS phone) SELECT phone FROM shop.customers",
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) \
             SELECT n.i, c.phone FROM n JOIN customers c ON c.id = n.i",
            "SELECT c.phone, l.total FROM customers c, LATERAL (SELECT total FROM orders o WHERE o.customer_id = c.id) l",
            "SELECT c.id FROM customers c, JSON_TABLE(c.phone, '$[*]' COLUMNS (a INT PATH '$')) j",
        ],
        expect![[""]],
    );
}

#[test]
fn views_over_protected_tables_are_refused() {
    check(
        &[
            "SELECT id FROM vip",
            "SELECT id FROM vip_again",
            "SELECT id FROM dark",
            "SELECT id FROM cheap",
            "SELECT c.phone, v.total FROM customers c JOIN cheap v ON v.id = c.id",
        ],
        expect![[""]],
    );
}

#[test]
fn explain_is_planned_and_its_answer_relayed() {
    check(
        &[
            "EXPLAIN SELECT phone FROM customers WHERE phone = 'x'",
            "EXPLAIN FORMAT=JSON UPDATE customers SET phone = ? WHERE id = 1",
            "EXPLAIN SELECT id FROM customers WHERE phone LIKE 'x'",
            "EXPLAIN FOR CONNECTION 5",
            "DESCRIBE customers",
            "DESC customers phone",
            "EXPLAIN customers",
        ],
        expect![[""]],
    );
}

#[test]
fn a_denied_role_is_refused_each_named_protected_column() {
    check_in(
        &Shop::engineer(),
        &[
            "SELECT phone FROM customers",
            "SELECT * FROM customers",
            "SELECT c.* FROM customers c",
            "SELECT id FROM customers WHERE phone = 'x'",
            "SELECT COUNT(email) FROM customers",
            "SELECT id FROM customers ORDER BY UPPER(phone)",
            "SELECT id FROM orders NATURAL JOIN customers",
            "SELECT id FROM plain WHERE EXISTS (SELECT * FROM customers)",
            "INSERT INTO customers (id, phone) VALUES (1, 'x')",
            "INSERT INTO customers VALUES (1, 'a', 'b', 'c', 'd')",
            "INSERT INTO customers (id) VALUES (1) ON DUPLICATE KEY UPDATE phone = 'x'",
            "UPDATE customers SET phone = 'x' WHERE id = 1",
            "DELETE FROM customers WHERE phone = 'x'",
            "SELECT id, name FROM customers WHERE id = 1",
            "INSERT INTO customers (id, name) VALUES (1, 'x')",
            "UPDATE customers SET name = 'x' WHERE id = 1",
            "DELETE FROM customers WHERE id = 1",
            "SELECT COUNT(*) FROM customers",
            "SELECT phone FROM orders",
        ],
        expect![[""]],
    );
}
