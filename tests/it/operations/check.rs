//! `candado check`: every kind of mistake has its exit code and a text that says where it is; what is right passes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Tls};
use crate::support::server::Kind;
use crate::support::shop::{policy, prepare};

on_each_server!(
    what_is_right_passes,
    each_mistake_is_named,
    secrets_that_others_may_read_are_named,
    the_statements_that_it_prints_put_the_schema_right
);

/// Runs it; returns exit code and everything that it says.
pub(super) fn check(deployment: &Deployment, config: &Path, options: &[&str]) -> (i32, String) {
    let output =
        deployment.command("AKIAPROXY").args(["check", "--config"]).arg(config).args(options).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("an exit code"), text(output.stdout) + &text(output.stderr))
}

/// A configuration that is right, in a folder of its own.
struct Right {
    deployment: &'static Deployment,
    folder: TempDir,
    config: PathBuf,
}

impl Right {
    fn new(kind: Kind) -> Self {
        let deployment = Deployment::shared(kind);
        Self::with_policy(deployment, &policy(&prepare(deployment)))
    }

    fn with_policy(deployment: &'static Deployment, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = deployment.write(folder.path(), policy, Tls::On);
        Self { deployment, folder, config }
    }

    /// Changes a file of the folder.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn check(&self, options: &[&str]) -> (i32, String) {
        check(self.deployment, &self.config, options)
    }
}

async fn what_is_right_passes(kind: Kind) {
    let right = Right::new(kind);
    let (code, report) = right.check(&[]);
    assert_eq!(code, 0, "{report}");
    assert!(!report.contains("WRONG") && !report.contains("skipped"), "{report}");
    for part in ["configuration", "tls", "policy", "server", "key store", "key provider", "schema"] {
        assert!(report.contains(&format!("ok       {part:<13}  ")), "{part}: {report}");
    }
    let (code, report) = right.check(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(code, 0);
    assert!(report["items"].as_array().unwrap().iter().all(|item| item["verdict"] != "wrong"), "{report:#}");
}

/// A port that nobody listens on: it was free a moment ago.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What is done to a right configuration, the exit code, and the words that name the mistake and its place.
type Mistake = (fn(&Right), i32, &'static [&'static str]);

const MISTAKES: &[Mistake] = &[
    (
        |right| right.edit("candado.toml", "[health]", "[limits]\nconection_max = 5\n[health]"),
        64,
        &["candado.toml:", ": unknown key `conection_max`; did you mean `connections_max`?"],
    ),
    (
        |right| right.edit("candado.toml", "mode = \"verify-full\"", "mode = \"verify-ful\""),
        64,
        &["candado.toml:", ": unknown value `verify-ful`; did you mean `verify-full`?"],
    ),
    (
        |right| right.edit("candado.toml", "[health]", "[limits]\nidle_timeout_s = 0\n[health]"),
        64,
        &["candado.toml:", ": idle_timeout_s = 0 is out of bounds: 1 to 31536000"],
    ),
    (
        |right| fs::remove_file(&right.config).unwrap(),
        64,
        &["there is no ", "candado.toml: name the configuration with --config FILE, or in CANDADO_CONFIG"],
    ),
    (
        |right| right.edit("candado.toml", "/control\"", "/controll\""),
        64,
        &["candado.toml:", ": password_file: cannot read ", "/controll: No such file or directory"],
    ),
    (
        |right| right.edit("policy.toml", "keyset = ", "keysett = "),
        1,
        &[
            "WRONG    policy         ",
            "policy.toml:",
            ": unknown key `keysett`; did you mean `keyset`?",
            "skipped  schema",
        ],
    ),
    (
        |right| right.edit("policy.toml", "role = \"engineer\"", "role = \"enginer\""),
        1,
        &["WRONG    policy         ", "policy.toml:", "`enginer`", "did you mean `engineer`?"],
    ),
    (
        |right| right.edit("candado.toml", "\"policy.toml\"", "\"polcy.toml\""),
        1,
        &["WRONG    policy         cannot read the policy ", "/polcy.toml: No such file or directory"],
    ),
    (
        |right| {
            let path = right.folder.path().join("open.kek");
            fs::copy(right.deployment.key_file(), &path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
            right.edit("candado.toml", &right.deployment.key_file().display().to_string(), "open.kek");
        },
        1,
        &["WRONG    key provider   ", "/open.kek: the key file has mode 644; it must be", "(chmod 600)"],
    ),
    (
        |right| right.edit("candado.toml", "/it.kek\"", "/lost.kek\""),
        1,
        &[
            "WRONG    key provider   ",
            "/lost.kek: cannot open the key file: No such file or directory",
            "restore it from its backup",
        ],
    ),
    // The keys are wrapped by the provider from before; this one is not asked.
    (
        |right| {
            let file = format!("provider = \"file\"\npath = \"{}\"", right.deployment.key_file().display());
            let vault = "provider = \"vault\"\naddress = \"http://127.0.0.1:9\"\nkey = \"k\"\ntoken_file = \"control\"";
            right.edit("candado.toml", &file, vault);
        },
        1,
        &["WRONG    key provider   key ", "no wrap for the configured key provider; `candado keys add-wrap` makes one"],
    ),
    (
        |right| {
            let address = format!("127.0.0.1:{}", right.deployment.server.port);
            right.edit("candado.toml", &address, &format!("127.0.0.1:{}", closed_port()));
        },
        1,
        &[
            "WRONG    server         127.0.0.1:",
            "cannot reach the server to load the catalog: Connection refused (os",
            "skipped  key store",
            "skipped  schema",
        ],
    ),
    (
        |right| right.edit("control", "control-password", "another-password"),
        1,
        &[
            "WRONG    server         127.0.0.1:",
            " as candado_proxy: ",
            "1045",
            "Access denied for user 'candado_proxy'",
        ],
    ),
    (
        |right| right.edit("candado.toml", "/ca.pem\"", "/server-cert.pem\""),
        1,
        &[
            "WRONG    server         127.0.0.1:",
            "the server's certificate is not trusted",
            "[server.tls]): invalid peer",
        ],
    ),
    (
        |right| right.edit("candado.toml", "certificate = \"server-cert.pem\"", "certificate = \"server-key.pem\""),
        1,
        &["WRONG    tls            towards clients: ", "/server-key.pem: "],
    ),
    (
        |right| {
            right.edit("policy.toml", "keysets = [", "keysets = [\"nobody-made-it\", ");
            right.edit("policy.toml", &format!("keyset = \"{KEYSET}\""), "keyset = \"nobody-made-it\"");
        },
        1,
        &["WRONG    key store      keyset nobody-made-it has no data key: run `candado keys init`"],
    ),
    (
        |right| right.edit("policy.toml", ".customers.phone", ".customers.fone"),
        1,
        &["WRONG    schema         column ", ".customers.fone does not exist, or the control account may not see it"],
    ),
];

async fn each_mistake_is_named(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let policy = policy(&prepare(deployment));
    let mut wrong = Vec::new();
    for (number, (make, expected, words)) in MISTAKES.iter().enumerate() {
        let right = Right::with_policy(deployment, &policy);
        make(&right);
        let (code, report) = right.check(&[]);
        let missing: Vec<_> = words.iter().filter(|words| !report.contains(**words)).collect();
        if code != *expected || !missing.is_empty() || report.contains("-password") {
            wrong.push(format!("mistake {number}: exit code {code}, not said: {missing:?}\n{report}"));
        }
        let (with_json, document) = right.check(&["--json"]);
        let in_form = serde_json::from_str::<serde_json::Value>(&document).is_ok();
        if with_json != code || in_form != (code == 1) {
            wrong.push(format!("mistake {number} with --json: exit code {with_json}\n{document}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn secrets_that_others_may_read_are_named(kind: Kind) {
    let right = Right::new(kind);
    let (_, report) = right.check(&[]);
    assert!(!report.contains("others may read"), "{report}");
    for (file, mode) in [("control", 0o640), ("server-key.pem", 0o604)] {
        fs::set_permissions(right.folder.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    let warning = |setting: &str, file: &str| {
        let path = right.folder.path().join(file);
        format!("WARNING  configuration  {setting}: others may read {}", path.display())
    };
    let (code, report) = right.check(&[]);
    assert_eq!(code, 0, "{report}");
    for (setting, file) in
        [("control.password_file", "control (mode 640)"), ("listen.tls.key", "server-key.pem (mode 604)")]
    {
        assert!(report.contains(&warning(setting, file)), "{setting}: {report}");
    }

    // The group's bit of a credential is the user's own right, and no other's.
    let mut command = right.deployment.command("AKIAPROXY");
    command.args(["check", "--config"]).arg(&right.config).env("CREDENTIALS_DIRECTORY", right.folder.path());
    let report = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(!report.contains(&warning("control.password_file", "control")), "{report}");
    assert!(report.contains(&warning("listen.tls.key", "server-key.pem")), "{report}");
}

async fn the_statements_that_it_prints_put_the_schema_right(kind: Kind) {
    let right = Right::new(kind);
    let database = right.deployment.server.database("check");
    right.deployment.server.sql(&format!(
        "CREATE TABLE `{database}`.customers (id INT PRIMARY KEY, phone VARBINARY(30), code VARCHAR(30), note MEDIUMBLOB)"
    ));
    let column = |name: &str, kind: &str, index: &str| {
        let name = format!("{database}.customers.{name}");
        format!("[[column]]\nname = \"{name}\"\nkeyset = \"{KEYSET}\"\ntype = \"{kind}\"\n{index}\n")
    };
    let policy = [
        format!("keysets = [\"{KEYSET}\"]\n"),
        column("phone", "varchar(40)", "index = { normaliser = \"raw\" }"),
        column("code", "varchar(30)", ""),
        column("note", "text", ""),
    ];
    fs::write(right.folder.path().join("policy.toml"), policy.concat()).unwrap();
    let (code, report) = right.check(&[]);
    assert_eq!(code, 1, "{report}");
    for words in [
        "customers.phone holds 30 bytes; envelopes need up to ",
        "customers.phone has no CHECK constraint that keeps plaintext out",
        "customers.phone is searched but has no index on its first 23 bytes",
        "customers.code has type varchar(30), which does not keep bytes as they are",
        "customers.note has no CHECK constraint that keeps plaintext out",
    ] {
        assert!(report.contains(&format!("WRONG    schema         column {database}.{words}")), "{words}\n{report}");
    }
    let (_, statements) = report.split_once("\nStatements that are missing:\n").expect("statements");
    right.deployment.server.sql(statements);
    let (code, report) = right.check(&[]);
    assert_eq!(code, 0, "{report}");
}
