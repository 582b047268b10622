//! `candado keys rotate`: create, wait for every proxy, activate. Nothing is remembered but the pending key in the key
//! store, so that the command goes on wherever it was interrupted.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::acting::{Acting, Acts, Purpose, Report, behind_facts};
use super::create::{create, describe};
use crate::app::provider;
use crate::cli::Failure;
use crate::cli::output::note;
use crate::control::{
    AUDIT_KEYSET, Acknowledged, ActError, AuditRotation, Behind, Done, Fence, Run, counted, wait_for_fence,
};
use crate::crypto::KeyId;

/// How often a key is looked at that no proxy has opened yet.
const LOOK: Duration = Duration::from_millis(500);

/// What is rotated.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The keyset, as policy names it; or `candado`, whose key authenticates the record of acts.
    keyset: String,
    /// Which of its keys; has no say for `candado`.
    #[arg(long, value_enum, default_value_t = Purpose::Data)]
    purpose: Purpose,
    /// How long to wait for proxies.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    #[command(flatten)]
    acting: Acting,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.acting.carry_out("rotate", async |acts| match acts.run {
        _ if arguments.keyset == AUDIT_KEYSET => replace_audit_key(acts).await,
        Run::Rehearsal => rehearse(acts, arguments).await,
        Run::Real => rotate(acts, arguments).await,
    })
}

/// The audit key is nothing that proxies know of: nobody is waited for.
async fn replace_audit_key(acts: &Acts<'_>) -> anyhow::Result<Report> {
    let (making, opening) = (acts.provider()?, provider::unwrapper(&acts.settings.keys).await);
    let opening = opening.context("the key provider cannot be used")?;
    let (admin, unwrapper) = (making.admin.as_ref(), opening.unwrapper.as_ref());
    let AuditRotation { old, new, version, epoch } =
        acts.store.rotate_audit_key(admin, &making.kek, unwrapper, acts.run, acts.by()).await?;
    let key = new.map_or_else(|| "another audit key".to_owned(), |new| format!("audit key {new}"));
    let text = format!(
        "{key} (version {version}) records from now on, epoch {epoch}; audit key {old} goes on verifying what it recorded"
    );
    let facts = json!({
        "key_id": new.map(KeyId::number), "old": old.number(), "keyset": AUDIT_KEYSET, "purpose": "audit",
        "version": version.get(), "epoch": epoch,
    });
    Ok(Report { text, facts })
}

async fn rehearse(acts: &Acts<'_>, arguments: &Arguments) -> anyhow::Result<Report> {
    let pending = acts.store.pending_key(&arguments.keyset, arguments.purpose.into()).await?;
    let (key, first) = match pending {
        Some(kid) => (Some(kid), format!("go on with key {kid}, which is pending")),
        None => (None, format!("make {}", describe(&create(acts, &arguments.keyset, arguments.purpose).await?))),
    };
    let epoch = acts.store.epoch().await.context("the key store cannot be read")?;
    let fence = Fence { epoch, policy_digest: None };
    let (proxies, behind) = match acts.store.acknowledged(&fence).await.context("the key store cannot be read")? {
        Acknowledged::All { replicas } => {
            (format!("wait for {}", counted(replicas, "living proxy", "living proxies")), vec![])
        }
        Acknowledged::Waiting { behind } => (format!("wait for proxies, of which {} lag now", behind.len()), behind),
    };
    let text = format!("{first}; {proxies}; activate it");
    let facts = json!({
        "key_id": key.map(KeyId::number), "keyset": arguments.keyset, "behind": behind_facts(&behind),
    });
    Ok(Report { text, facts })
}

async fn rotate(acts: &Acts<'_>, arguments: &Arguments) -> anyhow::Result<Report> {
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    let kid = match acts.store.pending_key(&arguments.keyset, arguments.purpose.into()).await? {
        Some(kid) => {
            note(format_args!("going on with key {kid}, which is pending"));
            kid
        }
        None => {
            let made = create(acts, &arguments.keyset, arguments.purpose).await?;
            note(format_args!("made {}", describe(&made)));
            made.kid.context("a key that was made has an id")?
        }
    };
    let done = activate(acts, kid, deadline).await?;
    let mut report = Report::of(&done);
    match wait(acts, done.epoch, deadline).await? {
        Acknowledged::All { replicas } => {
            report.add(format_args!("living proxies that write under it: {replicas}"), json!({ "replicas": replicas }));
        }
        Acknowledged::Waiting { behind } => report.add(
            format_args!(
                "the key is active; not told yet: {}: {}",
                counted(behind.len(), "proxy", "proxies"),
                lines(&behind)
            ),
            json!({ "behind": behind_facts(&behind) }),
        ),
    }
    Ok(report)
}

/// Activates as soon as it is allowed. The epoch may move on while proxies are waited for; then it waits again.
async fn activate(acts: &Acts<'_>, kid: KeyId, deadline: Instant) -> anyhow::Result<Done> {
    let mut told = false;
    loop {
        let refused = match acts.store.activate_key(kid, Run::Real, acts.by()).await {
            Ok(done) => return Ok(done),
            Err(refused) => refused,
        };
        let behind = if let ActError::Behind { epoch, .. } = &refused { Some(*epoch) } else { None };
        let unopened = matches!(&refused, ActError::NotOpened { .. });
        if behind.is_none() && !unopened {
            return Err(refused.into());
        }
        if Instant::now() >= deadline {
            let context = format!("the time is over; key {kid} stays pending, and the same command goes on with it");
            return Err(anyhow::Error::new(refused).context(context));
        }
        if let Some(epoch) = behind {
            wait(acts, epoch, deadline).await?;
            continue;
        }
        if !told {
            note(format_args!("waiting until a proxy has opened key {kid}"));
            told = true;
        }
        sleep(LOOK).await;
    }
}

async fn wait(acts: &Acts<'_>, epoch: u64, deadline: Instant) -> anyhow::Result<Acknowledged> {
    let fence = Fence { epoch, policy_digest: None };
    let progress = |behind: &[Behind]| {
        note(format_args!("waiting for {}: {}", counted(behind.len(), "proxy", "proxies"), lines(behind)))
    };
    wait_for_fence(acts.store, &fence, progress, deadline).await.context("the key store cannot be read")
}

fn lines(behind: &[Behind]) -> String {
    behind.iter().map(Behind::to_string).collect::<Vec<_>>().join("; ")
}
