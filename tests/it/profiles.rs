//! Learned profiles in front of a real server: learn, freeze, protect, exceptions, the way through a text, a restart, two
//! proxies that share what they learn, and a store that cannot be read.

use std::fs;
use std::process::Output;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::key_store::{PASSWORD, SECURITY};
use crate::support::proxy::{Deployment, PATIENCE, Provider, Proxy, Tls, text as utf8, wait_until, write_secret};
use crate::support::server::Kind;
use crate::support::shop::{
    Answer, SECRET, Shop, Who, bounded, options, policy, prepared, refused, refused_prepared, text,
};
use crate::support::{block_on, on_each_server};

on_each_server!(
    an_account_is_learned_about_and_protected,
    two_proxies_share_what_they_learn,
    a_profile_goes_through_a_text,
);

/// On one kind alone: it takes a server of its own, and the other one does not differ here.
#[test]
fn without_the_store_a_protected_account_is_refused() {
    block_on(refused_without_the_store(Kind::MariaDb));
}

/// What the application does.
const HONEST: [&str; 4] = [
    "SELECT id, remark FROM orders WHERE id = 1",
    "SELECT id FROM customers WHERE phone = '090-1234-5678'",
    "INSERT INTO orders (id, remark) VALUES (1, 'a')",
    "SELECT 'in', 'step'",
];
/// What it could do as well.
const NEAR: &str = "SELECT remark FROM orders WHERE id IN (1, 2)";
/// What no signature finds.
const ATTACKS: [&str; 3] = [
    "SELECT id, remark FROM orders WHERE id = 2 - 1",
    "SELECT id, remark FROM orders WHERE id = (SELECT MAX(customer) FROM orders)",
    "SELECT id, remark FROM orders WHERE id = 1 UNION SELECT id, name FROM people",
];
const SOFT: &str = "SELECT id FROM orders WHERE id = 1 OR 1 = 1";
const CHANGED: &str = "the firewall's profiles have changed";

/// The policy with a firewall mode for the application.
fn with_mode(database: &str, mode: &str) -> String {
    let account = format!("user = \"{database}_app\"\nrole = \"application\"\n");
    let text = policy(database);
    assert!(text.contains(&account));
    text.replace(&account, &format!("{account}firewall = \"{mode}\"\n"))
}

fn reload(proxy: &Proxy, policy: &str) {
    let times = proxy.events().iter().filter(|event| event["message"] == "policy in force").count();
    fs::write(proxy.folder().join("policy.toml"), policy).unwrap();
    proxy.signal(Signal::HUP);
    tokio::task::block_in_place(|| proxy.wait_logged("policy in force", times + 1));
}

/// `candado firewall` as the security team.
fn run(shop: &Shop<'_>, arguments: &[&str]) -> Output {
    let folder = shop.proxy.folder();
    let password = write_secret(&folder.join("security"), PASSWORD);
    let mut command = shop.deployment.command("AKIASECURITY");
    command.arg("firewall").args(arguments).arg("--config").arg(folder.join("candado.toml"));
    command.args(["--user", SECURITY, "--password-file"]).arg(password);
    tokio::task::block_in_place(|| command.output().unwrap())
}

fn done(shop: &Shop<'_>, arguments: &[&str]) -> Value {
    let output = run(shop, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}{}", utf8(&output.stdout), utf8(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The profile of the application in the shop's database, as `status` shows it.
fn profile(shop: &Shop<'_>) -> Value {
    let account = format!("{}@%", shop.account(Who::Application));
    let listed = done(shop, &["status"]);
    let profiles = listed["profiles"].as_array().unwrap().iter();
    let mut ours = profiles.filter(|profile| profile["account"] == account && profile["database"] == shop.database);
    ours.next().cloned().unwrap_or(Value::Null)
}

/// `candado check` with the proxy's configuration: exit code and output.
fn check(shop: &Shop<'_>) -> (Option<i32>, String) {
    let config = shop.proxy.folder().join("candado.toml");
    let mut command = shop.deployment.command("AKIAPROXY");
    command.arg("check").arg("--config").arg(config);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    (output.status.code(), utf8(&output.stdout))
}

/// Digests of that profile in the store.
fn stored(shop: &Shop<'_>) -> u64 {
    let sql = format!(
        "SELECT COUNT(*) FROM candado.firewall_digest d JOIN candado.firewall_profile p USING (profile_id) \
         WHERE p.account = '{}@%' AND p.database_name = '{}'",
        shop.account(Who::Application),
        shop.database
    );
    tokio::task::block_in_place(|| shop.deployment.server.sql(&sql).trim().parse().unwrap())
}

fn wait_digests(shop: &Shop<'_>, count: u64) {
    tokio::task::block_in_place(|| wait_until("digests are stored", || stored(shop) == count));
}

/// Asks until the answer is another one.
async fn ask_until(conn: &mut Conn, sql: &str, wanted: impl Fn(&Answer) -> bool) {
    let asking = async {
        while !wanted(&text(conn, sql).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("another answer");
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused { code: 6444, .. })
}

async fn passes(conn: &mut Conn, sql: &str) {
    let answer = text(conn, sql).await;
    // The row is there already the second time.
    assert!(
        matches!(answer, Answer::Rows { .. } | Answer::Done { .. } | Answer::Refused { code: 1062, .. }),
        "{sql}: {answer:?}"
    );
}

async fn work(conn: &mut Conn) {
    for sql in HONEST {
        passes(conn, sql).await;
        passes(conn, sql).await;
    }
    let answer = prepared(conn, "SELECT id, remark FROM orders WHERE id = ?", (1,)).await;
    assert!(matches!(answer, Answer::Rows { .. }), "{answer:?}");
}

async fn connect_to(proxy: &Proxy, shop: &Shop<'_>) -> Conn {
    let options = options("127.0.0.1", proxy.port, &shop.database);
    bounded(Conn::new(options.user(Some(shop.account(Who::Application))).pass(Some(SECRET)))).await.unwrap()
}

/// Waits until the newest event of the firewall is about that rule.
async fn observe_until(conn: &mut Conn, proxy: &Proxy, sql: &str, rule: &str) {
    let observing = async {
        loop {
            passes(conn, sql).await;
            let events = proxy.events();
            let newest = events.iter().rfind(|event| event["target"] == "candado::firewall");
            if newest.is_some_and(|event| event["rule"] == rule && event["outcome"] == "observed") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, observing).await.expect("an event");
}

async fn an_account_is_learned_about_and_protected(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let mut shop = Shop::open_as(deployment, |database| with_mode(database, "learn"));
    let mut conn = shop.connect(Who::Application).await;
    work(&mut conn).await;
    passes(&mut conn, SOFT).await;
    refused(&mut conn, "SELECT id FROM orders WHERE id = 1 AND SLEEP(5)", 6444, "28000").await;
    let learned = u64::try_from(HONEST.len()).unwrap() + 2;
    wait_digests(&shop, learned);
    let status = profile(&shop);
    assert_eq!((&status["mode"], &status["digests"]), (&"learn".into(), &learned.into()), "{status:#}");
    assert_eq!(status["new_by_hour"][0], learned, "{status:#}");

    let (account, database) = (format!("{}@%", shop.account(Who::Application)), shop.database.clone());
    let frozen = done(&shop, &["freeze", &account, &database]);
    assert_eq!(frozen["digests"], learned);
    observe_until(&mut conn, &shop.proxy, ATTACKS[0], "profile").await;
    assert!(profile(&shop)["frozen_at"].is_string());

    let protecting = with_mode(&database, "protect");
    reload(&shop.proxy, &protecting);
    for attack in ATTACKS {
        refused(&mut conn, attack, 6444, "28000").await;
        refused_prepared(&mut conn, attack, (), 6444, "28000").await;
        refused(&mut conn, attack, 6444, "28000").await;
    }
    work(&mut conn).await;
    passes(&mut conn, NEAR).await;
    passes(&mut shop.connect(Who::Support).await, ATTACKS[0]).await;
    for sql in ["BEGIN", "SAVEPOINT a17", "ROLLBACK"] {
        passes(&mut conn, sql).await;
    }
    refused(&mut conn, SOFT, 6444, "28000").await;
    wait_digests(&shop, learned);

    exceptions(&shop, &mut conn, &account).await;

    // A proxy that starts knows the profile before it is ready.
    shop.proxy = Proxy::start(deployment, &protecting, Tls::Off);
    let mut conn = shop.connect(Who::Application).await;
    work(&mut conn).await;
    refused(&mut conn, ATTACKS[0], 6444, "28000").await;
}

/// One digest that was refused is allowed, and taken back.
async fn exceptions(shop: &Shop<'_>, conn: &mut Conn, account: &str) {
    refused(conn, ATTACKS[0], 6444, "28000").await;
    let events = shop.proxy.events();
    let event = events.iter().rfind(|event| event["rule"] == "profile" && event["outcome"] == "refused").unwrap();
    let digest = event["digest"].as_str().unwrap().to_owned();
    let why = ["--account", account, "--reason", "the month's report", "--author", "ana"];
    let past = run(shop, &[&["allow", &digest, "--expires", "2020-01-01"], &why[..]].concat());
    assert_eq!(past.status.code(), Some(1), "{}", utf8(&past.stderr));
    done(shop, &[&["allow", &digest, "--expires", "2999-01-31"], &why[..]].concat());
    ask_until(conn, ATTACKS[0], |answer| matches!(answer, Answer::Rows { .. })).await;
    refused(conn, ATTACKS[1], 6444, "28000").await;
    let listed = done(shop, &["exceptions"]);
    let ours =
        listed["exceptions"].as_array().unwrap().iter().find(|exception| exception["digest"] == *digest).unwrap();
    assert_eq!((&ours["author"], &ours["reason"]), (&"ana".into(), &"the month's report".into()), "{listed:#}");

    // A statement that was prepared while it was allowed is refused when it is executed later.
    let statement = conn.prep(ATTACKS[0]).await.unwrap();
    conn.exec_drop(&statement, ()).await.unwrap();
    done(shop, &["disallow", &digest, "--account", account]);
    ask_until(conn, ATTACKS[0], is_refused).await;
    let error = conn.exec_drop(&statement, ()).await.unwrap_err();
    assert!(matches!(&error, mysql_async::Error::Server(error) if error.code == 6444), "{error}");
    let again = run(shop, &["disallow", &digest, "--account", account]);
    assert_eq!(again.status.code(), Some(1), "{}", utf8(&again.stderr));
    assert!(utf8(&again.stderr).contains("has no exception for that digest"));

    // The acts are in the record, and it is intact.
    let acts = shop
        .deployment
        .server
        .sql(&format!("SELECT act FROM candado.event WHERE subject LIKE '%{account}%' ORDER BY seq"));
    assert_eq!(acts, "firewall.freeze\nfirewall.allow\nfirewall.disallow\n");
}

async fn two_proxies_share_what_they_learn(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| with_mode(database, "learn"));
    let other = Proxy::start(deployment, &with_mode(&shop.database, "learn"), Tls::Off);
    let (mut one, mut two) = (shop.connect(Who::Application).await, connect_to(&other, &shop).await);
    passes(&mut one, HONEST[0]).await;
    passes(&mut two, HONEST[0]).await;
    passes(&mut one, HONEST[1]).await;
    passes(&mut two, HONEST[2]).await;
    wait_digests(&shop, 3);
    let account = format!("{}@%", shop.account(Who::Application));
    assert_eq!(done(&shop, &["freeze", &account, &shop.database])["digests"], 3);
    for proxy in [&shop.proxy, &other] {
        reload(proxy, &with_mode(&shop.database, "protect"));
    }
    for conn in [&mut one, &mut two] {
        // Each proxy hears of what the other one has learned when it next asks the store, one digest before another.
        for sql in &HONEST[..3] {
            ask_until(conn, sql, |answer| !is_refused(answer)).await;
        }
        for sql in &HONEST[..3] {
            passes(conn, sql).await;
        }
        let answer = text(conn, ATTACKS[0]).await;
        assert!(is_refused(&answer), "{answer:?}");
    }
    // Learning goes on where somebody says so, and both proxies know what came.
    done(&shop, &["learn", &account, &shop.database]);
    reload(&other, &with_mode(&shop.database, "learn"));
    let learning = async {
        while stored(&shop) != 4 {
            passes(&mut two, ATTACKS[0]).await;
        }
    };
    tokio::time::timeout(PATIENCE, learning).await.expect("another digest");
    ask_until(&mut one, ATTACKS[0], |answer| !is_refused(answer)).await;
    let answer = text(&mut one, ATTACKS[1]).await;
    assert!(is_refused(&answer), "{answer:?}");
}

async fn a_profile_goes_through_a_text(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| with_mode(database, "learn"));
    let mut conn = shop.connect(Who::Application).await;
    work(&mut conn).await;
    passes(&mut conn, "SELECT id AS zqAlias FROM orders WHERE remark = 'zqSecret'").await;
    let learned = u64::try_from(HONEST.len()).unwrap() + 2;
    wait_digests(&shop, learned);
    let (account, database) = (format!("{}@%", shop.account(Who::Application)), shop.database.as_str());
    let file = shop.proxy.folder().join("profiles.txt");
    let path = file.to_str().unwrap();
    let output = run(&shop, &["export", "--account", &account, "--database", database, "--output", path]);
    assert_eq!(output.status.code(), Some(0), "{}", utf8(&output.stderr));
    let exported = fs::read_to_string(&file).unwrap();
    assert!(!exported.contains("zq") && !exported.contains("090-"), "{exported}");
    assert!(exported.contains("text SELECT id AS <id> FROM orders WHERE remark = ?\n"), "{exported}");
    let block =
        exported.split("\n\n").find(|block| block.contains("text SELECT id FROM customers WHERE phone = ?")).unwrap();
    let digest = block.lines().find_map(|line| line.strip_prefix("digest ")).unwrap();

    done(&shop, &["freeze", &account, database]);
    done(&shop, &["forget", digest, &account, database]);
    let twice = run(&shop, &["forget", digest, &account, database]);
    assert_eq!(twice.status.code(), Some(1), "{}", utf8(&twice.stderr));
    reload(&shop.proxy, &with_mode(database, "protect"));
    ask_until(&mut conn, HONEST[1], is_refused).await;
    passes(&mut conn, HONEST[0]).await;

    let seen = (1..).zip(exported.lines()).find(|(_, line)| line.starts_with("seen ")).unwrap().0;
    fs::write(&file, exported.replacen("\nseen ", "\nseen many ", 1)).unwrap();
    let wrong = run(&shop, &["import", path]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(utf8(&wrong.stderr).contains(&format!("profiles.txt:{seen}: how often it was seen is a number")));
    assert_eq!(profile(&shop)["digests"], learned - 1, "a file with a mistake adds nothing");
    fs::write(&file, format!("{exported}\n# reviewed by ana\n")).unwrap();
    assert_eq!(done(&shop, &["import", path])["added"], 1);
    ask_until(&mut conn, HONEST[1], |answer| !is_refused(answer)).await;
    refused(&mut conn, ATTACKS[0], 6444, "28000").await;
    assert_eq!(done(&shop, &["import", path])["added"], 0);
    assert!(profile(&shop)["frozen_at"].is_string(), "an import changes no growth");
    let nobody = run(&shop, &["freeze", "nobody@%", database]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(utf8(&nobody.stderr).contains("there is no profile of account nobody@%"), "{}", utf8(&nobody.stderr));
}

async fn refused_without_the_store(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    deployment.server.sql("DROP TABLE candado.firewall_exception");
    let shop = Shop::open_as(&deployment, |database| with_mode(database, "protect"));
    let mut conn = shop.connect(Who::Application).await;
    let answer = text(&mut conn, HONEST[0]).await;
    assert!(is_refused(&answer), "{answer:?}");
    passes(&mut conn, "BEGIN").await;
    passes(&mut shop.connect(Who::Support).await, HONEST[0]).await;
    let rules = || -> Vec<String> {
        let events = shop.proxy.events().into_iter().filter(|event| event["outcome"] == "refused");
        events.map(|event| event["rule"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(rules(), ["profile-missing"]);
    let (code, said) = check(&shop);
    assert!(code == Some(1) && said.contains("run keys-policy/schema.sql again"), "{said}");
    // When the tables are there, it knows by itself; it knows no statement yet.
    deployment.server.sql(&crate::support::key_store::script("candado"));
    tokio::task::block_in_place(|| shop.proxy.wait_logged(CHANGED, 1));
    let answer = text(&mut conn, HONEST[0]).await;
    assert!(is_refused(&answer), "{answer:?}");
    assert_eq!(rules(), ["profile-missing", "profile"]);
    let (code, said) = check(&shop);
    assert!(code == Some(0) && said.contains("mode `protect` without a profile refuses everything"), "{said}");

    // One that starts now reads that there is none, and has nothing to tell.
    let later = Shop::open_as(&deployment, |database| with_mode(database, "protect"));
    let is_read = |_: &Answer| later.proxy.events().iter().any(|event| event["rule"] == "profile");
    ask_until(&mut later.connect(Who::Application).await, HONEST[0], is_read).await;
    assert!(later.proxy.events().iter().all(|event| event["message"] != CHANGED), "{}", later.proxy.log());
}
