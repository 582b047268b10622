//! What `candado column` answers, as text and as JSON.

use crate::control::column::{Outcome, Proof, Verb};

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
    let keys = counts("key", proof.by_kid.iter().map(|(kid, count)| (u64::from(*kid), *count)).collect());
    let versions = proof.by_index_version.iter().map(|(version, count)| (u64::from(*version), *count)).collect();
    format!(
        "{}: {} ({} rows, {} NULL, {} plaintext{keys}{}), digest {}",
        proof.column,
        proof.kind.name(),
        proof.rows,
        proof.nulls,
        proof.plaintexts,
        counts("index version", versions),
        data_encoding::HEXLOWER.encode(&proof.digest),
    )
}
