//! Writers and readers at three replicas, and what they hold the answers against.
//!
//! Each row has one writer, who counts in its note how often he wrote it. A row whose last write may or may not have
//! happened, because its replica was disturbed, is left alone from then on: a statement that a stopped process still sends
//! must not meet a later one. Writers find their rows by primary key: a look-up that locks, beside rows that get another
//! index key, may end in a deadlock, as with every change of an indexed column, and applications try such a transaction again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::support::netns::Namespace;
use crate::support::proxy::{Proxy, wait_until};
use crate::support::shop::{SECRET, options};

/// Rows of one writer. Then he writes them again.
const ROWS_MAX: usize = 300;
/// A client that is not answered for so long connects again.
const GIVES_UP: Duration = Duration::from_secs(20);

/// A replica, and whether it is disturbed.
pub(super) struct Replica {
    // In this order: the process ends before its network goes.
    pub(super) proxy: Proxy,
    pub(super) namespace: Namespace,
    disturbed: AtomicBool,
    /// How often it was.
    disturbances: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// The process gets no processor time.
    Stopped,
    /// Its link to the server is down.
    CutOff,
}

impl Replica {
    pub(super) fn new(proxy: Proxy, namespace: Namespace) -> Self {
        Self { proxy, namespace, disturbed: AtomicBool::new(false), disturbances: AtomicU32::new(0) }
    }

    pub(super) fn disturb(&self, how: Disturbance) {
        self.disturbances.fetch_add(1, Ordering::SeqCst);
        self.disturbed.store(true, Ordering::SeqCst);
        match how {
            Disturbance::Stopped => self.proxy.signal(Signal::STOP),
            Disturbance::CutOff => self.namespace.cut(),
        }
    }

    pub(super) fn mend(&self, how: Disturbance) {
        match how {
            Disturbance::Stopped => self.proxy.signal(Signal::CONT),
            Disturbance::CutOff => self.namespace.mend(),
        }
        self.disturbed.store(false, Ordering::SeqCst);
    }
}

/// How often a row was written: so often for certain, and perhaps once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) acknowledged: u32,
    pub(super) attempted: u32,
}

/// What all workers share.
pub(super) struct World {
    pub(super) database: String,
    pub(super) replicas: Vec<Replica>,
    /// Every row that anybody tried to write, by id.
    pub(super) rows: Mutex<BTreeMap<u32, Written>>,
    pub(super) ended: AtomicBool,
    /// Answers that readers compared.
    pub(super) compared: AtomicU32,
    /// Writes that were acknowledged.
    pub(super) written: AtomicU32,
}

impl World {
    pub(super) fn new(database: String, replicas: Vec<Replica>) -> Self {
        Self {
            database,
            replicas,
            rows: Mutex::default(),
            ended: AtomicBool::new(false),
            compared: AtomicU32::new(0),
            written: AtomicU32::new(0),
        }
    }

    pub(super) async fn connect(&self, replica: usize) -> Result<Conn, Error> {
        let proxy = &self.replicas[replica].proxy;
        let options = options(&proxy.host, proxy.port, &self.database);
        Conn::new(options.user(Some(format!("{}_app", self.database))).pass(Some(SECRET))).await
    }

    /// Waits for so many more acknowledged writes.
    pub(super) fn wait_for_writes(&self, more: u32) {
        let wanted = self.written.load(Ordering::SeqCst) + more;
        wait_until("clients of the other replicas go on", || self.written.load(Ordering::SeqCst) >= wanted);
    }

    /// Unknown keys that replicas have met.
    pub(super) fn unknown_keys(&self) -> f64 {
        self.replicas.iter().map(|replica| replica.proxy.metric("unknown_keys_total")).sum()
    }

    fn row(&self, id: u32) -> Written {
        self.rows.lock().unwrap().get(&id).copied().unwrap_or_default()
    }

    fn any_acknowledged(&self, random: &mut Random) -> Option<u32> {
        let rows = self.rows.lock().unwrap();
        let start = random.below(rows.keys().next_back().map_or(1, |last| last + 1));
        let mut later = rows.range(start..).chain(rows.iter()).filter(|(_, written)| written.acknowledged > 0);
        later.next().map(|(id, _)| *id)
    }
}

/// Numbers that follow from a seed (xorshift).
pub(super) struct Random(pub(super) u32);

impl Random {
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % bound
    }

    pub(super) fn replica(&mut self, world: &World) -> usize {
        self.below(u32::try_from(world.replicas.len()).unwrap()) as usize
    }
}

/// What a client does.
pub(super) enum Task {
    /// Writes rows, the first one with this id.
    Write {
        first: u32,
    },
    Read,
}

/// A client of one replica.
pub(super) struct Worker {
    pub(super) world: Arc<World>,
    pub(super) replica: usize,
    pub(super) task: Task,
    pub(super) random: Random,
    /// The writer's rows that he may write again.
    pub(super) own: Vec<u32>,
}

/// Statements that a client prepares once for each connection.
struct Prepared {
    insert: mysql_async::Statement,
    update: mysql_async::Statement,
    find: mysql_async::Statement,
}

impl Worker {
    /// Writes or reads until the end, connecting again when its replica was disturbed.
    pub(super) async fn work(mut self) {
        let world = self.world.clone();
        let watched = &world.replicas[self.replica];
        while !world.ended.load(Ordering::SeqCst) {
            let before = watched.disturbances.load(Ordering::SeqCst);
            let was_disturbed = watched.disturbed.load(Ordering::SeqCst);
            let outcome = self.converse().await;
            let excused = was_disturbed || watched.disturbances.load(Ordering::SeqCst) != before;
            match outcome {
                Ok(()) => {}
                // The lease is over, the server cannot be reached, or the connection ended.
                Err(Error::Server(error)) if excused && [3185, 1429].contains(&error.code) => {}
                Err(Error::Io(_) | Error::Driver(_)) if excused => {}
                Err(error) => {
                    panic!(
                        "replica {}, disturbed {was_disturbed}, excused {excused}: {error}\n{}",
                        self.replica,
                        last_words(watched)
                    )
                }
            }
        }
    }

    async fn converse(&mut self) -> Result<(), Error> {
        let world = self.world.clone();
        let mut conn = patient(world.connect(self.replica)).await?;
        let prepared = Prepared {
            insert: patient(conn.prep("INSERT INTO customers (id, code, note) VALUES (?, ?, ?)")).await?,
            update: patient(conn.prep("UPDATE customers SET code = ?, note = ? WHERE id = ?")).await?,
            find: patient(conn.prep("SELECT id, note FROM customers WHERE code = ?")).await?,
        };
        while !world.ended.load(Ordering::SeqCst) {
            match self.task {
                Task::Write { first } => self.write(&mut conn, &prepared, first).await?,
                Task::Read => patient(self.read(&mut conn, &prepared)).await?,
            }
        }
        Ok(())
    }

    /// Writes a new row, or one of his own again.
    async fn write(&mut self, conn: &mut Conn, prepared: &Prepared, first: u32) -> Result<(), Error> {
        let id = if self.own.len() < ROWS_MAX {
            let rows = self.world.rows.lock().unwrap();
            rows.range(first..first + 1_000_000).next_back().map_or(first, |(last, _)| last + 1)
        } else {
            self.own.swap_remove(self.random.below(u32::try_from(self.own.len()).unwrap()) as usize)
        };
        let attempted = {
            let mut rows = self.world.rows.lock().unwrap();
            let row = rows.entry(id).or_default();
            row.attempted += 1;
            row.attempted
        };
        let (code, note) = (format!("c{id}"), format!("note {id} {attempted}"));
        let is_text = self.random.below(2) == 0;
        match (attempted, is_text) {
            (1, true) => {
                let sql = format!("INSERT INTO customers (id, code, note) VALUES ({id}, '{code}', '{note}')");
                patient(conn.query_drop(sql)).await?;
            }
            (1, false) => patient(conn.exec_drop(&prepared.insert, (id, code, note))).await?,
            (_, true) => {
                let sql = format!("UPDATE customers SET code = '{code}', note = '{note}' WHERE id = {id}");
                patient(conn.query_drop(sql)).await?;
            }
            (_, false) => patient(conn.exec_drop(&prepared.update, (code, note, id))).await?,
        }
        assert_eq!(conn.affected_rows(), 1, "row {id} is written");
        self.world.rows.lock().unwrap().entry(id).or_default().acknowledged = attempted;
        self.own.push(id);
        self.world.written.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// A row that was acknowledged, at whatever replica, is found by its index here, and holds what was written last.
    async fn read(&mut self, conn: &mut Conn, prepared: &Prepared) -> Result<(), Error> {
        let Some(id) = self.world.any_acknowledged(&mut self.random) else {
            tokio::task::yield_now().await;
            return Ok(());
        };
        let before = self.world.row(id);
        let found: Vec<(u32, String)> = if self.random.below(2) == 0 {
            conn.exec(&prepared.find, (format!("c{id}"),)).await?
        } else {
            conn.query(format!("SELECT id, note FROM customers WHERE code = 'c{id}'")).await?
        };
        let after = self.world.row(id);
        let [(found_id, note)] = found.as_slice() else { panic!("row {id} was acknowledged: {found:?}") };
        assert_eq!(*found_id, id);
        assert_between(id, note, before.acknowledged, after.attempted);
        self.world.compared.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A row's note tells a write that is no earlier and no later than these.
pub(super) fn assert_between(id: u32, note: &str, earliest: u32, latest: u32) {
    let written = note.strip_prefix(&format!("note {id} ")).and_then(|number| number.parse::<u32>().ok());
    let is_right = written.is_some_and(|written| (earliest..=latest).contains(&written));
    assert!(is_right, "row {id} holds {note:?}, not write {earliest} to {latest}");
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
