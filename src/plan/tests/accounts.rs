//! Accounts and rights, which are not for roles that do not see all values.

use super::{DESK, ENGINEER, MASKED, PLAIN, Shop};
use crate::plan::Refusal;
use crate::policy::{FirewallMode, Policy};
use crate::schema::{ServerKind, ServerVersion};

/// What could make, change or become another account.
const ADMINISTERS: &[&str] = &[
    "CREATE USER 'app'@'127.0.0.1' IDENTIFIED BY 'x'",
    "create or replace user app identified by 'x'",
    "/*!50000 CREATE */ USER app",
    "ALTER USER 'app'@'%' IDENTIFIED BY 'x'",
    "ALTER USER IF EXISTS app IDENTIFIED BY 'x'",
    "ALTER USER user IDENTIFIED BY 'x'",
    "ALTER USER `current_user` IDENTIFIED BY 'x'",
    "ALTER USER CURRENT_USER() IDENTIFIED BY 'x', app IDENTIFIED BY 'x'",
    "ALTER USER app IDENTIFIED BY 'x', CURRENT_USER() IDENTIFIED BY 'x'",
    "DROP USER app",
    "RENAME USER app TO other",
    "CREATE ROLE r",
    "DROP ROLE r",
    "GRANT r TO engineer",
    "GRANT ALL ON *.* TO engineer",
    "GRANT PROXY ON app TO engineer",
    "REVOKE r FROM app",
    "SET PASSWORD FOR 'app'@'%' = 'x'",
    "SET @a = 1, PASSWORD FOR app = PASSWORD('x')",
    "SET PASSWORD FOR CURRENT_USER() = 'x', PASSWORD FOR app = 'x'",
    "SET DEFAULT ROLE r TO app",
    "SET DEFAULT ROLE r TO CURRENT_USER(), app",
    "SET DEFAULT ROLE r FOR app",
    "SET GLOBAL mandatory_roles = 'r'",
    "SET @@global.mandatory_roles = 'r'",
    "SET PERSIST `init_connect` = 'x'",
    "SET @a = 1, @@persist.`init_connect` = 'x'",
    "SET GLOBAL authentication_ldap_simple_server_host = 'x'",
    "INSERT INTO mysql.global_priv VALUES ('%', 'app', '{}')",
    "INSERT INTO `MySQL` . user (user) VALUES ('app')",
    "UPDATE mysql.user SET authentication_string = '' WHERE user = 'app'",
    "UPDATE orders o JOIN mysql.user u ON u.user = o.remark SET u.authentication_string = ''",
    "WITH a AS (SELECT 1 AS n) UPDATE mysql.user SET authentication_string = ''",
    "DELETE FROM mysql.user",
    "REPLACE INTO mysql.db VALUES (1)",
    "ANALYZE UPDATE mysql.global_priv SET priv = ''",
    "LOAD DATA INFILE 'x' INTO TABLE mysql.user",
    "TRUNCATE mysql.user",
    "ALTER TABLE mysql.user ADD n INT",
    "RENAME TABLE mysql.user TO shop.accounts",
    "DROP TABLE mysql.user",
    "DROP DATABASE mysql",
    "CREATE VIEW accounts AS SELECT * FROM mysql.user",
    "CREATE PROCEDURE p() GRANT r TO engineer",
    "CREATE PROCEDURE p() BEGIN DO 1; ALTER USER app IDENTIFIED BY 'x'; END",
    "CREATE PROCEDURE p() BEGIN DO 1; DROP ROLE IF EXISTS r; END",
    "CREATE PROCEDURE p() BEGIN DO 1; SET PASSWORD FOR app = 'x'; END",
    "CREATE PROCEDURE p() BEGIN DO 1; UPDATE mysql.user SET authentication_string = ''; END",
    "CREATE PROCEDURE mysql.p() UPDATE user SET authentication_string = ''",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO CREATE USER app",
    "CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW DELETE FROM mysql.user",
    "CREATE FUNCTION f RETURNS INT SONAME 'f.so'",
    "INSTALL PLUGIN p SONAME 'p.so'",
    "INSTALL COMPONENT 'file://component'",
    "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'h'",
    "CHANGE MASTER TO MASTER_HOST = 'h'",
    "START GROUP_REPLICATION",
    "CLONE LOCAL DATA DIRECTORY = '/x'",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (HOST 'h')",
    "CREATE TABLE t (user CHAR(32)) ENGINE = FEDERATED CONNECTION = 'mysql://e:p@h/mysql/user'",
    "CREATE TABLE t (user CHAR(32)) CONNECTION 'mysql://e:p@h/mysql/user'",
    "CREATE TABLE t (n INT) ENGINE 'FEDERATED'",
    "PREPARE s FROM 'GRANT r TO engineer'",
    "PREPARE s FROM 'DELETE FROM mysql.user'",
];

/// What only one of the products has.
const ADMINISTERS_MARIADB: &[&str] = &[
    "EXECUTE IMMEDIATE 'GRANT r TO engineer'",
    "EXECUTE IMMEDIATE 'UPDATE mysql.global_priv SET priv = ''x'''",
    "SET STATEMENT max_statement_time = 1 FOR CREATE USER app",
    "SET STATEMENT max_statement_time = 1 FOR UPDATE mysql.global_priv SET priv = ''",
    "BEGIN NOT ATOMIC GRANT r TO engineer; END",
    "BEGIN NOT ATOMIC DELETE FROM mysql.global_priv; END",
    "INSTALL SONAME 'ha_federatedx'",
];

/// The session's own account, and what only looks like more.
const HARMLESS: &[&str] = &[
    "SET PASSWORD = 'x'",
    "SET PASSWORD FOR CURRENT_USER() = 'x'",
    "ALTER USER USER() IDENTIFIED BY 'x'",
    "ALTER USER CURRENT_USER IDENTIFIED BY 'x'",
    "ALTER USER IF EXISTS CURRENT_USER() IDENTIFIED BY 'x'",
    "SET ROLE r",
    "SET DEFAULT ROLE r TO CURRENT_USER()",
    "SET GLOBAL max_connections = 7",
    "SET @a = 'mysql.user'",
    "SHOW GRANTS",
    "SHOW GRANTS FOR app",
    "SHOW CREATE USER app",
    "SELECT user, host FROM mysql.user",
    "(SELECT REPLACE(user, 'a', 'b') FROM mysql.user)",
    "EXPLAIN SELECT user FROM mysql.user",
    "FLUSH PRIVILEGES",
    "USE mysql",
    "INSERT INTO orders (remark) VALUES ('mysql.user')",
    "UPDATE orders mysql SET remark = 'x'",
    "CREATE TABLE t (user INT, role INT, connection INT, engine INT, KEY (engine)) ENGINE = InnoDB",
    "ALTER TABLE orders ADD user INT",
    "ALTER TABLE t DROP role",
    "CREATE TABLE user (id INT)",
    "CREATE PROCEDURE p() UPDATE user SET role = 1",
    "PREPARE s FROM 'SELECT user FROM mysql.user'",
];

#[test]
fn accounts_are_for_those_who_see_all_values() {
    let mut shop = Shop::open();
    for (kind, number) in [(ServerKind::MySql, 90_704), (ServerKind::MariaDb, 101_116)] {
        shop.dialect.server = ServerVersion { kind, number };
        let more = if kind == ServerKind::MariaDb { ADMINISTERS_MARIADB } else { &[] };
        for role in [ENGINEER, MASKED, DESK] {
            shop.role = role;
            for sql in ADMINISTERS.iter().chain(more) {
                assert_eq!(shop.refusal(sql), Some(Refusal::Administration), "{kind:?} {sql}");
            }
            for sql in HARMLESS {
                assert_ne!(shop.refusal(sql), Some(Refusal::Administration), "{kind:?} {sql}");
            }
        }
        shop.role = PLAIN;
        for sql in ADMINISTERS.iter().chain(more) {
            assert_ne!(shop.refusal(sql), Some(Refusal::Administration), "{kind:?} {sql}");
        }
    }
}

#[test]
fn tables_without_a_database_may_be_those_of_the_server() {
    let mut shop = Shop::open();
    shop.role = MASKED;
    for (database, refused) in [(Some("mysql"), true), (Some("MySQL"), true), (Some("shop"), false), (None, false)] {
        shop.database = database;
        for sql in [
            "DELETE FROM user",
            "TRUNCATE user",
            "LOAD DATA INFILE 'x' INTO TABLE user",
            "CREATE VIEW v AS SELECT * FROM user",
            "CREATE PROCEDURE p() DELETE FROM user",
        ] {
            assert_eq!(shop.refusal(sql) == Some(Refusal::Administration), refused, "{database:?} {sql}");
        }
        assert_ne!(shop.refusal("SELECT user FROM user"), Some(Refusal::Administration));
    }
}

#[test]
fn who_has_nothing_hidden_from_him_administers() {
    let mut shop = Shop::open();
    shop.policy = Policy::new(1, Vec::new(), Vec::new(), Vec::new(), ENGINEER, FirewallMode::Block);
    shop.role = ENGINEER;
    for sql in ADMINISTERS {
        assert_ne!(shop.refusal(sql), Some(Refusal::Administration), "{sql}");
    }
}
