//! Waiting for transactions from before.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::task::{JoinSet, block_in_place};

use super::Bench;
use crate::support::block_on;
use crate::support::key_store::BACKFILL;
use crate::support::proxy::{Deployment, Provider, wait_until};
use crate::support::server::Kind;
use crate::support::shop::bounded;

/// MySQL refuses to list transactions while one of them runs such a statement; MariaDB does not mind.
#[test]
fn statements_with_bytes_in_them_are_waited_out() {
    block_on(statements_with_bytes(Kind::MySql));
}

async fn statements_with_bytes(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 300);
    bench.run("encrypt", &["--ddl", "run"]).ok();
    bench.sql("CREATE TABLE beside (id INT PRIMARY KEY, b VARBINARY(20)); INSERT INTO beside VALUES (1, 'x')");
    let connect = || {
        let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(deployment.server.port);
        bounded(Conn::new(options.user(Some("root")).db_name(Some(bench.database.clone())).prefer_socket(false)))
    };
    // One holds a row, the other waits for it with bytes that are no text.
    let (mut holds, mut waits) = (connect().await.unwrap(), connect().await.unwrap());
    holds.query_drop("BEGIN").await.unwrap();
    holds.query_drop("UPDATE beside SET b = 'y' WHERE id = 1").await.unwrap();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        waits.query_drop(&b"UPDATE beside SET b = _binary'\xc1\xfe\x1d\x01\x10' WHERE id = 1"[..]).await
    });
    let lists = || deployment.server.try_sql("SELECT COUNT(*) FROM information_schema.innodb_trx");
    block_in_place(|| wait_until("nothing is listed", || lists().is_err_and(|error| error.contains("3854"))));

    let mut job = bench.spawn("reencrypt", &["--json"]);
    let asked = || {
        let sql = "SELECT COALESCE(SUM(TOTAL_CONNECTIONS), 0) FROM performance_schema.accounts WHERE USER =";
        deployment.server.sql(&format!("{sql} '{BACKFILL}'")).trim_end().parse::<u32>().unwrap()
    };
    let before = asked();
    block_in_place(|| {
        wait_until("it goes on asking", || {
            assert!(job.try_wait().unwrap().is_none(), "it gave up");
            asked() > before + 3
        });
    });
    holds.query_drop("ROLLBACK").await.unwrap();
    bounded(waiting.join_next()).await.unwrap().unwrap().unwrap();
    assert!(block_in_place(|| job.wait()).unwrap().success());
}
