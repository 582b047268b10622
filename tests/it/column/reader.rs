//! Cells that the engine sealed, opened by a program that shares no line with it.

use std::path::Path;
use std::process::Command;

use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(an_independent_reader_finds_the_plaintext);

async fn an_independent_reader_finds_the_plaintext(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 500);
    let before = bench.sql("SELECT JSON_ARRAY(id, phone, address) FROM customers ORDER BY id");
    bench.run("encrypt", &["--ddl", "run"]).ok();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/read.sh");
    let output = Command::new(script)
        .args(["--port", &bench.deployment.server.port.to_string(), "--key-file"])
        .arg(bench.deployment.key_file())
        .args(["--table", &format!("{}.customers", bench.database), "--columns", "phone", "address"])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    let read: Vec<serde_json::Value> = serde_json::from_str(&text(output.stdout)).unwrap();
    let before: Vec<serde_json::Value> = before.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, before);
}
