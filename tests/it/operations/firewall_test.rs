//! `candado firewall test`: what it says of statements off line is what the proxy does with them, and no value is in it.

use std::io::Write;
use std::process::{Output, Stdio};

use candado::firewall::rules;
use serde_json::{Value, json};

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, text};
use crate::support::server::Kind;
use crate::support::shop::{Shop, Who, refused};

on_each_server!(
    what_it_says_is_what_happens,
    a_general_log_of_a_server_is_judged,
    what_is_far_from_what_was_learned_is_refused
);

fn firewall_test(kind: Kind, options: &[&str], input: &str) -> Output {
    let server = match kind {
        Kind::MySql => "mysql",
        Kind::MariaDb => "mariadb",
    };
    let mut command = Deployment::shared(kind).command("AKIAPROXY");
    command.args(["firewall", "test", "--json", "--server", server]).args(options);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn report(output: &Output) -> Value {
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn what_it_says_is_what_happens(kind: Kind) {
    let refuses: Vec<&str> = rules::ALL.iter().flat_map(|rule| rule.refuses).copied().collect();
    let passes: Vec<&str> = rules::ALL.iter().flat_map(|rule| rule.passes).copied().collect();
    // A comment to the end of the line would swallow the semicolon.
    let script = |statements: &[&str]| statements.iter().map(|sql| format!("{sql}\n;\n")).collect::<String>();
    let output = firewall_test(kind, &[], &script(&refuses));
    assert_eq!(output.status.code(), Some(1));
    let found = report(&output);
    assert_eq!(found["statements"], refuses.len());
    let counted: u64 = found["refused"].as_array().unwrap().iter().map(|hit| hit["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, u64::try_from(refuses.len()).unwrap(), "{found:#}");
    let output = firewall_test(kind, &[], &script(&passes));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    // The proxy in front of a server says the same, under the same digest.
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    for sql in
        ["SELECT id FROM orders WHERE remark = 'secret' OR 1 = 1", "SELECT id FROM orders WHERE id = 1 AND SLEEP(7)"]
    {
        let found = report(&firewall_test(kind, &[sql], ""));
        let hit = &found["refused"][0];
        assert!(!hit["text"].as_str().unwrap().contains("secret"), "{hit}");
        refused(&mut conn, sql, 6444, "28000").await;
        let events = shop.proxy.events();
        let event = events.iter().rfind(|event| event["target"] == "candado::firewall").unwrap();
        assert_eq!((&event["rule"], &event["digest"]), (&hit["rule"], &hit["digest"]));
    }
}

async fn a_general_log_of_a_server_is_judged(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("general.log");
    let option = format!("--general-log-file={}", log.display());
    let server = &Deployment::own(kind, &["--general-log=1", &option], Provider::File).server;
    server.sql("SELECT user FROM mysql.user\nWHERE user = 'secret'\nOR 'a' = 'a'");
    server.sql("SELECT user FROM mysql.user WHERE user = 'secret'");
    let file = log.display().to_string();
    let found = report(&firewall_test(kind, &["--general-log", "--file", &file], ""));
    let hits: Vec<&Value> = found["refused"].as_array().unwrap().iter().collect();
    assert!(matches!(hits.as_slice(), [hit] if hit["rule"] == "constant-operand"), "{found:#}");
    let found = report(&firewall_test(kind, &["--general-log", "--file", &file, "--learn", &file], ""));
    assert_eq!(found["refused"].as_array().map(Vec::len), Some(1), "{found:#}");
    assert_eq!((&found["profile"]["near"], &found["profile"]["far"]), (&json!(0), &json!(0)), "{found:#}");
    let wrong = firewall_test(kind, &["--general-log"], "SELECT 1;\n");
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("is it a general log?"));
}

async fn what_is_far_from_what_was_learned_is_refused(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.sql"), folder.path().join("second.sql"));
    std::fs::write(&first, "SELECT id FROM orders WHERE id = 1;\n").unwrap();
    std::fs::write(&second, "SELECT COUNT(*) FROM users WHERE name = 'x';\n").unwrap();
    let learn = ["--learn", first.to_str().unwrap(), "--learn", second.to_str().unwrap()];
    let honest = "SELECT id FROM orders WHERE id = 7; SELECT id FROM orders WHERE id = 7 LIMIT 3; ROLLBACK";
    let output = firewall_test(kind, &learn, honest);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let expected = json!({"learned": 2, "known": 2, "near": 1, "far": 0});
    assert_eq!(report(&output)["profile"], expected);
    let attack = "SELECT id FROM orders WHERE id = 2-1; SELECT id FROM orders WHERE id = ABS(1) AND name = 'secret'";
    let output = firewall_test(kind, &learn, attack);
    assert_eq!(output.status.code(), Some(1));
    let found = report(&output);
    assert_eq!(found["profile"], json!({"learned": 2, "known": 0, "near": 0, "far": 2}));
    let distances = [&found["refused"][0]["distance"], &found["refused"][1]["distance"]];
    assert_eq!(*distances[0], json!({"points": 10, "new": [{"part": "arithmetic", "points": 10}]}));
    assert_eq!(distances[1]["new"][0], json!({"part": "function:ABS", "points": 10}));
    assert!(!text(&output.stdout).contains("secret"));
    // Without a profile nothing speaks against them.
    assert_eq!(firewall_test(kind, &[], attack).status.code(), Some(0));
    let missing = folder.path().join("missing.sql");
    let output = firewall_test(kind, &["--learn", missing.to_str().unwrap()], honest);
    assert_eq!(output.status.code(), Some(64));
    std::fs::write(&missing, "").unwrap();
    let output = firewall_test(kind, &["--learn", missing.to_str().unwrap()], honest);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("there is no statement to learn"));
}
