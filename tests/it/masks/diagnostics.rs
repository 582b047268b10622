//! What the server says of an error, read again: no envelope is in it.

use mysql_async::prelude::Queryable;

use super::{masking, store};
use crate::by_name::reload;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, prepared, refused, text};

const DUPLICATE: &str = "Duplicate entry '<protected>' for key ";

pub(super) async fn show_no_envelope(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| {
        deployment.server.sql(&format!("ALTER TABLE {database}.customers ADD UNIQUE KEY one_name (code(23), name)"));
        masking(database)
    });
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, super::ONE).await;
    let sql = "INSERT INTO customers (id, name, code) VALUES (2, 'Ben', 'KX-1111-77')";
    assert!(matches!(text(&mut application, sql).await, Answer::Done { .. }));
    for who in [Who::Engineer, Who::Support, Who::Nobody, Who::Application] {
        let mut conn = shop.connect(who).await;
        let mut duplicates = vec![("UPDATE customers SET name = 'Ana' WHERE id = 2", "Error")];
        // No error, and a warning with the same text. MariaDB has none for UPDATE.
        if kind == Kind::MySql {
            duplicates.push(("UPDATE IGNORE customers SET name = 'Ana' WHERE id = 2", "Warning"));
        }
        if who == Who::Application {
            let sql = "INSERT IGNORE INTO customers (id, name, code) VALUES (3, 'Ana', 'KX-1111-77')";
            duplicates.push((sql, "Warning"));
        }
        for (failing, level) in duplicates {
            for show in ["SHOW WARNINGS", "SHOW ERRORS", "SHOW WARNINGS LIMIT 1", "show /* again */ warnings"] {
                text(&mut conn, failing).await;
                let told = text(&mut conn, show).await.cells();
                if show == "SHOW ERRORS" && level == "Warning" {
                    assert!(told.is_empty(), "{told:?}");
                    continue;
                }
                let row: Vec<&str> = told[0].iter().map(|cell| cell.as_deref().unwrap()).collect();
                assert_eq!((told.len(), row[0], row[1]), (1, level, "1062"), "{show}");
                assert!(row[2].starts_with(DUPLICATE) && row[2].contains("one_name"), "{told:?}");
                assert!(!row[2].contains("xC1"), "{told:?}");
            }
        }
        // Other messages are what they are.
        text(&mut conn, "SELECT id FROM nowhere").await;
        let told = text(&mut conn, "SHOW WARNINGS").await.cells();
        assert!(told[0][2].as_deref().unwrap().contains("nowhere"), "{told:?}");
        // What is not seen on its way is refused.
        text(&mut conn, "UPDATE customers SET name = 'Ana' WHERE id = 2").await;
        for sql in [
            "GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT",
            "GET DIAGNOSTICS CONDITION 1 @s = RETURNED_SQLSTATE, @m = message_text",
            "PREPARE s FROM 'SHOW WARNINGS'",
        ] {
            refused(&mut conn, sql, 1235, "42000").await;
        }
        assert_eq!(prepared(&mut conn, "SHOW WARNINGS", ()).await.error(), (1235, "42000"));
        let taken = text(&mut conn, "GET DIAGNOSTICS CONDITION 1 @s = RETURNED_SQLSTATE").await;
        assert!(matches!(taken, Answer::Done { .. }), "{taken:?}");
        assert_eq!(text(&mut conn, "SHOW COUNT(*) ERRORS").await.cells().len(), 1);
        assert_eq!(text(&mut conn, "SELECT 1").await.cells().len(), 1);
    }
}

/// A policy without a column, as before anybody thought of one.
fn protecting_nothing(policy: &str) -> String {
    let (head, rest) = policy.split_once("[[column]]").unwrap();
    let accounts = rest.split_once("[[account]]").unwrap().1;
    format!(
        "{head}[role.application]\naccess = \"plain\"\n[role.engineer]\naccess = \"deny\"\n[role.support]\naccess = \"deny\"\n[[account]]{accounts}"
    )
}

pub(super) async fn are_refused_where_they_were_prepared_before(kind: Kind) {
    let shop = Shop::open(kind);
    let policy = crate::support::shop::policy(&shop.database);
    reload(&shop, &protecting_nothing(&policy));
    let mut conn = shop.connect(Who::Application).await;
    if kind == Kind::MySql {
        return assert_eq!(prepared(&mut conn, "SHOW WARNINGS", ()).await.error(), (1295, "HY000"));
    }
    let show = conn.prep("SHOW WARNINGS").await.unwrap();
    let rows: Vec<(String, u32, String)> = conn.exec(&show, ()).await.unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    reload(&shop, &policy);
    let answer = conn.exec_drop(&show, ()).await;
    assert!(matches!(&answer, Err(mysql_async::Error::Server(error)) if error.code == 1235), "{answer:?}");
    let told = text(&mut conn, "SHOW WARNINGS").await;
    assert!(matches!(told, Answer::Rows { .. }), "{told:?}");
}
