//! The sample application of `docker/sample-app`: its own tests pass unchanged directly at a server, through the proxy
//! while the columns that policy names are not encrypted yet, and through the proxy after `candado column encrypt`. Its
//! three accounts see what their roles let them. Policy and tables of `docker` are those that are tested here.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::key_store::BACKFILL;
use crate::support::proxy::{Deployment, KEYSET, Proxy, Tls, text};
use crate::support::server::{Kind, Server};

const SECRET: &str = "application-password";
const PROTECTED: [&str; 5] =
    ["customers.phone", "calls.phone", "customers.email", "customers.address", "customers.password_hash"];

/// What all accounts see where nothing stands in front of the server.
const EVERYTHING: &str = "\
backend
name    city   phone          email               address                  password_hash
Hanako  Tokyo  090-1234-5678  hanako@example.org  1-2-3 Jingumae, Shibuya  $argon2id$v=19$m=19456,t=2,p=…
Taro    Osaka  06-6123-4567   taro@example.org    4-5-6 Umeda, Kita        $argon2id$v=19$m=19456,t=2,p=…

support
name    city   phone          email               address                  password_hash
Hanako  Tokyo  090-1234-5678  hanako@example.org  1-2-3 Jingumae, Shibuya  $argon2id$v=19$m=19456,t=2,p=…
Taro    Osaka  06-6123-4567   taro@example.org    4-5-6 Umeda, Kita        $argon2id$v=19$m=19456,t=2,p=…

engineer
name    city   phone          email               address                  password_hash
Hanako  Tokyo  090-1234-5678  hanako@example.org  1-2-3 Jingumae, Shibuya  $argon2id$v=19$m=19456,t=2,p=…
Taro    Osaka  06-6123-4567   taro@example.org    4-5-6 Umeda, Kita        $argon2id$v=19$m=19456,t=2,p=…
";

/// What they see through the proxy.
const BY_ROLE: &str = "\
backend
name    city   phone          email               address                  password_hash
Hanako  Tokyo  090-1234-5678  hanako@example.org  1-2-3 Jingumae, Shibuya  $argon2id$v=19$m=19456,t=2,p=…
Taro    Osaka  06-6123-4567   taro@example.org    4-5-6 Umeda, Kita        $argon2id$v=19$m=19456,t=2,p=…

support
name    city   phone          email               address                  password_hash
Hanako  Tokyo  090-1234-5678  hanako@example.org  1-2-3 Jingumae, Shibuya  (denied)
Taro    Osaka  06-6123-4567   taro@example.org    4-5-6 Umeda, Kita        (denied)

engineer
name    city   phone             email              address        password_hash
Hanako  Tokyo  <pseudonym>       h****@example.org  ****, Shibuya  (denied)
Taro    Osaka  <pseudonym>       t****@example.org  ****, Kita     (denied)
";

#[test]
fn mysql() {
    three_ways(Kind::MySql);
}

#[test]
fn mariadb() {
    three_ways(Kind::MariaDb);
}

#[test]
fn the_tables_of_docker_fit_its_policy() {
    let deployment = Deployment::shared(Kind::MySql);
    let database = deployment.server.database("sample");
    let tables = include_str!("../../docker/mysql/2-shop.sql")
        .replace("shop.", &format!("{database}."))
        .replace("EXISTS shop ", &format!("EXISTS {database} "));
    deployment.server.sql(&tables);
    assert_eq!(deployment.missing_statements(&policy(&database), Tls::Off), Vec::<String>::new());
}

fn three_ways(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let server = deployment.server;
    let database = database(server);
    let directly = Application { port: server.port, database: &database };
    directly.run(&["tables", "root"]);
    directly.run(&["suite"]);
    assert_eq!(directly.run(&["screens"]), EVERYTHING);

    register(server, &database);
    let policy = policy(&database);
    let proxy = Proxy::start(deployment, &policy, Tls::Off);
    let mut pseudonyms = Vec::new();
    let through = Application { port: proxy.port, database: &database };
    through.run(&["suite"]);
    assert_eq!(without_pseudonyms(&through.run(&["screens"]), &mut pseudonyms), BY_ROLE);
    assert_eq!(sealed(server, &database), "0\n0\n0\n0\n0\n");

    // One job for each table.
    for table in ["customers.", "calls."] {
        let columns = PROTECTED.iter().filter(|column| column.starts_with(table));
        let mut arguments: Vec<String> = columns.map(|column| format!("{database}.{column}")).collect();
        arguments.extend(["--ddl".to_owned(), "run".to_owned()]);
        deployment.security_team(&policy).convert("encrypt", &arguments);
    }
    assert_eq!(without_pseudonyms(&through.run(&["screens"]), &mut pseudonyms), BY_ROLE);
    through.run(&["suite"]);
    assert_eq!(sealed(server, &database), "2\n2\n2\n2\n2\n");
    let past_the_proxy = directly.run(&["screens"]);
    for value in ["090-1234", "example.org", "Jingumae", "argon2"] {
        assert!(!past_the_proxy.contains(value), "{past_the_proxy}");
    }
}

/// An empty database, and the three accounts of the application with the privileges that `docker/mysql` gives them.
fn database(server: &Server) -> String {
    let database = server.database("sample");
    for (account, privileges) in
        [("backend", "SELECT, INSERT, UPDATE, DELETE"), ("support", "SELECT, INSERT, UPDATE"), ("engineer", "SELECT")]
    {
        server.sql(&format!(
            "CREATE USER {database}_{account} IDENTIFIED BY '{SECRET}'; \
             GRANT {privileges} ON `{database}`.* TO {database}_{account}"
        ));
    }
    // What schema.sql asks the administrator for, before columns are encrypted.
    server.sql(&format!("GRANT SELECT, UPDATE, TRIGGER, ALTER, CREATE, INSERT, INDEX ON `{database}`.* TO {BACKFILL}"));
    database
}

/// The policy of `docker/candado`, for this database and these accounts.
fn policy(database: &str) -> String {
    include_str!("../../docker/candado/policy.toml")
        .replace("\"contact\"", &format!("\"{KEYSET}\""))
        .replace("shop.", &format!("{database}."))
        .replace("\"shop_", &format!("\"{database}_"))
}

/// Notes that the columns hold plaintext, as OPERATIONS.md says to do before policy names them.
fn register(server: &Server, database: &str) {
    let rows = PROTECTED.map(|column| format!("('{database}.{column}', 'plain', NOW(6))")).join(", ");
    server.sql(&format!(
        "INSERT INTO candado.column_stage (context, stage, changed_at) VALUES {rows}; \
         UPDATE candado.epoch SET epoch = epoch + 1"
    ));
}

/// How many cells of each protected column are envelopes, one a line.
fn sealed(server: &Server, database: &str) -> String {
    let count = |of: &str| {
        let (table, column) = of.split_once('.').expect("a table");
        server.sql(&format!("SELECT COUNT(*) FROM `{database}`.{table} WHERE HEX({column}) LIKE 'C1FE1D01%'"))
    };
    PROTECTED.map(count).concat()
}

/// Hides what is drawn anew for each deployment: pseudonyms, of which the same two must come each time.
fn without_pseudonyms(screens: &str, known: &mut Vec<String>) -> String {
    let is_pseudonym = |word: &str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found: Vec<String> = screens.split([' ', '\n']).filter(|word| is_pseudonym(word)).map(str::to_owned).collect();
    if known.is_empty() {
        known.clone_from(&found);
    }
    assert_eq!(&found, known);
    found.iter().fold(screens.to_owned(), |text, pseudonym| text.replace(pseudonym.as_str(), "<pseudonym>     "))
}

/// The application, where it finds its database.
struct Application<'a> {
    port: u16,
    database: &'a str,
}

impl Application<'_> {
    /// Runs a part of it that succeeds; returns what it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/sample_app/run.sh");
        let mut command = Command::new(script);
        command
            .args(arguments)
            .env("SHOP_HOST", "127.0.0.1")
            .env("SHOP_PORT", self.port.to_string())
            .env("SHOP_DATABASE", self.database)
            .stdin(Stdio::null());
        for account in ["backend", "support", "engineer"] {
            let variable = format!("SHOP_{}", account.to_uppercase());
            command.env(format!("{variable}_USER"), format!("{}_{account}", self.database));
            command.env(format!("{variable}_PASSWORD"), SECRET);
        }
        let output = command.output().expect("the script runs");
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        println!("{said}{errors}");
        assert!(output.status.success(), "{arguments:?} failed");
        said
    }
}
