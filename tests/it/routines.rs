//! CALL of procedures that policy allows: arguments that are declared are stored sealed, results that are declared are
//! opened, in both protocols, and nothing else of a procedure is.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, cell, policy, prepared, refused, text};

on_each_server!(allowed_procedures_take_and_show_values);

const PROCEDURES: &[&str] = &[
    "CREATE PROCEDURE add_customer (IN i INT, IN c VARBINARY(200), IN n VARBINARY(300)) \
     INSERT INTO customers (id, code, note) VALUES (i, c, n)",
    "CREATE PROCEDURE show_customers () BEGIN SELECT id, code FROM customers; SELECT note AS n FROM customers; \
     SELECT COUNT(*) FROM customers; END",
    "CREATE PROCEDURE one_more () BEGIN SELECT code FROM customers; SELECT code FROM customers; END",
    "CREATE PROCEDURE other_column () SELECT note AS code FROM customers",
    "CREATE PROCEDURE give_out (OUT c VARBINARY(200)) SELECT code INTO c FROM customers WHERE id = 1",
    "CREATE PROCEDURE code_of (IN i INT, OUT c VARBINARY(200), INOUT n INT) \
     BEGIN SELECT code INTO c FROM customers WHERE id = i; SET n = n + 1; END",
    "CREATE PROCEDURE code_and_rows (OUT c VARBINARY(200)) \
     BEGIN SELECT note FROM customers WHERE id = 1; SELECT code INTO c FROM customers WHERE id = 2; END",
    "CREATE PROCEDURE twice () INSERT INTO customers (id, code) SELECT 9, code FROM customers WHERE id = 1",
    "ALTER TABLE customers ADD UNIQUE KEY only_code (code(23))",
    "CREATE PROCEDURE secret () SELECT code FROM customers",
];

/// The shop's policy with those procedures.
fn allowing(database: &str) -> String {
    let column = |name: &str| format!("\"{database}.customers.{name}\"");
    let (code, note) = (column("code"), column("note"));
    let routine = |name: &str, rest: &str| format!("[[routine]]\nname = \"{database}.{name}\"\n{rest}\n");
    [
        policy(database),
        routine("add_customer", &format!("arguments = [\"-\", {code}, {note}]")),
        routine("show_customers", &format!("results = [[\"-\", {code}], [{note}], [\"-\"]]")),
        routine("one_more", &format!("results = [[{code}]]")),
        routine("other_column", &format!("results = [[{code}]]")),
        routine("give_out", ""),
        routine("code_of", &format!("results = [[{code}, \"-\"]]")),
        routine("code_and_rows", &format!("results = [[{note}], [{code}]]")),
        routine("twice", "results = [[\"-\"]]"),
    ]
    .concat()
}

/// All results of a CALL, cell by cell.
async fn results(conn: &mut Conn, sql: &str) -> Vec<Vec<Vec<Option<String>>>> {
    let mut found = conn.query_iter(sql).await.unwrap();
    let mut results = Vec::new();
    while !found.is_empty() || found.columns().is_some_and(|columns| !columns.is_empty()) {
        let rows: Vec<Row> = found.collect().await.unwrap();
        results.push(rows.into_iter().map(|row| row.unwrap().iter().map(cell).collect()).collect());
    }
    results
}

async fn allowed_procedures_take_and_show_values(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), allowing);
    let mut owner = shop.direct().await;
    for sql in PROCEDURES {
        assert!(matches!(text(&mut owner, sql).await, Answer::Done { .. }), "{sql}");
    }
    let mut conn = shop.connect(Who::Application).await;
    // The proxy loads the catalog again behind a change of the schema that it sees.
    text(&mut conn, "DROP TABLE IF EXISTS nothing").await;
    let done = |answer: Answer| assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    done(text(&mut conn, "CALL add_customer(1, 'x', N'it''s')").await);
    done(prepared(&mut conn, "CALL add_customer(?, ?, ?)", (2, "y", Option::<String>::None)).await);
    done(prepared(&mut conn, "CALL add_customer(3, NULL, ?)", ("n",)).await);
    shop.assert_sealed();
    let code = "SELECT id FROM customers WHERE code = 'y'";
    assert_eq!(text(&mut conn, code).await.cells(), [[Some("2".to_owned())]]);

    let some = |text: &str| Some(text.to_owned());
    let shown = vec![
        vec![vec![some("1"), some("x")], vec![some("2"), some("y")], vec![some("3"), None]],
        vec![vec![some("it's")], vec![None], vec![some("n")]],
        vec![vec![some("3")]],
    ];
    assert_eq!(results(&mut conn, "CALL show_customers()").await, shown);
    let statement = conn.prep("CALL show_customers()").await.unwrap();
    let mut answer = conn.exec_iter(&statement, ()).await.unwrap();
    let first: Vec<(u32, Option<String>)> = answer.collect().await.unwrap();
    assert_eq!(first, [(1, some("x")), (2, some("y")), (3, None)]);
    let second: Vec<Option<String>> = answer.collect().await.unwrap();
    assert_eq!(second, [some("it's"), None, some("n")]);
    drop(answer);
    assert_in_step(&mut conn, "CALL show_customers()").await;

    // OUT and INOUT parameters of a prepared CALL are its last result.
    let given: Option<(Option<String>, i32)> =
        conn.exec_first("CALL code_of(?, ?, ?)", (2, Option::<String>::None, 4)).await.unwrap();
    assert_eq!(given, Some((some("y"), 5)));
    let given: Option<(Option<String>, i32)> =
        conn.exec_first("CALL code_of(?, ?, ?)", (3, Option::<String>::None, 4)).await.unwrap();
    assert_eq!(given, Some((None, 5)));
    let statement = conn.prep("CALL code_and_rows(?)").await.unwrap();
    let mut answer = conn.exec_iter(&statement, (Option::<String>::None,)).await.unwrap();
    assert_eq!(answer.collect::<Option<String>>().await.unwrap(), [some("it's")]);
    assert_eq!(answer.collect::<Option<String>>().await.unwrap(), [some("y")]);
    drop(answer);
    assert_in_step(&mut conn, "CALL code_and_rows(?)").await;

    // What is not declared stays sealed, or is refused.
    let given: Option<Vec<u8>> = conn.exec_first("CALL give_out(?)", (Option::<String>::None,)).await.unwrap();
    assert!(given.unwrap().starts_with(&[0xc1, 0xfe, 0x1d, 0x01]));
    done(text(&mut conn, "CALL give_out(@given)").await);
    let given = text(&mut conn, "SELECT HEX(@given)").await.cells();
    assert!(given[0][0].as_ref().unwrap().starts_with("C1FE1D01"), "{given:?}");
    for sql in ["CALL one_more()", "CALL other_column()"] {
        let refused = conn.query_iter(sql).await;
        let refused = match refused {
            Ok(answer) => answer.drop_result().await.err(),
            Err(error) => Some(error),
        };
        assert!(matches!(&refused, Some(mysql_async::Error::Server(_))), "{sql}: {refused:?}");
        assert_in_step(&mut conn, sql).await;
    }
    // An error in the place of a declared result names the key, and no byte of an envelope.
    let Answer::Refused { code: 1062, text: message, .. } = text(&mut conn, "CALL twice()").await else { panic!() };
    assert!(message.starts_with("Duplicate entry '<protected>' for key") && message.contains("only_code"), "{message}");
    refused(&mut conn, "CALL secret()", 1235, "42000").await;
    refused(&mut conn, "CALL add_customer(4, CONCAT('x', 'y'), NULL)", 1235, "42000").await;
    refused(&mut conn, "CALL add_customer(4, (SELECT code FROM customers LIMIT 1), NULL)", 1235, "42000").await;
    let mut engineer = shop.connect(Who::Engineer).await;
    for sql in ["CALL show_customers()", "CALL add_customer(5, 'x', NULL)", "CALL give_out(@given)"] {
        refused(&mut engineer, sql, 1143, "42000").await;
    }
}
