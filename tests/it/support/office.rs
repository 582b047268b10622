//! The security team's office: a server of its own with a key service, the real program under the least-privilege
//! accounts and principals, and the same key store for the library.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};

use candado::control::{KeyStore, Recorder};
use candado::keys::{AwsCredentials, AwsKms, AwsKmsSettings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::MutexGuard;

use super::key_store::{PASSWORD, SECURITY, key_store};
use super::proxy::{Deployment, Provider};
use super::server::{Kind, Server};
use crate::fakekms::{FakeKms, Role};

/// One for each kind of server; tests take turns in it.
pub(crate) struct Office {
    pub(crate) server: &'static Server,
    pub(crate) fake: FakeKms,
    deployment: Deployment,
    endpoint: String,
    /// The key-encryption key.
    pub(crate) kek: String,
    turn: tokio::sync::Mutex<()>,
}

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Answer {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("it ended by itself");
        Self { code, out: text(output.stdout), errors: text(output.stderr) }
    }

    /// Its JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Office {
    /// Takes a turn in the office of that kind of server.
    pub(crate) async fn enter(kind: Kind) -> (&'static Self, MutexGuard<'static, ()>) {
        static OFFICES: OnceLock<Mutex<HashMap<&'static str, &'static Office>>> = OnceLock::new();
        let name = match kind {
            Kind::MySql => "mysql",
            Kind::MariaDb => "mariadb",
        };
        let office: &'static Self = {
            let offices = OFFICES.get_or_init(Mutex::default);
            let mut offices = offices.lock().expect("no test panicked while it opened one");
            offices.entry(name).or_insert_with(|| Box::leak(Box::new(Self::open(kind))))
        };
        (office, office.turn.lock().await)
    }

    fn open(kind: Kind) -> Self {
        let fake = FakeKms::start();
        fake.allow_role("AKIAPROXY", Role::Proxy);
        fake.allow_role("AKIASECURITY", Role::Security);
        fake.allow_role("AKIAAUDITOR", Role::Auditor);
        let (endpoint, kek) = (fake.endpoint(), fake.create_key());
        let provider = Provider::AwsKms { endpoint: endpoint.clone(), arn: kek.clone() };
        let deployment = Deployment::own(kind, &[], provider);
        Self { server: deployment.server, fake, deployment, endpoint, kek, turn: tokio::sync::Mutex::new(()) }
    }

    /// A folder for a test's files, with a configuration of its own: that of the deployment, and what is given.
    pub(crate) fn desk(&self, more: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().expect("a folder");
        let config = fs::read_to_string(self.deployment.folder().join("candado.toml")).expect("a configuration");
        fs::copy(self.deployment.folder().join("policy.toml"), folder.path().join("policy.toml")).expect("a policy");
        let path = folder.path().join("candado.toml");
        fs::write(&path, format!("{config}{more}")).expect("a configuration");
        (folder, path)
    }

    /// Runs the program under an account, and as the key service's principal of the same name.
    pub(crate) fn run(&self, account: &str, config: &Path, arguments: &[&str]) -> Answer {
        let principal = format!("AKIA{}", account.trim_start_matches("candado_").to_uppercase());
        let mut command = self.deployment.command(&principal);
        command.args(arguments).arg("--config").arg(config);
        command.args(["--user", account, "--password-env", "IT_PASSWORD"]).env("IT_PASSWORD", PASSWORD);
        Answer::new(command.output().expect("candado runs"))
    }

    /// Runs the program without any database.
    pub(crate) fn run_offline(&self, principal: &str, config: &Path, arguments: &[&str]) -> Answer {
        let mut command = self.deployment.command(principal);
        Answer::new(command.args(arguments).arg("--config").arg(config).output().expect("candado runs"))
    }

    /// The part of a configuration that names the key provider, and nothing else.
    pub(crate) fn keys_alone(&self) -> String {
        format!("[keys]\nprovider = \"aws-kms\"\nkek = \"{}\"\nendpoint = \"{}\"\n", self.kek, self.endpoint)
    }

    /// The key store under the security team's account.
    pub(crate) fn store(&self) -> KeyStore {
        key_store(self.server, SECURITY, "candado")
    }

    /// The security team's half of the key service.
    pub(crate) async fn service(&self, principal: &str) -> Arc<AwsKms> {
        let service = AwsKms::new(AwsKmsSettings {
            kek_arns: vec![self.kek.clone()],
            endpoint: Some(self.endpoint.clone()),
            credentials: AwsCredentials::Static {
                access_key_id: principal.to_owned(),
                secret_access_key: "not checked".to_owned().into(),
            },
        });
        Arc::new(service.await.expect("settings"))
    }

    pub(crate) async fn recorder(&self) -> Recorder {
        let service = self.service("AKIASECURITY").await;
        Recorder::open(&self.store(), service.as_ref()).await.expect("a recorder")
    }
}

/// A private key as `openssl` makes it, in a file; returns its public half in base64.
pub(crate) fn signing_key(path: &str) -> String {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", path]);
    let public = openssl(&["pkey", "-in", path, "-pubout"]);
    public.lines().find(|line| !line.starts_with("-----")).expect("a public key").to_owned()
}
