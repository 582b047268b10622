//! The record of acts, by the real program under the least-privilege accounts: what is written, what a database
//! administrator can do to it, and what shows that he did.
#![allow(clippy::unwrap_used, reason = "tests")]

mod audit_key;
mod brake;

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use candado::control::{AuditKeys, GuardedAct, Request, Signer, Signers, Verifier};
use candado::crypto::VerifyingKey;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::key_store::{AUDITOR, PROXY, SECURITY};
use crate::support::office::{Answer, Office};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    the_first_keys_are_recorded,
    what_an_administrator_does_to_the_record_is_named,
    an_end_that_was_put_back_shows_by_the_note,
    a_file_is_verified_without_a_database,
    another_program_agrees,
    acts_at_once_follow_each_other,
    nothing_is_done_on_top_of_a_forged_end,
    who_may_not_open_the_audit_key_verifies_nothing,
);

fn verify(office: &Office, more: &[&str]) -> Answer {
    let (_folder, config) = office.desk("");
    office.run(AUDITOR, &config, &[&["audit", "verify", "--json"], more].concat())
}

/// What a verification found: kind and entry of each breach. Exit code and document agree.
fn breaches(answer: &Answer) -> Vec<(String, Option<u64>)> {
    let document = answer.json();
    let found = document["breaches"].as_array().unwrap();
    assert_eq!(
        (document["intact"] == true, answer.code),
        (found.is_empty(), i32::from(!found.is_empty())),
        "{answer:?}"
    );
    found.iter().map(|breach| (breach["what"].as_str().unwrap().to_owned(), breach["seq"].as_u64())).collect()
}

fn note(document: &Value) -> String {
    format!("{}:{}", document["head"]["seq"], document["head"]["mac"].as_str().unwrap())
}

/// Adds the keys of a keyset that is not there yet, and with them entries.
fn add_keyset(office: &Office, name: &str) -> Answer {
    let (folder, config) = office.desk("");
    let policy = fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    let policy = policy
        .replace("[\"it\"]", &format!("[\"{name}\"]"))
        .replace("keyset = \"it\"", &format!("keyset = \"{name}\""));
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    office.run(SECURITY, &config, &["keys", "init", "--json"])
}

/// Does something as root, looks, and puts the tables back as they were.
fn tampered(office: &Office, sql: &str, more: &[&str]) -> Vec<(String, Option<u64>)> {
    keep(office);
    office.server.sql(sql);
    let found = breaches(&verify(office, more));
    put_back(office);
    assert_eq!(breaches(&verify(office, &[])), [], "put back");
    found
}

fn keep(office: &Office) {
    office.server.sql(
        "CREATE DATABASE IF NOT EXISTS it_kept; DROP TABLE IF EXISTS it_kept.event, it_kept.event_head;
         CREATE TABLE it_kept.event SELECT * FROM candado.event;
         CREATE TABLE it_kept.event_head SELECT * FROM candado.event_head",
    );
}

fn put_back(office: &Office) {
    office.server.sql(
        "DELETE FROM candado.event; INSERT INTO candado.event SELECT * FROM it_kept.event;
         DELETE FROM candado.event_head; INSERT INTO candado.event_head SELECT * FROM it_kept.event_head",
    );
}

async fn the_first_keys_are_recorded(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let (_folder, config) = office.desk("");
    let listed = office.run(AUDITOR, &config, &["audit", "list", "--json"]).json();
    let entries = listed["entries"].as_array().unwrap();
    let acts: Vec<&str> = entries.iter().map(|entry| entry["act"].as_str().unwrap()).take(4).collect();
    assert_eq!(acts, ["keys.init", "key.create", "key.create", "key.create"]);
    let actor = entries[0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("candado_security@% (os: ") && actor.ends_with(')'), "{actor}");
    assert!(entries[0]["at"].as_str().unwrap().ends_with('Z'));
    let second = &entries[1];
    assert_eq!((&second["subject"], &second["before"]), (&json!("key 1"), &Value::Null));
    assert_eq!((&second["after"]["keyset"], &second["after"]["purpose"]), (&json!("candado"), &json!("audit")));
    assert_eq!(breaches(&verify(office, &[])), []);

    let some = |filter: &[&str]| {
        let listed = office.run(AUDITOR, &config, &[&["audit", "list", "--json"], filter].concat()).json();
        listed["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(some(&["--act", "keys"]), [1]);
    assert_eq!(some(&["--act", "key.create", "--subject", "key 2"]), [3]);
    assert_eq!(some(&["--actor", "nobody"]), Vec::<u64>::new());
    assert_eq!(some(&["--until", "2020"]), Vec::<u64>::new());
    assert_eq!(some(&["--from", "2020-01-01", "--limit", "1", "--act", "key.create", "--subject", "key 1"]), [2]);
    let text = office.run(AUDITOR, &config, &["audit", "list"]);
    assert!(text.code == 0 && text.out.contains("keys.init"), "{text:?}");
    let none = office.run(AUDITOR, &config, &["audit", "list", "--act", "keys.int"]);
    assert_eq!(none.out, "no such act is recorded\nnot verified: `candado audit verify` does that\n");
    assert_eq!(office.run(AUDITOR, &config, &["audit", "list", "--from", "yesterday"]).code, 64);
}

async fn what_an_administrator_does_to_the_record_is_named(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let last = verify(office, &[]).json()["head"]["seq"].as_u64().unwrap();
    assert!(last >= 4);
    let at = |what: &str, seq| (what.to_owned(), Some(seq));
    let event = |sql: &str| tampered(office, &format!("{sql};"), &[]);
    for column in ["actor", "subject", "value_before", "value_after"] {
        assert_eq!(
            event(&format!("UPDATE candado.event SET {column} = 'x' WHERE seq = 3")),
            [at("altered", 3)],
            "{column}"
        );
    }
    assert_eq!(event("UPDATE candado.event SET act = 'key.destroy' WHERE seq = 2"), [at("altered", 2)]);
    assert_eq!(event("UPDATE candado.event SET at = at + INTERVAL 1 MICROSECOND WHERE seq = 2"), [at("altered", 2)]);
    assert_eq!(
        event("UPDATE candado.event SET value_after = CONCAT(value_after, ' ') WHERE seq = 3"),
        [at("altered", 3)]
    );
    assert_eq!(
        event("UPDATE candado.event SET mac = REPEAT('x', 32) WHERE seq = 2"),
        [at("altered", 2), at("unlinked", 3)]
    );
    assert_eq!(event("DELETE FROM candado.event WHERE seq = 2"), [at("missing", 2)]);
    assert_eq!(event(&format!("DELETE FROM candado.event WHERE seq = {last}")), [at("cut_off", last)]);
    assert_eq!(event("DELETE FROM candado.event"), [at("cut_off", 1)]);
    // Two entries exchanged, with all that they hold.
    let exchanged = event(
        "UPDATE candado.event SET seq = 999 WHERE seq = 2; UPDATE candado.event SET seq = 2 WHERE seq = 3;
         UPDATE candado.event SET seq = 3 WHERE seq = 999",
    );
    assert!(exchanged.contains(&at("altered", 2)) && exchanged.contains(&at("altered", 3)), "{exchanged:?}");
    // An entry more, with the code of another one.
    let added = format!(
        "INSERT INTO candado.event SELECT {}, kid, at, actor, act, subject, value_before, value_after, prev, mac
         FROM candado.event WHERE seq = 3",
        last + 1
    );
    let added = event(&added);
    assert!(added.contains(&at("altered", last + 1)) && added.contains(&at("beyond_head", last + 1)), "{added:?}");
    assert_eq!(event("DELETE FROM candado.event_head"), [("head_missing".to_owned(), None)]);
    let cut = format!(
        "DELETE FROM candado.event WHERE seq = {last};
         UPDATE candado.event_head SET seq = {}, mac = (SELECT mac FROM candado.event WHERE seq = {})",
        last - 1,
        last - 1
    );
    assert_eq!(event(&cut), [("head_forged".to_owned(), None)]);
}

async fn an_end_that_was_put_back_shows_by_the_note(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let before = verify(office, &[]).json();
    keep(office);
    assert_eq!(add_keyset(office, "noted").code, 0);
    let after = verify(office, &[]).json();
    let (old, new) = (note(&before), note(&after));
    assert_ne!(old, new);
    assert_eq!(breaches(&verify(office, &["--head", &new])), []);
    assert_eq!(breaches(&verify(office, &["--since", &old, "--head", &new])), []);
    // Entries and head as they were yesterday: nothing but the note knows.
    office.server.sql("CREATE TABLE it_kept.today SELECT * FROM candado.event; CREATE TABLE it_kept.today_head SELECT * FROM candado.event_head");
    put_back(office);
    assert_eq!(breaches(&verify(office, &[])), []);
    let last = before["head"]["seq"].as_u64().unwrap();
    let noted = after["head"]["seq"].as_u64();
    assert_eq!(breaches(&verify(office, &["--head", &new])), [("shorter_than_noted".to_owned(), noted)]);
    office.server.sql(
        "DELETE FROM candado.event; INSERT INTO candado.event SELECT * FROM it_kept.today;
         DELETE FROM candado.event_head; INSERT INTO candado.event_head SELECT * FROM it_kept.today_head;
         DROP TABLE it_kept.today, it_kept.today_head",
    );
    let wrong = format!("{last}:{}", "ab".repeat(32));
    assert_eq!(breaches(&verify(office, &["--head", &wrong])), [("not_as_noted".to_owned(), Some(last))]);
    let (_folder, config) = office.desk("");
    assert_eq!(office.run(AUDITOR, &config, &["audit", "verify", "--since", &new, "--head", &old]).code, 64);
    assert_eq!(office.run(AUDITOR, &config, &["audit", "verify", "--head", "7"]).code, 64);
}

fn export(office: &Office, folder: &Path, config: &Path) -> String {
    let path = folder.join("record.jsonl");
    let answer = office.run(AUDITOR, config, &["audit", "export", "--output", path.to_str().unwrap()]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let again = office.run(AUDITOR, config, &["audit", "export", "--output", path.to_str().unwrap()]);
    assert_eq!(again.code, 1, "an export is not overwritten: {again:?}");
    fs::read_to_string(path).unwrap()
}

async fn a_file_is_verified_without_a_database(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let (folder, config) = office.desk("");
    let good = export(office, folder.path(), &config);
    let (path, keys_alone) = (folder.path().join("copy.jsonl"), folder.path().join("keys.toml"));
    fs::write(&keys_alone, office.keys_alone()).unwrap();
    let verify = |text: &str, more: &[&str]| {
        fs::write(&path, text).unwrap();
        let arguments = [&["audit", "verify", "--json", "--file", path.to_str().unwrap()], more].concat();
        office.run_offline("AKIAAUDITOR", &keys_alone, &arguments)
    };
    let answer = verify(&good, &[]);
    assert_eq!(breaches(&answer), []);
    let end = note(&answer.json());
    assert_eq!(breaches(&verify(&good, &["--head", &end])), []);
    assert_eq!(breaches(&verify(&good, &["--since", &end])), []);

    let lines: Vec<&str> = good.lines().collect();
    let last = lines.len() as u64 - 2;
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut lines);
        breaches(&verify(&lines.join("\n"), &[]))
    };
    let at = |what: &str, seq| (what.to_owned(), Some(seq));
    // Line 0 is the head of the file: entry n stands at n.
    assert_eq!(changed(&|lines| lines[2] = lines[2].replace("candado_security", "somebody")), [at("altered", 2)]);
    assert_eq!(changed(&|lines| drop(lines.remove(3))), [at("missing", 3)]);
    assert_eq!(changed(&|lines| lines.swap(2, 3)), [at("missing", 2), at("misplaced", 2)]);
    assert_eq!(changed(&|lines| lines.insert(3, lines[2].clone())), [at("misplaced", 2)]);
    assert_eq!(changed(&|lines| drop(lines.remove(lines.len() - 2))), [at("cut_off", last)]);
    assert_eq!(changed(&|lines| drop(lines.pop())), [("head_missing".to_owned(), None)]);
    assert_eq!(changed(&|lines| lines[2].truncate(40)), [("unreadable".to_owned(), None), at("missing", 2)]);
    let nothing = verify("{}", &[]);
    assert_eq!((nothing.code, nothing.out.as_str()), (64, ""), "{nothing:?}");
    // Wrapped keys of another deployment do not open.
    let foreign =
        good.replacen("\"deployment\":\"", "\"deployment\":\"00000000-0000-4000-8000-000000000000\",\"x\":\"", 1);
    assert_eq!(verify(&foreign, &[]).code, 64);
}

/// What an independent reader says of an exported record. It is given the audit keys, as the key service opens them.
async fn judged(office: &Office, folder: &Path, text: &str) -> Value {
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let mut keys = String::new();
    for key in first["keys"].as_array().unwrap() {
        let context = json!({
            "app": "candado", "deployment": first["deployment"], "keyset": "candado", "kid": key["kid"].to_string(),
            "purpose": "audit",
        });
        let request = json!({ "CiphertextBlob": key["wraps"][0]["wrapped"], "EncryptionContext": context });
        let (status, answer) = office.fake.ask("AKIAAUDITOR", "Decrypt", &request).await;
        assert_eq!(status, 200, "{answer}");
        let secret = data_encoding::BASE64.decode(answer["Plaintext"].as_str().unwrap().as_bytes()).unwrap();
        keys.push_str(&format!("{} {}\n", key["kid"], data_encoding::HEXLOWER.encode(&secret)));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/record.py");
    let path = folder.join("copy.jsonl");
    fs::write(&path, text).unwrap();
    let mut child = Command::new("python3")
        .arg(&script)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn another_program_agrees(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let (folder, config) = office.desk("");
    let text = export(office, folder.path(), &config);
    let ours = verify(office, &[]).json();
    let theirs = judged(office, folder.path(), &text).await;
    assert_eq!(theirs["intact"], true, "{theirs}");
    assert_eq!((&theirs["entries"], &theirs["end"]), (&ours["entries"], &json!(note(&ours))));
    let forged = judged(office, folder.path(), &text.replacen("key.create", "key.delete", 1)).await;
    assert_eq!((&forged["intact"], &forged["broken"]), (&json!(false), &json!([2])));
}

/// An approval that nobody will give: its request is an act that takes no other lock than the record's.
fn nobody() -> Signers {
    let key = VerifyingKey::from_base64(&data_encoding::BASE64.encode(&[7; 32])).unwrap();
    Signers::new(vec![Signer { name: "nobody".into(), key }], 1, candado::control::APPROVAL_LIFETIME).unwrap()
}

async fn acts_at_once_follow_each_other(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let before = verify(office, &[]).json()["head"]["seq"].as_u64().unwrap();
    let mut acts = JoinSet::new();
    for person in 0..8 {
        // Each has a key store and a recorder of its own, as programs on eight machines have.
        let (store, recorder) = (office.store(), office.recorder().await);
        acts.spawn(async move {
            let actor = store.actor(&format!("person {person}")).await.unwrap();
            for number in 0..10 {
                let subject = format!("person {person}, act {number}");
                let request = Request { act: GuardedAct::Retire, subject, epoch: 0, row_version: 1 };
                store.ask_for_approval(&request, &nobody(), &actor, &recorder).await.unwrap();
            }
        });
    }
    acts.join_all().await;
    let answer = verify(office, &[]);
    assert_eq!(breaches(&answer), []);
    assert_eq!(answer.json()["head"]["seq"].as_u64(), Some(before + 80), "no gap, no fork, none lost");

    // Numbers and times have one order.
    let service = office.service("AKIAAUDITOR").await;
    let (deployment, records) = office.store().audit_key_records().await.unwrap();
    let keys = AuditKeys::open(&records, deployment, service.as_ref()).await.unwrap();
    let (mut verifier, mut times) = (Verifier::new(&keys, None, None), Vec::new());
    let store = office.store();
    let read = store.read_record(1, |entry| {
        verifier.entry(&entry);
        times.push(entry.at);
        ControlFlow::Continue(())
    });
    let head = read.await.unwrap();
    assert_eq!(verifier.finish(head.as_ref()).breaches, []);
    assert!(times.is_sorted());
}

async fn nothing_is_done_on_top_of_a_forged_end(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let keys = || office.server.sql("SELECT COUNT(*) FROM candado.data_key");
    let before = keys();
    for (sql, words) in [
        ("UPDATE candado.event_head SET seq = seq - 1", "forged"),
        ("UPDATE candado.event_head SET kid = kid + 1000", "the head is forged"),
        ("DELETE FROM candado.event_head", "no head"),
    ] {
        keep(office);
        office.server.sql(sql);
        let answer = add_keyset(office, "forged");
        assert!(answer.code == 1 && answer.errors.contains(words), "{sql}: {answer:?}");
        assert_eq!(keys(), before, "the act is undone with its entry");
        put_back(office);
    }
    // The audit key is not the one that it was.
    office.server.sql("CREATE TABLE it_kept.kcv SELECT kcv FROM candado.data_key WHERE kid = 1; UPDATE candado.data_key SET kcv = REPEAT('x', 16) WHERE kid = 1");
    let answer = add_keyset(office, "forged");
    assert!(answer.code == 1 && answer.errors.contains("check value"), "{answer:?}");
    office
        .server
        .sql("UPDATE candado.data_key SET kcv = (SELECT kcv FROM it_kept.kcv) WHERE kid = 1; DROP TABLE it_kept.kcv");
    assert_eq!(breaches(&verify(office, &[])), []);
    assert_eq!(add_keyset(office, "honest").code, 0);
}

async fn who_may_not_open_the_audit_key_verifies_nothing(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let (_folder, config) = office.desk("");
    let answer = office.run(PROXY, &config, &["audit", "verify", "--json"]);
    assert_eq!((answer.code, answer.out.as_str()), (1, ""), "{answer:?}");
    assert!(answer.errors.contains("audit key 1 cannot be opened"), "{answer:?}");
    // And its check passes: it has no need of that key.
    let check = office.run_offline("AKIAPROXY", &config, &["check", "--json"]).json();
    let items = check["items"].as_array().unwrap();
    let provider = items.iter().find(|item| item["part"] == "key provider").unwrap();
    assert_eq!(provider["verdict"], "ok", "{provider}");
}
