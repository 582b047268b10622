//! Tables are walked by whatever primary key they have, with its index; without one they are refused.

use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(every_kind_of_primary_key_is_walked, a_table_without_a_primary_key_is_refused, pages_are_ranges);

/// Columns of the key, the key, and values of row `number`.
type KeyCase = (&'static str, &'static str, fn(u32) -> String);

const KEYS: [KeyCase; 8] = [
    ("a INT, b VARCHAR(20)", "a, b", |number| format!("{}, 'Käse {}'", number as i32 % 7 - 3, number)),
    ("a VARCHAR(40) CHARACTER SET latin1", "a", |number| format!("'É{} {number}'", number % 10)),
    ("a VARCHAR(40)", "a", |number| format!("'😀 it''s \\\\ {number}'")),
    ("a BINARY(16)", "a", |number| {
        format!("x'{:032x}'", u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C2D_1234_5677))
    }),
    ("a VARBINARY(20), b SMALLINT UNSIGNED, c DATE", "c, a, b", |number| {
        format!("x'00ff{:02x}27', {number}, '2020-01-{:02}'", number % 5, number % 28 + 1)
    }),
    ("a DECIMAL(12,3)", "a", |number| format!("{}.125", number as i32 - 500)),
    ("a DATETIME(6), b TIME(3)", "a, b", |number| {
        format!("'2021-02-03 04:05:06.{:06}', '-12:00:00.{:03}'", number / 3, number)
    }),
    ("a BIGINT UNSIGNED", "a", |number| format!("{}", u64::MAX - u64::from(number) * 7)),
];

async fn every_kind_of_primary_key_is_walked(kind: Kind) {
    let mut keys = KEYS.to_vec();
    if kind == Kind::MariaDb {
        keys.push(("a UUID", "a", |number| format!("'{number:08x}-1111-2222-3333-{number:012x}'")));
    }
    for (columns, key, values) in keys {
        let bench = Bench::new(
            shared(kind),
            &format!("{columns}, phone VARCHAR(40), address VARCHAR(255), PRIMARY KEY ({key})"),
        );
        let rows: Vec<String> =
            (1..=900).map(|number| format!("({}, '090-{number}', 'Street {number}')", values(number))).collect();
        bench.sql(&format!("INSERT INTO customers VALUES {}", rows.join(", ")));
        let select = format!("SELECT phone, address FROM customers ORDER BY {key}");
        let contents = bench.sql(&select);
        bench.run("encrypt", &["--ddl", "run"]).ok();
        assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0), "{columns}");
        let seen = bench.deployment.server.sql(&format!(
            "SELECT SUM(rows_seen), SUM(conflicts) FROM candado.job_chunk c JOIN candado.job j USING (job_id) \
             WHERE j.table_schema = '{}'",
            bench.database
        ));
        assert_eq!(seen, "900\t0\n", "{columns}");
        bench.run("decrypt", &["--ddl", "run"]).ok();
        assert_eq!(bench.sql(&select), contents, "{columns}");
    }
}

async fn a_table_without_a_primary_key_is_refused(kind: Kind) {
    let bench = Bench::new(shared(kind), "id INT, phone VARCHAR(40), address VARCHAR(255)");
    let run = bench.run("encrypt", &["--ddl", "run"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("has no primary key") && run.stderr.contains("ADD COLUMN"), "{}", run.stderr);
    let bench = Bench::new(shared(kind), "id FLOAT PRIMARY KEY, phone VARCHAR(40), address VARCHAR(255)");
    let run = bench.run("encrypt", &["--ddl", "run"]);
    assert!(run.stderr.contains("has column id of type float"), "{}", run.stderr);
}

/// The form of the condition that the walk uses makes both servers read a range of the primary key and sort nothing.
async fn pages_are_ranges(kind: Kind) {
    let bench = Bench::new(
        shared(kind),
        "a INT, b VARCHAR(20), c INT, phone VARCHAR(40), address VARCHAR(255), PRIMARY KEY (a, b, c)",
    );
    let rows: Vec<String> = (0..3000).map(|n| format!("({}, 'b{}', {n}, 'p', 'q')", n / 500, n / 50)).collect();
    bench.sql(&format!("INSERT INTO customers VALUES {}; ANALYZE TABLE customers", rows.join(", ")));
    let collation = bench.sql(
        "SELECT COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = 'b'",
    );
    let b = format!("CONVERT(x'623330' USING utf8mb4) COLLATE {}", collation.trim());
    let lower = format!(
        "((t.`a` > CAST(3 AS SIGNED) OR (t.`a` = CAST(3 AS SIGNED) AND (t.`b` > {b} OR (t.`b` = {b} AND t.`c` > CAST(1500 AS SIGNED))))))"
    );
    let explain = |sql: &str| bench.sql(&format!("EXPLAIN {sql}"));
    let plan = explain(&format!(
        "SELECT t.`a` FROM customers AS t FORCE INDEX (PRIMARY) WHERE {lower} ORDER BY t.`a`, t.`b`, t.`c` LIMIT 500"
    ));
    assert!(plan.contains("range") && plan.contains("PRIMARY") && !plan.contains("filesort"), "{plan}");
}
