//! Firewall events on their way: each sink gets them, without values; one that is down holds nobody up.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::on_each_server;
use crate::support::proxy::{Deployment, PATIENCE, text as utf8, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, refused, text};

on_each_server!(every_sink_gets_every_event_without_values, a_sink_that_is_down_holds_nobody_up);

const SECRET: &str = "zqSecretOfTheEvents";

/// A collector on a thread of its own. It answers the first request with 503, as one does that restarts.
struct Collector {
    address: String,
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let seen = requests.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = receive(&mut stream);
                let status = if seen.lock().unwrap().is_empty() { "503 Service Unavailable" } else { "200 OK" };
                seen.lock().unwrap().push(request);
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            }
        });
        Self { address, requests }
    }

    /// Findings of each request.
    fn findings(&self) -> Vec<Vec<Value>> {
        self.requests.lock().unwrap().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }
}

/// Head and body of a request.
fn receive(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4096];
        let count = stream.read(&mut some).unwrap();
        bytes.extend_from_slice(&some[..count]);
        let so_far = utf8(&bytes);
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0_usize) {
                return (head.to_owned(), body.to_owned());
            }
        }
        assert!(count > 0, "a whole request");
    }
}

/// A syslog daemon: a datagram socket of this machine, or UDP.
enum Daemon {
    Unix(UnixDatagram, String),
    Udp(UdpSocket),
}

impl Daemon {
    fn bind(kind: Kind, folder: &Path) -> Self {
        match kind {
            Kind::MySql => {
                let path = folder.join("log.socket");
                let socket = UnixDatagram::bind(&path).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                Self::Unix(socket, format!("unix:{}", path.display()))
            }
            Kind::MariaDb => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                Self::Udp(socket)
            }
        }
    }

    fn address(&self) -> String {
        match self {
            Self::Unix(_, address) => address.clone(),
            Self::Udp(socket) => format!("udp:{}", socket.local_addr().unwrap()),
        }
    }

    fn receive(&self) -> String {
        let mut bytes = vec![0; 1 << 16];
        let length = match self {
            Self::Unix(socket, _) => socket.recv(&mut bytes),
            Self::Udp(socket) => socket.recv(&mut bytes),
        };
        bytes.truncate(length.expect("a datagram"));
        utf8(&bytes)
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let written = fs::read_to_string(path).unwrap_or_default();
    // The last line may be under way.
    let whole = written.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

/// `candado firewall log`.
fn search(kind: Kind, arguments: &[&str]) -> Vec<Value> {
    let mut command = Deployment::shared(kind).command("AKIAPROXY");
    let output = command.args(["firewall", "log", "--json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", utf8(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["events"].as_array().unwrap().clone()
}

async fn every_sink_gets_every_event_without_values(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (folder.path().join("events.jsonl"), folder.path().join("token"));
    fs::write(&token, "t0ken\n").unwrap();
    let (collector, daemon) = (Collector::start(), Daemon::bind(kind, folder.path()));
    let config = format!(
        "[events]\nfile = {{ path = \"{}\" }}\nsyslog = {{ address = \"{}\", facility = \"local3\" }}\n\
         http = {{ url = \"http://{}/ocsf\", token_file = \"{}\" }}\n",
        file.display(),
        daemon.address(),
        collector.address,
        token.display()
    );
    let shop = Shop::open_with_limits(Deployment::shared(kind), &config);
    let mut conn = shop.connect(Who::Application).await;
    let attack = format!("SELECT phone FROM customers zqc WHERE zqc.code = {SECRET} OR '{SECRET}' = '{SECRET}'");
    let Answer::Refused { text: told, .. } = text(&mut conn, &attack).await else { panic!("not refused") };
    let reference = told.split_once("(ref ").unwrap().1.trim_end_matches(')').to_owned();
    refused(&mut conn, &format!("SELECT '{SECRET}"), 6444, "28000").await;

    wait_until("the file has both", || lines(&file).len() == 2);
    let event = &lines(&file)[0];
    let account = format!("{}@%", shop.account(Who::Application));
    assert!(event["id"].as_str().unwrap().ends_with(&format!("-{reference}")), "{event} is not {reference}");
    assert_eq!(event["account"], account);
    assert_eq!(event["database"], shop.database);
    assert_eq!(event["rules"], serde_json::json!(["constant-operand"]));
    assert_eq!((&event["outcome"], &event["mode"], &event["score"]), (&"refused".into(), &"block".into(), &10.into()));
    assert_eq!(event["text"], "SELECT phone FROM customers <id> WHERE <id>.code = <id> OR ? = ?");
    assert_eq!(lines(&file)[1]["rules"], serde_json::json!(["parse"]));

    let messages = [daemon.receive(), daemon.receive()];
    assert!(messages[0].starts_with("<156>1 ") && messages[0].contains(event["id"].as_str().unwrap()), "{messages:?}");
    assert!(messages[1].contains("rules=\"parse\""), "{messages:?}");

    let ids = |findings: &[Vec<Value>]| {
        let all: Vec<Value> = findings.iter().flatten().map(|finding| finding["finding_info"]["uid"].clone()).collect();
        all
    };
    wait_until("the collector has taken both", || {
        shop.proxy.probe("/metrics").1.contains("delivered_total{sink=\"http\"} 2")
    });
    let findings = collector.findings();
    // What was answered with 503 came again.
    assert_eq!(findings[0][0], findings[1][0]);
    assert!(ids(&findings[1..]).contains(&lines(&file)[1]["id"]), "{findings:?}");
    assert_eq!(findings[1][0]["class_uid"], 2004);
    let (head, _) = collector.requests.lock().unwrap()[1].clone();
    assert!(
        head.starts_with("POST /ocsf HTTP/1.1") && head.to_lowercase().contains("authorization: bearer t0ken"),
        "{head}"
    );

    let metrics = shop.proxy.probe("/metrics").1;
    let counted = "candado_firewall_rule_total{rule=\"constant-operand\",mode=\"block\",outcome=\"refused\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("candado_firewall_events_failures_total{sink=\"http\"} 1"), "{metrics}");
    let everything =
        format!("{}{messages:?}{findings:?}{metrics}{}", fs::read_to_string(&file).unwrap(), shop.proxy.log());
    assert!(!everything.contains(SECRET), "a value is told");
    assert!(!everything.contains("t0ken"), "the token is told");
    searched(kind, &file, event);
}

fn searched(kind: Kind, file: &Path, event: &Value) {
    let name = file.display().to_string();
    let account = event["account"].as_str().unwrap();
    let id = event["id"].as_str().unwrap();
    let reference = id.split_once('-').unwrap().1;
    for wanted in [
        vec!["--rule", "constant-operand"],
        vec!["--rule", "constant-operand", "--account", account, "--client", "127.0.0.1", "--from", "2026"],
        vec!["--digest", event["digest"].as_str().unwrap()],
        vec!["--id", id],
        vec!["--id", reference],
    ] {
        assert_eq!(
            search(kind, &[&[name.as_str()], wanted.as_slice()].concat()),
            std::slice::from_ref(event),
            "{wanted:?}"
        );
    }
    for unwanted in [["--rule", "delay"], ["--account", "nobody"], ["--until", "2026"], ["--client", "127.0.0.2"]] {
        assert_eq!(
            search(kind, &[&[name.as_str()], unwanted.as_slice()].concat()),
            Vec::<Value>::new(),
            "{unwanted:?}"
        );
    }
    assert_eq!(search(kind, &[&name]).len(), 2);
    assert_eq!(search(kind, &[&name, "--limit", "1"])[0]["rules"][0], "parse");
}

async fn a_sink_that_is_down_holds_nobody_up(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later/events.jsonl");
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "[events]\nqueue_max = 16\nlog = false\nfile = {{ path = \"{}\", octets_max = 4096, files_max = 2 }}\n\
         syslog = {{ address = \"unix:{}\" }}\nhttp = {{ url = \"http://{}/\" }}\n",
        file.display(),
        folder.path().join("nobody").display(),
        silent.local_addr().unwrap()
    );
    let shop = Shop::open_with_limits(Deployment::shared(kind), &config);
    let mut conn = shop.connect(Who::Application).await;
    let attack = "SELECT id FROM orders WHERE id = 1 OR 1 = 1";
    for _ in 0..90 {
        refused(&mut conn, attack, 6444, "28000").await;
    }
    let metrics = shop.proxy.probe("/metrics").1;
    for sink in ["file", "syslog", "http"] {
        let count = |name: &str| -> u64 {
            let name = format!("candado_firewall_events_{name}_total{{sink=\"{sink}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
        };
        assert_eq!(count("delivered"), 0, "{sink}");
        assert!(count("dropped") > 0, "{sink}: {metrics}");
    }
    let logged = shop.proxy.events().into_iter().filter(|event| event["target"] == "candado::firewall").count();
    assert_eq!(logged, 0, "the log was switched off");

    // What waited is there when there is room for it; a file that grows makes room for another.
    fs::create_dir(folder.path().join("later")).unwrap();
    wait_until("the file is written", || !lines(&file).is_empty());
    for number in 0..60 {
        refused(&mut conn, &format!("SELECT id FROM orders WHERE id = {number} AND SLEEP(5)"), 6444, "28000").await;
    }
    wait_until("every event is written or lost", || {
        let metrics = shop.proxy.probe("/metrics").1;
        let count = |name: &str| {
            let name = format!("candado_firewall_events_{name}_total{{sink=\"file\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u32>().ok()).unwrap()
        };
        count("delivered") + count("dropped") == 150
    });
    for name in ["events.jsonl.1", "events.jsonl.2"] {
        let path = file.with_file_name(name);
        assert!(fs::metadata(&path).unwrap().len() <= 4096 && !lines(&path).is_empty(), "{name}");
    }
    assert!(!file.with_file_name("events.jsonl.3").exists());

    // Somebody else moves it.
    let moved = file.with_file_name("moved");
    fs::rename(&file, &moved).unwrap();
    shop.proxy.signal(Signal::HUP);
    shop.proxy.wait_logged("policy read; it is in force as soon as its keys are there", 1);
    refused(&mut conn, "SELECT LOAD_FILE('/etc/passwd')", 6444, "28000").await;
    wait_until("the next event is in a new file", || !lines(&file).is_empty());
    assert_eq!(lines(&file)[0]["rules"][0], "file-access");
}
