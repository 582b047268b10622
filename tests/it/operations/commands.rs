//! The other commands: what they print for people, what for programs, and how they end.

use std::process::{Command, Output};

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, prepare, text};

on_each_server!(
    keys_are_listed_and_made_by_who_may,
    counts_have_their_nouns_and_refusals_a_way_out,
    a_stored_value_is_inspected,
    a_view_is_told_with_its_reasons
);

fn candado(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_candado")).args(arguments).output().expect("candado runs")
}

fn said(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_command_helps_with_an_example() {
    for command in [
        &[][..],
        &["serve"],
        &["demo"],
        &["check"],
        &["keys"],
        &["keys", "init"],
        &["keys", "list"],
        &["explain"],
        &["firewall"],
        &["firewall", "test"],
        &["roles"],
        &["roles", "who"],
        &["inspect"],
    ] {
        let output = candado(&[command, &["--help"]].concat());
        let example = format!("\nExamples:\n  candado {}", command.join(" "));
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(said(&output.stdout).contains(example.trim_end()), "{command:?}: {}", said(&output.stdout));
    }
    assert_eq!(said(&candado(&["--version"]).stdout), concat!("candado ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_command_line_is_wrong_usage() {
    for (wrong, hint) in [
        (&["sreve"][..], "'serve'"),
        (&[], "Usage: candado"),
        (&["keys"], "Usage: candado keys"),
        (&["keys", "lst"], "'list'"),
        (&["check", "--jsn"], "'--json'"),
        (&["keys", "init", "--user", "x"], "--password-file"),
        (&["inspect", "no hexadecimal"], "the value is not in hexadecimal"),
        (&["roles", "who", "@"], "an account is written USER or USER@HOST"),
        (&["roles", "who", ""], "an account is written USER or USER@HOST"),
        (&["roles", "who", "ana@"], "an account is written USER or USER@HOST"),
        (&["explain", "--account", "@", "SELECT 1"], "an account is written USER or USER@HOST"),
        (&["firewall", "test", "/* nothing */"], "there is no statement to judge"),
        (&["audit", "search", "Cargo.toml"], "cannot read Cargo.toml: it is no record of accesses"),
        (&["audit", "report", "Cargo.toml"], "cannot read Cargo.toml: it is no record of accesses"),
    ] {
        let output = candado(wrong);
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
        assert!(output.stdout.is_empty() && said(&output.stderr).contains(hint), "{wrong:?}: {}", said(&output.stderr));
    }
}

/// A configuration that cannot be used ends `serve` before anything listens.
#[test]
fn serve_refuses_what_check_refuses() {
    let output = candado(&["serve", "--config", "nowhere/candado.toml"]);
    assert_eq!(output.status.code(), Some(64));
    let text = said(&output.stderr);
    assert!(text.starts_with("candado: error: there is no nowhere/candado.toml: name the configuration"), "{text}");
}

async fn keys_are_listed_and_made_by_who_may(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let folder = tempfile::tempdir().unwrap();
    let config = deployment.write(folder.path(), &policy(&prepare(deployment)), Tls::On);
    let list = |options: &[&str]| {
        let output =
            deployment.command("AKIAPROXY").args(["keys", "list", "--config"]).arg(&config).args(options).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
        said(&output.stdout).to_owned()
    };
    let document: serde_json::Value = serde_json::from_str(&list(&["--json"])).unwrap();
    // Other tests make keysets of their own in the same key store.
    let keys: Vec<_> = document["keys"].as_array().unwrap().iter().filter(|key| key["keyset"] == KEYSET).collect();
    for (key, purpose) in keys.iter().zip(["data", "index"]) {
        let found = (&key["keyset"], &key["purpose"], &key["version"], &key["state"]);
        assert_eq!(found, (&KEYSET.into(), &purpose.into(), &1.into(), &"active".into()), "{document:#}");
        assert!(key["keks"][0].as_str().unwrap().starts_with("local:"), "{key:#}");
    }
    assert_eq!(keys.len(), 2, "{document:#}");
    assert!(document["epoch"].as_u64() >= Some(1), "{document:#}");
    let table = list(&[]);
    for words in ["deployment ", "epoch ", KEYSET, "data", "index", "active", "local:"] {
        assert!(table.contains(words), "{words}: {table}");
    }

    // The proxy's own account may not make keys.
    let output = deployment.command("AKIAPROXY").args(["keys", "init", "--config"]).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = said(&output.stderr);
    assert!(complaint.contains("give the account that may write to it with --user: the server refused"), "{complaint}");

    // Without an account that may read the key store, nothing is listed.
    std::fs::write(folder.path().join("control"), "wrong").unwrap();
    let output = deployment.command("AKIAPROXY").args(["keys", "list", "--config"]).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && said(&output.stderr).contains("1045"), "{}", said(&output.stderr));
}

async fn counts_have_their_nouns_and_refusals_a_way_out(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let folder = tempfile::tempdir().unwrap();
    let database = prepare(deployment);
    let one = format!(
        "keysets = [\"{KEYSET}\"]\n[[column]]\nname = \"{database}.customers.phone\"\nkeyset = \"{KEYSET}\"\n\
         type = \"varchar(40)\"\n"
    );
    let config = deployment.write(folder.path(), &one, Tls::On);
    let run = |words: &[&str]| {
        let output = deployment.command("AKIAPROXY").args(words).arg("--config").arg(&config).output().unwrap();
        (output.status.code().unwrap(), said(&output.stdout).to_owned(), said(&output.stderr).to_owned())
    };
    let (_, report, _) = run(&["check"]);
    assert!(report.contains("policy         1 protected column, 0 of them searched\n"), "{report}");
    let (code, _, complaint) = run(&["column", "encrypt", &format!("{database}.customers.phone")]);
    let hint = "the job cannot be kept in the key store: give the account that may write to it with --user: ";
    assert!(code == 1 && complaint.contains(hint), "{complaint}");
}

async fn a_view_is_told_with_its_reasons(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let folder = tempfile::tempdir().unwrap();
    let database = prepare(deployment);
    let config = deployment.write(folder.path(), &policy(&database), Tls::On);
    let config = config.to_str().unwrap();
    let support = format!("{database}_sup@%");
    let output = candado(&["roles", "who", &support, "--json", "--config", config]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    let view: serde_json::Value = serde_json::from_str(said(&output.stdout)).unwrap();
    assert_eq!((&view["role"], &view["entry"], &view["firewall"]), (&"support".into(), &4.into(), &"block".into()));
    let seen = |column: &str| {
        let name = format!("{database}.customers.{column}");
        let found = view["columns"].as_array().unwrap().iter().find(|seen| seen["column"] == *name).unwrap();
        (found["access"].as_str().unwrap().to_owned(), found["by"].as_str().unwrap().to_owned())
    };
    assert_eq!(seen("phone"), ("plain".to_owned(), "access".to_owned()));
    assert_eq!(seen("address"), ("deny".to_owned(), "columns".to_owned()));
    let output = candado(&["roles", "who", "nobody", "--config", config]);
    assert!(said(&output.stdout).starts_with("nobody@%: role unlisted, for no [[account]] names it; firewall block"));
    let output = candado(&["roles", "list", "--config", config]);
    assert!(said(&output.stdout).contains(&format!("role support: {database}_sup from any host")));
}

async fn a_stored_value_is_inspected(kind: Kind) {
    let shop = Shop::open(kind);
    let mut conn = shop.connect(Who::Application).await;
    let insert = "INSERT INTO customers (id, phone, note) VALUES (1, '090-1234-5678', 'a note')";
    assert!(matches!(text(&mut conn, insert).await, Answer::Done { .. }));
    let phone = shop.stored("phone", 1);
    let output = candado(&["inspect", "--json", &phone]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    let fields: serde_json::Value = serde_json::from_str(said(&output.stdout)).unwrap();
    assert_eq!((&fields["version"], &fields["index_version"]), (&1.into(), &1.into()), "{fields:#}");
    assert_eq!((&fields["padded"], &fields["octets"]), (&true.into(), &(phone.len() / 2).into()), "{fields:#}");
    assert_eq!(fields["index"].as_str().map(str::len), Some(32), "{fields:#}");

    let output = candado(&["inspect", &format!("0x{}", shop.stored("note", 1))]);
    assert_eq!(output.status.code(), Some(0));
    let lines = said(&output.stdout);
    assert!(
        lines.starts_with("format      FE1, version 1 (XAES-256-GCM)\nkey id      2\nindex       none\n"),
        "{lines}"
    );

    let output = candado(&["inspect", &phone[..60]]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = said(&output.stderr);
    assert!(complaint.starts_with("candado: error: this is no sealed value: "), "{complaint}");
}
