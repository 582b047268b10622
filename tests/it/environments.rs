//! Several environments in one policy file, by the real program: the process is in one of them, and says so where it is
//! asked.

use std::fs;

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Tls, ended, text as utf8};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, prepare, refused, text};

on_each_server!(an_environment_binds_its_own_accounts, commands_tell_of_each_environment);

/// In staging the engineer has the application's role, in production nobody else than everywhere.
fn two(database: &str) -> String {
    let account = |suffix: &str, role: &str| {
        format!("[[environment.staging.account]]\nuser = \"{database}_{suffix}\"\nrole = \"{role}\"\n")
    };
    let (root, app, engineer) = (
        "[[environment.staging.account]]\nuser = \"root\"\nrole = \"application\"\n",
        account("app", "application"),
        account("eng", "application"),
    );
    format!(
        "{}[environment.production]\n[environment.staging.budget.application]\ncells_per_statement = 2\n{root}{app}{engineer}",
        policy(database)
    )
}

async fn an_environment_binds_its_own_accounts(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let insert = "INSERT INTO customers (id, phone) VALUES (1, '090-1111-2222'), (2, '2'), (3, '3')";
    let phone = "SELECT phone FROM customers WHERE id = 1";
    let staging = Shop::open_in(deployment, two, "staging");
    let mut engineer = staging.connect(Who::Engineer).await;
    assert!(matches!(text(&mut engineer, insert).await, Answer::Done { affected: 3, .. }));
    assert_eq!(text(&mut engineer, phone).await.cells(), [[Some("090-1111-2222".to_owned())]]);
    refused(&mut engineer, "SELECT phone FROM customers", 1226, "42000").await;
    // Its entries stand in the place of the others.
    refused(&mut staging.connect(Who::Support).await, phone, 1143, "42000").await;

    let production = Shop::open_in(deployment, two, "production");
    let mut application = production.connect(Who::Application).await;
    assert!(matches!(text(&mut application, insert).await, Answer::Done { affected: 3, .. }));
    assert_eq!(text(&mut application, "SELECT phone FROM customers").await.cells().len(), 3);
    refused(&mut production.connect(Who::Engineer).await, phone, 1143, "42000").await;
    assert_eq!(text(&mut production.connect(Who::Support).await, phone).await.cells().len(), 1);
}

async fn commands_tell_of_each_environment(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let database = prepare(deployment);
    let folder = tempfile::tempdir().unwrap();
    let config = deployment.write(folder.path(), &two(&database), Tls::Off);
    let run = |arguments: &[&str]| {
        let mut command = deployment.command("AKIAPROXY");
        command.args(arguments).arg("--config").arg(&config);
        let output = ended(&mut command);
        (output.status.code().unwrap(), utf8(&output.stdout) + &utf8(&output.stderr))
    };
    let who = format!("{database}_eng");
    // Nobody has said which.
    let (code, told) = run(&["roles", "who", &who]);
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("none is chosen") && told.contains("one of production, staging"), "{told}");
    let (code, told) = run(&["roles", "who", &who, "--environment", "stagging"]);
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("there is no [environment.stagging]; did you mean `staging`?"), "{told}");
    // The command line counts before the file.
    let written = fs::read_to_string(&config).unwrap();
    let path = "path = \"policy.toml\"\n";
    fs::write(&config, written.replace(path, &format!("{path}environment = \"production\"\n"))).unwrap();
    let (code, told) = run(&["roles", "who", &who]);
    assert!(code == 0 && told.starts_with(&format!("{who}@% in production: role engineer ")), "{told}");
    let (code, told) = run(&["roles", "who", &who, "--environment", "staging"]);
    assert!(code == 0 && told.starts_with(&format!("{who}@% in staging: role application ")), "{told}");
    // What is of no use is told of all of them.
    let (_, told) = run(&["check"]);
    assert!(told.contains("environment staging: role engineer: no [[account]] has it"), "{told}");
    assert!(!told.contains("environment production: role engineer"), "{told}");
    let sql = "SELECT phone FROM customers";
    let explain = |environment: &str| {
        run(&["explain", sql, "--account", &who, "--database", &database, "--environment", environment])
    };
    assert_eq!((explain("production").0, explain("staging").0), (1, 0));
}
