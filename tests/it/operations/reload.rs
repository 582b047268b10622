//! SIGHUP: what a file says is in force without a connection being lost, and what is wrong with it changes nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use mysql_async::Conn;
use rustix::process::Signal;

use crate::support::on_each_server;
use crate::support::proxy::{CERTIFICATE, CERTIFICATE_KEY, Deployment, PATIENCE, Provider, Tls};
use crate::support::raw::{Login, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, assert_in_step, policy, refused, text};

on_each_server!(
    a_new_policy_holds_for_open_connections_and_a_broken_one_changes_nothing,
    a_policy_without_keys_waits_for_them,
    new_connections_see_the_new_certificate_and_old_ones_stay,
    a_cursor_costs_what_policy_says_now,
);

const READ: &str = "SELECT phone FROM customers";

/// A server of these tests' own: a ring for another policy waits for the catalog, and that of all tests takes long to load.
fn server(kind: Kind) -> &'static Deployment {
    static MYSQL: OnceLock<Deployment> = OnceLock::new();
    static MARIADB: OnceLock<Deployment> = OnceLock::new();
    let cell = match kind {
        Kind::MySql => &MYSQL,
        Kind::MariaDb => &MARIADB,
    };
    cell.get_or_init(|| Deployment::own(kind, &[], Provider::File))
}

fn write_policy(shop: &Shop<'_>, text: &str) {
    fs::write(shop.proxy.folder().join("policy.toml"), text).unwrap();
    shop.proxy.signal(Signal::HUP);
}

/// The policy in which the engineer may see everything.
fn generous(database: &str) -> String {
    let text = policy(database);
    let (deny, plain) = ("[role.engineer]\naccess = \"deny\"", "[role.engineer]\naccess = \"plain\"");
    assert!(text.contains(deny));
    text.replace(deny, plain)
}

/// Asks until the answer is another one. The same connection all the time.
async fn ask_until(conn: &mut Conn, sql: &str, wanted: impl Fn(&Answer) -> bool) {
    let asking = async {
        while !wanted(&text(conn, sql).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("another answer");
}

async fn a_new_policy_holds_for_open_connections_and_a_broken_one_changes_nothing(kind: Kind) {
    let shop = Shop::open_on(server(kind), Tls::Off);
    let mut engineer = shop.connect(Who::Engineer).await;
    text(&mut shop.connect(Who::Application).await, "INSERT INTO customers (phone) VALUES ('1')").await;
    refused(&mut engineer, READ, 1143, "42000").await;

    write_policy(&shop, &generous(&shop.database));
    ask_until(&mut engineer, READ, |answer| matches!(answer, Answer::Rows { .. })).await;
    assert_eq!(text(&mut engineer, READ).await.cells(), [[Some("1".to_owned())]]);

    for (number, (broken, named)) in [
        (policy(&shop.database).replace("keyset = ", "keysett = "), "unknown key `keysett`; did you mean `keyset`?"),
        (policy(&shop.database).replace("role = \"engineer\"", "role = \"enginer\""), "did you mean `engineer`?"),
        ("[[column".to_owned(), "policy.toml:1: "),
    ]
    .into_iter()
    .enumerate()
    {
        write_policy(&shop, &broken);
        let message = "policy not read; the old one stays in force";
        let event = tokio::task::block_in_place(|| shop.proxy.wait_logged(message, number + 1));
        let cause = event["cause"].as_str().unwrap();
        assert!(cause.contains("policy.toml:") && cause.contains(named), "{event}");
        assert_eq!(text(&mut engineer, READ).await.cells(), [[Some("1".to_owned())]]);
    }
    fs::remove_file(shop.proxy.folder().join("policy.toml")).unwrap();
    shop.proxy.signal(Signal::HUP);
    let message = "policy not read; the old one stays in force";
    let event = tokio::task::block_in_place(|| shop.proxy.wait_logged(message, 4));
    assert!(event["cause"].as_str().unwrap().contains("No such file"), "{event}");

    // Taken back: the right that the open connection has used a moment ago ends.
    write_policy(&shop, &policy(&shop.database));
    ask_until(&mut engineer, READ, |answer| matches!(answer, Answer::Refused { code: 1143, .. })).await;
    assert_in_step(&mut engineer, READ).await;
}

async fn a_policy_without_keys_waits_for_them(kind: Kind) {
    let shop = Shop::open_on(server(kind), Tls::Off);
    let mut engineer = shop.connect(Who::Engineer).await;
    let keyset = format!("keyset_{}", shop.database);
    let text_of_it = generous(&shop.database).replace("keysets = [", &format!("keysets = [\"{keyset}\", "));
    let other = text_of_it.replacen("keyset = \"it\"", &format!("keyset = \"{keyset}\""), 1);
    assert_ne!(text_of_it, other);
    write_policy(&shop, &other);
    let message = "keys not renewed; the previous ones stay in use";
    let event = tokio::task::block_in_place(|| shop.proxy.wait_logged(message, 1));
    let cause = event["cause"].as_str().unwrap();
    assert!(cause.contains(&keyset) && cause.contains("candado keys init"), "{event}");
    // The old policy is whole: neither half of the new one holds.
    refused(&mut engineer, READ, 1143, "42000").await;
    assert_eq!(shop.proxy.probe("/readyz").0, 200);
    shop.deployment.init_keys(&shop.proxy.folder().join("candado.toml"));
    ask_until(&mut engineer, READ, |answer| matches!(answer, Answer::Rows { .. })).await;
}

/// A certificate that is its own authority, with its key.
fn self_signed(folder: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=Candado test renewal", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{:?}", String::from_utf8(output.stderr));
}

async fn new_connections_see_the_new_certificate_and_old_ones_stay(kind: Kind) {
    let shop = Shop::open_on(server(kind), Tls::On);
    let (old, folder) = (shop.deployment.server.ca.clone(), tempfile::tempdir().unwrap());
    self_signed(folder.path());
    let new = folder.path().join("certificate.pem");
    let mut first = shop.connect_trusting(Who::Application, &old).await.unwrap();
    assert!(shop.connect_trusting(Who::Application, &new).await.is_err());

    // Half of the exchange: the key is still that of the old certificate.
    fs::copy(&new, shop.proxy.folder().join(CERTIFICATE)).unwrap();
    shop.proxy.signal(Signal::HUP);
    let message = "certificate not read; the old one stays in use";
    let event = tokio::task::block_in_place(|| shop.proxy.wait_logged(message, 1));
    let cause = event["cause"].as_str().unwrap();
    assert!(cause.contains(CERTIFICATE_KEY) && cause.contains("does not belong to the certificate"), "{event}");
    assert!(shop.connect_trusting(Who::Application, &old).await.is_ok());

    fs::copy(folder.path().join("key.pem"), shop.proxy.folder().join(CERTIFICATE_KEY)).unwrap();
    shop.proxy.signal(Signal::HUP);
    tokio::task::block_in_place(|| shop.proxy.wait_logged("certificate read again", 1));
    let mut second = shop.connect_trusting(Who::Application, &new).await.unwrap();
    assert!(shop.connect_trusting(Who::Application, &old).await.is_err());
    assert_in_step(&mut first, "the exchange").await;
    assert_in_step(&mut second, "the exchange").await;
}

async fn a_cursor_costs_what_policy_says_now(kind: Kind) {
    let shop = Shop::open_on(server(kind), Tls::Off);
    let mut application = shop.connect(Who::Application).await;
    let rows =
        "INSERT INTO customers (id, phone) VALUES (1, '090-1111-0001'), (2, '090-1111-0002'), (3, '090-1111-0003')";
    assert!(matches!(text(&mut application, rows).await, Answer::Done { .. }));
    let login = Login { user: &shop.account(Who::Application), password: SECRET, ..Login::default() };
    let mut raw = Raw::open(shop.proxy.port, &login);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    let (id, packets) = raw.prepare(READ);
    assert_eq!(error_code(&packets), 0);
    assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
    // The cursor stands open while a budget comes.
    write_policy(&shop, &format!("{}[budget.application]\ncells_per_statement = 1\n", policy(&shop.database)));
    ask_until(&mut application, READ, |answer| matches!(answer, Answer::Refused { code: 1226, .. })).await;
    assert_eq!(error_code(&raw.statement(0x1c, id, &1_u32.to_le_bytes())), 0, "one fits");
    assert_eq!(error_code(&raw.statement(0x1c, id, &2_u32.to_le_bytes())), 1226);

    // Another one stands open while the budget goes: it costs what policy said when it was opened, and the next one nothing.
    assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
    write_policy(&shop, &policy(&shop.database));
    ask_until(&mut application, READ, |answer| matches!(answer, Answer::Rows { .. })).await;
    assert_eq!(error_code(&raw.statement(0x1c, id, &1_u32.to_le_bytes())), 0, "one fits");
    assert_eq!(error_code(&raw.statement(0x1c, id, &2_u32.to_le_bytes())), 1226);
    assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
    let shown = raw.statement(0x1c, id, &3_u32.to_le_bytes());
    assert_eq!((error_code(&shown), shown.len()), (0, 4), "three rows and the end");
}
