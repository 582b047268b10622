//! Keys are carried over to another key provider, and the service starts with that one alone.

use std::fs;
use std::path::{Path, PathBuf};

use mysql_async::Conn;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::program::Load;
use crate::fakekms::{FakeKms, Role, State};
use crate::fakevault::{Derived, FakeVault};
use crate::support::office::signing_key;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, Proxy, SecurityTeam, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, bounded, options, policy, text};

on_each_server!(
    keys_go_from_a_file_to_vault_while_clients_write_and_read,
    keys_go_to_a_key_that_the_first_one_cannot_rewrap_to,
);

/// The one principal that both providers let open and wrap, for as long as the ceremony takes.
const CEREMONY: &str = "AKIACEREMONY";

/// A configuration file with nothing but a key provider.
fn alone(keys: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().unwrap();
    let path = folder.path().join("other.toml");
    fs::write(&path, format!("[keys]\n{keys}")).unwrap();
    (folder, path)
}

/// `candado keys add-wrap` under the security team's account; exit code, document and warnings.
fn add_wrap(team: &SecurityTeam<'_>, principal: &str, to: &Path, more: &[&str]) -> (i32, Value, String) {
    let mut command = team.command(&["add-wrap", "--json", "--to", to.to_str().unwrap()]);
    command.args(more).env("AWS_ACCESS_KEY_ID", principal).env("CANDADO_IT_TOKEN", principal);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    (output.status.code().unwrap(), document, errors)
}

fn wraps(deployment: &Deployment) -> String {
    deployment.server.sql("SELECT kid, provider, kek_ref, priority FROM candado.wrapped_key ORDER BY kid, priority")
}

async fn connect(shop: &Shop<'_>, proxy: &Proxy) -> Conn {
    let options = options("127.0.0.1", proxy.port, &shop.database);
    bounded(Conn::new(options.user(Some(shop.account(Who::Application))).pass(Some(SECRET)))).await.unwrap()
}

/// What was written before is read, searched and written on.
async fn assert_serves(shop: &Shop<'_>, proxy: &Proxy) {
    let mut conn = connect(shop, proxy).await;
    let read = text(&mut conn, "SELECT note FROM customers WHERE code = 'before'").await;
    assert_eq!(read.cells(), [[Some("the ceremony".to_owned())]]);
    let written = text(&mut conn, "UPDATE customers SET note = 'the ceremony' WHERE code = 'before'").await;
    assert!(matches!(written, Answer::Done { affected: 1, .. }), "{written:?}");
}

async fn write_before(shop: &Shop<'_>) {
    let mut conn = shop.connect(Who::Application).await;
    text(&mut conn, "INSERT INTO customers (id, code, note) VALUES (1, 'before', 'the ceremony')").await;
}

async fn keys_go_from_a_file_to_vault_while_clients_write_and_read(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let policy = policy(&shop.database);
    let team = deployment.security_team(&policy);
    write_before(&shop).await;
    let load = Load::start(&shop).await;
    block_in_place(|| team.done(&["rotate", KEYSET]));
    load.goes_on();

    let vault = FakeVault::start();
    vault.create_key("candado", Derived::Yes);
    let rights = ["transit/keys/candado", "transit/decrypt/candado", "transit/encrypt/candado"];
    vault.allow("AKIAPROXY", &rights[..2]);
    vault
        .allow("AKIASECURITY", &["transit/keys/candado", "transit/decrypt/candado", "transit/datakey/wrapped/candado"]);
    let keys = format!(
        "provider = \"vault\"\naddress = \"{}\"\nkey = \"candado\"\ntoken_env = \"CANDADO_IT_TOKEN\"\n",
        vault.address()
    );
    let (_folder, other) = alone(&keys);
    let before = wraps(&deployment);
    // Nobody carries keys who may not wrap there, and a rehearsal writes nothing.
    let (code, refused, _) = block_in_place(|| add_wrap(&team, CEREMONY, &other, &[]));
    assert_eq!((code, &refused["refused"]["code"]), (1, &json!("provider")), "{refused}");
    vault.allow(CEREMONY, &rights);
    let (code, rehearsed, _) = block_in_place(|| add_wrap(&team, CEREMONY, &other, &["--dry-run"]));
    assert_eq!((code, &rehearsed["keys"]), (0, &json!([1, 2, 3, 4])), "{rehearsed}");
    assert_eq!(wraps(&deployment), before);

    let (code, done, said) = block_in_place(|| add_wrap(&team, CEREMONY, &other, &[]));
    assert_eq!(
        (code, &done["keys"], &done["kek"]),
        (0, &json!([1, 2, 3, 4]), &json!("vault:transit/candado")),
        "{done}"
    );
    assert!(said.contains("in the clear in this process"), "{said}");
    vault.revoke(CEREMONY);
    let both = wraps(&deployment);
    assert_eq!(both.lines().filter(|line| line.contains("vault") && line.ends_with('1')).count(), 4, "{both}");
    load.goes_on();
    load.end().await;

    // The key file is gone: Vault alone.
    let moved = deployment.moved(Provider::Vault { address: vault.address() });
    let old = done["from"].as_str().unwrap().to_owned();
    fs::remove_file(deployment.key_file()).unwrap();
    let proxy = Proxy::start(&moved, &policy, Tls::Off);
    assert_serves(&shop, &proxy).await;
    let team = moved.security_team(&policy);
    let dropped = block_in_place(|| team.done(&["rewrap", "--drop", &old]));
    assert_eq!(dropped["keys"], json!([1, 2, 3, 4]));
    assert!(wraps(&moved).lines().all(|line| line.contains("vault")), "{}", wraps(&moved));
    drop(proxy);
    let proxy = Proxy::start(&moved, &policy, Tls::Off);
    assert_serves(&shop, &proxy).await;
    block_in_place(|| team.done(&["create", KEYSET]));
    let acts =
        moved.server.sql("SELECT act, COUNT(*) FROM candado.event WHERE act LIKE 'key.%wrap' GROUP BY act ORDER BY 1");
    assert_eq!(acts, "key.add_wrap\t4\nkey.drop_wrap\t4\n");
}

async fn keys_go_to_a_key_that_the_first_one_cannot_rewrap_to(kind: Kind) {
    let fake = FakeKms::start();
    fake.allow_role("AKIAPROXY", Role::Proxy);
    fake.allow_role("AKIASECURITY", Role::Security);
    fake.allow(CEREMONY, &["Decrypt", "Encrypt", "DescribeKey"]);
    let (first, second) = (fake.create_key(), fake.create_key());
    let with = |arn: &str| Provider::AwsKms { endpoint: fake.endpoint(), arn: arn.to_owned() };
    let deployment = Deployment::own(kind, &[], with(&first));
    let shop = Shop::open_on(&deployment, Tls::Off);
    let policy = policy(&shop.database);
    write_before(&shop).await;
    let (folder, other) =
        alone(&format!("provider = \"aws-kms\"\nkek = \"{second}\"\nendpoint = \"{}\"\n", fake.endpoint()));
    let team = deployment.security_team(&policy);
    let before = wraps(&deployment);
    // The security team's own principal opens no key of a column.
    let (code, refused, _) = block_in_place(|| add_wrap(&team, "AKIASECURITY", &other, &[]));
    assert_eq!((code, &refused["refused"]["code"]), (1, &json!("provider")), "{refused}");
    assert_eq!(wraps(&deployment), before);

    // With approvals it takes a second person.
    let key = folder.path().join("ben.pem").to_str().unwrap().to_owned();
    let public = signing_key(&key);
    let careful = deployment.security_team(&policy);
    careful.configure(&format!("[approval]\nthreshold = 1\nsigners = [{{ name = \"ben\", key = \"{public}\" }}]\n"));
    let (code, refused, _) = block_in_place(|| add_wrap(&careful, CEREMONY, &other, &[]));
    assert_eq!((code, &refused["refused"]["code"]), (1, &json!("not_approved")), "{refused}");
    assert_eq!(wraps(&deployment), before);

    let (code, done, _) = block_in_place(|| add_wrap(&team, CEREMONY, &other, &[]));
    assert_eq!((code, &done["keys"]), (0, &json!([1, 2, 3])), "{done}");
    fake.set_state(&first, State::Disabled);
    let moved = deployment.moved(with(&second));
    let proxy = Proxy::start(&moved, &policy, Tls::Off);
    assert_serves(&shop, &proxy).await;
    let team = moved.security_team(&policy);
    block_in_place(|| team.done(&["rewrap", "--drop", &format!("aws-kms:{first}")]));
    assert!(wraps(&moved).lines().all(|line| line.contains(&second)), "{}", wraps(&moved));
    drop(proxy);
    assert_serves(&shop, &Proxy::start(&moved, &policy, Tls::Off)).await;
}
