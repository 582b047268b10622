use std::path::{Path, PathBuf};

use super::*;

const GOOD: &str = r#"
[listen]
address = "127.0.0.1:3307"

[server]
address = "db.internal:3306"
tls = { ca = "ca.pem" }

[control]
user = "candado"
password_env = "PATH"

[keys]
provider = "file"
path = "keys/local.kek"

[policy]
path = "policy.toml"
"#;

fn read(text: &str) -> Result<Settings, ConfigError> {
    parse("candado.toml", text, Path::new("/etc/candado"))
}

fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    read(&GOOD.replace(from, to)).expect_err("refused").to_string()
}

#[test]
fn what_is_not_written_is_safe() {
    let settings = read(GOOD).unwrap();
    assert_eq!(
        settings.server.tls,
        ServerTls::VerifyFull { ca: PathBuf::from("/etc/candado/ca.pem"), name: "db.internal".into() }
    );
    assert_eq!(settings.not_ready, NotReady::Refuse);
    assert_eq!(settings.keys, Keys::File { path: "/etc/candado/keys/local.kek".into() });
    assert_eq!(settings.log, Log { format: LogFormat::Auto, level: LogLevel::Info });
    assert_eq!((settings.limits.connections_max, settings.limits.idle_timeout), (1000, None));
    assert!(settings.health.is_none());
}

#[test]
fn the_password_is_not_in_debug_output() {
    let settings = read(GOOD).unwrap();
    assert!(!settings.control.password.is_empty());
    assert!(!format!("{settings:?}").contains(settings.control.password.as_str()));
}

#[test]
fn plaintext_is_for_loopback_or_said_aloud() {
    let listen = "address = \"127.0.0.1:3307\"";
    assert!(refused(listen, "address = \"0.0.0.0:3307\"").contains("allow_plaintext"));
    let loud = GOOD.replace(listen, "address = \"0.0.0.0:3307\"\nallow_plaintext = true");
    assert_eq!(read(&loud).unwrap().listen.plaintext, Plaintext::Allowed);
    let server = "address = \"db.internal:3306\"\ntls = { ca = \"ca.pem\" }";
    assert!(refused(server, "address = \"db.internal:3306\"\ntls = { mode = \"off\" }").contains("allow_plaintext"));
    let loopback = GOOD.replace(server, "address = \"127.0.0.1:3306\"\ntls = { mode = \"off\" }");
    assert_eq!(read(&loopback).unwrap().server.tls, ServerTls::Off(Plaintext::Loopback));
    let loud = GOOD.replace(server, "address = \"db:3306\"\nallow_plaintext = true\ntls = { mode = \"off\" }");
    assert_eq!(read(&loud).unwrap().server.tls, ServerTls::Off(Plaintext::Allowed));
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    assert_eq!(refused("user =", "usr ="), "candado.toml:10: unknown key `usr`; did you mean `user`?");
    let cases: &[(&str, &str, &str)] = &[
        ("127.0.0.1:3307", "localhost", "candado.toml:3: `localhost` is no address with port"),
        ("db.internal:3306", "db.internal", "candado.toml:6: the server's address is host:port"),
        ("tls = { ca = \"ca.pem\" }", "", "needs its authority"),
        ("password_env = \"PATH\"", "", "password_file or password_env"),
        ("\"PATH\"", "\"CANDADO_TEST_UNSET\"", "CANDADO_TEST_UNSET is not set"),
        ("password_env", "password_file = \"x\"\npassword_env", "exclude each other"),
        ("path = \"keys/local.kek\"", "kek = \"x\"", "takes path"),
        ("\"file\"\npath = \"keys/local.kek\"", "\"aws-kms\"\nkek = \"alias/x\"", "full ARN"),
        ("\"file\"\npath = \"keys/local.kek\"", "\"aws-kms\"", "takes kek"),
        ("user = \"candado\"", "", "candado.toml:9: key `user` is missing"),
        ("\"candado\"", "5", "candado.toml:10: invalid type: integer `5`, expected a string"),
        (
            "password_env = \"PATH\"",
            "password_file = \"none\"",
            "candado.toml:9: password_file: cannot read /etc/candado/none: ",
        ),
        ("[policy]", "[limits]\nidle_timeout_s = 31536001\n[policy]", "idle_timeout_s = 31536001 is out of bounds"),
        ("[policy]", "[limits]\nconnections_max = 0\n[policy]", "connections_max = 0 is out of bounds: 1 to 1000000"),
    ];
    for (from, to, expected) in cases {
        let text = refused(from, to);
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn a_secret_in_the_file_is_an_unknown_key() {
    let text = refused("password_env = \"PATH\"", "password = \"x\"");
    assert!(text.contains("unknown key `password`; did you mean `password_"), "{text}");
}

#[test]
fn the_shipped_configuration_is_in_form() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-policy/examples/candado.toml");
    let text = std::fs::read_to_string(path).unwrap();
    // The example's secret and certificates do not exist here; only its form can be checked.
    let text = text.replace("password_file = \"/run/secrets/candado-control\"", "password_env = \"PATH\"");
    read(&text).unwrap();
}
