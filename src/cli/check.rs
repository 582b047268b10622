//! `candado check`: everything that must be right before clients are served, asked and reported at once.
//!
//! Changes nothing anywhere. A part that cannot be asked because an earlier one failed is reported as not asked, so that
//! silence never looks like success.

mod counts;
mod profiles;
mod secrets;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::output::Output;
use super::{Facts, Failure, InEnvironment, runtime};
use crate::app::{control_settings, environments, load_policy, process, provider, tls};
use crate::config::{self, Keys, MemoryLock, NotReady, Plaintext, ServerTls, Settings};
use crate::control::{
    CatalogLoader, ControlError, KeyStore, Pool, SCHEMA, StoredKeys, Weight, chain, check_columns, counted,
};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{EncryptionContext, Inactive, KeyError, KeyFilePlace, KeyRecord, RingError, Stages, WrappedKey};
use crate::policy::{FirewallMode, Policy, ProtectedColumn};
use crate::proxy::check_shadow;
use crate::schema::ServerKind;

/// What is checked.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    place: InEnvironment,
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, and somebody should know.
    Warning,
    Wrong,
    /// Could not be asked.
    Skipped,
}

/// One answer.
#[derive(Debug, Serialize)]
struct Item {
    part: &'static str,
    verdict: Verdict,
    text: String,
    /// The statement that puts it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// All answers.
#[derive(Debug, Default, Serialize)]
struct Report {
    items: Vec<Item>,
}

/// Asks and prints.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { facts, place } = arguments;
    let settings = place.of(config::load(&facts.configured.config)?);
    // Locked where it is allowed; the report says if not.
    process::lock_memory().ok();
    let report = runtime()?.block_on(examine(&settings));
    let output = Output::new();
    if facts.json {
        output.json(&report)?
    } else {
        output.line(report.text())?
    }
    if report.has(Verdict::Wrong) || report.has(Verdict::Skipped) { Err(Failure::Found) } else { Ok(()) }
}

/// The statements that the live schema lacks. Used by the demo, which runs them.
pub(super) async fn missing_statements(settings: &Settings, policy: &Policy) -> anyhow::Result<Vec<String>> {
    let pool = Pool::new(&control_settings(settings));
    let stages = Stages::new();
    let findings = check_columns(&pool, policy.columns(), &stages).await.context("the schema cannot be read");
    pool.close().await;
    findings?
        .into_iter()
        .map(|finding| finding.remedy.with_context(|| format!("column {} {}", finding.column, finding.problem)))
        .collect()
}

async fn examine(settings: &Settings) -> Report {
    let mut report = Report::default();
    report.configuration(settings);
    report.secret_files(settings);
    report.process(settings);
    report.tls(settings);
    let policy = match load_policy(settings, 1) {
        Ok(policy) => Some(policy),
        Err(error) => {
            report.add("policy", Verdict::Wrong, chain(&error));
            None
        }
    };
    if let Some(policy) = &policy {
        report.policy(policy);
    }
    report.environments(settings, policy.as_ref());
    let pool = Pool::new(&control_settings(settings));
    let reachable = report.server(settings, &pool).await;
    let stored = report.key_store(&pool, policy.as_ref(), reachable).await;
    if stored.is_some() {
        report.profiles(&pool, policy.as_ref()).await;
        report.counts(&pool).await;
    }
    report.provider(settings, stored.as_ref()).await;
    let stages = stored.map(|stored| stored.stages);
    report.shadow(settings, &pool, policy.as_ref(), stages.as_ref(), reachable).await;
    report.columns(&pool, policy.as_ref(), stages, reachable).await;
    pool.close().await;
    report
}

/// Whether the server can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reachable {
    Yes,
    No,
}

impl Report {
    fn add(&mut self, part: &'static str, verdict: Verdict, text: impl Into<String>) {
        self.items.push(Item { part, verdict, text: text.into(), remedy: None });
    }

    fn has(&self, verdict: Verdict) -> bool {
        self.items.iter().any(|item| item.verdict == verdict)
    }

    fn configuration(&mut self, settings: &Settings) {
        self.add("configuration", Verdict::Ok, "read and understood");
        if settings.listen.plaintext == Plaintext::Allowed {
            let text = "clients may send passwords and values in the clear over the network (listen.allow_plaintext)";
            self.add("configuration", Verdict::Warning, text);
        }
        if settings.server.tls == ServerTls::Off(Plaintext::Allowed) {
            let text = "passwords and unprotected values cross the network to the server in the clear \
                        (server.allow_plaintext)";
            self.add("configuration", Verdict::Warning, text);
        }
        match &settings.keys {
            Keys::File(file) => {
                let text = match (&file.passphrase, file.place) {
                    (None, KeyFilePlace::Own) => {
                        "keys are wrapped by a key file: safe against a database dump, not against the owner of this \
                         machine or of its backup"
                    }
                    (Some(_), _) | (None, KeyFilePlace::Credential) => {
                        "keys are wrapped by a key file: safe against a database dump, not against the owner of this \
                         machine"
                    }
                };
                self.add("configuration", Verdict::Warning, text);
            }
            Keys::AwsKms { .. } | Keys::Vault(_) => {}
        }
        match (settings.approval.threshold(), settings.approval.names().count()) {
            (0, _) => {
                let text = "one person alone may destroy keys, shred keysets and decrypt columns ([approval] sets no \
                            threshold)";
                self.add("configuration", Verdict::Warning, text);
            }
            (threshold, signers) => {
                let text = format!("acts that cannot be undone need {threshold} of {signers} signatures");
                self.add("configuration", Verdict::Ok, text);
            }
        }
        if settings.not_ready == NotReady::PassthroughUnprotected {
            self.add("configuration", Verdict::Ok, "while keys are missing, statements on unprotected data pass");
        }
    }

    /// What holds for this command's own process holds for `serve` if it is started in the same way.
    fn process(&mut self, settings: &Settings) {
        let (verdict, text) = match (process::may_lock_memory(), settings.process.memory_lock) {
            (true, _) => (Verdict::Ok, "memory can be kept out of swap"),
            (false, MemoryLock::IfAllowed) => (
                Verdict::Warning,
                "keys may be written to swap: give CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK, or use no swap",
            ),
            (false, MemoryLock::Required) => (
                Verdict::Wrong,
                "memory cannot be locked, which process.require_mlock demands: give CAP_IPC_LOCK or an unlimited \
                 RLIMIT_MEMLOCK",
            ),
        };
        self.add("process", verdict, text);
    }

    fn tls(&mut self, settings: &Settings) {
        let identity = settings.listen.tls.as_ref().map(tls::Identity::load).transpose();
        let towards_clients =
            identity.and_then(|identity| tls::towards_clients(&settings.listen, identity.as_ref()).map(drop));
        match towards_clients {
            Ok(()) if settings.listen.tls.is_none() => {
                self.add("tls", Verdict::Ok, "towards clients: none, as configured");
            }
            Ok(()) => self.add("tls", Verdict::Ok, "towards clients: certificate and key belong together"),
            Err(error) => self.add("tls", Verdict::Wrong, format!("towards clients: {}", chain(&error))),
        }
        match tls::towards_server(&settings.server) {
            Ok(_) => self.add("tls", Verdict::Ok, "towards the server: files can be used"),
            Err(error) => self.add("tls", Verdict::Wrong, format!("towards the server: {}", chain(&error))),
        }
    }

    fn policy(&mut self, policy: &Policy) {
        let indexed = policy.columns().iter().filter(|column| column.index.is_some()).count();
        let count = policy.columns().len();
        self.add(
            "policy",
            Verdict::Ok,
            format!("{}, {indexed} of them searched", counted(count, "protected column", "protected columns")),
        );
        if count == 0 {
            self.add("policy", Verdict::Warning, "nothing is protected");
        }
        for column in policy.columns() {
            if column.index.as_ref().is_some_and(|index| index.length < 8) {
                let text = format!("{}: an index under 8 bytes finds rows that were not asked for", column.column);
                self.add("policy", Verdict::Warning, text);
            }
        }
        self.accounts(policy);
    }

    /// Who has which role, in the environment that the policy is read for.
    fn accounts(&mut self, policy: &Policy) {
        let of = policy.environment().map(|name| format!("environment {name}: ")).unwrap_or_default();
        for hole in super::roles::holes(policy) {
            self.add("policy", Verdict::Warning, format!("{of}{hole}"));
        }
        for binding in policy.bindings() {
            match binding.firewall {
                FirewallMode::Learn | FirewallMode::Block | FirewallMode::Protect => {}
                FirewallMode::Observe | FirewallMode::Off => {
                    let text = format!("{of}account {binding}: the firewall refuses nothing");
                    self.add("policy", Verdict::Warning, text);
                }
            }
        }
    }

    /// The same in the policy's other environments.
    fn environments(&mut self, settings: &Settings, policy: Option<&Policy>) {
        let names = match (environments(settings), policy) {
            (Ok(names), Some(policy)) => names.into_iter().filter(|name| policy.environment() != Some(name)).collect(),
            // What is wrong was said.
            (Err(_), _) | (_, None) => Vec::new(),
        };
        for name in names {
            let other = Settings { environment: Some(name), ..settings.clone() };
            match load_policy(&other, 1) {
                Ok(policy) => self.accounts(&policy),
                Err(error) => self.add("policy", Verdict::Wrong, chain(&error)),
            }
        }
    }

    async fn server(&mut self, settings: &Settings, pool: &Pool) -> Reachable {
        match CatalogLoader::new(pool.clone()).load(1).await {
            Ok(catalog) => {
                let product = match catalog.server.kind {
                    ServerKind::MySql => "MySQL",
                    ServerKind::MariaDb => "MariaDB",
                };
                let number = catalog.server.number;
                let version = format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100);
                let tables = catalog.tables().count();
                self.add("server", Verdict::Ok, format!("{product} {version}, {tables} tables and views visible"));
                Reachable::Yes
            }
            Err(error) => {
                let config::Server { host, port, .. } = &settings.server;
                let account = &settings.control.user;
                self.add("server", Verdict::Wrong, format!("{host}:{port} as {account}: {}", error.chain()));
                Reachable::No
            }
        }
    }

    async fn key_store(&mut self, pool: &Pool, policy: Option<&Policy>, reachable: Reachable) -> Option<StoredKeys> {
        if reachable == Reachable::No {
            self.add("key store", Verdict::Skipped, "not asked: the catalog could not be loaded");
            return None;
        }
        let stored = match KeyStore::new(pool.clone(), SCHEMA).load().await {
            Ok(stored) => stored,
            Err(error @ ControlError::NotInitialised) => {
                self.add("key store", Verdict::Wrong, error.to_string());
                return None;
            }
            Err(error) => {
                self.add("key store", Verdict::Wrong, error.chain());
                return None;
            }
        };
        let text = format!(
            "deployment {}, epoch {}, {}",
            stored.deployment,
            stored.epoch,
            counted(stored.records.len(), "key", "keys")
        );
        self.add("key store", Verdict::Ok, text);
        self.active_keys(policy, &stored);
        Some(stored)
    }

    /// Every keyset of policy has an active key for each purpose that its columns need.
    fn active_keys(&mut self, policy: Option<&Policy>, stored: &StoredKeys) {
        for column in policy.map(Policy::columns).unwrap_or_default() {
            let purposes = [Some(KeyPurpose::Data), column.index.as_ref().map(|_| KeyPurpose::Index)];
            for purpose in purposes.into_iter().flatten() {
                let keyset = column.keyset.clone();
                let keys = stored.records.iter().filter(|key| key.keyset == keyset && key.purpose == purpose);
                let states: Vec<_> = keys.map(|key| key.state).collect();
                if states.iter().any(|state| state.may_encrypt()) {
                    continue;
                }
                let text = match states.as_slice() {
                    [] => RingError::NoKey { keyset, purpose }.to_string(),
                    [..] => Inactive { keyset, purpose }.to_string(),
                };
                if !self.items.iter().any(|item| item.text == text) {
                    self.add("key store", Verdict::Wrong, text);
                }
            }
        }
    }

    /// Opens every key that a proxy would open; with an empty store, makes a key in memory and opens that.
    async fn provider(&mut self, settings: &Settings, stored: Option<&StoredKeys>) {
        let provider = match provider::unwrapper(&settings.keys).await {
            Ok(provider) => provider,
            Err(error) => {
                let hint = hint(&settings.keys, stored);
                self.add("key provider", Verdict::Wrong, format!("{}{hint}", chain(&error)));
                return;
            }
        };
        // The audit key is not among them: a proxy may not open it.
        let opened = |key: &&KeyRecord| match key.purpose {
            KeyPurpose::Data | KeyPurpose::Index | KeyPurpose::Subject => key.state.may_decrypt(),
            KeyPurpose::Audit => false,
        };
        let needed: Vec<_> = stored.map(|stored| stored.records.iter().filter(opened).collect()).unwrap_or_default();
        let deployment = stored.map(|stored| stored.deployment).unwrap_or_default();
        for key in &needed {
            let context = key.encryption_context(deployment);
            let mut failure =
                Some("no wrap for the configured key provider; `candado keys add-wrap` makes one".to_owned());
            let of_provider = |wrapped: &&WrappedKey| wrapped.kek.provider == provider.unwrapper.kind();
            for wrapped in key.wraps.iter().filter(of_provider) {
                failure = provider.unwrapper.unwrap(wrapped, &context).await.err().map(|error| error.to_string());
                if failure.is_none() {
                    break;
                }
            }
            if let Some(failure) = failure {
                self.add("key provider", Verdict::Wrong, format!("key {}: {failure}", key.kid));
                return;
            }
        }
        if !needed.is_empty() {
            self.add(
                "key provider",
                Verdict::Ok,
                format!("{} opens every key that columns need ({})", provider.kek, needed.len()),
            );
            return;
        }
        match probe(settings, &provider).await {
            Ok(()) => self.add("key provider", Verdict::Ok, format!("{} wraps and opens a probe", provider.kek)),
            // A proxy's own principal may only open keys: it cannot make the probe, and there is nothing to open yet.
            Err(KeyError::Denied) => {
                let text = format!("{} may not make keys for this principal, and there is none to open", provider.kek);
                self.add("key provider", Verdict::Warning, text);
            }
            Err(error) => self.add("key provider", Verdict::Wrong, error.to_string()),
        }
    }

    /// Shadow mode, if it is configured: whether it may begin.
    async fn shadow(
        &mut self,
        settings: &Settings,
        pool: &Pool,
        policy: Option<&Policy>,
        stages: Option<&Stages>,
        reachable: Reachable,
    ) {
        const PART: &str = "shadow mode";
        if settings.shadow.is_none() {
            return;
        }
        self.add(PART, Verdict::Warning, "nothing is sealed, opened or refused: [shadow] is in the configuration");
        let (Some(policy), Some(stages), Reachable::Yes) = (policy, stages, reachable) else {
            self.add(PART, Verdict::Skipped, "not asked whether it may begin");
            return;
        };
        let catalog = match CatalogLoader::new(pool.clone()).load(1).await {
            Ok(catalog) => catalog,
            Err(error) => return self.add(PART, Verdict::Wrong, error.chain()),
        };
        let stage = |protected: &ProtectedColumn| stages.get(&protected.context).copied().unwrap_or_default();
        match check_shadow(policy, &catalog, |_, protected| Some(stage(protected))) {
            Ok(()) => self.add(PART, Verdict::Ok, "no protected column can hold a sealed value"),
            Err(bar) => self.add(PART, Verdict::Wrong, format!("cannot begin: {bar}")),
        }
    }

    async fn columns(&mut self, pool: &Pool, policy: Option<&Policy>, stages: Option<Stages>, reachable: Reachable) {
        let Some(policy) = policy else {
            self.add("schema", Verdict::Skipped, "not compared: the policy cannot be used");
            return;
        };
        if reachable == Reachable::No {
            self.add("schema", Verdict::Skipped, "not compared: the catalog could not be loaded");
            return;
        }
        match check_columns(pool, policy.columns(), &stages.unwrap_or_default()).await {
            Ok(findings) if findings.is_empty() => {
                self.add("schema", Verdict::Ok, "types, lengths, CHECK constraints and indexes are as they must be");
            }
            Ok(findings) => self.items.extend(findings.into_iter().map(|finding| Item {
                part: "schema",
                verdict: match finding.problem.weight() {
                    Weight::Fault => Verdict::Wrong,
                    Weight::Note => Verdict::Warning,
                },
                text: format!("column {} {}", finding.column, finding.problem),
                remedy: finding.remedy,
            })),
            Err(error) => self.add("schema", Verdict::Wrong, error.chain()),
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .items
            .iter()
            .map(|item| {
                let mark = match item.verdict {
                    Verdict::Ok => "ok     ",
                    Verdict::Warning => "WARNING",
                    Verdict::Wrong => "WRONG  ",
                    Verdict::Skipped => "skipped",
                };
                format!("{mark}  {:<13}  {}", item.part, item.text.replace('\n', "\n                        "))
            })
            .collect();
        let remedies: Vec<&String> = self.items.iter().filter_map(|item| item.remedy.as_ref()).collect();
        if !remedies.is_empty() {
            lines.push(
                "\nA column that holds rows already takes `candado column encrypt`, which does all of this.".to_owned(),
            );
            lines.push("\nStatements that are missing:\n".to_owned());
            lines.extend(remedies.iter().map(|statement| format!("{statement};")));
        }
        lines.join("\n")
    }
}

/// What to do about a key file that is not there.
pub(super) fn hint(keys: &Keys, stored: Option<&StoredKeys>) -> &'static str {
    match keys {
        Keys::File(file) if !file.path.exists() && file.place == KeyFilePlace::Own => match stored {
            Some(stored) if !stored.records.is_empty() => "; restore it from its backup: the key store's keys need it",
            Some(_) => "; `candado keys init` makes it",
            None => "; restore it from its backup, or, if there are no keys yet, `candado keys init` makes it",
        },
        Keys::File(_) | Keys::AwsKms { .. } | Keys::Vault(_) => "",
    }
}

/// Wraps a key that nobody will use and opens it.
async fn probe(settings: &Settings, opening: &provider::Opening) -> Result<(), KeyError> {
    // The other half has just been opened from the same settings.
    let Ok(making) = provider::admin(&settings.keys).await else { return Err(KeyError::Unavailable) };
    let Some(kid) = KeyId::new(u32::MAX) else { return Err(KeyError::Protocol("no key id".to_owned())) };
    let context = EncryptionContext { deployment: Uuid::nil(), keyset: "probe".into(), purpose: KeyPurpose::Data, kid };
    let wrapped = making.admin.generate_wrapped(&making.kek, &context).await?;
    opening.unwrapper.unwrap(&wrapped, &context).await.map(drop)
}
