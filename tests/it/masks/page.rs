//! The page `keys-policy/who-sees-what.md`, made by running each construct as each role in both protocols.
//! `UPDATE_EXPECT=1` writes it; read it before committing.

use std::path::Path;

use expect_test::expect_file;

use super::{MASKED, ONE, open, store};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Who, prepared, text};

/// What is done with the column, and a statement that does it.
const CONSTRUCTS: &[(&str, &str)] = &[
    ("the column in a result", "SELECT phone FROM customers"),
    ("under an alias", "SELECT c.phone AS p FROM customers c"),
    ("by a star", "SELECT c.* FROM customers c"),
    ("through a derived table", "SELECT d.p FROM (SELECT phone AS p FROM customers) d"),
    ("through a common table expression", "WITH d AS (SELECT phone FROM customers) SELECT phone FROM d"),
    ("through UNION ALL of the same column", "SELECT phone FROM customers UNION ALL SELECT phone FROM customers"),
    ("other columns of the row", "SELECT id, name FROM customers"),
    ("COUNT(*)", "SELECT COUNT(*) FROM customers"),
    ("= with the value", "SELECT id FROM customers WHERE phone = '+81 90-1234-5678'"),
    ("IN", "SELECT id FROM customers WHERE phone IN ('+81 90-1234-5678')"),
    ("IS NULL", "SELECT id FROM customers WHERE phone IS NULL"),
    ("COUNT(column)", "SELECT COUNT(phone) FROM customers"),
    ("GROUP BY", "SELECT COUNT(*) FROM customers GROUP BY phone"),
    ("DISTINCT", "SELECT DISTINCT phone FROM customers"),
    ("a join by the column", "SELECT a.id FROM customers a JOIN customers b ON a.phone = b.phone"),
    ("COALESCE, IF, CASE", "SELECT COALESCE(phone, 'none') AS p FROM customers"),
    ("a scalar subquery", "SELECT (SELECT phone FROM customers WHERE id = 1) AS p"),
    ("IN (SELECT column)", "SELECT id FROM customers WHERE phone IN (SELECT phone FROM customers)"),
    ("HAVING", "SELECT phone AS p FROM customers HAVING p = '+81 90-1234-5678'"),
    ("ORDER BY", "SELECT id FROM customers ORDER BY phone"),
    ("LIKE with a wildcard", "SELECT id FROM customers WHERE phone LIKE '+81%'"),
    ("a function", "SELECT UPPER(phone) FROM customers"),
    ("INTO a user variable", "SELECT phone INTO @p FROM customers WHERE id = 1"),
    ("INSERT of the column", "INSERT INTO customers (id, phone) VALUES (9, '090-0000-0000')"),
    ("UPDATE of the column", "UPDATE customers SET phone = '+81 90-1234-5678' WHERE id = 1"),
    ("UPDATE of another column", "UPDATE customers SET name = 'Ana' WHERE id = 1"),
    ("UPDATE of another one from it", "UPDATE customers SET name = phone WHERE id = 1"),
    ("DELETE by another column", "DELETE FROM customers WHERE id = 9"),
    ("DELETE by the column", "DELETE FROM customers WHERE phone = '090-0000-0000'"),
    ("INSERT … SELECT of the column", "INSERT INTO orders (remark) SELECT phone FROM customers"),
    ("CREATE TABLE … SELECT", "CREATE TABLE copy AS SELECT phone FROM customers"),
    ("EXPLAIN of a SELECT that shows it", "EXPLAIN SELECT phone FROM customers"),
];

const HEAD: &str = "# Who sees what

What each role gets for `shop.customers.phone`, a column with a blind index and `mask = \"phone\"`: made by running each
construct as each role on MySQL and on MariaDB, as text (COM_QUERY) and prepared (COM_STMT_PREPARE). Where both protocols
give the same, it stands there once.

- **value**: the value as it was written
- **mask**: `+81****78`
- **envelope**: the stored bytes, with random ones in place of the blind index
- **answered**: the statement is run, and nothing of the column is in its answer
- a number: the error; 1143 is MySQL's own for a column that an account may not use, 1235 is Candado's for what cannot be
  done with an encrypted column by anybody

| construct | plain | masked | ciphertext | deny |
|---|---|---|---|---|
";

pub(super) async fn is_what_happens(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    let mut page = HEAD.to_owned();
    let mut roles = Vec::new();
    for who in [Who::Application, Who::Engineer, Who::Support, Who::Nobody] {
        roles.push(shop.connect(who).await);
    }
    for (construct, sql) in CONSTRUCTS {
        let mut cells = Vec::new();
        for conn in &mut roles {
            let mut told = Vec::new();
            for protocol in ["text", "prepared"] {
                text(&mut application, "DELETE FROM customers").await;
                text(&mut application, "DELETE FROM orders").await;
                store(&mut application, ONE).await;
                let answer = if protocol == "text" { text(conn, sql).await } else { prepared(conn, sql, ()).await };
                told.push(outcome(&answer));
            }
            told.dedup();
            cells.push(told.join(" / "));
        }
        page.push_str(&format!("| {construct} | {} |\n", cells.join(" | ")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-policy/who-sees-what.md");
    expect_file![path].assert_eq(&page);
}

fn outcome(answer: &Answer) -> String {
    match answer {
        Answer::Rows { .. } => {
            let cells: Vec<String> = answer.cells().into_iter().flatten().flatten().collect();
            let has = |shown: &str| cells.iter().any(|cell| cell == shown);
            let envelope = cells.iter().any(|cell| cell.starts_with("[c1, fe, 1d, 01"));
            let shown = match (has(ONE[0]), MASKED[0].is_some_and(has), envelope) {
                (true, _, _) => "value",
                (_, true, _) => "mask",
                (_, _, true) => "envelope",
                (false, false, false) => "answered",
            };
            shown.to_owned()
        }
        Answer::Done { .. } => "answered".to_owned(),
        Answer::Refused { code, .. } => code.to_string(),
        Answer::Lost => "lost".to_owned(),
    }
}
