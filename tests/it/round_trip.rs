//! Statements on a protected table through the proxy, beside the same statements on a plain table straight at the
//! server: every answer is equal, or refused with a documented code, after which the connection goes on.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};

use crate::support::on_each_server;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, prepared, refused, refused_prepared, text};

on_each_server!(
    text_statements_answer_like_a_plain_table,
    prepared_statements_answer_like_a_plain_table,
    values_survive_in_both_protocols,
    literals_are_read_as_the_server_reads_them,
    sql_modes_change_what_is_a_literal,
    what_grows_beyond_the_servers_limit_is_its_error,
    a_latin1_connection_gets_latin1,
    a_connection_may_switch_conversion_off,
    values_that_do_not_fit_are_refused_as_by_the_server,
    columns_look_like_ordinary_ones,
    a_transaction_survives_a_refusal,
    errors_of_the_server_pass_unchanged,
);

/// `customers` through the proxy and `people` straight at the server.
struct Twins {
    shop: Shop<'static>,
    through: Conn,
    direct: Conn,
}

impl Twins {
    async fn new(kind: Kind) -> Self {
        let shop = Shop::open(kind);
        let (through, direct) = (shop.connect(Who::Application).await, shop.direct().await);
        Self { shop, through, direct }
    }

    /// Runs a statement on both; `{t}` is the table. The answers are equal; it is returned.
    async fn same(&mut self, sql: impl AsRef<[u8]>) -> Answer {
        let sql = sql.as_ref();
        let through = text(&mut self.through, named(sql, "customers")).await;
        let direct = text(&mut self.direct, named(sql, "people")).await;
        assert_eq!(through, direct, "through the proxy and directly: {}", sql.escape_ascii());
        through
    }

    /// The same over the prepared protocol.
    async fn same_prepared(&mut self, sql: &str, params: impl Into<Params>) -> Answer {
        let params = params.into();
        let through = prepared(&mut self.through, &sql.replace("{t}", "customers"), params.clone()).await;
        let direct = prepared(&mut self.direct, &sql.replace("{t}", "people"), params).await;
        assert_eq!(through, direct, "through the proxy and directly: {sql}");
        through
    }

    async fn refused(&mut self, sql: &str, code: u16, state: &str) {
        refused(&mut self.through, &sql.replace("{t}", "customers"), code, state).await;
    }

    /// Both tables hold the same, in both protocols, and nothing is stored in the clear.
    async fn same_contents(&mut self) {
        self.same("SELECT * FROM {t} ORDER BY id").await;
        self.same_prepared("SELECT * FROM {t} ORDER BY id", ()).await;
        self.shop.assert_sealed();
    }
}

fn named(sql: &[u8], table: &str) -> Vec<u8> {
    let Some(at) = sql.windows(3).position(|window| window == b"{t}") else { return sql.to_vec() };
    [&sql[..at], table.as_bytes(), &named(&sql[at + 3..], table)].concat()
}

/// What is allowed, and what is refused beside it with 1235.
const FORMS: &[(&str, &str)] = &[
    (
        "INSERT INTO {t} (id, name, phone) VALUES (1, 'Ana', '+34 600 000 001')",
        "INSERT INTO {t} (id, phone) VALUES (99, CONCAT('+34', '600'))",
    ),
    (
        "INSERT INTO {t} (name, phone, email, note) VALUES ('Ben', '090-1234-5678', 'ben@example.org', 'n'), \
         ('Cho', NULL, ('cho@example.org'), ''), ('Dan', '', NULL, NULL)",
        "INSERT INTO {t} (name, phone) VALUES ('Ben', '090-1234-5678'), ('Cho', 123)",
    ),
    (
        "INSERT INTO {t} VALUES (10, 'Eve', '03-1234-5678', 'eve@example.org', 'X1', 'Calle Mayor 1', 'long')",
        "INSERT INTO {t} SELECT * FROM people",
    ),
    (
        "INSERT INTO {t} SET id = 11, phone = '+1 650 253 0000', code = 'X2'",
        "INSERT INTO {t} SET id = 99, phone = phone",
    ),
    ("INSERT IGNORE INTO {t} (id, code) VALUES (11, 'X3')", "INSERT IGNORE INTO {t} (id, code) VALUES (99, @code)"),
    (
        "REPLACE INTO {t} (id, name, code) VALUES (11, UPPER('fay'), 'X4')",
        "REPLACE INTO {t} (id, code) VALUES (11, UPPER('x'))",
    ),
    ("REPLACE INTO {t} SET id = 12, code = 'X5'", "REPLACE INTO {t} SET id = 12, code = name"),
    (
        "INSERT INTO {t} (id, code) VALUES (12, 'X6') ON DUPLICATE KEY UPDATE code = VALUES(code), name = 'Gil'",
        "INSERT INTO {t} (id, code) VALUES (12, 'X6') ON DUPLICATE KEY UPDATE code = CONCAT(code, 'x')",
    ),
    (
        "INSERT INTO {t} (id, code) VALUES (12, 'X7') ON DUPLICATE KEY UPDATE code = 'X8', address = NULL",
        "INSERT INTO {t} (id, code) VALUES (12, 'X7') ON DUPLICATE KEY UPDATE name = VALUES(code)",
    ),
    ("SELECT * FROM {t} ORDER BY id", "SELECT * FROM {t} ORDER BY phone"),
    ("SELECT id, phone, note FROM {t} ORDER BY id LIMIT 2 OFFSET 1", "SELECT UPPER(phone) FROM {t}"),
    ("SELECT c.*, c.phone AS p, (address) a FROM {t} AS c ORDER BY 1", "SELECT phone AS p FROM {t} ORDER BY p"),
    ("SELECT name FROM {t} WHERE phone = '+34 600 000 001'", "SELECT name FROM {t} WHERE phone LIKE '+34%'"),
    ("SELECT name FROM {t} WHERE '090-1234-5678' = phone", "SELECT name FROM {t} WHERE phone > '090-1234-5678'"),
    (
        "SELECT id FROM {t} WHERE phone IN ('', '03-1234-5678', 'none') ORDER BY id",
        "SELECT id FROM {t} WHERE phone IN ('', 7)",
    ),
    (
        "SELECT id FROM {t} WHERE phone <> '' AND email IS NOT NULL ORDER BY id",
        "SELECT id FROM {t} WHERE phone BETWEEN '0' AND '9'",
    ),
    (
        "SELECT id FROM {t} WHERE NOT (phone = '' OR code = 'X1') ORDER BY id",
        "SELECT id FROM {t} WHERE address = 'Calle Mayor 1'",
    ),
    ("SELECT id FROM {t} WHERE phone <=> NULL ORDER BY id", "SELECT id FROM {t} WHERE phone = name"),
    ("SELECT COUNT(phone), COUNT(*) FROM {t} WHERE note IS NULL", "SELECT MAX(phone) FROM {t}"),
    (
        "SELECT a.phone, b.email FROM {t} a JOIN {t} b ON a.id = b.id WHERE b.email = 'eve@example.org'",
        "SELECT a.phone FROM {t} a JOIN people b ON a.phone = b.phone",
    ),
    (
        "SELECT o.id, c.phone FROM orders o RIGHT JOIN {t} c ON o.customer = c.id ORDER BY c.id",
        "SELECT c.id FROM orders o JOIN {t} c ON o.remark = c.phone",
    ),
    (
        "SELECT phone FROM {t} WHERE id IN (SELECT id FROM people UNION ALL SELECT 1) ORDER BY id",
        "SELECT name FROM people WHERE phone IN (SELECT phone FROM {t})",
    ),
    ("UPDATE {t} SET phone = '+81 3 0000 0001', name = 'Hal' WHERE id = 1", "UPDATE {t} SET phone = name WHERE id = 1"),
    (
        "UPDATE {t} SET phone = NULL, note = 'moved' WHERE phone = '03-1234-5678'",
        "UPDATE {t} SET phone = NULL WHERE phone REGEXP '0'",
    ),
    ("UPDATE {t} SET code = 'Y' ORDER BY id LIMIT 1", "UPDATE {t} SET code = 'Y' ORDER BY code LIMIT 1"),
    ("DELETE FROM {t} WHERE email = 'cho@example.org'", "DELETE FROM {t} WHERE LENGTH(email) = 15"),
    ("DELETE FROM {t} WHERE code IN ('X8', 'Y') ORDER BY id LIMIT 1", "DELETE FROM {t} ORDER BY code LIMIT 1"),
];

async fn text_statements_answer_like_a_plain_table(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    for (allowed, beside) in FORMS {
        let answer = twins.same(allowed).await;
        assert!(matches!(answer, Answer::Rows { .. } | Answer::Done { .. }), "{allowed}: {answer:?}");
        twins.refused(beside, 1235, "42000").await;
    }
    twins.same_contents().await;
}

async fn prepared_statements_answer_like_a_plain_table(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    let bytes = |text: &str| Value::from(text);
    let forms: Vec<(&str, Vec<Value>, &str, Vec<Value>)> = vec![
        (
            "INSERT INTO {t} (id, name, phone, note) VALUES (?, ?, ?, ?)",
            vec![1.into(), bytes("Ana"), bytes("+34 600 000 001"), Value::NULL],
            "INSERT INTO {t} (id, phone) VALUES (?, CONCAT(?, ''))",
            vec![99.into(), bytes("x")],
        ),
        (
            "INSERT INTO {t} (id, phone, code) VALUES (?, ?, 'K1'), (?, '090-1234-5678', ?)",
            vec![2.into(), bytes(""), 3.into(), bytes("K2")],
            "INSERT INTO {t} (id, phone) VALUES (?, ? + 1)",
            vec![99.into(), bytes("1")],
        ),
        (
            "INSERT INTO {t} (id, code) VALUES (?, ?) ON DUPLICATE KEY UPDATE code = ?, name = ?",
            vec![3.into(), bytes("K3"), bytes("K4"), bytes("Ben")],
            "INSERT INTO {t} (id, code) VALUES (?, ?) ON DUPLICATE KEY UPDATE code = UPPER(?)",
            vec![3.into(), bytes("K3"), bytes("K4")],
        ),
        (
            "REPLACE INTO {t} SET id = ?, code = ?",
            vec![4.into(), bytes("K5")],
            "REPLACE INTO {t} SET id = ?, code = name",
            vec![4.into()],
        ),
        (
            "SELECT * FROM {t} WHERE phone = ?",
            vec![bytes("+34 600 000 001")],
            "SELECT * FROM {t} WHERE phone LIKE ?",
            vec![bytes("+34%")],
        ),
        (
            "SELECT id, phone FROM {t} WHERE ? = phone OR (id = ? AND code <> ?) ORDER BY id",
            vec![bytes("+34 600 000 001"), 3.into(), bytes("none")],
            "SELECT id FROM {t} WHERE phone < ?",
            vec![bytes("x")],
        ),
        (
            "SELECT id FROM {t} WHERE phone IN (?, '090-1234-5678', ?) AND id > ? ORDER BY id LIMIT ?",
            vec![bytes(""), Value::NULL, 0.into(), 5.into()],
            "SELECT id FROM {t} WHERE phone BETWEEN ? AND ?",
            vec![bytes("0"), bytes("9")],
        ),
        (
            "SELECT id FROM {t} WHERE code <=> ? ORDER BY id",
            vec![Value::NULL],
            "SELECT id FROM {t} WHERE address <=> ?",
            vec![Value::NULL],
        ),
        (
            "SELECT id FROM {t} WHERE code NOT IN (?, ?) ORDER BY id",
            vec![bytes("K1"), bytes("K9")],
            "SELECT id FROM {t} WHERE code NOT IN (?, id)",
            vec![bytes("K1")],
        ),
        (
            "UPDATE {t} SET phone = ?, address = ?, name = ? WHERE code = ? AND id = ?",
            vec![bytes("03-0000-0000"), Value::NULL, bytes("Cho"), bytes("K4"), 3.into()],
            "UPDATE {t} SET phone = ? WHERE phone > ?",
            vec![bytes("x"), bytes("y")],
        ),
        (
            "DELETE FROM {t} WHERE code = ? OR phone = ?",
            vec![bytes("K5"), bytes("none")],
            "DELETE FROM {t} WHERE phone REGEXP ?",
            vec![bytes("x")],
        ),
    ];
    for (allowed, params, beside, beside_params) in forms {
        let answer = twins.same_prepared(allowed, params).await;
        assert!(matches!(answer, Answer::Rows { .. } | Answer::Done { .. }), "{allowed}: {answer:?}");
        let beside = beside.replace("{t}", "customers");
        refused_prepared(&mut twins.through, &beside, beside_params, 1235, "42000").await;
    }
    twins.same_contents().await;
}

async fn values_survive_in_both_protocols(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    // An envelope of another cell, as an application might have read it straight from the server.
    twins.same("INSERT INTO {t} (id, code) VALUES (1, 'first')").await;
    let envelope = twins.shop.stored("code", 1);
    assert!(envelope.starts_with("C1FE1D01"), "{envelope}");
    let long = "長い値😀'\\\"\n".repeat(28);
    let values: Vec<Option<String>> = vec![
        None,
        Some(String::new()),
        Some("😀 東京都 ñ".to_owned()),
        Some("'\"\\\0\n\r\x1a%_ -- /* */ ?".to_owned()),
        Some(" leading and trailing ".to_owned()),
        Some("a".repeat(255)),
        Some("😀".repeat(255)),
        Some(long),
    ];
    let mut id = 100;
    for value in &values {
        id += 1;
        let parameter = value.clone().map_or(Value::NULL, Value::from);
        twins.same_prepared("INSERT INTO {t} (id, address, note) VALUES (?, ?, ?)", (id, &parameter, &parameter)).await;
        let literal = parameter.as_sql(false);
        twins.same(format!("INSERT INTO {{t}} (id, address, note) VALUES ({}, {literal}, {literal})", id + 100)).await;
        let sql = format!("SELECT address, note FROM {{t}} WHERE id IN ({id}, {})", id + 100);
        let read = twins.same(&sql).await.cells();
        assert_eq!(read, vec![vec![value.clone(), value.clone()]; 2], "text");
        let read = twins.same_prepared(&sql, ()).await.cells();
        assert_eq!(read, vec![vec![value.clone(), value.clone()]; 2], "prepared");
    }
    let huge = "0123456789abcdef".repeat(4095);
    twins.same_prepared("INSERT INTO {t} (id, note) VALUES (400, ?)", (&huge,)).await;
    twins.same(format!("INSERT INTO {{t}} (id, note) VALUES (401, '{huge}')")).await;
    assert_eq!(twins.same("SELECT note FROM {t} WHERE id >= 400").await.cells(), vec![vec![Some(huge)]; 2]);
    // An envelope is a value like any other: in latin1 its bytes are a text, in UTF-8 they are none.
    twins.same(format!("INSERT INTO {{t}} (id, note) VALUES (500, _latin1 X'{envelope}')")).await;
    let bytes = data_encoding::HEXUPPER.decode(envelope.as_bytes()).unwrap();
    twins.same("SET NAMES latin1").await;
    twins.same_prepared("INSERT INTO {t} (id, note) VALUES (501, ?)", (&bytes,)).await;
    let Answer::Rows { rows, .. } = twins.same("SELECT note FROM {t} WHERE id >= 500").await else { panic!("no rows") };
    assert_eq!(rows, vec![vec![Value::Bytes(bytes.clone())]; 2]);
    twins.same("SET NAMES utf8mb4").await;
    let insert = "INSERT INTO customers (id, note) VALUES (502, ?)";
    refused_prepared(&mut twins.through, insert, (bytes,), 1366, "HY000").await;
    twins.same_contents().await;
}

async fn literals_are_read_as_the_server_reads_them(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    let literals = [
        "'plain'",
        "\"double\"",
        "'it''s'",
        "\"say \"\"x\"\"\"",
        "'it\\'s \\\"x\\\" \\\\ '",
        "'\\n\\t\\r\\b\\0\\Z'",
        "'\\%\\_\\q'",
        "'one' 'two'",
        "'one'\n\t\"two\" /* c */ 'three'",
        "N'national'",
        "n'national' 'more'",
        "_utf8mb4'intro'",
        "_utf8mb4 'intro' 'duced'",
        "_latin1'Ana'",
        "x'414243'",
        "X'e69db1'",
        "0x414243",
        "('in brackets')",
        "_utf8mb4 x'F09F9880'",
        "_utf8mb4 0x414243",
        "''",
        "'' ''",
        "NULL",
    ];
    for (id, literal) in (1..).zip(literals) {
        twins.same(format!("INSERT INTO {{t}} (id, code, note) VALUES ({id}, {literal}, {literal})")).await;
        let found = twins.same(format!("SELECT id, code, note FROM {{t}} WHERE code = {literal}")).await.cells();
        assert_eq!(found.len(), usize::from(literal != "NULL"), "{literal}: {found:?}");
        // A new value: the server counts rows that change, and a value that is sealed again always does.
        twins.same(format!("UPDATE {{t}} SET address = {literal} WHERE code IN ({literal}, 'none')")).await;
        twins.same_contents().await;
        twins.same(format!("DELETE FROM {{t}} WHERE code = {literal} OR id = {id}")).await;
    }
    for beside in
        ["b'01000001'", "0b01000001", "65", "6.5", "TRUE", "DATE '2020-01-01'", "_latin1'x' COLLATE latin1_bin"]
    {
        twins.refused(&format!("INSERT INTO {{t}} (id, code) VALUES (99, {beside})"), 1235, "42000").await;
    }
    twins.same_contents().await;
}

async fn sql_modes_change_what_is_a_literal(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("SET sql_mode = 'NO_BACKSLASH_ESCAPES'").await;
    twins.same(r"INSERT INTO {t} (id, code) VALUES (1, 'a\n'), (2, '\'), (3, 'it''s')").await;
    twins.same(r"SELECT id FROM {t} WHERE code = '\'").await;
    twins.same("SET sql_mode = ''").await;
    let found = twins.same(r"SELECT id FROM {t} WHERE code = '\\'").await;
    assert_eq!(found.cells(), [[Some("2".to_owned())]]);
    twins.same("SET sql_mode = 'ANSI_QUOTES'").await;
    twins.same(r#"INSERT INTO "{t}" ("id", "code") VALUES (4, '"x"')"#).await;
    twins.same(r#"SELECT "code" FROM "{t}" WHERE "code" = '"x"'"#).await;
    // A name now, not a value.
    twins.refused(r#"SELECT id FROM {t} WHERE code = "name""#, 1235, "42000").await;
    twins.same("SET sql_mode = 'PIPES_AS_CONCAT'").await;
    twins.same("SELECT id FROM {t} WHERE code = 'a\\\\n' AND name || 'x' IS NULL").await;
    twins.refused("SELECT id FROM {t} WHERE code = 'a' || 'b'", 1235, "42000").await;
    if kind == Kind::MariaDb {
        twins.same("SET sql_mode = 'EMPTY_STRING_IS_NULL'").await;
        for sql in ["INSERT INTO {t} (id, code) VALUES (5, '')", "SELECT id FROM {t} WHERE code <> ''"] {
            twins.refused(sql, 1235, "42000").await;
        }
        twins.same("SELECT id, code FROM {t} WHERE name IS NULL OR name = ''").await;
    }
    // The mode that a prepared statement was prepared under is its own.
    twins.same("SET sql_mode = DEFAULT").await;
    twins.same_contents().await;
}

/// A sealed value is longer than what the client wrote. MariaDB takes packets of 16 MiB, and does not read on where one is
/// longer.
async fn what_grows_beyond_the_servers_limit_is_its_error(kind: Kind) {
    if kind == Kind::MySql {
        return;
    }
    let mut twins = Twins::new(kind).await;
    let row = format!("('{}')", "x".repeat(60_000));
    let rows = |count| format!("INSERT INTO customers (note) VALUES {}", vec![row.as_str(); count].join(", "));
    let answer = text(&mut twins.through, rows(10)).await;
    assert!(matches!(answer, Answer::Done { affected: 10, .. }), "{answer:?}");
    assert_eq!(text(&mut twins.through, rows(150)).await.error(), (1153, "08S01"));
}

async fn a_latin1_connection_gets_latin1(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("SET NAMES latin1").await;
    twins.same(b"INSERT INTO {t} (id, name, code, address) VALUES (1, 'caf\xe9', 'caf\xe9', 'Espa\xf1a')").await;
    twins.same(b"SELECT id, name, code, address FROM {t} WHERE code = 'caf\xe9'").await;
    twins
        .same_prepared("INSERT INTO {t} (id, code, address) VALUES (2, ?, ?)", (b"\xfcber".to_vec(), b"\xe0".to_vec()))
        .await;
    let read = twins.same_prepared("SELECT code, address FROM {t} WHERE code = ?", (b"\xfcber".to_vec(),)).await;
    let Answer::Rows { rows, .. } = &read else { panic!("{read:?}") };
    assert_eq!(rows, &[[Value::Bytes(b"\xfcber".to_vec()), Value::Bytes(b"\xe0".to_vec())]]);
    twins.same("SET NAMES utf8mb4").await;
    assert_eq!(twins.same("SELECT address FROM {t} WHERE code = 'über'").await.cells(), [[Some("à".to_owned())]]);
    // What latin1 cannot show becomes a question mark, as on a plain table.
    twins.same("INSERT INTO {t} (id, name, code) VALUES (3, '東', '東')").await;
    twins.same("SET NAMES latin1").await;
    twins.same("SELECT name, code FROM {t} WHERE id = 3").await;
    twins.refused("SET NAMES gbk", 6444, "28000").await;
    twins.same("SET NAMES utf8mb4").await;
    twins.same_contents().await;
}

async fn a_connection_may_switch_conversion_off(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("INSERT INTO {t} (id, code, note) VALUES (1, 'ñ', 'ñ😀')").await;
    twins.same("SET character_set_results = NULL").await;
    twins.same("SELECT code, note FROM {t}").await;
    // Bytes as they are stored, and announced as bytes.
    for binary in ["SET character_set_results = binary", "SET NAMES binary"] {
        twins.same(binary).await;
        twins.same("SELECT code, note FROM {t}").await;
        twins.same_prepared("SELECT code, note FROM {t} WHERE code = ?", ("ñ",)).await;
        twins.same("SET NAMES utf8mb4").await;
    }
    twins.same("SET character_set_results = utf8mb3").await;
    twins.same("SELECT code FROM {t}").await;
}

async fn values_that_do_not_fit_are_refused_as_by_the_server(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("SET sql_mode = 'STRICT_ALL_TABLES'").await;
    twins.same(format!("INSERT INTO {{t}} (id, code) VALUES (1, '{}')", "é".repeat(30))).await;
    let long = "é".repeat(31);
    twins.refused(&format!("INSERT INTO {{t}} (id, code) VALUES (2, '{long}')"), 1406, "22001").await;
    twins.refused(&format!("UPDATE {{t}} SET code = '{long}' WHERE id = 1"), 1406, "22001").await;
    let insert = "INSERT INTO customers (id, code) VALUES (2, ?)";
    refused_prepared(&mut twins.through, insert, (&long,), 1406, "22001").await;
    let broken = text(&mut twins.through, b"INSERT INTO customers (id, code) VALUES (3, '\xff\xfe')").await;
    assert_eq!(broken.error(), (1366, "HY000"));
    assert_in_step(&mut twins.through, "a value that is no UTF-8").await;
    twins.same_contents().await;
}

async fn columns_look_like_ordinary_ones(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("INSERT INTO {t} (id, phone, email, code, address, note) VALUES (1, '1', 'a@b', 'c', 'd', 'e')").await;
    // Shapes are part of the answers that are compared: type, character set, length, flags, decimals.
    for sql in [
        "SELECT * FROM {t}",
        "SELECT phone, email, code, address, note FROM {t} WHERE id = 0",
        "SELECT phone AS a, a.note FROM {t} a",
        "SELECT a.phone, b.note FROM {t} a LEFT JOIN {t} b ON b.id = a.id + 1",
    ] {
        twins.same(sql).await;
        twins.same_prepared(sql, ()).await;
    }
    // A prepared statement shows its columns before it runs, and its own number of parameters.
    let mut shapes = Vec::new();
    for (conn, table) in [(&mut twins.through, "customers"), (&mut twins.direct, "people")] {
        let sql = format!("SELECT phone, note FROM {table} WHERE code = ? AND phone IN (?, ?) AND id = ?");
        let statement = conn.prep(sql).await.unwrap();
        let columns: Vec<_> = statement
            .columns()
            .iter()
            .map(|column| {
                (column.name_str().into_owned(), column.column_type(), column.character_set(), column.column_length())
            })
            .collect();
        shapes.push((columns, statement.params().len()));
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0].1, 4);
    let found = prepared(
        &mut twins.through,
        "SELECT phone, note FROM customers WHERE code = ? AND phone IN (?, ?) AND id = ?",
        ("c", "1", "2", 1),
    )
    .await;
    assert_eq!(found.cells(), [[Some("1".to_owned()), Some("e".to_owned())]]);
}

async fn a_transaction_survives_a_refusal(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("BEGIN").await;
    twins.same("INSERT INTO {t} (id, code) VALUES (1, 'kept')").await;
    twins.refused("SELECT MAX(code) FROM {t}", 1235, "42000").await;
    twins.refused("SELECT id FROM {t} UNION SELECT 1,2 FROM nowhere -- '", 1235, "42000").await;
    twins.same("SAVEPOINT s").await;
    twins.same("UPDATE {t} SET code = 'lost' WHERE id = 1").await;
    twins.same("ROLLBACK TO SAVEPOINT s").await;
    twins.same("COMMIT").await;
    twins.same("BEGIN").await;
    twins.same("DELETE FROM {t}").await;
    twins.same("ROLLBACK").await;
    assert_eq!(twins.same("SELECT code FROM {t}").await.cells(), [[Some("kept".to_owned())]]);
}

async fn errors_of_the_server_pass_unchanged(kind: Kind) {
    let mut twins = Twins::new(kind).await;
    twins.same("INSERT INTO {t} (id, code) VALUES (1, 'x')").await;
    for (sql, code) in [
        ("INSERT INTO {t} (id, code) VALUES (1, 'y')", 1062),
        ("SELECT nothing FROM orders", 1054),
        ("SELECT 1 FROM missing", 1146),
        ("SELECT id FROM orders WHERE", 1064),
        ("DROP TABLE missing", 1051),
        ("CREATE TABLE orders (id INT)", 1050),
    ] {
        let through = text(&mut twins.through, sql.replace("{t}", "customers")).await;
        let direct = text(&mut twins.direct, sql.replace("{t}", "people")).await;
        let Answer::Refused { text, code: found, .. } = &through else { panic!("{sql}: {through:?}") };
        assert_eq!(*found, code, "{sql}: {text}");
        assert_eq!(through.error(), direct.error(), "{sql}");
        assert_in_step(&mut twins.through, sql).await;
    }
}
