//! What slows a walk down or holds it: while a brake is on no row is converted and `candado column status` says why; when
//! it is let go the job ends as if nothing had been. Nothing here is measured in seconds.

use std::fs;
use std::path::Path;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::block_in_place;

use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, wait_until};
use crate::support::server::{Kind, Server};
use crate::support::shop::{bounded, options};

on_each_server!(
    a_flag_holds_the_walk,
    a_query_holds_the_walk,
    a_busy_server_holds_the_walk,
    a_replica_that_lags_holds_the_walk,
    a_pause_holds_a_walk_that_has_not_begun,
    rows_pass_no_faster_than_they_may,
    a_brake_that_cannot_be_asked_ends_the_walk,
);

/// Begins a job under a brake that is on, sees it held, lets the brake go and sees the job end.
fn holds(bench: &Bench<'_>, brake: &[&str], reason: &str, let_go: impl FnOnce()) {
    let mut child = bench.spawn("encrypt", &[&["--ddl", "run"], brake].concat());
    wait_until("the job rests and says why", || {
        assert!(child.try_wait().unwrap().is_none(), "it did not rest");
        bench.job().is_some_and(|job| job["resting"].as_str().is_some_and(|why| why.contains(reason)))
    });
    for _ in 0..3 {
        let job = bench.status();
        assert_eq!((&job["rows_seen"], &job["phase"]), (&0.into(), &"walk".into()), "{job:#}");
        assert!(job["resting"].as_str().unwrap().contains(reason), "it is told as long as it is so: {job:#}");
    }
    let_go();
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", std::io::read_to_string(child.stderr.take().unwrap()).unwrap());
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    let job = bench.status();
    assert_eq!((&job["resting"], &job["phase"]), (&serde_json::Value::Null, &"done".into()));
}

async fn a_flag_holds_the_walk(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 1200);
    let flag = bench.file("hold");
    fs::write(&flag, "").unwrap();
    interrupted(&bench, &flag);
    holds(&bench, &["--flag-file", flag.to_str().unwrap()], "hold exists", || fs::remove_file(&flag).unwrap());
}

/// Begins a job, and ends it with Ctrl-C while it rests: it says how to go on.
fn interrupted(bench: &Bench<'_>, flag: &Path) {
    let mut child = bench.spawn("encrypt", &["--ddl", "run", "--flag-file", flag.to_str().unwrap()]);
    wait_until("the job rests", || {
        assert!(child.try_wait().unwrap().is_none(), "it did not rest");
        bench.job().is_some_and(|job| job["resting"].is_string())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "error: interrupted: what was done stays done, and the same command goes on from there\n";
    assert!(output.status.code() == Some(1) && said.ends_with(expected), "{:?} {said}", output.status);
}

async fn a_query_holds_the_walk(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 1200);
    bench.sql("CREATE TABLE brake (pulled INT); INSERT INTO brake VALUES (3)");
    let query = format!("SELECT pulled FROM {}.brake", bench.database);
    holds(&bench, &["--throttle-query", &query], "the throttle query says so", || {
        bench.sql("UPDATE brake SET pulled = 0");
    });
}

/// Statements of others that run at once.
const BUSY: u64 = 30;

async fn a_busy_server_holds_the_walk(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 1200);
    let connect = async || -> Conn { bounded(Conn::new(root(&deployment, &bench))).await.unwrap() };
    let mut holder = connect().await;
    let _locked: Option<u8> = bounded(holder.query_first("SELECT GET_LOCK('busy', 60)")).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..BUSY {
        let mut conn = connect().await;
        // They wait for the lock, which is running to the server, and give it back.
        waiting.spawn(async move { conn.query_drop("DO GET_LOCK('busy', 600) + RELEASE_LOCK('busy')").await.unwrap() });
    }
    let max = (BUSY / 2).to_string();
    block_in_place(|| {
        holds(&bench, &["--threads-running-max", &max], "threads are running", || {
            let id = holder.id();
            deployment.server.sql(&format!("KILL {id}"));
        });
    });
    while let Some(ended) = bounded(waiting.join_next()).await {
        ended.unwrap();
    }
}

fn root(deployment: &Deployment, bench: &Bench<'_>) -> mysql_async::OptsBuilder {
    options("127.0.0.1", deployment.server.port, &bench.database).user(Some("root"))
}

/// Replication between two servers, of which the replica's half that applies changes stands still.
async fn a_replica_that_lags_holds_the_walk(kind: Kind) {
    let source = Source(Server::launch(kind, &["--log-bin=binlog", "--server-id=1"]));
    let deployment = Deployment::own(kind, &["--server-id=2"], Provider::File);
    let bench = Bench::with_rows(&deployment, 1200);
    source.0.sql("CREATE USER repl IDENTIFIED BY 'repl'; GRANT REPLICATION SLAVE ON *.* TO repl");
    let (status, privilege) = match kind {
        Kind::MySql => ("SHOW BINARY LOG STATUS", "REPLICATION CLIENT"),
        Kind::MariaDb => ("SHOW MASTER STATUS", "REPLICA MONITOR"),
    };
    let status = source.0.sql(status);
    let mut place = status.split('\t');
    let (log, position) = (place.next().unwrap(), place.next().unwrap());
    let (change, named, key) = match kind {
        Kind::MySql => ("REPLICATION SOURCE", "SOURCE", ", GET_SOURCE_PUBLIC_KEY = 1"),
        Kind::MariaDb => ("MASTER", "MASTER", ""),
    };
    deployment.server.sql(&format!(
        "GRANT {privilege} ON *.* TO candado_backfill; \
         CHANGE {change} TO {named}_HOST = '127.0.0.1', {named}_PORT = {}, {named}_USER = 'repl', \
         {named}_PASSWORD = 'repl', {named}_LOG_FILE = '{log}', {named}_LOG_POS = {position}{key}; \
         START REPLICA; STOP REPLICA SQL_THREAD",
        source.0.port
    ));
    holds(&bench, &["--lag-max", "30"], "replication is an unknown time behind", || {
        deployment.server.sql("START REPLICA SQL_THREAD");
    });
    assert_eq!(bench.plaintexts("phone"), 0);
    // It is a replica indeed, and the source's changes reach it.
    source.0.sql("CREATE DATABASE from_the_source");
    let arrived = || deployment.server.sql("SHOW DATABASES LIKE 'from_the_source'") == "from_the_source\n";
    wait_until("a change of the source arrives", arrived);
}

/// The source, for as long as the test.
struct Source(Server);

impl Drop for Source {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn a_pause_holds_a_walk_that_has_not_begun(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 1200);
    // Makes the job, and stops before the table is changed.
    assert!(!bench.run("encrypt", &[]).succeeded);
    bench.of_table("pause", &[]).ok();
    holds(&bench, &[], "the job is paused", || drop(bench.of_table("resume", &[]).ok()));
}

async fn rows_pass_no_faster_than_they_may(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 1600);
    // The first page at once; at this rate the second would pass in many minutes.
    let mut child = bench.spawn("encrypt", &["--ddl", "run", "--rows-per-second", "1"]);
    wait_until("a page is converted", || bench.job().is_some_and(|job| job["rows_seen"] != 0));
    for _ in 0..3 {
        let job = bench.status();
        assert_eq!((&job["rows_seen"], &job["phase"]), (&500.into(), &"walk".into()), "{job:#}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run("encrypt", &["--ddl", "run"]).ok();
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
}

async fn a_brake_that_cannot_be_asked_ends_the_walk(kind: Kind) {
    let bench = Bench::with_rows(shared(kind), 1200);
    let run = bench.run("encrypt", &["--ddl", "run", "--throttle-query", "SELECT lag FROM nowhere.at_all"]);
    assert!(!run.succeeded, "{}", run.stderr);
    assert!(run.stderr.contains("follow the job"), "{}", run.stderr);
    assert_eq!((&bench.status()["rows_seen"], &bench.status()["phase"]), (&0.into(), &"walk".into()));
    bench.run("encrypt", &["--ddl", "run"]).ok();
}
