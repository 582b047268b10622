//! What MariaDB has and MySQL has not, on protected columns: tables as they were, ROWS EXAMINED, sequences, IGNORE as a
//! value. The answers are those of a plain table.

use crate::by_name::{open, same};
use crate::support::block_on;
use crate::support::server::Kind;
use crate::support::shop::{refused, text};

#[test]
fn forms_of_mariadb_answer_as_on_a_plain_table() {
    block_on(forms());
}

async fn forms() {
    let (shop, mut through, mut direct) = open(Kind::MariaDb).await;
    for table in ["customers", "people"] {
        text(&mut direct, format!("ALTER TABLE {table} ADD SYSTEM VERSIONING")).await;
        text(&mut direct, format!("CREATE SEQUENCE of_{table} START WITH 50")).await;
    }
    // The proxy loads the catalog again behind a change of the schema that it sees.
    text(&mut through, "DROP TABLE IF EXISTS nothing").await;
    for sql in [
        "UPDATE {t} SET code = 'z', note = NULL WHERE id = 1",
        "SELECT id, code, note FROM {t} WHERE id = 1",
        "SELECT id, code FROM {t} ORDER BY id LIMIT 2 ROWS EXAMINED 1000",
        "SELECT id, code FROM {t} WHERE code = 'x' ORDER BY id LIMIT ROWS EXAMINED 1000",
        "INSERT INTO {t} (id, code) VALUES (NEXT VALUE FOR of_{t}, 'q')",
        "INSERT INTO {t} (id, code, note) VALUES (60, 'i', IGNORE)",
        "UPDATE {t} SET note = IGNORE WHERE id = 2",
        "SELECT id, code, note FROM {t} ORDER BY id",
        "DELETE HISTORY FROM {t}",
    ] {
        same(&mut through, &mut direct, sql).await;
    }
    shop.assert_sealed();
    // Rows of the past keep the form and the index that they had.
    for sql in [
        "SELECT COUNT(*) AS n FROM customers FOR SYSTEM_TIME ALL",
        "SELECT c.id, d.code FROM customers c JOIN customers FOR SYSTEM_TIME ALL AS d ON d.id = c.id AND d.code = 'x'",
        "SELECT n.code FROM (SELECT id, code FROM customers FOR SYSTEM_TIME ALL) AS n WHERE n.id = 1 AND n.code = 'x'",
        "SET system_versioning_asof = '2020-01-01'",
        "SET STATEMENT max_statement_time = 1 FOR SHOW WARNINGS",
        "BEGIN NOT ATOMIC EXECUTE IMMEDIATE CONCAT('SELECT HEX(code) AS h FROM cust', 'omers'); END",
        "SELECT id FROM customers FOR SYSTEM_TIME AS OF (SELECT code FROM customers LIMIT 1)",
        "SELECT id FROM customers FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01' ORDER BY code",
        "UPDATE customers FOR PORTION OF p FROM '2020-01-01' TO '2021-01-01' SET code = 'x'",
        "DELETE HISTORY FROM customers BEFORE SYSTEM_TIME NOW()",
        "SELECT COLUMN_CREATE('c', code AS CHAR) FROM customers",
        "SELECT PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY code) OVER () FROM customers",
    ] {
        refused(&mut through, sql, 1235, "42000").await;
    }
}
