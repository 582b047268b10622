//! What a proof speaks for: rows that were committed before the oldest transaction that was open when its scan began.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::{JoinSet, block_in_place};

use super::Bench;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{bounded, options};

on_each_server!(a_scan_began_no_later_than_the_oldest_open_transaction, bytes_in_a_statement_of_others_stop_no_scan,);

async fn a_scan_began_no_later_than_the_oldest_open_transaction(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 300);
    block_in_place(|| bench.run("encrypt", &["--ddl", "run"])).ok();
    let root = options("127.0.0.1", deployment.server.port, &bench.database).user(Some("root"));
    let mut conn = bounded(Conn::new(root)).await.unwrap();
    bounded(conn.query_drop("START TRANSACTION")).await.unwrap();
    bounded(conn.query_drop("UPDATE customers SET name = 'open' WHERE id = 7")).await.unwrap();
    let opened: String = bounded(conn.query_first("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)")).await.unwrap().unwrap();
    let began = |relation: &str| {
        let proofs = block_in_place(|| bench.run("verify", &["--json"])).ok().json();
        let proof = &proofs[0]["proof"];
        deployment.server.sql(&format!(
            "SELECT started_at {relation} '{opened}', finished_at > '{opened}' FROM candado.proof WHERE proof_id = {proof}"
        ))
    };
    assert_eq!(began("<="), "1\t1\n", "it may write what the scan does not see");
    bounded(conn.query_drop("COMMIT")).await.unwrap();
    assert_eq!(began(">"), "1\t1\n");
}

async fn bytes_in_a_statement_of_others_stop_no_scan(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 300);
    block_in_place(|| bench.run("encrypt", &["--ddl", "run"])).ok();
    let root = || options("127.0.0.1", deployment.server.port, &bench.database).user(Some("root"));
    let mut holder = bounded(Conn::new(root())).await.unwrap();
    bounded(holder.query_drop("START TRANSACTION")).await.unwrap();
    bounded(holder.query_drop("UPDATE customers SET name = 'held' WHERE id = 7")).await.unwrap();
    // A statement that waits for the row, with bytes in it that are no text.
    let mut waiting = bounded(Conn::new(root())).await.unwrap();
    let mut waits = JoinSet::from_iter([async move {
        waiting.exec_drop("UPDATE customers SET name = HEX(?) WHERE id = 7", (vec![0xBD_u8, 0x9D, 0xCE],)).await
    }]);
    let server = deployment.server;
    let locks = || server.sql("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    block_in_place(|| wait_until("the statement waits", || !locks().ends_with("\t0\n")));
    // MySQL counts the errors that the engine got; MariaDB gives the list.
    let errors = || {
        server.sql(
            "SELECT COALESCE(SUM(SUM_ERRORS), 0) FROM performance_schema.events_statements_summary_by_user_by_event_name \
             WHERE USER = 'candado_backfill'",
        )
    };
    let before = errors();
    let mut verify = bench.spawn("verify", &["--json"]);
    if kind == Kind::MySql {
        block_in_place(|| {
            wait_until("the list is refused", || errors() != before || verify.try_wait().unwrap().is_some());
        });
    }
    bounded(holder.query_drop("COMMIT")).await.unwrap();
    let output = block_in_place(|| verify.wait_with_output()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8(output.stderr).unwrap());
    bounded(waits.join_next()).await.unwrap().unwrap().unwrap();
}
