//! Break-glass, by the real program: a budget is greater for a while if a second person has signed exactly that, and not
//! otherwise, whatever the tables say.

use mysql_async::Conn;
use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::key_store::SECURITY;
use crate::support::office::signing_key;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Proxy, SecurityTeam, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, bounded, options, policy, prepare, text};

on_each_server!(a_second_person_elevates_a_budget_for_a_while);

const LIMIT: u64 = 20;
const CUSTOMERS: u32 = 100;
const SINK: &str = "[events]\nfile = { path = \"events.jsonl\" }\n";

/// Those who act, and their proxy.
struct Scene<'a> {
    deployment: &'a Deployment,
    database: String,
    proxy: Proxy,
    team: SecurityTeam<'a>,
    account: String,
    folder: tempfile::TempDir,
}

impl Scene<'_> {
    fn open(kind: Kind) -> Self {
        let deployment = Deployment::shared(kind);
        let database = prepare(deployment);
        let policy = format!("{}[budget.support]\ncells_per_day = {LIMIT}\n", policy(&database));
        let folder = tempfile::tempdir().unwrap();
        // Whoever runs the tests bears the second one's name.
        let key = |name: &str| signing_key(folder.path().join(name).to_str().unwrap());
        let signers = format!(
            "[approval]\nthreshold = 1\nsigners = [{{ name = \"ben\", key = \"{}\" }}, {{ name = \"{}\", key = \"{}\" }}]\n",
            key("ben"),
            candado::app::operator(),
            key("own")
        );
        let team = deployment.security_team(&policy);
        team.configure(&signers);
        team.done(&["init"]);
        let proxy = Proxy::start_with_limits(deployment, &policy, Tls::Off, &format!("\n{signers}{SINK}"));
        proxy.wait_ready();
        let account = format!("{database}_sup@%");
        Self { deployment, database, proxy, team, account, folder }
    }

    /// Runs a command under the security team's account; its exit code, and what it printed.
    fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = self.deployment.command("AKIASECURITY");
        command.args(arguments).arg("--config").arg(&self.team.config);
        command.args(["--user", SECURITY, "--password-file"]).arg(&self.team.password);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// Runs the verb; whether it was done, and what was said.
    fn elevate(&self) -> (bool, String) {
        let words =
            ["budget", "elevate", &self.account, "--minutes", "30", "--factor", "3", "--reason", "a test", "--json"];
        let (code, document) = self.run(&words);
        assert_eq!(document["done"], code == 0, "{document:#}");
        (code == 0, document["refused"].as_str().unwrap_or_default().to_owned())
    }

    fn approve(&self, request: &str, key: &str) -> bool {
        let key = self.folder.path().join(key);
        self.run(&["approve", request, "--json", "--key", key.to_str().unwrap()]).0 == 0
    }

    /// How the account's elevation is listed.
    fn condition(&self) -> Value {
        let (_, listed) = self.run(&["budget", "list", "--json"]);
        let elevations = listed["elevations"].as_array().unwrap().clone();
        let own = elevations
            .into_iter()
            .find(|elevation| elevation["reason"] == "a test" && elevation["account"] == *self.account);
        own.map_or(Value::Null, |elevation| elevation["condition"].clone())
    }

    /// Changes the row that a request stands in, as whoever owns the database can.
    fn tamper(&self, request: &str, change: &str) {
        self.deployment
            .server
            .sql(&format!("UPDATE candado.budget_elevation SET {change} WHERE request_id = {request}"));
    }

    fn wait_elevated(&self, count: f64) {
        wait_until("the proxy has read elevations", || self.proxy.metric("budget_elevations") == count);
    }

    /// What sinks of events have heard of elevations of the account, by rule.
    fn heard(&self) -> Vec<(String, String)> {
        let lines = std::fs::read_to_string(self.proxy.folder().join("events.jsonl")).unwrap_or_default();
        let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = events.filter(|event| event["account"] == *self.account && event["client"] == "-");
        own.map(|event| (event["rules"][0].as_str().unwrap().into(), event["outcome"].as_str().unwrap().into()))
            .collect()
    }

    async fn connect(&self, suffix: &str) -> Conn {
        let user = format!("{}_{suffix}", self.database);
        let options = options("127.0.0.1", self.proxy.port, &self.database).user(Some(user)).pass(Some(SECRET));
        bounded(Conn::new(options)).await.unwrap()
    }
}

/// Pages through all customers, and counts what is shown.
async fn page(conn: &mut Conn) -> u64 {
    let mut shown = 0;
    for id in 1..=CUSTOMERS {
        match text(conn, format!("SELECT phone FROM customers WHERE id = {id}")).await {
            Answer::Refused { code, .. } => assert_eq!(code, 1226),
            answer => shown += u64::try_from(answer.cells().len()).unwrap(),
        }
    }
    shown
}

async fn a_second_person_elevates_a_budget_for_a_while(kind: Kind) {
    let scene = block_in_place(|| Scene::open(kind));
    let rows: Vec<String> = (1..=CUSTOMERS).map(|id| format!("({id}, '090-1111-{id:04}')")).collect();
    let mut application = scene.connect("app").await;
    text(&mut application, format!("INSERT INTO customers (id, phone) VALUES {}", rows.join(", "))).await;
    let mut support = scene.connect("sup").await;
    assert_eq!(page(&mut support).await, LIMIT);

    // Asked for, and signed by nobody, or by the one who asks.
    let request = block_in_place(|| {
        let (done, said) = scene.elevate();
        assert!(!done && said.contains("and none has been asked for"), "{said}");
        let request = said.split("as request ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
        assert!(!scene.approve(&request, "own"), "nobody approves what he asked for");
        let (done, said) = scene.elevate();
        assert!(!done && said.contains("has 0 of 1 signatures"), "{said}");
        assert_eq!(scene.condition(), Value::Null);
        assert!(scene.approve(&request, "ben"));
        request
    });
    assert_eq!(page(&mut support).await, 0, "an approval alone changes nothing");
    block_in_place(|| {
        assert!(scene.elevate().0);
        scene.wait_elevated(1.0);
        assert_eq!(scene.condition(), "running");
        let told = scene.proxy.wait_logged("the budget of an account is elevated", 1);
        assert_eq!((&told["alarm"], &told["factor"]), (&Value::from(true), &Value::from(3)));
    });
    let more = page(&mut support).await;
    assert_eq!(LIMIT + more, 3 * LIMIT);
    let recorded = format!(
        "SELECT COUNT(*) FROM candado.event WHERE act = 'budget.elevate' AND subject = 'budget of {}'",
        scene.account
    );
    assert_eq!(scene.deployment.server.sql(&recorded), "1\n");

    block_in_place(|| {
        // An approval serves once.
        let (done, said) = scene.elevate();
        assert!(!done && said.contains("was used already"), "{said}");
        // Nothing in the table is believed.
        for (change, back) in [
            ("factor = 9", "factor = 3"),
            ("minutes = 1440", "minutes = 30"),
            ("account = 'somebody@%'", &*format!("account = '{}'", scene.account)),
            ("reason = 'another'", "reason = 'a test'"),
            ("began_at = began_at + INTERVAL 2 DAY", "began_at = began_at - INTERVAL 2 DAY"),
        ] {
            scene.tamper(&request, change);
            scene.wait_elevated(0.0);
            scene.tamper(&request, back);
            scene.wait_elevated(1.0);
        }
        scene.proxy.wait_logged("an elevation of a budget is not believed: nobody has signed what the table says", 1);
        for (rule, outcome) in
            [("elevation-begun", "observed"), ("elevation-over", "observed"), ("elevation-not-believed", "refused")]
        {
            let is_heard = || scene.heard().contains(&(rule.to_owned(), outcome.to_owned()));
            wait_until("sinks have heard of the elevation", is_heard);
        }
        // It ends by itself.
        scene.tamper(&request, "ends_at = UTC_TIMESTAMP(6)");
        scene.wait_elevated(0.0);
    });
    assert_eq!(page(&mut support).await, 0);
}
