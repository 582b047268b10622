//! Three replicas of the real program in network namespaces before one server: rotations of both keys under load, while
//! one replica at a time, drawn from a seed, is stopped or cut off from the server.
//!
//! At clients there are no errors but those of the replica that is disturbed: the end of a connection, and the refusal to
//! write once its lease is over. No row is lost, no key is unknown, and a row that was acknowledged anywhere is found by
//! its index everywhere.
//!
//! Wall clocks are not set apart here, because no replica reads one: leases run on monotonic clocks from before a
//! heartbeat is sent, and the age of a heartbeat is the server's to judge (see `control::key_task`).

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candado::crypto::KeyPurpose;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::netns::Namespace;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, PATIENCE, Provider, Proxy, wait_until};
use crate::support::rotation::Rotation;
use crate::support::server::Kind;
use crate::support::shop::{SECRET, options, policy, prepare};

on_each_server!(rotations_go_on_while_replicas_are_stopped_and_cut_off);

const REPLICAS: u8 = 3;
/// Rotations with a short disturbance each.
const ROTATIONS: u32 = 6;
/// Writers, and as many readers, at each replica.
const WORKERS: u32 = 2;
/// Writes at other replicas that a short disturbance lasts for.
const SHORT: u32 = 40;
/// A client that is not answered for so long connects again.
const GIVES_UP: Duration = Duration::from_secs(20);

/// A replica, and whether it is disturbed.
struct Replica {
    // In this order: the process ends before its network goes.
    proxy: Proxy,
    namespace: Namespace,
    disturbed: AtomicBool,
    /// How often it was.
    disturbances: AtomicU32,
}

impl Replica {
    fn disturb(&self, how: Disturbance) {
        self.disturbances.fetch_add(1, Ordering::SeqCst);
        self.disturbed.store(true, Ordering::SeqCst);
        match how {
            Disturbance::Stopped => self.proxy.signal(Signal::STOP),
            Disturbance::CutOff => self.namespace.cut(),
        }
    }

    fn mend(&self, how: Disturbance) {
        match how {
            Disturbance::Stopped => self.proxy.signal(Signal::CONT),
            Disturbance::CutOff => self.namespace.mend(),
        }
        self.disturbed.store(false, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    /// The process gets no processor time.
    Stopped,
    /// Its link to the server is down.
    CutOff,
}

/// What all workers share.
struct World {
    database: String,
    replicas: Vec<Replica>,
    /// Rows that were acknowledged, by id.
    acknowledged: Mutex<Vec<u32>>,
    next_id: AtomicU32,
    ended: AtomicBool,
    /// Answers that readers compared.
    compared: AtomicU32,
}

impl World {
    async fn connect(&self, replica: usize) -> Result<Conn, Error> {
        let proxy = &self.replicas[replica].proxy;
        let options = options(&proxy.host, proxy.port, &self.database);
        Conn::new(options.user(Some(format!("{}_app", self.database))).pass(Some(SECRET))).await
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    fn any_acknowledged(&self, random: &mut Random) -> Option<u32> {
        let rows = self.acknowledged.lock().unwrap();
        (!rows.is_empty()).then(|| rows[random.below(u32::try_from(rows.len()).unwrap()) as usize])
    }

    /// Waits for so many more acknowledged writes.
    fn wait_for_writes(&self, more: u32) {
        let wanted = self.acknowledged() + more as usize;
        wait_until("clients of the other replicas go on", || self.acknowledged() >= wanted);
    }
}

/// Numbers that follow from a seed (xorshift).
struct Random(u32);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % bound
    }
}

/// Statements that a client prepares once for each connection.
struct Prepared {
    insert: mysql_async::Statement,
    find: mysql_async::Statement,
}

/// A client of one replica: writes or reads until the end, connecting again when its replica was disturbed.
async fn work(world: Arc<World>, replica: usize, writes: bool, mut random: Random) {
    let watched = &world.replicas[replica];
    while !world.ended.load(Ordering::SeqCst) {
        let before = watched.disturbances.load(Ordering::SeqCst);
        let was_disturbed = watched.disturbed.load(Ordering::SeqCst);
        let outcome = converse(&world, replica, writes, &mut random).await;
        let excused = was_disturbed || watched.disturbances.load(Ordering::SeqCst) != before;
        match outcome {
            Ok(()) => {}
            // The lease is over, the server cannot be reached, or the connection ended.
            Err(Error::Server(error)) if excused && [3185, 1429].contains(&error.code) => {}
            Err(Error::Io(_) | Error::Driver(_)) if excused => {}
            Err(error) => {
                panic!(
                    "replica {replica}, disturbed {was_disturbed}, excused {excused}: {error}\n{}",
                    last_words(watched)
                )
            }
        }
    }
}

/// Something that a client waits for as long as clients do.
async fn patient<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    timeout(GIVES_UP, work).await.map_err(late)?
}

fn last_words(replica: &Replica) -> String {
    let events = replica.proxy.events();
    let loud = events.iter().filter(|event| event["level"] == "ERROR" || event["level"] == "WARN");
    let lines: Vec<String> = loud.map(ToString::to_string).collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

async fn converse(world: &World, replica: usize, writes: bool, random: &mut Random) -> Result<(), Error> {
    let mut conn = patient(world.connect(replica)).await?;
    let prepared = Prepared {
        insert: patient(conn.prep("INSERT INTO customers (id, code, note) VALUES (?, ?, ?)")).await?,
        find: patient(conn.prep("SELECT id, note FROM customers WHERE code = ?")).await?,
    };
    while !world.ended.load(Ordering::SeqCst) {
        if writes {
            patient(write(world, &mut conn, &prepared, random)).await?;
        } else {
            patient(read(world, &mut conn, &prepared, random)).await?;
        }
    }
    Ok(())
}

async fn write(world: &World, conn: &mut Conn, prepared: &Prepared, random: &mut Random) -> Result<(), Error> {
    let id = world.next_id.fetch_add(1, Ordering::SeqCst);
    if random.below(2) == 0 {
        conn.exec_drop(&prepared.insert, (id, format!("c{id}"), format!("note {id}"))).await?;
    } else {
        let sql = format!("INSERT INTO customers (id, code, note) VALUES ({id}, 'c{id}', 'first')");
        conn.query_drop(sql).await?;
        conn.query_drop(format!("UPDATE customers SET note = 'note {id}' WHERE code = 'c{id}'")).await?;
    }
    world.acknowledged.lock().unwrap().push(id);
    Ok(())
}

/// A row that was acknowledged, at whatever replica, is found by its index here.
async fn read(world: &World, conn: &mut Conn, prepared: &Prepared, random: &mut Random) -> Result<(), Error> {
    let Some(id) = world.any_acknowledged(random) else {
        tokio::task::yield_now().await;
        return Ok(());
    };
    let found: Vec<(u32, String)> = if random.below(2) == 0 {
        conn.exec(&prepared.find, (format!("c{id}"),)).await?
    } else {
        conn.query(format!("SELECT id, note FROM customers WHERE code = 'c{id}'")).await?
    };
    assert_eq!(found, [(id, format!("note {id}"))], "row {id} was acknowledged");
    world.compared.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn rotations_go_on_while_replicas_are_stopped_and_cut_off(kind: Kind) {
    // Later options win: replicas come from other networks than the loopback one.
    let deployment = Deployment::own(kind, &["--bind-address=0.0.0.0"], Provider::File);
    let database = prepare(&deployment);
    let first = match kind {
        Kind::MySql => 0,
        Kind::MariaDb => REPLICAS,
    };
    let policy = policy(&database);
    let replicas = (first..first + REPLICAS).map(|number| {
        let namespace = Namespace::new(number);
        let proxy = Proxy::start_in(&deployment, &policy, &namespace, 4_000 + u16::from(number));
        Replica { proxy, namespace, disturbed: AtomicBool::new(false), disturbances: AtomicU32::new(0) }
    });
    let world = Arc::new(World {
        database,
        replicas: replicas.collect(),
        acknowledged: Mutex::default(),
        next_id: AtomicU32::new(1),
        ended: AtomicBool::new(false),
        compared: AtomicU32::new(0),
    });
    tokio::task::block_in_place(|| world.replicas.iter().for_each(|replica| replica.proxy.wait_ready()));
    let mut workers = JoinSet::new();
    for replica in 0..usize::from(REPLICAS) {
        for worker in 0..WORKERS * 2 {
            let random = Random(1 + worker + 100 * u32::try_from(replica).unwrap());
            workers.spawn(work(world.clone(), replica, worker % 2 == 0, random));
        }
    }
    let story = tell(&world, &deployment);
    tokio::select! {
        // A worker that panics ends the test at once.
        Some(ended) = workers.join_next() => panic!("a worker ended too early: {ended:?}"),
        () = story => {}
    }
    world.ended.store(true, Ordering::SeqCst);
    timeout(PATIENCE, async {
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
    })
    .await
    .expect("workers end");
    assert_nothing_is_lost(&world, &deployment).await;
}

/// What happens while the workers work.
async fn tell(world: &World, deployment: &Deployment) {
    let key_maker = deployment.key_maker();
    let rotation = deployment.rotation(&key_maker);
    let mut random = Random(20_261_126);
    for number in 0..ROTATIONS {
        let replica = &world.replicas[random.below(u32::from(REPLICAS)) as usize];
        let how = if random.below(2) == 0 { Disturbance::Stopped } else { Disturbance::CutOff };
        println!("rotation {number}: {} is {how:?}", replica.proxy.host);
        replica.disturb(how);
        tokio::task::block_in_place(|| world.wait_for_writes(SHORT));
        // Created while the replica knows nothing of it, and activated when it does.
        let purpose = if number % 2 == 0 { KeyPurpose::Index } else { KeyPurpose::Data };
        let kid = rotation.create(KEYSET, purpose).await;
        tokio::task::block_in_place(|| {
            world.wait_for_writes(SHORT);
            replica.mend(how);
            rotation.wait_for_fence();
            rotation.activate(kid);
            rotation.wait_for_fence();
            world.wait_for_writes(SHORT);
        });
    }
    for how in [Disturbance::CutOff, Disturbance::Stopped] {
        outlast_the_lease(world, &rotation, how, random.below(u32::from(REPLICAS)) as usize).await;
    }
}

/// A replica is away for longer than its lease: the others rotate both keys without it. When it is back, its first answers
/// are right.
async fn outlast_the_lease(world: &World, rotation: &Rotation<'_>, how: Disturbance, number: usize) {
    let replica = &world.replicas[number];
    println!("{} is {how:?} for longer than its lease", replica.proxy.host);
    let mut idle = world.connect(number).await.unwrap();
    let find = idle.prep("SELECT id, note FROM customers WHERE code = ?").await.unwrap();
    replica.disturb(how);
    if how == Disturbance::CutOff {
        tokio::task::block_in_place(|| wait_until("the lease is over", || replica.proxy.metric("write_lease") == 0.0));
        let refused = timeout(PATIENCE, idle.query_drop("INSERT INTO customers (id, code) VALUES (0, 'x')")).await;
        let refused = refused.expect("an answer").expect_err("a refusal");
        assert!(matches!(&refused, Error::Server(error) if error.code == 3185), "{refused}");
    }
    // The fence does not wait for it once it was silent for the lease.
    rotation.rotate(KEYSET, KeyPurpose::Index).await;
    rotation.rotate(KEYSET, KeyPurpose::Data).await;
    tokio::task::block_in_place(|| world.wait_for_writes(SHORT));
    let newest = *world.acknowledged.lock().unwrap().iter().max().unwrap();
    replica.mend(how);
    let found: Vec<(u32, String)> =
        timeout(PATIENCE, idle.exec(&find, (format!("c{newest}"),))).await.expect("an answer").unwrap();
    assert_eq!(found, [(newest, format!("note {newest}"))], "found under an index key that the replica had not known");
    tokio::task::block_in_place(|| {
        rotation.wait_for_fence();
        wait_until("it may write again", || replica.proxy.metric("write_lease") == 1.0);
        world.wait_for_writes(SHORT);
    });
}

async fn assert_nothing_is_lost(world: &World, deployment: &Deployment) {
    let rows: Vec<u32> = world.acknowledged.lock().unwrap().clone();
    println!("{} rows written, {} answers compared", rows.len(), world.compared.load(Ordering::Relaxed));
    assert!(world.compared.load(Ordering::Relaxed) > 0);
    for replica in 0..usize::from(REPLICAS) {
        let mut conn = world.connect(replica).await.unwrap();
        let all: Vec<(u32, String, String)> =
            conn.query("SELECT id, code, note FROM customers ORDER BY id").await.unwrap();
        let all: std::collections::HashMap<u32, (String, String)> =
            all.into_iter().map(|(id, code, note)| (id, (code, note))).collect();
        for id in &rows {
            assert_eq!(all.get(id), Some(&(format!("c{id}"), format!("note {id}"))), "replica {replica}, row {id}");
        }
    }
    // Keys that somebody met before his ring had them were found: nobody was refused, or a worker would have ended.
    let sealed = format!("SELECT COUNT(*) FROM `{}`.customers WHERE HEX(code) NOT LIKE 'C1FE1D01%'", world.database);
    assert_eq!(deployment.server.sql(&sealed), "0\n");
    let used = format!("SELECT COUNT(DISTINCT SUBSTR(HEX(code), 49, 8)) FROM `{}`.customers", world.database);
    let used: u32 = deployment.server.sql(&used).trim_end().parse().unwrap();
    assert!(used > ROTATIONS / 2, "rows were written under {used} data keys");
}
