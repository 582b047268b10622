//! Rows that take an envelope under the old key to where a walk has been: the scan behind the walk finds them, and no key
//! is put aside before a scan has found none.

use std::fs;

use tokio::task::block_in_place;

use super::Bench;
use crate::lifecycle::age;
use crate::support::block_on;
use crate::support::proxy::{Deployment, KEYSET, Provider, wait_until};
use crate::support::server::Kind;

const ROWS: u32 = 800;

#[test]
fn a_row_behind_the_walk_keeps_its_key_from_being_retired() {
    block_on(a_row_behind_the_walk());
}

async fn a_row_behind_the_walk() {
    let deployment = Deployment::own(Kind::MySql, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, ROWS);
    let team = deployment.security_team(&bench.policy);
    block_in_place(|| bench.run("encrypt", &["--ddl", "run"])).ok();
    let under = |id: u32| bench.sql(&format!("SELECT HEX(phone) FROM customers WHERE id = {id}"));
    let sealed_before = under(ROWS - 7).trim().to_owned();
    let old = block_in_place(|| team.done(&["list"]))["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["keyset"] == KEYSET && key["purpose"] == "data" && key["state"] == "active")
        .map(|key| key["key_id"].to_string())
        .unwrap();
    block_in_place(|| bench.rotate("data"));
    let refused = || {
        let (code, text) = block_in_place(|| team.refused(&["retire", &old]));
        assert_eq!(code, "not_proven", "{text}");
        text
    };
    assert!(refused().contains("before every proxy had stopped writing under the key"));

    // One of the last rows goes to where the walk began.
    let brake = bench.file("brake");
    let slowly = ["--workers", "1", "--rows-per-second", "800", "--flag-file", brake.to_str().unwrap()];
    let mut walk = bench.spawn("reencrypt", &slowly);
    let job = |what: &str| {
        bench.deployment.server.sql(&format!(
            "SELECT {what} FROM candado.job j JOIN candado.job_chunk c USING (job_id) WHERE j.verb = 'reencrypt'"
        ))
    };
    block_in_place(|| wait_until("a page is sealed anew", || job("COALESCE(SUM(c.rows_changed), 0) > 0") == "1\n"));
    fs::write(&brake, "").unwrap();
    bench.sql(&format!("UPDATE customers SET id = 0 WHERE id = {}", ROWS - 3));
    assert_eq!(job("COUNT(*) > 0 AND SUM(c.done_at IS NULL) > 0"), "1\n", "the walk is not over yet");
    assert!(refused().contains("before every proxy had stopped writing under the key"));
    fs::remove_file(&brake).unwrap();
    assert!(block_in_place(|| walk.wait()).unwrap().success());
    assert_eq!(job("MAX(j.pass)"), "2\n", "the scan found the row, and another walk sealed it anew");

    // What was written by a statement that took its time, and is read by the next scan.
    age(deployment.server, "candado", old.parse().unwrap(), 48);
    bench.sql(&format!("INSERT INTO customers (id, phone) VALUES (5000, x'{sealed_before}')"));
    block_in_place(|| bench.run("verify", &[])).ok();
    let text = refused();
    assert!(text.contains("customers.phone holds 1 cells under the key"), "{text}");
    assert!(text.contains("candado column reencrypt"), "it says what to do: {text}");
    block_in_place(|| bench.run("reencrypt", &[])).ok();
    assert_ne!(under(5000).trim(), sealed_before);
    block_in_place(|| team.done(&["retire", &old]));
}
