//! `candado keys subjects`, `keys shred --subject` and `keys rewrap --subjects`: keys of single data subjects.

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::acting::{Acts, Report};
use super::append;
use super::confirm::confirm;
use crate::app::control_settings;
use crate::cli::output::{Output, note};
use crate::cli::{Facts, Failure, runtime};
use crate::config;
use crate::control::{ErasedSubject, KeyStore, Pool, RewrappedSubjects, Run, SCHEMA, SubjectCount, counted};
use crate::crypto::SubjectDigest;

/// Whose.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The keyset, as policy names it.
    keyset: String,
    #[command(flatten)]
    facts: Facts,
}

/// Prints the counts.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = config::load(&arguments.facts.configured.config)?;
    let counts = runtime()?.block_on(async {
        let pool = Pool::new(&control_settings(&settings));
        let counts = KeyStore::new(pool.clone(), SCHEMA).count_subjects(&arguments.keyset).await;
        pool.close().await;
        counts.context("the data subjects cannot be counted")
    })?;
    let living: u64 = counts.iter().map(|count| count.living).sum();
    let erased: u64 = counts.iter().map(|count| count.erased).sum();
    if arguments.facts.json {
        let facts = |count: &SubjectCount| json!({ "key_id": count.wrapped_by, "living": count.living, "erased": count.erased });
        let by_key: Vec<_> = counts.iter().map(facts).collect();
        let document = json!({ "keyset": arguments.keyset, "living": living, "erased": erased, "by_key": by_key });
        return Ok(Output::new().json(&document)?);
    }
    let mut text = format!(
        "keyset {}: {}, {erased} erased",
        arguments.keyset,
        counted(living, "living data subject", "living data subjects")
    );
    for count in &counts {
        append(&mut text, format_args!("{count}"));
    }
    Ok(Output::new().line(text)?)
}

/// Destroys the key of one data subject. `spelled` is what the person at the terminal repeats.
pub(super) async fn erase(
    acts: &Acts<'_>,
    keyset: &str,
    subject: &SubjectDigest,
    (given, spelled): (Option<&str>, &str),
) -> anyhow::Result<Report> {
    let rehearsed = acts.store.shred_subject(keyset, subject, Run::Rehearsal, acts.by()).await?;
    note(format_args!(
        "destroying key {} of this data subject: every value that was sealed for it in {} since {} becomes unreadable, for \
         everybody and for good, and no other key is made for it",
        rehearsed.kid,
        acts.columns(keyset),
        rehearsed.since
    ));
    match acts.run {
        Run::Rehearsal => Ok(erased(&rehearsed, subject)),
        Run::Real => {
            confirm(given, spelled)?;
            Ok(erased(&acts.store.shred_subject(keyset, subject, Run::Real, acts.by()).await?, subject))
        }
    }
}

fn erased(done: &ErasedSubject, subject: &SubjectDigest) -> Report {
    let ErasedSubject { keyset, kid, wrapped_by, since, epoch } = done;
    let mut text = format!("keyset {keyset}: key {kid} of data subject {subject} destroyed, epoch {epoch}");
    append(&mut text, format_args!("to do: delete the person's rows, which cannot be read any more"));
    append(
        &mut text,
        format_args!(
            "not erased yet: backups of the key store since {since} hold the wrap, and open as long as key {wrapped_by} \
             does. `candado keys rotate {keyset} --purpose subject`, `candado keys rewrap {keyset} --subjects`, then \
             retire and destroy key {wrapped_by}"
        ),
    );
    let facts = json!({
        "keyset": &**keyset, "subject": subject.to_string(), "key_id": kid.number(),
        "wrapped_by": wrapped_by.number(), "since": since, "epoch": epoch,
    });
    Report { text, facts }
}

/// Wraps the keys of all data subjects of a keyset again.
pub(super) async fn rewrap(acts: &Acts<'_>, keyset: &str) -> anyhow::Result<Report> {
    let progress = |done| note(format_args!("{done} keys of data subjects wrapped again"));
    let unwrapper = acts.unwrapper().await?;
    let done = acts.store.rewrap_subjects(keyset, &unwrapper, acts.run, acts.by(), progress).await?;
    let RewrappedSubjects { keys, wrapped_by } = done;
    let text = format!("keyset {keyset}: {keys} keys of data subjects wrapped by key {wrapped_by}");
    Ok(Report { text, facts: json!({ "keyset": keyset, "keys": keys, "wrapped_by": wrapped_by.number() }) })
}
