//! Key files under a passphrase and as credentials, with the whole program: what opens them, and what does not.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use candado::keys::{KeyFileAdmin, KeyFilePlace, KeyFileSettings, SecretText};

use crate::support::block_on;
use crate::support::proxy::{Deployment, PASSPHRASE, Provider, Proxy, Tls, ended, text as utf8, write_secret};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, text};

/// Runs `candado serve` where it must end by itself; returns exit code and messages.
fn ends(mut command: Command, config: &Path) -> (Option<i32>, String) {
    let output = ended(command.args(["serve", "--config"]).arg(config));
    (output.status.code(), utf8(&output.stderr))
}

/// A copy of the deployment's configuration in a folder of its own, changed.
fn changed(deployment: &Deployment, folder: &Path, change: impl FnOnce(String) -> String) -> std::path::PathBuf {
    let config = deployment.write(folder, &policy("it_nothing"), Tls::Off);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, change(text)).unwrap();
    config
}

async fn goes_round(shop: &Shop<'_>, id: u32) {
    let mut conn = shop.connect(Who::Application).await;
    let sql = format!("INSERT INTO customers (id, code, note) VALUES ({id}, 'c{id}', 'secret {id}')");
    let written = text(&mut conn, sql).await;
    assert!(matches!(written, Answer::Done { .. }), "{written:?}");
    for earlier in 1..=id {
        let read = text(&mut conn, format!("SELECT note FROM customers WHERE code = 'c{earlier}'")).await;
        assert_eq!(read.cells(), [[Some(format!("secret {earlier}"))]]);
    }
}

#[test]
fn a_protected_key_file_serves_under_its_passphrase_alone() {
    let deployment = Deployment::own(Kind::MariaDb, &[], Provider::ProtectedFile);
    let path = deployment.key_file();
    let file: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(file["protection"], "passphrase");
    assert_eq!((&file["kdf"]["memory_kib"], &file["kdf"]["passes"]), (&262_144.into(), &3.into()));
    let mut shop = Shop::open_on(&deployment, Tls::Off);
    block_on(goes_round(&shop, 1));
    let seen = shop.proxy.log();

    let folder = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(String) -> String, expected: &str| {
        let (code, messages) = ends(deployment.command("AKIAPROXY"), &changed(&deployment, folder.path(), change));
        assert_eq!(code, Some(64), "{messages}");
        assert!(messages.contains(expected), "{messages}");
        assert!(!messages.contains(PASSPHRASE), "the passphrase is told");
    };
    let other = write_secret(&folder.path().join("other"), "zqPassphraseOfTheTestsxR");
    let passphrase = |text: &str| text.lines().find(|line| line.starts_with("passphrase_file")).unwrap().to_owned();
    let with = |replacement: String| move |text: String| text.replace(&passphrase(&text), &replacement);
    refused(&with(format!("passphrase_file = \"{}\"", other.display())), "the passphrase does not open the key file");
    let lost = |text: String| text.replace("/it.kek\"", "/lost.kek\"");
    refused(&lost, "restore it from its backup, or, if there are no keys yet, `candado keys init` makes it");
    refused(&with(String::new()), "protected by a passphrase, and none is configured");
    refused(&with("passphrase_env = \"CANDADO_IT_UNSET\"".into()), "CANDADO_IT_UNSET is not set");

    let good = fs::read(&path).unwrap();
    let mut tampered = file.clone();
    tampered["versions"][0]["created_unix_s"] = 0.into();
    fs::write(&path, tampered.to_string()).unwrap();
    refused(&|text| text, "a key was changed");
    tampered = file;
    tampered["kdf"]["memory_kib"] = u32::MAX.into();
    fs::write(&path, tampered.to_string()).unwrap();
    refused(&|text| text, "out of bounds");
    fs::write(&path, good).unwrap();

    // The right file and passphrase work again, and after a rotation too: old keys open, new ones are wrapped anew.
    let settings = KeyFileSettings {
        path,
        place: KeyFilePlace::Own,
        passphrase: Some(std::sync::Arc::new(SecretText::new(PASSPHRASE.to_owned()))),
    };
    assert_eq!(KeyFileAdmin::open(&settings).unwrap().rotate().unwrap(), 2);
    shop.restart();
    block_on(goes_round(&shop, 2));
    for log in [seen, shop.proxy.log()] {
        assert!(!log.contains(PASSPHRASE), "the passphrase is in the log");
    }
}

#[test]
fn a_key_file_is_taken_from_systemds_credentials() {
    let deployment = Deployment::own(Kind::MySql, &[], Provider::File);
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    fs::DirBuilder::new().mode(0o700).create(&credentials).unwrap();
    let kek = credentials.join("kek");
    fs::copy(deployment.key_file(), &kek).unwrap();
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o440)).unwrap();
    let config = changed(&deployment, folder.path(), |text| {
        let path = text.lines().find(|line| line.contains("it.kek")).unwrap().to_owned();
        text.replace(&path, "credential = \"kek\"")
    });
    let check = |directory: Option<&Path>| {
        let mut command = deployment.command("AKIAPROXY");
        command.args(["check", "--json", "--config"]).arg(&config);
        if let Some(directory) = directory {
            command.env("CREDENTIALS_DIRECTORY", directory);
        }
        let output = ended(&mut command);
        (output.status.code(), utf8(&output.stdout) + &utf8(&output.stderr))
    };
    let (_, report) = check(Some(&credentials));
    assert!(report.contains("opens every key that columns need (2)"), "{report}");
    let (code, messages) = check(None);
    assert_eq!(code, Some(64), "{messages}");
    assert!(messages.contains("CREDENTIALS_DIRECTORY"), "{messages}");
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o444)).unwrap();
    let (_, report) = check(Some(&credentials));
    assert!(report.contains("the credential has mode 444"), "{report}");
    // A proxy as usual, on the file itself: the copy was of its key.
    Proxy::start(&deployment, &policy("it_nothing"), Tls::Off);
}
