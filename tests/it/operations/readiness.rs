//! `/readyz` says why there are no keys, in front of a real server and the fake key service.

use crate::fakekms::{FakeKms, Role};
use crate::support::key_store::script;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Proxy, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{policy, prepare};

use super::check::check;

on_each_server!(the_reason_for_missing_keys_is_told_and_check_finds_it_too);

/// Options that switch a server's TLS off.
fn without_tls(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::MySql => &["--tls-version="],
        Kind::MariaDb => &["--skip-ssl"],
    }
}

fn wait_reason(proxy: &Proxy, reason: &str) {
    let wanted = (503, format!("not ready: no keys: {reason}\n"));
    tokio::task::block_in_place(|| wait_until(reason, || proxy.probe("/readyz") == wanted));
}

/// One server goes through all of it: a server of its own takes seconds to start.
async fn the_reason_for_missing_keys_is_told_and_check_finds_it_too(kind: Kind) {
    let fake = FakeKms::start();
    let allow = |operations: &[&str]| fake.allow("AKIAPROXY", operations);
    allow(&["Decrypt", "DescribeKey"]);
    fake.allow_role("AKIASECURITY", Role::Security);
    let provider = Provider::AwsKms { endpoint: fake.endpoint(), arn: fake.create_key() };
    let deployment = Deployment::own(kind, without_tls(kind), provider);
    let policy = policy(&prepare(&deployment));
    let folder = tempfile::tempdir().unwrap();
    let config = deployment.write(folder.path(), &policy, Tls::Off);
    let (_, report) = check(&deployment, &config, &[]);
    assert!(report.contains("ok       key provider"), "{report}");

    deployment.server.sql("DROP DATABASE candado");
    let proxy = Proxy::start_unready(&deployment, &policy, Tls::Off);
    wait_reason(&proxy, "the key store is not initialised");
    let (code, report) = check(&deployment, &config, &[]);
    assert_eq!(code, 1);
    assert!(
        report.contains("WRONG    key store      the key store is empty: run keys-policy/schema.sql and"),
        "{report}"
    );

    fake.go_down();
    let (code, report) = check(&deployment, &config, &[]);
    assert_eq!(code, 1);
    assert!(report.contains("WRONG    key provider   the key provider is unavailable"), "{report}");
    fake.come_up();
    deployment.server.sql(&script("candado"));
    deployment.init();
    proxy.wait_ready();
    drop(proxy);

    fake.go_down();
    let proxy = Proxy::start_unready(&deployment, &policy, Tls::Off);
    wait_reason(&proxy, "the key provider does not answer");
    let (code, report) = check(&deployment, &config, &[]);
    assert_eq!(code, 1);
    assert!(report.contains("WRONG    key provider   key 2: the key provider is unavailable"), "{report}");

    allow(&[]);
    fake.come_up();
    wait_reason(&proxy, "the key provider refuses to open a key");
    let (code, report) = check(&deployment, &config, &[]);
    assert_eq!(code, 1);
    let denied = "WRONG    key provider   key 2: the key provider denies access to the key-encryption key";
    assert!(report.contains(denied), "{report}");

    allow(&["Decrypt", "DescribeKey"]);
    tokio::task::block_in_place(|| proxy.wait_ready());
    assert_eq!(proxy.probe("/readyz"), (200, "ready\n".to_owned()));
    // The log had the same reasons, in the same words.
    let log = proxy.log();
    for reason in ["the key provider does not answer", "the key provider refuses to open a key"] {
        assert!(log.contains(&format!("\"message\":\"not ready: no keys: {reason}\"")), "{reason}\n{log}");
    }

    // The server of this test offers no TLS.
    let config = deployment.write(folder.path(), &policy, Tls::On);
    let (code, report) = check(&deployment, &config, &[]);
    assert_eq!(code, 1);
    assert!(report.contains("the server offers no TLS, which [server.tls] demands"), "{report}");
}
