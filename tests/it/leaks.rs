//! Marked plaintexts are written in every way, and in every way that fails; then everything that lasts is searched for
//! them: the server's data files, its binary and general logs, and what the proxy tells at its most talkative.

#![allow(clippy::print_stderr, reason = "the figures are what a reader of the log wants")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::nested::generator::{Generated, Generator, Values};
use crate::nested::number;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, prepared, text};

on_each_server!(no_marked_value_is_found_anywhere);

/// What all marks of protected values begin with; searching for it finds each. Long enough to be found by chance nowhere,
/// also in parts.
const PROTECTED_MARK: &str = "zqMarkeKlartextxQ";
/// The same for values of unprotected columns, which must be found.
const OPEN_MARK: &str = "kwOffenerTextxyzV";

/// A word that nothing else contains, with a number for each use.
fn mark(number: usize) -> String {
    format!("{PROTECTED_MARK}{number:04}")
}

async fn no_marked_value_is_found_anywhere(kind: Kind) {
    let options = ["--log-bin=binlog", "--server-id=1", "--general-log=1", "--general-log-file=general.log"];
    let deployment = Deployment::own(kind, &options, Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let written = write_marks(&shop).await;
    generate(&shop).await;
    write_open_values(&shop).await;
    // The rows are there: the search below does not succeed because nothing was written.
    let mut conn = shop.connect(Who::Application).await;
    let rows = text(&mut conn, "SELECT address, note, code FROM customers").await.cells();
    let read = rows.iter().flatten().flatten().filter(|cell| cell.contains(PROTECTED_MARK)).count();
    assert!(read >= written, "{read} of {written} marks can be read");
    drop(conn);

    // Ending the server writes every page to its file.
    let folder = deployment.server.datadir.parent().unwrap();
    let metrics = shop.proxy.probe("/metrics").1;
    let log = shop.proxy.log();
    stop(folder);
    let mut places =
        vec![(PathBuf::from("log of the proxy"), log.into_bytes()), ("/metrics".into(), metrics.into_bytes())];
    read_files(folder, &mut places);
    let names: Vec<String> = places.iter().map(|(path, _)| path.display().to_string()).collect();
    for needed in ["customers.ibd", "general.log", "binlog.000001"] {
        assert!(names.iter().any(|name| name.ends_with(needed)), "{needed} is not among {names:#?}");
    }

    let found = search(&places, PROTECTED_MARK);
    assert!(found.is_empty(), "plaintext was found: {found:#?}");
    // The same search finds what is there: as it is, in hexadecimal, in base64, in data files and in both logs.
    let open = search(&places, OPEN_MARK);
    for needed in ["orders.ibd", "general.log", "binlog.000001"] {
        for spelling in ["as it is", "hexadecimal", "base64"] {
            let hit = |(name, how): &(String, &str)| name.ends_with(needed) && *how == spelling;
            assert!(open.iter().any(hit), "{needed}, {spelling}: not found, so the search is worth nothing: {open:#?}");
        }
    }
    // Not even unprotected values are logged by the proxy.
    let logged = open.iter().filter(|(name, _)| name == "log of the proxy" || name == "/metrics");
    assert_eq!(logged.count(), 0, "{open:#?}");
}

/// Writes marks in every shape; returns how many of them are in the table.
async fn write_marks(shop: &Shop<'_>) -> usize {
    let mut conn = shop.connect(Who::Application).await;
    let mut number = 0;
    let mut next = || {
        number += 1;
        mark(number)
    };
    let stored = [
        format!("INSERT INTO customers (id, address, note) VALUES (1, '{}', '{}')", next(), next()),
        format!("INSERT INTO customers VALUES (2, 'n', NULL, NULL, '{}', \"{}\", N'{}')", next(), next(), next()),
        format!("INSERT INTO customers SET id = 3, note = '{}' '{}'", next(), next()),
        format!("REPLACE INTO customers (id, address) VALUES (4, _utf8mb4'{}'), (5, '{}')", next(), next()),
        format!("INSERT INTO customers (id, code) VALUES (4, 'x') ON DUPLICATE KEY UPDATE code = '{}'", next()),
        format!("UPDATE customers SET note = '{}' WHERE id = 5", next()),
        format!("INSERT INTO customers (id, note) VALUES (6, '{}{}')", "long ".repeat(5000), next()),
    ];
    for sql in &stored {
        let answer = text(&mut conn, sql).await;
        assert!(matches!(answer, Answer::Done { .. }), "{sql}: {answer:?}");
    }
    for id in 10..14 {
        let answer =
            prepared(&mut conn, "INSERT INTO customers (id, address, note) VALUES (?, ?, ?)", (id, next(), next()))
                .await;
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    }
    let kept = 7 + 8;
    let searched = [
        format!("SELECT id FROM customers WHERE code = '{}'", next()),
        format!("SELECT id FROM customers WHERE code IN ('{}', '{}') OR email <> '{}'", next(), next(), next()),
        format!("UPDATE customers SET name = 'm' WHERE phone = '{}'", next()),
        format!("DELETE FROM customers WHERE email = '{}'", next()),
        format!("EXPLAIN SELECT id FROM customers WHERE code = '{}'", next()),
        format!("EXPLAIN CANDADO SELECT id FROM customers WHERE code = '{}'", next()),
        format!("SELECT id FROM customers WHERE (code, email) IN (('{}', '{}'))", next(), next()),
        format!(
            "SELECT code = '{}', NULLIF(code, '{}') AS n, COALESCE(code, '{}') FROM customers",
            next(),
            next(),
            next()
        ),
        format!("SELECT CASE code WHEN '{}' THEN 1 END AS n FROM customers", next()),
        format!("INSERT INTO customers (id, code) SELECT 80, '{}' FROM customers WHERE code = '{}'", next(), next()),
        format!("UPDATE customers SET note = CASE WHEN id < 0 THEN '{}' ELSE note END WHERE id < 0", next()),
        format!(
            "UPDATE customers c JOIN orders o ON o.customer = c.id SET o.remark = 'm' WHERE c.phone = '{}'",
            next()
        ),
    ];
    for sql in &searched {
        let answer = text(&mut conn, sql).await;
        assert!(matches!(answer, Answer::Done { .. } | Answer::Rows { .. }), "{sql}: {answer:?}");
    }
    for (sql, values) in [
        ("SELECT id FROM customers WHERE code IN (?, ?)", vec![next(), next()]),
        ("SELECT id FROM customers WHERE code LIKE ?", vec![next()]),
        ("SELECT id FROM customers WHERE (code, email) = (?, ?)", vec![next(), next()]),
        ("SELECT COALESCE(note, ?) AS n, COALESCE(code, ?) FROM customers", vec![next(), next()]),
        ("INSERT INTO customers (id, code) SELECT 81, ? FROM customers WHERE code = ?", vec![next(), next()]),
    ] {
        let answer = prepared(&mut conn, sql, values).await;
        assert!(matches!(answer, Answer::Rows { .. } | Answer::Done { .. }), "{sql}: {answer:?}");
    }
    for (sql, code) in failing(&mut next) {
        assert_eq!(text(&mut conn, &sql).await.error().0, code, "{sql}");
    }
    let long = format!("{}{}", next(), "x".repeat(300));
    assert_eq!(prepared(&mut conn, "INSERT INTO customers (address) VALUES (?)", (long,)).await.error().0, 1406);
    let twice = (1, next());
    let like = "SELECT id FROM customers WHERE code LIKE ?";
    assert_eq!(prepared(&mut conn, "INSERT INTO customers (id, note) VALUES (?, ?)", twice).await.error().0, 1062);
    assert_eq!(prepared(&mut conn, like, (format!("{}%", next()),)).await.error().0, 1235);
    for who in [Who::Engineer, Who::Nobody] {
        let mut conn = shop.connect(who).await;
        for sql in ["SELECT id FROM customers WHERE code = '{m}'", "UPDATE customers SET note = '{m}'"] {
            assert_eq!(text(&mut conn, sql.replace("{m}", &next())).await.error().0, 1143, "{sql}");
        }
    }
    kept
}

/// Statements with marks that fail, and the code that they fail with.
fn failing(next: &mut impl FnMut() -> String) -> Vec<(String, u16)> {
    vec![
        (format!("INSERT INTO customers (id, note) VALUES (1, '{}')", next()), 1062),
        (format!("INSERT INTO customers (id, code) VALUES (90, '{}{}')", next(), "x".repeat(40)), 1406),
        (format!("INSERT INTO customers (id, note, id) VALUES (91, '{}', 92)", next()), 1110),
        (format!("SELECT id FROM customers WHERE code LIKE '%{}%'", next()), 1235),
        (format!("SELECT id FROM customers WHERE note = '{}'", next()), 1235),
        (format!("INSERT INTO customers (note) VALUES (UPPER('{}'))", next()), 1235),
        (format!("INSERT INTO customers (id, note) SELECT 93, d.n FROM (SELECT '{}' AS n) d", next()), 1235),
        (format!("SELECT id FROM FROM customers WHERE code = '{}'", next()), 1235),
        (format!("SELECT nothing FROM customers WHERE code = '{}'", next()), 1235),
        (format!("SELECT id FROM customers WHERE code = '{}", next()), 6444),
        (format!("SELECT id FROM customers WHERE code = '{}' AND SLEEP(5)", next()), 6444),
        (format!("SELECT id FROM customers WHERE code = '{}'; DROP TABLE customers", next()), 6444),
        (
            format!(
                "SELECT id FROM customers WHERE code = '{}' UNION SELECT table_name FROM information_schema.tables",
                next()
            ),
            6444,
        ),
    ]
}

/// Values for generated statements.
const GENERATED: [&str; 4] =
    ["zqMarkeKlartextxQ9001", "zqMarkeKlartextxQ9002", "zqMarkeKlartextxQ9003", "zqMarkeKlartextxQ9004"];

/// Sends the statements that the twin compares, with marks for values. `CANDADO_TWIN_STATEMENTS` is their number in each
/// protocol.
async fn generate(shop: &Shop<'_>) {
    let mut conn = shop.connect(Who::Application).await;
    let [one, two, three, _] = GENERATED;
    let rows = format!(
        "INSERT INTO customers (id, code, phone, note) VALUES (30, '{one}', '{two}', '{three}'), (31, '{two}', NULL, \
         '{one}'), (32, '{one}', '{three}', NULL)"
    );
    assert!(matches!(text(&mut conn, rows).await, Answer::Done { .. }));
    let mut generator = Generator::of_protected(77, &GENERATED);
    let count = number("CANDADO_TWIN_STATEMENTS").unwrap_or(150);
    let (mut sent, mut rows) = (0, 0);
    for values in (0..count).flat_map(|_| [Values::Literal, Values::Param]) {
        let Generated { sql, params } = generator.next(values);
        let sql = sql.replace("{t}", "customers");
        let answer = match values {
            Values::Literal => text(&mut conn, &sql).await,
            Values::Param => prepared(&mut conn, &sql, params).await,
        };
        match answer {
            Answer::Rows { rows: found, .. } => {
                sent += 1;
                rows += found.len();
            }
            Answer::Refused { .. } => {}
            Answer::Done { .. } | Answer::Lost => panic!("{sql}: {answer:?}"),
        }
    }
    eprintln!("{sent} of {} generated statements were answered, with {rows} rows", count * 2);
    assert!(sent >= count / 2 && rows > 0, "{sent} sent, {rows} rows: too few tell anything");
}

/// The same kinds of values in an unprotected column.
async fn write_open_values(shop: &Shop<'_>) {
    let mut conn = shop.connect(Who::Application).await;
    let value = format!("{OPEN_MARK}0001");
    let hex = data_encoding::HEXLOWER.encode(value.as_bytes());
    let base64 = data_encoding::BASE64.encode(value.as_bytes());
    for value in [value, hex, base64] {
        let answer = text(&mut conn, format!("INSERT INTO orders (remark) VALUES ('{value}')")).await;
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    }
}

/// Where a text stands, and how it is spelt there.
fn search(places: &[(PathBuf, Vec<u8>)], text: &str) -> Vec<(String, &'static str)> {
    let mut needles = vec![
        ("as it is", text.as_bytes().to_vec()),
        ("hexadecimal", data_encoding::HEXLOWER.encode(text.as_bytes()).into_bytes()),
        ("hexadecimal", data_encoding::HEXUPPER.encode(text.as_bytes()).into_bytes()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    // In base64 a text looks different for each of the three places that it can begin at. Letters at the ends depend on
    // the neighbours.
    for before in 0..3 {
        let padded = [vec![0; before], text.as_bytes().to_vec()].concat();
        let whole = data_encoding::BASE64.encode(&padded);
        let inner = &whole[before.div_ceil(3) * 4..padded.len() / 3 * 4];
        needles.push(("base64", inner.as_bytes().to_vec()));
    }
    let mut found = Vec::new();
    for (path, bytes) in places {
        for (spelling, needle) in &needles {
            if memchr::memmem::find(bytes, needle).is_some() {
                found.push((path.display().to_string(), *spelling));
            }
        }
    }
    found
}

fn read_files(folder: &Path, places: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            read_files(&path, places);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            places.push((path, bytes));
        }
    }
}

fn stop(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/server.sh");
    let status = Command::new(script).arg("stop").arg(folder).status().expect("server.sh runs");
    assert!(status.success(), "the server did not stop");
}
