//! Three replicas of the real program in network namespaces before one server: rotations of both keys under load by
//! `candado keys rotate`, while one replica at a time, drawn from a seed, is stopped or cut off from the server. Rows are
//! sealed again under load as well, until no key but the newest is needed.
//!
//! At clients there are no errors but those of the replica that is disturbed: the end of a connection, and the refusal to
//! write once its lease is over. No row is lost, no key is unknown, and a row that was acknowledged anywhere is found by
//! its index everywhere.
//!
//! Wall clocks are not set apart here, because no replica reads one: leases run on monotonic clocks from before a
//! heartbeat is sent, and the age of a heartbeat is the server's to judge (see `control::key_task`).

mod load;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mysql_async::Error;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;

use crate::support::key_store::BACKFILL;
use crate::support::netns::Namespace;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, PATIENCE, Provider, Proxy, SecurityTeam, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{PROTECTED, policy, prepare};
use load::{Disturbance, Random, Replica, Task, Worker, World, assert_between};

on_each_server!(rotations_go_on_while_replicas_are_stopped_and_cut_off);

/// Of replicas and security team. What was sealed while a lease held arrives within that time behind its end, or never.
const LIMITS: &str = "write_timeout_s = 5";
/// Lease and write time-out, and what a transaction may have been open for when a scan begins.
const STRAGGLERS_S: u32 = 30 + 5 + 4;
const REPLICAS: u8 = 3;
/// Writers, and as many readers, at each replica.
const WORKERS: u32 = 2;
/// Rotations of both keys in a round.
const ROTATIONS: usize = 2 * (1 + DATA_ROTATIONS);
/// Rotations of the data key that belong to each one of the index key.
const DATA_ROTATIONS: usize = 4;
/// Writes that a short disturbance lasts for, at most and at least.
const SHORT: u32 = 40;

/// When a short disturbance begins.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Before the command is run.
    Before,
    /// When the new key is pending.
    Pending,
    /// When it is active.
    Active,
}

/// What people do while the workers work.
struct Story<'a> {
    world: &'a World,
    deployment: &'a Deployment,
    team: SecurityTeam<'a>,
    random: Random,
    rotations: u32,
    /// How a replica is away for longer than its lease, for each round.
    absences: Vec<Disturbance>,
}

/// `CANDADO_ROUNDS` is their number; without it there is one, as in CI.
fn rounds() -> usize {
    std::env::var("CANDADO_ROUNDS").map_or(1, |text| text.parse().expect("a number"))
}

async fn rotations_go_on_while_replicas_are_stopped_and_cut_off(kind: Kind) {
    // Later options win: replicas come from other networks than the loopback one.
    let deployment = Deployment::own(kind, &["--bind-address=0.0.0.0"], Provider::File);
    let database = prepare(&deployment);
    deployment.server.sql(&format!("GRANT SELECT, UPDATE, TRIGGER ON `{database}`.* TO {BACKFILL}"));
    let (first, absences) = match kind {
        Kind::MySql => (0, [Disturbance::CutOff, Disturbance::Stopped]),
        Kind::MariaDb => (REPLICAS, [Disturbance::Stopped, Disturbance::CutOff]),
    };
    let absences: Vec<_> = absences.into_iter().cycle().take(rounds()).collect();
    let policy = policy(&database);
    let replicas = (first..first + REPLICAS).map(|number| {
        let namespace = Namespace::new(number);
        Replica::new(Proxy::start_in(&deployment, &policy, LIMITS, &namespace, 4_000 + u16::from(number)), namespace)
    });
    let world = Arc::new(World::new(database, replicas.collect()));
    block_in_place(|| world.replicas.iter().for_each(|replica| replica.proxy.wait_ready()));
    let mut workers = JoinSet::new();
    for replica in 0..usize::from(REPLICAS) {
        for number in 0..WORKERS * 2 {
            let place = number + 100 * u32::try_from(replica).unwrap();
            let task = if number % 2 == 0 { Task::Write { first: 1 + place * 1_000_000 } } else { Task::Read };
            let worker = Worker { world: world.clone(), replica, task, random: Random(1 + place), own: vec![] };
            workers.spawn(worker.work());
        }
    }
    let team = deployment.security_team(&policy);
    team.configure(&format!("[limits]\n{LIMITS}\n"));
    let random = Random(20_261_126);
    let mut story = Story { world: &world, deployment: &deployment, team, random, rotations: 0, absences };
    tokio::select! {
        // A worker that panics ends the test at once.
        Some(ended) = workers.join_next() => panic!("a worker ended too early: {ended:?}"),
        () = story.tell() => {}
    }
    world.ended.store(true, Ordering::SeqCst);
    timeout(PATIENCE, async {
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
    })
    .await
    .expect("workers end");
    assert_eq!(usize::try_from(story.rotations).unwrap(), ROTATIONS * rounds());
    assert_nothing_is_lost(&world).await;
}

impl Story<'_> {
    async fn tell(&mut self) {
        for how in self.absences.clone() {
            let met = self.world.unknown_keys();
            block_in_place(|| {
                self.rotate_disturbed("index");
                for _ in 0..DATA_ROTATIONS {
                    self.rotate_disturbed("data");
                }
                self.renew_index();
            });
            assert_eq!(self.world.unknown_keys(), met, "no replica met a key that it did not know");
            self.outlast_the_lease(how).await;
            block_in_place(|| {
                for _ in 1..DATA_ROTATIONS {
                    self.rotate_disturbed("data");
                }
                self.renew_index();
            });
        }
        block_in_place(|| self.put_old_keys_aside());
    }

    /// `candado keys rotate`, as the program says it.
    fn rotate(&mut self, purpose: &str) -> Value {
        self.rotations += 1;
        self.team.done(&["rotate", KEYSET, "--purpose", purpose])
    }

    /// A rotation, and a replica that is disturbed for a while at some moment around it.
    fn rotate_disturbed(&mut self, purpose: &'static str) {
        let random = &mut self.random;
        let world = self.world;
        let replica = &world.replicas[random.replica(world)];
        let how = if random.below(2) == 0 { Disturbance::Stopped } else { Disturbance::CutOff };
        let moment = [Moment::Before, Moment::Pending, Moment::Active][random.below(3) as usize];
        let (later, lasts) = (random.below(SHORT), SHORT + random.below(SHORT));
        println!("rotation {}, {purpose}: {} is {how:?}, {moment:?}", self.rotations, replica.proxy.host);
        let newest = self.number("SELECT MAX(kid) FROM candado.data_key");
        let deployment = self.deployment;
        let come = move || {
            let state = match moment {
                Moment::Before => return true,
                Moment::Pending => "",
                Moment::Active => "AND state = 'active'",
            };
            let sql = format!("SELECT COUNT(*) FROM candado.data_key WHERE kid > {newest} {state}");
            deployment.server.sql(&sql) != "0\n"
        };
        std::thread::scope(|scope| {
            let disturbing = scope.spawn(move || {
                wait_until("the moment has come", come);
                world.wait_for_writes(later);
                replica.disturb(how);
                world.wait_for_writes(lasts);
                replica.mend(how);
            });
            if matches!(moment, Moment::Before) {
                world.wait_for_writes(later);
            }
            self.rotate(purpose);
            disturbing.join().expect("the replica is mended");
        });
    }

    /// A replica is away for longer than its lease: the others rotate both keys without it. When it is back, its first
    /// answers are right.
    async fn outlast_the_lease(&mut self, how: Disturbance) {
        let world = self.world;
        let number = self.random.replica(world);
        let replica = &world.replicas[number];
        println!("{} is {how:?} for longer than its lease", replica.proxy.host);
        let mut idle = world.connect(number).await.unwrap();
        let find = idle.prep("SELECT id, note FROM customers WHERE code = ?").await.unwrap();
        replica.disturb(how);
        if how == Disturbance::CutOff {
            block_in_place(|| wait_until("the lease is over", || replica.proxy.metric("write_lease") == 0.0));
            let refused = timeout(PATIENCE, idle.query_drop("INSERT INTO customers (id, code) VALUES (0, 'x')")).await;
            let refused = refused.expect("an answer").expect_err("a refusal");
            assert!(matches!(&refused, Error::Server(error) if error.code == 3185), "{refused}");
        }
        // The fence does not wait for it once it was silent for the lease.
        for purpose in ["index", "data"] {
            let rotated = block_in_place(|| self.rotate(purpose));
            assert_eq!(rotated["replicas"], REPLICAS - 1, "{rotated}");
        }
        // A row that the others have written since, under keys of which the replica knows nothing.
        let row = || {
            let rows = world.rows.lock().unwrap();
            rows.iter().map(|(id, row)| (*id, row.acknowledged)).collect::<BTreeMap<_, _>>()
        };
        let before = row();
        block_in_place(|| world.wait_for_writes(SHORT));
        let (id, least) = row().into_iter().find(|(id, written)| before.get(id) != Some(written)).unwrap();
        replica.mend(how);
        let found: Vec<(u32, String)> =
            timeout(PATIENCE, idle.exec(&find, (format!("c{id}"),))).await.expect("an answer").unwrap();
        assert_eq!(found.len(), 1, "found under an index key that the replica had not known");
        assert_between(id, &found[0].1, least, u32::MAX);
        block_in_place(|| {
            wait_until("it may write again", || replica.proxy.metric("write_lease") == 1.0);
            world.wait_for_writes(SHORT);
        });
    }

    /// Rows get the newest index key, and the one before is put aside: only then can there be another one.
    fn renew_index(&self) {
        println!("rows are indexed again, after {} writes", self.world.written.load(Ordering::SeqCst));
        self.team.convert("reindex", &self.columns(&["code"]));
        let old = self.keys("index", "decrypt_only");
        assert_eq!(old.len(), 1, "{old:?}");
        self.verify("index");
        self.retire(&old);
    }

    /// After all rotations: rows are sealed again until nothing is under an old key, and this is proof enough to put each
    /// of them aside.
    fn put_old_keys_aside(&self) {
        let [active] = self.keys("data", "active")[..] else { panic!("one key is active") };
        let old = self.keys("data", "decrypt_only");
        assert_eq!(old.len(), 2 * DATA_ROTATIONS * rounds(), "{old:?}");
        println!("rows are sealed again, after {} writes", self.world.written.load(Ordering::SeqCst));
        self.team.convert("reencrypt", &self.columns(&PROTECTED));
        self.world.wait_for_writes(SHORT);
        assert_eq!(self.cells("CONV(HEX(SUBSTRING({c}, 9 + ORD(SUBSTRING({c}, 5, 1)), 4)), 16, 10)"), [active]);
        let version = self.number("SELECT version FROM candado.data_key WHERE purpose = 'index' AND state = 'active'");
        assert_eq!(self.cells("NULLIF(CONV(HEX(SUBSTRING({c}, 6, 2)), 16, 10), 0)"), [version]);
        self.verify("data");
        self.retire(&old);
        self.world.wait_for_writes(SHORT);
    }

    /// What a number in the envelopes is, over all cells, without repetition.
    fn cells(&self, number: &str) -> Vec<u64> {
        let database = &self.world.database;
        let of = |column: &&str| {
            let number = number.replace("{c}", column);
            format!("SELECT {number} AS number FROM `{database}`.customers WHERE {column} IS NOT NULL")
        };
        let all: Vec<String> = PROTECTED.iter().map(of).collect();
        let sql = format!("SELECT DISTINCT number FROM ({}) found WHERE number IS NOT NULL", all.join(" UNION ALL "));
        self.deployment.server.sql(&sql).lines().map(|line| line.parse().unwrap()).collect()
    }

    fn keys(&self, purpose: &str, state: &str) -> Vec<u64> {
        let sql = format!(
            "SELECT k.kid FROM candado.data_key k JOIN candado.keyset s USING (keyset_id) \
             WHERE s.name = '{KEYSET}' AND k.purpose = '{purpose}' AND k.state = '{state}' ORDER BY 1"
        );
        self.deployment.server.sql(&sql).lines().map(|line| line.parse().unwrap()).collect()
    }

    fn number(&self, sql: &str) -> u64 {
        self.deployment.server.sql(sql).trim().parse().unwrap()
    }

    fn columns(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("{}.customers.{name}", self.world.database)).collect()
    }

    /// A proof that counts: made when every proxy has certainly stopped writing under older keys of that purpose.
    fn verify(&self, purpose: &str) {
        let sql = format!(
            "SELECT COUNT(*) FROM candado.data_key WHERE purpose = '{purpose}' \
             AND deactivated_at > UTC_TIMESTAMP(6) - INTERVAL {STRAGGLERS_S} SECOND"
        );
        wait_until("what was sealed before the last rotation has arrived", || self.number(&sql) == 0);
        self.team.convert("verify", &[]);
    }

    /// Puts keys aside, as soon as every proxy knows of the act before.
    fn retire(&self, kids: &[u64]) {
        let kids: Vec<String> = kids.iter().map(ToString::to_string).collect();
        let arguments: Vec<&str> = std::iter::once("retire").chain(kids.iter().map(String::as_str)).collect();
        wait_until("the keys are put aside", || {
            let (code, document, errors) = self.team.run(&arguments);
            assert!(code == 0 || document["refused"]["code"] == "replica_behind", "{document:#}{errors}");
            code == 0
        });
    }
}

async fn assert_nothing_is_lost(world: &World) {
    let rows = world.rows.lock().unwrap().clone();
    let (written, compared) = (world.written.load(Ordering::SeqCst), world.compared.load(Ordering::SeqCst));
    println!("{} rows, {written} writes, {compared} answers compared", rows.len());
    assert!(compared > 0);
    for replica in 0..usize::from(REPLICAS) {
        let mut conn = world.connect(replica).await.unwrap();
        let all: Vec<(u32, String, String)> = conn.query("SELECT id, code, note FROM customers").await.unwrap();
        let mut all: BTreeMap<_, _> = all.into_iter().map(|(id, code, note)| (id, (code, note))).collect();
        for (id, row) in &rows {
            match all.remove(id) {
                Some((code, note)) => {
                    assert_eq!(code, format!("c{id}"), "replica {replica}");
                    assert_between(*id, &note, row.acknowledged, row.attempted);
                }
                None => assert_eq!(row.acknowledged, 0, "replica {replica}: row {id} is lost"),
            }
        }
        assert!(all.is_empty(), "rows that nobody wrote: {all:?}");
    }
}
