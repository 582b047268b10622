//! `bind`: values that open beside the value of the column that they were sealed beside, and nowhere else. The client sees
//! nothing of what comes with them, in both protocols.

use mysql_async::{Conn, Value};

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Proxy, Tls};
use crate::support::raw::{Login, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{
    Answer, SECRET, Shop, Who, assert_in_step, policy, prepared, refused, refused_prepared, text,
};

on_each_server!(
    a_value_is_read_in_its_row_as_ever,
    values_are_bound_to_columns_of_every_kind,
    a_value_that_was_moved_is_not_read,
    what_does_not_say_which_row_is_meant_is_refused,
    roles_that_see_masks_see_them_of_bound_values,
    a_cursor_shows_bound_values_and_nothing_beside_them,
    what_was_sealed_before_is_read_if_policy_says_so,
    a_column_that_cannot_be_relied_on_is_named_by_check,
);

const BOUND: &str = "bind = \"id\"\n";

/// The shop, in which notes and addresses are bound to the row's number.
fn bound(database: &str) -> String {
    with(database, BOUND)
}

fn with(database: &str, line: &str) -> String {
    ["address", "note"].iter().fold(policy(database), |text, column| {
        let named = format!("{database}.customers.{column}\"\n");
        assert!(text.contains(&named), "{text}");
        text.replace(&named, &format!("{named}{line}"))
    })
}

/// Engineers see the beginning of addresses, and notes as envelopes.
fn masked(database: &str) -> String {
    let columns = format!(
        "[role.engineer]\naccess = \"deny\"\ncolumns = {{ \"{database}.customers.address\" = {{ access = \"masked\", mask = \
         {{ kind = \"first\", shown = 2 }} }}, \"{database}.customers.note\" = \"ciphertext\" }}\n"
    );
    bound(database).replace("[role.engineer]\naccess = \"deny\"\n", &columns)
}

fn cells(rows: &[&[Option<&str>]]) -> Vec<Vec<Option<String>>> {
    rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect()
}

async fn done(conn: &mut Conn, sql: &str) {
    let answer = text(conn, sql).await;
    assert!(matches!(answer, Answer::Done { .. }), "{sql}\n{answer:?}");
}

/// Writes the same into the protected table and its twin.
async fn both(conn: &mut Conn, sql: &str, params: &[Value]) {
    for table in ["customers", "people"] {
        let sql = sql.replace("{t}", table);
        let answer =
            if params.is_empty() { text(conn, &sql).await } else { prepared(conn, &sql, params.to_vec()).await };
        assert!(matches!(answer, Answer::Done { .. }), "{sql}\n{answer:?}");
    }
}

async fn filled(conn: &mut Conn) {
    both(
        conn,
        "INSERT INTO {t} (id, name, phone, address, note) VALUES (1, 'Ann', '090-1', 'Kyoto 1', 'one'), \
         ('2', 'Bob', NULL, 'Nara 2', NULL), (3, 'Eve', '090-3', NULL, 'três')",
        &[],
    )
    .await;
    let insert = "INSERT INTO {t} (address, id, note) VALUES (?, ?, ?)";
    both(conn, insert, &["Osaka 4".into(), 4.into(), "four".into()]).await;
    both(conn, insert, &["Kobe 5".into(), "5".into(), Value::NULL]).await;
    both(conn, "UPDATE {t} SET note = 'uno', name = 'Anna' WHERE id = 1 AND name <> ''", &[]).await;
    both(conn, "UPDATE {t} SET note = ? WHERE id = ?", &["dos".into(), 2.into()]).await;
    both(conn, "REPLACE INTO {t} VALUES (6, 'Max', NULL, NULL, NULL, 'Ise 6', 'six')", &[]).await;
    both(conn, "UPDATE {t} SET address = NULL WHERE name = 'Max'", &[]).await;
}

/// Statements whose answers are those of the plain twin.
const READ: [&str; 14] = [
    "SELECT note FROM {t} ORDER BY id",
    "SELECT * FROM {t} ORDER BY id",
    "SELECT note, address, id, note AS again FROM {t} ORDER BY id DESC LIMIT 3",
    "SELECT c.*, o.remark FROM {t} AS c LEFT JOIN orders o ON o.customer = c.id ORDER BY c.id, o.id",
    "SELECT a.note, b.note AS other FROM {t} a LEFT JOIN {t} b ON b.id = a.id + 1 ORDER BY a.id",
    "SELECT o.id, c.note FROM orders o RIGHT JOIN {t} c ON o.customer = c.id ORDER BY c.id, o.id",
    "SELECT note FROM {t} WHERE phone = '090-1'",
    "SELECT c.address FROM {t} c, {t} d WHERE c.id = d.id AND d.phone = '090-3'",
    "SELECT note, ROW_NUMBER() OVER (ORDER BY id) AS n FROM {t} ORDER BY id",
    "SELECT id, name, phone, email, code, address, note, 1, 2, 3, 4, 5, 6, 7, 8 FROM {t} ORDER BY id",
    "SELECT id FROM {t} WHERE note IS NULL ORDER BY id",
    "SELECT COUNT(note) AS n, COUNT(*) AS m FROM {t}",
    "SELECT note FROM {t} WHERE id = 99",
    "SELECT note FROM {t} WHERE id IN (SELECT customer FROM orders) ORDER BY id",
];

async fn a_value_is_read_in_its_row_as_ever(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), bound);
    let mut conn = shop.connect(Who::Application).await;
    filled(&mut conn).await;
    done(&mut conn, "INSERT INTO orders (customer, remark) VALUES (1, 'a'), (1, 'b'), (3, 'c'), (77, 'd')").await;
    for sql in READ {
        let (sealed, plain) = (sql.replace("{t}", "customers"), sql.replace("{t}", "people"));
        let (through, expected) = (text(&mut conn, &sealed).await, text(&mut conn, &plain).await);
        assert_eq!(through.cells(), expected.cells(), "{sealed}");
        let binary = prepared(&mut conn, &sealed, ()).await;
        assert_eq!(binary.cells(), expected.cells(), "prepared {sealed}");
    }
    shop.assert_sealed();
    for (column, id) in [("note", 1), ("note", 4), ("address", 2)] {
        let stored = shop.stored(column, id);
        assert_eq!(u8::from_str_radix(&stored[14..16], 16).unwrap() & 1, 1, "{column} of {id} is bound: {stored}");
    }
    let free = shop.stored("phone", 1);
    assert_eq!(u8::from_str_radix(&free[46..48], 16).unwrap() & 1, 0, "telephone numbers are not: {free}");
}

/// Types of columns that values are bound to, each with two values: one is written as a literal, one is bound.
fn kinds(kind: Kind) -> Vec<(&'static str, &'static str, Value)> {
    let mut kinds: Vec<(&str, &str, Value)> = vec![
        ("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'Jörg'", "😀 ".into()),
        ("VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", "'ann'", "bob".into()),
        ("VARCHAR(20) CHARACTER SET utf16 COLLATE utf16_bin", "'ann'", "bob".into()),
        ("CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'ann '", "bob".into()),
        ("BINARY(4)", "x'00ff0001'", b"\x00abc".to_vec().into()),
        ("VARBINARY(8)", "'abc'", b"abc\0".to_vec().into()),
        ("BIGINT UNSIGNED", "18446744073709551615", 7.into()),
        ("INT(8) UNSIGNED ZEROFILL", "'42'", 43.into()),
        ("SMALLINT", "-7", "-8".into()),
    ];
    kinds.push(match kind {
        // Under NO PAD the two are not one.
        Kind::MySql => ("VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin", "'bob'", "bob ".into()),
        Kind::MariaDb => ("VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin", "'bob'", "bob ".into()),
    });
    if kind == Kind::MariaDb {
        let (one, two) = ("'0B7E7C2E-0000-4000-8000-000000000001'", "0b7e7c2e00004000800000000000000f");
        kinds.push(("UUID", one, two.into()));
    }
    kinds
}

async fn values_are_bound_to_columns_of_every_kind(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| {
        let mut text = policy(database);
        for (number, (spelled, ..)) in kinds(kind).iter().enumerate() {
            deployment.server.sql(&format!(
                "CREATE TABLE `{database}`.k{number} (login {spelled} NOT NULL PRIMARY KEY, note MEDIUMBLOB \
                 CHECK (note IS NULL OR SUBSTRING(note, 1, 4) = 0xC1FE1D01))"
            ));
            text.push_str(&format!(
                "[[column]]\nname = \"{database}.k{number}.note\"\nkeyset = \"{KEYSET}\"\ntype = \"text\"\n\
                 bind = \"login\"\n"
            ));
        }
        text
    });
    let mut conn = shop.connect(Who::Application).await;
    let mut latin = shop.connect(Who::Application).await;
    done(&mut latin, "SET NAMES latin1").await;
    for (number, (spelled, literal, param)) in kinds(kind).into_iter().enumerate() {
        done(&mut conn, &format!("INSERT INTO k{number} (login, note) VALUES ({literal}, 'one')")).await;
        let insert = format!("INSERT INTO k{number} (note, login) VALUES (?, ?)");
        let answer = prepared(&mut conn, &insert, vec!["two".into(), param.clone()]).await;
        assert!(matches!(answer, Answer::Done { .. }), "{spelled}: {answer:?}");
        done(&mut conn, &format!("UPDATE k{number} SET note = 'uno' WHERE login = {literal}")).await;
        let update = format!("UPDATE k{number} SET note = ? WHERE login = ?");
        let answer = prepared(&mut conn, &update, vec!["dos".into(), param]).await;
        assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{spelled}: {answer:?}");
        let read = format!("SELECT note FROM k{number} ORDER BY CRC32(HEX(login))");
        for conn in [&mut conn, &mut latin] {
            for answer in [text(conn, &read).await, prepared(conn, &read, ()).await] {
                let mut found: Vec<String> = answer.cells().concat().into_iter().flatten().collect();
                found.sort();
                assert_eq!(found, ["dos", "uno"], "{spelled}");
            }
        }
        deployment.server.sql(&format!(
            "USE `{0}`; SET @a = (SELECT note FROM k{number} ORDER BY HEX(login) LIMIT 1), \
             @b = (SELECT note FROM k{number} ORDER BY HEX(login) DESC LIMIT 1); \
             UPDATE k{number} SET note = IF(note = @a, @b, @a)",
            shop.database
        ));
        refused(&mut conn, &read, 1105, "HY000").await;
    }
}

async fn a_value_that_was_moved_is_not_read(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), bound);
    let mut conn = shop.connect(Who::Application).await;
    filled(&mut conn).await;
    // Who can write to the database gives one row the value of another.
    let attack = |sql: &str| shop.deployment.server.sql(&format!("USE `{}`; {sql}", shop.database));
    attack("UPDATE customers a JOIN customers b ON b.id = 1 SET a.note = b.note WHERE a.id = 4");
    for id in [1, 2, 3] {
        let read = format!("SELECT note FROM customers WHERE id = {id}");
        assert_eq!(text(&mut conn, &read).await.cells().len(), 1, "{read}");
    }
    let moved = "SELECT note FROM customers WHERE id = 4";
    for answer in [text(&mut conn, moved).await, prepared(&mut conn, moved, ()).await] {
        let Answer::Refused { text: said, .. } = answer else { panic!("{answer:?}") };
        assert!(said.contains("customers.note does not authenticate"), "{said}");
    }
    assert_in_step(&mut conn, "a value that was moved").await;
    // Taking the row's number along makes it the same row.
    attack("DELETE FROM customers WHERE id = 1; UPDATE customers SET id = 1 WHERE id = 4");
    let read = text(&mut conn, "SELECT note FROM customers WHERE id = 1").await;
    assert_eq!(read.cells(), cells(&[&[Some("uno")]]));
    refused(&mut conn, "SELECT address FROM customers WHERE id = 1", 1105, "HY000").await;
    // A value that is not bound can be moved: that is what `bind` is for.
    attack(
        "UPDATE customers SET phone = (SELECT p FROM (SELECT phone AS p FROM customers WHERE id = 3) d) WHERE id = 2",
    );
    let read = text(&mut conn, "SELECT phone FROM customers WHERE id = 2").await;
    assert_eq!(read.cells(), cells(&[&[Some("090-3")]]));
}

async fn what_does_not_say_which_row_is_meant_is_refused(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), bound);
    let mut conn = shop.connect(Who::Application).await;
    filled(&mut conn).await;
    for sql in [
        "INSERT INTO customers (note) VALUES ('x')",
        "INSERT INTO customers (id, note) VALUES (DEFAULT, 'x')",
        "INSERT INTO customers (id, note) VALUES (0, 'x')",
        "INSERT INTO customers (id, note) VALUES (1 + 8, 'x')",
        "INSERT INTO customers (id, note) SELECT id + 100, note FROM customers",
        "INSERT INTO customers (id, note) VALUES (1, 'x') ON DUPLICATE KEY UPDATE note = VALUES(note)",
        "INSERT INTO customers (id, note) VALUES (1, 'x') ON DUPLICATE KEY UPDATE note = 'y'",
        "UPDATE customers SET note = 'x'",
        "UPDATE customers SET note = 'x' WHERE name = 'Ann'",
        "UPDATE customers SET note = 'x' WHERE id = 1 OR id = 2",
        "UPDATE customers SET id = 100 WHERE id = 1",
        "UPDATE customers SET id = id + 1",
        "SELECT COALESCE(note, 'x') AS n FROM customers",
        "SELECT d.note FROM (SELECT id, note FROM customers) d",
        "SELECT note FROM customers UNION ALL SELECT note FROM customers",
        "SELECT (SELECT note FROM customers WHERE id = 1) AS n",
        "WITH c AS (SELECT * FROM customers) SELECT note FROM c",
        "SELECT MAX(id), ANY_VALUE(note) AS n FROM customers",
        "TABLE customers",
    ] {
        if kind == Kind::MariaDb && (sql.starts_with("TABLE") || sql.contains("ANY_VALUE")) {
            continue;
        }
        refused(&mut conn, sql, 1235, "42000").await;
    }
    let insert = "INSERT INTO customers (id, note) VALUES (?, ?)";
    for row in [Value::NULL, 0.into(), 1.5.into(), "seven".into(), i64::MAX.into()] {
        refused_prepared(&mut conn, insert, vec![row, "x".into()], 1235, "42000").await;
    }
    refused_prepared(&mut conn, "INSERT INTO customers (id, note) VALUES (7, ?)", ("x",), 1235, "42000").await;
    let Answer::Refused { text: said, .. } = text(&mut conn, "UPDATE customers SET note = 'x'").await else { panic!() };
    assert!(said.contains("which rows are meant") && said.contains("`bind`"), "{said}");
    assert_in_step(&mut conn, "refusals").await;
    // What seals nothing goes on.
    done(&mut conn, "UPDATE customers SET note = note, name = 'x' WHERE name = 'Bob'").await;
    done(&mut conn, "INSERT INTO customers (name, note) VALUES ('Zoe', NULL)").await;
    done(&mut conn, "INSERT INTO customers (id, note) VALUES (1, 'x') ON DUPLICATE KEY UPDATE name = 'Ann'").await;
    let read = text(&mut conn, "SELECT note FROM customers WHERE id <= 2 ORDER BY id").await;
    assert_eq!(read.cells(), cells(&[&[Some("uno")], &[Some("dos")]]));
}

async fn roles_that_see_masks_see_them_of_bound_values(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), masked);
    let mut conn = shop.connect(Who::Application).await;
    filled(&mut conn).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    let read = "SELECT address, id FROM customers WHERE id IN (1, 2, 3) ORDER BY id";
    let shown = cells(&[&[Some("Ky****"), Some("1")], &[Some("Na****"), Some("2")], &[None, Some("3")]]);
    assert_eq!(text(&mut engineer, read).await.cells(), shown);
    assert_eq!(prepared(&mut engineer, read, ()).await.cells(), shown);
    // Envelopes need no row: none is fetched, and a nested query shows them, too.
    let read = "SELECT d.note FROM (SELECT note FROM customers WHERE id = 1) d";
    let shown = text(&mut engineer, read).await.cells().concat();
    assert!(shown.iter().flatten().all(|cell| !cell.contains("uno")) && shown.len() == 1, "{shown:?}");
    refused(&mut engineer, "UPDATE customers SET address = 'x' WHERE id = 1", 1143, "42000").await;
    refused(&mut engineer, "SELECT d.address FROM (SELECT address FROM customers) d", 1235, "42000").await;
    refused(&mut engineer, "SELECT id FROM customers WHERE address = 'x'", 1143, "42000").await;
}

async fn a_cursor_shows_bound_values_and_nothing_beside_them(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), bound);
    filled(&mut shop.connect(Who::Application).await).await;
    let login = Login { user: &shop.account(Who::Application), password: SECRET, ..Login::default() };
    let mut raw = Raw::open(shop.proxy.port, &login);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    // Six columns and two bits of no meaning fill the first byte of the NULL bitmap; the hidden one takes another.
    let (id, packets) =
        raw.prepare("SELECT note, id, name, phone, email, code FROM customers WHERE id < 3 ORDER BY id");
    assert_eq!(error_code(&packets), 0);
    assert_eq!(packets[0].1[5..7], [6, 0], "columns that the client hears of");
    let opened = raw.statement(0x17, id, b"\x01\x01\0\0\0");
    assert_eq!((error_code(&opened), opened[0].1.as_slice()), (0, &[6][..]));
    let fetched = raw.statement(0x1c, id, &5_u32.to_le_bytes());
    let rows: Vec<&[u8]> = fetched.iter().map(|packet| packet.1.as_slice()).take(2).collect();
    let expected: [&[u8]; 2] = [b"\0\xc0\x03uno\x01\0\0\0\x04Anna\x05090-1", b"\0\xe0\x03dos\x02\0\0\0\x03Bob"];
    assert_eq!(rows, expected);
}

async fn what_was_sealed_before_is_read_if_policy_says_so(kind: Kind) {
    let mut shop = Shop::open_as(Deployment::shared(kind), policy);
    filled(&mut shop.connect(Who::Application).await).await;
    let read = "SELECT note FROM customers WHERE id <= 2 ORDER BY id";
    shop.proxy =
        Proxy::start(shop.deployment, &with(&shop.database, &format!("{BOUND}unbound = \"accept\"\n")), Tls::Off);
    let mut conn = shop.connect(Who::Application).await;
    assert_eq!(text(&mut conn, read).await.cells(), cells(&[&[Some("uno")], &[Some("dos")]]));
    done(&mut conn, "UPDATE customers SET note = 'ONE' WHERE id = 1").await;
    assert_eq!(text(&mut conn, read).await.cells(), cells(&[&[Some("ONE")], &[Some("dos")]]));
    shop.proxy = Proxy::start(shop.deployment, &bound(&shop.database), Tls::Off);
    let mut conn = shop.connect(Who::Application).await;
    let answer = text(&mut conn, read).await;
    let Answer::Refused { code: 1105, text: said, .. } = answer else { panic!("{answer:?}") };
    assert!(said.contains("is not bound to its row") && said.contains("reencrypt"), "{said}");
    let read = "SELECT note FROM customers WHERE id = 1";
    assert_eq!(text(&mut conn, read).await.cells(), cells(&[&[Some("ONE")]]));
}

async fn a_column_that_cannot_be_relied_on_is_named_by_check(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_on(deployment, Tls::Off);
    let sql = |sql: &str| deployment.server.sql(&format!("USE `{}`; {sql}", shop.database));
    let check = |bind: &str| {
        let folder = tempfile::tempdir().unwrap();
        let policy = with(&shop.database, &format!("bind = \"{bind}\"\n"));
        let config = deployment.write(folder.path(), &policy, Tls::Off);
        let checked = deployment.command("AKIAPROXY").args(["check", "--config"]).arg(config).output().unwrap();
        (checked.status.success(), String::from_utf8(checked.stdout).unwrap())
    };
    let (_, fits) = check("id");
    assert!(!fits.contains("has bind"), "{fits}");
    for (bind, why) in [("name", "which may be NULL"), ("nobody", "which does not exist")] {
        let (succeeded, found) = check(bind);
        assert!(!succeeded && found.contains(&format!("has bind {bind}, {why}")), "{found}");
    }
    sql("CREATE TABLE accounts (id INT PRIMARY KEY); \
         ALTER TABLE customers ADD CONSTRAINT of_account FOREIGN KEY (id) REFERENCES accounts (id) ON UPDATE RESTRICT");
    assert!(!check("id").1.contains("has bind"), "the server does not change it");
    sql("ALTER TABLE customers DROP FOREIGN KEY of_account; \
         ALTER TABLE customers ADD CONSTRAINT of_account FOREIGN KEY (id) REFERENCES accounts (id) ON UPDATE CASCADE");
    let (succeeded, found) = check("id");
    assert!(!succeeded && found.contains("has bind id, which foreign key of_account changes"), "{found}");
}
