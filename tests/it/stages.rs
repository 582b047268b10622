//! Existing data on its way to encryption and back, while applications work: columns at every stage, and rows of both
//! forms side by side. Beside the table stands a plain twin at which the same statements go straight to the server.

use std::fs;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider};
use crate::support::server::Kind;
use crate::support::shop::{Answer, PROTECTED, Shop, Who, policy, prepared, refused, refused_prepared, text};

on_each_server!(
    applications_work_through_every_stage,
    latin1_clients_and_columns_keep_their_text,
    what_is_refused_of_a_sealed_column_is_refused_at_every_stage,
    a_pasted_envelope_is_never_opened,
    prepared_statements_follow_the_stage,
    a_look_up_of_both_forms_uses_the_index,
    the_check_tells_a_stage_from_a_fault,
);

/// What the column type becomes before the first envelope is written.
pub(crate) const TO_BYTES: &str = "ALTER TABLE customers DROP KEY by_phone, DROP KEY by_email, DROP KEY by_code, \
    MODIFY phone VARBINARY(256), MODIFY email VARBINARY(1024), MODIFY code VARBINARY(256), \
    MODIFY address VARBINARY(1200), MODIFY note MEDIUMBLOB, \
    ADD KEY by_phone (phone(23)), ADD KEY by_email (email(23)), ADD KEY by_code (code(23))";
/// And what it becomes after the last one is gone.
const TO_TEXT: &str = "ALTER TABLE customers DROP KEY by_phone, DROP KEY by_email, DROP KEY by_code, \
    MODIFY phone VARCHAR(40), MODIFY email VARCHAR(190), MODIFY code VARCHAR(30), MODIFY address VARCHAR(255), \
    MODIFY note TEXT, ADD KEY by_phone (phone), ADD KEY by_email (email), ADD KEY by_code (code)";
/// What a plain value begins with in the leak check; the stage stands behind it.
const MARK: &str = "zqMarkeStufe";

struct Twins<'a> {
    shop: Shop<'a>,
    through: Conn,
    direct: Conn,
    next_id: u32,
}

impl<'a> Twins<'a> {
    async fn new(deployment: &'a Deployment) -> Self {
        let shop = Shop::open_plain(deployment);
        let (through, direct) = (shop.connect(Who::Application).await, shop.direct().await);
        Self { shop, through, direct, next_id: 1 }
    }

    fn root(&self, sql: &str) {
        self.shop.deployment.server.sql(&format!("USE `{}`; {sql}", self.shop.database));
    }

    /// Runs a statement on both; `{t}` is the table. The answers are equal.
    async fn same(&mut self, sql: &str) -> Answer {
        let through = text(&mut self.through, sql.replace("{t}", "customers")).await;
        let direct = text(&mut self.direct, sql.replace("{t}", "people")).await;
        assert_eq!(through, direct, "through the proxy and directly: {sql}");
        through
    }

    async fn same_prepared(&mut self, sql: &str, params: impl Into<Params>) {
        let params = params.into();
        let through = prepared(&mut self.through, &sql.replace("{t}", "customers"), params.clone()).await;
        let direct = prepared(&mut self.direct, &sql.replace("{t}", "people"), params.clone()).await;
        assert_eq!(through, direct, "through the proxy and directly: {sql} {params:?}");
    }

    /// Writes rows in every way, marked with the stage.
    async fn write(&mut self, stage: &str) {
        let id = self.next_id;
        self.next_id += 20;
        let mark = format!("{MARK}-{stage}");
        self.same(&format!("INSERT INTO {{t}} (id, name, code, note) VALUES ({id}, 'a', '{stage}', 'é {mark}')")).await;
        self.same(&format!(
            "INSERT INTO {{t}} (id, code, phone) VALUES ({}, '', '😀'), ({}, NULL, '{stage}'), ({}, '{stage}2', NULL)",
            id + 1,
            id + 2,
            id + 3
        ))
        .await;
        self.same(&format!("INSERT INTO {{t}} SET id = {}, address = N'日本', code = 'a''b\\n'", id + 4)).await;
        self.same(&format!("REPLACE INTO {{t}} (id, code) VALUES ({id}, 'again{stage}'), ({}, 'new')", id + 5)).await;
        self.same(&format!(
            "INSERT INTO {{t}} (id, code, note) VALUES ({id}, '{mark}', 'n{stage}') \
             ON DUPLICATE KEY UPDATE code = VALUES(code), note = 'é{stage}'"
        ))
        .await;
        self.same(&format!("UPDATE {{t}} SET note = '{mark}', name = 'u' WHERE code = '{stage}2'")).await;
        self.same(&format!("INSERT INTO {{t}} (id, code) VALUES ({}, 'gone{stage}')", id + 6)).await;
        self.same(&format!("DELETE FROM {{t}} WHERE code = 'gone{stage}'")).await;
        let insert = "INSERT INTO {t} (id, phone, email, code, note) VALUES (?, ?, ?, ?, ?)";
        let long = "é".repeat(20_000);
        self.same_prepared(insert, (id + 7, "né", &mark, "x", long)).await;
        self.same_prepared(insert, (id + 8, Value::NULL, Value::NULL, "y", "")).await;
        self.same_prepared(insert, (id + 9, 42, "z@example.org", -7, Value::NULL)).await;
        let update = "UPDATE {t} SET code = ?, email = ? WHERE id = ? AND phone <=> ?";
        self.same_prepared(update, (format!("p{stage}"), "é@example.org", id + 8, Value::NULL)).await;
        self.same_prepared("DELETE FROM {t} WHERE code IN (?, ?) AND id < ?", ("-7", "none", id + 9)).await;
    }

    /// Reads and searches everything that was written so far, in both protocols.
    async fn read(&mut self) {
        self.same("SELECT * FROM {t} ORDER BY id").await;
        self.same("SELECT c.code AS c, note, COUNT(*) OVER () FROM {t} AS c ORDER BY id LIMIT 3").await;
        self.same_prepared("SELECT * FROM {t} WHERE id > ? ORDER BY id", (0,)).await;
        let values = [Some("plain"), Some("pencrypting"), Some("x"), Some(""), Some("none"), Some("a'b\n"), None];
        for value in values {
            let literal = value.map_or("NULL".to_owned(), |value| format!("'{}'", value.replace('\'', "''")));
            let param = || (value,);
            for (condition, is_list) in [
                ("code = V", false),
                ("code <> V", false),
                ("NOT (code = V)", false),
                ("code <=> V", false),
                ("NOT (code <=> V)", false),
                ("V = code AND name IS NULL", false),
                ("code IN ('x', V)", true),
                ("code NOT IN ('sealed', V)", true),
                ("NOT (code IN ('x', V, NULL))", true),
                ("code IS NULL OR code = V", false),
            ] {
                let select = format!("SELECT id FROM {{t}} WHERE {condition} ORDER BY id");
                if value.is_some() || is_list {
                    self.same(&select.replace('V', &literal)).await;
                }
                self.same_prepared(&select.replace('V', "?"), param()).await;
            }
        }
        self.same("SELECT id, phone FROM {t} WHERE phone IN ('né', '😀', 'sealed') ORDER BY id").await;
        self.same_prepared("SELECT id FROM {t} WHERE email = ? AND code <> ? ORDER BY id", ("é@example.org", "x"))
            .await;
    }

    /// Writes every value over itself, as the commands that convert a column do in their own way.
    async fn rewrite(&mut self) {
        let rows: Vec<mysql_async::Row> =
            self.through.query("SELECT id, phone, email, code, address, note FROM customers").await.unwrap();
        for row in rows {
            let mut values = row.unwrap();
            values.rotate_left(1);
            let update = "UPDATE customers SET phone = ?, email = ?, code = ?, address = ?, note = ? WHERE id = ?";
            let answer = prepared(&mut self.through, update, Params::Positional(values)).await;
            assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
        }
    }

    /// How many cells are envelopes, and how many are other values.
    fn forms(&self) -> (u32, u32) {
        let count = |condition: &str| {
            let sums: Vec<String> = PROTECTED
                .iter()
                .map(|column| format!("SUM({column} IS NOT NULL AND HEX({column}) {condition} 'C1FE1D01%')"))
                .collect();
            let sql = format!("SELECT {} FROM `{}`.customers", sums.join(" + "), self.shop.database);
            self.shop.deployment.server.sql(&sql).trim().parse().unwrap()
        };
        (count("LIKE"), count("NOT LIKE"))
    }
}

async fn applications_work_through_every_stage(kind: Kind) {
    let options = ["--general-log=1", "--general-log-file=general.log"];
    let deployment = Deployment::own(kind, &options, Provider::File);
    let mut twins = Twins::new(&deployment).await;
    twins.write("plain").await;
    twins.read().await;
    assert_eq!(twins.forms().0, 0);

    twins.root(TO_BYTES);
    twins.shop.move_to("plain");
    twins.read().await;
    twins.write("bytes").await;
    twins.read().await;
    assert_eq!(twins.forms().0, 0);

    twins.shop.move_to("encrypting");
    twins.read().await;
    twins.write("encrypting").await;
    let (envelopes, values) = twins.forms();
    assert!(envelopes > 10 && values > 10, "{envelopes} envelopes beside {values} values");
    twins.read().await;
    twins.rewrite().await;
    twins.shop.assert_sealed();
    twins.read().await;

    twins.shop.move_to("sealed");
    twins.write("sealed").await;
    twins.read().await;
    twins.shop.assert_sealed();
    for stage in ["encrypting", "sealed"] {
        assert!(!is_logged(&twins, stage), "plaintext of stage {stage} reached the server");
    }

    twins.shop.move_to("decrypting");
    twins.read().await;
    twins.write("decrypting").await;
    let (envelopes, values) = twins.forms();
    assert!(envelopes > 10 && values > 10, "{envelopes} envelopes beside {values} values");
    twins.read().await;
    twins.rewrite().await;
    assert_eq!(twins.forms().0, 0);

    twins.root(TO_TEXT);
    twins.shop.move_to("decrypting");
    twins.read().await;
    twins.shop.move_to("plain");
    twins.write("end").await;
    twins.read().await;
    for stage in ["plain", "bytes", "decrypting", "end", "sealed"] {
        assert!(is_logged(&twins, stage), "{stage} is not found: the search is worth nothing");
    }
}

/// Whether the server's general log has a mark of what was written through the proxy at a stage. The twin's
/// values are another table's, so its statements are left out.
fn is_logged(twins: &Twins<'_>, stage: &str) -> bool {
    let mark = format!("{MARK}-{stage}");
    let hex = data_encoding::HEXUPPER.encode(mark.as_bytes());
    let general = fs::read(twins.shop.deployment.server.datadir.join("general.log")).unwrap();
    let mut lines = general.split(|byte| *byte == b'\n').filter(|line| memchr::memmem::find(line, b"people").is_none());
    lines.any(|line| [&mark, &hex].iter().any(|text| memchr::memmem::find(line, text.as_bytes()).is_some()))
}

/// Text is converted once, whoever does it: the server where the column is text, the proxy where it is bytes.
async fn latin1_clients_and_columns_keep_their_text(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let mut twins = Twins::new(deployment).await;
    twins.root(
        "ALTER TABLE customers MODIFY address VARCHAR(255) CHARACTER SET latin1, MODIFY note TEXT CHARACTER SET latin1",
    );
    twins.shop.move_to("plain");
    for conn in [&mut twins.through, &mut twins.direct] {
        assert!(matches!(text(conn, "SET NAMES latin1").await, Answer::Done { .. }));
    }
    let mut id = 0;
    let mut round = async |twins: &mut Twins<'_>, stage: &str| {
        id += 2;
        let named = |table: &str| {
            let head = format!("INSERT INTO {table} (id, code, address, note) VALUES ({id}, ");
            [head.as_bytes(), b"'n\xe9', 'stra\xdfe', _utf8mb4 x'C3A9')"].concat()
        };
        assert!(
            matches!(text(&mut twins.through, named("customers")).await, Answer::Done { affected: 1, .. }),
            "{stage}"
        );
        assert!(matches!(text(&mut twins.direct, named("people")).await, Answer::Done { affected: 1, .. }));
        let values = (id + 1, b"n\xe9".to_vec(), b"stra\xdfe".to_vec(), b"\xe9".to_vec());
        twins.same_prepared("INSERT INTO {t} (id, code, address, note) VALUES (?, ?, ?, ?)", values).await;
        twins.same("SELECT * FROM {t} ORDER BY id").await;
        twins.same_prepared("SELECT * FROM {t} WHERE id > ? ORDER BY id", (0,)).await;
        twins.same_prepared("SELECT id FROM {t} WHERE code = ? ORDER BY id", (b"n\xe9".to_vec(),)).await;
        let by_literal =
            |table: &str| [b"SELECT id FROM ", table.as_bytes(), b" WHERE code = 'n\xe9' ORDER BY id"].concat();
        let found = text(&mut twins.through, by_literal("customers")).await;
        assert_eq!(found, text(&mut twins.direct, by_literal("people")).await, "{stage}");
    };
    round(&mut twins, "plain").await;
    // A column in another character set is converted before it is made bytes.
    twins.root("ALTER TABLE customers MODIFY address VARCHAR(255) CHARACTER SET utf8mb4, MODIFY note TEXT CHARACTER SET utf8mb4");
    twins.root(TO_BYTES);
    for stage in ["plain", "encrypting", "decrypting"] {
        twins.shop.move_to(stage);
        round(&mut twins, stage).await;
    }
    let stored = twins.shop.deployment.server.sql(&format!(
        "SELECT DISTINCT HEX(code), HEX(address), HEX(note) FROM `{}`.customers WHERE HEX(code) NOT LIKE 'C1FE1D01%'",
        twins.shop.database
    ));
    assert_eq!(stored, "6EC3A9\t73747261C39F65\tC3A9\n", "UTF-8, whatever the client's character set is");
}

async fn what_is_refused_of_a_sealed_column_is_refused_at_every_stage(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let twins = Twins::new(deployment).await;
    let (mut app, shop) = (twins.through, twins.shop);
    for stage in ["plain", "bytes", "encrypting", "decrypting"] {
        if stage == "bytes" {
            deployment.server.sql(&format!("USE `{}`; {TO_BYTES}", shop.database));
            shop.move_to("plain");
        } else if stage != "plain" {
            shop.move_to(stage);
        }
        for sql in [
            "SELECT id FROM customers WHERE code LIKE 'a%'",
            "SELECT id FROM customers WHERE code > 'a'",
            "SELECT id FROM customers ORDER BY code",
            "SELECT UPPER(code) FROM customers",
            "SELECT id FROM customers WHERE code = 5",
            "SELECT id FROM customers WHERE note = 'x'",
            "SELECT code FROM customers UNION SELECT 'x'",
            "INSERT INTO customers (code) SELECT UPPER('x')",
            "INSERT INTO customers (code) VALUES (5)",
        ] {
            refused(&mut app, sql, 1235, "42000").await;
        }
        let long = "é".repeat(31);
        refused(&mut app, &format!("INSERT INTO customers (code) VALUES ('{long}')"), 1406, "22001").await;
        refused_prepared(&mut app, "INSERT INTO customers (code) VALUES (?)", (long,), 1406, "22001").await;
        let fits = "é".repeat(30);
        let answer = prepared(&mut app, "INSERT INTO customers (code) VALUES (?)", (fits,)).await;
        assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{stage}: {answer:?}");
        refused(&mut app, "SELECT code FROM customers WHERE code = 'a' AND SLEEP(5)", 6444, "28000").await;
        let mut engineer = shop.connect(Who::Engineer).await;
        for sql in
            ["SELECT * FROM customers", "SELECT id FROM customers WHERE code = 'a'", "UPDATE customers SET code = 'a'"]
        {
            refused(&mut engineer, sql, 1143, "42000").await;
        }
        assert!(matches!(text(&mut engineer, "SELECT id FROM customers").await, Answer::Rows { .. }));
    }
}

/// Who has stolen an envelope and pastes it where plaintext is written would read it in the clear.
async fn a_pasted_envelope_is_never_opened(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let twins = Twins::new(deployment).await;
    let (mut app, shop) = (twins.through, twins.shop);
    deployment.server.sql(&format!("USE `{}`; {TO_BYTES}", shop.database));
    shop.move_to("encrypting");
    text(&mut app, "INSERT INTO customers (id, note, code) VALUES (1, 'secret', 'secret'), (2, NULL, NULL)").await;
    let stolen = data_encoding::HEXUPPER.decode(shop.stored("note", 1).as_bytes()).unwrap();
    let code = data_encoding::HEXUPPER.decode(shop.stored("code", 1).as_bytes()).unwrap();
    let quoted = |bytes: &[u8]| {
        let escaped = bytes.iter().flat_map(|byte| match byte {
            b'\'' | b'\\' => vec![b'\\', *byte],
            0 => b"\\0".to_vec(),
            byte => vec![*byte],
        });
        [b"UPDATE customers SET note = '".to_vec(), escaped.collect(), b"' WHERE id = 2".to_vec()].concat()
    };
    let update = "UPDATE customers SET note = ? WHERE id = 2";
    for stage in ["plain", "decrypting"] {
        shop.move_to(stage);
        for charset in ["utf8mb4", "binary"] {
            text(&mut app, format!("SET NAMES {charset}")).await;
            for pasted in [&stolen, &code] {
                assert_eq!(text(&mut app, quoted(pasted)).await.error(), (1366, "HY000"), "{stage} {charset}");
                let answer = prepared(&mut app, update, (pasted.clone(),)).await;
                assert_eq!(answer.error(), (1366, "HY000"), "{stage} {charset}");
                let hex = data_encoding::HEXUPPER.encode(pasted);
                refused(&mut app, &format!("UPDATE customers SET note = x'{hex}' WHERE id = 2"), 1366, "HY000").await;
            }
        }
        assert_eq!(shop.stored("note", 2), "NULL");
        // And it finds no row either.
        let found = prepared(&mut app, "SELECT id FROM customers WHERE code = ?", (code.clone(),)).await;
        assert!(found.cells().is_empty(), "{found:?}");
        let found = prepared(&mut app, "SELECT id FROM customers WHERE code <=> ?", (code.clone(),)).await;
        assert!(found.cells().is_empty(), "{found:?}");
    }
    // Where writes are sealed it is a value like any other: what is read is what was pasted.
    shop.move_to("encrypting");
    let answer = prepared(&mut app, update, (stolen.clone(),)).await;
    assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{answer:?}");
    let Answer::Rows { rows, .. } = text(&mut app, "SELECT note FROM customers WHERE id = 2").await else {
        panic!("no rows")
    };
    assert_eq!(rows, [[Value::Bytes(stolen)]]);
}

async fn prepared_statements_follow_the_stage(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let twins = Twins::new(deployment).await;
    let (mut app, shop) = (twins.through, twins.shop);
    text(&mut app, "INSERT INTO customers (id, code) VALUES (1, 'v')").await;
    let sql = [
        "INSERT INTO customers (id, code) VALUES (?, 'v')",
        "INSERT INTO customers (id, code) VALUES (?, ?)",
        "SELECT COUNT(*) FROM customers WHERE code = 'v'",
        "SELECT COUNT(*) FROM customers WHERE code = ?",
    ];
    let mut statements = Vec::new();
    for sql in sql {
        statements.push(app.prep(sql).await.unwrap());
    }
    let (mut id, mut rows) = (1, 1);
    for stage in ["bytes", "encrypting", "sealed", "decrypting", "plain"] {
        match stage {
            "bytes" => {
                deployment.server.sql(&format!("USE `{}`; {TO_BYTES}", shop.database));
                shop.move_to("plain");
            }
            "sealed" => {
                deployment
                    .server
                    .sql(&format!("DELETE FROM `{}`.customers WHERE HEX(code) NOT LIKE 'C1FE1D01%'", shop.database));
                rows = 2;
                shop.move_to(stage);
            }
            _ => shop.move_to(stage),
        }
        for (at, sql) in sql.iter().enumerate() {
            id += 1;
            let params = |id: i32| -> Params {
                match at {
                    0 => (id,).into(),
                    1 => (id, "v").into(),
                    2 => Params::Empty,
                    _ => ("v",).into(),
                }
            };
            let mut outcome = app.exec_iter(&statements[at], params(id)).await.map(drop);
            if let Err(mysql_async::Error::Server(error)) = &outcome {
                // A client that is told so prepares again.
                assert_eq!(error.code, 1615, "{stage}: {sql}: {error}");
                statements[at] = app.prep(*sql).await.unwrap();
                outcome = app.exec_iter(&statements[at], params(id)).await.map(drop);
            }
            outcome.unwrap();
            if at < 2 {
                rows += 1;
                let is_sealed = shop.stored("code", u32::try_from(id).unwrap()).starts_with("C1FE1D01");
                assert_eq!(is_sealed, ["encrypting", "sealed"].contains(&stage), "{stage}: {sql}");
            } else {
                let found: Option<i64> = app.exec_first(&statements[at], params(id)).await.unwrap();
                assert_eq!(found, Some(rows), "{stage}: {sql}");
            }
        }
    }
}

async fn a_look_up_of_both_forms_uses_the_index(kind: Kind) {
    let twins = Twins::new(Deployment::shared(kind)).await;
    twins.root(TO_BYTES);
    let (mut app, shop) = (twins.through, twins.shop);
    for (stage, first) in [("plain", 0), ("encrypting", 2_000)] {
        shop.move_to(stage);
        let rows: Vec<String> = (first..first + 2_000).map(|number| format!("('n', 'code {number}')")).collect();
        let answer = text(&mut app, format!("INSERT INTO customers (name, code) VALUES {}", rows.join(", "))).await;
        assert!(matches!(answer, Answer::Done { affected: 2_000, .. }), "{answer:?}");
    }
    text(&mut app, "ANALYZE TABLE customers").await;
    for (condition, rows) in [("code = 'code 17'", "2"), ("code IN ('code 17', 'code 2017')", "4")] {
        for statement in ["SELECT name FROM customers", "UPDATE customers SET name = 'x'", "DELETE FROM customers"] {
            let answer = text(&mut app, format!("EXPLAIN FORMAT=TRADITIONAL {statement} WHERE {condition}")).await;
            let Answer::Rows { columns, .. } = &answer else { panic!("{answer:?}") };
            let cells = answer.cells();
            let cell = |name: &str| cells[0][columns.iter().position(|column| column.name == name).unwrap()].clone();
            let found = ["type", "key", "rows"].map(|name| cell(name).unwrap_or_default());
            assert_eq!(found, ["range", "by_code", rows], "{statement} WHERE {condition}");
        }
    }
}

async fn the_check_tells_a_stage_from_a_fault(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let twins = Twins::new(deployment).await;
    let shop = twins.shop;
    let missing = || deployment.missing_statements(&policy(&shop.database), crate::support::proxy::Tls::Off);
    assert_eq!(missing(), Vec::<String>::new(), "text is what a column is before it is encrypted");
    shop.move_to("encrypting");
    let remedies = missing();
    assert!(remedies.iter().any(|sql| sql.contains("VARBINARY")), "{remedies:?}");
    assert!(!remedies.iter().any(|sql| sql.contains("CHECK")), "{remedies:?}");
    for sql in &remedies {
        deployment.server.sql(sql);
    }
    assert_eq!(missing(), Vec::<String>::new());
    shop.move_to("sealed");
    let remedies = missing();
    assert_eq!(remedies.len(), PROTECTED.len(), "{remedies:?}");
    for sql in &remedies {
        assert!(sql.contains("CHECK"), "{sql}");
        deployment.server.sql(sql);
    }
    assert_eq!(missing(), Vec::<String>::new());
    shop.move_to("decrypting");
    let remedies = missing();
    assert_eq!(remedies.len(), PROTECTED.len(), "{remedies:?}");
    for sql in &remedies {
        deployment.server.sql(sql);
    }
    assert_eq!(missing(), Vec::<String>::new());
}
