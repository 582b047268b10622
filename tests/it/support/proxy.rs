//! The real program: `candado keys init` for a server's key store, and `candado serve` in front of the server with a
//! policy of the test's own. All proxies of a server share its key store and key file, as replicas do. A proxy ends with
//! its value.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use candado::keys::{KeyFile, KeyFileAdmin, KeyFilePlace, KeyFileSettings};

use super::key_store::{BACKFILL, PASSWORD, PROXY, SECURITY, script};
use super::netns::Namespace;
use super::rotation::Rotation;
use super::server::{Kind, Server};

/// What never takes this long on a machine that works at all. Waits end with the event; this bound turns a hang into a
/// failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The passphrase of protected key files.
pub(crate) const PASSPHRASE: &str = "zqPassphraseOfTheTestsxQ";

/// The keyset of every policy in these tests.
pub(crate) const KEYSET: &str = "it";

/// A proxy's certificate towards clients, in its folder.
pub(crate) const CERTIFICATE: &str = "server-cert.pem";
/// The key that belongs to it.
pub(crate) const CERTIFICATE_KEY: &str = "server-key.pem";

/// Waits for something outside this process that tells nobody when it happens.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Where the key-encryption key is.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    /// In a file of the deployment's folder.
    File,
    /// The same, under the passphrase [`PASSPHRASE`].
    ProtectedFile,
    /// In a Vault, under the transit key `candado`. The principals are the tokens.
    Vault { address: String },
    /// In a key service. Requests are made as the principals `PROXY` and `SECURITY`.
    AwsKms { endpoint: String, arn: String },
}

/// Whether connections on both sides of a proxy are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Off,
    On,
}

/// What a proxy does with statements on unprotected data while keys are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutKeys {
    /// The default: refused, like all.
    Refuse,
    PassthroughUnprotected,
}

/// A server with an initialised key store, and the key provider that goes with it.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) server: &'static Server,
    pub(crate) without_keys: WithoutKeys,
    /// How often open keys are proved anew at a key service, if not as often as by default.
    pub(crate) revalidate_s: Option<u32>,
    provider: Provider,
    folder: TempDir,
    own: Option<OwnServer>,
}

/// Ends a server that one test had for itself: a few dozen of them would not fit into memory.
#[derive(Debug)]
struct OwnServer(&'static Server);

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Deployment {
    /// That of the process's server of this kind.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static MYSQL: OnceLock<Deployment> = OnceLock::new();
        static MARIADB: OnceLock<Deployment> = OnceLock::new();
        let cell = match kind {
            Kind::MySql => &MYSQL,
            Kind::MariaDb => &MARIADB,
        };
        cell.get_or_init(|| Self::new(Server::start(kind), Provider::File))
    }

    /// One with a server of its own, for tests that end it or look at its files.
    pub(crate) fn own(kind: Kind, options: &[&str], provider: Provider) -> Self {
        let server: &'static Server = Box::leak(Box::new(Server::launch(kind, options)));
        Self { own: Some(OwnServer(server)), ..Self::new(server, provider) }
    }

    fn new(server: &'static Server, provider: Provider) -> Self {
        server.sql(&script("candado"));
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let deployment =
            Self { server, without_keys: WithoutKeys::Refuse, revalidate_s: None, provider, folder, own: None };
        // Key files must lie where nobody else looks.
        fs::DirBuilder::new().mode(0o700).create(deployment.folder.path().join("keys")).expect("a folder");
        deployment.init();
        deployment
    }

    /// The same server and key store, with another key provider.
    pub(crate) fn moved(&self, provider: Provider) -> Self {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        Self {
            server: self.server,
            without_keys: self.without_keys,
            revalidate_s: self.revalidate_s,
            provider,
            folder,
            own: None,
        }
    }

    /// Makes the keys of [`KEYSET`].
    pub(crate) fn init(&self) {
        let policy = format!(
            "keysets = [\"{KEYSET}\"]\n[[column]]\nname = \"it_first.t.c\"\nkeyset = \"{KEYSET}\"\ntype = \"varchar(1)\"\n\
             index = {{ normaliser = \"raw\" }}\n"
        );
        self.init_keys(&self.write(self.folder.path(), &policy, Tls::Off));
    }

    /// Runs `candado keys init` as the security team.
    pub(crate) fn init_keys(&self, config: &Path) {
        let password = write_secret(&self.folder.path().join("security"), PASSWORD);
        let output = self
            .command("AKIASECURITY")
            .args(["keys", "init", "--config"])
            .arg(config)
            .args(["--user", SECURITY, "--password-file"])
            .arg(password)
            .output()
            .expect("candado runs");
        assert!(output.status.success(), "keys init: {}", text(&output.stderr));
    }

    /// The key file of a deployment that has one.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("keys/it.kek")
    }

    /// Where its configuration, policy and keys are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What makes keys for a key store with a key file.
    pub(crate) fn key_maker(&self) -> KeyFileAdmin {
        KeyFileAdmin::open(&self.key_file_settings()).expect("a key file")
    }

    /// What opens the keys of a key store with a key file.
    pub(crate) fn key_opener(&self) -> KeyFile {
        KeyFile::open(&self.key_file_settings()).expect("a key file")
    }

    fn key_file_settings(&self) -> KeyFileSettings {
        KeyFileSettings { path: self.key_file(), place: KeyFilePlace::Own, passphrase: None }
    }

    /// The steps of a rotation in this key store.
    pub(crate) fn rotation<'a>(&'a self, key_file: &'a KeyFileAdmin) -> Rotation<'a> {
        Rotation { server: self.server, schema: "candado", kek: key_file.kek(), admin: key_file }
    }

    /// The program, as that principal of the key service.
    pub(crate) fn command(&self, principal: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candado"));
        command
            .env("AWS_ACCESS_KEY_ID", principal)
            .env("AWS_SECRET_ACCESS_KEY", "not checked")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("CANDADO_IT_TOKEN", principal)
            // Has no say: the leak test would find what it lets through.
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null());
        command
    }

    /// The security team with that policy.
    pub(crate) fn security_team(&self, policy: &str) -> SecurityTeam<'_> {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let config = self.write(folder.path(), policy, Tls::Off);
        let password = write_secret(&folder.path().join("security"), PASSWORD);
        SecurityTeam { deployment: self, _folder: folder, config, password }
    }

    /// The statements that `candado check` finds missing in the live schema.
    pub(crate) fn missing_statements(&self, policy: &str, tls: Tls) -> Vec<String> {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let config = self.write(folder.path(), policy, tls);
        let output =
            self.command("AKIAPROXY").args(["check", "--json", "--config"]).arg(config).output().expect("candado runs");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
        let items = report["items"].as_array().expect("items").iter();
        let wrong: Vec<_> = items.filter(|item| item["verdict"] == "wrong" || item["verdict"] == "skipped").collect();
        assert_eq!(output.status.success(), wrong.is_empty(), "{report:#}");
        let remedy = |item: &serde_json::Value| item["remedy"].as_str().map(str::to_owned);
        wrong.iter().map(|item| remedy(item).unwrap_or_else(|| panic!("no remedy: {report:#}"))).collect()
    }

    /// Writes candado.toml and policy.toml into a folder; returns the path of the first.
    pub(crate) fn write(&self, folder: &Path, policy: &str, tls: Tls) -> PathBuf {
        let ca = &self.server.ca;
        let mut config = match self.without_keys {
            WithoutKeys::Refuse => String::new(),
            WithoutKeys::PassthroughUnprotected => "on_not_ready = \"passthrough_unprotected\"\n".to_owned(),
        };
        config.push_str("[listen]\naddress = \"127.0.0.1:0\"\n");
        if tls == Tls::On {
            let beside = ca.parent().expect("a folder");
            for name in [CERTIFICATE, CERTIFICATE_KEY] {
                fs::copy(beside.join(name), folder.join(name)).expect("a certificate and its key");
            }
            write!(config, "[listen.tls]\ncertificate = \"{CERTIFICATE}\"\nkey = \"{CERTIFICATE_KEY}\"\n").unwrap();
        }
        write!(config, "[server]\naddress = \"{}:{}\"\n[server.tls]\n", self.server.host, self.server.port).unwrap();
        match tls {
            Tls::Off => config.push_str("mode = \"off\"\n"),
            Tls::On => writeln!(config, "mode = \"verify-full\"\nca = \"{}\"", ca.display()).unwrap(),
        }
        let password = write_secret(&folder.join("control"), PASSWORD);
        write!(config, "[control]\nuser = \"{PROXY}\"\npassword_file = \"{}\"\n[keys]\n", password.display()).unwrap();
        match &self.provider {
            Provider::File => {
                writeln!(config, "provider = \"file\"\npath = \"{}\"", self.key_file().display()).unwrap();
            }
            Provider::ProtectedFile => {
                let passphrase = write_secret(&folder.join("passphrase"), PASSPHRASE);
                let (path, passphrase) = (self.key_file(), passphrase.display().to_string());
                write!(config, "provider = \"file\"\npath = \"{}\"\n", path.display()).unwrap();
                writeln!(config, "passphrase_file = \"{passphrase}\"").unwrap();
            }
            Provider::Vault { address } => {
                write!(config, "provider = \"vault\"\naddress = \"{address}\"\nkey = \"candado\"\n").unwrap();
                config.push_str("token_env = \"CANDADO_IT_TOKEN\"\n");
            }
            Provider::AwsKms { endpoint, arn } => {
                writeln!(config, "provider = \"aws-kms\"\nkek = \"{arn}\"\nendpoint = \"{endpoint}\"").unwrap();
                if let Some(seconds) = self.revalidate_s {
                    writeln!(config, "revalidate_s = {seconds}").unwrap();
                }
            }
        }
        config.push_str("[policy]\npath = \"policy.toml\"\n[log]\nformat = \"json\"\nlevel = \"trace\"\n");
        config.push_str("[health]\naddress = \"127.0.0.1:0\"\n");
        fs::write(folder.join("policy.toml"), policy).expect("a policy file");
        let path = folder.join("candado.toml");
        fs::write(&path, config).expect("a configuration file");
        path
    }
}

/// Those who run `candado keys`, under the account and the principal of their own.
#[derive(Debug)]
pub(crate) struct SecurityTeam<'a> {
    deployment: &'a Deployment,
    _folder: TempDir,
    pub(crate) config: PathBuf,
    pub(crate) password: PathBuf,
}

impl SecurityTeam<'_> {
    /// `candado keys` with these arguments, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.deployment.command("AKIASECURITY");
        command.arg("keys").args(arguments).arg("--config").arg(&self.config);
        // Verbs that only read take the account of the configuration.
        if !["list", "show", "subjects"].contains(&arguments[0]) {
            command.args(["--user", SECURITY, "--password-file"]).arg(&self.password);
        }
        command
    }

    /// `candado approve`, signing with a private key in a file.
    pub(crate) fn approve(&self, request: &str, key: &str) {
        let mut command = self.deployment.command("AKIASECURITY");
        command.args(["approve", request, "--key", key, "--config"]).arg(&self.config);
        command.args(["--user", SECURITY, "--password-file"]).arg(&self.password);
        let output = command.output().expect("candado runs");
        assert!(output.status.success(), "approve {request}: {}", text(&output.stderr));
    }

    /// Adds sections to the configuration.
    pub(crate) fn configure(&self, more: &str) {
        let config = fs::read_to_string(&self.config).expect("a configuration");
        fs::write(&self.config, format!("{config}{more}")).expect("a configuration");
    }

    /// The same under the account of the conversion engine, which may open subject keys.
    pub(crate) fn command_of_engine(&self, arguments: &[&str]) -> Command {
        let mut command = self.deployment.command("AKIABACKFILL");
        command.arg("keys").args(arguments).arg("--json").arg("--config").arg(&self.config);
        // All control accounts of the tests have one password.
        command.args(["--user", BACKFILL, "--password-file"]).arg(&self.password);
        command
    }

    /// Runs a verb that succeeds; returns its document.
    pub(crate) fn done(&self, arguments: &[&str]) -> serde_json::Value {
        let (code, document, errors) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {document:#}{errors}");
        document
    }

    /// Runs a verb that is refused; returns the code and the text of the refusal.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (String, String) {
        let (code, document, errors) = self.run(arguments);
        assert_eq!(code, 1, "{arguments:?}: {document:#}{errors}");
        let refusal = |part: &str| document["refused"][part].as_str().expect("a refusal").to_owned();
        (refusal("code"), refusal("text"))
    }

    /// Runs a verb of `candado column` on columns, under the account for it; returns its document.
    pub(crate) fn convert(&self, verb: &str, columns: &[String]) -> serde_json::Value {
        let mut command = self.deployment.command("AKIAPROXY");
        command.args(["column", verb, "--json"]).args(columns).arg("--config").arg(&self.config);
        command.args(["--user", BACKFILL, "--password-file"]).arg(&self.password);
        let output = command.output().expect("candado runs");
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{verb} {columns:?}: {said}{errors}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{verb}: {error}: {said}{errors}"))
    }

    /// Runs a verb; returns its exit code, its document and what it said on standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, serde_json::Value, String) {
        let output = self.command(arguments).arg("--json").output().expect("candado runs");
        let errors = text(&output.stderr);
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}{errors}", text(&output.stdout)));
        (output.status.code().expect("an exit code"), document, errors)
    }
}

/// A running `candado serve`.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Mutex<Child>,
    folder: TempDir,
    pub(crate) host: String,
    pub(crate) port: u16,
    health: u16,
}

impl Proxy {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(deployment: &Deployment, policy: &str, tls: Tls) -> Self {
        let proxy = Self::start_unready(deployment, policy, tls);
        proxy.wait_ready();
        proxy
    }

    /// Starts one and waits until it listens.
    pub(crate) fn start_unready(deployment: &Deployment, policy: &str, tls: Tls) -> Self {
        Self::start_with_limits(deployment, policy, tls, "")
    }

    /// The same with these lines under `[limits]`.
    pub(crate) fn start_with_limits(deployment: &Deployment, policy: &str, tls: Tls, limits: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let config = deployment.write(folder.path(), policy, tls);
        let text = fs::read_to_string(&config).expect("a configuration file");
        fs::write(&config, format!("{text}[limits]\n{limits}\n")).expect("a configuration file");
        Self::launch(deployment.command("AKIAPROXY"), folder, &config, "127.0.0.1")
    }

    /// Starts one inside a network namespace, on a port that is its own among all replicas: host and port name a replica
    /// in the key store, and the namespaces share the host's name.
    pub(crate) fn start_in(
        deployment: &Deployment,
        policy: &str,
        limits: &str,
        namespace: &Namespace,
        port: u16,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let config = deployment.write(folder.path(), policy, Tls::Off);
        let host = namespace.client_facing();
        let text = fs::read_to_string(&config)
            .expect("a configuration file")
            .replace(
                "[listen]\naddress = \"127.0.0.1:0\"",
                &format!("[listen]\naddress = \"{host}:{port}\"\nallow_plaintext = true"),
            )
            .replace(
                &format!("[server]\naddress = \"{}:", deployment.server.host),
                &format!("[server]\nallow_plaintext = true\naddress = \"{}:", namespace.server()),
            )
            .replace("[health]\naddress = \"127.0.0.1:0\"", &format!("[health]\naddress = \"{host}:0\""));
        fs::write(&config, format!("{text}[limits]\n{limits}\n")).expect("a configuration file");
        Self::launch(namespace.command(&deployment.command("AKIAPROXY")), folder, &config, &host)
    }

    /// Starts one by that command, with that configuration.
    pub(crate) fn launch(mut command: Command, folder: TempDir, config: &Path, host: &str) -> Self {
        let child = serve(&mut command, folder.path(), config);
        let mut proxy = Self { child: Mutex::new(child), folder, host: host.to_owned(), port: 0, health: 0 };
        proxy.wait_listens();
        proxy
    }

    fn wait_listens(&mut self) {
        wait_until("the proxy listens", || {
            assert!(self.child().try_wait().expect("a child").is_none(), "candado ended:\n{}", self.log());
            self.port = self.logged_port("listening");
            self.health = self.logged_port("health endpoint listening");
            self.port != 0 && self.health != 0
        });
    }

    /// Kills it, starts it again on the same port, as the same replica, and waits until it is ready.
    pub(crate) fn crash(&mut self, deployment: &Deployment) {
        self.kill();
        let config = self.folder.path().join("candado.toml");
        let text = fs::read_to_string(&config).expect("a configuration file");
        let fixed = format!("[listen]\naddress = \"{}:{}\"", self.host, self.port);
        let text = text.replace(&format!("[listen]\naddress = \"{}:0\"", self.host), &fixed);
        fs::write(&config, text).expect("a configuration file");
        let child = serve(&mut deployment.command("AKIAPROXY"), self.folder.path(), &config);
        *self.child() = child;
        self.wait_listens();
        self.wait_ready();
    }

    /// Waits until clients are served.
    pub(crate) fn wait_ready(&self) {
        wait_until("the proxy is ready", || self.probe("/readyz").0 == 200);
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        text(&fs::read(self.folder.path().join("log")).expect("the log"))
    }

    /// Lines of the log, parsed.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Asks the health endpoint; returns status and body.
    pub(crate) fn probe(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect((self.host.as_str(), self.health)).expect("the health endpoint listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = text(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    /// The value of a metric without labels; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.probe("/metrics").1;
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("candado_{name} ")));
        value.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }

    /// The folder with its configuration, policy and certificate.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.child());
        kill_process(process, signal).expect("the proxy runs");
    }

    /// Waits until it has ended by itself; returns its exit code.
    pub(crate) fn wait_end(&self) -> i32 {
        let mut code = None;
        wait_until("the proxy ends", || {
            code = self.child().try_wait().expect("a child").map(|status| status.code().expect("no signal killed it"));
            code.is_some()
        });
        code.expect("it ended")
    }

    /// Waits until it has logged a message that often; returns the newest of these events.
    pub(crate) fn wait_logged(&self, message: &str, times: usize) -> serde_json::Value {
        let mut found = Vec::new();
        wait_until(message, || {
            found = self.events().into_iter().filter(|event| event["message"] == message).collect();
            found.len() >= times
        });
        found.pop().expect("an event")
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        child.kill().expect("the proxy can be killed");
        child.wait().expect("the proxy is gone");
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("no thread panicked")
    }

    fn logged_port(&self, message: &str) -> u16 {
        let address = |event: &serde_json::Value| {
            (event["message"] == message).then(|| event["address"].as_str().map(str::to_owned)).flatten()
        };
        let port = |address: String| address.rsplit(':').next().and_then(|port| port.parse().ok());
        self.events().iter().find_map(address).and_then(port).unwrap_or(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may be gone already.
        if let Ok(child) = self.child.get_mut() {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            let loud = |event: &serde_json::Value| event["level"] == "ERROR" || event["level"] == "WARN";
            for event in self.events().into_iter().filter(loud) {
                eprintln!("candado: {event}");
            }
        }
    }
}

fn serve(command: &mut Command, folder: &Path, config: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a log file");
    command.args(["serve", "--config"]).arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("candado runs")
}

/// Runs a program that must end by itself, and ends it if it does not.
pub(crate) fn ended(command: &mut Command) -> Output {
    struct Running(Option<Child>);
    impl Drop for Running {
        fn drop(&mut self) {
            if let Some(mut child) = self.0.take() {
                drop(child.kill());
                drop(child.wait());
            }
        }
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = Running(Some(child.expect("the program runs")));
    wait_until("the program ends", || {
        running.0.as_mut().is_none_or(|child| child.try_wait().expect("a child").is_some())
    });
    running.0.take().expect("a child").wait_with_output().expect("an output")
}

pub(crate) fn write_secret(path: &Path, secret: &str) -> PathBuf {
    fs::write(path, secret).expect("a password file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a private file");
    path.to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}
