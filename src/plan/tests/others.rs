//! Statements other than DML, statements that cannot be read, and opaque carriers (sql.md P2, P9, P12, P13).

use expect_test::expect;

use super::{Shop, check, check_in};
use crate::plan::Refusal;
use crate::policy::{FirewallMode, Policy};

#[test]
fn opaque_carriers_are_refused_near_protected_data() {
    check(
        &[
            "PREPARE s FROM 'SELECT id FROM orders WHERE id = ?'",
            "PREPARE s FROM 'SELECT id FROM customers'",
            "PREPARE s FROM 'SELECT phone FROM customers'",
            "PREPARE s FROM 'SELECT phone ' 'FROM customers'",
            "PREPARE s FROM 'DELETE FROM customers WHERE phone = ?'",
            "PREPARE s FROM 'SELECT phone FROM FROM'",
            "PREPARE s FROM 'CALL call_them()'",
            "PREPARE s FROM 'PREPARE t FROM @v'",
            "PREPARE s FROM @v",
            "PREPARE s FROM 'DROP TABLE orders'",
            "EXECUTE IMMEDIATE 'DROP TABLE orders'",
            "EXECUTE s USING @a",
            "EXECUTE IMMEDIATE 'SELECT 1'",
            "EXECUTE IMMEDIATE @v",
            "DEALLOCATE PREPARE s",
            "CALL call_them()",
            "CALL shop.call_indirectly()",
            "CALL dynamic()",
            "CALL unreadable()",
            "CALL not_in_catalog()",
            "CALL count_orders()",
            "CALL rebuild()",
            "CALL count_orders((SELECT phone FROM customers))",
            "HANDLER customers OPEN AS h",
            "HANDLER orders OPEN AS h",
            "LOAD DATA INFILE 'x' INTO TABLE customers",
            "LOAD DATA LOCAL INFILE 'x' INTO TABLE orders",
            "BINLOG 'AAAA'",
            "SET @x = (SELECT phone FROM customers LIMIT 1)",
            "DO (SELECT COUNT(*) FROM customers)",
            "SET @x = (SELECT total FROM orders LIMIT 1)",
        ],
        expect![[""]],
    );
}

#[test]
fn definitions_that_take_protected_data_elsewhere_are_refused() {
    check(
        &[
            "CREATE TABLE copies SELECT * FROM customers",
            "CREATE TABLE copies LIKE customers",
            "CREATE TABLE customers (id INT)",
            "CREATE TABLE orders2 (id INT, c INT, FOREIGN KEY (c) REFERENCES customers (id))",
            "CREATE TABLE orders2 (id INT, c INT REFERENCES shop.customers (id))",
            "CREATE TABLE orders2 (id INT REFERENCES customers (id)) AS SELECT * FROM customers",
            "CREATE VIEW v AS SELECT id FROM customers",
            "CREATE DEFINER=user@localhost VIEW v AS TABLE customers",
            "CREATE OR REPLACE ALGORITHM=MERGE VIEW v AS SELECT id FROM orders",
            "ALTER VIEW cheap AS SELECT phone FROM customers",
            "CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW SET NEW.id = 1",
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.id = 1",
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT phone FROM customers; END",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM customers",
            "RENAME TABLE customers TO clients",
            "RENAME TABLE shop.orders TO shop.orders2, orders3 TO customers",
            "RENAME TABLE orders TO orders2",
            "CREATE TABLE t (id INT)",
            "CREATE TEMPORARY TABLE t (id INT)",
            "CREATE DATABASE d",
            "CREATE USER customers",
        ],
        expect![[r#"
            CREATE TABLE copies SELECT * FROM customers
                refused: CREATE TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE TABLE copies LIKE customers
                refused: CREATE TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE TABLE customers (id INT)
                refused: CREATE TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE TABLE orders2 (id INT, c INT, FOREIGN KEY (c) REFERENCES customers (id))
                catalog changes
            CREATE TABLE orders2 (id INT, c INT REFERENCES shop.customers (id))
                catalog changes
            CREATE TABLE orders2 (id INT REFERENCES customers (id)) AS SELECT * FROM customers
                refused: CREATE TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE VIEW v AS SELECT id FROM customers
                refused: CREATE or ALTER of a view, trigger, routine or event is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE DEFINER=user@localhost VIEW v AS TABLE customers
                refused: CREATE or ALTER of a view, trigger, routine or event is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE OR REPLACE ALGORITHM=MERGE VIEW v AS SELECT id FROM orders
                catalog changes
            ALTER VIEW cheap AS SELECT phone FROM customers
                refused: CREATE or ALTER of a view, trigger, routine or event is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW SET NEW.id = 1
                refused: CREATE or ALTER of a view, trigger, routine or event is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.id = 1
                catalog changes
            CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END
                catalog changes
            CREATE PROCEDURE p() BEGIN SELECT 1; SELECT phone FROM customers; END
                refused: CREATE or ALTER of a view, trigger, routine or event is not supported for protected data behind the name customers; have an administrator run it on the server itself
            CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM customers
                refused: CREATE or ALTER of a view, trigger, routine or event is not supported for protected data behind the name customers; have an administrator run it on the server itself
            RENAME TABLE customers TO clients
                refused: RENAME is not supported for protected data behind the name customers; have an administrator run it on the server itself
            RENAME TABLE shop.orders TO shop.orders2, orders3 TO customers
                refused: RENAME is not supported for protected data behind the name customers; have an administrator run it on the server itself
            RENAME TABLE orders TO orders2
                catalog changes
            CREATE TABLE t (id INT)
                catalog changes
            CREATE TEMPORARY TABLE t (id INT)
                catalog changes
            CREATE DATABASE d
                catalog changes
            CREATE USER customers
                relay
        "#]],
    );
}

#[test]
fn tables_may_change_around_their_protected_columns() {
    check(
        &[
            "ALTER TABLE customers ADD COLUMN fax VARCHAR(20) AFTER phone, ADD INDEX (fax)",
            "ALTER TABLE customers ADD KEY (phone(23))",
            "ALTER TABLE customers ADD UNIQUE KEY u (email(23)), ALGORITHM = INPLACE",
            "ALTER TABLE customers DROP INDEX u, RENAME INDEX a TO b",
            "ALTER TABLE customers MODIFY name TEXT, ENGINE = InnoDB",
            "/*!40000 ALTER TABLE `customers` DISABLE KEYS */",
            "CREATE INDEX i ON customers (phone(23))",
            "DROP INDEX i ON customers",
            "ALTER TABLE customers MODIFY phone TEXT",
            "ALTER TABLE customers CHANGE `phone` fax VARBINARY(128)",
            "ALTER TABLE customers DROP COLUMN phone",
            "ALTER TABLE customers RENAME COLUMN phone TO fax",
            "ALTER TABLE customers RENAME TO clients",
            "ALTER TABLE customers ADD COLUMN p INT AS (LENGTH(phone))",
            "ALTER TABLE customers ADD CHECK (phone LIKE 'x%')",
            "ALTER TABLE customers CONVERT TO CHARACTER SET utf8mb4",
            "ALTER TABLE customers EXCHANGE PARTITION p WITH TABLE orders",
            "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id)",
            "ALTER TABLE orders RENAME TO customers",
            "ALTER TABLE orders MODIFY phone TEXT",
        ],
        expect![[r#"
            ALTER TABLE customers ADD COLUMN fax VARCHAR(20) AFTER phone, ADD INDEX (fax)
                catalog changes
            ALTER TABLE customers ADD KEY (phone(23))
                catalog changes
            ALTER TABLE customers ADD UNIQUE KEY u (email(23)), ALGORITHM = INPLACE
                catalog changes
            ALTER TABLE customers DROP INDEX u, RENAME INDEX a TO b
                catalog changes
            ALTER TABLE customers MODIFY name TEXT, ENGINE = InnoDB
                catalog changes
            /*!40000 ALTER TABLE `customers` DISABLE KEYS */
                catalog changes
            CREATE INDEX i ON customers (phone(23))
                relay
            DROP INDEX i ON customers
                relay
            ALTER TABLE customers MODIFY phone TEXT
                refused: ALTER TABLE that names a protected column is not supported for protected data behind the name phone; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers CHANGE `phone` fax VARBINARY(128)
                refused: ALTER TABLE that names a protected column is not supported for protected data behind the name phone; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers DROP COLUMN phone
                refused: ALTER TABLE that names a protected column is not supported for protected data behind the name phone; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers RENAME COLUMN phone TO fax
                refused: this clause of ALTER TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers RENAME TO clients
                refused: this clause of ALTER TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers ADD COLUMN p INT AS (LENGTH(phone))
                refused: ALTER TABLE that names a protected column is not supported for protected data behind the name phone; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers ADD CHECK (phone LIKE 'x%')
                refused: ALTER TABLE that names a protected column is not supported for protected data behind the name phone; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers CONVERT TO CHARACTER SET utf8mb4
                refused: this clause of ALTER TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE customers EXCHANGE PARTITION p WITH TABLE orders
                refused: this clause of ALTER TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id)
                catalog changes
            ALTER TABLE orders RENAME TO customers
                refused: ALTER TABLE is not supported for protected data behind the name customers; have an administrator run it on the server itself, together with a change of policy
            ALTER TABLE orders MODIFY phone TEXT
                catalog changes
        "#]],
    );
}

#[test]
fn harmless_statements_on_protected_tables_are_relayed() {
    check(
        &[
            "DROP TABLE customers",
            "TRUNCATE TABLE customers",
            "SHOW CREATE TABLE customers",
            "SHOW COLUMNS FROM customers WHERE Field IN (SELECT phone FROM customers)",
            "LOCK TABLES customers WRITE, orders READ",
            "ANALYZE TABLE customers",
            "ANALYZE FORMAT=JSON SELECT phone FROM customers",
            "CHECK TABLE customers",
            "OPTIMIZE TABLE customers",
            "GRANT SELECT ON shop.customers TO 'a'@'%'",
            "FLUSH TABLES customers",
            "BEGIN",
            "COMMIT",
            "USE customers",
            "SHOW TABLES",
            "FROBNICATE customers",
            "FROBNICATE orders",
        ],
        expect![[""]],
    );
}

#[test]
fn character_sets_whose_bytes_hide_quotes_are_refused() {
    check(
        &[
            "SET NAMES utf8mb4",
            "SET NAMES 'latin1' COLLATE 'latin1_swedish_ci'",
            "SET NAMES gbk",
            "SET NAMES 'GBK'",
            "SET NAMES \"sjis\"",
            "SET NAMES DEFAULT",
            "SET CHARACTER SET utf8mb3",
            "SET CHARACTER SET big5",
            "SET CHARSET cp932",
            "SET character_set_client = gb18030",
            "SET autocommit = 1, @@session.character_set_client = 'gbk'",
            "SET SESSION `character_set_client` := utf8mb4",
            "SET character_set_client = @old",
            "SET sql_mode = '', NAMES gbk",
            "SET @old = @@character_set_client",
            "SET character_set_results = NULL",
        ],
        expect![[r#"
            SET NAMES utf8mb4
                relay
            SET NAMES 'latin1' COLLATE 'latin1_swedish_ci'
                relay
            SET NAMES gbk
                refused: statement refused by policy
            SET NAMES 'GBK'
                refused: statement refused by policy
            SET NAMES "sjis"
                refused: statement refused by policy
            SET NAMES DEFAULT
                refused: statement refused by policy
            SET CHARACTER SET utf8mb3
                relay
            SET CHARACTER SET big5
                refused: statement refused by policy
            SET CHARSET cp932
                refused: statement refused by policy
            SET character_set_client = gb18030
                refused: statement refused by policy
            SET autocommit = 1, @@session.character_set_client = 'gbk'
                refused: statement refused by policy
            SET SESSION `character_set_client` := utf8mb4
                relay
            SET character_set_client = @old
                refused: statement refused by policy
            SET sql_mode = '', NAMES gbk
                refused: statement refused by policy
            SET @old = @@character_set_client
                relay
            SET character_set_results = NULL
                relay
        "#]],
    );
}

#[test]
fn statements_that_cannot_be_read_are_refused_near_protected_names() {
    check(
        &[
            "SELECT FROM FROM customers",
            "SELECT phone FROM FROM nothing",
            "SELECT FROM FROM orders",
            "SELECT 'unclosed",
            "SELECT 1; SELECT 2",
            "SELECT 1;",
            "SELECT 1;;",
            "INSERT INTO customers (phone) VALUES ('a'); -- done",
        ],
        expect![[""]],
    );
}

#[test]
fn without_protection_and_firewall_everything_passes() {
    let mut shop = Shop::open();
    shop.firewall = FirewallMode::Off;
    shop.policy = Policy::new(2, Vec::new(), Vec::new(), Vec::new(), super::PLAIN, FirewallMode::Off);
    check_in(
        &shop,
        &[
            "SELECT 'unclosed",
            "SELECT 1; SELECT 2",
            "PREPARE s FROM @v",
            "PREPARE s FROM 'DROP TABLE orders'",
            "EXECUTE IMMEDIATE 'DROP TABLE orders'",
            "CALL call_them()",
            "SELECT phone FROM vip",
            "SET NAMES gbk",
        ],
        expect![[""]],
    );
}

#[test]
fn stacked_statements_are_a_matter_of_the_firewall() {
    let refusal = Shop::open().refusal("SELECT 1; DROP TABLE orders");
    assert_eq!(refusal, Some(Refusal::Firewall { rule: "stacked" }));
    let refusal = Shop::open().refusal("SELECT 'x");
    assert_eq!(refusal, Some(Refusal::Firewall { rule: "parse" }));
}
