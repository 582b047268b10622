//! From plaintext to sealed, and what the rows hold afterwards.

use super::Bench;
use super::bench_table::shared;
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(rows_that_are_there_are_encrypted);

async fn rows_that_are_there_are_encrypted(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 3000);
    let stamps = bench.sql("SELECT id, updated_at FROM customers ORDER BY id");
    let run = bench.run("encrypt", &["--ddl", "run", "--json"]).ok();
    println!("{}", run.stderr);
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    assert_eq!(bench.sql("SELECT id, updated_at FROM customers ORDER BY id"), stamps, "nobody changed the rows");
    let proofs = run.json()["proofs"].clone();
    assert_eq!(proofs[0]["kind"], "sealed", "{proofs:#}");
    assert_eq!((&proofs[0]["rows"], &proofs[0]["nulls"]), (&3000.into(), &60.into()), "{proofs:#}");
    assert_eq!(bench.sql("SELECT COUNT(*) FROM customers"), "3000\n");
}
