//! What a proof speaks for: rows that were committed before the oldest transaction that was open when its scan began.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::block_in_place;

use super::Bench;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider};
use crate::support::server::Kind;
use crate::support::shop::{bounded, options};

on_each_server!(a_scan_began_no_later_than_the_oldest_open_transaction);

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
