//! SQL-level PREPARE, EXECUTE and DEALLOCATE on protected columns: the session's named statements are what they are on a
//! plain table, or the PREPARE is refused.

use std::fs;

use mysql_async::Conn;
use rustix::process::Signal;

use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, policy, refused, refused_prepared, text};

on_each_server!(
    named_statements_are_those_of_a_plain_table,
    a_refused_prepare_leaves_the_name_as_it_was,
    names_end_with_the_session,
    a_named_statement_keeps_its_database,
    what_cannot_be_kept_is_refused,
    what_the_server_holds_is_decided_anew_when_policy_or_catalog_change,
    what_was_prepared_unseen_is_not_executed,
    what_is_executed_at_once_is_that_of_a_plain_table,
    names_that_the_server_takes_for_one_another_are_not_kept,
);

/// Rows, or the code of an error.
fn outcome(answer: &Answer) -> Result<Vec<Vec<Option<String>>>, u16> {
    match answer {
        Answer::Rows { columns, .. } => {
            let names = columns.iter().map(|column| Some(column.name.clone())).collect();
            Ok([vec![names], answer.cells()].concat())
        }
        Answer::Done { affected, .. } => Ok(vec![vec![Some(affected.to_string())]]),
        Answer::Refused { code, .. } => Err(*code),
        Answer::Lost => panic!("the connection is gone"),
    }
}

pub(crate) async fn same(through: &mut Conn, direct: &mut Conn, sql: &str) {
    let ours = text(through, sql.replace("{t}", "customers")).await;
    let expected = text(direct, sql.replace("{t}", "people")).await;
    assert_eq!(outcome(&ours), outcome(&expected), "{sql}\n{ours:?}");
}

pub(crate) async fn open(kind: Kind) -> (Shop<'static>, Conn, Conn) {
    let shop = Shop::open(kind);
    let (mut through, mut direct) = (shop.connect(Who::Application).await, shop.direct().await);
    let rows =
        "INSERT INTO {t} (id, name, code, note) VALUES (1, 'a', 'x', 'first'), (2, 'b', 'y', NULL), (3, 'c', 'x', '')";
    same(&mut through, &mut direct, rows).await;
    (shop, through, direct)
}

async fn named_statements_are_those_of_a_plain_table(kind: Kind) {
    let (shop, mut through, mut direct) = open(kind).await;
    for sql in [
        "SET @id = 2, @`odd name` = 3",
        "EXECUTE s USING @id",
        "PREPARE s FROM 'SELECT id, code, note FROM {t} WHERE id = ?'",
        "EXECUTE s USING @id",
        "EXECUTE S USING @`odd name`",
        "EXECUTE s USING @unset",
        "EXECUTE s",
        "EXECUTE s USING @id, @id",
        // Literals are searched and sealed inside the text.
        "PREPARE t FROM 'SELECT id, note FROM {t} WHERE code = ''x'' AND id < ? ORDER BY id'",
        "EXECUTE t USING @`odd name`",
        "PREPARE i FROM 'INSERT INTO {t} (id, code, note) VALUES (?, ''new'', ''it''''s'')'",
        "EXECUTE i USING @id",
        "SET @id = 7",
        "EXECUTE i USING @id",
        "EXECUTE i USING @id",
        "EXECUTE s USING @id;",
        "PREPARE u FROM 'UPDATE {t} SET note = ''changed'' WHERE code = ''new'' AND id = ?'",
        "EXECUTE u USING @id",
        "EXECUTE s USING @id",
        // Another text under the name.
        "PREPARE s FROM 'SELECT COUNT(*) AS n FROM {t}'",
        "EXECUTE s",
        "PREPARE s FROM 'SELECT code FROM {t} ORDER BY id'",
        "EXECUTE s",
        // A text that cannot be prepared takes the name away.
        "PREPARE s FROM 'SELECT nothing FROM orders'",
        "EXECUTE s",
        "DEALLOCATE PREPARE t",
        "EXECUTE t USING @id",
        "DEALLOCATE PREPARE t",
        "DROP PREPARE i",
        "EXECUTE i USING @id",
        "SET @id = 1",
        "EXECUTE u USING @id",
        "START TRANSACTION",
        "PREPARE d FROM 'DELETE FROM {t} WHERE code = ''new'' AND id > ?'",
        "EXECUTE d USING @id",
        "ROLLBACK",
        "SELECT id, code, note FROM {t} ORDER BY id",
    ] {
        same(&mut through, &mut direct, sql).await;
    }
    shop.assert_sealed();
}

async fn a_refused_prepare_leaves_the_name_as_it_was(kind: Kind) {
    let (_shop, mut through, mut direct) = open(kind).await;
    same(&mut through, &mut direct, "PREPARE s FROM 'SELECT code FROM {t} ORDER BY id'").await;
    refused(&mut through, "PREPARE s FROM 'SELECT MAX(code) FROM customers'", 1235, "42000").await;
    same(&mut through, &mut direct, "EXECUTE s").await;
    text(&mut through, "CREATE TABLE by_name (id INT)").await;
    same(&mut through, &mut direct, "EXECUTE s").await;
}

async fn names_end_with_the_session(kind: Kind) {
    let (_shop, mut through, mut direct) = open(kind).await;
    let prepare = "PREPARE s FROM 'SELECT code FROM {t} ORDER BY id'";
    same(&mut through, &mut direct, prepare).await;
    assert!(through.reset().await.unwrap() && direct.reset().await.unwrap());
    same(&mut through, &mut direct, "EXECUTE s").await;
    same(&mut through, &mut direct, prepare).await;
    same(&mut through, &mut direct, "EXECUTE s").await;
    through.change_user(mysql_async::ChangeUserOpts::default()).await.unwrap();
    assert_eq!(outcome(&text(&mut through, "EXECUTE s").await), Err(1243));
}

async fn a_named_statement_keeps_its_database(kind: Kind) {
    let (shop, mut through, mut direct) = open(kind).await;
    same(&mut through, &mut direct, "PREPARE s FROM 'SELECT code FROM {t} ORDER BY id'").await;
    text(&mut through, "USE information_schema").await;
    // On the server itself it would go on to read the table of its own database.
    refused(&mut through, "EXECUTE s", 1615, "HY000").await;
    text(&mut through, format!("USE `{}`", shop.database)).await;
    same(&mut through, &mut direct, "EXECUTE s").await;
}

async fn what_cannot_be_kept_is_refused(kind: Kind) {
    let (shop, mut through, _) = open(kind).await;
    text(&mut through, "SET @v = 'x', @sql = 'SELECT code FROM customers'").await;
    for sql in [
        // Its variable would hold plaintext on the server.
        "PREPARE s FROM 'SELECT id FROM customers WHERE code = ?'",
        "PREPARE s FROM 'INSERT INTO customers (id, code) VALUES (?, ?)'",
        "PREPARE s FROM 'UPDATE customers SET code = ?'",
        "PREPARE s FROM 'SELECT COALESCE(code, ?) AS c FROM customers'",
        // What it shows is named by the text.
        "PREPARE s FROM 'SELECT ?, code FROM customers'",
        "PREPARE s FROM 'SELECT code FROM customers LIMIT ?'",
        "PREPARE s FROM 'SELECT code INTO @c FROM customers LIMIT 1'",
        "PREPARE s FROM @sql",
    ] {
        refused(&mut through, sql, 1235, "42000").await;
    }
    assert_eq!(outcome(&text(&mut through, "EXECUTE s").await), Err(1243));
    refused_prepared(&mut through, "PREPARE s FROM 'SELECT code FROM customers'", (), 1235, "42000").await;
    let mut engineer = shop.connect(Who::Engineer).await;
    refused(&mut engineer, "PREPARE s FROM 'SELECT code FROM customers'", 1143, "42000").await;
}

async fn names_that_the_server_takes_for_one_another_are_not_kept(kind: Kind) {
    let (_shop, mut through, mut direct) = open(kind).await;
    let kept = "PREPARE s FROM 'SELECT code FROM {t} ORDER BY id'";
    for name in ["`ß`", "`größe`", "`s `"] {
        refused(&mut through, &format!("PREPARE {name} FROM 'SELECT code FROM customers'"), 1235, "42000").await;
    }
    // What is not protected the server may have under one, and is not asked to run it: it may be another's text.
    for (prepare, execute) in [
        ("PREPARE `größe` FROM 'SELECT 1 AS one'", "EXECUTE `größe`"),
        ("PREPARE `g ` FROM 'SELECT 1 AS one'", "EXECUTE `g `"),
    ] {
        same(&mut through, &mut direct, prepare).await;
        refused(&mut through, execute, 1615, "HY000").await;
    }
    for sql in ["DROP PREPARE `größe`", "PREPARE g FROM 'SELECT 1 AS one'", "EXECUTE g", "DROP PREPARE g"] {
        same(&mut through, &mut direct, sql).await;
    }
    // To the server it is the name that was kept.
    for taking in ["PREPARE `ß` FROM 'SELECT 1 AS one'", "DEALLOCATE PREPARE `ß`"] {
        same(&mut through, &mut direct, kept).await;
        same(&mut through, &mut direct, "EXECUTE s").await;
        refused(&mut through, "EXECUTE `ß`", 1615, "HY000").await;
        same(&mut through, &mut direct, taking).await;
        refused(&mut through, "EXECUTE s", 1615, "HY000").await;
    }
    for sql in [kept, "EXECUTE S", "DEALLOCATE PREPARE S"] {
        same(&mut through, &mut direct, sql).await;
    }
    refused(&mut through, "EXECUTE s", 1615, "HY000").await;
}

/// Puts a policy in force.
pub(crate) fn reload(shop: &Shop<'_>, policy: &str) {
    const DONE: &str = "policy in force";
    let times = shop.proxy.events().iter().filter(|event| event["message"] == DONE).count();
    fs::write(shop.proxy.folder().join("policy.toml"), policy).unwrap();
    shop.proxy.signal(Signal::HUP);
    tokio::task::block_in_place(|| shop.proxy.wait_logged(DONE, times + 1));
}

/// The shop's policy before anybody thought of the telephone.
pub(crate) fn without_phone(protecting: &str, database: &str) -> String {
    let start = protecting.find(&format!("[[column]]\nname = \"{database}.customers.phone\"")).unwrap();
    let end = start + 1 + protecting[start + 1..].find("[[column]]").unwrap();
    format!("{}{}", &protecting[..start], &protecting[end..])
}

async fn done(conn: &mut Conn, sql: &str) {
    let answer = text(conn, sql).await;
    assert!(matches!(answer, Answer::Done { .. }), "{sql}: {answer:?}");
}

async fn what_the_server_holds_is_decided_anew_when_policy_or_catalog_change(kind: Kind) {
    let shop = Shop::open(kind);
    let (mut conn, mut direct) = (shop.connect(Who::Application).await, shop.direct().await);
    let protecting = policy(&shop.database);
    done(&mut conn, "CREATE TABLE remarks (id INT PRIMARY KEY, remark VARCHAR(200))").await;
    reload(&shop, &without_phone(&protecting, &shop.database));
    for sql in [
        "SET @id = 1, @p = '090-1234-5678'",
        "PREPARE w FROM 'INSERT INTO customers (id, phone) VALUES (?, ?)'",
        "PREPARE v FROM 'UPDATE remarks SET remark = ? WHERE id = 7'",
        "PREPARE o FROM 'INSERT INTO orders (remark) VALUES (?)'",
        "EXECUTE v USING @p",
        "SET @id = 2",
    ] {
        done(&mut conn, sql).await;
    }
    // Nothing has changed: the server runs what it was given, and nothing but the table's CHECK is left to stop it.
    let ran = outcome(&text(&mut conn, "EXECUTE w USING @id, @p").await);
    assert!(matches!(ran, Err(3819 | 4025)), "{ran:?}");
    reload(&shop, &protecting);
    refused(&mut conn, "EXECUTE w USING @id, @p", 1615, "HY000").await;
    assert_in_step(&mut conn, "EXECUTE").await;
    refused(&mut conn, "EXECUTE w USING @id, @p", 1615, "HY000").await;
    // Nor under a name that the server takes for the same.
    for name in ["`ẃ`", "`w `"] {
        refused(&mut conn, &format!("EXECUTE {name} USING @id, @p"), 1615, "HY000").await;
    }
    // What the new policy has nothing against goes on.
    done(&mut conn, "EXECUTE v USING @p").await;
    done(&mut conn, "EXECUTE o USING @p").await;
    done(&mut conn, "PREPARE w FROM 'INSERT INTO customers (id, phone) VALUES (?, ''090-1234-5678'')'").await;
    done(&mut conn, "EXECUTE w USING @id").await;
    assert!(shop.stored("phone", 2).starts_with("C1FE1D01"));

    // The name leads to a protected column now. The proxy loads the catalog behind a change that it sees.
    done(&mut direct, "DROP TABLE remarks").await;
    done(&mut direct, "CREATE VIEW remarks AS SELECT id, phone AS remark FROM customers").await;
    done(&mut conn, "DROP TABLE IF EXISTS nothing").await;
    refused(&mut conn, "EXECUTE v USING @p", 1615, "HY000").await;
    done(&mut conn, "SET @p = 'another'").await;
    done(&mut conn, "EXECUTE o USING @p").await;
    done(&mut conn, "DEALLOCATE PREPARE v").await;
    assert_eq!(outcome(&text(&mut conn, "EXECUTE v USING @p").await), Err(1243));
}

async fn what_was_prepared_unseen_is_not_executed(kind: Kind) {
    let allowing = |database: &str| format!("{}[[routine]]\nname = \"{database}.prepares\"\n", policy(database));
    let shop = Shop::open_as(Deployment::shared(kind), allowing);
    let (mut conn, mut direct) = (shop.connect(Who::Application).await, shop.direct().await);
    for sql in [
        "CREATE PROCEDURE prepares () PREPARE hidden FROM 'INSERT INTO customers (phone) VALUES (?)'",
        "CREATE PROCEDURE does_nothing () SET @nothing = 1",
    ] {
        done(&mut direct, sql).await;
    }
    done(&mut conn, "DROP TABLE IF EXISTS nothing").await;
    done(&mut conn, "PREPARE s FROM 'SELECT code FROM customers'").await;
    // A procedure that cannot prepare anything leaves all names as they are.
    done(&mut conn, "CALL does_nothing()").await;
    assert_eq!(text(&mut conn, "EXECUTE s").await.cells(), Vec::<Vec<_>>::new());
    assert_eq!(outcome(&text(&mut conn, "EXECUTE hidden USING @p").await), Err(1243));

    done(&mut conn, "CALL prepares()").await;
    done(&mut conn, "SET @p = '090-1234-5678'").await;
    refused(&mut conn, "EXECUTE hidden USING @p", 1615, "HY000").await;
    refused(&mut conn, "EXECUTE s", 1615, "HY000").await;
    done(&mut conn, "PREPARE s FROM 'SELECT code FROM customers'").await;
    assert_eq!(text(&mut conn, "EXECUTE s").await.cells(), Vec::<Vec<_>>::new());
    assert!(conn.reset().await.unwrap());
    assert_eq!(outcome(&text(&mut conn, "EXECUTE hidden USING @p").await), Err(1243));
}

/// MariaDB's EXECUTE IMMEDIATE.
async fn what_is_executed_at_once_is_that_of_a_plain_table(kind: Kind) {
    let (shop, mut through, mut direct) = open(kind).await;
    text(&mut through, "SET @sql = 'SELECT code FROM customers'").await;
    if kind == Kind::MySql {
        return refused(&mut through, "EXECUTE IMMEDIATE 'SELECT code FROM customers'", 1235, "42000").await;
    }
    for sql in [
        "SET @id = 2",
        "EXECUTE IMMEDIATE 'SELECT id, code, note FROM {t} WHERE id = ?' USING @id",
        "EXECUTE IMMEDIATE 'SELECT id, code FROM {t} WHERE code = ''x'' ORDER BY id';",
        "EXECUTE IMMEDIATE 'SELECT id, code FROM {t} WHERE id = ?'",
        "EXECUTE IMMEDIATE 'SELECT id, code FROM {t} WHERE id = ?' USING @id, @id",
        "EXECUTE IMMEDIATE 'INSERT INTO {t} (id, code, note) VALUES (4, ''new'', ''it''''s'')'",
        "EXECUTE IMMEDIATE 'UPDATE {t} SET note = ''changed'' WHERE id = ?' USING @id",
        "EXECUTE IMMEDIATE 'SELECT 1 AS one'",
        "SELECT id, code, note FROM {t} ORDER BY id",
    ] {
        same(&mut through, &mut direct, sql).await;
    }
    shop.assert_sealed();
    for sql in [
        "EXECUTE IMMEDIATE @sql",
        "EXECUTE IMMEDIATE CONCAT('SELECT code ', 'FROM customers')",
        "EXECUTE IMMEDIATE 'SELECT code FROM customers WHERE id = ?' USING 2",
        "EXECUTE IMMEDIATE 'SELECT id FROM customers WHERE code = ?' USING @id",
        "EXECUTE IMMEDIATE 'PREPARE s FROM ''SELECT code FROM customers'''",
        "EXECUTE IMMEDIATE 'SELECT MAX(code) FROM customers'",
    ] {
        refused(&mut through, sql, 1235, "42000").await;
    }
    refused_prepared(&mut through, "EXECUTE IMMEDIATE 'SELECT code FROM customers'", (), 1235, "42000").await;
    let mut engineer = shop.connect(Who::Engineer).await;
    refused(&mut engineer, "EXECUTE IMMEDIATE 'SELECT code FROM customers'", 1143, "42000").await;
}
