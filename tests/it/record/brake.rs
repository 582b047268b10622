//! The emergency brake while the audit key cannot be opened: it goes in, its entry is told as what it is, and sealed later.

use serde_json::{Value, json};

use super::{add_keyset, export, judged, keep, note, put_back, verify};
use crate::fakekms::{Role, State};
use crate::support::key_store::{AUDITOR, SECURITY};
use crate::support::office::{Answer, Office};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    the_brake_goes_in_without_the_audit_key,
    what_is_done_to_entries_before_they_are_sealed_is_found,
    the_next_act_seals,
    a_forged_end_does_not_stop_the_brake,
);

/// The keys of a keyset that is made for the test: data and index.
fn keyset(office: &Office, name: &str) -> [String; 2] {
    assert_eq!(add_keyset(office, name).code, 0);
    let sql = format!("SELECT kid FROM candado.data_key JOIN candado.keyset USING (keyset_id) WHERE name = '{name}'");
    let kids = office.server.sql(&format!("{sql} ORDER BY kid"));
    let [data, index] = kids.lines().collect::<Vec<_>>()[..] else { panic!("{kids}") };
    [data, index].map(str::to_owned)
}

fn act(office: &Office, arguments: &[&str]) -> Answer {
    let (_folder, config) = office.desk("");
    office.run(SECURITY, &config, &[arguments, &["--json"]].concat())
}

fn state(office: &Office, kid: &str) -> String {
    office.server.sql(&format!("SELECT state FROM candado.data_key WHERE kid = {kid}")).trim_end().to_owned()
}

/// Suspends a key while the key service refuses.
fn suspend(office: &Office, kid: &str) {
    office.fake.set_state(&office.kek, State::Disabled);
    let braked = act(office, &["keys", "suspend", kid]);
    office.fake.set_state(&office.kek, State::Enabled);
    assert_eq!((braked.code, braked.json()["changes"][0]["to"].as_str()), (0, Some("suspended")), "{braked:?}");
    assert!(braked.errors.contains("audit key cannot be opened") && braked.errors.contains("audit seal"), "{braked:?}");
}

/// Exit code, and from where to where entries are not sealed.
fn told(answer: &Answer) -> (i32, Vec<(u64, u64, Option<u64>)>) {
    let document = answer.json();
    let number = |one: &Value, name: &str| one[name].as_u64();
    let unsealed = document["unsealed"].as_array().unwrap().iter();
    let unsealed = unsealed
        .map(|one| (number(one, "from").unwrap(), number(one, "to").unwrap(), number(one, "sealed_by")))
        .collect();
    (answer.code, unsealed)
}

/// The last ones: other tests leave theirs, which are sealed.
fn last(answer: &Answer) -> (i32, Option<(u64, u64, Option<u64>)>) {
    let (code, unsealed) = told(answer);
    (code, unsealed.last().copied())
}

fn kinds(answer: &Answer) -> Vec<(String, u64)> {
    let document = answer.json();
    let found = document["breaches"].as_array().unwrap().iter();
    found.map(|one| (one["what"].as_str().unwrap().to_owned(), one["seq"].as_u64().unwrap())).collect()
}

async fn the_brake_goes_in_without_the_audit_key(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let [data, index] = keyset(office, "braked");
    let before = verify(office, &[]).json()["head"]["seq"].as_u64().unwrap();

    // The key is disabled: nothing is done that cannot be recorded, but for the brake.
    office.fake.set_state(&office.kek, State::Disabled);
    for other in [&["keys", "create", "braked"][..], &["keys", "resume", &data], &["keys", "activate", &data]] {
        let refused = act(office, other);
        let text = refused.json()["refused"]["text"].as_str().unwrap().to_owned();
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(text.contains("so none is done") && text.contains("disabled"), "{text}");
    }
    let rehearsed = act(office, &["keys", "suspend", &data, "--dry-run"]);
    assert_eq!((rehearsed.code, state(office, &data).as_str()), (0, "active"), "{rehearsed:?}");
    office.fake.set_state(&office.kek, State::Enabled);
    suspend(office, &data);
    assert_eq!(state(office, &data), "suspended");

    // The principal may do nothing any more, and then nobody answers.
    office.fake.allow("AKIASECURITY", &[]);
    let braked = act(office, &["keys", "suspend", &index]);
    assert_eq!((braked.code, state(office, &index).as_str()), (0, "suspended"), "{braked:?}");
    office.fake.allow_role("AKIASECURITY", Role::Security);

    let answer = verify(office, &[]);
    assert_eq!(last(&answer), (2, Some((before + 1, before + 2, None))), "{answer:?}");
    assert_eq!(answer.json()["intact"], true);
    let (folder, config) = office.desk("");
    let text = office.run(AUDITOR, &config, &["audit", "verify"]);
    assert!(text.code == 2 && text.out.contains("WARNING") && text.out.contains("audit seal"), "{text:?}");
    let listed = office.run(AUDITOR, &config, &["audit", "list", "--json", "--limit", "3"]).json();
    let sealed: Vec<_> =
        listed["entries"].as_array().unwrap().iter().map(|one| (&one["act"], &one["sealed"])).collect();
    let suspended = (&json!("key.suspend"), &json!(false));
    assert_eq!(sealed[1..], [suspended, suspended]);
    let exported = export(office, folder.path(), &config);
    let theirs = judged(office, folder.path(), &exported).await;
    assert_eq!((&theirs["intact"], &theirs["unsealed"]), (&json!(true), &json!([before + 1, before + 2])), "{theirs}");

    let sealed = act(office, &["audit", "seal"]);
    assert_eq!((sealed.code, sealed.json()), (0, json!({ "sealed": { "from": before + 1, "to": before + 2 } })));
    assert_eq!(act(office, &["audit", "seal"]).json(), json!({ "sealed": null }));
    let answer = verify(office, &[]);
    assert_eq!(last(&answer), (0, Some((before + 1, before + 2, Some(before + 3)))), "{answer:?}");
    // Now even the note of the end is under the key: what was noted before is there as well.
    std::fs::remove_file(folder.path().join("record.jsonl")).unwrap();
    let theirs = judged(office, folder.path(), &export(office, folder.path(), &config)).await;
    assert_eq!((&theirs["intact"], &theirs["unsealed"]), (&json!(true), &json!([])), "{theirs}");
}

async fn what_is_done_to_entries_before_they_are_sealed_is_found(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let [data, index] = keyset(office, "tampered");
    suspend(office, &data);
    suspend(office, &index);
    let noted = note(&verify(office, &[]).json());
    let end = verify(office, &[]).json()["head"]["seq"].as_u64().unwrap();
    let tampered = |sql: String, more: &[&str]| {
        keep(office);
        office.server.sql(&sql);
        let answer = verify(office, more);
        let acted = act(office, &["keys", "create", "tampered", "--dry-run"]);
        let sealed = act(office, &["audit", "seal"]);
        put_back(office);
        assert_eq!(acted.code, 0, "a rehearsal records nothing: {acted:?}");
        (answer.code, kinds(&answer), sealed.code)
    };
    let at = |what: &str, seq: u64| vec![(what.to_owned(), seq)];
    let first = end - 1;
    assert_eq!(
        tampered(format!("UPDATE candado.event SET actor = 'x' WHERE seq = {first}"), &[]),
        (1, at("altered", first), 1),
        "and nothing is sealed on top of it"
    );
    assert_eq!(tampered(format!("DELETE FROM candado.event WHERE seq = {first}"), &[]), (1, at("missing", first), 1));
    assert_eq!(
        tampered(format!("UPDATE candado.event SET act = 'key.resume' WHERE seq = {end}"), &[]),
        (1, at("altered", end), 1)
    );
    // The last one taken away: the note alone knows.
    let cut = format!("DELETE FROM candado.event WHERE seq = {end}");
    assert_eq!(tampered(cut.clone(), &[]).0, 2);
    assert_eq!(tampered(cut, &["--head", &noted]), (1, at("shorter_than_noted", end), 0));

    assert_eq!(act(office, &["audit", "seal"]).code, 0);
    keep(office);
    office.server.sql(&format!("DELETE FROM candado.event WHERE seq = {end}"));
    let answer = verify(office, &[]);
    put_back(office);
    assert_eq!((answer.code, kinds(&answer)), (1, at("missing", end)), "sealed, it is missed without a note");
    let answer = verify(office, &["--head", &noted]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

async fn the_next_act_seals(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let [data, _] = keyset(office, "sealed_by_an_act");
    suspend(office, &data);
    assert_eq!(last(&verify(office, &[])).0, 2);
    assert_eq!(act(office, &["keys", "create", "sealed_by_an_act"]).code, 0);
    let (_folder, config) = office.desk("");
    let listed = office.run(AUDITOR, &config, &["audit", "list", "--json", "--limit", "3"]).json();
    let acts: Vec<_> = listed["entries"].as_array().unwrap().iter().map(|one| one["act"].clone()).collect();
    assert_eq!(acts, ["key.suspend", "record.seal", "key.create"]);
    assert_eq!(last(&verify(office, &[])).0, 0);
}

async fn a_forged_end_does_not_stop_the_brake(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let [data, index] = keyset(office, "forged_end");
    keep(office);
    for (sql, kid) in
        [("UPDATE candado.event_head SET seq = seq - 1", &data), ("DELETE FROM candado.event_head", &index)]
    {
        office.server.sql(sql);
        let braked = act(office, &["keys", "suspend", kid]);
        assert_eq!((braked.code, state(office, kid).as_str()), (0, "suspended"), "{braked:?}");
        assert!(braked.errors.contains("recorded without the audit key"), "{braked:?}");
        assert_eq!(verify(office, &[]).code, 1);
    }
    // The head as it was before: the entries of the brake are linked to the end that it names.
    office.server.sql("INSERT INTO candado.event_head SELECT * FROM it_kept.event_head");
    assert_eq!(last(&verify(office, &[])).0, 2);
    assert_eq!(act(office, &["audit", "seal"]).code, 0);
    assert_eq!(last(&verify(office, &[])).0, 0);
}
