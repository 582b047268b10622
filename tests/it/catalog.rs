//! The catalog and the check of protected columns on real servers, under the proxy's account of `schema.sql`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use candado::control::{CatalogLoader, CatalogTask, NotRefreshed, Pool, Problem, check_columns};
use candado::keys::Stages;
use candado::policy::{IndexSpec, LogicalType, Normaliser, Padding, ProtectedColumn, TextSize};
use candado::schema::{Catalog, ColumnRef, ServerKind, TableKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::key_store::{self, PASSWORD, PROXY};
use crate::support::on_each_server;
use crate::support::server::{Kind, Server};

on_each_server!(
    the_catalog_holds_what_the_server_has,
    a_view_shows_its_text_only_where_its_rows_may_be_read,
    the_servers_own_databases_are_left_out,
    requests_are_answered_after_the_snapshot_is_published,
    a_load_that_finds_no_change_publishes_nothing,
    requests_fail_when_the_server_is_out_of_reach_or_nobody_loads,
    the_statements_of_the_column_check_put_a_table_right,
    the_column_check_sees_what_the_server_does_not_enforce,
);

fn setup(kind: Kind) -> (&'static Server, String, Pool) {
    let server = Server::start(kind);
    key_store::create(server);
    (server, server.database("shop"), key_store::pool(server, PROXY))
}

async fn the_catalog_holds_what_the_server_has(kind: Kind) {
    let (server, shop, pool) = setup(kind);
    server.sql(&format!(
        "USE {shop};
         CREATE TABLE Customers (id INT PRIMARY KEY AUTO_INCREMENT, phone VARBINARY(164) NOT NULL,
             name VARCHAR(30) CHARACTER SET latin1, `größe` TEXT CHARACTER SET utf8mb4);
         CREATE VIEW v AS SELECT id, phone FROM Customers;
         CREATE PROCEDURE p() SELECT phone FROM Customers;
         CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;"
    ));
    let catalog = CatalogLoader::new(pool).load(7).await.unwrap();
    assert_eq!(catalog.version, 7);
    let (product, oldest) = match kind {
        Kind::MySql => (ServerKind::MySql, 80_016),
        Kind::MariaDb => (ServerKind::MariaDb, 101_100),
    };
    assert!(catalog.server.kind == product && catalog.server.number >= oldest, "{:?}", catalog.server);
    assert_eq!(catalog.reserved_words.contains("SELECT"), kind == Kind::MySql, "MariaDB does not tell");
    assert!(!catalog.reserved_words.contains("COMMENT"));

    let table = catalog.table(&shop, "Customers").unwrap();
    let shape: Vec<_> = table
        .columns
        .iter()
        .map(|c| (&*c.name, &*c.data_type, c.octets_max, c.charset.as_deref(), c.nullable))
        .collect();
    let expected = [
        ("id", "int", None, None, false),
        ("phone", "varbinary", Some(164), None, false),
        ("name", "varchar", Some(30), Some("latin1"), true),
        ("größe", "text", Some(65_535), Some("utf8mb4"), true),
    ];
    assert_eq!(shape, expected);
    assert_eq!((table.kind, table.definition.as_deref()), (TableKind::Base, Some("")));
    assert_eq!(&*table.columns[0].extra, "auto_increment");
    assert!(catalog.table(&shop, "customers").is_none(), "names keep their case on this file system");
    assert_eq!(catalog.table(&shop, "v").unwrap().kind, TableKind::View);

    let body = |name: &str| catalog.routines_named(&shop, name)[0].definition.clone().unwrap();
    assert!(body("p").contains("SELECT phone FROM Customers"));
    assert!(body("f").contains("RETURN 1"));
    let rows = server.sql_as(PROXY, PASSWORD, &format!("SELECT * FROM {shop}.Customers"));
    assert!(rows.is_err_and(|error| error.contains("1142")), "the account that sees all this reads no row");
}

async fn a_view_shows_its_text_only_where_its_rows_may_be_read(kind: Kind) {
    let (server, shop, pool) = setup(kind);
    server.sql(&format!(
        "USE {shop};
         CREATE TABLE t (a INT);
         CREATE VIEW dark AS SELECT a FROM t;
         CREATE VIEW lit AS SELECT a FROM t;
         GRANT SELECT ON lit TO '{PROXY}'@'%';"
    ));
    let catalog = CatalogLoader::new(pool).load(1).await.unwrap();
    let view = |name: &str| catalog.table(&shop, name).unwrap();
    assert_eq!(view("dark").definition, None);
    assert!(view("lit").definition.as_ref().is_some_and(|text| text.contains("`t`")));
    for name in ["dark", "lit"] {
        assert_eq!((view(name).kind, view(name).columns.len()), (TableKind::View, 1), "{name}");
    }
}

async fn the_servers_own_databases_are_left_out(kind: Kind) {
    let (_, _, pool) = setup(kind);
    let catalog = CatalogLoader::new(pool).load(1).await.unwrap();
    for (database, table) in [("mysql", "user"), ("information_schema", "TABLES"), ("sys", "version")] {
        assert!(catalog.table(database, table).is_none(), "{database}.{table}");
    }
}

/// A running catalog task that keeps what it published.
struct Running {
    published: Arc<Mutex<Vec<Arc<Catalog>>>>,
    requests: candado::control::CatalogRequests,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Running {
    fn new(pool: Pool) -> Self {
        let published = Arc::new(Mutex::new(Vec::new()));
        let keep = published.clone();
        let (task, requests) = CatalogTask::new(CatalogLoader::new(pool), move |catalog| {
            keep.lock().unwrap().push(catalog.clone());
        });
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        tracker.spawn(task.run(shutdown.clone()));
        tracker.close();
        Self { published, requests, shutdown, tracker }
    }

    fn versions(&self) -> Vec<u64> {
        self.published.lock().unwrap().iter().map(|catalog| catalog.version).collect()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.tracker.wait().await;
    }
}

async fn requests_are_answered_after_the_snapshot_is_published(kind: Kind) {
    let (server, shop, pool) = setup(kind);
    let running = Running::new(pool);
    running.requests.refresh().await.unwrap();
    for name in ["t1", "t2", "t3"] {
        server.sql(&format!("CREATE TABLE {shop}.{name} (a INT)"));
        let answer = running.requests.refresh().await.unwrap();
        assert!(answer.table(&shop, name).is_some(), "the load began after the request");
        let newest = running.published.lock().unwrap().last().unwrap().clone();
        assert!(newest.version >= answer.version && newest.table(&shop, name).is_some(), "it is published by now");
    }
    server.sql(&format!("DROP TABLE {shop}.t1"));
    let mut many = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let requests = running.requests.clone();
        many.spawn(async move { requests.refresh().await });
    }
    for answer in many.join_all().await {
        assert!(answer.unwrap().table(&shop, "t1").is_none());
    }
    running.end().await;
}

async fn a_load_that_finds_no_change_publishes_nothing(_: Kind) {
    // A server of its own: other tests change the catalog of the shared one.
    let server = Server::launch(Kind::MariaDb, &[]);
    key_store::create(&server);
    let running = Running::new(key_store::pool(&server, PROXY));
    let first = running.requests.refresh().await.unwrap();
    let second = running.requests.refresh().await.unwrap();
    assert_eq!((first.version, second.version), (1, 1));
    assert_eq!(running.versions(), [1]);
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a INT)");
    assert_eq!(running.requests.refresh().await.unwrap().version, 2);
    assert_eq!(running.versions(), [1, 2]);
    running.end().await;
}

async fn requests_fail_when_the_server_is_out_of_reach_or_nobody_loads(kind: Kind) {
    // First loads until the server is there, then keeps the old snapshot when it is not.
    let (server, _, _) = setup(kind);
    let attempts = Arc::new(AtomicU64::new(0));
    let seen = attempts.clone();
    let (task, requests) = CatalogTask::new(CatalogLoader::new(key_store::pool(server, PROXY)), move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
    });
    drop(task);
    assert_eq!(requests.refresh().await.unwrap_err(), NotRefreshed);
    assert_eq!(attempts.load(Ordering::Relaxed), 0);

    let mut nowhere = key_store::settings(server, PROXY);
    nowhere.port = 1;
    assert!(CatalogLoader::new(Pool::new(&nowhere)).load(1).await.is_err());
    let mut wrong = key_store::settings(server, PROXY);
    wrong.password = "wrong".to_owned().into();
    let error = CatalogLoader::new(Pool::new(&wrong)).load(1).await.unwrap_err();
    assert!(error.chain().contains("1045") && !error.chain().contains("wrong"), "{}", error.chain());
}

fn protected(database: &str, column: &str, logical: LogicalType, indexed: bool) -> ProtectedColumn {
    ProtectedColumn {
        column: ColumnRef::new(database, "customers", column),
        keyset: "contact".into(),
        context: format!("shop.customers.{column}").into(),
        logical,
        collation: None,
        index: indexed.then(|| IndexSpec { domain: "d".into(), length: 16, normaliser: Normaliser::Raw }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    }
}

async fn the_statements_of_the_column_check_put_a_table_right(kind: Kind) {
    let (server, shop, pool) = setup(kind);
    server.sql(&format!(
        "CREATE TABLE {shop}.customers (id INT PRIMARY KEY, phone VARCHAR(20) NOT NULL DEFAULT 'none',
             mail VARBINARY(30) UNIQUE, bio TEXT)"
    ));
    let columns = [
        protected(&shop, "phone", LogicalType::Varchar { chars_max: 20 }, true),
        protected(&shop, "mail", LogicalType::Varchar { chars_max: 100 }, true),
        protected(&shop, "bio", LogicalType::Text(TextSize::Text), false),
        protected(&shop, "gone", LogicalType::Varchar { chars_max: 1 }, false),
    ];
    let findings = check_columns(&pool, &columns, &Stages::new()).await.unwrap();
    let of = |column: &str| -> Vec<Problem> {
        findings.iter().filter(|f| &*f.column.column == column).map(|f| f.problem.clone()).collect()
    };
    assert_eq!(
        of("phone"),
        [
            Problem::NotBytes { found: "varchar(20)".into() },
            Problem::PlainDefault,
            Problem::CheckMissing,
            Problem::IndexMissing { prefix_length: 23 }
        ]
    );
    assert_eq!(
        of("mail"),
        [
            Problem::TooShort { found: 30, needed: columns[1].envelope_octets_max() },
            Problem::CheckMissing,
            Problem::UniqueIneffective { index: "mail".into() },
        ]
    );
    assert_eq!(of("bio"), [Problem::NotBytes { found: "text".into() }, Problem::CheckMissing]);
    assert_eq!(of("gone"), [Problem::Missing]);

    for finding in &findings {
        if let Some(statement) = &finding.remedy {
            server.sql(statement);
        }
    }
    let left = check_columns(&pool, &columns, &Stages::new()).await.unwrap();
    assert_eq!(left.iter().map(|f| f.problem.clone()).collect::<Vec<_>>(), [Problem::Missing]);
    // The constraint does what it is for.
    let plain = format!("INSERT INTO {shop}.customers (id, phone) VALUES (1, '0123')");
    assert!(server.sql_as("root", "", &plain).is_err());
    server.sql(&format!("INSERT INTO {shop}.customers (id, phone, mail) VALUES (1, 0xC1FE1D01FF, NULL)"));
}

async fn the_column_check_sees_what_the_server_does_not_enforce(kind: Kind) {
    let (server, shop, pool) = setup(kind);
    let guard = "CHECK (c IS NULL OR SUBSTRING(c, 1, 4) = 0xC1FE1D01)";
    let (idle_check, idle_index) = match kind {
        Kind::MySql => (format!("{guard} NOT ENFORCED"), "INVISIBLE"),
        Kind::MariaDb => (guard.to_owned(), "IGNORED"),
    };
    server.sql(&format!(
        "CREATE TABLE {shop}.customers (c VARBINARY(200), CONSTRAINT idle {idle_check}, KEY i (c(23)) {idle_index})"
    ));
    // A constraint of the same name in another table of the database must not count (MariaDB allows it).
    if kind == Kind::MariaDb {
        server.sql(&format!(
            "ALTER TABLE {shop}.customers DROP CONSTRAINT idle;
             CREATE TABLE {shop}.other (c VARBINARY(200), CONSTRAINT idle {guard})"
        ));
    }
    let column = protected(&shop, "c", LogicalType::Varchar { chars_max: 20 }, true);
    let findings = check_columns(&pool, [&column], &Stages::new()).await.unwrap();
    let problems: Vec<_> = findings.iter().map(|f| f.problem.clone()).collect();
    let check = match kind {
        Kind::MySql => Problem::CheckNotEnforced { constraint: "idle".into() },
        Kind::MariaDb => Problem::CheckMissing,
    };
    assert_eq!(problems, [check, Problem::IndexMissing { prefix_length: 23 }]);
    for finding in &findings {
        server.sql(finding.remedy.as_ref().expect("a statement"));
    }
    assert_eq!(check_columns(&pool, [&column], &Stages::new()).await.unwrap(), []);
}
