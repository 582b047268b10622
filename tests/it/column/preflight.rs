//! What preflight finds, each thing with its remedy; and that nothing was begun.

use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Proxy, Tls};
use crate::support::server::Kind;

on_each_server!(
    what_stands_in_the_way_is_told_before_anything_is_begun,
    values_in_the_way_are_counted,
    triggers_are_reported,
    a_proxy_with_another_policy_is_waited_for,
);

/// A table and what is said of it.
const IN_THE_WAY: [(&str, &str); 7] = [
    ("id INT PRIMARY KEY, phone INT, address VARCHAR(255)", "has type int"),
    ("id INT PRIMARY KEY, phone VARCHAR(40), address VARCHAR(255), UNIQUE KEY u (address)", "UNIQUE index u"),
    ("id INT PRIMARY KEY, phone VARCHAR(40), address VARCHAR(255), FULLTEXT KEY f (address)", "FULLTEXT index f"),
    (
        "id INT PRIMARY KEY, phone VARCHAR(40), address VARCHAR(255), g VARCHAR(9) AS (LEFT(phone, 3)) STORED",
        "generated column g",
    ),
    (
        "id INT PRIMARY KEY, phone VARCHAR(40), address VARCHAR(255), CONSTRAINT k CHECK (phone LIKE '+%')",
        "CHECK constraint k",
    ),
    ("phone VARCHAR(40), address VARCHAR(255), PRIMARY KEY (phone)", "part of the primary key"),
    ("id INT PRIMARY KEY, phone VARCHAR(40) AS ('x') STORED, address VARCHAR(255)", "is a generated column"),
];

async fn what_stands_in_the_way_is_told_before_anything_is_begun(kind: Kind) {
    for (columns, expected) in IN_THE_WAY {
        let bench = Bench::new(shared(kind), columns);
        let run = bench.run("encrypt", &["--ddl", "run"]);
        assert_eq!(run.code, Some(1), "{columns}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{columns}: {}", run.stderr);
        assert_eq!(bench.stages(), "", "{columns}");
        let rehearsed = bench.run("encrypt", &["--dry-run"]);
        assert_eq!(rehearsed.code, Some(1), "{columns}");
        assert!(rehearsed.stdout.contains(expected), "{columns}: {}", rehearsed.stdout);
    }
}

/// MariaDB alone has such tables.
#[test]
fn a_table_that_keeps_past_rows_is_refused() {
    const NAMED: &str = "system versioning";
    let bench = Bench::with_rows(shared(Kind::MariaDb), 3);
    bench.sql("ALTER TABLE customers ADD SYSTEM VERSIONING; UPDATE customers SET phone = '1' WHERE id = 1");
    let checked = bench.check().to_string();
    assert!(checked.contains(NAMED), "{checked}");
    for arguments in [["--ddl", "run"].as_slice(), &["--dry-run"]] {
        let run = bench.run("encrypt", arguments);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let told = [run.stdout, run.stderr].concat();
        assert!(told.contains(NAMED) && told.contains("DROP SYSTEM VERSIONING"), "{told}");
    }
    assert_eq!(bench.stages(), "", "nothing was begun");
    bench.sql("ALTER TABLE customers DROP SYSTEM VERSIONING");
    bench.run("encrypt", &["--dry-run"]).ok();
    let checked = bench.check().to_string();
    assert!(!checked.contains(NAMED), "{checked}");
}

async fn values_in_the_way_are_counted(kind: Kind) {
    let columns = "id INT PRIMARY KEY, phone VARCHAR(60), address VARBINARY(255), UNIQUE KEY one_phone (phone)";
    let bench = Bench::new(shared(kind), columns);
    bench.sql(
        "INSERT INTO customers VALUES (1, 'Calle  Mayor', 'ok'), (2, 'calle mayor', 'ok'), \
         (3, REPEAT('x', 41), 'ok'), (4, '1', x'FFFE'), (5, '2', x'C1FE1D0100000000'), (6, NULL, NULL)",
    );
    let run = bench.run("encrypt", &["--dry-run"]);
    assert_eq!(run.code, Some(1));
    for expected in [
        "1 row with a value longer than the type in policy: id = 3",
        "1 row with bytes that are no UTF-8: id = 4",
        "1 row with a value that looks like an envelope already: id = 5",
        "1 row with the value of another, once normalised, in a UNIQUE column: id = 1 and id = 2",
    ] {
        assert!(run.stdout.contains(expected), "{expected}\n{}", run.stdout);
    }
    assert!(!run.stdout.to_lowercase().contains("mayor"), "no value is shown");
}

async fn triggers_are_reported(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 50);
    bench.sql(
        "CREATE TABLE log (text VARCHAR(100)); CREATE TRIGGER note AFTER UPDATE ON customers FOR EACH ROW \
               INSERT INTO log VALUES (LEFT(NEW.name, 10))",
    );
    let run = bench.run("encrypt", &["--ddl", "run"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("trigger note (AFTER UPDATE) runs for every row"), "{}", run.stderr);
    bench.run("encrypt", &["--ddl", "run", "--allow-triggers"]).ok();
    assert_eq!(bench.plaintexts("phone"), 0);
}

async fn a_proxy_with_another_policy_is_waited_for(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 300);
    let other = bench.policy.replace("varchar(40)", "varchar(41)");
    let proxy = Proxy::start(&deployment, &other, Tls::Off);
    let table = bench.sql("SHOW CREATE TABLE customers");
    let run = bench.run("encrypt", &["--ddl", "run", "--patience", "0"]);
    assert!(!run.succeeded && run.stderr.contains("another policy"), "{}", run.stderr);
    assert_eq!(bench.sql("SHOW CREATE TABLE customers"), table, "it writes the column as its own policy says");
    drop(proxy);
    // As after the minute for which a silent proxy is waited for.
    deployment.server.sql("DELETE FROM candado.replica");
    let _the_same = bench.proxy();
    bench.run("encrypt", &["--ddl", "run"]).ok();
}
