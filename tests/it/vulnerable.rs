//! An application with every kind of injection, in front of a server and in front of the proxy: its own tests pass through
//! the proxy as they do directly, attacks on it succeed directly and are refused by the proxy.
//!
//! `CANDADO_SQLMAP=60 cargo test --test it vulnerable::` lets sqlmap attack it too, 60 seconds at most for each point and
//! set of tamper scripts: directly, where it must succeed, and through the proxy, where it must read nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::proxy::{Deployment, KEYSET, Proxy, Tls, text};
use crate::support::server::Kind;

const SECRET: &str = "application-password";

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
    let policy = policy(&guarded);
    for statement in deployment.missing_statements(&policy, Tls::Off) {
        deployment.server.sql(&format!("{statement};"));
    }
    let proxy = Proxy::start(deployment, &policy, Tls::Off);
    run(["functional", "guarded"], proxy.port, &guarded);
    if std::env::var_os("CANDADO_SQLMAP").is_some() {
        run(["sqlmap", "guarded"], proxy.port, &guarded);
        run(["sqlmap", "open"], port, &bare);
    }
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

fn policy(database: &str) -> String {
    format!(
        "keysets = [\"{KEYSET}\"]\n\
         [[column]]\nname = \"{database}.customers.phone\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(40)\"\n\
         index = {{ normaliser = \"e164\", region = \"ES\" }}\n\
         [[column]]\nname = \"{database}.customers.address\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(255)\"\n\
         [role.application]\naccess = \"plain\"\n[[account]]\nuser = \"{database}\"\nrole = \"application\"\n"
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
