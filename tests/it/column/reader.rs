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
    assert_eq!(read(&bench, &[]), lines(&before));
}

/// The values of telephone numbers and addresses by the number of their row, as the reader finds them.
pub(super) fn read(bench: &Bench<'_>, more: &[&str]) -> Vec<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/read.sh");
    let output = Command::new(script)
        .args(["--port", &bench.deployment.server.port.to_string(), "--key-file"])
        .arg(bench.deployment.key_file())
        .args(["--table", &format!("{}.customers", bench.database), "--columns", "phone", "address"])
        .args(more)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    serde_json::from_str(&text(output.stdout)).unwrap()
}

/// Rows that the server has written as JSON.
pub(super) fn lines(rows: &str) -> Vec<serde_json::Value> {
    rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
