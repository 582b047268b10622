//! An application with every kind of injection, in front of a server and in front of the proxy: its own tests pass through
//! the proxy as they do directly, attacks on it succeed directly and are refused by the proxy.
//!
//! Through the proxy once in mode `block`, and once in mode `protect` with a profile that was learned from its own tests.
//!
//! `CANDADO_SQLMAP=60 cargo test --test it vulnerable::` lets sqlmap attack it too, 60 seconds at most for each point and
//! set of tamper scripts: directly, where it must succeed, and through the proxy, where it must read nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::key_store::{PASSWORD, SECURITY};
use crate::support::proxy::{Deployment, KEYSET, Proxy, Tls, text, wait_until, write_secret};
use crate::support::server::Kind;

const SECRET: &str = "application-password";
/// Digests of what the application and its driver say in its own tests: all of them must be in the profile.
const HONEST: &str = "30";

#[test]
fn mysql() {
    attacked(Kind::MySql);
}

#[test]
fn mariadb() {
    attacked(Kind::MariaDb);
}

fn attacked(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let port = deployment.server.port;
    let bare = database(deployment);
    run(["functional", "open"], port, &bare);
    let guarded = database(deployment);
    for statement in deployment.missing_statements(&policy(&guarded, "block"), Tls::Off) {
        deployment.server.sql(&format!("{statement};"));
    }
    let blocking = Proxy::start(deployment, &policy(&guarded, "block"), Tls::Off);
    run(["functional", "guarded"], blocking.port, &guarded);
    learn(deployment, &guarded);
    let protecting = Proxy::start(deployment, &policy(&guarded, "protect"), Tls::Off);
    run(["functional", "guarded"], protecting.port, &guarded);
    if std::env::var_os("CANDADO_SQLMAP").is_some() {
        run(["sqlmap", "guarded"], blocking.port, &guarded);
        run(["sqlmap", "guarded"], protecting.port, &guarded);
        run(["sqlmap", "open"], port, &bare);
    }
}

/// Has the application's own tests make a profile, and freezes it.
fn learn(deployment: &Deployment, database: &str) {
    let policy = policy(database, "learn");
    let proxy = Proxy::start(deployment, &policy, Tls::Off);
    run(["functional", "honest"], proxy.port, database);
    let learned = format!(
        "SELECT COUNT(*) FROM candado.firewall_digest d JOIN candado.firewall_profile p USING (profile_id) \
         WHERE p.account = '{database}@%' AND p.database_name = '{database}'"
    );
    wait_until("all statements are in the profile", || deployment.server.sql(&learned).trim() == HONEST);
    let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
    let config = deployment.write(folder.path(), &policy, Tls::Off);
    let password = write_secret(&folder.path().join("security"), PASSWORD);
    let mut freeze = deployment.command("AKIASECURITY");
    freeze.args(["firewall", "freeze", &format!("{database}@%"), database, "--config"]).arg(config);
    let output = freeze.args(["--user", SECURITY, "--password-file"]).arg(password).output().expect("candado runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Tables and an account of the same name.
fn database(deployment: &Deployment) -> String {
    let database = deployment.server.database("vulnerable");
    deployment.server.sql(&format!(
        "USE `{database}`; \
         CREATE TABLE products (id INT PRIMARY KEY, name VARCHAR(100), category VARCHAR(100), price INT, stock INT); \
         CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(100), password VARCHAR(100), nickname VARCHAR(4000)); \
         CREATE TABLE comments (id INT AUTO_INCREMENT PRIMARY KEY, product INT, author VARCHAR(4000), text TEXT); \
         CREATE TABLE visitors (id INT PRIMARY KEY, name TEXT); \
         CREATE TABLE secrets (id INT PRIMARY KEY, token VARCHAR(100)); \
         CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40), address VARCHAR(255), \
         KEY by_phone (phone)) CHARACTER SET utf8mb4; \
         CREATE USER {database} IDENTIFIED BY '{SECRET}'; GRANT ALL ON `{database}`.* TO {database};"
    ));
    database
}

fn policy(database: &str, mode: &str) -> String {
    format!(
        "keysets = [\"{KEYSET}\"]\n\
         [[column]]\nname = \"{database}.customers.phone\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(40)\"\n\
         index = {{ normaliser = \"e164\", region = \"ES\" }}\n\
         [[column]]\nname = \"{database}.customers.address\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(255)\"\n\
         [role.application]\naccess = \"plain\"\n[[account]]\nuser = \"{database}\"\nrole = \"application\"\n\
         firewall = \"{mode}\"\n"
    )
}

fn run(arguments: [&str; 2], port: u16, database: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/vulnerable/run.sh");
    let output = Command::new(script)
        .args(arguments)
        .env("CANDADO_HOST", "127.0.0.1")
        .env("CANDADO_PORT", port.to_string())
        .env("CANDADO_USER", database)
        .env("CANDADO_PASSWORD", SECRET)
        .env("CANDADO_DATABASE", database)
        .stdin(Stdio::null())
        .output()
        .expect("the script runs");
    println!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?} failed");
}
