//! The engine, or the server under it, ends somewhere in the middle; the same command goes on from there.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::seeded::Seeded;
use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, wait_until};
use crate::support::server::Kind;

on_each_server!(
    a_killed_engine_goes_on_where_it_was,
    two_processes_share_the_work,
    a_process_that_was_taken_for_dead_writes_nothing,
    a_killed_server_is_waited_for,
);

async fn a_killed_engine_goes_on_where_it_was(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 4000);
    let contents = bench.contents();
    let mut seeded = Seeded(7);
    let seen = |verb: &str| -> u64 {
        let rows = bench.deployment.server.sql(&format!(
            "SELECT COALESCE(SUM(rows_seen), 0) FROM candado.job_chunk c JOIN candado.job j USING (job_id) \
             WHERE j.table_schema = '{}' AND j.verb = '{verb}'",
            bench.database
        ));
        rows.trim().parse().expect("a number")
    };
    for verb in ["encrypt", "decrypt"] {
        // About its first statements, then at the first row, then between rows.
        let mut marks = vec![0, 0, 1, seeded.next(2000), seeded.next(2000), seeded.next(2000)];
        marks.sort_unstable();
        let mut kills = 0;
        for mark in marks {
            let mut child = bench.spawn(verb, &["--ddl", "run", "--rows-per-second", "800"]);
            wait_until("the engine gets on", || seen(verb) >= mark);
            std::thread::park_timeout(Duration::from_millis(seeded.next(400)));
            kills += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // The last rows alone may have been faster than whoever looks at them.
        assert!(kills >= 3, "{kills} kills of {verb} are no test");
        bench.run(verb, &["--ddl", "run"]).ok();
        if verb == "encrypt" {
            assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
        }
    }
    assert_eq!(bench.contents(), contents);
}

async fn two_processes_share_the_work(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 6000);
    let contents = bench.contents();
    let summed = |what: &str| {
        bench.deployment.server.sql(&format!(
            "SELECT {what} FROM candado.job_chunk c JOIN candado.job j USING (job_id) WHERE j.table_schema = '{}'",
            bench.database
        ))
    };
    // Neither converts a row before both have a part of them.
    let flag = bench.file("hold");
    fs::write(&flag, "").unwrap();
    let arguments = ["--ddl", "run", "--workers", "2", "--flag-file", flag.to_str().unwrap()];
    let mut children = [bench.spawn("encrypt", &arguments), bench.spawn("encrypt", &arguments)];
    wait_until("both have a part", || summed("COUNT(DISTINCT c.owner)") == "2\n");
    fs::remove_file(&flag).unwrap();
    for child in &mut children {
        let status = child.wait().unwrap();
        assert!(status.success(), "{}", std::io::read_to_string(child.stderr.take().unwrap()).unwrap());
    }
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    // No row was converted twice, and both processes did some.
    assert_eq!(summed("SUM(rows_seen), COUNT(DISTINCT c.owner), SUM(conflicts)"), "6000\t2\t0\n");
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.contents(), contents);
}

async fn a_process_that_was_taken_for_dead_writes_nothing(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 4000);
    let chunks = |what: &str| {
        bench.deployment.server.sql(&format!(
            "SELECT {what} FROM candado.job_chunk c JOIN candado.job j USING (job_id) WHERE j.table_schema = '{}'",
            bench.database
        ))
    };
    let arguments = ["--ddl", "run", "--workers", "1", "--rows-per-second", "500"];
    let mut stopped = bench.spawn("encrypt", &arguments);
    wait_until("a page is converted", || chunks("COALESCE(SUM(c.rows_seen), 0) >= 500") == "1\n");
    let process = Pid::from_child(&stopped);
    kill_process(process, Signal::STOP).unwrap();
    // Its lease runs out. The lock by which others know that it lives is still held.
    bench.deployment.server.sql(&format!(
        "UPDATE candado.job_chunk c JOIN candado.job j USING (job_id) SET c.lease_until = UTC_TIMESTAMP(6) - INTERVAL 1 \
         SECOND WHERE j.table_schema = '{}' AND c.done_at IS NULL",
        bench.database
    ));
    let owner = chunks("HEX(MAX(c.owner))");
    let mut other = bench.spawn("encrypt", &arguments);
    wait_until("the other takes the chunk over and gets on", || {
        chunks(&format!("SUM(HEX(c.owner) = '{}') = 0 AND SUM(c.rows_seen) >= 1500", owner.trim())) == "1\n"
    });
    kill_process(process, Signal::CONT).unwrap();
    for child in [&mut stopped, &mut other] {
        let status = child.wait().unwrap();
        assert!(status.success(), "{}", std::io::read_to_string(child.stderr.take().unwrap()).unwrap());
    }
    assert_eq!(chunks("SUM(c.rows_seen)"), "4000\n", "each row was settled once");
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
}

async fn a_killed_server_is_waited_for(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 4000);
    let contents = bench.contents();
    let mut child = bench.spawn("encrypt", &["--ddl", "run", "--rows-per-second", "1000"]);
    wait_until("rows are converted", || {
        bench.sql("SELECT COUNT(*) FROM customers WHERE HEX(phone) LIKE 'C1FE1D01%'") != "0\n"
    });
    deployment.server.crash();
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", std::io::read_to_string(child.stderr.take().unwrap()).unwrap());
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    bench.run("decrypt", &["--ddl", "run"]).ok();
    assert_eq!(bench.contents(), contents);
}
