//! What breaks: the server, the proxy and the key service end at moments that nobody chose. A client gets an error packet
//! or the end of its connection, never a hang, and what was acknowledged is there afterwards.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::Conn;

use crate::fakekms::{FakeKms, Fault, Role};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Tls, WithoutKeys, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, bounded, prepared, refused, refused_prepared, text};

on_each_server!(
    a_killed_server_loses_no_committed_row,
    a_killed_proxy_loses_no_committed_row,
    the_key_service_is_not_needed_while_serving,
    without_keys_nothing_protected_passes_until_they_come,
    without_keys_nothing_at_all_passes_by_default,
    a_key_service_that_does_not_answer_holds_nobody_up,
);

/// Clients that write at the same time.
const WRITERS: u32 = 4;
/// Rows that are acknowledged before something is killed.
const BEFORE: u32 = 60;
/// How often it is killed.
const ROUNDS: u32 = 3;

/// Writes rows until the connection ends; the acknowledged ones are returned. Half of the rows are committed one by one
/// over the text protocol, half in transactions of two over the prepared one.
async fn write_until_the_end(mut conn: Conn, writer: u32, round: u32, acknowledged: Arc<AtomicU32>) -> Vec<u32> {
    let mut rows = Vec::new();
    let mut id = writer * 1_000_000 + round * 100_000;
    loop {
        id += 2;
        let committed = if writer.is_multiple_of(2) { single(&mut conn, id).await } else { both(&mut conn, id).await };
        match committed {
            Ok(ids) => {
                acknowledged.fetch_add(u32::try_from(ids.len()).unwrap(), Ordering::Relaxed);
                rows.extend(ids);
            }
            Err(Answer::Lost) => return rows,
            // A server that is about to end, or one that the proxy has just lost, says so in a packet.
            Err(Answer::Refused { code: 1053 | 1152 | 1158..=1161 | 1180 | 1927 | 2013 | 1105 | 1429, .. }) => {
                return rows;
            }
            Err(other) => panic!("neither a clean error nor the end: {other:?}"),
        }
    }
}

async fn single(conn: &mut Conn, id: u32) -> Result<Vec<u32>, Answer> {
    let sql = format!("INSERT INTO customers (id, code, note) VALUES ({id}, 'c{id}', 'note of {id}')");
    match text(conn, sql).await {
        Answer::Done { affected: 1, .. } => Ok(vec![id]),
        other => Err(other),
    }
}

async fn both(conn: &mut Conn, id: u32) -> Result<Vec<u32>, Answer> {
    let done = |answer: Answer| match answer {
        Answer::Done { .. } => Ok(()),
        other => Err(other),
    };
    done(text(conn, "BEGIN").await)?;
    for id in [id, id + 1] {
        let values = (id, format!("c{id}"), format!("note of {id}"));
        done(prepared(conn, "INSERT INTO customers (id, code, note) VALUES (?, ?, ?)", values).await)?;
    }
    done(text(conn, "COMMIT").await)?;
    Ok(vec![id, id + 1])
}

/// Starts the writers, runs `fault` when they have written enough, and returns what was acknowledged.
async fn writing_while(shop: &Shop<'_>, round: u32, fault: impl FnOnce()) -> Vec<u32> {
    let acknowledged = Arc::new(AtomicU32::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let conn = shop.connect(Who::Application).await;
        writers.spawn(write_until_the_end(conn, writer, round, acknowledged.clone()));
    }
    tokio::task::block_in_place(|| {
        wait_until("rows are written", || acknowledged.load(Ordering::Relaxed) >= BEFORE);
        fault();
    });
    bounded(writers.join_all()).await.concat()
}

/// Every acknowledged row is there, readable and found by the index; no pair is torn.
async fn assert_all_there(shop: &Shop<'_>, rows: &[u32]) {
    let mut conn = shop.connect(Who::Application).await;
    for id in rows {
        let answer = text(&mut conn, format!("SELECT id, note FROM customers WHERE code = 'c{id}'")).await;
        assert_eq!(answer.cells(), [[Some(id.to_string()), Some(format!("note of {id}"))]], "row {id} was committed");
    }
    let all = text(&mut conn, "SELECT id, code, note FROM customers").await.cells();
    assert!(all.len() >= rows.len());
    for row in all {
        let id = row[0].clone().unwrap();
        assert_eq!(row[1..], [Some(format!("c{id}")), Some(format!("note of {id}"))]);
    }
    let torn = "SELECT COUNT(*) FROM customers WHERE id DIV 1000000 IN (1, 3) GROUP BY id DIV 2 HAVING COUNT(*) <> 2";
    assert!(text(&mut conn, torn).await.cells().is_empty(), "a transaction is half there");
    shop.assert_sealed();
}

fn server_script(command: &str, shop: &Shop<'_>, kind: Kind) {
    let folder = shop.deployment.server.datadir.parent().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/server.sh");
    let mut line = Command::new(script);
    line.arg(command);
    if command == "start" {
        let kind = match kind {
            Kind::MySql => "mysql",
            Kind::MariaDb => "mariadb",
        };
        line.arg(kind).arg(folder).args(["--parent", &std::process::id().to_string()]);
    } else {
        line.arg(folder);
    }
    let output = line.output().expect("server.sh runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8(output.stderr).unwrap());
}

async fn a_killed_server_loses_no_committed_row(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let mut idle = shop.connect(Who::Application).await;
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        rows.extend(writing_while(&shop, round, || server_script("kill", &shop, kind)).await);
        // A client that was idle is not left hanging either, and a new one is told.
        let late = text(&mut idle, "SELECT 1").await;
        assert!(matches!(late, Answer::Lost | Answer::Refused { .. }), "{late:?}");
        let new = shop.try_connect(Who::Application).await;
        assert!(new.is_err(), "there is no server");
        assert_eq!(shop.proxy.probe("/livez").0, 200);
        server_script("start", &shop, kind);
        idle = shop.connect(Who::Application).await;
        assert_all_there(&shop, &rows).await;
    }
}

async fn a_killed_proxy_loses_no_committed_row(kind: Kind) {
    let mut shop = Shop::open(kind);
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        let idle = shop.connect(Who::Application).await;
        rows.extend(writing_while(&shop, round, || shop.proxy.kill()).await);
        let late = text(&mut { idle }, "SELECT 1").await;
        assert_eq!(late, Answer::Lost);
        shop.restart();
        assert_all_there(&shop, &rows).await;
    }
}

async fn the_key_service_is_not_needed_while_serving(kind: Kind) {
    let (fake, deployment) = with_key_service(kind);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let mut conn = shop.connect(Who::Application).await;
    assert!(matches!(
        text(&mut conn, "INSERT INTO customers (id, code) VALUES (1, 'before')").await,
        Answer::Done { .. }
    ));
    fake.go_down();
    for id in 2..50 {
        assert!(single(&mut conn, id).await.is_ok(), "row {id}");
    }
    let mut new = shop.connect(Who::Application).await;
    let read = text(&mut new, "SELECT id FROM customers WHERE code IN ('before', 'c7') ORDER BY id").await;
    assert_eq!(read.cells(), [[Some("1".to_owned())], [Some("7".to_owned())]]);
    assert_eq!(shop.proxy.probe("/readyz").0, 200);
    fake.come_up();
    shop.assert_sealed();
}

async fn without_keys_nothing_protected_passes_until_they_come(kind: Kind) {
    let (fake, mut deployment) = with_key_service(kind);
    deployment.without_keys = WithoutKeys::PassthroughUnprotected;
    fake.go_down();
    let shop = Shop::open_unready(&deployment);
    assert_eq!(shop.proxy.probe("/livez").0, 200);
    tokio::task::block_in_place(|| {
        wait_until("the catalog is there", || shop.proxy.probe("/readyz").1.contains("no keys"))
    });
    assert_eq!(shop.proxy.probe("/readyz").0, 503);
    let mut conn = shop.connect(Who::Application).await;
    assert!(matches!(text(&mut conn, "INSERT INTO orders (remark) VALUES ('open')").await, Answer::Done { .. }));
    for sql in [
        "SELECT phone FROM customers",
        "SELECT * FROM customers",
        "SELECT id FROM customers WHERE code = 'x'",
        "INSERT INTO customers (id, phone) VALUES (1, '090-1234-5678')",
        "UPDATE customers SET note = 'x'",
    ] {
        refused(&mut conn, sql, 3185, "HY000").await;
        refused_prepared(&mut conn, sql, (), 3185, "HY000").await;
    }
    assert!(text(&mut conn, "SELECT id, name FROM customers").await.cells().is_empty(), "nothing was written");
    // The role decides before the keys do.
    refused(&mut shop.connect(Who::Engineer).await, "SELECT phone FROM customers", 1143, "42000").await;
    let loud = |event: &serde_json::Value| event["level"] == "WARN" || event["level"] == "ERROR";
    let is_logged = || shop.proxy.events().iter().any(loud);
    tokio::task::block_in_place(|| wait_until("the log tells of missing keys", is_logged));

    fake.come_up();
    tokio::task::block_in_place(|| shop.proxy.wait_ready());
    // The same connection, the same process.
    assert!(matches!(text(&mut conn, "INSERT INTO customers (id, phone) VALUES (1, '1')").await, Answer::Done { .. }));
    assert_eq!(text(&mut conn, "SELECT phone FROM customers").await.cells(), [[Some("1".to_owned())]]);
    shop.assert_sealed();
}

async fn without_keys_nothing_at_all_passes_by_default(kind: Kind) {
    let (fake, deployment) = with_key_service(kind);
    fake.fail_always(Some(Fault::Internal));
    let shop = Shop::open_unready(&deployment);
    tokio::task::block_in_place(|| {
        wait_until("the catalog is there", || shop.proxy.probe("/readyz").1.contains("no keys"))
    });
    match shop.try_connect(Who::Application).await {
        Ok(mut conn) => {
            for sql in ["SELECT 1", "SELECT phone FROM customers", "INSERT INTO orders (remark) VALUES ('x')"] {
                assert_eq!(text(&mut conn, sql).await.error(), (3185, "HY000"), "{sql}");
            }
        }
        Err(mysql_async::Error::Server(error)) => assert_eq!(error.code, 3185, "{error}"),
        Err(error) => panic!("{error}"),
    }
    fake.fail_always(None);
    tokio::task::block_in_place(|| shop.proxy.wait_ready());
    let mut conn = shop.connect(Who::Application).await;
    assert!(text(&mut conn, "SELECT phone FROM customers").await.cells().is_empty());
}

async fn a_key_service_that_does_not_answer_holds_nobody_up(kind: Kind) {
    let (fake, deployment) = with_key_service(kind);
    let before = fake.calls("Decrypt");
    fake.hold();
    let shop = Shop::open_unready(&deployment);
    fake.wait_for_calls("Decrypt", before + 1);
    // Requests hang: clients are told, the process can be asked.
    assert_eq!((shop.proxy.probe("/livez").0, shop.proxy.probe("/readyz").0), (200, 503));
    match shop.try_connect(Who::Application).await {
        Ok(mut conn) => assert_eq!(text(&mut conn, "SELECT phone FROM customers").await.error(), (3185, "HY000")),
        Err(mysql_async::Error::Server(error)) => assert!([3185, 1429].contains(&error.code), "{error}"),
        Err(error) => panic!("{error}"),
    }
    fake.release();
    tokio::task::block_in_place(|| shop.proxy.wait_ready());
    let mut conn = shop.connect(Who::Application).await;
    assert!(single(&mut conn, 1).await.is_ok());
}

/// A server whose keys are in a key service of its own.
fn with_key_service(kind: Kind) -> (FakeKms, Deployment) {
    let fake = FakeKms::start();
    fake.allow_role("AKIAPROXY", Role::Proxy);
    fake.allow_role("AKIASECURITY", Role::Security);
    let provider = Provider::AwsKms { endpoint: fake.endpoint(), arn: fake.create_key() };
    let deployment = Deployment::own(kind, &[], provider);
    (fake, deployment)
}
