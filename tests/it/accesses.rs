//! The record of accesses, by the real program: what is in it, that a strict one comes before the result's end, and that
//! what is done to its files shows.

mod begun;
mod honey;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use mysql_async::prelude::Queryable as _;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::by_name::{reload, without_phone};
use crate::support::key_store::{AUDITOR, PASSWORD, SECURITY};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Tls, ended, text as utf8, wait_until, write_secret};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, prepared, refused, text};

on_each_server!(
    every_access_is_recorded_before_its_result_ends,
    without_a_record_no_result_ends,
    a_statement_that_was_prepared_before_its_column_was_protected_is_recorded,
    a_record_outlasts_its_process_and_shows_what_was_cut_off,
);

/// What no record may hold.
const SECRET: &str = "zqSecretOfTheAccesses";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A folder for the record, and the access key that the security team made.
pub(crate) struct Archive {
    folder: TempDir,
    kind: Kind,
}

impl Archive {
    pub(crate) fn open(kind: Kind) -> Self {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().unwrap();
        let archive = Self { folder, kind };
        fs::create_dir(archive.folder.path().join("records")).unwrap();
        let config = Deployment::shared(kind).write(archive.folder.path(), &policy("none"), Tls::Off);
        fs::rename(config, archive.config()).unwrap();
        let key = archive.path("access.key");
        // A proxy of its own: of another record under its name, verification misses the files.
        let name = format!("it-{}", archive.folder.path().file_name().unwrap().to_str().unwrap().replace('_', "-"));
        let (code, _) = archive.run(SECURITY, &["access-key", "--name", &name, "--output", &key]);
        assert_eq!(code, 0);
        archive
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("archive.toml")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn file(&self) -> String {
        self.path("records/accesses.log")
    }

    /// `[audit]` for a proxy.
    pub(crate) fn section(&self, mode: &str) -> String {
        format!(
            "[audit]\nmode = \"{mode}\"\nkey_file = \"{}\"\nfile = {{ path = \"{}\", sync = \"system\" }}\n",
            self.path("access.key"),
            self.file()
        )
    }

    /// `candado audit`; returns the exit code and the document.
    fn run(&self, account: &str, arguments: &[&str]) -> (i32, Value) {
        let password = write_secret(&self.folder.path().join("password"), PASSWORD);
        let mut command = Deployment::shared(self.kind).command("AKIASECURITY");
        command.arg("audit").args(arguments).arg("--json");
        if !["search", "report"].contains(&arguments[0]) {
            command.arg("--config").arg(self.config()).args(["--user", account, "--password-file"]).arg(password);
        }
        let output = ended(&mut command);
        let document = serde_json::from_slice(&output.stdout);
        let document = document.unwrap_or_else(|error| panic!("{error}: {}", utf8(&output.stderr)));
        (output.status.code().unwrap(), document)
    }

    /// The same where it fails; returns the exit code and what it says.
    fn complaint(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Deployment::shared(self.kind).command("AKIASECURITY");
        command
            .arg("audit")
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .args(["--user", AUDITOR, "--password-env", "IT_PASSWORD"])
            .env("IT_PASSWORD", PASSWORD);
        let output = ended(&mut command);
        (output.status.code().unwrap(), utf8(&output.stderr))
    }

    /// All segments, oldest first.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("records")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<String> = entries.map(|path| path.display().to_string()).collect();
        // The lock is no segment.
        files.retain(|path| !path.ends_with(".lock"));
        // `accesses.log` comes behind `accesses.log.000001`.
        files.sort_by_key(|path| (path.len() == self.file().len(), path.clone()));
        files
    }

    pub(crate) fn verify(&self) -> (i32, Value) {
        let files = self.files();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        self.run(AUDITOR, &[&["verify"], files.as_slice()].concat())
    }

    /// Accesses in the file, as `candado audit search` finds them.
    pub(crate) fn accesses(&self, filter: &[&str]) -> Vec<Value> {
        let (code, document) = self.run(AUDITOR, &[&["search", &self.file()], filter].concat());
        assert_eq!(code, 0);
        document["accesses"].as_array().unwrap().clone()
    }
}

/// Three customers; one of them without an address.
async fn fill(shop: &Shop<'_>) {
    let mut conn = shop.connect(Who::Application).await;
    let sql = format!(
        "INSERT INTO customers (id, phone, address) VALUES (1, '090-1111-2222', '{SECRET}1'), \
         (2, '090-1111-3333', '{SECRET}2'), (3, '090-1111-4444', NULL)"
    );
    assert!(matches!(text(&mut conn, sql).await, Answer::Done { .. }));
}

async fn every_access_is_recorded_before_its_result_ends(kind: Kind) {
    let archive = Archive::open(kind);
    let shop = Shop::open_with_limits(Deployment::shared(kind), &archive.section("strict"));
    fill(&shop).await;
    let mut conn = shop.connect(Who::Application).await;
    let sql = format!("SELECT id, phone, address FROM customers WHERE phone <> '{SECRET}' ORDER BY id");
    let column = |name: &str| format!("{}.customers.{name}", shop.database);
    assert_eq!(text(&mut conn, &sql).await.cells().len(), 3);
    // Nothing is waited for: the record was there before the result had ended.
    let found = archive.accesses(&[]);
    let account = format!("{}@%", shop.account(Who::Application));
    assert_eq!(found.len(), 1);
    let one = &found[0];
    assert_eq!(
        (&one["account"], &one["role"], &one["outcome"]),
        (&json!(account), &json!("application"), &json!("complete"))
    );
    assert!(one["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{one}");
    assert_eq!((&one["rows"], &one["opened"], &one["masked"]), (&json!(3), &json!(5), &json!(0)));
    assert_eq!(one["columns"][column("phone")], json!({ "opened": 3, "masked": 0 }));
    assert_eq!(one["columns"][column("address")], json!({ "opened": 2, "masked": 0 }));
    assert_eq!((&one["traceparent"], one["digest"].as_str().unwrap().len()), (&Value::Null, 64));

    // The binary protocol, another account, and a comment that says who asks.
    let mut support = shop.connect(Who::Support).await;
    let asked = format!(
        "SELECT phone FROM customers WHERE id > ? /*application='desk',traceparent='{TRACE}',route='{SECRET}'*/"
    );
    assert_eq!(prepared(&mut support, &asked, (1,)).await.cells().len(), 2);
    let found = archive.accesses(&["--account", &shop.account(Who::Support)]);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["application"], &found[0]["traceparent"]), (&json!("desk"), &json!(TRACE)));
    assert_eq!((&found[0]["role"], &found[0]["opened"]), (&json!("support"), &json!(2)));

    // What shows nothing protected leaves nothing.
    refused(&mut shop.connect(Who::Engineer).await, "SELECT phone FROM customers", 1143, "42000").await;
    for nothing in
        ["SELECT id FROM customers", "SELECT phone FROM customers WHERE id > 99", "SELECT COUNT(*) FROM orders"]
    {
        assert!(matches!(text(&mut conn, nothing).await, Answer::Rows { .. }), "{nothing}");
    }
    assert_eq!(archive.accesses(&[]).len(), 2);

    // A cell that cannot be opened ends the result: what was shown before is told.
    shop.deployment.server.sql(&format!("UPDATE `{}`.customers SET address = phone WHERE id = 2", shop.database));
    assert_eq!(text(&mut conn, "SELECT address FROM customers ORDER BY id").await.error().0, 1105);
    let found = archive.accesses(&["--column", &column("address")]);
    assert_eq!(
        (&found[1]["outcome"], &found[1]["rows"], &found[1]["opened"]),
        (&json!("refused"), &json!(1), &json!(1))
    );

    let report = archive.run(AUDITOR, &["report", &archive.file(), "--account", &shop.account(Who::Support)]).1;
    let day = &report["days"][0];
    assert_eq!((&day["column"], &day["statements"], &day["opened"]), (&json!(column("phone")), &json!(1), &json!(2)));

    let (code, verdict) = archive.verify();
    assert_eq!((code, &verdict["intact"], &verdict["accesses"]), (0, &json!(true), &json!(3)), "{verdict}");
    let metrics = shop.proxy.probe("/metrics").1;
    assert!(metrics.contains("candado_audit_written_total 3"), "{metrics}");
    assert_no_value(&archive, &shop);
}

/// No value, literal or word of a comment that is not believed stands in the record or in the log.
fn assert_no_value(archive: &Archive, shop: &Shop<'_>) {
    let key = fs::read_to_string(archive.path("access.key")).unwrap();
    let key = key.split_whitespace().last().unwrap();
    let record = fs::read_to_string(archive.file()).unwrap();
    for (place, text) in [("record", record), ("log", shop.proxy.log())] {
        for secret in [SECRET, "090-1111", "9011112222", key] {
            assert!(!text.contains(secret), "{secret} stands in the {place}");
        }
    }
}

async fn without_a_record_no_result_ends(kind: Kind) {
    let archive = Archive::open(kind);
    let shop = Shop::open_with_limits(Deployment::shared(kind), &archive.section("strict"));
    fill(&shop).await;
    let mut conn = shop.connect(Who::Application).await;
    let rows: Vec<String> = (10..700).map(|id| format!("({id}, '{}')", "x".repeat(150))).collect();
    let filled = text(&mut conn, format!("INSERT INTO customers (id, note) VALUES {}", rows.join(", "))).await;
    assert!(matches!(filled, Answer::Done { .. }), "{filled:?}");
    let (away, here) = (archive.path("away"), archive.path("records"));
    let note = "SELECT note FROM customers WHERE id >= 10";
    fs::rename(&here, &away).unwrap();
    // The first one is under way when it turns out. Rows that have not gone out yet do not.
    let told = ended_by(&mut conn, "SELECT phone FROM customers WHERE id < 10").await;
    assert_eq!((told.0, told.1), (0, 1105));
    assert!(told.2.starts_with("The access could not be recorded: nothing more is shown; try again (ref "), "{told:?}");
    // From then on nothing is sent: not even of a large result a row goes out.
    for sql in [note, "SELECT phone FROM customers WHERE id < 10"] {
        let told = ended_by(&mut conn, sql).await;
        assert_eq!((told.0, told.1), (0, 1105), "{sql}");
        assert!(told.2.starts_with("Accesses cannot be recorded at present: the statement was not sent"), "{told:?}");
    }
    assert_eq!(prepared(&mut conn, "SELECT phone FROM customers WHERE id < ?", (10,)).await.error().0, 1105);
    // What shows nothing goes on, on the same connection, and so do writes.
    assert!(matches!(text(&mut conn, "SELECT COUNT(*) FROM customers").await, Answer::Rows { .. }));
    let written = text(&mut conn, "UPDATE customers SET phone = '090-1111-5555' WHERE id = 3").await;
    assert!(matches!(written, Answer::Done { affected: 1, .. }), "{written:?}");
    assert!(shop.proxy.probe("/metrics").1.contains("candado_audit_lost_total 1"));

    fs::rename(&away, &here).unwrap();
    assert_eq!(text(&mut conn, "SELECT phone FROM customers WHERE id < 10").await.cells().len(), 3);
    assert_eq!(text(&mut conn, note).await.cells().len(), 690);
    let (code, verdict) = archive.verify();
    assert_eq!((code, &verdict["accesses"], &verdict["lost"]), (0, &json!(2), &json!(1)), "{verdict}");

    // Of a large result no row goes out either, whether the client reads it or not.
    fs::rename(&here, &away).unwrap();
    let told = ended_by(&mut conn, note).await;
    assert_eq!((told.0, told.1), (0, 1105));
    assert!(told.2.starts_with("The access could not be recorded: nothing more is shown; try again (ref "), "{told:?}");
    fs::rename(&away, &here).unwrap();
    assert_eq!(prepared(&mut conn, note, ()).await.cells().len(), 690, "in step");
    // Nothing of it was shown, so no access is lost.
    let (code, verdict) = archive.verify();
    assert_eq!((code, &verdict["accesses"], &verdict["lost"]), (0, &json!(3), &json!(1)), "{verdict}");
}

/// Rows that came before the error that ended a result, and the error.
async fn ended_by(conn: &mut mysql_async::Conn, sql: &str) -> (usize, u16, String) {
    let mut rows = 0;
    let ended = async {
        let mut result = conn.query_iter(sql).await?;
        while result.next().await?.is_some() {
            rows += 1;
        }
        Ok(())
    };
    match ended.await {
        Err(mysql_async::Error::Server(error)) => (rows, error.code, error.message),
        other => panic!("{sql}: {other:?}"),
    }
}

/// On one kind of server: it takes the time that the writer is left with, and has nothing to do with the server.
#[test]
fn a_place_that_takes_nothing_does_not_keep_the_process() {
    crate::support::block_on(ends_all_the_same(Kind::MariaDb));
}

async fn ends_all_the_same(kind: Kind) {
    let archive = Archive::open(kind);
    // A daemon that reads nothing, and a pipe for events that nobody reads.
    let (daemon, pipe) = (archive.path("daemon"), archive.path("events.pipe"));
    let _daemon = UnixDatagram::bind(&daemon).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let sections = format!(
        "[audit]\nmode = \"fast\"\nkey_file = \"{}\"\nsyslog = {{ address = \"unix:{daemon}\" }}\n\
         [events]\nfile = {{ path = \"{pipe}\" }}\n",
        archive.path("access.key")
    );
    let shop = Shop::open_with_limits(Deployment::shared(kind), &sections);
    fill(&shop).await;
    let mut conn = shop.connect(Who::Application).await;
    // Fills what the system keeps for the daemon.
    let queue: usize = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap().trim().parse().unwrap();
    for _ in 0..queue + 10 {
        assert_eq!(text(&mut conn, "SELECT phone FROM customers").await.cells().len(), 3);
    }
    refused(&mut conn, "SELECT LOAD_FILE('/etc/passwd')", 6444, "28000").await;
    drop(conn);
    shop.proxy.signal(Signal::TERM);
    assert_eq!(tokio::task::block_in_place(|| shop.proxy.wait_end()), 0);
    const GIVEN_UP: &str = "the record of accesses takes nothing more; what waits for it is lost";
    let told = shop.proxy.wait_logged(GIVEN_UP, 1);
    assert!(told["lost"].as_u64().is_some_and(|lost| lost >= 1) && told["alarm"] == true, "{told}");
    shop.proxy.wait_logged("firewall events were lost at the end", 1);
}

async fn a_statement_that_was_prepared_before_its_column_was_protected_is_recorded(kind: Kind) {
    let archive = Archive::open(kind);
    let shop = Shop::open_with_limits(Deployment::shared(kind), &archive.section("strict"));
    fill(&shop).await;
    let protecting = policy(&shop.database);
    reload(&shop, &without_phone(&protecting, &shop.database));
    let mut conn = shop.connect(Who::Application).await;
    let sql = format!("SELECT phone FROM customers WHERE id = ? /*application='desk',traceparent='{TRACE}'*/");
    let statement = conn.prep(sql).await.unwrap();
    reload(&shop, &protecting);
    let found: Option<String> = conn.exec_first(&statement, (1,)).await.unwrap();
    assert_eq!(found, Some("090-1111-2222".to_owned()));
    let found = archive.accesses(&["--trace", TRACE]);
    assert_eq!((found.len(), &found[0]["application"], &found[0]["opened"]), (1, &json!("desk"), &json!(1)));
}

async fn a_record_outlasts_its_process_and_shows_what_was_cut_off(kind: Kind) {
    let archive = Archive::open(kind);
    let mut shop = Shop::open_with_limits(Deployment::shared(kind), &archive.section("fast"));
    fill(&shop).await;
    let read = "SELECT phone FROM customers";
    assert_eq!(text(&mut shop.connect(Who::Application).await, read).await.cells().len(), 3);
    wait_until("the record is written", || archive.accesses(&[]).len() == 1);
    let deployment = shop.deployment;
    shop.proxy.crash(deployment);
    assert_eq!(text(&mut shop.connect(Who::Support).await, read).await.cells().len(), 3);
    wait_until("the record goes on", || archive.accesses(&[]).len() == 2);
    shop.proxy.signal(Signal::TERM);
    assert_eq!(shop.proxy.wait_end(), 0);

    let whole = fs::read_to_string(archive.file()).unwrap();
    let kinds: Vec<&str> = whole.lines().map(|line| &line[..1]).collect();
    assert_eq!(kinds, ["h", "s", "a", "s", "a"]);
    let (code, verdict) = archive.verify();
    assert_eq!((code, &verdict["records"]), (0, &json!(5)), "{verdict}");
    assert!(verdict["anchors"].as_u64().unwrap() >= 2, "{verdict}");
    // However many anchors there are: as many times more than are read at once as the same ones again.
    let name = whole.split('\t').nth(6).unwrap();
    let again = format!(
        "INSERT INTO candado.audit_anchor (name, chain, seq, mac, anchored_at) SELECT a.name, a.chain, a.seq, a.mac, \
         a.anchored_at FROM candado.audit_anchor a JOIN (SELECT 1 FROM information_schema.columns x \
         JOIN information_schema.character_sets y LIMIT 20100) many WHERE a.name = '{name}' LIMIT 20100"
    );
    deployment.server.sql(&again);
    let (code, verdict) = archive.verify();
    assert!(code == 0 && verdict["anchors"].as_u64().unwrap() >= 20_102, "{verdict}");
    let drop = format!("DELETE FROM candado.audit_anchor WHERE name = '{name}' ORDER BY anchor_id DESC LIMIT 20100");
    deployment.server.sql(&drop);

    let lines: Vec<&str> = whole.lines().collect();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let swapped = [lines[0], lines[1], lines[3], lines[2], lines[4]];
    for (what, line, text) in [
        ("cut_off", 4, joined(&lines[..4])),
        ("altered", 3, whole.replacen("application", "support", 1)),
        ("missing", 3, joined(&[&lines[..2], &lines[3..]].concat())),
        ("missing", 3, joined(&swapped)),
        ("misplaced", 4, joined(&[&lines[..3], &lines[2..]].concat())),
        ("headless", 1, joined(&lines[1..])),
    ] {
        fs::write(archive.file(), text).unwrap();
        let (code, verdict) = archive.verify();
        let breach = &verdict["breaches"][0];
        assert_eq!((code, &breach["what"], &breach["line"]), (1, &json!(what), &json!(line)), "{verdict}");
    }
    // What cannot be done is said before anything is asked for, and of which file.
    let gone = archive.path("records/accesses.log.000007");
    for (arguments, told) in [
        (&[archive.file().as_str(), &gone][..], gone.as_str()),
        (&[&archive.file(), "--head", &format!("1:{}", "ab".repeat(32))], "--head"),
        (&[&archive.file(), "--from", "first"], "--from"),
    ] {
        let (code, errors) = archive.complaint(&[&["verify"], arguments].concat());
        assert!(code == 64 && errors.contains(told), "{code} {errors}");
    }
    // Offline, the access key is enough; without anchors the end that was cut off does not show.
    fs::write(archive.file(), joined(&lines[..4])).unwrap();
    let (code, verdict) = archive.run(AUDITOR, &["verify", &archive.file(), "--key-file", &archive.path("access.key")]);
    assert_eq!((code, &verdict["records"]), (0, &json!(4)), "{verdict}");
    assert!(Path::new(&archive.file()).exists());
}
