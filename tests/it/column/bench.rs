//! A table with rows from before it was protected, the policy for it, and the program that works on it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support::key_store::{BACKFILL, PASSWORD, SECURITY};
use crate::support::proxy::{Deployment, KEYSET, Provider, Proxy, Tls, write_secret};
use crate::support::server::Kind;

/// The tests of this module that start no proxy share a server of each kind: proxies with other policies would hold up
/// every fence.
pub(crate) fn shared(kind: Kind) -> &'static Deployment {
    static MYSQL: OnceLock<Deployment> = OnceLock::new();
    static MARIADB: OnceLock<Deployment> = OnceLock::new();
    let cell = match kind {
        Kind::MySql => &MYSQL,
        Kind::MariaDb => &MARIADB,
    };
    cell.get_or_init(|| Deployment::own(kind, &[], Provider::File))
}

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self {
            succeeded: output.status.success(),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The answer of a run that must succeed.
    pub(crate) fn ok(self) -> Self {
        assert!(self.succeeded, "{}\n{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// A database with one table.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) deployment: &'a Deployment,
    pub(crate) database: String,
    pub(crate) policy: String,
    folder: TempDir,
    config: PathBuf,
}

/// Columns of the usual table.
pub(crate) const CUSTOMERS: &str = "id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60), \
    phone VARCHAR(40), address VARCHAR(255), \
    updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY by_phone (phone)";

impl<'a> Bench<'a> {
    /// Makes the table; `columns` are those of CREATE TABLE.
    pub(crate) fn new(deployment: &'a Deployment, columns: &str) -> Self {
        Self::with_policy(deployment, columns, policy)
    }

    /// The same with another policy, from the database's name.
    pub(crate) fn with_policy(deployment: &'a Deployment, columns: &str, policy: impl FnOnce(&str) -> String) -> Self {
        let database = deployment.server.database("col");
        let policy = policy(&database);
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let config = deployment.write(folder.path(), &policy, Tls::Off);
        write_secret(&folder.path().join("backfill"), PASSWORD);
        deployment.server.sql(&format!(
            "CREATE TABLE `{database}`.customers ({columns}) CHARACTER SET utf8mb4; \
             CREATE USER {database}_app IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON `{database}`.* TO {database}_app; \
             GRANT SELECT, UPDATE, TRIGGER, ALTER, CREATE, INSERT, INDEX ON `{database}`.* TO {BACKFILL};"
        ));
        Self { deployment, database, policy, folder, config }
    }

    /// The usual table with rows: telephone numbers, some of them several times, NULL, empty, and four-byte characters.
    pub(crate) fn with_rows(deployment: &'a Deployment, rows: u32) -> Self {
        let bench = Self::new(deployment, CUSTOMERS);
        bench.fill(rows);
        bench
    }

    pub(crate) fn fill(&self, rows: u32) {
        for first in (1..=rows).step_by(1000) {
            let last = rows.min(first + 999);
            let values: Vec<String> = (first..=last).map(row).collect();
            self.sql(&format!("INSERT INTO customers (id, name, phone, address) VALUES {}", values.join(", ")));
        }
        self.sql("ANALYZE TABLE customers");
    }

    /// Statements as root, in the database.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.deployment.server.sql(&format!("USE `{}`; {sql};", self.database))
    }

    /// The full name of a column.
    pub(crate) fn column(&self, name: &str) -> String {
        format!("{}.customers.{name}", self.database)
    }

    /// `candado column <verb> <phone and address> <arguments>`, until it ends.
    pub(crate) fn run(&self, verb: &str, arguments: &[&str]) -> Run {
        self.run_on(verb, &["phone", "address"], arguments)
    }

    pub(crate) fn run_on(&self, verb: &str, columns: &[&str], arguments: &[&str]) -> Run {
        Run::new(self.command(verb, columns, arguments).output().expect("candado runs"))
    }

    /// The same, left running.
    pub(crate) fn spawn(&self, verb: &str, arguments: &[&str]) -> Child {
        let mut command = self.command(verb, &["phone", "address"], arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("candado runs")
    }

    /// `candado column <verb> <table> <arguments>`, for verbs about a job.
    pub(crate) fn of_table(&self, verb: &str, arguments: &[&str]) -> Run {
        let mut command = self.deployment.command("AKIAPROXY");
        command.args(["column", verb, &format!("{}.customers", self.database)]);
        Run::new(self.as_backfill(&mut command).args(arguments).output().expect("candado runs"))
    }

    /// `candado keys <arguments>` as the security team.
    pub(crate) fn keys(&self, arguments: &[&str]) -> Run {
        self.security(&[&["keys"], arguments].concat())
    }

    /// `candado <arguments>` as the security team.
    pub(crate) fn security(&self, arguments: &[&str]) -> Run {
        let mut command = self.deployment.command("AKIASECURITY");
        command.args(arguments).arg("--config").arg(&self.config);
        command.args(["--user", SECURITY, "--password-file"]).arg(self.folder.path().join("backfill"));
        Run::new(command.output().expect("candado runs")).ok()
    }

    /// What `candado check` says.
    pub(crate) fn check(&self) -> serde_json::Value {
        let mut command = self.deployment.command("AKIAPROXY");
        command.args(["check", "--json", "--config"]).arg(&self.config);
        Run::new(command.output().expect("candado runs")).json()
    }

    /// Adds sections to the configuration.
    pub(crate) fn configure(&self, more: &str) {
        let config = fs::read_to_string(&self.config).expect("a configuration");
        fs::write(&self.config, format!("{config}{more}")).expect("a configuration");
    }

    /// A path for a file of the test's.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, verb: &str, columns: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.deployment.command("AKIAPROXY");
        command.args(["column", verb]);
        command.args(columns.iter().map(|name| self.column(name)));
        self.as_backfill(&mut command).args(arguments);
        command
    }

    fn as_backfill<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.arg("--config").arg(&self.config).args(["--user", BACKFILL, "--password-file"]);
        command.arg(self.folder.path().join("backfill"))
    }

    /// A proxy with the policy.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::start(self.deployment, &self.policy, Tls::Off)
    }

    /// What every row holds, read straight from the server.
    pub(crate) fn contents(&self) -> String {
        self.sql("SELECT id, name, HEX(phone), HEX(address), updated_at FROM customers ORDER BY id")
    }

    /// The job of this table as `candado column status` lists it.
    pub(crate) fn status(&self) -> serde_json::Value {
        self.job().unwrap_or_else(|| panic!("no job of {}.customers", self.database))
    }

    /// The same where it may not have begun.
    pub(crate) fn job(&self) -> Option<serde_json::Value> {
        let mut command = self.deployment.command("AKIAPROXY");
        command.args(["column", "status", "--json", "--config"]).arg(&self.config);
        let jobs = Run::new(command.output().expect("candado runs")).ok().json();
        let table = format!("{}.customers", self.database);
        jobs.as_array().expect("jobs").iter().find(|job| job["table"] == table.as_str()).cloned()
    }

    /// A new key of that purpose becomes the one that writes, as after its proxies have opened it.
    pub(crate) fn rotate(&self, purpose: &str) {
        let made: serde_json::Value = self.keys(&["create", KEYSET, "--purpose", purpose, "--json"]).json();
        // Whoever opens a key for the first time publishes its check value; without proxies that is the engine.
        self.run("verify", &[]).ok();
        self.keys(&["activate", &made["key_id"].to_string()]);
    }

    /// The stages of the table's columns in the key store.
    pub(crate) fn stages(&self) -> String {
        let sql = "SELECT CAST(context AS CHAR), stage FROM candado.column_stage WHERE context LIKE";
        self.deployment.server.sql(&format!("{sql} '{}.%' ORDER BY context", self.database))
    }

    /// How many cells of a column are no envelope.
    pub(crate) fn plaintexts(&self, column: &str) -> u64 {
        let sql = format!("SELECT COUNT(*) FROM customers WHERE NOT HEX({column}) LIKE 'C1FE1D01%'");
        self.sql(&sql).trim().parse().expect("a number")
    }
}

/// One row's values.
fn row(id: u32) -> String {
    let phone = match id % 50 {
        0 => "NULL".to_owned(),
        1 => "''".to_owned(),
        2 => "'n/a 😀'".to_owned(),
        _ => format!("'+819012{:06}'", id % 700),
    };
    let address = match id % 40 {
        0 => "NULL".to_owned(),
        1 => "''".to_owned(),
        2 => format!("'{} 東京都千代田区 😀'", id),
        _ => format!("'{id} Some Street, Some City'"),
    };
    format!("({id}, 'name {id}', {phone}, {address})")
}

fn policy(database: &str) -> String {
    format!(
        "keysets = [\"{KEYSET}\"]\n\
         [[column]]\nname = \"{database}.customers.phone\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(40)\"\n\
         index = {{ normaliser = \"text\" }}\n\
         [[column]]\nname = \"{database}.customers.address\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(255)\"\n\
         [role.application]\naccess = \"plain\"\n[[account]]\nuser = \"{database}_app\"\nrole = \"application\"\n\
         [[account]]\nuser = \"root\"\nrole = \"application\"\n"
    )
}
