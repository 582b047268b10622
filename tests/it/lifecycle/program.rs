//! `candado keys` as people run it, around a proxy that serves writers and readers.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mysql_async::Conn;
use serde_json::{Value, json};
use tokio::task::{JoinSet, block_in_place};

use super::proofs::{Proof, age};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, SecurityTeam, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, PROTECTED, Shop, Who, bounded, policy, text};

on_each_server!(
    a_key_lives_and_ends_while_clients_write_and_read,
    an_interrupted_rotation_goes_on,
    a_suspended_key_cuts_a_running_proxy,
    a_shredded_keyset_is_lost_on_purpose,
    what_is_refused_says_why_and_what_to_do,
);

/// Writers and readers on a shop's protected columns. Any error ends them and the test.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
    clients: JoinSet<()>,
}

const CLIENTS: u32 = 3;

impl Load {
    pub(super) async fn start(shop: &Shop<'_>) -> Self {
        let mut load = Self { stop: Arc::default(), done: Arc::default(), clients: JoinSet::new() };
        for client in 1..=CLIENTS {
            let conn = shop.connect(Who::Application).await;
            let (stop, done) = (load.stop.clone(), load.done.clone());
            load.clients.spawn(async move { work(conn, client * 1_000_000, &stop, &done).await });
        }
        load
    }

    /// Waits until that many more rounds of writing and reading are through.
    pub(super) fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        block_in_place(|| wait_until("clients go on", || self.done.load(Ordering::Relaxed) > before + 3 * CLIENTS));
    }

    pub(super) async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = bounded(self.clients.join_next()).await {
            client.expect("no client saw an error");
        }
    }
}

/// Writes a row, finds it by its index and reads it, over and over.
async fn work(mut conn: Conn, first: u32, stop: &AtomicBool, done: &AtomicU32) {
    for id in first.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let code = format!("c{id}");
        let written =
            text(&mut conn, format!("INSERT INTO customers (id, code, note) VALUES ({id}, '{code}', 'n{id}')"));
        assert!(matches!(written.await, Answer::Done { affected: 1, .. }), "row {id}");
        let read = text(&mut conn, format!("SELECT id, note FROM customers WHERE code = '{code}'")).await;
        assert_eq!(read.cells(), [[Some(id.to_string()), Some(format!("n{id}"))]]);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Cells by the id of the data key in their envelopes, over all protected columns, counted by the server.
fn cells_by_key(shop: &Shop<'_>) -> BTreeMap<u32, u64> {
    let mut counts = BTreeMap::new();
    for column in PROTECTED {
        // The key's id stands behind a prefix of 7 bytes, the index, whose length byte 5 says, and the flags.
        let sql = format!(
            "SELECT CONV(HEX(SUBSTRING({column}, 9 + ORD(SUBSTRING({column}, 5, 1)), 4)), 16, 10) AS kid, COUNT(*) \
             FROM `{}`.customers WHERE {column} IS NOT NULL GROUP BY kid",
            shop.database
        );
        for line in shop.deployment.server.sql(&sql).lines() {
            let (kid, count) = line.split_once('\t').unwrap();
            *counts.entry(kid.parse().unwrap()).or_default() += count.parse::<u64>().unwrap();
        }
    }
    counts
}

/// Records that every column was verified just now, with what the server counts.
fn verify(shop: &Shop<'_>) {
    let by_kid = serde_json::to_string(&cells_by_key(shop)).unwrap();
    for column in PROTECTED {
        let context = format!("{}.customers.{column}", shop.database);
        Proof { by_kid: &by_kid, ..Proof::clean(&context) }.write(shop.deployment.server, "candado");
    }
}

/// Writes every row again, as `candado column reencrypt` does.
async fn write_again(shop: &Shop<'_>, wanted: &str) {
    let mut conn = shop.connect(Who::Application).await;
    let rows = text(&mut conn, format!("SELECT id, code, note FROM customers WHERE {wanted}")).await.cells();
    for row in rows {
        let [Some(id), Some(code), Some(note)] = row.as_slice() else { panic!("{row:?}") };
        let sql = format!("UPDATE customers SET code = '{code}', note = '{note}' WHERE id = {id}");
        assert!(matches!(text(&mut conn, sql).await, Answer::Done { affected: 1, .. }));
    }
}

fn active(team: &SecurityTeam<'_>, purpose: &str) -> Option<u64> {
    let listing = team.done(&["list"]);
    let keys = listing["keys"].as_array().unwrap().iter();
    let mut active =
        keys.filter(|key| key["keyset"] == KEYSET && key["purpose"] == purpose && key["state"] == "active");
    active.next().map(|key| key["key_id"].as_u64().unwrap())
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

async fn a_key_lives_and_ends_while_clients_write_and_read(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let team = deployment.security_team(&policy(&shop.database));
    let load = Load::start(&shop).await;
    load.goes_on();
    let old = active(&team, "data").unwrap();
    let old_text = old.to_string();

    let rehearsed = block_in_place(|| team.done(&["rotate", KEYSET, "--dry-run"]));
    assert_eq!((&rehearsed["done"], &rehearsed["key_id"]), (&json!(false), &Value::Null));
    let rotated = block_in_place(|| team.done(&["rotate", KEYSET]));
    let new = rotated["key_id"].as_u64().unwrap();
    assert_eq!(
        rotated["changes"],
        json!([
            { "key_id": old, "from": "active", "to": "decrypt_only" },
            { "key_id": new, "from": "pending", "to": "active" }
        ])
    );
    assert_eq!((&rotated["replicas"], active(&team, "data")), (&json!(1), Some(new)));
    // What was sealed before is on its way to the server for a moment.
    load.goes_on();
    let before = cells_by_key(&shop)[&small(old)];
    load.goes_on();
    assert_eq!(cells_by_key(&shop)[&small(old)], before, "nothing is written under the old key any more");

    // The index key, with look-ups over both versions meanwhile.
    block_in_place(|| team.done(&["rotate", KEYSET, "--purpose", "index"]));
    load.goes_on();
    let (code, refusal) = block_in_place(|| team.refused(&["rotate", KEYSET, "--purpose", "index"]));
    assert_eq!(code, "dual_period");
    assert!(refusal.contains("candado column reindex"), "{refusal}");

    // One row too many, then none.
    write_again(&shop, "id <> 1000000").await;
    age(deployment.server, "candado", small(old), 48);
    verify(&shop);
    let (code, refusal) = block_in_place(|| team.refused(&["retire", &old_text]));
    assert_eq!(code, "not_proven");
    assert!(refusal.contains("holds 2 cells"), "{refusal}");
    let kept = ["code", "note"].map(|column| shop.stored(column, 1_000_000));
    write_again(&shop, "id = 1000000").await;
    verify(&shop);
    let retired = block_in_place(|| team.done(&["retire", &old_text]));
    assert!(retired["backups"]["from"].is_string() && retired["backups"]["until"].is_string(), "{retired}");
    load.goes_on();

    let destroy = ["destroy", &old_text, "--confirm", &old_text];
    assert_eq!(block_in_place(|| team.refused(&destroy)).0, "grace");
    age(deployment.server, "candado", small(old), 48);
    verify(&shop);
    // The proxy hears of the retirement with its next look at the key store.
    let knows = || team.refused(&["destroy", &old_text]).0 != "replica_behind";
    block_in_place(|| wait_until("the proxy knows that the key is retired", knows));
    let (code, refusal) = block_in_place(|| team.refused(&["destroy", &old_text]));
    assert_eq!(code, "failed");
    assert!(refusal.contains(&format!("--confirm {old}")), "{refusal}");
    block_in_place(|| team.refused(&["destroy", &old_text, "--confirm", "1"]));
    let (_, _, warnings) = block_in_place(|| team.run(&["destroy", &old_text, "--dry-run"]));
    assert!(warnings.contains("becomes unreadable"), "{warnings}");
    let destroyed = block_in_place(|| team.done(&destroy));
    assert_eq!(destroyed["wraps_deleted"], 1);
    load.goes_on();

    // A row that comes back from an old backup cannot be read, as the documents say; all others can.
    let [code, note] = kept;
    deployment
        .server
        .sql(&format!("INSERT INTO `{}`.customers (id, code, note) VALUES (9, 0x{code}, 0x{note})", shop.database));
    let mut conn = shop.connect(Who::Application).await;
    let answer = text(&mut conn, "SELECT note FROM customers WHERE id = 9").await;
    assert_eq!(answer.error(), (3185, "HY000"));
    assert!(text(&mut conn, "SELECT note FROM customers WHERE id <> 9").await.cells().len() > 10);
    load.end().await;
}

async fn an_interrupted_rotation_goes_on(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let team = deployment.security_team(&policy(&shop.database));
    let load = Load::start(&shop).await;
    let old = active(&team, "data");
    // A proxy that lags, and does not fall silent.
    deployment.server.sql(
        "INSERT INTO candado.replica (instance_id, boot_id, loaded_epoch, loaded_digest, policy_digest, last_seen, version) \
         VALUES (REPEAT('z', 16), '', 0, '', '', UTC_TIMESTAMP(6) + INTERVAL 1 HOUR, 'test')",
    );
    let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().unwrap();
    let mut pending = None;
    for _ in 0..2 {
        let said = folder.path().join("said");
        let mut running =
            team.command(&["rotate", KEYSET]).stderr(fs::File::create(&said).unwrap()).spawn().expect("candado runs");
        let waits = format!("proxy {} works with epoch 0", "7a".repeat(16));
        block_in_place(|| {
            wait_until("the rotation waits", || {
                assert!(running.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&said).unwrap());
                fs::read_to_string(&said).unwrap().contains(&waits)
            });
        });
        running.kill().unwrap();
        running.wait().unwrap();
        let listing = team.done(&["list"]);
        let states = listing["keys"].as_array().unwrap().iter().filter(|key| key["state"] == "pending");
        let found: Vec<_> = states.map(|key| key["key_id"].as_u64().unwrap()).collect();
        assert_eq!(found.len(), 1, "a second run goes on with the same key");
        assert!(pending.is_none() || pending == Some(found[0]));
        pending = Some(found[0]);
        assert_eq!(active(&team, "data"), old);
    }
    // Not for ever, and not by hand either.
    let (code, refusal) = block_in_place(|| team.refused(&["rotate", KEYSET, "--timeout", "0"]));
    assert_eq!(code, "replica_behind");
    assert!(refusal.contains("the same command goes on with it") && refusal.contains(&"7a".repeat(16)), "{refusal}");
    let kid = pending.unwrap().to_string();
    let (_, document, _) = block_in_place(|| team.run(&["activate", &kid]));
    assert_eq!(document["refused"]["behind"][0]["instance"], "7a".repeat(16));

    deployment.server.sql("DELETE FROM candado.replica WHERE instance_id = REPEAT('z', 16)");
    let rotated = block_in_place(|| team.done(&["rotate", KEYSET]));
    assert_eq!(rotated["key_id"].as_u64(), pending);
    assert_eq!(active(&team, "data"), pending);
    load.goes_on();
    load.end().await;
}

async fn a_suspended_key_cuts_a_running_proxy(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let team = deployment.security_team(&policy(&shop.database));
    let mut conn = shop.connect(Who::Application).await;
    text(&mut conn, "INSERT INTO customers (id, note) VALUES (1, 'old')").await;
    let old = active(&team, "data").unwrap().to_string();
    let new = block_in_place(|| team.done(&["rotate", KEYSET]))["key_id"].as_u64().unwrap().to_string();
    text(&mut conn, "INSERT INTO customers (id, note) VALUES (2, 'new')").await;
    let read = async |conn: &mut Conn, id: u32| text(conn, format!("SELECT note FROM customers WHERE id = {id}")).await;
    assert_eq!(read(&mut conn, 1).await.cells(), [[Some("old".to_owned())]]);

    // A key that only reads: what it sealed cannot be read, everything else can.
    let (_, _, warnings) = block_in_place(|| team.run(&["suspend", &old]));
    assert!(warnings.contains(&format!("{}.customers.note", shop.database)), "{warnings}");
    until_answer(&shop, 1, "an error").await;
    until_answer(&shop, 2, "new").await;
    assert_eq!(read(&mut conn, 1).await.error(), (3185, "HY000"));
    assert_eq!(read(&mut conn, 2).await.cells(), [[Some("new".to_owned())]]);
    block_in_place(|| team.done(&["resume", &old]));
    until_answer(&shop, 1, "old").await;

    // The key that writes: nothing is written, until there is another one, and the other key's values are read.
    block_in_place(|| team.done(&["suspend", &new]));
    until_answer(&shop, 2, "an error").await;
    assert_eq!(read(&mut conn, 1).await.cells(), [[Some("old".to_owned())]]);
    let written = text(&mut conn, "INSERT INTO customers (id, note) VALUES (3, 'x')").await;
    assert_eq!(written.error(), (3185, "HY000"));
    let resumed = block_in_place(|| team.done(&["resume", &new]));
    assert_eq!(resumed["next"], format!("candado keys rotate {KEYSET} --purpose data"));
    block_in_place(|| team.done(&["rotate", KEYSET]));
    until_answer(&shop, 2, "new").await;
    assert!(matches!(text(&mut conn, "INSERT INTO customers (id, note) VALUES (3, 'x')").await, Answer::Done { .. }));
}

/// Waits until a row's note is answered that way.
async fn until_answer(shop: &Shop<'_>, id: u32, wanted: &str) {
    let handle = tokio::runtime::Handle::current();
    let mut conn = shop.connect(Who::Application).await;
    block_in_place(|| {
        wait_until(&format!("row {id} is answered by {wanted}"), || {
            let sql = format!("SELECT note FROM customers WHERE id = {id}");
            match handle.block_on(text(&mut conn, sql)) {
                Answer::Refused { .. } => wanted == "an error",
                answer => answer.cells() == [[Some(wanted.to_owned())]],
            }
        });
    });
}

async fn a_shredded_keyset_is_lost_on_purpose(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let team = deployment.security_team(&policy(&shop.database));
    let mut conn = shop.connect(Who::Application).await;
    text(&mut conn, "INSERT INTO customers (id, note) VALUES (1, 'gone')").await;
    for confirm in [&["shred", KEYSET][..], &["shred", KEYSET, "--confirm", "other"]] {
        assert_eq!(block_in_place(|| team.refused(confirm)).0, "failed");
    }
    block_in_place(|| team.done(&["shred", KEYSET, "--dry-run"]));
    assert_eq!(text(&mut conn, "SELECT note FROM customers").await.cells(), [[Some("gone".to_owned())]]);
    let output = team.command(&["shred", KEYSET, "--confirm", KEYSET]).output().unwrap();
    let (said, warned) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{warned}");
    assert!(said.contains("backups of the key store hold the wraps"), "{said}");
    assert!(warned.contains("becomes unreadable") && warned.contains("take these columns out of policy"), "{warned}");
    until_answer(&shop, 1, "an error").await;
    assert_eq!(text(&mut conn, "SELECT note FROM customers").await.error(), (3185, "HY000"));
    assert_eq!(active(&team, "data"), None);
}

async fn what_is_refused_says_why_and_what_to_do(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let policy = "keysets = [\"it\"]\n[[column]]\nname = \"it_first.t.c\"\nkeyset = \"it\"\ntype = \"varchar(1)\"\n";
    let team = deployment.security_team(policy);
    let kid = active(&team, "data").unwrap().to_string();
    for (arguments, code, says) in [
        (&["show", "999"][..], "", "there is no key 999"),
        (&["activate", "999"], "unknown_key", "candado keys list"),
        (&["activate", &kid], "wrong_state", "it is active already"),
        (&["resume", &kid], "wrong_state", "it is not suspended"),
        (&["restore", &kid], "wrong_state", "it is not retired"),
        (&["retire", &kid], "wrong_state", "rotate the keyset"),
        (&["destroy", &kid, "--confirm", &kid], "wrong_state", "rotate the keyset"),
        (&["rotate", "itt"], "unknown_keyset", "it has: candado, it"),
        (&["shred", "candado"], "reserved", "no act could be recorded"),
        (&["rewrap", "--drop", "local:none"], "failed", "no key is wrapped by local:none"),
        (
            &["rewrap", "--to", "arn:aws:kms:eu-central-1:111122223333:key/x"],
            "failed",
            "is not with the configured key provider",
        ),
    ] {
        let output = team.command(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        if code.is_empty() {
            assert!(errors.contains(says), "{arguments:?}: {errors}");
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(errors.contains(says) && output.stdout.is_empty(), "{arguments:?}: {errors}");
        let (found, text) = team.refused(arguments);
        assert_eq!(found, code, "{arguments:?}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
    for wrong in
        [&["activate", "x"][..], &["activate", "0"], &["rotate", "it", "--purpose", "audit"], &["rewrap", "--add"]]
    {
        assert_eq!(team.command(wrong).output().unwrap().status.code(), Some(64), "{wrong:?}");
    }
    assert_eq!(team.done(&["init", "--dry-run"])["missing"], json!([]));
    let wider = deployment
        .security_team(&policy.replace("\"it\"]", "\"it\", \"itt\"]").replace("keyset = \"it\"", "keyset = \"itt\""));
    let before = deployment.server.sql("SELECT COUNT(*) FROM candado.data_key");
    assert_eq!(wider.done(&["init", "--dry-run"])["missing"], json!(["itt data"]));
    assert_eq!(deployment.server.sql("SELECT COUNT(*) FROM candado.data_key"), before);
    let shown = team.done(&["show", &kid]);
    assert_eq!((&shown["state"], &shown["next"]), (&json!("active"), &json!(["suspend"])));
    for verb in [
        "init",
        "list",
        "show",
        "create",
        "activate",
        "rotate",
        "suspend",
        "resume",
        "retire",
        "restore",
        "destroy",
        "shred",
        "rewrap",
        "rotate-kek",
    ] {
        let help = team.command(&[verb, "--help"]).output().unwrap();
        assert!(String::from_utf8(help.stdout).unwrap().contains("Examples:"), "{verb}");
    }
}
