//! An application that knows what its rows must be, also after its connection was lost in the middle of a statement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use tokio::sync::watch;

use super::super::seeded::Seeded;
use crate::support::shop::bounded;

/// Phone and address.
pub(super) type Cells = (Option<String>, Option<String>);
/// A row as it is read.
pub(super) type Row = (u64, Option<String>, Option<String>);
/// Rows by primary key.
pub(super) type Rows = BTreeMap<u64, Cells>;

/// Writers, and proxies: each has its own, and rows of its own.
pub(super) const WRITERS: u64 = 2;
/// Rows that are compared after a disturbance.
const COMPARED: u64 = 400;
/// A string of bytes that a column of text cannot be compared with: MySQL's code and MariaDB's.
const BYTES_FOR_TEXT: [u16; 2] = [3854, 1300];

/// What the test tells the writers.
pub(super) struct World {
    pub(super) database: String,
    /// Ports of the proxies, by writer, and of the server.
    pub(super) proxies: Vec<u16>,
    pub(super) server: u16,
    /// For each proxy: raised when it, or the server, is killed, and again when it is back. Odd: it is away.
    pub(super) disturbed: Vec<watch::Sender<u64>>,
    /// Kills of the server.
    pub(super) crashes: AtomicU64,
    /// Comparisons that were asked for.
    pub(super) checks: AtomicU64,
    pub(super) stop: AtomicBool,
    /// The columns may be getting their own type back: for the two seconds until a proxy knows of it, look-ups that
    /// still ask for bytes are refused by the server.
    pub(super) restoring: AtomicBool,
}

impl World {
    pub(super) async fn connect(&self, port: u16) -> Result<Conn, Error> {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port)
            .user(Some("root"))
            .db_name(Some(self.database.clone()))
            .prefer_socket(false)
            .stmt_cache_size(0);
        bounded(Conn::new(options)).await
    }
}

/// A connection, and what it was made under.
struct Link {
    conn: Conn,
    /// The server's number for it.
    id: u64,
    disturbed: u64,
    crashes: u64,
}

pub(super) struct Writer {
    world: Arc<World>,
    number: u64,
    link: Link,
    pub(super) own: Rows,
    next_id: u64,
    seeded: Seeded,
    checked: u64,
    pub(super) statements: u64,
    /// Statements of which the end was not heard.
    pub(super) unheard: u64,
}

impl Writer {
    pub(super) async fn new(world: Arc<World>, number: u64, own: Rows) -> Self {
        let link = link(&world, number).await;
        let (next_id, seeded) = (1_000_000 + number, Seeded(number + 11));
        Self { world, number, link, own, next_id, seeded, checked: 0, statements: 0, unheard: 0 }
    }

    /// Works until it is told to stop.
    pub(super) async fn run(mut self) -> Self {
        while !self.world.stop.load(Ordering::SeqCst) {
            self.step().await;
            self.statements += 1;
            let wanted = self.world.checks.load(Ordering::SeqCst);
            if wanted != self.checked && self.check().await {
                self.checked = wanted;
            }
        }
        self
    }

    async fn step(&mut self) {
        let id = *self.own.keys().nth(self.seeded.next(self.own.len() as u64) as usize).unwrap();
        let value = format!("w{} {} ö😀", self.number, self.seeded.next(500));
        let before = self.own[&id].clone();
        match self.seeded.next(10) {
            0..=3 => {
                let sql = format!("UPDATE customers SET phone = '{value}' WHERE id = {id}");
                self.change(id, &sql, Some((Some(value), before.1))).await;
            }
            4 => {
                let sql = format!("UPDATE customers SET address = NULL, phone = '' WHERE id = {id}");
                self.change(id, &sql, Some((Some(String::new()), None))).await;
            }
            5 => {
                let id = self.next_id;
                self.next_id += WRITERS;
                let sql = format!(
                    "INSERT INTO customers (id, name, phone, address) VALUES ({id}, 'n', '{value}', '{value}')"
                );
                self.change(id, &sql, Some((Some(value.clone()), Some(value)))).await;
            }
            6 => self.change(id, &format!("DELETE FROM customers WHERE id = {id}"), None).await,
            7 => drop(self.compare(&format!("id = {id}"), |row, _| row == id).await),
            _ => drop(self.search(&value).await),
        }
    }

    /// Changes a row. If the answer is lost, the row says what has become of it.
    async fn change(&mut self, id: u64, sql: &str, after: Option<Cells>) {
        let before = self.own.get(&id).cloned();
        let Err(error) = bounded(self.link.conn.query_drop(sql)).await else {
            return self.is_now(id, after);
        };
        self.lost(sql, &error).await;
        loop {
            let sql = format!("SELECT id, phone, address FROM customers WHERE id = {id}");
            let Some(found) = self.rows(&sql).await else { continue };
            let found = found.into_iter().next().map(|(_, cells)| cells);
            assert!(found == after || found == before, "row {id} is neither as before nor as after");
            return self.is_now(id, found);
        }
    }

    fn is_now(&mut self, id: u64, cells: Option<Cells>) {
        match cells {
            Some(cells) => drop(self.own.insert(id, cells)),
            None => drop(self.own.remove(&id)),
        }
    }

    /// No row is lost, and a part of the rows, other at each time, is what it must be and is found. `false`: the
    /// connection was lost meanwhile.
    async fn check(&mut self) -> bool {
        let count = format!("SELECT COUNT(*), NULL, NULL FROM customers WHERE id % {WRITERS} = {}", self.number);
        let Some(counted) = self.rows(&count).await else { return false };
        assert_eq!(counted.keys().copied().collect::<Vec<_>>(), [self.own.len() as u64], "rows");
        let largest = self.own.range(..1_000_000).next_back().map(|(id, _)| *id).unwrap_or(1);
        let from = self.seeded.next(largest);
        let to = from + COMPARED;
        if !self.compare(&format!("id BETWEEN {from} AND {to}"), |id, _| (from..=to).contains(&id)).await {
            return false;
        }
        for _ in 0..5 {
            let id = *self.own.keys().nth(self.seeded.next(self.own.len() as u64) as usize).unwrap();
            if let Some(phone) = self.own[&id].0.clone()
                && !self.search(&phone).await
            {
                return false;
            }
        }
        true
    }

    /// Looks a telephone number up.
    async fn search(&mut self, phone: &str) -> bool {
        self.compare(&format!("phone = '{phone}'"), |_, cells| cells.0.as_deref() == Some(phone)).await
    }

    /// Whether rows under a condition are the own ones that `is_meant`. `false`: no answer came.
    async fn compare(&mut self, condition: &str, is_meant: impl Fn(u64, &Cells) -> bool) -> bool {
        let own = format!("id % {WRITERS} = {}", self.number);
        let sql = format!("SELECT id, phone, address FROM customers WHERE {condition} AND {own}");
        let Some(found) = self.rows(&sql).await else { return false };
        let expected: Rows =
            self.own.iter().filter(|(id, row)| is_meant(**id, row)).map(|(id, row)| (*id, row.clone())).collect();
        assert_eq!(found, expected, "{condition}");
        true
    }

    /// Reads rows. `None`: the connection was lost, and there is a new one; or the column changes its type.
    async fn rows(&mut self, sql: &str) -> Option<Rows> {
        match bounded(self.link.conn.query::<Row, _>(sql)).await {
            Ok(rows) => Some(rows.into_iter().map(|(id, phone, address)| (id, (phone, address))).collect()),
            Err(Error::Server(error))
                if self.world.restoring.load(Ordering::SeqCst) && BYTES_FOR_TEXT.contains(&error.code) =>
            {
                None
            }
            Err(error) => {
                self.lost(sql, &error).await;
                None
            }
        }
    }

    /// An error is forgiven if the proxy or the server was killed since the connection was made. Waits until they are
    /// back, and until nothing of the old connection runs any more.
    async fn lost(&mut self, sql: &str, error: &Error) {
        let now = *self.world.disturbed[self.number as usize].borrow();
        assert_ne!(now, self.link.disturbed, "nothing was killed: {sql}: {error}");
        self.unheard += 1;
        let (old, crashes) = (self.link.id, self.link.crashes);
        self.link = link(&self.world, self.number).await;
        // A server that was killed since then ended the old connection, and numbers new ones from the beginning.
        while self.world.crashes.load(Ordering::SeqCst) == crashes {
            let sql = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {old}");
            if let Ok(Some(0_u64)) = bounded(self.link.conn.query_first(sql)).await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A new connection through a writer's proxy, as soon as nothing is away.
async fn link(world: &World, number: u64) -> Link {
    let mut state = world.disturbed[number as usize].subscribe();
    loop {
        let disturbed = *bounded(state.wait_for(|count| count % 2 == 0)).await.unwrap();
        let crashes = world.crashes.load(Ordering::SeqCst);
        let made = async {
            let mut conn = world.connect(world.proxies[number as usize]).await?;
            let id = bounded(conn.query_first("SELECT CONNECTION_ID()")).await?.unwrap();
            Ok::<_, Error>(Link { conn, id, disturbed, crashes })
        };
        match made.await {
            Ok(link) => return link,
            Err(error) => assert_ne!(*state.borrow(), disturbed, "nothing was killed: {error}"),
        }
    }
}
