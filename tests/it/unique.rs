//! UNIQUE columns while equal values stand in different forms: under two index keys, or as values beside envelopes.
//! Beside the table stands a plain twin at which the same statements go straight to the server.

use std::collections::HashMap;
use std::sync::Arc;

use candado::control::CatalogLoader;
use candado::crypto::{KeyId, KeyPurpose, KeySecret, Stage};
use candado::keys::{KeyRecord, KeyRing, KeyState, RingBuilder, Stages};
use candado::policy::{
    Access, AccountPattern, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn, Role,
    RoleId,
};
use candado::proxy::Snapshot;
use candado::schema::{Catalog, ColumnRef};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Params};

use crate::support::data_plane::{DataPlane, settings};
use crate::support::key_store::{self, PROXY};
use crate::support::on_each_server;
use crate::support::server::{Kind, Server};
use crate::support::shop::{Answer, SECRET, bounded, prepared, refused, text};

on_each_server!(
    the_servers_unique_index_decides_as_on_a_plain_table,
    composite_keys_are_kept_too,
    an_account_that_may_not_read_is_refused,
    a_lock_that_is_not_had_is_the_answer,
    other_columns_of_the_row_stay,
    duplicates_are_told_without_the_blind_index,
);

/// What holds equal values in two forms.
#[derive(Clone, Copy, Debug)]
enum Mixed {
    /// Rows are indexed under key 1, writes under key 2.
    IndexKeys,
    /// Rows are values, writes are sealed.
    Encrypting,
    /// Rows are envelopes, writes are values.
    Decrypting,
    /// Rows are under key 1 or values, writes under key 2.
    All,
}

impl Mixed {
    const ALL: [Self; 4] = [Self::IndexKeys, Self::Encrypting, Self::Decrypting, Self::All];

    /// Index keys, the active one, stage: of every other row before, and of the statements.
    fn rings(self) -> [(u16, u16, Stage); 3] {
        match self {
            Self::IndexKeys => [(1, 1, Stage::Sealed), (1, 1, Stage::Sealed), (2, 2, Stage::Sealed)],
            Self::Encrypting => [(1, 1, Stage::Plain), (1, 1, Stage::Plain), (1, 1, Stage::Encrypting)],
            Self::Decrypting => [(1, 1, Stage::Sealed), (2, 2, Stage::Sealed), (2, 2, Stage::Decrypting)],
            Self::All => [(1, 1, Stage::Plain), (1, 1, Stage::Encrypting), (2, 2, Stage::Encrypting)],
        }
    }
}

struct Shop {
    server: &'static Server,
    database: String,
    policy: Arc<Policy>,
    catalog: Arc<Catalog>,
    proxy: DataPlane,
}

impl Shop {
    /// `keys` are the keys of the table, for the stored column and for the plain one.
    async fn open(kind: Kind, stored_key: &str, plain_key: &str) -> Self {
        let server = Server::start(kind);
        key_store::create(server);
        let database = server.database("unique");
        let columns = |phone: &str, key: &str| {
            format!(
                "(id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20), phone {phone}, area INT NOT NULL DEFAULT 1, \
                 changed TIMESTAMP(6) NOT NULL DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP(6), {key}) \
                 CHARACTER SET utf8mb4"
            )
        };
        server.sql(&format!(
            "USE {database}; CREATE TABLE customers {}; CREATE TABLE people {};
             CREATE USER {database}_in IDENTIFIED BY '{SECRET}'; GRANT INSERT ON {database}.* TO {database}_in;
             CREATE USER {database}_up IDENTIFIED BY '{SECRET}';
             GRANT SELECT, INSERT, UPDATE ON {database}.* TO {database}_up",
            columns("VARBINARY(200)", stored_key),
            columns("VARCHAR(20)", plain_key),
        ));
        let policy = Arc::new(policy(&database));
        let loader = CatalogLoader::new(key_store::pool(server, PROXY));
        let catalog = Arc::new(loader.load(1).await.unwrap());
        assert!(catalog.is_in_unique_key(&database, "customers", "PHONE"));
        assert!(!catalog.is_in_unique_key(&database, "customers", "name"));
        let ring = Some(Arc::new(ring(&policy, (1, 1, Stage::Sealed))));
        let snapshot = Snapshot { profiles: Arc::default(), catalog: catalog.clone(), ring, policy: policy.clone() };
        let proxy = tokio::task::block_in_place(|| DataPlane::start_with(settings(server), snapshot));
        Self { server, database, policy, catalog, proxy }
    }

    fn publish(&self, keys: (u16, u16, Stage)) {
        let ring = Some(Arc::new(ring(&self.policy, keys)));
        let snapshot =
            Snapshot { profiles: Arc::default(), catalog: self.catalog.clone(), ring, policy: self.policy.clone() };
        self.proxy.snapshot.store(Arc::new(snapshot));
    }

    async fn connect(&self, port: u16, user: &str) -> Conn {
        let secret = (user != "root").then_some(SECRET);
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port)
            .db_name(Some(self.database.clone()))
            .user(Some(user))
            .pass(secret)
            .prefer_socket(false)
            .stmt_cache_size(0);
        bounded(Conn::new(options)).await.unwrap()
    }

    /// Rows 1 to 20 with the values `v1` to `v20`, in both tables; then statements are of the last ring.
    async fn seed(&self, mixed: Mixed) {
        let mut through = self.connect(self.proxy.port, "root").await;
        let [odd, even, now] = mixed.rings();
        self.server.sql(&format!("USE {}; TRUNCATE customers; TRUNCATE people", self.database));
        for (first, keys) in [(1, odd), (2, even)] {
            self.publish(keys);
            let rows: Vec<String> = (first..=20).step_by(2).map(|id| format!("({id}, 'n', 'v{id}')")).collect();
            let insert = format!("INSERT INTO {{t}} (id, name, phone) VALUES {}", rows.join(", "));
            through.query_drop(insert.replace("{t}", "customers")).await.unwrap();
            self.server.sql(&format!("USE {}; {}", self.database, insert.replace("{t}", "people")));
        }
        self.publish(now);
    }

    fn stored(&self, id: u32) -> String {
        self.server.sql(&format!("SELECT HEX(phone), changed FROM {}.customers WHERE id = {id}", self.database))
    }
}

fn policy(database: &str) -> Policy {
    let column = ColumnRef::new(database, "customers", "phone");
    let protected = ProtectedColumn {
        context: column.to_string().into(),
        column,
        keyset: "contact".into(),
        logical: LogicalType::Varchar { chars_max: 20 },
        collation: None,
        index: Some(IndexSpec { domain: "phone".into(), length: 16, normaliser: Normaliser::Text }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    };
    let role = Role { name: "role".into(), default_access: Access::Plain, columns: HashMap::new() };
    let everybody = AccountPattern { user: "root".into(), host: None };
    let named = |suffix: &str| AccountPattern { user: format!("{database}_{suffix}").into(), host: None };
    let bindings = [everybody, named("in"), named("up")].map(|account| (account, RoleId(0), FirewallMode::Block));
    Policy::new(1, vec![protected], vec![role], bindings.into(), RoleId(0), FirewallMode::Block)
}

fn ring(policy: &Policy, (indexes, active, stage): (u16, u16, Stage)) -> KeyRing {
    let stages: Stages = policy.columns().iter().map(|column| (column.context.clone(), stage)).collect();
    let mut builder = RingBuilder::new().with_stages(stages);
    let index = (1..=indexes).map(|version| (100 + u32::from(version), KeyPurpose::Index, version, version == active));
    for (kid, purpose, version, is_active) in index.chain([(7, KeyPurpose::Data, 1, true)]) {
        let secret = || KeySecret::take_from(&mut [u8::try_from(kid).unwrap(); 32]).unwrap();
        let id = KeyId::new(kid).unwrap();
        let record = KeyRecord {
            kid: id,
            keyset: "contact".into(),
            purpose,
            version: version.try_into().unwrap(),
            state: if is_active { KeyState::Active } else { KeyState::DecryptOnly },
            kcv: Some(secret().kcv(id, purpose)),
            wraps: vec![],
        };
        builder.add(record, Some(secret())).unwrap();
    }
    let version = u64::from(indexes) * 100 + u64::from(active) * 10 + stage as u64;
    builder.build(policy, version).unwrap()
}

/// An answer without the entry that a duplicate names and the table's name before the key's.
fn told(answer: Answer) -> Answer {
    match answer {
        Answer::Refused { code: 1062, state, .. } => Answer::Refused { code: 1062, state, text: String::new() },
        other => other,
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Text,
    Prepared,
}

async fn the_servers_unique_index_decides_as_on_a_plain_table(kind: Kind) {
    let shop = Shop::open(kind, "UNIQUE KEY u (phone(23))", "UNIQUE KEY u (phone)").await;
    for mixed in Mixed::ALL {
        for protocol in [Protocol::Text, Protocol::Prepared] {
            shop.seed(mixed).await;
            let mut through = shop.connect(shop.proxy.port, "root").await;
            let mut direct = shop.connect(shop.server.port, "root").await;
            // Values are in the place of V.
            for (sql, values) in [
                ("INSERT INTO {t} (id, name, phone) VALUES (30, 'd', V)", vec!["v1"]),
                ("INSERT INTO {t} (id, name, phone) VALUES (30, 'd', V)", vec!["v2"]),
                ("INSERT INTO {t} (name, phone) VALUES ('d', V)", vec!["w1"]),
                ("SELECT LAST_INSERT_ID()", vec![]),
                ("INSERT IGNORE INTO {t} (id, name, phone) VALUES (31, 'd', V), (32, 'e', V)", vec!["v3", "w2"]),
                ("SELECT @@warning_count", vec![]),
                ("REPLACE INTO {t} (id, name, phone) VALUES (33, 'r', V)", vec!["v4"]),
                ("SELECT ROW_COUNT()", vec![]),
                (
                    "INSERT INTO {t} (id, name, phone) VALUES (34, 'o', V) ON DUPLICATE KEY UPDATE name = 'dup'",
                    vec!["v5"],
                ),
                (
                    "INSERT INTO {t} (id, name, phone) VALUES (34, 'o', V) ON DUPLICATE KEY UPDATE phone = V",
                    vec!["v6", "w6"],
                ),
                (
                    "INSERT INTO {t} (id, name, phone) VALUES (34, 'o', V) ON DUPLICATE KEY UPDATE phone = V",
                    vec!["v7", "v8"],
                ),
                ("UPDATE {t} SET phone = V WHERE id = 10", vec!["v9"]),
                ("UPDATE {t} SET phone = V, name = 'u' WHERE id = 11", vec!["v11x"]),
                ("UPDATE {t} SET phone = NULL WHERE id = 12", vec![]),
                ("INSERT INTO {t} (phone) VALUES (V), (V), (NULL)", vec!["w3", "v13"]),
                ("INSERT INTO {t} SET name = 'n', phone = V", vec!["v12"]),
                ("START TRANSACTION", vec![]),
                ("INSERT INTO {t} (phone) VALUES (V)", vec!["w4"]),
                ("INSERT INTO {t} (phone) VALUES (V)", vec!["v14"]),
                ("ROLLBACK", vec![]),
                ("INSERT INTO {t} (phone) VALUES (V)", vec!["w4"]),
                ("INSERT INTO {t} (phone) VALUES (V)", vec!["v14"]),
                ("DELETE FROM {t} WHERE phone = V", vec!["v15"]),
                ("INSERT INTO {t} (phone) VALUES (V)", vec!["v15"]),
                ("SELECT id, name, phone FROM {t} ORDER BY id", vec![]),
                ("SELECT id FROM {t} WHERE phone IN (V, V, V) ORDER BY id", vec!["v1", "v16", "w1"]),
            ] {
                let mut answers = Vec::new();
                for (conn, table) in [(&mut through, "customers"), (&mut direct, "people")] {
                    let sql = sql.replace("{t}", table);
                    answers.push(told(match (protocol, values.is_empty()) {
                        (Protocol::Prepared, false) => {
                            prepared(conn, &sql.replace('V', "?").replace("?ALUES", "VALUES"), positional(&values))
                                .await
                        }
                        (Protocol::Prepared, true) | (Protocol::Text, _) => {
                            text(conn, with_literals(&sql, &values)).await
                        }
                    }));
                }
                assert_eq!(answers[0], answers[1], "{mixed:?} {protocol:?}: {sql} {values:?}");
            }
        }
    }
}

fn positional(values: &[&str]) -> Params {
    Params::Positional(values.iter().map(|value| (*value).into()).collect())
}

fn with_literals(sql: &str, values: &[&str]) -> String {
    let sql = sql.replace("VALUES", "ALUES");
    let mut parts = sql.split('V');
    let mut out = parts.next().unwrap().to_owned();
    for (part, value) in parts.zip(values) {
        out.push_str(&format!("'{value}'{part}"));
    }
    out.replace("ALUES", "VALUES")
}

async fn composite_keys_are_kept_too(kind: Kind) {
    let shop = Shop::open(kind, "UNIQUE KEY u (area, phone(23))", "UNIQUE KEY u (area, phone)").await;
    for mixed in Mixed::ALL {
        shop.seed(mixed).await;
        // One value in more rows than one look-up gives.
        let [odd, _, now] = mixed.rings();
        shop.publish(odd);
        let rows: Vec<String> = (2..=250).map(|area| format!("('v1', {area})")).collect();
        let insert = format!("INSERT INTO {{t}} (phone, area) VALUES {}", rows.join(", "));
        let mut through = shop.connect(shop.proxy.port, "root").await;
        let mut direct = shop.connect(shop.server.port, "root").await;
        text(&mut through, insert.replace("{t}", "customers")).await;
        text(&mut direct, insert.replace("{t}", "people")).await;
        shop.publish(now);
        for sql in [
            "INSERT INTO {t} (phone, area) VALUES ('v1', 250)",
            "INSERT INTO {t} (phone, area) VALUES ('v1', 251)",
            "INSERT INTO {t} (phone, area) VALUES ('v2', 1)",
            "UPDATE {t} SET area = 1 WHERE phone = 'v1' AND area = 3",
            "SELECT phone, area FROM {t} ORDER BY id",
        ] {
            let through = told(text(&mut through, sql.replace("{t}", "customers")).await);
            assert_eq!(through, told(text(&mut direct, sql.replace("{t}", "people")).await), "{mixed:?}: {sql}");
        }
    }
}

async fn an_account_that_may_not_read_is_refused(kind: Kind) {
    let shop = Shop::open(kind, "UNIQUE KEY u (phone(23))", "UNIQUE KEY u (phone)").await;
    let user = |suffix: &str| format!("{}_{suffix}", shop.database);
    let insert = "INSERT INTO customers (name, phone) VALUES ('x', 'v1')";
    for mixed in Mixed::ALL {
        shop.seed(mixed).await;
        let mut insert_only = shop.connect(shop.proxy.port, &user("in")).await;
        refused(&mut insert_only, insert, 1235, "42000").await;
        let answer = text(&mut insert_only, "INSERT INTO customers (name) VALUES ('without a value')").await;
        assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{answer:?}");
        let mut may_read = shop.connect(shop.proxy.port, &user("up")).await;
        refused(&mut may_read, insert, 1062, "23000").await;
    }
    // With one form alone nothing is asked, and the account is told what the server tells.
    shop.publish((1, 1, Stage::Sealed));
    let mut insert_only = shop.connect(shop.proxy.port, &user("in")).await;
    let fresh = "INSERT INTO customers (name, phone) VALUES ('x', 'fresh')";
    assert!(matches!(text(&mut insert_only, fresh).await, Answer::Done { .. }));
    refused(&mut insert_only, fresh, 1062, "23000").await;
}

async fn a_lock_that_is_not_had_is_the_answer(kind: Kind) {
    let shop = Shop::open(kind, "UNIQUE KEY u (phone(23))", "UNIQUE KEY u (phone)").await;
    shop.seed(Mixed::IndexKeys).await;
    let mut direct = shop.connect(shop.server.port, "root").await;
    direct.query_drop("START TRANSACTION").await.unwrap();
    direct.query_drop("SELECT * FROM customers WHERE id = 1 FOR UPDATE").await.unwrap();
    let mut through = shop.connect(shop.proxy.port, "root").await;
    text(&mut through, "SET innodb_lock_wait_timeout = 1").await;
    let insert = "INSERT INTO customers (id, phone) VALUES (50, 'v1')";
    refused(&mut through, insert, 1205, "HY000").await;
    let answer = prepared(&mut through, "INSERT INTO customers (id, phone) VALUES (50, ?)", ("v1",)).await;
    assert_eq!(answer.error().0, 1205);
    direct.query_drop("ROLLBACK").await.unwrap();
    refused(&mut through, insert, 1062, "23000").await;
    // A transaction that may not write says so itself.
    text(&mut through, "START TRANSACTION READ ONLY").await;
    refused(&mut through, "INSERT INTO customers (id, phone) VALUES (51, 'v3')", 1792, "25006").await;
    text(&mut through, "ROLLBACK").await;
    // EXPLAIN stores nothing.
    let before = shop.stored(5);
    assert!(matches!(text(&mut through, format!("EXPLAIN {}", insert.replace("v1", "v5"))).await, Answer::Rows { .. }));
    // One of the servers prepares it, the other does not.
    prepared(&mut through, "EXPLAIN INSERT INTO customers (id, phone) VALUES (50, ?)", ("v5",)).await;
    assert_eq!(shop.stored(5), before);
    refused(&mut through, &insert.replace("v1", "v5"), 1062, "23000").await;
    assert_ne!(shop.stored(5), before);
}

async fn other_columns_of_the_row_stay(kind: Kind) {
    let shop = Shop::open(kind, "UNIQUE KEY u (phone(23))", "UNIQUE KEY u (phone)").await;
    shop.seed(Mixed::IndexKeys).await;
    let mut through = shop.connect(shop.proxy.port, "root").await;
    let before = shop.stored(1);
    assert!(before.starts_with("C1FE1D01100001"), "{before}");
    // The value in another spelling: the row keeps its own.
    refused(&mut through, "INSERT INTO customers (id, phone) VALUES (50, ' V1')", 1062, "23000").await;
    let after = shop.stored(1);
    assert!(after.starts_with("C1FE1D01100002"), "{after}");
    assert_eq!(before.split('\t').nth(1), after.split('\t').nth(1), "a column that the server sets on update");
    let read = text(&mut through, "SELECT phone FROM customers WHERE id = 1").await;
    assert_eq!(read.cells(), [[Some("v1".to_owned())]]);
    assert!(shop.stored(3).starts_with("C1FE1D01100001"), "a row that no statement concerned");
}

async fn duplicates_are_told_without_the_blind_index(kind: Kind) {
    let shop = Shop::open(kind, "UNIQUE KEY by_phone (phone(23))", "UNIQUE KEY by_phone (phone)").await;
    shop.seed(Mixed::Encrypting).await;
    let mut through = shop.connect(shop.proxy.port, "root").await;
    for sql in ["INSERT INTO customers (phone) VALUES ('v1')", "UPDATE customers SET phone = 'v1' WHERE id = 2"] {
        let Answer::Refused { code: 1062, text, .. } = text(&mut through, sql).await else { panic!("{sql}") };
        assert!(text.starts_with("Duplicate entry '<protected>' for key '") && text.ends_with("by_phone'"), "{text}");
    }
    // What holds no envelope is the server's own text.
    let Answer::Refused { text, .. } = text(&mut through, "INSERT INTO customers (id) VALUES (2)").await else {
        panic!("no error")
    };
    assert!(text.starts_with("Duplicate entry '2' for key '"), "{text}");
}
