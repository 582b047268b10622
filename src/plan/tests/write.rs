//! INSERT, REPLACE, UPDATE and DELETE.

use expect_test::expect;

use super::check;

#[test]
fn inserted_values_are_sealed() {
    check(
        &[
            "INSERT INTO customers (id, phone, name) VALUES (1, '123', 'Ann')",
            "INSERT INTO customers (phone, email) VALUES ('1', ?), (NULL, ('2')), (x'33', _latin1'4' '5')",
            "INSERT customers VALUES (1, 'Ann', '123', ?, NULL)",
            "INSERT INTO customers () VALUES ()",
            "INSERT INTO customers () VALUES (1, 'Ann', '123', 'e', 'n')",
            "REPLACE INTO shop.customers SET id = 1, phone = '123', name = UPPER('ann')",
            "INSERT IGNORE INTO customers (customers.phone, id) VALUES ('a', DEFAULT)",
            "INSERT INTO customers (id, name) VALUES (1, 'Ann')",
            "INSERT INTO customers (id, note) VALUES ROW(1, 'n')",
            "INSERT INTO other.customers (id, phone) VALUES (1, '123')",
        ],
        expect![[""]],
    );
}

#[test]
fn other_inserted_values_are_refused() {
    check(
        &[
            "INSERT INTO customers (phone) VALUES (123)",
            "INSERT INTO customers (phone) VALUES (CONCAT('a', 'b'))",
            "INSERT INTO customers (phone) VALUES (DEFAULT)",
            "INSERT INTO customers (phone) VALUES (@v)",
            "INSERT INTO customers (phone) VALUES ((SELECT name FROM plain LIMIT 1))",
            "INSERT INTO customers (phone, name) VALUES ('a', phone)",
            "INSERT INTO customers (phone, email) VALUES ('a', phone)",
            "INSERT INTO customers SET phone = phone",
            "INSERT INTO customers (id, phone) VALUES (1)",
            "INSERT INTO customers VALUES (1, 'Ann')",
            "INSERT INTO customers (id, phone) SELECT id, name FROM plain",
            "INSERT INTO customers SELECT 1, 2, 3, 4, 5",
            "INSERT INTO plain (id, name) SELECT id, phone FROM customers",
            "INSERT INTO plain SELECT * FROM customers",
            "INSERT INTO customers (fax) VALUES ('1')",
            "INSERT INTO vip (phone) VALUES ('1')",
            "INSERT INTO customers (phone) VALUES ('1') RETURNING phone",
        ],
        expect![[""]],
    );
}

#[test]
fn queries_over_unprotected_columns_may_be_inserted() {
    check(
        &[
            "INSERT INTO plain (id, name) SELECT id, name FROM customers",
            "INSERT INTO customers (id, name) SELECT id, name FROM plain",
        ],
        expect![[""]],
    );
}

#[test]
fn duplicates_are_updated_with_sealed_values() {
    check(
        &[
            "INSERT INTO customers (id, phone) VALUES (1, 'a') ON DUPLICATE KEY UPDATE phone = VALUES(phone)",
            "INSERT INTO customers (id, phone) VALUES (1, ?) ON DUPLICATE KEY UPDATE phone = ?, name = 'x'",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') AS new ON DUPLICATE KEY UPDATE phone = new.phone",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') AS new (i, p) ON DUPLICATE KEY UPDATE phone = p, name = 'y'",
            "INSERT INTO customers SET id = 1, phone = 'a' ON DUPLICATE KEY UPDATE phone = phone, email = NULL",
            "INSERT INTO customers (id, name) VALUES (1, 'a') ON DUPLICATE KEY UPDATE name = VALUES(name)",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') ON DUPLICATE KEY UPDATE phone = VALUES(name)",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') ON DUPLICATE KEY UPDATE email = VALUES(phone)",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') ON DUPLICATE KEY UPDATE name = VALUES(phone)",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') AS new ON DUPLICATE KEY UPDATE email = new.phone",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') ON DUPLICATE KEY UPDATE phone = CONCAT(phone, 'x')",
            "INSERT INTO customers (id, phone) VALUES (1, 'a') ON DUPLICATE KEY UPDATE phone = 5",
        ],
        expect![[""]],
    );
}

#[test]
fn updates_seal_and_search() {
    check(
        &[
            "UPDATE customers SET phone = 'a', name = 'b', email = ? WHERE phone = 'c' AND id = ?",
            "UPDATE customers c SET c.phone = NULL, c.email = c.email ORDER BY id LIMIT 1",
            "UPDATE customers SET name = UPPER(name) WHERE id IN (SELECT customer_id FROM orders)",
            "UPDATE customers SET phone = email",
            "UPDATE customers SET name = phone",
            "UPDATE customers SET phone = CASE WHEN id = 1 THEN 'a' END",
            "UPDATE customers SET phone = DEFAULT",
            "UPDATE customers SET phone = 7",
            "UPDATE customers SET phone = 'a' ORDER BY phone",
            "UPDATE customers SET phone = 'a' WHERE phone > 'b'",
            "UPDATE customers c JOIN orders o ON o.customer_id = c.id SET o.total = 1 WHERE c.id = 2",
            "UPDATE customers c JOIN orders o ON o.customer_id = c.id SET c.phone = 'a'",
            "UPDATE customers c, orders o SET o.total = 1 WHERE c.phone = 'a'",
            "UPDATE orders o JOIN customers c ON o.customer_id = c.id SET o.phone = c.phone",
        ],
        expect![[""]],
    );
}

#[test]
fn deletes_search() {
    check(
        &[
            "DELETE FROM customers WHERE phone = 'a' AND email IN (?, 'b') ORDER BY id LIMIT 5",
            "DELETE FROM customers",
            "DELETE FROM customers WHERE phone LIKE 'a'",
            "DELETE FROM customers ORDER BY phone LIMIT 1",
            "DELETE c FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total = 0",
            "DELETE o FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.phone = 'x'",
            "DELETE FROM c USING customers c WHERE c.phone = 'x'",
        ],
        expect![[""]],
    );
}
