use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::hub::TEXT_OCTETS_MAX;
use super::sampler::{Admission, Sampler};
use super::*;
use crate::firewall::{CatalogNames, Vocabulary, outline};
use crate::policy::{Account, FirewallMode};
use crate::schema::{Catalog, Charset, Column, ServerKind, ServerVersion, Table, TableKind, TableRef};
use crate::sql::{self, Dialect, ReservedWords, SqlMode};

const SERVER: ServerVersion = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
const DIALECT: Dialect = Dialect { mode: SqlMode::empty(), charset: Charset::Utf8mb4, server: SERVER };

fn catalog() -> Catalog {
    let column = |name: &str| Column {
        name: name.into(),
        data_type: "varchar".into(),
        column_type: "varchar(40)".into(),
        octets_max: Some(160),
        charset: None,
        collation: None,
        nullable: true,
        extra: "".into(),
    };
    let table = Table {
        name: TableRef::new("shop", "Customers"),
        kind: TableKind::Base,
        columns: vec![column("id"), column("phone")],
        definition: Some("".into()),
    };
    Catalog::new(1, SERVER, 0, HashSet::new(), vec![table], Vec::new())
}

fn account(user: &str) -> Account {
    Account { user: user.into(), host: "%".into() }
}

fn shown(statement: &str) -> String {
    let mut tokens = Vec::new();
    sql::lex(statement.as_bytes(), &DIALECT, &mut tokens).unwrap();
    let reserved = ReservedWords::Default(ServerKind::MySql);
    let vocabulary = Vocabulary { names: &CatalogNames::collect(&catalog()), reserved: &reserved };
    outline(statement.as_bytes(), &tokens, vocabulary, TEXT_OCTETS_MAX)
}

#[test]
fn a_text_holds_no_value_and_no_unknown_name() {
    for (statement, expected) in [
        (
            "SELECT  phone FROM shop.customers AS c WHERE id = 4711 AND phone = 'x' -- secret",
            "SELECT phone FROM shop.customers AS <id> WHERE id = ? AND phone = ?",
        ),
        ("SELECT PHONE FROM `customers` WHERE id = secret", "SELECT PHONE FROM customers WHERE id = <id>"),
        ("SELECT `se``cret`, secret.id, 1secret FROM customers", "SELECT <id>, <id>.id, <id> FROM customers"),
        ("SELECT @secret, @@version, @@secret, @'se cret'", "SELECT @<id>, @@version, @@<id>, @<id>"),
        ("SELECT x'53', 0x53, b'1', N'secret', _latin1 'secret', 1.5, 1e3, ?", "SELECT ?, ?, ?, ?, _latin1 ?, ?, ?, ?"),
        (
            "SELECT id FROM customers UNION SELECT table_name FROM information_schema.tables WHERE SLEEP(5) OR secret(1)",
            "SELECT id FROM customers UNION SELECT table_name FROM information_schema.tables WHERE SLEEP(?) OR <id>(?)",
        ),
        ("SELECT /*!50000 secret */ 'a' 'b'", "SELECT <id> ? ?"),
    ] {
        assert_eq!(shown(statement), expected, "{statement}");
    }
}

#[test]
fn a_long_text_is_cut() {
    let list = vec!["4711"; 20_000].join(", ");
    let text = shown(&format!("SELECT id FROM customers WHERE id IN ({list})"));
    assert!(text.len() < 5_000 && text.ends_with(" ..."), "{}", text.len());
}

#[test]
fn a_flood_hides_nobody_else() {
    let start = Instant::now();
    let mut sampler = Sampler::new(10, start);
    let here: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let elsewhere: SocketAddr = "192.0.2.2:1".parse().unwrap();
    let flood = account("flood");
    let mut admit = |account: &Account, client: SocketAddr, rule, now| sampler.admit(account, client.ip(), rule, now);
    let events = (0..1_000).filter(|_| admit(&flood, here, "delay", start) != Admission::Suppressed).count();
    assert_eq!(events, 100, "ten seconds' worth at once");
    let event = Admission::Event { suppressed: 0 };
    assert_eq!(admit(&flood, elsewhere, "delay", start), event);
    assert_eq!(admit(&flood, here, "stacked", start), event);
    assert_eq!(admit(&account("other"), here, "delay", start), event);
    // The next one speaks for those that were left out.
    let later = start + Duration::from_secs(1);
    assert_eq!(admit(&flood, here, "delay", later), Admission::Event { suppressed: 900 });
}

#[test]
fn sources_without_number_share_what_is_left() {
    let start = Instant::now();
    let mut sampler = Sampler::new(10, start);
    let events = (0_u32..100_000)
        .filter(|number| {
            let address = std::net::Ipv4Addr::from(*number).into();
            sampler.admit(&account("app"), address, "delay", start) != Admission::Suppressed
        })
        .count();
    assert_eq!(events, 2_000, "all together have twenty times the share of one");
    // Those that are silent make room.
    let later = start + Duration::from_secs(60);
    let admission = sampler.admit(&account("new"), std::net::Ipv4Addr::LOCALHOST.into(), "delay", later);
    assert_eq!(admission, Admission::Event { suppressed: 0 });
}

#[test]
fn times_are_written_and_read() {
    for (micros, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (1_795_699_205_000_123, "2026-11-26T13:20:05.000123Z"),
        (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
    ] {
        let time = Duration::from_micros(micros);
        assert_eq!(rfc3339(time), expected);
        assert_eq!(time::parse(expected), Some(time));
    }
    assert_eq!(time::parse("yesterday"), None);
}

fn events() -> Events {
    Events::new(&Settings { log: LogSink::Off, ..Settings::default() }).unwrap().0
}

/// Everything that [`Events::take`] makes of one statement.
fn made(statement: &str, rule: &'static str) -> Event {
    let (catalog, account) = (catalog(), account("app"));
    let hit = Hit {
        rule,
        outcome: Outcome::Refused,
        mode: FirewallMode::Block,
        sql: statement.as_bytes(),
        dialect: DIALECT,
        database: Some("shop"),
        account: &account,
        client: "[2001:db8::1]:4711".parse().unwrap(),
        connection: 18,
        statement: 42,
        catalog: &catalog,
    };
    events().event(&hit, 7)
}

#[test]
fn an_event_tells_all_rules_and_their_score() {
    let event = made("SELECT id FROM customers WHERE id = 1 OR 1 = 1 OR SLEEP(5) -- secret", "delay");
    assert!(event.id.ends_with("-18:42"), "{}", event.id);
    assert_eq!((event.rules.join(" ").as_str(), event.score), ("delay constant-operand open-end", 24));
    assert_eq!((event.account.as_str(), event.client.as_str()), ("app@%", "[2001:db8::1]:4711"));
    assert_eq!(event.text.as_deref(), Some("SELECT id FROM customers WHERE id = ? OR ? = ? OR SLEEP(?)"));
    let unreadable = made("SELECT 'secret", "parse");
    assert_eq!((unreadable.digest, unreadable.text, unreadable.score), (None, None, 10));
}

#[test]
fn a_line_is_read_back() {
    let written = made("SELECT id FROM customers WHERE id = 1 OR 1 = 1", "constant-operand");
    let mut line = Vec::new();
    written.line(&mut line);
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(serde_json::from_slice::<Event>(&line).unwrap(), written);
}

#[test]
fn a_syslog_message_keeps_its_form() {
    let mut event = made("SELECT `a` FROM customers WHERE id = 1 OR 1 = 1", "constant-operand");
    event.account = "a\"b]c\\d@%\nx".to_owned();
    let message = sink::syslog_message(&event, &SyslogHead::on("host name", 10));
    assert!(message.starts_with(&format!("<84>1 {} hostname candado ", event.at)), "{message}");
    assert!(message.contains(r#" account="a\"b\]c\\d@% x" client="[2001:db8::1\]:4711" database="shop""#), "{message}");
    assert!(message.ends_with("\"] statement refused by rule constant-operand"), "{message}");
    event.text = Some("é]".repeat(10_000));
    let long = sink::syslog_message(&event, &SyslogHead::on("h", 10));
    assert!(long.len() < 8_192 && long.contains("...\"] statement"), "{}", long.len());
}

#[test]
fn a_finding_has_what_its_class_demands() {
    let event = made("SELECT id FROM customers WHERE id = 1 OR 1 = 1", "constant-operand");
    let finding = finding(&event);
    for attribute in ["activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid", "metadata"] {
        assert!(!finding[attribute].is_null(), "{attribute}");
    }
    assert_eq!(finding["type_uid"], 200_401);
    assert_eq!(finding["finding_info"]["uid"], event.id);
    let evidence = &finding["evidences"][0];
    assert_eq!(evidence["src_endpoint"], serde_json::json!({ "ip": "2001:db8::1", "port": 4711 }));
    assert_eq!(evidence["actor"]["user"], serde_json::json!({ "name": "app", "domain": "%" }));
    assert_eq!(finding["time"].as_u64().unwrap() / 1000, time::parse(&event.at).unwrap().as_secs());
}

/// What all sinks get of whatever is done to events.
fn sent(done: impl FnOnce(&Events)) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let file = FileSettings { path: path.clone(), octets_max: 1 << 20, files_max: 1 };
    let (events, workers) = Events::new(&Settings { file: Some(file), ..Settings::default() }).unwrap();
    done(&events);
    drop(events);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for worker in workers {
        runtime.block_on(worker.run(tokio_util::sync::CancellationToken::new()));
    }
    let written = std::fs::read_to_string(path).unwrap();
    written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_of_all_classes_have_ids_of_one_form() {
    let ana = account("ana");
    let events = sent(|events| {
        let client = "192.0.2.1:1".parse().unwrap();
        let alarm = |rule, outcome, limit| {
            let account = &ana;
            Alarm { rule, outcome, limit, account, client, connection: 18, statement: 42 }
        };
        events.raise(&alarm("budget-near", Outcome::Observed, Some("cells_per_minute")));
        events.raise(&alarm("budget-near", Outcome::Observed, Some("cells_per_day")));
        events.raise(&alarm("budget-spent", Outcome::Unanswered, None));
        events.announce("elevation-begun", Outcome::Observed, &ana);
        events.announce("elevation-over", Outcome::Observed, &ana);
    });
    let run = events[0].id.split('-').next().unwrap();
    let told = events.iter().map(|event| {
        (event.id.strip_prefix(run).unwrap(), event.rules.join(" "), event.outcome.name(), event.client.as_str())
    });
    let expected = [
        ("-18:42", "budget-near", "observed", "192.0.2.1:1"),
        ("-18:42", "budget-near", "observed", "192.0.2.1:1"),
        ("-18:42", "budget-spent", "unanswered", "192.0.2.1:1"),
        ("-0:1", "elevation-begun", "observed", "-"),
        ("-0:2", "elevation-over", "observed", "-"),
    ];
    assert!(told.eq(expected.map(|(id, rule, outcome, client)| (id, rule.to_owned(), outcome, client))), "{events:#?}");
    let findings: Vec<_> = events.iter().map(finding).collect();
    let uids: HashSet<_> = findings.iter().map(|finding| finding["metadata"]["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), events.len(), "each one has a name of its own where it must");
    let uid = format!("{run}-18:42:budget-near:observed:cells_per_day");
    assert_eq!((&findings[1]["metadata"]["uid"], &findings[2]["action"]), (&uid.into(), &"Denied".into()));
    assert_eq!(findings[3]["evidences"][0]["src_endpoint"], serde_json::Value::Null);
}

#[test]
fn a_sighting_is_an_event_of_its_own_class() {
    let account = account("app");
    let sighting = Sighting {
        columns: vec!["shop.customers.phone".to_owned(), "shop.customers.note".to_owned()],
        outcome: Outcome::Shown,
        mode: FirewallMode::Block,
        role: "support",
        account: &account,
        client: "192.0.2.7:4711".parse().unwrap(),
        database: Some("shop"),
        digest: Some([0xab; 32]),
        connection: 18,
        statement: 42,
    };
    let events = events();
    events.sighted(&sighting);
    assert_eq!((events.counters().sighted(), events.counters().rules()), (1, vec![]));
    let event = events.of_sighting(&sighting, 0);
    let mut line = Vec::new();
    event.line(&mut line);
    assert_eq!(serde_json::from_slice::<Event>(&line).unwrap(), event);
    assert_eq!((event.class, event.outcome, event.text.as_deref()), (Class::Honey, Outcome::Shown, None));
    let message = sink::syslog_message(&event, &SyslogHead::on("host", 10));
    assert!(message.starts_with("<81>1 ") && message.contains(" honey [honey@32473 id="), "{message}");
    assert!(message.contains(" columns=\"shop.customers.phone,shop.customers.note\"] honey of shop."), "{message}");
    let finding = finding(&event);
    assert_eq!((&finding["severity"], &finding["finding_info"]["title"]), (&"High".into(), &"Honey".into()));
    assert_eq!(finding["unmapped"]["columns"][1], "shop.customers.note");
    // Whether the client got the result or not, it is as grave; one of a statement's may be shown and another refused.
    let shown = finding["metadata"]["uid"].clone();
    let event = Event { outcome: Outcome::Refused, ..event };
    assert_ne!(super::finding(&event)["metadata"]["uid"], shown);
    let message = sink::syslog_message(&event, &SyslogHead::on("host", 10));
    assert!(message.starts_with("<81>1 ") && message.ends_with("shop.customers.note refused"), "{message}");
    let finding = super::finding(&event);
    assert_eq!((&finding["severity"], &finding["action"]), (&"High".into(), &"Denied".into()));
}

#[test]
fn an_address_of_a_collector_is_encrypted_or_local() {
    let with = |url: &str| {
        let http = HttpSettings { url: url.to_owned(), ca_file: None, token: None, batch_max: 1 };
        Events::new(&Settings { http: Some(http), ..Settings::default() }).map(|_| ())
    };
    for url in ["http://127.0.0.1:8088/ocsf", "http://localhost/", "http://[::1]:1"] {
        assert!(with(url).is_ok(), "{url}");
    }
    for url in ["http://siem.internal/", "https://siem.internal/", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "x"] {
        assert!(with(url).is_err(), "{url}");
    }
}
