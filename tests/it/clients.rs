//! The client programs of `tests/clients`, against both kinds of server: what each driver writes, each other one reads.
//!
//! The protected table is made as an operator makes it: from the plain one, by the statements that `candado check` prints.

use std::path::Path;
use std::process::Command;

use crate::support::proxy::{Deployment, KEYSET, Proxy, Tls};
use crate::support::server::Kind;

const SECRET: &str = "application-password";

#[test]
fn mysql_over_tls() {
    run_all(Kind::MySql, Tls::On);
}

#[test]
fn mariadb() {
    run_all(Kind::MariaDb, Tls::Off);
}

fn run_all(kind: Kind, tls: Tls) {
    let deployment = Deployment::shared(kind);
    let server = deployment.server;
    let database = server.database("clients");
    let user = format!("{database}_app");
    server.sql(&format!(
        "USE `{database}`; CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40), \
         address VARCHAR(255), note TEXT, KEY ix_customers_phone (phone)) CHARACTER SET utf8mb4; \
         CREATE USER {user} IDENTIFIED BY '{SECRET}'; GRANT ALL ON `{database}`.* TO {user};"
    ));
    let policy = policy(&database, &user);
    let statements = deployment.missing_statements(&policy, tls);
    assert!(statements.iter().any(|sql| sql.contains("VARBINARY")), "{statements:#?}");
    for statement in &statements {
        server.sql(&format!("{statement};"));
    }
    assert_eq!(deployment.missing_statements(&policy, tls), Vec::<String>::new());

    let proxy = Proxy::start(deployment, &policy, tls);
    for folder in ["python", "node", "php", "cli"] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(folder).join("run.sh");
        let mut command = Command::new(script);
        command
            .env("CANDADO_PROXY_PORT", proxy.port.to_string())
            .env("CANDADO_DIRECT_PORT", server.port.to_string())
            .env("CANDADO_USER", &user)
            .env("CANDADO_PASSWORD", SECRET)
            .env("CANDADO_DATABASE", &database);
        if tls == Tls::On {
            command.env("CANDADO_CA", &server.ca);
        }
        let output = command.output().expect("the script runs");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        println!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{folder} failed on {kind:?}");
    }
}

fn policy(database: &str, user: &str) -> String {
    let column = |name: &str, kind: &str, index: &str| {
        format!(
            "[[column]]\nname = \"{database}.customers.{name}\"\nkeyset = \"{KEYSET}\"\ntype = \"{kind}\"\n{index}\n"
        )
    };
    [
        format!("keysets = [\"{KEYSET}\"]\n"),
        column("phone", "varchar(40)", "index = { normaliser = \"e164\", region = \"ES\" }"),
        column("address", "varchar(255)", ""),
        column("note", "text", ""),
        format!("[role.application]\naccess = \"plain\"\n[[account]]\nuser = \"{user}\"\nrole = \"application\"\n"),
    ]
    .concat()
}
