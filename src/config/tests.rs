use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::keys::{KeyFilePlace, KeyFileSettings, SecretText, VaultSettings, VaultToken};

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
    let key_file =
        KeyFileSettings { path: "/etc/candado/keys/local.kek".into(), place: KeyFilePlace::Own, passphrase: None };
    assert_eq!(settings.keys, Keys::File(key_file));
    assert_eq!(settings.process.memory_lock, MemoryLock::IfAllowed);
    assert_eq!(settings.log, Log { format: LogFormat::Auto, level: LogLevel::Info });
    assert_eq!((settings.limits.connections_max, settings.limits.idle_timeout), (1000, None));
    assert!(settings.health.is_none());
    assert_eq!(settings.shadow, None, "shadow mode is never on by itself");
    let (every, grace) = (Duration::from_secs(300), Duration::from_secs(86_400));
    assert_eq!(settings.revalidation, Revalidation { every, grace });
}

#[test]
fn the_password_is_not_in_debug_output() {
    let settings = read(GOOD).unwrap();
    assert!(!settings.control.password.is_empty());
    assert!(!format!("{settings:?}").contains(settings.control.password.as_str()));
}

#[test]
fn secrets_of_the_key_provider_come_from_elsewhere_and_are_not_in_debug_output() {
    let path = std::env::var("PATH").unwrap();
    let secret = || std::sync::Arc::new(SecretText::new(path.clone()));
    let file = read(&GOOD.replace("path = \"keys/local.kek\"", "path = \"/k\"\npassphrase_env = \"PATH\"")).unwrap();
    let expected = KeyFileSettings { path: "/k".into(), place: KeyFilePlace::Own, passphrase: Some(secret()) };
    assert_eq!(file.keys, Keys::File(expected));
    let written =
        "\"vault\"\naddress = \"https://vault:8200\"\nkey = \"candado\"\ntoken_env = \"PATH\"\nca_file = \"ca.pem\"";
    let vault = read(&GOOD.replace("\"file\"\npath = \"keys/local.kek\"", written)).unwrap();
    let expected = VaultSettings {
        address: "https://vault:8200".into(),
        mount: "transit".into(),
        key: "candado".into(),
        token: VaultToken::Text(secret()),
        ca_file: Some("/etc/candado/ca.pem".into()),
    };
    assert_eq!(vault.keys, Keys::Vault(expected));
    for settings in [file, vault] {
        assert!(!format!("{settings:?}").contains(&path));
    }
}

#[test]
fn events_go_where_they_are_sent() {
    use crate::events::{FileSettings, HttpSettings, LogSink, SyslogSettings, SyslogTransport, Token};
    assert_eq!(read(GOOD).unwrap().events, crate::events::Settings::default());
    let written = "[events]\nlog = false\nper_second_max = 7\nfile = { path = \"events.jsonl\", files_max = 0 }\n\
        syslog = { address = \"udp:127.0.0.1:514\", facility = \"local3\" }\n\
        http = { url = \"http://[::1]/\", token_env = \"PATH\" }\n";
    let events = read(&format!("{GOOD}{written}")).unwrap().events;
    assert_eq!((events.log, events.per_second_max, events.queue_max), (LogSink::Off, 7, 10_000));
    let file = FileSettings { path: "/etc/candado/events.jsonl".into(), octets_max: 64 << 20, files_max: 0 };
    assert_eq!(events.file, Some(file));
    let transport = SyslogTransport::Udp("127.0.0.1:514".parse().unwrap());
    assert_eq!(events.syslog, Some(SyslogSettings { transport, facility: 19 }));
    let path = std::env::var("PATH").unwrap();
    let token = Some(Token::Text(std::sync::Arc::new(path.clone().into())));
    assert_eq!(events.http, Some(HttpSettings { url: "http://[::1]/".into(), ca_file: None, token, batch_max: 100 }));
    assert!(!format!("{:?}", events.http).contains(&path));
}

#[test]
fn locking_memory_can_be_demanded() {
    let demanded = format!("{GOOD}[process]\nrequire_mlock = true\n");
    assert_eq!(read(&demanded).unwrap().process.memory_lock, MemoryLock::Required);
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
        ("path = \"keys/local.kek\"", "path = \"x\"\nrevalidate_s = 0", "0 is out of bounds: 1 to 3600"),
        ("path = \"keys/local.kek\"", "path = \"x\"\ngrace_s = 604801", "604801 is out of bounds: 1 to 604800"),
        ("path = \"keys/local.kek\"", "path = \"x\"\ngrace_s = 60", "grace_s (60) is less than revalidate_s (300)"),
        ("path = \"keys/local.kek\"", "path = \"x\"\ncredential = \"x\"", "takes path or credential"),
        ("path = \"keys/local.kek\"", "path = \"x\"\ntoken_env = \"PATH\"", "but no token_env"),
        ("path = \"keys/local.kek\"", "credential = \"../x\"", "no name of a credential"),
        (
            "path = \"keys/local.kek\"",
            "path = \"x\"\npassphrase_env = \"PATH\"\npassphrase_file = \"x\"",
            "exclude each other",
        ),
        ("path = \"keys/local.kek\"", "path = \"x\"\npassphrase_env = \"CANDADO_TEST_UNSET\"", "is not set"),
        ("path = \"keys/local.kek\"", "path = \"x\"\npassphrase = \"x\"", "unknown key `passphrase`"),
        ("\"file\"\npath = \"keys/local.kek\"", "\"vault\"\nkey = \"k\"\ntoken_env = \"PATH\"", "takes address"),
        ("\"file\"\npath = \"keys/local.kek\"", "\"vault\"\naddress = \"a\"\nkey = \"k\"", "one of token_file"),
        ("path = \"keys/local.kek\"", "path = \"x\"\npassphrase_file = \"none\"", "passphrase_file: cannot read /etc"),
        ("user = \"candado\"", "", "candado.toml:9: key `user` is missing"),
        ("\"candado\"", "5", "candado.toml:10: invalid type: integer `5`, expected a string"),
        (
            "password_env = \"PATH\"",
            "password_file = \"none\"",
            "candado.toml:9: password_file: cannot read /etc/candado/none: ",
        ),
        ("[policy]", "[events]\nqueue_max = 1\n[policy]", "queue_max = 1 is out of bounds: 16 to 1000000"),
        ("[policy]", "[events]\nsyslog = { address = \"x\" }\n[policy]", "is unix:/path or udp:address:port"),
        (
            "[policy]",
            "[events]\nsyslog = { address = \"unix:/x\", facility = \"x\" }\n[policy]",
            "no facility for this; known here: daemon",
        ),
        (
            "[policy]",
            "[events]\nhttp = { url = \"x\", token_file = \"a\", token_env = \"PATH\" }\n[policy]",
            "token_file and token_env exclude each other",
        ),
        ("[policy]", "[audit]\nkey_file = \"x\"\n[policy]", "[audit] needs one of file, stdout = true and syslog"),
        ("[policy]", "[audit]\nstdout = true\n[policy]", "key `key_file` is missing"),
        (
            "[policy]",
            "[audit]\nkey_file = \"x\"\nstdout = true\nfile = { path = \"y\" }\n[policy]",
            "[audit] needs one of file, stdout = true and syslog",
        ),
        (
            "[policy]",
            "[audit]\nkey_file = \"x\"\nfile = { path = \"y\", octets_max = 1 }\n[policy]",
            "octets_max = 1 is out of bounds",
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
    // The sinks that stand in comments too, but for the authorities' file, which is read when events are sent.
    let starts = [
        "[audit]",
        "mode = \"strict\"",
        "key_file",
        "anchor_s",
        "[events]",
        "log =",
        "per_second_max",
        "queue_max",
        "file = {",
        "syslog = {",
        "http = {",
    ];
    let uncomment = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if starts.iter().any(|start| rest.starts_with(start)) => rest.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    let text: Vec<String> = text.lines().map(uncomment).collect();
    let events = read(&text.join("\n")).unwrap().events;
    assert!(events.file.is_some() && events.syslog.is_some() && events.http.is_some());
}

#[test]
fn shadow_mode_needs_a_report() {
    let shadow = read(&format!("{GOOD}[shadow]\nreport = \"shadow.jsonl\"")).unwrap().shadow.unwrap();
    let expected =
        Shadow { report: "/etc/candado/shadow.jsonl".into(), interval: Duration::from_secs(60), lines_max: 10_000 };
    assert_eq!(shadow, expected);
    for (written, words) in [
        ("[shadow]", "key `report` is missing"),
        ("[shadow]\nreport = \"x\"\ninterval_s = 0", "interval_s = 0 is out of bounds"),
        ("[shadow]\nreport = \"x\"\nlines = 1", "unknown key `lines`; did you mean `lines_max`"),
    ] {
        let text = read(&format!("{GOOD}{written}")).expect_err("refused").to_string();
        assert!(text.contains(words), "{written}: {text}");
    }
}
