//! `candado explain`: what it says of each kind of statement is what the proxy does with it, and no value is in it.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, prepare, text};

on_each_server!(
    each_kind_of_statement_is_explained,
    an_account_is_judged_by_its_role,
    a_database_that_is_missing_is_told,
    what_it_says_is_what_happens
);

/// One statement of each kind. `secret` stands for values.
pub(super) const STATEMENTS: &str = "SELECT remark FROM orders WHERE remark = 'secret';
SELECT name, phone FROM customers WHERE name = 'secret';
SELECT id FROM customers c
WHERE c.phone = 'secret' AND email IN ('secret', ?) AND code <> 'secret';
INSERT INTO customers (name, note) VALUES ('secret', 'secret'), ('x', NULL);
SELECT id FROM customers ORDER BY phone;
SELECT 'secret' FROM orders WHERE id = 1 OR SLEEP(5);
SET NAMES gbk;
SELECT fax FROM customers;
";

pub(super) fn explain(deployment: &Deployment, config: &Path, options: &[&str], input: &str) -> Output {
    let mut command = deployment.command("AKIAPROXY");
    command.args(["explain", "--config"]).arg(config).args(options);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(super) fn said(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

async fn each_kind_of_statement_is_explained(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let database = prepare(deployment);
    let folder = tempfile::tempdir().unwrap();
    let config = deployment.write(folder.path(), &policy(&database), Tls::On);
    let file = folder.path().join("statements.sql");
    std::fs::write(&file, STATEMENTS).unwrap();
    let by_file =
        explain(deployment, &config, &["--json", "--database", &database, "--file", &file.display().to_string()], "");
    assert_eq!(by_file.status.code(), Some(1), "{}", said(&by_file.stderr));
    let by_stdin = explain(deployment, &config, &["--json"], &format!("USE {database};{STATEMENTS}"));
    let documents = [&by_file, &by_stdin].map(|output| {
        assert!(!said(&output.stdout).contains("secret"), "{}", said(&output.stdout));
        serde_json::from_str::<Value>(said(&output.stdout)).unwrap()["statements"].as_array().unwrap().clone()
    });
    assert_eq!(documents[0], documents[1][1..], "from a file and from standard input");
    let column = |name: &str| format!("{database}.customers.{name}");
    let rewritten = "SELECT id FROM customers c WHERE (c.phone >= <tag> AND c.phone < <tag+1>) AND \
                     ((email >= <tag> AND email < <tag+1>) OR (email >= <tag> AND email < <tag+1>)) AND \
                     (NOT (code >= <tag> AND code < <tag+1>))";
    let refused = |line: usize, code: u16| {
        let found = documents[0].iter().find(|found| found["line"] == line).unwrap();
        assert_eq!((&found["verdict"], &found["error"]["code"]), (&json!("refused"), &json!(code)), "{found:#}");
        found["error"]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        documents[0][..4],
        [
            json!({ "line": 1, "verdict": "relayed", "text": "SELECT remark FROM orders WHERE remark = ?" }),
            json!({ "line": 2, "verdict": "relayed", "text": "SELECT name, phone FROM customers WHERE name = ?",
                "opens": [column("phone")] }),
            json!({ "line": 3, "verdict": "rewritten", "text": rewritten,
                "index": [column("phone"), column("email"), column("code")] }),
            json!({ "line": 5, "verdict": "rewritten",
                "text": "INSERT INTO customers (name, note) VALUES (?, <sealed>), (?, NULL)", "seals": [column("note")] }),
        ]
    );
    assert!(refused(6, 1235).starts_with("ORDER BY is not supported for protected column "));
    assert!(refused(7, 6444).ends_with("(firewall rule delay)"));
    assert!(refused(8, 6444).ends_with("(firewall rule charset)"));
    assert!(refused(9, 1235).starts_with("column fax is unknown or ambiguous"));
    let fine = explain(deployment, &config, &["--database", &database, "SELECT phone FROM customers"], "");
    let expected =
        format!("line 1     relayed    SELECT phone FROM customers\n           opens      {}\n", column("phone"));
    assert_eq!((fine.status.code(), said(&fine.stdout)), (Some(0), expected.as_str()));
}

async fn an_account_is_judged_by_its_role(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let database = prepare(deployment);
    let folder = tempfile::tempdir().unwrap();
    let config = deployment.write(folder.path(), &policy(&database), Tls::On);
    for (account, code, words) in [
        (format!("{database}_app"), 0, "opens"),
        (format!("{database}_eng@10.0.0.%"), 1, "REFUSED    1143 (42000): SELECT command denied to user "),
        ("nobody".to_owned(), 1, "REFUSED    1143 (42000): SELECT command denied to user 'nobody'@'%'"),
    ] {
        let sql = format!("SELECT phone FROM {database}.customers");
        let output = explain(deployment, &config, &["--account", &account, &sql], "");
        assert_eq!(output.status.code(), Some(code), "{account}");
        assert!(said(&output.stdout).contains(words), "{account}: {}", said(&output.stdout));
    }
    let lost = explain(deployment, &config, &["--file", "nowhere.sql"], "");
    assert_eq!(lost.status.code(), Some(64));
    assert!(said(&lost.stderr).contains("cannot open nowhere.sql"), "{}", said(&lost.stderr));
}

/// Statements pass where nothing of what they name is known: that must not look as if all were well.
async fn a_database_that_is_missing_is_told(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let database = prepare(deployment);
    let folder = tempfile::tempdir().unwrap();
    let config = deployment.write(folder.path(), &policy(&database), Tls::On);
    let sql = "SELECT phone FROM customers";
    let told = |options: &[&str]| {
        let output = explain(deployment, &config, options, "");
        (output.status.code(), said(&output.stderr).to_owned())
    };
    let (code, wrong) = told(&["--database", "shoop", sql]);
    assert_eq!(code, Some(64));
    let expected = "candado: error: --database: no table of database shoop is visible: it does not exist, is empty, or the \
                    control account may not see it\n";
    assert_eq!(wrong, expected);
    let (code, used) = told(&[&format!("USE shoop; {sql}")]);
    assert!(code == Some(1) && used.starts_with("candado: USE: no table of database shoop is visible: "), "{used}");
    let (code, none) = told(&[sql]);
    assert_eq!(code, Some(1));
    assert_eq!(none, "candado: no default database: name it with --database, or with USE among the statements\n");
    assert_eq!(told(&["--database", &database, sql]), (Some(0), String::new()));
    assert_eq!(told(&[&format!("USE {database}; {sql}")]), (Some(0), String::new()));
}

async fn what_it_says_is_what_happens(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    let folder = tempfile::tempdir().unwrap();
    let config = shop.deployment.write(folder.path(), &policy(&shop.database), Tls::On);
    for sql in STATEMENTS.split(";\n").filter(|sql| !sql.trim().is_empty()) {
        let sql = sql.replace('?', "'x'");
        let output = explain(shop.deployment, &config, &["--json", "--database", &shop.database, &sql], "");
        let document: Value = serde_json::from_str(said(&output.stdout)).unwrap();
        let expected = document["statements"][0]["error"]["code"].as_u64();
        let happened = match text(&mut conn, &sql).await {
            Answer::Refused { code, .. } => Some(u64::from(code)),
            Answer::Rows { .. } | Answer::Done { .. } | Answer::Lost => None,
        };
        assert_eq!(expected, happened, "{sql}");
    }
}
