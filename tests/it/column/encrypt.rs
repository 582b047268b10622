//! From plaintext to sealed: what the rows, the table and the key store hold afterwards.

use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    rows_that_are_there_are_encrypted,
    statements_are_printed_and_the_job_waits_for_them,
    a_rehearsal_changes_nothing,
    a_unique_column_stays_unique,
    a_column_in_another_character_set_becomes_utf8,
    a_paused_job_rests_until_it_is_resumed,
    an_aborted_job_leaves_rows_that_can_be_gone_on_with,
    what_is_written_beside_the_proxies_is_found,
    an_envelope_that_was_changed_stops_the_job,
);

async fn rows_that_are_there_are_encrypted(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 3000);
    let stamps = bench.sql("SELECT id, updated_at FROM customers ORDER BY id");
    let run = bench.run("encrypt", &["--ddl", "run", "--json"]).ok();
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    assert_eq!(bench.sql("SELECT id, updated_at FROM customers ORDER BY id"), stamps, "nobody changed the rows");
    let proofs = run.json()["proofs"].clone();
    assert_eq!(proofs[0]["kind"], "sealed", "{proofs:#}");
    assert_eq!((&proofs[0]["rows"], &proofs[0]["nulls"]), (&3000.into(), &60.into()), "{proofs:#}");
    assert_eq!((&proofs[0]["plaintexts"], &proofs[1]["plaintexts"]), (&0.into(), &0.into()));
    let database = &bench.database;
    assert_eq!(bench.stages(), format!("{database}.customers.address\tsealed\n{database}.customers.phone\tsealed\n"));
    // The program's own check finds nothing missing, and the server itself refuses plaintext.
    assert_eq!(bench.deployment.missing_statements(&bench.policy, crate::support::proxy::Tls::Off), [""; 0]);
    let refused =
        bench.deployment.server.try_sql(&format!("UPDATE `{database}`.customers SET phone = 'x' WHERE id = 3"));
    assert!(refused.is_err_and(|error| error.contains("3819") || error.contains("4025")));
    // Every act is in the record, with the counts.
    let acts = bench.deployment.server.sql(&format!(
        "SELECT act, COUNT(*) FROM candado.event WHERE subject LIKE '%{database}.%' GROUP BY act ORDER BY act"
    ));
    assert_eq!(acts, "column.done\t1\ncolumn.encrypt\t1\ncolumn.proof\t2\ncolumn.stage\t6\n");
    // A second run says that there is nothing to do.
    let again = bench.run("encrypt", &[]);
    assert!(!again.succeeded && again.stderr.contains("encrypted already"), "{}", again.stderr);
    let aborted = bench.of_table("abort", &[]);
    assert!(aborted.stderr.contains("there is no unfinished job"), "what is refused leaves none: {}", aborted.stderr);
    let verified = bench.run("verify", &["--json"]).ok().json();
    assert_eq!((&verified[0]["kind"], &verified[0]["digest"]), (&"sealed".into(), &proofs[0]["digest"]));
}

async fn statements_are_printed_and_the_job_waits_for_them(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 300);
    let mut statements = 0;
    for attempt in 0.. {
        assert!(attempt < 5, "the job never ends");
        let run = bench.run("encrypt", &[]);
        if run.succeeded {
            break;
        }
        assert!(run.stderr.contains("must be run first"), "{}", run.stderr);
        for line in run.stderr.lines() {
            if let Some(statement) = line.strip_prefix("candado: statement: ") {
                bench.sql(statement.trim_end_matches(';'));
                statements += 1;
            }
        }
    }
    assert_eq!(statements, 2, "one before, one after");
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
}

async fn a_rehearsal_changes_nothing(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 300);
    let before = bench.sql("SHOW CREATE TABLE customers");
    let contents = bench.contents();
    let rehearsed = bench.run("encrypt", &["--dry-run", "--json"]).ok().json();
    assert_eq!(rehearsed["columns"][0]["stage"], serde_json::Value::Null);
    let statement = rehearsed["statements_before"][0].as_str().unwrap();
    assert!(statement.contains("VARBINARY") && statement.contains("(`phone`(23))"), "{statement}");
    let statement = rehearsed["statements_after"][0].as_str().unwrap();
    assert!(statement.contains("ADD CONSTRAINT") && !statement.contains("INDEX"), "{statement}");
    let text = bench.run("encrypt", &["--dry-run"]).ok().stdout;
    assert!(text.contains("ON UPDATE columns keep their values") && text.contains("bytes become"), "{text}");
    assert_eq!(
        (bench.sql("SHOW CREATE TABLE customers"), bench.contents(), bench.stages()),
        (before, contents, "".into())
    );
    assert_eq!(
        bench
            .deployment
            .server
            .sql(&format!("SELECT COUNT(*) FROM candado.job WHERE table_schema = '{}'", bench.database)),
        "0\n"
    );
    // An index that is made before is not made again after.
    bench.sql("ALTER TABLE customers DROP INDEX by_phone");
    let rehearsed = bench.run("encrypt", &["--dry-run", "--json"]).ok().json();
    let made = |when: &str| rehearsed[when][0].as_str().unwrap().matches("ADD INDEX").count();
    assert_eq!((made("statements_before"), made("statements_after")), (1, 0), "{rehearsed:#}");
}

async fn a_unique_column_stays_unique(kind: Kind) {
    let columns = "id INT PRIMARY KEY, phone VARCHAR(40), address VARCHAR(255), UNIQUE KEY one_phone (phone)";
    let bench = Bench::new(shared(kind), columns);
    // Longer than the envelope's prefix, and alike up to there.
    let long = "+81 90 0000 0000 0000 ";
    bench.sql(&format!(
        "INSERT INTO customers VALUES (1, '{long}1', 'a'), (2, '{long}2', 'b'), (3, NULL, 'c'), (4, NULL, 'd')"
    ));
    bench.run("encrypt", &["--ddl", "run"]).ok();
    let copied = bench.deployment.server.try_sql(&format!(
        "INSERT INTO `{0}`.customers SELECT 9, phone, address FROM `{0}`.customers WHERE id = 1",
        bench.database
    ));
    assert!(copied.is_err_and(|error| error.contains("1062")), "the prefix is unique");
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.sql("SELECT id, phone FROM customers WHERE id < 3"), format!("1\t{long}1\n2\t{long}2\n"));
    let twice = bench
        .deployment
        .server
        .try_sql(&format!("INSERT INTO `{}`.customers VALUES (9, '{long}1', '')", bench.database));
    assert!(twice.is_err_and(|error| error.contains("1062")), "values are unique again");
}

async fn a_column_in_another_character_set_becomes_utf8(kind: Kind) {
    let columns =
        "id INT PRIMARY KEY, phone VARCHAR(40) CHARACTER SET latin1, address VARCHAR(255) CHARACTER SET latin1";
    let bench = Bench::new(shared(kind), columns);
    bench.sql("INSERT INTO customers VALUES (1, '090', 'Café Zürich')");
    bench.run("encrypt", &["--ddl", "run"]).ok();
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.sql("SELECT address, HEX(address) FROM customers"), "Café Zürich\t436166C3A9205AC3BC72696368\n");
}

async fn a_paused_job_rests_until_it_is_resumed(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 6000);
    // A walk of twelve seconds, in which there is time to pause.
    let mut child = bench.spawn("encrypt", &["--ddl", "run", "--rows-per-second", "500", "--workers", "1"]);
    let job = || {
        bench.deployment.server.sql(&format!(
            "SELECT COALESCE(SUM(c.rows_changed), 0) FROM candado.job j JOIN candado.job_chunk c USING (job_id) \
         WHERE j.table_schema = '{}'",
            bench.database
        ))
    };
    crate::support::proxy::wait_until("rows are converted", || job() != "0\n");
    let paused = bench.of_table("pause", &["--json"]).ok().json();
    assert_eq!(paused["done"], "paused");
    crate::support::proxy::wait_until("the walk rests", || {
        let before = job();
        std::thread::park_timeout(std::time::Duration::from_millis(1500));
        before == job()
    });
    let status = bench.status();
    assert_eq!((&status["paused"], &status["phase"]), (&true.into(), &"walk".into()), "{status}");
    assert!(bench.plaintexts("phone") > 0, "it rests before the end");
    let rested = job();
    bench.of_table("resume", &[]).ok();
    crate::support::proxy::wait_until("the same process goes on", || job() != rested);
    // The rest of it in less time.
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run("encrypt", &["--ddl", "run"]).ok();
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
}

async fn an_aborted_job_leaves_rows_that_can_be_gone_on_with(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 3000);
    let contents = bench.contents();
    let mut child = bench.spawn("encrypt", &["--ddl", "run", "--rows-per-second", "250", "--workers", "1"]);
    crate::support::proxy::wait_until("rows are converted", || {
        bench.sql("SELECT COUNT(*) FROM customers WHERE HEX(phone) LIKE 'C1FE1D01%'") != "0\n"
    });
    let advice = bench.of_table("abort", &[]).ok().stdout;
    assert!(advice.contains("column decrypt"), "{advice}");
    assert!(!child.wait().unwrap().success());
    let other = bench.of_table("abort", &[]);
    assert!(!other.succeeded && other.stderr.contains("no unfinished job"), "{}", other.stderr);
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.contents(), contents);
}

async fn what_is_written_beside_the_proxies_is_found(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 2000);
    let mut child = bench.spawn("encrypt", &["--ddl", "run", "--workers", "2"]);
    // Plaintext over what has just been sealed, as an application would that does not come through a proxy.
    let mut ended = None;
    for number in 0.. {
        if ended.is_some() || number > 400 {
            break;
        }
        let sql = format!("UPDATE customers SET phone = 'beside {number}' WHERE id = {}", number * 37 % 2000 + 1);
        let written = bench.deployment.server.try_sql(&format!("USE `{}`; {sql};", bench.database));
        if written.is_err_and(|error| error.contains("3819") || error.contains("4025")) {
            break;
        }
        ended = child.try_wait().unwrap();
    }
    // The engine walks again when it finds it, or gives up while it goes on, and says so.
    if !child.wait().unwrap().success() {
        let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        assert!(stderr.contains("something writes beside the proxies"), "{stderr}");
        bench.run("encrypt", &["--ddl", "run"]).ok();
    }
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    let verified = bench.run("verify", &["--json"]).ok().json();
    assert_eq!((&verified[0]["kind"], &verified[0]["rows"]), (&"sealed".into(), &2000.into()));
}

async fn an_envelope_that_was_changed_stops_the_job(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 300);
    bench.run("encrypt", &["--ddl", "run"]).ok();
    bench.sql(
        "UPDATE customers SET address = CONCAT(LEFT(address, LENGTH(address) - 1), \
         UNHEX(LPAD(HEX(ORD(RIGHT(address, 1)) ^ 1), 2, '0'))) WHERE id = 77",
    );
    let verified = bench.run("verify", &[]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stdout.contains("row with id = 77: cannot be opened"), "{}", verified.stdout);
    let decrypted = bench.run("decrypt", &["--ddl", "run"]);
    assert_eq!(decrypted.code, Some(1));
    assert!(decrypted.stderr.contains("the row with id = 77 cannot be opened"), "{}", decrypted.stderr);
    // Values of another column do not open either.
    bench.of_table("abort", &[]).ok();
    bench.sql("UPDATE customers SET address = phone WHERE id = 77");
    let verified = bench.run("verify", &[]);
    assert!(verified.stdout.contains("not authentic"), "{}", verified.stdout);
}
