//! What all verbs that change keys have in common: the account, the rehearsal, and how the outcome is printed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::append;
use crate::app::provider::{self, Making};
use crate::app::{control_settings, load_policy, operator};
use crate::cli::account::Account;
use crate::cli::approvals;
use crate::cli::output::{Output, note};
use crate::cli::{Failure, lock_memory, runtime};
use crate::config::Settings;
use crate::control::{
    ActError, Actor, Behind, By, ControlError, Done, KeyListing, KeyStore, Lacks, ListedKey, Pool, Recorder, Run,
    SCHEMA, Signers,
};
use crate::crypto::{KeyId, KeyPurpose};
use crate::keys::{Change, Unwrapper};
use crate::policy::Policy;

/// Arguments of every verb that changes keys.
#[derive(Debug, Args)]
pub(super) struct Acting {
    #[command(flatten)]
    account: Account,
    /// Check everything and say what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Purposes of keys that people handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Purpose {
    /// Seals values.
    Data,
    /// Makes blind indexes.
    Index,
    /// Wraps the keys of single data subjects.
    Subject,
}

impl From<Purpose> for KeyPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Data => Self::Data,
            Purpose::Index => Self::Index,
            Purpose::Subject => Self::Subject,
        }
    }
}

/// Reads a key id.
pub(super) fn key_id(text: &str) -> Result<KeyId, String> {
    let number: u32 = text.parse().map_err(|_| "a key id is a number, as `candado keys list` shows it".to_owned())?;
    KeyId::new(number).ok_or_else(|| "there is no key 0".to_owned())
}

/// Whether an act is done although it cannot be recorded under the audit key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demands {
    /// It is not.
    AuditKey,
    /// It is, since it is the emergency brake.
    Nothing,
}

/// How long the emergency brake waits for the key provider to open the audit key.
const BRAKE_PATIENCE: Duration = Duration::from_secs(5);

/// What an act needs while it runs.
#[derive(Debug)]
pub(super) struct Acts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) store: &'a KeyStore,
    pub(super) run: Run,
    provider: anyhow::Result<Making>,
    actor: Actor,
    recorder: Recorder,
    /// Records the emergency brake alone.
    bare: Recorder,
    signers: Signers,
}

/// What was done, or would be: for people and for machines.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) facts: Value,
}

impl Acting {
    pub(super) fn run(&self) -> Run {
        if self.dry_run { Run::Rehearsal } else { Run::Real }
    }

    /// Runs an act with the key store, and prints what it did or why it did not.
    pub(super) fn carry_out(
        &self,
        verb: &'static str,
        work: impl AsyncFnOnce(&Acts<'_>) -> anyhow::Result<Report>,
    ) -> Result<(), Failure> {
        self.carry_out_with(Demands::AuditKey, verb, work)
    }

    /// The same for the emergency brake, which goes in without a key provider.
    pub(super) fn brake(
        &self,
        verb: &'static str,
        work: impl AsyncFnOnce(&Acts<'_>) -> anyhow::Result<Report>,
    ) -> Result<(), Failure> {
        self.carry_out_with(Demands::Nothing, verb, work)
    }

    fn carry_out_with(
        &self,
        demands: Demands,
        verb: &'static str,
        work: impl AsyncFnOnce(&Acts<'_>) -> anyhow::Result<Report>,
    ) -> Result<(), Failure> {
        let settings = self.account.settings()?;
        match (lock_memory(&settings), demands) {
            (Ok(()), _) | (Err(_), Demands::Nothing) => {}
            (Err(failure), Demands::AuditKey) => return Err(failure),
        }
        let outcome = runtime()?.block_on(async {
            let pool = Pool::new(&control_settings(&settings));
            let store = KeyStore::new(pool.clone(), SCHEMA);
            let outcome = match Acts::open(&settings, &store, self.run(), demands).await {
                Ok(acts) => match work(&acts).await {
                    Err(refused) => Err(acts.ask(refused).await),
                    done @ Ok(_) => done,
                },
                Err(error) => Err(error),
            };
            let outcome = outcome.map_err(hinted);
            pool.close().await;
            outcome
        });
        let output = Output::new();
        let mut document = json!({ "act": verb, "dry_run": self.dry_run, "done": outcome.is_ok() && !self.dry_run });
        match outcome {
            Ok(report) if self.json => {
                merge(&mut document, report.facts);
                Ok(output.json(&document)?)
            }
            Ok(report) if self.dry_run => Ok(output.line(format!("would be done: {}", report.text))?),
            Ok(report) => Ok(output.line(report.text)?),
            Err(error) if self.json => {
                merge(&mut document, json!({ "refused": refusal(&error) }));
                output.json(&document)?;
                Err(Failure::Found)
            }
            Err(error) => Err(Failure::Failed(error)),
        }
    }
}

/// What to do about an account that may not write.
pub(in crate::cli) const HINT: &str = ": give the account that may write to it with --user";

/// Whether the server refused the account, by MySQL's codes for missing rights on schemas, tables and columns.
pub(in crate::cli) fn may_not_write(error: &ControlError) -> bool {
    matches!(error, ControlError::Refused { code: 1044 | 1142 | 1143, .. })
}

/// Adds what to do if the account may not write.
fn hinted(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<ActError>() {
        Some(ActError::Store(store)) if may_not_write(store) => {
            error.context(format!("the key store cannot be changed{HINT}"))
        }
        Some(_) | None => error,
    }
}

fn merge(document: &mut Value, facts: Value) {
    if let (Value::Object(document), Value::Object(facts)) = (document, facts) {
        document.extend(facts);
    }
}

fn refusal(error: &anyhow::Error) -> Value {
    let act = error.downcast_ref::<ActError>();
    let mut facts = json!({ "code": act.map_or("failed", ActError::code), "text": format!("{error:#}") });
    if let Some(ActError::Behind { behind, .. }) = act {
        merge(&mut facts, json!({ "behind": behind_facts(behind) }));
    }
    facts
}

/// Proxies that are behind, for machines.
pub(super) fn behind_facts(behind: &[Behind]) -> Vec<Value> {
    let lacks = |lacks| match lacks {
        Lacks::Epoch => "epoch",
        Lacks::Policy => "policy",
        Lacks::EpochAndPolicy => "epoch and policy",
    };
    let facts = behind.iter().map(|proxy| {
        let Behind { instance, name, epoch, seen_seconds, lacks: lacking } = proxy;
        json!({ "instance": instance, "name": name, "epoch": epoch, "last_seen_seconds": seen_seconds, "lacks": lacks(*lacking) })
    });
    facts.collect()
}

impl Report {
    /// Of an act on one key.
    pub(super) fn of(done: &Done) -> Self {
        let Done { kid, keyset, purpose, version, changes, epoch } = done;
        let mut text = format!("key {kid} (keyset {keyset}, {purpose}, version {version}), epoch {epoch}");
        for Change { kid, from, to } in changes {
            append(&mut text, format_args!("key {kid}: {from} -> {to}"));
        }
        let facts = json!({
            "key_id": kid.number(), "keyset": &**keyset, "purpose": purpose.name(), "version": version.get(),
            "changes": change_facts(changes), "epoch": epoch,
        });
        Self { text, facts }
    }

    /// Adds a line of text and facts.
    pub(super) fn add(&mut self, line: impl std::fmt::Display, facts: Value) {
        append(&mut self.text, format_args!("{line}"));
        merge(&mut self.facts, facts);
    }
}

/// Changes of states, for machines.
pub(super) fn change_facts(changes: &[Change]) -> Vec<Value> {
    let fact =
        |Change { kid, from, to }: &Change| json!({ "key_id": kid.number(), "from": from.name(), "to": to.name() });
    changes.iter().map(fact).collect()
}

async fn recorder(settings: &Settings, store: &KeyStore) -> anyhow::Result<Recorder> {
    let opening = provider::unwrapper(&settings.keys).await.context("the key provider cannot be used")?;
    let recorder = Recorder::open(store, opening.unwrapper.as_ref()).await;
    recorder.context("acts cannot be recorded, so none is done, but for `candado keys suspend`")
}

/// The recorder for the emergency brake: under the audit key if that can be opened quickly.
async fn brake_recorder(settings: &Settings, store: &KeyStore) -> Recorder {
    let why = match timeout(BRAKE_PATIENCE, recorder(settings, store)).await {
        Ok(Ok(recorder)) => return recorder,
        Ok(Err(error)) => format!("{:#}", error.root_cause()),
        Err(_) => "the key provider does not answer".to_owned(),
    };
    note(format_args!(
        "the audit key cannot be opened ({why}): the act is recorded without it, and sealed by the next act or by \
         `candado audit seal`. Note it elsewhere as well"
    ));
    Recorder::for_the_brake(store)
}

impl<'a> Acts<'a> {
    async fn open(settings: &'a Settings, store: &'a KeyStore, run: Run, demands: Demands) -> anyhow::Result<Self> {
        let provider = provider::admin(&settings.keys).await.context("the key provider cannot be used");
        let recorder = match demands {
            Demands::AuditKey => recorder(settings, store).await?,
            Demands::Nothing => brake_recorder(settings, store).await,
        };
        let actor = store.actor(&operator()).await.context("the key store cannot be used")?;
        let signers = settings.approval.clone();
        let bare = Recorder::for_the_brake(store);
        Ok(Self { settings, store, run, provider, actor, recorder, bare, signers })
    }

    /// Asks for an approval where one is missing, and says how it is given.
    async fn ask(&self, refused: anyhow::Error) -> anyhow::Error {
        let Some(ActError::NotApproved { wanted, source }) = refused.downcast_ref::<ActError>() else { return refused };
        if self.run == Run::Rehearsal || !source.wants_new_request() {
            return refused;
        }
        match self.store.ask_for_approval(wanted, &self.signers, &self.actor, &self.recorder).await {
            Ok(request) => refused.context(approvals::asked(&request)),
            Err(error) => refused.context(format!("and approval cannot be asked for: {}", error.chain())),
        }
    }

    /// The half of the configuration's key provider that makes and rewraps.
    pub(super) fn provider(&self) -> anyhow::Result<&Making> {
        self.provider.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    /// The same acts, recorded without the audit key: for the emergency brake, when the record itself is in the way.
    pub(super) fn without_audit_key(&self) -> By<'_> {
        By { actor: &self.actor, recorder: &self.bare, signers: &self.signers }
    }

    /// The half that opens keys: those that the principal may open.
    pub(super) async fn unwrapper(&self) -> anyhow::Result<Arc<dyn Unwrapper>> {
        let opening = provider::unwrapper(&self.settings.keys).await.context("the key provider cannot be used")?;
        Ok(opening.unwrapper)
    }

    /// Who acts, and where it is recorded.
    pub(super) fn by(&self) -> By<'_> {
        By { actor: &self.actor, recorder: &self.recorder, signers: &self.signers }
    }

    /// The policy of the configuration.
    pub(super) fn policy(&self) -> anyhow::Result<Policy> {
        load_policy(self.settings, 1).context("the policy cannot be used")
    }

    /// Columns of policy that use a keyset, for a warning: a policy that cannot be read must not stop the emergency
    /// brake.
    pub(super) fn columns(&self, keyset: &str) -> String {
        let Ok(policy) = load_policy(self.settings, 1) else {
            return "columns unknown: the policy cannot be read".to_owned();
        };
        let columns = policy.columns().iter().filter(|column| &*column.keyset == keyset);
        let names: Vec<_> = columns.map(|column| column.column.to_string()).collect();
        if names.is_empty() { "no column of this policy".to_owned() } else { names.join(", ") }
    }

    /// One key of the listing.
    pub(super) async fn listed(&self, kid: KeyId) -> anyhow::Result<(KeyListing, ListedKey)> {
        let listing = self.store.list().await.context("the key store cannot be read")?;
        let key = listing.keys.iter().find(|key| key.kid == kid.number()).cloned();
        let key = key.ok_or(ActError::Impossible(crate::keys::Impossible::UnknownKey { kid }))?;
        Ok((listing, key))
    }
}
