//! The engine, the server and the proxies are killed at random points of each conversion, while applications write and
//! search through the proxies. After each point no row is lost and every answer is an oracle's; the same command goes on;
//! in the end every row is the oracle's and sealed once.
//!
//! `CANDADO_KILLS` is the number of points for each verb and each server; CONTRIBUTING.md says with how many it was run.

mod writer;

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};

use self::writer::{Row, Rows, WRITERS, World, Writer};
use super::Bench;
use super::seeded::Seeded;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, Proxy, wait_until};
use crate::support::server::Kind;
use crate::support::shop::bounded;

on_each_server!(nothing_is_lost_whatever_is_killed);

/// Points for each verb unless the environment says otherwise.
const KILLS: u64 = 4;
/// Rows of the table, at least.
const ROWS_MIN: u64 = 3000;
/// Rows for each point, so that the job gets on between two.
const ROWS_EACH: u64 = 300;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Engine,
    Server,
    Proxy(usize),
}

/// A conversion under fire.
struct Fire<'a> {
    bench: &'a Bench<'a>,
    world: Arc<World>,
    proxies: Vec<Proxy>,
    rows: u64,
    seeded: Seeded,
    /// To look at the job with.
    conn: Option<Conn>,
    /// Kills that met a job at work, by victim.
    landed: Vec<Victim>,
}

#[expect(clippy::print_stderr, reason = "a long run says what it killed")]
async fn nothing_is_lost_whatever_is_killed(kind: Kind) {
    let kills = std::env::var("CANDADO_KILLS").map_or(KILLS, |text| text.parse().expect("a number"));
    let rows = ROWS_MIN.max(kills * ROWS_EACH);
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, u32::try_from(rows).unwrap());
    // Registers the columns as plaintext, and stops before the table is changed.
    let registered = bench.run("encrypt", &[]);
    assert!(!registered.succeeded && registered.stderr.contains("must be run first"), "{}", registered.stderr);
    let proxies: Vec<Proxy> = (0..WRITERS).map(|_| bench.proxy()).collect();
    let world = Arc::new(World {
        database: bench.database.clone(),
        proxies: proxies.iter().map(|proxy| proxy.port).collect(),
        server: deployment.server.port,
        disturbed: proxies.iter().map(|_| watch::Sender::new(0)).collect(),
        crashes: AtomicU64::new(0),
        checks: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        restoring: AtomicBool::new(false),
    });
    let seeded = Seeded(20_261_126);
    let mut fire = Fire { bench: &bench, world, proxies, rows, seeded, conn: None, landed: Vec::new() };
    let oracle = fire.stored().await;
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let own = oracle.iter().filter(|(id, _)| *id % WRITERS == number);
        let own = own.map(|(id, cells)| (*id, cells.clone())).collect();
        writers.push(Writer::new(fire.world.clone(), number, own).await);
    }
    for (verb, purpose) in
        [("encrypt", None), ("reencrypt", Some("data")), ("reindex", Some("index")), ("decrypt", None)]
    {
        if let Some(purpose) = purpose {
            block_in_place(|| bench.keys(&["rotate", KEYSET, "--purpose", purpose]));
        }
        fire.landed.clear();
        fire.world.restoring.store(verb == "decrypt", Ordering::SeqCst);
        fire.world.stop.store(false, Ordering::SeqCst);
        let mut running: JoinSet<Writer> = writers.drain(..).map(Writer::run).collect();
        fire.convert(verb, kills).await;
        fire.world.stop.store(true, Ordering::SeqCst);
        while let Some(writer) = running.join_next().await {
            writers.push(writer.unwrap());
        }
        let statements: u64 = writers.iter().map(|writer| writer.statements).sum();
        let unheard: u64 = writers.iter().map(|writer| writer.unheard).sum();
        eprintln!("{kind:?} {verb}: killed {:?}; {statements} statements so far, {unheard} unheard", fire.landed);
        assert!(fire.landed.len() as u64 * 4 >= kills * 3, "too few met the job at work: {:?}", fire.landed);
        let oracle = writers.iter().flat_map(|writer| writer.own.clone()).collect();
        fire.compare(verb, &oracle).await;
    }
    assert!(writers.iter().all(|writer| writer.statements > 50), "a writer that did nothing proves nothing");
}

impl Fire<'_> {
    /// Runs the verb to its end, whatever is killed meanwhile.
    async fn convert(&mut self, verb: &str, kills: u64) {
        let mut points: Vec<u64> = (1..kills).map(|_| self.seeded.next(self.rows * 11 / 10)).collect();
        // The first one before any row, in the waiting for proxies or just after it.
        points.push(0);
        points.sort_unstable();
        let mut runner = Runner { bench: self.bench, verb, child: None, forgiven: false };
        let turned = self.seeded.next(3) as usize;
        for (number, point) in points.into_iter().enumerate() {
            let victim = match (number + turned) % 3 {
                0 => Victim::Engine,
                1 => Victim::Server,
                _ => Victim::Proxy(self.seeded.next(WRITERS) as usize),
            };
            while self.place(verb).await.is_none_or(|place| place < point) {
                if runner.turn() == Turn::Done {
                    return;
                }
            }
            // And not always at the end of a page, but before the end of the next one, however long a look takes.
            let reached = self.place(verb).await;
            for _ in 0..self.seeded.next(60) {
                if self.place(verb).await != reached {
                    break;
                }
            }
            if runner.turn() == Turn::Done {
                return;
            }
            self.landed.push(victim);
            block_in_place(|| self.kill(victim, &mut runner));
            self.world.checks.fetch_add(1, Ordering::SeqCst);
        }
        block_in_place(|| wait_until("the command ends", || runner.turn() == Turn::Done));
    }

    fn kill(&mut self, victim: Victim, runner: &mut Runner<'_>) {
        let raise = |world: &World, which: usize| world.disturbed[which].send_modify(|count| *count += 1);
        match victim {
            Victim::Engine => runner.kill(),
            Victim::Server => {
                runner.forgiven = true;
                (0..self.proxies.len()).for_each(|which| raise(&self.world, which));
                self.world.crashes.fetch_add(1, Ordering::SeqCst);
                self.bench.deployment.server.crash();
                self.world.crashes.fetch_add(1, Ordering::SeqCst);
                // A proxy is ready all the while; what it does before it knows the server again is its clients' to see.
                (0..self.proxies.len()).for_each(|which| raise(&self.world, which));
            }
            Victim::Proxy(which) => {
                raise(&self.world, which);
                self.proxies[which].crash(self.bench.deployment);
                raise(&self.world, which);
            }
        }
    }

    /// Rows that the unfinished job has converted; those of all once it has gone on to verifying. `None` without a job.
    async fn place(&mut self, verb: &str) -> Option<u64> {
        let sql = format!(
            "SELECT j.phase, j.pass, CAST(COALESCE(SUM(c.rows_seen), 0) AS UNSIGNED) FROM candado.job j \
             LEFT JOIN candado.job_chunk c ON c.job_id = j.job_id AND c.pass = j.pass \
             WHERE j.table_schema = '{}' AND j.verb = '{verb}' AND j.open = 1 GROUP BY j.job_id, j.phase, j.pass",
            self.world.database
        );
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.world.connect(self.world.server).await.unwrap(),
        };
        // After a kill of the server there is a new connection.
        let found: Option<(String, u32, u64)> = bounded(conn.query_first(sql)).await.ok()?;
        self.conn = Some(conn);
        let (phase, pass, seen) = found?;
        match (phase.as_str(), pass) {
            ("prepare" | "fence", _) => Some(0),
            ("walk", 1) => Some(seen),
            _ => Some(self.rows * 11 / 10),
        }
    }

    /// Everything that the server has stored, read as the application reads it.
    async fn stored(&self) -> Rows {
        let mut conn = self.world.connect(self.world.proxies[0]).await.unwrap();
        let sql = "SELECT id, phone, address FROM customers ORDER BY id";
        let rows: Vec<Row> = bounded(conn.query(sql)).await.unwrap();
        rows.into_iter().map(|(id, phone, address)| (id, (phone, address))).collect()
    }

    /// The rows are the oracle's, and so says the verification.
    async fn compare(&self, verb: &str, oracle: &Rows) {
        let walks = format!(
            "SELECT DISTINCT pass FROM candado.job WHERE table_schema = '{}' AND verb = '{verb}' AND phase = 'done'",
            self.world.database
        );
        // A second walk would hide what the first one left out.
        assert_eq!(self.bench.deployment.server.sql(&walks), "1\n", "{verb}: one walk is enough");
        assert!(self.stored().await == *oracle, "after {verb} the rows are not the oracle's");
        let verified = block_in_place(|| self.bench.run("verify", &["--json"])).ok().json();
        let nulls = |of: fn(&(Option<String>, Option<String>)) -> bool| oracle.values().filter(|row| of(row)).count();
        for proof in verified.as_array().unwrap() {
            let is_phone = proof["column"].as_str().unwrap().ends_with(".phone");
            let nulls = if is_phone { nulls(|row| row.0.is_none()) } else { nulls(|row| row.1.is_none()) };
            assert_eq!((&proof["rows"], &proof["nulls"]), (&oracle.len().into(), &nulls.into()), "{verb}: {proof:#}");
            let kind = if verb == "decrypt" { "plain" } else { "sealed" };
            assert_eq!((&proof["kind"], &proof["faults"]), (&kind.into(), &0.into()), "{verb}: {proof:#}");
            let keys = if verb == "decrypt" { 0 } else { 1 };
            assert_eq!(proof["by_key"].as_object().unwrap().len(), keys, "{verb}: {proof:#}");
        }
    }
}

/// The command, run again and again until it has succeeded.
struct Runner<'a> {
    bench: &'a Bench<'a>,
    verb: &'a str,
    child: Option<Child>,
    /// The server was killed under it: it may end with that error.
    forgiven: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Running,
    Done,
}

impl Runner<'_> {
    /// Starts the command if it does not run, and looks at its end.
    fn turn(&mut self) -> Turn {
        let (bench, verb) = (self.bench, self.verb);
        let start = || bench.spawn(verb, &["--ddl", "run", "--rows-per-second", "1500"]);
        let Some(status) = self.child.get_or_insert_with(start).try_wait().unwrap() else { return Turn::Running };
        let said = self.child.take().unwrap().wait_with_output().unwrap().stderr;
        if status.success() {
            return Turn::Done;
        }
        let said = String::from_utf8(said).unwrap();
        if said.contains("leave it out") {
            // It was killed when the job was done already.
            return Turn::Done;
        }
        assert!(self.forgiven, "{verb} ended although the server was there: {said}");
        self.forgiven = false;
        Turn::Running
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.forgiven = false;
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}
