//! Rows that are there already are bound to what policy names, and what was sealed before is bound when it is renewed.

use std::fs;

use super::reader::{lines, read};
use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(rows_are_bound_and_swaps_are_found, envelopes_from_before_are_bound_by_reencryption);

const COLUMNS: &str = "id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, login VARCHAR(20) CHARACTER SET utf8mb4 COLLATE \
    utf8mb4_bin NOT NULL, phone VARCHAR(40), address VARCHAR(255), KEY by_phone (phone)";
const ROWS: u32 = 300;

fn policy(database: &str, keyset: &str, bind: &str) -> String {
    let column = |name: &str, kind: &str, more: &str| {
        format!(
            "[[column]]\nname = \"{database}.customers.{name}\"\nkeyset = \"{keyset}\"\ntype = \"{kind}\"\n{more}\n"
        )
    };
    [
        format!("keysets = [\"{keyset}\"]\n"),
        column("phone", "varchar(40)", &format!("index = {{ normaliser = \"raw\" }}\n{bind}")),
        column("address", "varchar(255)", bind),
        "[role.application]\naccess = \"plain\"\n[[account]]\nuser = \"root\"\nrole = \"application\"\n".to_owned(),
    ]
    .concat()
}

fn bench(kind: Kind, keyset: &str, bind: &str) -> Bench<'static> {
    let bench = Bench::with_policy(shared(kind), COLUMNS, |database| policy(database, keyset, bind));
    bench.keys(&["init"]);
    let rows: Vec<String> = (0..ROWS)
        .map(|number| format!("('Jörg {number}', '090-{number}', IF({number} % 10 = 0, NULL, 'Street {number}'))"))
        .collect();
    bench.sql(&format!("INSERT INTO customers (login, phone, address) VALUES {}", rows.join(", ")));
    bench
}

const CONTENTS: &str = "SELECT id, login, phone, address FROM customers ORDER BY id";
const BIND: &str = "bind = \"login\"";

/// Envelopes that are bound: those of telephone numbers behind an index of 16 bytes, and those of addresses.
fn bound(bench: &Bench<'_>) -> String {
    bench.sql("SELECT SUM(ORD(SUBSTRING(phone, 24, 1)) & 1), SUM(ORD(SUBSTRING(address, 8, 1)) & 1) FROM customers")
}

async fn rows_are_bound_and_swaps_are_found(kind: Kind) {
    let bench = bench(kind, "bound", BIND);
    let contents = bench.sql(CONTENTS);
    let values = bench.sql("SELECT JSON_ARRAY(id, phone, address) FROM customers ORDER BY id");
    bench.run("encrypt", &["--ddl", "run"]).ok();
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    assert_eq!(bound(&bench), "300\t270\n");
    assert_eq!(read(&bench, &["--bind", "login"]), lines(&values), "by a program that shares no line with this one");
    bench.run("verify", &[]).ok();
    bench.run("reindex", &[]).ok();
    assert_eq!(bound(&bench), "300\t270\n");

    bench.sql("CREATE TABLE kept AS SELECT * FROM customers WHERE id IN (12, 13)");
    bench.sql("UPDATE customers c JOIN kept k ON c.id + k.id = 25 SET c.address = k.address");
    let verified = bench.run("verify", &[]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stdout.contains("not authentic"), "{}", verified.stdout);
    bench.sql("UPDATE customers c JOIN kept k ON k.id = c.id SET c.address = k.address");
    bench.run("verify", &[]).ok();
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.sql(CONTENTS), contents);
}

async fn envelopes_from_before_are_bound_by_reencryption(kind: Kind) {
    let bench = bench(kind, "unbound", "");
    let contents = bench.sql(CONTENTS);
    bench.run("encrypt", &["--ddl", "run"]).ok();
    assert_eq!(bound(&bench), "0\t0\n");
    let write = |bind: &str| fs::write(bench.file("policy.toml"), policy(&bench.database, "unbound", bind)).unwrap();

    write("bind = \"nobody\"");
    let unfit = bench.run("reencrypt", &[]);
    assert!(!unfit.succeeded && unfit.stderr.contains("column nobody"), "{}", unfit.stderr);
    bench.of_table("abort", &[]);
    // Whoever can write to the database could have put them anywhere.
    write(BIND);
    let refused = bench.run("reencrypt", &[]);
    assert!(!refused.succeeded && refused.stderr.contains("not bound to its row"), "{}", refused.stderr);
    assert_eq!(bound(&bench), "0\t0\n");
    bench.of_table("abort", &[]);
    write(&format!("{BIND}\nunbound = \"accept\""));
    bench.run("reencrypt", &[]).ok();
    assert_eq!(bound(&bench), "300\t270\n");
    write(BIND);
    bench.run("verify", &[]).ok();
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.sql(CONTENTS), contents);
}
