//! The whole circle while applications write and search through a proxy: nothing fails, nothing is lost, and at the end
//! every row is what an oracle says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::task::JoinSet;

use super::Bench;
use super::seeded::Seeded;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider};
use crate::support::server::Kind;
use crate::support::shop::bounded;

on_each_server!(applications_go_on_while_columns_are_converted);

/// Phone and address by primary key.
type Rows = BTreeMap<u64, (Option<String>, Option<String>)>;

/// Writers; each has rows of its own, so that its oracle is exact.
const WRITERS: u64 = 2;

async fn applications_go_on_while_columns_are_converted(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let bench = Bench::with_rows(&deployment, 2000);
    // Registers the columns as plaintext, and stops before the table is changed.
    let registered = bench.run("encrypt", &[]);
    assert!(!registered.succeeded && registered.stderr.contains("must be run first"), "{}", registered.stderr);
    let proxy = bench.proxy();

    let (stop, restoring) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let conn = connect(proxy.port, &bench.database).await;
        let rows = read(&mut connect(deployment.server.port, &bench.database).await).await;
        let own = rows.into_iter().filter(|(id, _)| id % WRITERS == number).collect();
        let writer = Writer {
            conn,
            own,
            number,
            seeded: Seeded(number + 11),
            next_id: 100_000 + number,
            statements: 0,
            restoring: restoring.clone(),
        };
        writers.spawn(writer.run(stop.clone()));
    }
    for (verb, purpose) in
        [("encrypt", None), ("reencrypt", Some("data")), ("reindex", Some("index")), ("decrypt", None)]
    {
        if let Some(purpose) = purpose {
            bench.keys(&["rotate", KEYSET, "--purpose", purpose]);
        }
        restoring.store(verb == "decrypt", Ordering::Relaxed);
        let run = tokio::task::block_in_place(|| bench.run(verb, &["--ddl", "run", "--json"])).ok().json();
        let proof = &run["proofs"][0];
        match verb {
            "decrypt" => assert_eq!(proof["kind"], "plain", "{run:#}"),
            _ => assert_eq!(proof["kind"], "sealed", "{run:#}"),
        }
        if verb != "decrypt" {
            assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0), "after {verb}");
            assert_eq!(proof["by_key"].as_object().unwrap().len(), 1, "{verb}: {run:#}");
            assert_eq!(proof["by_index_version"].as_object().unwrap().len(), 1, "{verb}: {run:#}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut oracle = Rows::new();
    while let Some(writer) = writers.join_next().await {
        let (rows, statements) = writer.unwrap();
        assert!(statements > 50, "a writer that did nothing proves nothing: {statements}");
        oracle.extend(rows);
    }
    assert_eq!(read(&mut connect(proxy.port, &bench.database).await).await, oracle, "through the proxy");
    assert_eq!(read(&mut connect(deployment.server.port, &bench.database).await).await, oracle, "as it is stored");
}

async fn connect(port: u16, database: &str) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some("root"))
        .db_name(Some(database.to_owned()))
        .prefer_socket(false)
        .stmt_cache_size(0);
    bounded(Conn::new(options)).await.unwrap()
}

async fn read(conn: &mut Conn) -> Rows {
    let rows: Vec<(u64, Option<String>, Option<String>)> =
        bounded(conn.query("SELECT id, phone, address FROM customers ORDER BY id")).await.unwrap();
    rows.into_iter().map(|(id, phone, address)| (id, (phone, address))).collect()
}

/// An application that knows what its rows must be.
struct Writer {
    conn: Conn,
    own: Rows,
    number: u64,
    seeded: Seeded,
    next_id: u64,
    statements: u64,
    /// The columns may be getting their own type back: for the two seconds until a proxy knows of it, look-ups that still
    /// ask for bytes are refused by the server.
    restoring: Arc<AtomicBool>,
}

/// A string of bytes that a column of text cannot be compared with: MySQL's code and MariaDB's.
const BYTES_FOR_TEXT: [u16; 2] = [3854, 1300];

impl Writer {
    async fn run(mut self, stop: Arc<AtomicBool>) -> (Rows, u64) {
        while !stop.load(Ordering::Relaxed) {
            self.step().await;
            self.statements += 1;
        }
        (self.own, self.statements)
    }

    async fn step(&mut self) {
        let id = *self.own.keys().nth(self.seeded.next(self.own.len() as u64) as usize).unwrap();
        let value = format!("w{} {} ö😀", self.number, self.seeded.next(500));
        match self.seeded.next(10) {
            0..=3 => {
                self.execute(format!("UPDATE customers SET phone = '{value}' WHERE id = {id}")).await;
                self.own.get_mut(&id).unwrap().0 = Some(value);
            }
            4 => {
                self.execute(format!("UPDATE customers SET address = NULL, phone = '' WHERE id = {id}")).await;
                self.own.insert(id, (Some(String::new()), None));
            }
            5 => {
                let id = self.next_id;
                self.next_id += WRITERS;
                let sql = format!(
                    "INSERT INTO customers (id, name, phone, address) VALUES ({id}, 'n', '{value}', '{value}')"
                );
                self.execute(sql).await;
                self.own.insert(id, (Some(value.clone()), Some(value)));
            }
            6 => {
                self.execute(format!("DELETE FROM customers WHERE id = {id}")).await;
                self.own.remove(&id);
            }
            7 => {
                let sql = format!("SELECT phone, address FROM customers WHERE id = {id}");
                let rows: Vec<(Option<String>, Option<String>)> = bounded(self.conn.query(&sql)).await.unwrap();
                assert_eq!(rows, [self.own[&id].clone()], "{sql}");
            }
            _ => {
                let sql = format!("SELECT id FROM customers WHERE phone = '{value}' ORDER BY id");
                let found: Vec<u64> = match bounded(self.conn.query(&sql)).await {
                    Ok(found) => found,
                    Err(mysql_async::Error::Server(error))
                        if self.restoring.load(Ordering::Relaxed) && BYTES_FOR_TEXT.contains(&error.code) =>
                    {
                        return;
                    }
                    Err(error) => panic!("{sql}: {error}"),
                };
                let has = |(_, (phone, _)): &(&u64, &(Option<String>, Option<String>))| phone.as_ref() == Some(&value);
                let expected: Vec<u64> = self.own.iter().filter(has).map(|(id, _)| *id).collect();
                assert_eq!(found, expected, "{sql}");
            }
        }
    }

    async fn execute(&mut self, sql: String) {
        if let Err(error) = bounded(self.conn.query_drop(&sql)).await {
            panic!("{sql}: {error}");
        }
    }
}
