//! The write lease: a proxy that the key store does not hear of for thirty seconds stops writing protected columns, says
//! so, goes on with everything else, and writes again by itself.

use mysql_async::prelude::Queryable;

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, bounded, refused, refused_prepared, text};

on_each_server!(a_proxy_without_its_key_store_stops_writing, a_heartbeat_that_is_not_written_counts_as_silence);

async fn a_proxy_without_its_key_store_stops_writing(kind: Kind) {
    lease_runs_out(
        kind,
        "ALTER USER 'candado_proxy'@'%' ACCOUNT LOCK",
        "ALTER USER 'candado_proxy'@'%' ACCOUNT UNLOCK",
    )
    .await;
}

/// Whoever waits for all proxies goes by the heartbeats: a proxy that reads and is not heard of must stop, too.
async fn a_heartbeat_that_is_not_written_counts_as_silence(kind: Kind) {
    lease_runs_out(
        kind,
        "REVOKE INSERT, UPDATE ON candado.replica FROM 'candado_proxy'@'%'",
        "GRANT INSERT, UPDATE ON candado.replica TO 'candado_proxy'@'%'",
    )
    .await;
}

async fn lease_runs_out(kind: Kind, cut: &str, mend: &str) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let server = deployment.server;
    let shadow = Shop::open_in_shadow(&deployment);
    let mut shadowed = shadow.connect(Who::Application).await;
    let mut conn = shop.connect(Who::Application).await;
    let given = bounded(conn.prep("INSERT INTO customers (id, code) VALUES (?, ?)")).await.unwrap();
    // The server holds the sealed value of this one.
    let fixed = bounded(conn.prep("INSERT INTO customers (id, code) VALUES (?, 'fixed')")).await.unwrap();
    let find = bounded(conn.prep("SELECT id FROM customers WHERE code = ?")).await.unwrap();
    bounded(conn.exec_drop(&given, (1, "given"))).await.unwrap();
    bounded(conn.exec_drop(&fixed, (2,))).await.unwrap();

    server.sql(cut);
    for id in server.sql("SELECT id FROM information_schema.processlist WHERE user = 'candado_proxy'").lines() {
        // It may have ended meanwhile.
        drop(server.try_sql(&format!("KILL {id}")));
    }
    tokio::task::block_in_place(|| wait_until("the lease is over", || shop.proxy.metric("write_lease") == 0.0));
    // In shadow mode nothing passes then that is near protected columns: whoever converts them does not wait for it.
    tokio::task::block_in_place(|| wait_until("its lease is over", || shadow.proxy.metric("write_lease") == 0.0));
    for sql in
        ["INSERT INTO customers (code) VALUES ('x')", "SELECT code FROM customers", "SELECT MAX(code) FROM customers"]
    {
        refused(&mut shadowed, sql, 3185, "HY000").await;
    }
    assert!(matches!(text(&mut shadowed, "SELECT id FROM orders").await, Answer::Rows { .. }));
    for sql in [
        "INSERT INTO customers (id, code) VALUES (10, 'x')",
        "REPLACE INTO customers (id, phone) VALUES (1, '090-1234-5678')",
        "UPDATE customers SET note = 'x' WHERE id = 1",
        "INSERT INTO customers (id, name) VALUES (1, 'x') ON DUPLICATE KEY UPDATE code = 'x'",
    ] {
        refused(&mut conn, sql, 3185, "HY000").await;
        refused_prepared(&mut conn, sql, (), 3185, "HY000").await;
    }
    let answer = text(&mut conn, "INSERT INTO customers (id, code) VALUES (10, 'x')").await;
    assert!(matches!(&answer, Answer::Refused { text, .. } if text.contains("reading goes on")), "{answer:?}");
    for outcome in [bounded(conn.exec_drop(&given, (10, "x"))).await, bounded(conn.exec_drop(&fixed, (11,))).await] {
        assert!(matches!(outcome, Err(mysql_async::Error::Server(error)) if error.code == 3185));
    }
    // Everything else goes on.
    let found: Vec<u32> = bounded(conn.exec(&find, ("given",))).await.unwrap();
    assert_eq!(found, [1]);
    assert_eq!(text(&mut conn, "SELECT code FROM customers WHERE code = 'fixed'").await.cells().len(), 1);
    for sql in [
        "UPDATE customers SET name = 'x' WHERE code = 'given'",
        // Nothing is sealed for NULL.
        "UPDATE customers SET note = NULL WHERE id = 1",
        "INSERT INTO customers (id, name) VALUES (3, 'no protected value')",
        "DELETE FROM customers WHERE id = 3",
        "INSERT INTO orders (remark) VALUES ('open')",
    ] {
        assert!(matches!(text(&mut conn, sql).await, Answer::Done { .. }), "{sql}");
    }
    assert_eq!(shop.proxy.probe("/readyz").0, 200, "reads are served");

    server.sql(mend);
    tokio::task::block_in_place(|| wait_until("the lease is back", || shop.proxy.metric("write_lease") == 1.0));
    bounded(conn.exec_drop(&given, (10, "again"))).await.unwrap();
    bounded(conn.exec_drop(&fixed, (11,))).await.unwrap();
    assert_eq!(server.sql(&format!("SELECT COUNT(*) FROM `{}`.customers", shop.database)), "4\n");
    shop.assert_sealed();
}
