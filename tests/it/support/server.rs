//! Real database servers, two of each kind for the whole test process, started by `tests/support/server.sh`. They end
//! with the process. Each test takes databases of its own.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which server a test runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MySql,
    MariaDb,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}

/// A running server. `root` has no password.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The authority that signed the server's certificate, PEM.
    pub(crate) ca: PathBuf,
    pub(crate) datadir: PathBuf,
    client: PathBuf,
}

impl Server {
    /// The process's server of that kind; started when first asked for.
    pub(crate) fn start(kind: Kind) -> &'static Self {
        static MYSQL: OnceLock<Server> = OnceLock::new();
        static MARIADB: OnceLock<Server> = OnceLock::new();
        match kind {
            Kind::MySql => MYSQL.get_or_init(|| Self::launch(kind, &[])),
            Kind::MariaDb => MARIADB.get_or_init(|| Self::launch(kind, &[])),
        }
    }

    /// That of the tests that make a key store each. Every one of them grants privileges on columns, which a server checks
    /// row by row when a catalog is loaded: on the other server, all proxies would wait for that.
    pub(crate) fn of_key_stores(kind: Kind) -> &'static Self {
        static MYSQL: OnceLock<Server> = OnceLock::new();
        static MARIADB: OnceLock<Server> = OnceLock::new();
        match kind {
            Kind::MySql => MYSQL.get_or_init(|| Self::launch(kind, &[])),
            Kind::MariaDb => MARIADB.get_or_init(|| Self::launch(kind, &[])),
        }
    }

    /// A server for one test alone, with options of its own. It also ends with the process.
    pub(crate) fn launch(kind: Kind, options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let folder = std::env::temp_dir().join(format!("candado-it-{process}-{}-{number}", kind.name()));
        let output = Command::new(script())
            .args(["start", kind.name()])
            .arg(&folder)
            .args(["--parent", &process.to_string()])
            .args(options)
            .stderr(Stdio::inherit())
            .output()
            .expect("tests/support/server.sh runs");
        assert!(output.status.success(), "{kind:?} did not start");
        let text = String::from_utf8(output.stdout).expect("UTF-8 from server.sh");
        let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |name: &str| *values.get(name).unwrap_or_else(|| panic!("server.sh did not print {name}"));
        eprintln!("{} {} on port {}", value("KIND"), value("VERSION"), value("PORT"));
        Self {
            kind,
            host: value("HOST").to_owned(),
            port: value("PORT").parse().expect("a port"),
            ca: value("CA").into(),
            datadir: value("DATADIR").into(),
            client: value("CLIENT").into(),
        }
    }

    /// Ends it before the process does. What still talks to it gets a closed socket.
    pub(crate) fn end(&self) {
        let folder = self.datadir.parent().expect("the folder of server.sh");
        // It may have been killed already by its test.
        drop(Command::new(script()).arg("kill").arg(folder).output());
    }

    /// Kills it and starts it again on the same data and port. For servers that were launched without options.
    pub(crate) fn crash(&self) {
        let folder = self.datadir.parent().expect("the folder of server.sh");
        let killed = Command::new(script()).arg("kill").arg(folder).status().expect("tests/support/server.sh runs");
        assert!(killed.success(), "{:?} was not killed", self.kind);
        let parent = std::process::id().to_string();
        let mut command = Command::new(script());
        command.args(["start", self.kind.name()]).arg(folder).args(["--parent", &parent]);
        let output = command.stderr(Stdio::inherit()).output().expect("tests/support/server.sh runs");
        assert!(output.status.success(), "{:?} did not start again", self.kind);
    }

    /// Runs SQL as root through the server's own command-line client; returns rows without headings, cells by tabs.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.run(&[], sql).unwrap_or_else(|errors| panic!("{sql}\n{errors}"))
    }

    /// The same where it may fail.
    pub(crate) fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.run(&[], sql)
    }

    /// The same under another account. Gives the server's errors back.
    pub(crate) fn sql_as(&self, user: &str, password: &str, sql: &str) -> Result<String, String> {
        self.run(&[&format!("--user={user}"), &format!("--password={password}")], sql)
    }

    fn run(&self, options: &[&str], sql: &str) -> Result<String, String> {
        let mut client = Command::new(&self.client)
            .args(["--batch", "--skip-column-names"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client runs");
        // A client that ends early has said why on its standard error.
        drop(client.stdin.take().expect("stdin").write_all(sql.as_bytes()));
        let output = client.wait_with_output().expect("the client ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Creates an empty database with a name of its own.
    pub(crate) fn database(&self, purpose: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("it_{purpose}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE `{name}`"));
        name
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/server.sh")
}
