//! The emergency brake, seen by clients: what stops, what goes on, and what everybody is told.

use std::process::Command;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement};
use serde_json::json;
use tokio::task::block_in_place;

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, SecurityTeam, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, bounded, policy, text};

on_each_server!(a_suspended_key_stops_the_columns_of_its_keyset_alone);

/// The keyset of `note`.
const OTHER: &str = "it_other";

/// The policy of a shop in which `note` has a keyset of its own.
fn two_keysets(database: &str) -> String {
    let (before, note) = policy(database).split_once(&format!("{database}.customers.note")).map(both).unwrap();
    let note = note.replacen(&format!("keyset = \"{KEYSET}\""), &format!("keyset = \"{OTHER}\""), 1);
    let policy = format!("{before}{database}.customers.note{note}");
    policy.replacen(&format!("keysets = [\"{KEYSET}\"]"), &format!("keysets = [\"{KEYSET}\", \"{OTHER}\"]"), 1)
}

fn both((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

/// A client with statements that it prepared before anything happened.
struct Client {
    conn: Conn,
    write: Statement,
    write_literal: Statement,
    write_note: Statement,
    read: Statement,
    find: Statement,
    next_id: u32,
}

/// What becomes of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Found(Vec<String>),
    /// Error 3185 whose text says this.
    Refused(String),
}

impl Client {
    async fn new(shop: &Shop<'_>) -> Self {
        let mut conn = shop.connect(Who::Application).await;
        let write = conn.prep("INSERT INTO customers (id, code) VALUES (?, ?)").await.unwrap();
        let write_literal = conn.prep("INSERT INTO customers (id, code) VALUES (?, 'literal')").await.unwrap();
        let write_note = conn.prep("INSERT INTO customers (id, note) VALUES (?, ?)").await.unwrap();
        let read = conn.prep("SELECT code FROM customers WHERE id = ?").await.unwrap();
        let find = conn.prep("SELECT name FROM customers WHERE code = ?").await.unwrap();
        Self { conn, write, write_literal, write_note, read, find, next_id: 1000 }
    }

    /// Writes `code` in three ways, which all have the same fate.
    async fn write(&mut self) -> Fate {
        let [first, second, third] = [1, 2, 3].map(|step| self.next_id + step);
        self.next_id = third;
        let sql = format!("INSERT INTO customers (id, code) VALUES ({first}, 'x')");
        let fates = [
            fate(bounded(self.conn.query_drop(sql)).await.map(|()| vec![])),
            fate(bounded(self.conn.exec_drop(&self.write, (second, "x"))).await.map(|()| vec![])),
            fate(bounded(self.conn.exec_drop(&self.write_literal, (third,))).await.map(|()| vec![])),
        ];
        alike(fates)
    }

    async fn read(&mut self, id: u32) -> Fate {
        let sql = format!("SELECT code FROM customers WHERE id = {id}");
        let fates = [fate(bounded(self.conn.query(sql)).await), fate(bounded(self.conn.exec(&self.read, (id,))).await)];
        alike(fates)
    }

    async fn find(&mut self, code: &str) -> Fate {
        let sql = format!("SELECT name FROM customers WHERE code = '{code}'");
        let fates =
            [fate(bounded(self.conn.query(sql)).await), fate(bounded(self.conn.exec(&self.find, (code,))).await)];
        alike(fates)
    }

    /// The twin: a column of another keyset is written and read as ever, and so is what is not protected.
    async fn assert_others_go_on(&mut self) {
        let id = self.next_id + 1;
        self.next_id = id;
        self.conn.exec_drop(&self.write_note, (id, format!("note {id}"))).await.unwrap();
        let sql = format!("SELECT note FROM customers WHERE id = {id}");
        assert_eq!(text(&mut self.conn, sql).await.cells(), [[Some(format!("note {id}"))]]);
        let written = text(&mut self.conn, format!("INSERT INTO orders (customer) VALUES ({id})")).await;
        assert!(matches!(written, Answer::Done { affected: 1, .. }));
    }
}

fn fate(outcome: Result<Vec<String>, mysql_async::Error>) -> Fate {
    match outcome {
        Ok(rows) if rows.is_empty() => Fate::Done,
        Ok(rows) => Fate::Found(rows),
        Err(mysql_async::Error::Server(error)) if error.code == 3185 => {
            Fate::Refused(error.message.split(" (ref ").next().unwrap().to_owned())
        }
        Err(error) => panic!("{error}"),
    }
}

fn alike<const N: usize>(fates: [Fate; N]) -> Fate {
    let mut fates = fates.into_iter();
    let first = fates.next().unwrap();
    for other in fates {
        assert_eq!(other, first, "text and prepared have the same fate");
    }
    first
}

fn refused_with(fate: &Fate, says: &str) -> bool {
    matches!(fate, Fate::Refused(text) if text.contains(says))
}

/// What operators are told.
fn told(shop: &Shop<'_>, team: &SecurityTeam<'_>) -> (serde_json::Value, f64, String, String) {
    let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().unwrap();
    let config = shop.deployment.write(folder.path(), &two_keysets(&shop.database), Tls::Off);
    let mut check: Command = shop.deployment.command("AKIAPROXY");
    let checked = check.args(["check", "--config"]).arg(config).output().unwrap();
    let (status, ready) = shop.proxy.probe("/readyz");
    assert_eq!(status, 200, "clients of other keysets are served: {ready}");
    let inactive = team.done(&["list"])["inactive"].clone();
    (inactive, shop.proxy.metric("keysets_inactive"), ready, String::from_utf8(checked.stdout).unwrap())
}

async fn a_suspended_key_stops_the_columns_of_its_keyset_alone(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_as(&deployment, two_keysets);
    let team = deployment.security_team(&two_keysets(&shop.database));
    let mut client = Client::new(&shop).await;
    let insert =
        |id: u32, code: &str| format!("INSERT INTO customers (id, name, code) VALUES ({id}, '{code}', '{code}')");
    text(&mut client.conn, insert(1, "old")).await;
    let new = block_in_place(|| team.done(&["rotate", KEYSET]))["key_id"].to_string();
    text(&mut client.conn, insert(2, "new")).await;
    let found = |value: &str| Fate::Found(vec![value.to_owned()]);
    assert_eq!((client.read(1).await, client.find("new").await), (found("old"), found("new")));
    let (inactive, metric, ready, _) = told(&shop, &team);
    assert_eq!((inactive, metric, ready.as_str()), (json!([]), 0.0, "ready\n"));

    // The data key that writes.
    block_in_place(|| {
        team.done(&["suspend", &new]);
        wait_until("the proxy knows", || shop.proxy.metric("keysets_inactive") == 1.0);
    });
    let refused = client.write().await;
    assert!(
        refused_with(&refused, "has no active key") && refused_with(&refused, "candado keys rotate"),
        "{refused:?}"
    );
    assert_eq!(client.read(1).await, found("old"), "what older keys sealed is read");
    let refused = client.read(2).await;
    assert!(refused_with(&refused, "under a key that was suspended"), "{refused:?}");
    assert_eq!(client.find("new").await, found("new"), "the index key is another one");
    client.assert_others_go_on().await;
    let (inactive, _, ready, checked) = told(&shop, &team);
    assert_eq!(inactive, json!([{ "keyset": KEYSET, "purpose": "data" }]));
    let says = format!("keyset {KEYSET} has no active data key");
    assert!(ready.starts_with("ready\n") && ready.contains(&says) && !ready.contains(OTHER), "{ready}");
    assert!(checked.contains(&format!("WRONG    key store      {says}")), "{checked}");

    // Another key: what was prepared before goes on, and the suspended one's rows wait for it.
    block_in_place(|| team.done(&["rotate", KEYSET]));
    assert_eq!(client.write().await, Fate::Done);
    assert!(refused_with(&client.read(2).await, "under a key that was suspended"));
    block_in_place(|| team.done(&["resume", &new]));
    block_in_place(|| {
        wait_until("every proxy knows", || team.run(&["rotate", KEYSET, "--dry-run"]).1["behind"] == json!([]))
    });
    assert_eq!(client.read(2).await, found("new"));

    // The index key that writes: nothing is searched or written, everything is read.
    let listing = team.done(&["list"]);
    let is_index = |key: &&serde_json::Value| key["keyset"] == KEYSET && key["purpose"] == "index";
    let index = listing["keys"].as_array().unwrap().iter().find(is_index).unwrap()["key_id"].to_string();
    let (_, _, warned) = block_in_place(|| team.run(&["suspend", &index]));
    assert!(warned.contains("do not search what is under it"), "{warned}");
    block_in_place(|| wait_until("the proxy knows", || shop.proxy.metric("keysets_inactive") == 1.0));
    assert!(refused_with(&client.find("old").await, "cannot be searched"));
    assert!(refused_with(&client.write().await, "has no active key"));
    assert_eq!(client.read(1).await, found("old"));
    client.assert_others_go_on().await;
    // A new one writes; rows under the suspended one would be missed, so nothing is searched before it is back.
    block_in_place(|| team.done(&["rotate", KEYSET, "--purpose", "index"]));
    assert_eq!(client.write().await, Fate::Done);
    assert!(refused_with(&client.find("old").await, "cannot be searched"));
    block_in_place(|| team.done(&["resume", &index]));
    block_in_place(|| {
        wait_until("every proxy knows", || team.run(&["rotate", KEYSET, "--dry-run"]).1["behind"] == json!([]))
    });
    assert_eq!(client.find("old").await, found("old"));
}
