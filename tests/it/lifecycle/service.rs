//! `candado keys` with a key service, under principals that have no more than `keys-policy/aws` gives them.

use std::fs;

use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::program::Load;
use crate::fakekms::{FakeKms, Role, State};
use crate::support::key_store::SECURITY;
use crate::support::office::{Office, signing_key};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, Proxy, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Shop, Who, policy, text};

on_each_server!(
    keys_are_wrapped_again_while_clients_write_and_read,
    a_second_person_approves_with_the_program,
    a_key_service_that_fails_is_told,
    the_brake_cuts_proxies_while_the_key_service_refuses,
);

async fn keys_are_wrapped_again_while_clients_write_and_read(kind: Kind) {
    let fake = FakeKms::start();
    fake.allow_role("AKIAPROXY", Role::Proxy);
    fake.allow_role("AKIASECURITY", Role::Security);
    let (first, second) = (fake.create_key(), fake.create_key());
    let provider = Provider::AwsKms { endpoint: fake.endpoint(), arn: first.clone() };
    let deployment = Deployment::own(kind, &[], provider);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let team = deployment.security_team(&policy(&shop.database));
    let load = Load::start(&shop).await;

    block_in_place(|| team.done(&["rotate", KEYSET]));
    load.goes_on();
    block_in_place(|| team.done(&["rotate-kek", "--dry-run"]));
    assert_eq!(fake.calls("RotateKeyOnDemand"), 0);
    block_in_place(|| team.done(&["rotate-kek"]));
    assert_eq!(fake.calls("RotateKeyOnDemand"), 1);
    let wraps =
        || deployment.server.sql("SELECT kid, kek_ref, wrap_version, priority FROM candado.wrapped_key ORDER BY 1, 4");
    let before = wraps();
    block_in_place(|| team.done(&["rewrap", "--dry-run"]));
    assert_eq!(wraps(), before);
    let rewrapped = block_in_place(|| team.done(&["rewrap"]));
    // The audit key is the custodian's to wrap again; the other three are two data keys and an index key.
    assert_eq!((&rewrapped["keys"], &rewrapped["denied"]), (&json!([2, 3, 4]), &json!([1])));
    assert_eq!(rewrapped["kek"], format!("aws-kms:{first}"));
    let of_columns = || wraps().lines().filter(|line| !line.starts_with("1\t")).map(str::to_owned).collect::<Vec<_>>();
    assert!(of_columns().iter().all(|line| line.contains(&first) && line.ends_with("2\t0")), "{}", wraps());
    load.goes_on();

    // To another key-encryption key: both for a time, then the new one alone.
    block_in_place(|| team.done(&["rewrap", "--to", &second, "--add"]));
    assert_eq!(wraps().lines().filter(|line| line.contains(&second) && line.ends_with("1\t1")).count(), 3);
    let (code, refusal) = block_in_place(|| team.refused(&["rewrap", "--drop", &first]));
    assert_eq!(code, "failed");
    assert!(refusal.contains("is the key-encryption key of the configuration"), "{refusal}");
    load.goes_on();
    block_in_place(|| team.done(&["rewrap", "--drop", &format!("aws-kms:{second}")]));
    assert!(wraps().lines().all(|line| line.contains(&first)), "{}", wraps());
    load.goes_on();

    // A proxy that starts now opens what was wrapped again, and another key made on the way.
    let restarted = Proxy::start(&deployment, &policy(&shop.database), Tls::Off);
    block_in_place(|| team.done(&["rotate", KEYSET]));
    drop(restarted);
    load.goes_on();
    load.end().await;
    let mut conn = shop.connect(Who::Application).await;
    assert!(text(&mut conn, "SELECT code, note FROM customers").await.cells().len() > 10);
    shop.assert_sealed();
}

async fn a_second_person_approves_with_the_program(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("ben.pem").to_str().unwrap().to_owned();
    let public = signing_key(&key);
    let (_desk, config) =
        office.desk(&format!("[approval]\nthreshold = 1\nsigners = [{{ name = \"ben\", key = \"{public}\" }}]\n"));
    let run = |arguments: &[&str]| office.run(SECURITY, &config, &[arguments, &["--json"]].concat());
    let kid = run(&["keys", "create", KEYSET]).json()["key_id"].to_string();
    let destroy = ["keys", "destroy", &kid, "--confirm", &kid];
    let requests = || run(&["approvals", "list"]).json()["requests"].as_array().unwrap().len();
    let before = requests();
    let rehearsed = run(&["keys", "destroy", &kid, "--dry-run"]);
    assert_eq!((rehearsed.code, &rehearsed.json()["refused"]["code"]), (1, &json!("not_approved")));
    assert_eq!(requests(), before, "a rehearsal asks nobody");

    let refused = run(&destroy);
    let refusal = refused.json()["refused"].clone();
    assert_eq!((refused.code, &refusal["code"]), (1, &json!("not_approved")));
    let said = refusal["text"].as_str().unwrap();
    let request = said.split("candado approve ").nth(1).and_then(|rest| rest.split('`').next()).expect(said).to_owned();
    let again = run(&destroy).json()["refused"]["text"].as_str().unwrap().to_owned();
    assert!(again.contains("0 of 1 signatures") && requests() == before + 1, "it is asked for once: {again}");
    assert_eq!(run(&["approve", &request, "--key", &key]).code, 0);
    let done = run(&destroy).json();
    assert_eq!((&done["done"], &done["backups"]), (&json!(true), &Value::Null));
    assert_eq!(run(&["audit", "verify"]).code, 0);
}

async fn a_key_service_that_fails_is_told(kind: Kind) {
    let (office, _turn) = Office::enter(kind).await;
    let (_desk, config) = office.desk("");
    let run = |arguments: &[&str]| office.run(SECURITY, &config, &[arguments, &["--json"]].concat());
    let kek = fs::read_to_string(&config).unwrap();
    let kek = kek.split('"').find(|part| part.starts_with("arn:")).unwrap();
    let keys = || office.server.sql("SELECT kid, state FROM candado.data_key");
    let before = keys();
    office.fake.set_state(kek, State::Disabled);
    for verb in ["create", "rotate"] {
        let refused = run(&["keys", verb, KEYSET]);
        let text = refused.json()["refused"]["text"].as_str().unwrap().to_owned();
        assert!(refused.code == 1 && text.contains("disabled"), "{text}");
    }
    office.fake.set_state(kek, State::Enabled);
    assert_eq!(keys(), before);
    assert_eq!(run(&["keys", "create", KEYSET, "--dry-run"]).code, 0);
}

async fn the_brake_cuts_proxies_while_the_key_service_refuses(kind: Kind) {
    let fake = FakeKms::start();
    fake.allow_role("AKIAPROXY", Role::Proxy);
    fake.allow_role("AKIASECURITY", Role::Security);
    let kek = fake.create_key();
    let deployment = Deployment::own(kind, &[], Provider::AwsKms { endpoint: fake.endpoint(), arn: kek.clone() });
    let shop = Shop::open_on(&deployment, Tls::Off);
    let team = deployment.security_team(&policy(&shop.database));
    let mut conn = shop.connect(Who::Application).await;
    text(&mut conn, "INSERT INTO customers (id, note) VALUES (1, 'secret')").await;
    fake.set_state(&kek, State::Disabled);
    let key =
        team.done(&["list"])["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == "data").unwrap()["key_id"]
            .to_string();
    block_in_place(|| {
        team.done(&["suspend", &key]);
        wait_until("the proxy knows", || shop.proxy.metric("keysets_inactive") == 1.0);
    });
    // Long before the key service would have been asked again.
    assert_eq!(text(&mut conn, "SELECT note FROM customers").await.error(), (3185, "HY000"));
}
