//! What `candado column` answers, as text and as JSON.

use crate::cli::table::table;
use crate::control::column::{JobSummary, Outcome, Proof, Rehearsal, Remark, SUBJECT_KEYS, Verb};
use crate::control::counted;

/// A job's end as a document.
pub(super) fn outcome(verb: Verb, outcome: &Outcome) -> serde_json::Value {
    let proofs: Vec<_> = outcome.proofs.iter().map(proof).collect();
    serde_json::json!({ "job": outcome.job, "verb": verb.name(), "phase": "done", "proofs": proofs })
}

/// A proof as a document.
pub(super) fn proof(proof: &Proof) -> serde_json::Value {
    let faults = proof
        .first_faults
        .iter()
        .map(|(position, fault)| serde_json::json!({ "row": position, "fault": fault.to_string() }));
    serde_json::json!({
        "column": proof.column.to_string(), "proof": proof.id, "kind": proof.kind.name(), "epoch": proof.epoch,
        "rows": proof.rows, "nulls": proof.nulls, "plaintexts": proof.plaintexts, "by_key": proof.by_kid,
        "by_index_version": proof.by_index_version, "digest": data_encoding::HEXLOWER.encode(&proof.digest),
        "faults": proof.faults, "first_faults": faults.collect::<Vec<_>>(),
    })
}

/// A job's end in lines.
pub(super) fn text(verb: Verb, outcome: &Outcome) -> String {
    let mut text = format!("job {}: {verb} is done", outcome.job);
    for proof in &outcome.proofs {
        text.push('\n');
        text.push_str(&proof_line(proof));
    }
    text
}

/// A proof in one line.
pub(super) fn proof_line(proof: &Proof) -> String {
    let counts = |what: &str, counts: Vec<(u64, u64)>| {
        counts.into_iter().map(|(name, count)| format!(", {count} under {what} {name}")).collect::<String>()
    };
    let (people, by_key): (Vec<_>, Vec<_>) = proof.by_kid.iter().partition(|(kid, _)| **kid == SUBJECT_KEYS);
    let people: String =
        people.into_iter().map(|(_, count)| format!(", {count} under keys of data subjects")).collect();
    let keys = counts("key", by_key.into_iter().map(|(kid, count)| (u64::from(*kid), *count)).collect());
    let versions = proof.by_index_version.iter().map(|(version, count)| (u64::from(*version), *count)).collect();
    format!(
        "{}: {} ({}, {} NULL, {} plaintext{people}{keys}{}), digest {}",
        proof.column,
        proof.kind.name(),
        counted(proof.rows, "row", "rows"),
        proof.nulls,
        proof.plaintexts,
        counts("index version", versions),
        data_encoding::HEXLOWER.encode(&proof.digest),
    )
}

/// Proofs in lines, with the first cells that are not sound.
pub(super) fn proofs(proofs: &[Proof]) -> String {
    let mut lines = Vec::new();
    for proof in proofs {
        lines.push(proof_line(proof));
        if proof.faults > 0 {
            lines.push(format!(
                "  not sound, so nothing is proven: {}; the first:",
                counted(proof.faults, "cell", "cells")
            ));
            lines.extend(proof.first_faults.iter().map(|(position, fault)| format!("  row with {position}: {fault}")));
        }
    }
    lines.join("\n")
}

/// A finding in one line.
pub(super) fn remark(remark: &Remark) -> String {
    let column = remark.column.as_ref().map_or(String::new(), |column| format!("{column} "));
    let remedy = remark.remedy.as_ref().map_or(String::new(), |remedy| format!(" [{remedy}]"));
    format!("{}: {column}{}{remedy}", remark.weight.name(), remark.text)
}

/// A rehearsal as a document.
pub(super) fn rehearsal(verb: Verb, rehearsal: &Rehearsal) -> serde_json::Value {
    let columns = rehearsal.columns.iter().map(
        |(column, stage)| serde_json::json!({ "column": column.to_string(), "stage": stage.map(|stage| stage.name()) }),
    );
    let remarks = rehearsal.remarks.iter().map(|remark| {
        serde_json::json!({
            "weight": remark.weight.name(), "column": remark.column.as_ref().map(ToString::to_string),
            "text": remark.text, "remedy": remark.remedy,
        })
    });
    serde_json::json!({
        "verb": verb.name(), "dry_run": true, "table": rehearsal.table.to_string(),
        "columns": columns.collect::<Vec<_>>(), "remarks": remarks.collect::<Vec<_>>(),
        "statements_before": rehearsal.before, "statements_after": rehearsal.after,
    })
}

/// A rehearsal in lines.
pub(super) fn rehearsed(verb: Verb, rehearsal: &Rehearsal) -> String {
    let mut lines = vec![format!("{verb} of {}, rehearsed; nothing was changed", rehearsal.table)];
    for (column, stage) in &rehearsal.columns {
        lines.push(match stage {
            Some(stage) => format!("{column} is at stage {}", stage.name()),
            None => format!("{column} is new to the key store: proxies take it for sealed until a job is begun"),
        });
    }
    lines.extend(rehearsal.remarks.iter().map(remark));
    lines.extend(rehearsal.before.iter().map(|statement| format!("before: {statement};")));
    lines.extend(rehearsal.after.iter().map(|statement| format!("after: {statement};")));
    lines.push(
        match verb {
            Verb::Encrypt => {
                "Every application that reaches the table other than through a proxy with this policy will read and write \
                 envelopes as they are. Copies of the plaintext stay in binary logs, backups and freed pages until they \
                 are removed, see OPERATIONS.md"
            }
            Verb::Decrypt => "The values will stand in the clear in the table, in its binary logs and in its backups",
            Verb::Reencrypt | Verb::Reindex => "Rows are sealed again; backups still hold envelopes under older keys",
        }
        .to_owned(),
    );
    lines.join("\n")
}

/// A job as a document.
pub(super) fn job(job: &JobSummary) -> serde_json::Value {
    serde_json::json!({
        "job": job.id, "table": job.table.to_string(), "verb": job.verb.name(), "columns": job.columns,
        "phase": job.phase, "paused": job.is_paused, "resting": job.resting, "pass": job.pass, "rows_seen": job.rows_seen,
        "rows_changed": job.rows_changed, "conflicts": job.conflicts, "rows_estimate": job.rows_estimate,
        "rows_per_second": job.rows_per_second, "seconds_left": job.seconds_left(), "processes": job.processes,
        "started_at": job.started_at, "changed_at": job.changed_at,
    })
}

/// Jobs as a table.
pub(super) fn jobs(jobs: &[JobSummary]) -> String {
    let headings = ["job", "table", "verb", "columns", "phase", "rows", "rows/s", "left", "conflicts", "began"];
    let rows = jobs.iter().map(|job| {
        let phase = match &job.resting {
            _ if job.is_paused => format!("{}, paused", job.phase),
            Some(why) => format!("{}, resting: {why}", job.phase),
            None => job.phase.to_owned(),
        };
        [
            job.id.to_string(),
            job.table.to_string(),
            job.verb.to_string(),
            job.columns.join(", "),
            phase,
            format!("{} of about {}", job.rows_seen, job.rows_estimate),
            format!("{:.0}", job.rows_per_second),
            job.seconds_left().map_or("-".to_owned(), |seconds| format!("{seconds} s")),
            job.conflicts.to_string(),
            job.started_at.clone(),
        ]
    });
    table(headings, rows, "no jobs")
}
