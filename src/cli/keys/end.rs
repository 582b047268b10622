//! `candado keys retire | destroy | shred`: the end of keys. Says what is lost before it is lost.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::acting::{Acting, Acts, Report, change_facts, key_id};
use super::append;
use super::confirm::confirm;
use super::subjects;
use crate::cli::Failure;
use crate::cli::output::note;
use crate::control::{Ending, Proofs, Run, Shredded, counted};
use crate::crypto::{KeyId, SubjectDigest};
use crate::policy::Policy;

const HOUR_S: u64 = 3600;

/// What must be proven.
#[derive(Clone, Copy, Debug, Args)]
struct Proving {
    /// How old a verification may be that proves that no row needs the key.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    proof_age: u64,
}

impl Proving {
    fn proofs<'a>(self, policy: &'a Policy, acts: &Acts<'_>) -> Proofs<'a> {
        let write_timeout = acts.settings.limits.write_timeout;
        Proofs { policy, age_max: hours(self.proof_age), write_timeout }
    }
}

/// Which keys are put aside.
#[derive(Debug, Args)]
pub(in crate::cli) struct RetireArguments {
    /// The keys' ids.
    #[arg(value_name = "KEY", value_parser = key_id, required = true)]
    keys: Vec<KeyId>,
    #[command(flatten)]
    proving: Proving,
    #[command(flatten)]
    acting: Acting,
}

/// Which key is destroyed.
#[derive(Debug, Args)]
pub(in crate::cli) struct DestroyArguments {
    /// The key's id.
    #[arg(value_name = "KEY", value_parser = key_id)]
    key: KeyId,
    /// How long the key must have been put aside.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    grace: u64,
    /// The key's id once more, where there is no terminal to type it on.
    #[arg(long, value_name = "KEY")]
    confirm: Option<String>,
    #[command(flatten)]
    proving: Proving,
    #[command(flatten)]
    acting: Acting,
}

/// Which keyset, or which data subject of it, is erased.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShredArguments {
    /// The keyset.
    keyset: String,
    /// The person, as the column says it that policy names as `subject`: a number, a text or a UUID.
    #[arg(long, value_name = "VALUE", conflicts_with = "subject_hex")]
    subject: Option<String>,
    /// The person as hexadecimal digits, where that column holds bytes.
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    subject_hex: Option<SubjectBytes>,
    /// What is erased once more, where there is no terminal to type it on: the keyset's name, or the person.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

/// A person who is named by bytes.
#[derive(Clone, Debug)]
struct SubjectBytes(Vec<u8>);

fn hexadecimal(text: &str) -> Result<SubjectBytes, String> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes.map(SubjectBytes).map_err(|_| "hexadecimal digits, two for each byte".to_owned())
}

pub(super) fn retire(arguments: &RetireArguments) -> Result<(), Failure> {
    arguments.acting.carry_out("retire", async |acts| {
        let policy = acts.policy()?;
        let proofs = arguments.proving.proofs(&policy, acts);
        let endings = acts.store.retire_keys(&arguments.keys, &proofs, acts.run, acts.by()).await?;
        Ok(match endings.as_slice() {
            [one] => ending(one),
            several => endings_of(several),
        })
    })
}

pub(super) fn destroy(arguments: &DestroyArguments) -> Result<(), Failure> {
    arguments.acting.carry_out("destroy", async |acts| {
        let kid = arguments.key;
        let policy = acts.policy()?;
        let proofs = arguments.proving.proofs(&policy, acts);
        let grace = hours(arguments.grace);
        // Nobody is asked about something that is refused anyway.
        let rehearsed = acts.store.destroy_key(kid, &proofs, grace, Run::Rehearsal, acts.by()).await?;
        warn_of_destruction(kid, &rehearsed);
        match acts.run {
            Run::Rehearsal => Ok(ending(&rehearsed)),
            Run::Real => {
                confirm(arguments.confirm.as_deref(), &kid.to_string())?;
                Ok(ending(&acts.store.destroy_key(kid, &proofs, grace, Run::Real, acts.by()).await?))
            }
        }
    })
}

pub(super) fn shred(arguments: &ShredArguments) -> Result<(), Failure> {
    arguments.acting.carry_out("shred", async |acts| {
        let keyset = arguments.keyset.as_str();
        let person = match (&arguments.subject, &arguments.subject_hex) {
            (Some(text), _) => Some((text.trim_end_matches(' ').as_bytes().to_vec(), text.clone())),
            (None, Some(SubjectBytes(bytes))) => Some((bytes.clone(), data_encoding::HEXLOWER.encode(bytes))),
            (None, None) => None,
        };
        if let Some((value, spelled)) = person {
            let subject = SubjectDigest::new(keyset, &value);
            return subjects::erase(acts, keyset, &subject, (arguments.confirm.as_deref(), &spelled)).await;
        }
        let rehearsed = acts.store.shred_keyset(keyset, Run::Rehearsal, acts.by()).await?;
        warn_of_erasure(acts, &rehearsed);
        match acts.run {
            Run::Rehearsal => Ok(erasure(&rehearsed)),
            Run::Real => {
                confirm(arguments.confirm.as_deref(), keyset)?;
                Ok(erasure(&acts.store.shred_keyset(keyset, Run::Real, acts.by()).await?))
            }
        }
    })
}

fn hours(number: u64) -> Duration {
    Duration::from_secs(number.saturating_mul(HOUR_S))
}

fn warn_of_destruction(kid: KeyId, rehearsed: &Ending) {
    note(format_args!(
        "destroying key {kid} of keyset {} deletes {}: whatever is still sealed under it becomes unreadable, \
         for everybody and for good",
        rehearsed.done.keyset,
        counted(rehearsed.wraps_deleted, "wrap", "wraps")
    ));
    if let Some(backups) = &rehearsed.backups {
        note(format_args!(
            "{backups}: after this they can be read only together with a backup of the key store from before, and only \
             while the key-encryption key exists"
        ));
    }
}

fn ending(ending: &Ending) -> Report {
    let mut report = Report::of(&ending.done);
    report.facts["wraps_deleted"] = json!(ending.wraps_deleted);
    match &ending.backups {
        Some(backups) => {
            report.add(backups, json!({ "backups": { "from": backups.from, "until": backups.until } }));
        }
        None => report.add("it never wrote: no backup needs it", json!({ "backups": null })),
    }
    report
}

fn endings_of(endings: &[Ending]) -> Report {
    let reports: Vec<Report> = endings.iter().map(ending).collect();
    let texts: Vec<&str> = reports.iter().map(|report| report.text.as_str()).collect();
    let text = texts.join("\n");
    let facts: Vec<_> = reports.into_iter().map(|report| report.facts).collect();
    Report { text, facts: json!({ "keys": facts }) }
}

fn warn_of_erasure(acts: &Acts<'_>, rehearsed: &Shredded) {
    let Shredded { keyset, changes, wraps_deleted, .. } = rehearsed;
    note(format_args!(
        "shredding keyset {keyset} destroys {} keys and deletes {wraps_deleted} wraps: every value sealed under them \
         becomes unreadable, for everybody and for good",
        changes.len()
    ));
    note(format_args!(
        "used by: {}. Proxies whose policy names the keyset refuse to read, write or search these columns from two \
         seconds on: take these columns out of policy first",
        acts.columns(keyset)
    ));
}

fn erasure(shredded: &Shredded) -> Report {
    let Shredded { keyset, changes, wraps_deleted, keks, epoch } = shredded;
    let mut text = format!(
        "keyset {keyset}: {} destroyed, {} deleted, epoch {epoch}",
        counted(changes.len(), "key", "keys"),
        counted(*wraps_deleted, "wrap", "wraps")
    );
    append(
        &mut text,
        format_args!(
            "not erased yet: backups of the key store hold the wraps, and open as long as the key-encryption keys live"
        ),
    );
    for kek in keks {
        append(&mut text, format_args!("{}", left_to_do(kek)));
    }
    let facts = json!({
        "keyset": &**keyset, "changes": change_facts(changes), "wraps_deleted": wraps_deleted, "keks": keks,
        "epoch": epoch,
    });
    Report { text, facts }
}

/// What remains with a key-encryption key that wrapped what was shredded.
fn left_to_do(kek: &str) -> String {
    match kek.split_once(':') {
        Some(("aws-kms", arn)) => format!(
            "if {arn} wraps nothing but this keyset, the custodian schedules its deletion (aws kms \
             schedule-key-deletion --key-id {arn} --pending-window-in-days 30); if not, wait until the backups expire"
        ),
        Some(_) | None => format!("{kek} wraps other keysets too, most likely: wait until the backups expire"),
    }
}
