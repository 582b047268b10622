//! Approval by other people, by the real program and real keys of `openssl`: what counts, what does not, and that each
//! reason why there is no approval has its own words.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use candado::control::{
    Actor, ApprovalError, Approved, ControlError, GuardedAct, KeyStore, Recorder, Request, Signer, Signers,
    StoredRequest,
};
use candado::crypto::VerifyingKey;
use serde_json::{Value, json};

use crate::support::key_store::{AUDITOR, PROXY, SECURITY};
use crate::support::office::{Answer, Office, signing_key};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(
    two_people_approve_and_one_act_is_done,
    signatures_that_do_not_count,
    an_approval_holds_for_what_was_asked,
    nothing_in_the_tables_is_believed,
    two_acts_at_once_share_no_approval,
    without_a_threshold_nobody_is_asked,
    a_wrong_section_is_told,
);

/// The people of a test with their keys, and the configuration that names three of them.
struct Desk {
    office: &'static Office,
    folder: tempfile::TempDir,
    config: PathBuf,
    signers: Signers,
    store: KeyStore,
    recorder: Recorder,
    actor: Actor,
}

impl Desk {
    /// Ben, Cleo and Dora may approve, two of them must; Dora is the one who asks. A stranger has a key too.
    async fn new(office: &'static Office) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let public = |name: &str| signing_key(keys.path().join(name).to_str().unwrap());
        let people = ["ben", "cleo", "dora"].map(|name| (name, public(name)));
        public("stranger");
        let section = |(name, key): &(&str, String)| format!("{{ name = \"{name}\", key = \"{key}\" }}");
        let section: Vec<String> = people.iter().map(section).collect();
        let (folder, config) = office.desk(&format!("[approval]\nthreshold = 2\nsigners = [{}]\n", section.join(", ")));
        for name in ["ben", "cleo", "dora", "stranger"] {
            fs::copy(keys.path().join(name), folder.path().join(name)).unwrap();
        }
        let signer = |(name, key): &(&str, String)| Signer {
            name: (*name).into(),
            key: VerifyingKey::from_base64(key).unwrap(),
        };
        let signers = people.iter().map(signer).collect();
        let signers = Signers::new(signers, 2, Duration::from_secs(3600)).unwrap();
        let store = office.store();
        let actor = store.actor("dora").await.unwrap();
        Self { office, folder, config, signers, store, recorder: office.recorder().await, actor }
    }

    /// Something to approve, at the key store's present epoch.
    async fn wanted(&self, subject: &str) -> Request {
        let epoch = self.store.epoch().await.unwrap();
        Request { act: GuardedAct::Destroy, subject: subject.to_owned(), epoch, row_version: 3 }
    }

    async fn ask(&self, wanted: &Request) -> StoredRequest {
        self.store.ask_for_approval(wanted, &self.signers, &self.actor, &self.recorder).await.unwrap()
    }

    async fn take(&self, wanted: &Request) -> Result<Approved, ApprovalError> {
        match self.store.take_approval(wanted, &self.signers, &self.actor, &self.recorder).await {
            Ok(approved) => Ok(approved),
            Err(ControlError::Approval(error)) => Err(error),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn approve(&self, request: &StoredRequest, person: &str) -> Answer {
        let arguments = ["approve", &request.id.to_string(), "--json", "--key", &self.file(person)];
        self.office.run(SECURITY, &self.config, &arguments)
    }

    /// The request as it is listed.
    fn listed(&self, request: &StoredRequest) -> Value {
        let list = self.office.run(SECURITY, &self.config, &["approvals", "list", "--json"]).json();
        let requests = list["requests"].as_array().unwrap();
        requests.iter().find(|listed| listed["request"] == request.id).unwrap().clone()
    }

    fn condition(&self, request: &StoredRequest) -> String {
        self.listed(request)["condition"].as_str().unwrap().to_owned()
    }
}

fn refused(answer: &Answer, words: &str) {
    assert!(answer.code == 1 && answer.out.is_empty() && answer.errors.contains(words), "{words}: {answer:?}");
}

async fn two_people_approve_and_one_act_is_done(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk::new(office).await;
    let wanted = desk.wanted("key 7 (keyset contact, data, version 2)").await;
    let error = desk.take(&wanted).await.unwrap_err();
    assert!(matches!(error, ApprovalError::Needed { threshold: 2, .. }) && error.wants_new_request(), "{error:?}");

    let request = desk.ask(&wanted).await;
    let id = request.id;
    assert_eq!(desk.condition(&request), "open");
    assert_eq!(desk.take(&wanted).await, Err(ApprovalError::Short { id, have: 0, need: 2 }));

    // Ben signs with this program.
    let signed = desk.approve(&request, "ben");
    assert_eq!((signed.code, &signed.json()["have"], &signed.json()["approved"]), (0, &json!(1), &json!(false)));
    assert_eq!(signed.json()["text"], request.text(), "he sees what he signs");
    assert_eq!(desk.take(&wanted).await, Err(ApprovalError::Short { id, have: 1, need: 2 }));

    // Cleo signs with openssl, and somebody hands her signature in.
    let shown = office.run(AUDITOR, &desk.config, &["approvals", "show", &id.to_string()]);
    assert_eq!(shown.out, request.text());
    fs::write(desk.file("text"), &shown.out).unwrap();
    let (key, text, signature) = (desk.file("cleo"), desk.file("text"), desk.file("signature"));
    let sign = ["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &text, "-out", &signature];
    assert!(Command::new("openssl").args(sign).status().unwrap().success());
    let arguments = ["approve", &id.to_string(), "--signature", &signature];
    let signed = office.run(SECURITY, &desk.config, &arguments);
    assert!(signed.code == 0 && signed.out.contains("signed by cleo: 2 of 2"), "{signed:?}");
    let listed = desk.listed(&request);
    assert_eq!((&listed["condition"], &listed["signed_by"]), (&json!("approved"), &json!(["ben", "cleo"])));

    let approved = desk.take(&wanted).await.unwrap();
    assert_eq!(approved.facts(), json!({ "request": id, "by": ["ben", "cleo"] }));
    assert_eq!(desk.take(&wanted).await, Err(ApprovalError::Used { id }), "an approval serves one act");
    assert_eq!(desk.condition(&request), "used");
    refused(&desk.approve(&request, "cleo"), "used already");

    // All of it is in the record.
    let subject = format!("approval request {id}");
    let list = office.run(AUDITOR, &desk.config, &["audit", "list", "--json", "--subject", &subject]).json();
    let entries = list["entries"].as_array().unwrap();
    let acts: Vec<&str> = entries.iter().map(|entry| entry["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["approval.request", "approval.sign", "approval.sign", "approval.use"]);
    assert_eq!(entries[1]["after"]["signer"], "ben");
    assert!(entries[0]["actor"].as_str().unwrap().ends_with("(os: dora)"));
    assert_eq!(office.run(AUDITOR, &desk.config, &["audit", "verify"]).code, 0);
}

async fn signatures_that_do_not_count(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk::new(office).await;
    let wanted = desk.wanted("key 8").await;
    let request = desk.ask(&wanted).await;
    let other = desk.ask(&desk.wanted("key 9").await).await;
    refused(&desk.approve(&request, "stranger"), "no signature of any configured signer");
    refused(&desk.approve(&request, "dora"), "somebody else has to approve it");
    assert_eq!(desk.approve(&request, "ben").code, 0);
    refused(&desk.approve(&request, "ben"), "ben has signed request");
    // Cleo's signature over another request.
    let (key, text, signature) = (desk.file("cleo"), desk.file("text"), desk.file("signature"));
    fs::write(&text, other.text()).unwrap();
    let sign = ["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &text, "-out", &signature];
    assert!(Command::new("openssl").args(sign).status().unwrap().success());
    let id = request.id.to_string();
    let hand_in = |id: &str| office.run(SECURITY, &desk.config, &["approve", id, "--signature", &signature]);
    refused(&hand_in(&id), "no signature of any configured signer");
    let in_base64 = data_encoding::BASE64.encode(&fs::read(&signature).unwrap());
    fs::write(&signature, format!("{in_base64}\n")).unwrap();
    assert_eq!(hand_in(&other.id.to_string()).code, 0, "where it belongs it counts");
    assert_eq!(desk.take(&wanted).await, Err(ApprovalError::Short { id: request.id, have: 1, need: 2 }));
    refused(&hand_in("999999"), "there is no approval request 999999");

    // What is no key, no signature, or no right to sign.
    assert_eq!(office.run(SECURITY, &desk.config, &["approve", &id, "--key", &text]).code, 64);
    assert_eq!(office.run(SECURITY, &desk.config, &["approve", &id, "--signature", &text]).code, 64);
    assert_eq!(office.run(SECURITY, &desk.config, &["approve", &id]).code, 64);
    for account in [AUDITOR, PROXY] {
        let answer = office.run(account, &desk.config, &["approve", &id, "--key", &desk.file("cleo")]);
        assert_eq!((answer.code, desk.condition(&request).as_str()), (1, "open"), "{answer:?}");
    }
    assert_eq!(desk.approve(&request, "cleo").code, 0);
    assert!(desk.take(&wanted).await.is_ok());
}

async fn an_approval_holds_for_what_was_asked(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk::new(office).await;
    let wanted = desk.wanted("key 10").await;
    let request = desk.ask(&wanted).await;
    let id = request.id;
    for person in ["ben", "cleo"] {
        assert_eq!(desk.approve(&request, person).code, 0);
    }
    let needed = |error: ApprovalError| assert!(matches!(error, ApprovalError::Needed { .. }), "{error:?}");
    needed(desk.take(&Request { act: GuardedAct::Retire, ..wanted.clone() }).await.unwrap_err());
    needed(desk.take(&Request { subject: "key 11".to_owned(), ..wanted.clone() }).await.unwrap_err());
    let error = desk.take(&Request { row_version: 4, ..wanted.clone() }).await.unwrap_err();
    assert_eq!(error, ApprovalError::OtherVersion { id, was: 3, is: 4 });
    let later = Request { epoch: wanted.epoch + 1, ..wanted.clone() };
    let error = desk.take(&later).await.unwrap_err();
    assert_eq!(error, ApprovalError::OtherEpoch { id, was: wanted.epoch, is: later.epoch });
    assert!(error.wants_new_request());
    assert!(desk.take(&wanted).await.is_ok(), "none of these used it up");

    // The key store moves on: who would sign now is told at once.
    let request = desk.ask(&wanted).await;
    office.server.sql("UPDATE candado.epoch SET epoch = epoch + 1");
    assert_eq!(desk.condition(&request), "outdated");
    refused(&desk.approve(&request, "ben"), "of the key store, which is at");

    let wanted = desk.wanted("key 10").await;
    let request = desk.ask(&wanted).await;
    office.server.sql(&format!(
        "UPDATE candado.approval_request SET expires_at = UTC_TIMESTAMP(6) WHERE request_id = {}",
        request.id
    ));
    assert!(matches!(desk.take(&wanted).await, Err(ApprovalError::Expired { .. })));
    assert_eq!(desk.condition(&request), "expired");
    refused(&desk.approve(&request, "ben"), "expired at");
}

async fn nothing_in_the_tables_is_believed(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk::new(office).await;
    let wanted = desk.wanted("key 12").await;
    let request = desk.ask(&wanted).await;
    let id = request.id;
    // Signatures that nobody gave, under names that count.
    office.server.sql(&format!(
        "INSERT INTO candado.approval_signature VALUES ({id}, 'ben', REPEAT('b', 64), UTC_TIMESTAMP(6)),
         ({id}, 'cleo', REPEAT('c', 64), UTC_TIMESTAMP(6))"
    ));
    assert_eq!(desk.take(&wanted).await, Err(ApprovalError::Short { id, have: 0, need: 2 }));
    for person in ["ben", "cleo"] {
        assert_eq!(desk.approve(&request, person).code, 0, "and they keep nobody from signing");
    }
    // Whatever is changed afterwards was not signed.
    for change in [
        "expires_at = expires_at + INTERVAL 1 DAY",
        "nonce = REPEAT('n', 16)",
        "requested_by = 'somebody'",
        "requested_at = requested_at - INTERVAL 1 SECOND",
    ] {
        office.server.sql(&format!(
            "CREATE TABLE candado.it_request SELECT * FROM candado.approval_request WHERE request_id = {id};
             UPDATE candado.approval_request SET {change} WHERE request_id = {id}"
        ));
        assert_eq!(desk.take(&wanted).await, Err(ApprovalError::Short { id, have: 0, need: 2 }), "{change}");
        office.server.sql(&format!(
            "UPDATE candado.approval_request r JOIN candado.it_request k ON r.request_id = k.request_id
             SET r.expires_at = k.expires_at, r.nonce = k.nonce, r.requested_by = k.requested_by,
             r.requested_at = k.requested_at WHERE r.request_id = {id};
             DROP TABLE candado.it_request"
        ));
    }
    // A request for something else, made to look like this one.
    let other = Request { subject: "key 13".to_owned(), ..wanted.clone() };
    office.server.sql(&format!("UPDATE candado.approval_request SET subject = 'key 13' WHERE request_id = {id}"));
    assert_eq!(desk.take(&other).await, Err(ApprovalError::Short { id, have: 0, need: 2 }));
    office.server.sql(&format!("UPDATE candado.approval_request SET subject = 'key 12' WHERE request_id = {id}"));
    assert!(desk.take(&wanted).await.is_ok());
}

async fn two_acts_at_once_share_no_approval(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk::new(office).await;
    let wanted = desk.wanted("key 14").await;
    let request = desk.ask(&wanted).await;
    for person in ["ben", "cleo"] {
        assert_eq!(desk.approve(&request, person).code, 0);
    }
    let (first, second) = tokio::join!(desk.take(&wanted), desk.take(&wanted));
    let (taken, refused) = if first.is_ok() { (first, second) } else { (second, first) };
    assert!(taken.is_ok(), "{taken:?}");
    assert_eq!(refused, Err(ApprovalError::Used { id: request.id }));
}

async fn without_a_threshold_nobody_is_asked(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk { signers: Signers::none(), ..Desk::new(office).await };
    let wanted = desk.wanted("key 15").await;
    assert_eq!(desk.take(&wanted).await.unwrap().facts(), Value::Null);
    let asked = desk.store.ask_for_approval(&wanted, &desk.signers, &desk.actor, &desk.recorder).await;
    assert!(matches!(asked, Err(ControlError::Approval(ApprovalError::NotConfigured))), "{asked:?}");

    let check = |more: &str| {
        let (_folder, config) = office.desk(more);
        let report = office.run_offline("AKIAPROXY", &config, &["check", "--json"]).json();
        report["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
    };
    let said = |items: Vec<String>, words: &str| assert!(items.iter().any(|text| text.contains(words)), "{items:#?}");
    said(check(""), "one person alone may destroy keys");
    let key = signing_key(desk.folder.path().join("one").to_str().unwrap());
    let section = format!("[approval]\nthreshold = 1\nsigners = [{{ name = \"one\", key = \"{key}\" }}]\n");
    said(check(&section), "need 1 of 1 signatures");
}

async fn a_wrong_section_is_told(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let desk = Desk::new(office).await;
    let key = signing_key(desk.folder.path().join("one").to_str().unwrap());
    let signer = |name: &str, key: &str| format!("{{ name = \"{name}\", key = \"{key}\" }}");
    let (one, same, nameless) = (signer("one", &key), signer("two", &key), signer("", &key));
    for (section, words) in [
        (format!("threshold = 2\nsigners = [{one}]"), "2 signatures cannot come from 1 signers"),
        (format!("threshold = 1\nsigners = [{one}, {same}]"), "one name or one key"),
        (format!("threshold = 1\nsigners = [{nameless}]"), "1 to 64 characters"),
        ("threshold = 1\nsigners = [{ name = \"one\", key = \"AAAA\" }]".to_owned(), "no Ed25519 public key"),
        ("lifetime_h = 0".to_owned(), "out of bounds: 1 to 168"),
        ("treshold = 1".to_owned(), "did you mean `threshold`"),
    ] {
        let (_folder, config) = office.desk(&format!("[approval]\n{section}\n"));
        let answer = office.run(SECURITY, &config, &["approvals", "list"]);
        assert!(answer.code == 64 && answer.errors.contains(words), "{section}: {answer:?}");
    }
}
