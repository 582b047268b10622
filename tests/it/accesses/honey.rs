//! Honey: who is shown bait raises an alarm and notices nothing, or is refused where policy says so; who is shown what
//! stands beside it raises none and is not refused.

use std::fs;

use candado::wire::Capabilities;
use serde_json::{Value, json};

use super::{Archive, ended_by, reload};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, wait_until};
use crate::support::raw::{Login, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, policy, prepared, refused, refused_prepared, text};

on_each_server!(
    who_is_shown_bait_raises_an_alarm_and_notices_nothing,
    a_result_with_bait_is_refused_where_policy_says_so,
);

/// What stands in no log, event or record.
const BAIT: &str = "090-7777-1234";

/// The application sees values, the engineer masks; codes are sorted by the proxy.
fn masking(database: &str) -> String {
    let masked = policy(database)
        .replacen("[role.engineer]\naccess = \"deny\"\n", "[role.engineer]\naccess = \"masked\"\n", 1)
        .replace("type = \"varchar(30)\"\n", "type = \"varchar(30)\"\nsort = \"proxy\"\ncollation = \"utf8mb4_bin\"\n");
    ["varchar(40)", "varchar(190)", "varchar(30)", "varchar(255)", "text"].iter().fold(masked, |policy, kind| {
        let kind = format!("type = \"{kind}\"\n");
        policy.replacen(&kind, &format!("{kind}mask = {{ kind = \"last\", shown = 2 }}\n"), 1)
    })
}

/// Lines that the events' file has.
fn sightings(archive: &Archive) -> Vec<Value> {
    let written = fs::read_to_string(archive.path("events.jsonl")).unwrap_or_default();
    // The last line may be under way.
    let whole = written.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn who_is_shown_bait_raises_an_alarm_and_notices_nothing(kind: Kind) {
    let archive = Archive::open(kind);
    let events = format!("[events]\nfile = {{ path = \"{}\" }}\n", archive.path("events.jsonl"));
    let shop = Shop::open_with_limits(Deployment::shared(kind), &format!("{}{events}", archive.section("strict")));
    reload(&shop, &masking(&shop.database));
    let mut conn = shop.connect(Who::Application).await;
    let sql = format!(
        "INSERT INTO customers (id, name, phone, code, note) VALUES (1, 'Ana', '090-1111-2222', 'b', NULL), \
         (2, 'Ben', '{BAIT}', 'a', NULL), (3, 'Eve', NULL, 'c', 'a diary')"
    );
    assert!(matches!(text(&mut conn, sql).await, Answer::Done { .. }));
    let mut engineer = shop.connect(Who::Engineer).await;
    let asked = [
        "SELECT phone FROM customers WHERE id = 2",
        "SELECT phone FROM customers WHERE name = 'Ben'",
        "SELECT name, phone, phone FROM customers WHERE id < 3 ORDER BY id",
    ];
    let sorted = "SELECT phone FROM customers WHERE id < 3 ORDER BY code";
    let note = "SELECT note FROM customers WHERE note IS NOT NULL";
    let mut before = Vec::new();
    for sql in asked {
        before.push((text(&mut conn, sql).await, prepared(&mut conn, sql, ()).await, text(&mut engineer, sql).await));
    }
    let unnoticed = (text(&mut conn, sorted).await, text(&mut conn, note).await);
    assert_eq!(unnoticed.0.cells()[0][0].as_deref(), Some(BAIT), "{unnoticed:?}");

    // The tag is that of the blind index, as `candado inspect` shows it.
    let tag = inspected(&shop, &shop.stored("phone", 2));
    let honey = format!(
        "[[honey]]\ncolumn = \"{0}.customers.phone\"\ntags = [\"{tag}\"]\n[[honey]]\ncolumn = \"{0}.customers.note\"\n",
        shop.database
    );
    reload(&shop, &format!("{}{honey}", masking(&shop.database)));
    let shown = || shop.proxy.metric("honey_shown_total");
    for neighbour in [
        "SELECT phone FROM customers WHERE id = 1",
        "SELECT phone, note FROM customers WHERE id = 3 AND note IS NULL",
        "SELECT phone, note FROM customers WHERE id IN (1, 4)",
        "SELECT id FROM customers WHERE id = 2",
        "SELECT COUNT(phone) FROM customers",
    ] {
        assert!(matches!(text(&mut conn, neighbour).await, Answer::Rows { .. }), "{neighbour}");
        assert!(shown() < 1.0, "{neighbour}");
    }

    let mut raised = 0.0;
    for (sql, before) in asked.iter().zip(before) {
        let after = (text(&mut conn, sql).await, prepared(&mut conn, sql, ()).await, text(&mut engineer, sql).await);
        assert_eq!(after, before, "{sql}");
        raised += 3.0;
        assert!((shown() - raised).abs() < 0.5, "{sql}: {}", shown());
    }
    assert_eq!((text(&mut conn, sorted).await, text(&mut conn, note).await), unnoticed);
    raised += 2.0;
    let login = Login { user: &shop.account(Who::Engineer), password: SECRET, ..Login::default() };
    let mut raw = Raw::open(shop.proxy.port, &login);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    let (id, _) = raw.prepare(asked[0]);
    assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
    assert!((shown() - raised).abs() < 0.5, "a cursor that nothing was fetched from: {}", shown());
    raw.statement(0x1c, id, &5_u32.to_le_bytes());
    raised += 1.0;
    assert!((shown() - raised).abs() < 0.5, "{}", shown());

    wait_until("all sightings are in the file", || sightings(&archive).len() == 12);
    let seen = sightings(&archive);
    let (one, last) = (&seen[0], &seen[10]);
    let account = format!("{}@%", shop.account(Who::Application));
    assert_eq!(
        (&one["class"], &one["outcome"], &one["account"], &one["columns"]),
        (&json!("honey"), &json!("shown"), &json!(account), &json!([format!("{}.customers.phone", shop.database)]))
    );
    assert_eq!(last["columns"], json!([format!("{}.customers.note", shop.database)]));
    let found = archive.accesses(&["--digest", one["digest"].as_str().unwrap()]);
    let phone = |access: &Value| access["columns"][format!("{}.customers.phone", shop.database)].clone();
    assert_eq!(phone(&found[0]), json!({ "opened": 1, "masked": 0 }), "before it was honey");
    assert_eq!(phone(found.last().unwrap()), json!({ "opened": 0, "masked": 1, "honey": 1 }), "the cursor");
    assert_eq!(archive.verify().0, 0);
    let logged = shop.proxy.wait_logged("honey was shown", 12);
    assert_eq!((&logged["alarm"], &logged["role"]), (&json!(true), &json!("engineer")));
    let record = fs::read_to_string(archive.file()).unwrap();
    let events = fs::read_to_string(archive.path("events.jsonl")).unwrap();
    for (place, text) in [("record", record), ("events", events), ("log", shop.proxy.log())] {
        assert!(!text.contains(BAIT) && !text.contains("9077771234") && !text.contains("diary"), "{place}");
        assert!(!text.contains(&tag), "{place}");
    }
}

async fn a_result_with_bait_is_refused_where_policy_says_so(kind: Kind) {
    let archive = Archive::open(kind);
    let events = format!("[events]\nfile = {{ path = \"{}\" }}\n", archive.path("events.jsonl"));
    let shop = Shop::open_with_limits(Deployment::shared(kind), &format!("{}{events}", archive.section("strict")));
    let procedure = "CREATE PROCEDURE two () BEGIN SELECT phone FROM customers WHERE id = 1; \
                     SELECT phone FROM customers WHERE id = 9000; END";
    assert!(matches!(text(&mut shop.direct().await, procedure).await, Answer::Done { .. }));
    let phone = format!("{}.customers.phone", shop.database);
    let routine = format!("[[routine]]\nname = \"{}.two\"\nresults = [[\"{phone}\"], [\"{phone}\"]]\n", shop.database);
    let policy = format!("{}{routine}", masking(&shop.database));
    reload(&shop, &policy);
    let mut conn = shop.connect(Who::Application).await;
    let many: Vec<String> = (10..700).map(|id| format!("({id}, NULL, NULL, '{}')", "x".repeat(150))).collect();
    let sql = format!(
        "INSERT INTO customers (id, phone, code, note) VALUES (1, '090-1111-2222', 'b', NULL), \
         (2, '090-1111-3333', 'c', NULL), (9000, '{BAIT}', 'a', NULL), {}",
        many.join(", ")
    );
    assert!(matches!(text(&mut conn, sql).await, Answer::Done { .. }));
    let mut engineer = shop.connect(Who::Engineer).await;
    let (long, sorted) =
        ("SELECT id, note, phone FROM customers ORDER BY id", "SELECT phone FROM customers ORDER BY code");
    let with_bait = ["SELECT phone FROM customers WHERE id IN (1, 9000) ORDER BY id", sorted];
    let beside =
        ["SELECT phone FROM customers WHERE id IN (1, 2) ORDER BY id", "SELECT id FROM customers WHERE id = 9000"];
    for sql in with_bait.iter().chain(&beside).chain([&long, &"CALL two()"]) {
        assert!(matches!(text(&mut conn, sql).await, Answer::Rows { .. }), "{sql}");
        assert!(matches!(prepared(&mut conn, sql, ()).await, Answer::Rows { .. }), "{sql}");
    }

    let tag = inspected(&shop, &shop.stored("phone", 9000));
    let honey = format!("[[honey]]\ncolumn = \"{phone}\"\ntags = [\"{tag}\"]\nreaction = \"refuse\"\n");
    reload(&shop, &format!("{policy}{honey}"));
    let told = ended_by(&mut conn, with_bait[0]).await;
    assert_eq!((told.0, told.1), (0, 6444), "nothing of it goes out: {told:?}");
    assert!(told.2.starts_with("Access denied: statement refused by policy (ref "), "{told:?}");
    for sql in with_bait {
        refused(&mut conn, sql, 6444, "28000").await;
        refused_prepared(&mut conn, sql, (), 6444, "28000").await;
    }
    refused(&mut engineer, with_bait[0], 6444, "28000").await;
    for sql in beside {
        assert!(matches!(text(&mut conn, sql).await, Answer::Rows { .. }), "{sql}");
        assert!(matches!(prepared(&mut conn, sql, ()).await, Answer::Rows { .. }), "{sql}");
    }
    // What is on its way already stays on it.
    let told = ended_by(&mut conn, long).await;
    assert!((1..=692).contains(&told.0) && told.1 == 6444, "{told:?}");
    assert_eq!(text(&mut conn, beside[0]).await.cells().len(), 2, "in step");
    let capabilities = Login::default().capabilities | Capabilities::MULTI_RESULTS | Capabilities::PS_MULTI_RESULTS;
    let user = shop.account(Who::Application);
    let login = Login { user: &user, password: SECRET, capabilities, ..Login::default() };
    let mut raw = Raw::open(shop.proxy.port, &login);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    // The first result may have gone out.
    let (id, _) = raw.prepare("CALL two()");
    for answer in [raw.query("CALL two()"), raw.statement(0x17, id, b"\0\x01\0\0\0")] {
        let shows = |value: &[u8]| answer.iter().filter(|packet| packet.1.ends_with(value)).count();
        assert!(
            error_code(&answer) == 6444 && shows(BAIT.as_bytes()) == 0 && shows(b"090-1111-2222") < 2,
            "{answer:?}"
        );
    }
    let (id, _) = raw.prepare(with_bait[0]);
    assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
    let first = raw.statement(0x1c, id, &1_u32.to_le_bytes());
    assert!(error_code(&first) == 0 && first[0].1.ends_with(b"090-1111-2222"), "{first:?}");
    let next = raw.statement(0x1c, id, &5_u32.to_le_bytes());
    assert_eq!((next.len(), error_code(&next)), (1, 6444), "{next:?}");
    assert_eq!(error_code(&raw.query(beside[0])), 0);

    wait_until("all sightings are in the file", || sightings(&archive).len() == 10);
    for seen in sightings(&archive) {
        let told = (&seen["class"], &seen["outcome"], &seen["columns"]);
        assert_eq!(told, (&json!("honey"), &json!("refused"), &json!([phone])));
    }
    assert!((shop.proxy.metric("honey_shown_total") - 10.0).abs() < 0.5);
    let logged = shop.proxy.wait_logged("honey was asked for, and its result refused", 10);
    assert_eq!((&logged["alarm"], &logged["outcome"]), (&json!(true), &json!("refused")));
    let recorded = archive.accesses(&[]);
    assert!(recorded.iter().any(|one| one["outcome"] == "refused"), "what was shown before it: {recorded:?}");
    assert!(recorded.iter().all(|one| one["columns"][&phone]["honey"].is_null()), "{recorded:?}");
    assert_eq!(archive.verify().0, 0);
    assert!(!shop.proxy.log().contains(&tag) && !shop.proxy.log().contains(BAIT));
}

/// The blind index of a stored value.
fn inspected(shop: &Shop<'_>, stored: &str) -> String {
    let output = shop.deployment.command("AKIAPROXY").args(["inspect", stored, "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["index"].as_str().unwrap().to_owned()
}
