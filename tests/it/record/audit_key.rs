//! The audit key is replaced: the new one records, the old one goes on verifying.

use candado::control::{GuardedAct, Request};
use serde_json::{Value, json};

use super::{breaches, export, judged, nobody, verify};
use crate::support::key_store::{AUDITOR, SECURITY};
use crate::support::office::{Answer, Office};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(the_audit_key_is_replaced);

fn act(office: &Office, arguments: &[&str]) -> Answer {
    let (_folder, config) = office.desk("");
    office.run(SECURITY, &config, &[arguments, &["--json"]].concat())
}

/// Ids of the keys that the last entries and the head are under.
fn under(office: &Office) -> (Vec<String>, String) {
    let entries = office.server.sql("SELECT kid FROM candado.event ORDER BY seq DESC LIMIT 6");
    let head = office.server.sql("SELECT kid FROM candado.event_head");
    (entries.lines().map(str::to_owned).collect(), head.trim_end().to_owned())
}

async fn the_audit_key_is_replaced(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let (folder, config) = office.desk("");
    assert_eq!(act(office, &["keys", "create", "it"]).code, 0);
    let before = verify(office, &[]).json();
    // Somebody who opened the key before.
    let (early, store) = (office.recorder().await, office.store());
    let rehearsed = act(office, &["keys", "rotate", "candado", "--dry-run"]).json();
    assert_eq!((&rehearsed["done"], &rehearsed["key_id"]), (&json!(false), &Value::Null));
    assert_eq!(verify(office, &[]).json()["head"], before["head"], "a rehearsal changes nothing");

    let replaced = act(office, &["keys", "rotate", "candado"]).json();
    let (old, new) = (replaced["old"].to_string(), replaced["key_id"].to_string());
    assert_ne!(old, new);
    // The old key vouches for the new one, which begins with an entry of its own.
    let (entries, head) = under(office);
    assert_eq!((entries, &head), ([&new, &old, &old, &old, &old, &old].map(Clone::clone).to_vec(), &new));
    let listed = office.run(AUDITOR, &config, &["audit", "list", "--json", "--limit", "5"]).json();
    let acts: Vec<_> = listed["entries"].as_array().unwrap().iter().map(|one| one["act"].clone()).collect();
    assert_eq!(acts, ["key.create", "key.deactivate", "key.activate", "record.key", "record.key"]);
    let shown = listed["entries"][3]["after"]["check_value"].as_str().unwrap().to_uppercase();
    let stored = office.server.sql(&format!("SELECT HEX(kcv) FROM candado.data_key WHERE kid = {new}"));
    assert_eq!(stored.trim_end(), shown);
    assert_eq!(breaches(&verify(office, &[])), []);

    // Acts go on under the new one; whoever still holds the old one alone is told to start again.
    let created = office.server.sql("SELECT MAX(kid) FROM candado.data_key WHERE state = 'pending'");
    assert_eq!(act(office, &["keys", "destroy", created.trim_end(), "--confirm", created.trim_end()]).code, 0);
    assert_eq!(under(office).0[0], new);
    let request = Request { act: GuardedAct::Retire, subject: "early".to_owned(), epoch: 0, row_version: 1 };
    let actor = store.actor("early").await.unwrap();
    let refused = store.ask_for_approval(&request, &nobody(), &actor, &early).await.unwrap_err();
    assert!(refused.to_string().contains("run it again"), "{refused}");

    // The old one cannot be put aside: it verifies what it recorded.
    for verb in
        [&["keys", "retire", &old][..], &["keys", "suspend", &old], &["keys", "destroy", &old, "--confirm", &old]]
    {
        let refused = act(office, verb);
        assert_eq!((refused.code, &refused.json()["refused"]["code"]), (1, &json!("reserved")), "{refused:?}");
    }
    let text = export(office, folder.path(), &config);
    let theirs = judged(office, folder.path(), &text).await;
    assert_eq!((&theirs["intact"], &theirs["unsealed"]), (&json!(true), &json!([])), "{theirs}");
    let forged = judged(office, folder.path(), &text.replacen("key.create", "key.delete", 1)).await;
    assert_eq!(forged["broken"], json!([2]), "an entry under the old key");

    // And once more.
    assert_eq!(act(office, &["keys", "rotate", "candado"]).json()["old"].to_string(), new);
    assert_eq!(breaches(&verify(office, &[])), []);
}
