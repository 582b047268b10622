//! How often the key service is asked: once for each key at the start, however many cells are opened.

use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

use crate::fakekms::{FakeKms, Role};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Shop, Who};

on_each_server!(a_million_cells_are_opened_with_as_many_calls_as_keys);

const ROWS: usize = 10_000;
/// How often all rows are read, one half as text and the other by prepared statements. A row has two protected cells.
const READS: usize = 50;

async fn a_million_cells_are_opened_with_as_many_calls_as_keys(kind: Kind) {
    let fake = FakeKms::start();
    fake.allow_role("AKIAPROXY", Role::Proxy);
    fake.allow_role("AKIASECURITY", Role::Security);
    let provider = Provider::AwsKms { endpoint: fake.endpoint(), arn: fake.create_key() };
    let mut deployment = Deployment::own(kind, &[], provider);
    // Longer than the test, on any machine: these calls do not depend on the cells.
    deployment.revalidate_s = Some(3600);
    let before = fake.calls("Decrypt");
    let shop = Shop::open_on(&deployment, Tls::Off);
    let mut writer = shop.connect(Who::Application).await;
    for first in (1..=ROWS).step_by(1000) {
        let rows: Vec<String> = (first..first + 1000).map(|id| format!("({id}, 'c{id}', 'n{id}')")).collect();
        writer.query_drop(format!("INSERT INTO customers (id, code, note) VALUES {}", rows.join(", "))).await.unwrap();
    }
    shop.assert_sealed();

    let mut readers = JoinSet::new();
    for prepared in [false, true] {
        let mut conn = shop.connect(Who::Application).await;
        readers.spawn(async move {
            let mut cells = 0;
            for _ in 0..READS / 2 {
                let sql = "SELECT id, code, note FROM customers ORDER BY id";
                let rows: Vec<(usize, String, String)> =
                    if prepared { conn.exec(sql, ()).await.unwrap() } else { conn.query(sql).await.unwrap() };
                assert_eq!(rows.len(), ROWS);
                let is_right = |(id, code, note): &(usize, String, String)| {
                    code.strip_prefix('c') == Some(&id.to_string()) && note.strip_prefix('n') == Some(&id.to_string())
                };
                assert!(rows.iter().all(is_right));
                cells += 2 * rows.len();
            }
            cells
        });
    }
    let cells: usize = readers.join_all().await.iter().sum();
    assert_eq!(cells, 1_000_000);
    let keys = deployment.server.sql("SELECT COUNT(*) FROM candado.data_key WHERE purpose IN ('data', 'index')");
    let calls = fake.calls("Decrypt") - before;
    assert!((1..=keys.trim().parse().unwrap()).contains(&calls), "{calls} calls for {keys} keys");
}
