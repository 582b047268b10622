//! Searches that policy grants to roles that do not see the values: what they find, that nothing else is opened by the
//! grant, that they are counted, and that each leaves a record.

use candado::budget::advance;
use mysql_async::Conn;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::accesses::Archive;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Proxy, Tls, wait_until};
use crate::support::raw::{Login, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{
    Answer, SECRET, Shop, Who, bounded, options, policy, prepared, refused, refused_prepared, text,
};

on_each_server!(
    a_granted_search_finds_rows_and_shows_no_more,
    a_grant_is_for_its_columns_and_for_searches_alone,
    too_many_searches_are_refused,
    proxies_count_searches_together,
    every_search_is_recorded,
    a_search_of_plain_text_takes_text_alone,
    what_a_cursor_finds_is_recorded_when_it_is_fetched,
    a_search_that_is_broken_off_leaves_one_record,
    a_search_that_was_not_sent_is_not_counted,
);

/// The engineer sees masks of telephone numbers and may search by them, and by addresses for mail that he may not see.
/// Support sees envelopes.
pub(crate) fn granting(database: &str, per_minute: u32) -> String {
    let column = |name: &str| format!("\"{database}.customers.{name}\"");
    let mask = "{ access = \"masked\", mask = { kind = \"last\", shown = 2 } }";
    let (phone, email) = (column("phone"), column("email"));
    let roles = format!(
        "[role.engineer]\naccess = \"deny\"\ncolumns = {{ {phone} = {mask} }}\n\
         search = {{ columns = [{phone}, {email}], per_minute = {per_minute} }}\n\
         [role.support]\naccess = \"ciphertext\"\n[role.support.search]\ncolumns = [{phone}]\n"
    );
    let text = policy(database);
    let (head, tail) = text.split_once("[role.engineer]").unwrap();
    let (_, tail) = tail.split_once("[[account]]").unwrap();
    format!("{head}{roles}[[account]]{tail}")
}

fn open(kind: Kind, per_minute: u32) -> Shop<'static> {
    Shop::open_as(Deployment::shared(kind), |database| granting(database, per_minute))
}

async fn fill(shop: &Shop<'_>) {
    let mut conn = shop.connect(Who::Application).await;
    let sql = "INSERT INTO customers (id, name, phone, email) VALUES (1, 'Ana', '090-1111-2222', 'ana@example.org'), \
               (2, 'Ben', '090-1111-3333', 'ben@example.org'), (3, 'Cho', '090-1111-2222', NULL), (4, 'Dan', NULL, NULL)";
    assert!(matches!(text(&mut conn, sql).await, Answer::Done { affected: 4, .. }));
}

fn rows(cells: &[&[&str]]) -> Vec<Vec<Option<String>>> {
    cells.iter().map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect()).collect()
}

async fn a_granted_search_finds_rows_and_shows_no_more(kind: Kind) {
    let shop = open(kind, 100);
    fill(&shop).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    for (sql, found) in [
        (
            "SELECT id, phone FROM customers WHERE phone = '+819011112222' ORDER BY id",
            rows(&[&["1", "****22"], &["3", "****22"]]),
        ),
        ("SELECT id FROM customers WHERE phone IN ('090 1111 3333', '090-9999-9999')", rows(&[&["2"]])),
        ("SELECT name FROM customers WHERE email <=> 'BEN@example.org'", rows(&[&["Ben"]])),
        (
            "SELECT name FROM customers WHERE name = 'Dan' OR (phone = '090-1111-2222' AND id > 1) ORDER BY id",
            rows(&[&["Cho"], &["Dan"]]),
        ),
        ("SELECT COUNT(*) FROM customers WHERE phone = '090-1111-2222'", rows(&[&["2"]])),
        ("SELECT id FROM customers WHERE phone = '090-0000-0000'", rows(&[])),
    ] {
        assert_eq!(text(&mut engineer, sql).await.cells(), found, "{sql}");
        assert_eq!(prepared(&mut engineer, sql, ()).await.cells(), found, "{sql}");
    }
    let sql = "SELECT id, phone FROM customers WHERE phone = ?";
    assert_eq!(prepared(&mut engineer, sql, ("090-1111-3333",)).await.cells(), rows(&[&["2", "****33"]]));
    // By a name of the client's own. What a variable holds is seen by the server alone.
    let named = "PREPARE s FROM 'SELECT name FROM customers WHERE phone = ''090-1111-3333'''";
    assert!(matches!(text(&mut engineer, named).await, Answer::Done { .. }));
    refused(&mut engineer, "PREPARE t FROM 'SELECT name FROM customers WHERE phone = ?'", 1143, "42000").await;
    assert_eq!(text(&mut engineer, "EXECUTE s").await.cells(), rows(&[&["Ben"]]));
    // What may be searched by is not seen for that.
    refused(&mut engineer, "SELECT email FROM customers WHERE email = 'ana@example.org'", 1143, "42000").await;
    refused(&mut engineer, "SELECT * FROM customers WHERE phone = '090-1111-2222'", 1143, "42000").await;

    // Envelopes stay without their index, so that what was found shows as little as what was read.
    let mut support = shop.connect(Who::Support).await;
    let sql = "SELECT phone FROM customers WHERE phone = '090-1111-2222'";
    let Answer::Rows { rows: found, .. } = text(&mut support, sql).await else { panic!("rows") };
    let envelopes: Vec<Vec<u8>> = found
        .into_iter()
        .flatten()
        .map(|cell| match cell {
            mysql_async::Value::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        })
        .collect();
    let [one, two] = envelopes.as_slice() else { panic!("{envelopes:?}") };
    assert_ne!(one[7..23], two[7..23]);
    let stored = shop.stored("phone", 1);
    let shown: String = one[7..23].iter().map(|byte| format!("{byte:02X}")).collect();
    assert_ne!(stored[14..46], shown);
}

async fn a_grant_is_for_its_columns_and_for_searches_alone(kind: Kind) {
    let shop = open(kind, 100);
    fill(&shop).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    for sql in [
        "SELECT id FROM customers WHERE code = 'x'",
        "SELECT id FROM customers WHERE phone = '090-1111-2222' AND code = 'x'",
        "SELECT id FROM customers WHERE phone <> '090-1111-2222'",
        "SELECT id FROM customers WHERE NOT phone = '090-1111-2222'",
        "SELECT id FROM customers WHERE phone LIKE '090-1111-2222'",
        "SELECT id FROM customers WHERE email IS NULL",
        "SELECT phone = '090-1111-2222' AS hit FROM customers",
        "SELECT a.id FROM customers a JOIN customers b ON a.phone = b.phone",
        "SELECT a.id FROM customers a JOIN customers b ON b.phone = '090-1111-2222'",
        "SELECT COUNT(*) FROM customers WHERE phone = '090-1111-2222' GROUP BY phone",
        "UPDATE customers SET name = 'x' WHERE phone = '090-1111-2222'",
        "DELETE FROM customers WHERE phone = '090-1111-2222'",
        "INSERT INTO orders (customer) SELECT id FROM customers WHERE phone = '090-1111-2222'",
        "SELECT id INTO @i FROM customers WHERE phone = '090-1111-2222'",
        "EXPLAIN SELECT id FROM customers WHERE phone = '090-1111-2222'",
    ] {
        refused(&mut engineer, sql, 1143, "42000").await;
        refused_prepared(&mut engineer, sql, (), 1143, "42000").await;
    }
    // A role without a grant.
    let mut nobody = shop.connect(Who::Nobody).await;
    let mut support = shop.connect(Who::Support).await;
    refused(&mut nobody, "SELECT id FROM customers WHERE phone = '090-1111-2222'", 1143, "42000").await;
    refused(&mut support, "SELECT id FROM customers WHERE email = 'ana@example.org'", 1143, "42000").await;
    assert!(shop.proxy.probe("/metrics").1.contains("candado_searches_total 0"));
}

async fn too_many_searches_are_refused(kind: Kind) {
    let shop = open(kind, 6);
    fill(&shop).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    let mut other = shop.connect(Who::Engineer).await;
    let one = "SELECT id FROM customers WHERE phone = '090-1111-3333'";
    let many = "SELECT id FROM customers WHERE phone IN ('1', '2', '3', '4')";
    assert_eq!(text(&mut engineer, one).await.cells().len(), 1);
    assert!(text(&mut other, many).await.cells().is_empty());
    // Each value is a search. What is refused does not count.
    let told = text(&mut engineer, many).await;
    let Answer::Refused { code, text: told, .. } = told else { panic!("{told:?}") };
    assert_eq!(code, 1226);
    assert!(told.starts_with("Too many searches by protected columns in a minute: "), "{told}");
    // To prepare a search is none yet.
    let sql = "SELECT id FROM customers WHERE phone = ?";
    assert_eq!(prepared(&mut other, sql, ("090-1111-3333",)).await.cells().len(), 1);
    for conn in [&mut engineer, &mut other] {
        refused(conn, one, 1226, "42000").await;
        refused_prepared(conn, sql, ("090-1111-3333",), 1226, "42000").await;
        assert_eq!(text(conn, "SELECT phone FROM customers WHERE id = 1").await.cells(), rows(&[&["****22"]]));
    }
    // Others search for themselves, and who sees the values as often as he likes.
    let mut support = shop.connect(Who::Support).await;
    assert_eq!(text(&mut support, one).await.cells().len(), 1);
    let mut application = shop.connect(Who::Application).await;
    for _ in 0..10 {
        assert_eq!(text(&mut application, one).await.cells().len(), 1);
    }
    let metrics = shop.proxy.probe("/metrics").1;
    assert!(metrics.contains("candado_searches_total 7"), "{metrics}");
    assert!(metrics.contains("candado_searches_refused_total 5"), "{metrics}");
    let is_alarm = |event: &Value| {
        event["target"] == "candado::search" && event["alarm"] == true && event["user"] == shop.account(Who::Engineer)
    };
    wait_until("the alarm is in the log", || shop.proxy.events().iter().any(is_alarm));
}

async fn proxies_count_searches_together(kind: Kind) {
    const PER_MINUTE: u64 = 20;
    let shop = open(kind, 20);
    fill(&shop).await;
    let second = block_in_place(|| Proxy::start(shop.deployment, &granting(&shop.database, 20), Tls::Off));
    let beside = options("127.0.0.1", second.port, &shop.database).user(Some(shop.account(Who::Engineer)));
    let mut there = bounded(Conn::new(beside.pass(Some(SECRET)))).await.unwrap();
    let mut here = shop.connect(Who::Engineer).await;
    let mut found = 0;
    for _ in 0..PER_MINUTE {
        for conn in [&mut here, &mut there] {
            match text(conn, "SELECT id FROM customers WHERE phone = '090-1111-3333'").await {
                Answer::Refused { code, .. } => assert_eq!(code, 1226),
                answer => found += u64::try_from(answer.cells().len()).unwrap(),
            }
        }
    }
    assert!((PER_MINUTE * 3 / 4..=PER_MINUTE + 2 * advance(PER_MINUTE)).contains(&found), "{found}");
}

async fn every_search_is_recorded(kind: Kind) {
    let archive = Archive::open(kind);
    let section = archive.section("strict");
    let shop = Shop::open_with(Deployment::shared(kind), |database| granting(database, 100), Tls::Off, &section);
    fill(&shop).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    let column = |name: &str| format!("{}.customers.{name}", shop.database);
    // One that shows masks, one that shows nothing protected, one that finds nothing, and one that fails.
    text(&mut engineer, "SELECT id, phone FROM customers WHERE phone = '090-1111-2222'").await;
    prepared(&mut engineer, "SELECT id FROM customers WHERE email IN (?, ?)", ("ana@example.org", "x@y")).await;
    text(&mut engineer, "SELECT id FROM customers WHERE phone = '090-0000-0000'").await;
    let failing = "SELECT id FROM customers WHERE phone = '090-0000-0000' AND id = (SELECT 1 UNION ALL SELECT 2)";
    refused(&mut engineer, failing, 1242, "21000").await;
    let found = archive.accesses(&[]);
    let told: Vec<Value> = found
        .iter()
        .map(|one| json!([one["role"], one["outcome"], one["rows"], one["opened"], one["masked"], one["columns"]]))
        .collect();
    let searched = |name: &str, masked: u64, values: u64| json!({ column(name): { "opened": 0, "masked": masked, "searched": values } });
    assert_eq!(
        told,
        [
            json!(["engineer", "complete", 2, 0, 2, searched("phone", 2, 1)]),
            json!(["engineer", "complete", 1, 0, 0, searched("email", 0, 2)]),
            json!(["engineer", "complete", 0, 0, 0, searched("phone", 0, 1)]),
            json!(["engineer", "failed", 0, 0, 0, searched("phone", 0, 1)]),
        ]
    );
    let account = format!("{}@%", shop.account(Who::Engineer));
    assert!(found.iter().all(|one| one["account"] == account && one["digest"].as_str().unwrap().len() == 64));
    // What was searched for stands nowhere.
    let written = std::fs::read_to_string(archive.file()).unwrap();
    assert!(!written.contains("1111") && !written.contains("example.org"), "{written}");
    assert_eq!(archive.verify().0, 0);
    assert_eq!(archive.accesses(&["--column", &column("email")]).len(), 1);
    // Who sees the values leaves a record of what was shown to him, and no more.
    let mut application = shop.connect(Who::Application).await;
    text(&mut application, "SELECT id FROM customers WHERE phone = '090-1111-2222'").await;
    assert_eq!(archive.accesses(&[]).len(), 4);
}

/// What the server takes for a number is equal to more texts than one.
async fn a_search_of_plain_text_takes_text_alone(kind: Kind) {
    let shop = Shop::open_plain_as(Deployment::shared(kind), |database| granting(database, 100));
    let mut conn = shop.connect(Who::Application).await;
    let sql = "INSERT INTO customers (id, name, phone) VALUES (1, 'Ana', '7'), (2, 'Ben', '7.0'), (3, 'Cho', '07')";
    assert!(matches!(text(&mut conn, sql).await, Answer::Done { affected: 3, .. }));
    let sql = "SELECT id FROM customers WHERE phone = ? AND id > ?";
    assert_eq!(prepared(&mut conn, sql, (7, 0)).await.cells().len(), 3, "by who sees the values");
    let mut engineer = shop.connect(Who::Engineer).await;
    assert_eq!(prepared(&mut engineer, sql, ("7", 0)).await.cells(), rows(&[&["1"]]));
    assert_eq!(prepared(&mut engineer, sql, (mysql_async::Value::NULL, 0)).await.cells(), rows(&[]));
    for value in [
        mysql_async::Value::Int(7),
        mysql_async::Value::UInt(7),
        mysql_async::Value::Double(7.0),
        mysql_async::Value::Date(2007, 7, 7, 0, 0, 0, 0),
    ] {
        let params = vec![value, mysql_async::Value::Int(0)];
        refused_prepared(&mut engineer, sql, params, 1235, "42000").await;
    }
    let sql = "SELECT id FROM customers WHERE phone IN ('7', ?) ORDER BY id";
    assert_eq!(prepared(&mut engineer, sql, ("07",)).await.cells(), rows(&[&["1"], &["3"]]));
    refused_prepared(&mut engineer, sql, (7,), 1235, "42000").await;
    refused(&mut engineer, "SELECT id FROM customers WHERE phone = 7", 1143, "42000").await;
    refused(&mut engineer, "SELECT id FROM customers WHERE phone IN ('7', 7)", 1143, "42000").await;
}

/// A shop whose accesses are recorded, strictly.
async fn recorded(kind: Kind, archive: &Archive, per_minute: u32) -> Shop<'static> {
    let section = archive.section("strict");
    let shop = Shop::open_with(Deployment::shared(kind), |database| granting(database, per_minute), Tls::Off, &section);
    fill(&shop).await;
    shop
}

/// The engineer's connection by hand.
fn by_hand(shop: &Shop<'_>) -> Raw {
    let login = Login { user: &shop.account(Who::Engineer), password: SECRET, ..Login::default() };
    let mut raw = Raw::open(shop.proxy.port, &login);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    raw
}

/// Outcome, rows, and what is told of the telephone numbers, of all records.
fn told(archive: &Archive, shop: &Shop<'_>) -> Vec<Value> {
    let phone = format!("{}.customers.phone", shop.database);
    archive.accesses(&[]).iter().map(|one| json!([one["outcome"], one["rows"], one["columns"][&phone]])).collect()
}

async fn what_a_cursor_finds_is_recorded_when_it_is_fetched(kind: Kind) {
    let archive = Archive::open(kind);
    let shop = recorded(kind, &archive, 100).await;
    let mut raw = by_hand(&shop);
    for (columns, rows) in [("id", [1_u32, 1]), ("id, phone", [2, 0])] {
        let (id, _) = raw.prepare(&format!("SELECT {columns} FROM customers WHERE phone = '090-1111-2222'"));
        assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
        for count in rows.into_iter().filter(|count| *count > 0) {
            assert_eq!(error_code(&raw.statement(0x1c, id, &count.to_le_bytes())), 0);
        }
    }
    let searched = json!({ "opened": 0, "masked": 0, "searched": 1 });
    let found = |masked: u64| json!({ "opened": 0, "masked": masked });
    assert_eq!(
        told(&archive, &shop),
        [
            json!(["complete", 0, searched]),
            json!(["complete", 1, found(0)]),
            json!(["complete", 1, found(0)]),
            json!(["complete", 0, searched]),
            json!(["complete", 2, found(2)]),
        ]
    );
    assert_eq!(archive.verify().0, 0);
}

async fn a_search_that_is_broken_off_leaves_one_record(kind: Kind) {
    let archive = Archive::open(kind);
    let shop = recorded(kind, &archive, 100).await;
    let many: Vec<String> = (100..160).map(|id| format!("({id}, '090-1111-4444')")).collect();
    let sql = format!("INSERT INTO customers (id, phone) VALUES {}", many.join(", "));
    assert!(matches!(text(&mut shop.connect(Who::Application).await, sql).await, Answer::Done { .. }));
    // More than what lies between the two.
    let mut raw = by_hand(&shop);
    let sql = "SELECT phone, REPEAT('x', 1000000) FROM customers WHERE phone = '090-1111-4444'";
    raw.send(&[b"\x03", sql.as_bytes()].concat(), 0);
    // The number of columns, both of them, and a row.
    let first: Vec<usize> = (0..4).map(|_| raw.read().unwrap().1.len()).collect();
    assert!(first[0] == 1 && first[3] > 1_000_000, "{first:?}");
    // Before it came, it was recorded that rows do.
    let searched = json!({ "opened": 0, "masked": 0, "searched": 1 });
    assert_eq!(told(&archive, &shop), [json!(["begun", 0, searched])]);
    drop(raw);
    wait_until("the record is written", || archive.accesses(&[])[0]["outcome"] != "begun");
    // Whatever came after it stands before this one.
    text(&mut shop.connect(Who::Engineer).await, "SELECT id FROM customers WHERE phone = '090-1111-3333'").await;
    let told = told(&archive, &shop);
    let [broken, next] = told.as_slice() else { panic!("{told:?}") };
    let rows = broken[1].as_u64().unwrap();
    assert!((1..60).contains(&rows), "{broken}");
    assert_eq!(*broken, json!(["broken", rows, { "opened": 0, "masked": rows, "searched": 1 }]));
    assert_eq!(next[0], "complete");
}

async fn a_search_that_was_not_sent_is_not_counted(kind: Kind) {
    let archive = Archive::open(kind);
    let shop = recorded(kind, &archive, 2).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    let (sql, by_value) = (
        "SELECT id FROM customers WHERE phone = '090-1111-3333'",
        "SELECT id FROM customers WHERE phone = ? AND id > 0",
    );
    let (here, away) = (archive.file().replace("/accesses.log", ""), archive.file().replace("/records/", "/away-"));
    std::fs::rename(&here, &away).unwrap();
    // The first one was sent when it turned out that no record can be written.
    refused(&mut engineer, sql, 1105, "HY000").await;
    for _ in 0..3 {
        refused(&mut engineer, sql, 1105, "HY000").await;
        refused_prepared(&mut engineer, by_value, ("090-1111-3333",), 1105, "HY000").await;
    }
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(prepared(&mut engineer, by_value, ("090-1111-3333",)).await.cells(), rows(&[&["2"]]));
    refused(&mut engineer, sql, 1226, "42000").await;
    refused_prepared(&mut engineer, by_value, ("090-1111-3333",), 1226, "42000").await;
    let metrics = shop.proxy.probe("/metrics").1;
    assert!(metrics.contains("candado_searches_total 2"), "{metrics}");
    assert!(metrics.contains("candado_searches_refused_total 2"), "{metrics}");
}
