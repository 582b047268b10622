//! Settings that could leak or drift. What Vault answers is tested over HTTP, in `tests/it/vault.rs`.

use super::*;

fn settings() -> VaultSettings {
    VaultSettings {
        address: "http://127.0.0.1:8200".into(),
        mount: "transit".into(),
        key: "candado".into(),
        token: VaultToken::Text(Arc::new(SecretText::new("hvs.canary".into()))),
        ca_file: None,
    }
}

fn refused(change: impl FnOnce(&mut VaultSettings)) -> String {
    let mut settings = settings();
    change(&mut settings);
    Vault::new(settings).unwrap_err().to_string()
}

#[test]
fn plain_http_and_missing_authorities_are_refused() {
    assert!(Vault::new(settings()).is_ok());
    assert!(refused(|s| s.address = "http://vault.internal:8200".into()).contains("https://"));
    assert!(refused(|s| s.address = "https://vault.internal:8200".into()).contains("ca_file"));
    for address in
        ["vault.internal:8200", "https://u:p@vault", "https://vault/v1", "https://vault/?x", "ftp://vault", ""]
    {
        assert!(refused(|s| s.address = address.into()).contains("no address"), "{address}");
    }
}

#[test]
fn names_cannot_reach_other_paths() {
    for name in ["", "../sys", "a/../b", "a b", "a?b", "a%2f", "."] {
        assert!(refused(|s| s.mount = name.into()).contains("no name"), "{name}");
    }
    for name in ["", "a/b", "..", "a#b"] {
        assert!(refused(|s| s.key = name.into()).contains("no name"), "{name}");
    }
    let nested = Vault::new(VaultSettings { mount: "/team/transit/".into(), ..settings() }).unwrap();
    assert_eq!(&*nested.transit.reference, "team/transit/candado");
}

#[test]
fn a_token_is_read_from_its_file_and_shown_nowhere() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let from_file = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        Vault::new(VaultSettings { token: VaultToken::File(file.path().to_owned()), ..settings() })
    };
    let vault = from_file("hvs.canary\n").unwrap();
    assert_eq!(vault.transit.token.load().as_str(), "hvs.canary");
    assert!(!format!("{vault:?}").contains("canary"));
    for text in ["", "\n", "two tokens"] {
        assert!(from_file(text).unwrap_err().to_string().ends_with("it holds no token"), "{text:?}");
    }
}
