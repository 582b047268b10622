//! Proofs: what a full scan of a column found, kept in the key store. A key is retired and destroyed on their ground.

use std::collections::BTreeMap;

use super::drain;
use super::job::{Acts, Jobs};
use super::transform::CellFault;
use super::verify::Tally;
use crate::control::ControlError;
use crate::schema::ColumnRef;

/// What a proof proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// Every cell that is not NULL is an envelope that opens.
    Sealed,
    /// No cell is an envelope.
    Plain,
    /// Values and envelopes stand side by side; all envelopes open.
    Count,
}

impl ProofKind {
    /// The name in the key store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Plain => "plain",
            Self::Count => "count",
        }
    }
}

/// A scan's outcome for one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The column.
    pub column: ColumnRef,
    /// Number in the key store; `None` if cells were not sound, which proves nothing.
    pub id: Option<u64>,
    /// What it proves.
    pub kind: ProofKind,
    /// The key store's epoch when the scan began.
    pub epoch: u64,
    /// Rows.
    pub rows: u64,
    /// Rows in which the column is NULL.
    pub nulls: u64,
    /// Values.
    pub plaintexts: u64,
    /// Envelopes by data key.
    pub by_kid: BTreeMap<u32, u64>,
    /// Envelopes by version of their index key.
    pub by_index_version: BTreeMap<u16, u64>,
    /// SHA-256 over primary key and header of every envelope, in order of the primary key.
    pub digest: [u8; 32],
    /// Cells that do not open, or whose index is not their value's.
    pub faults: u64,
    /// The first of them, by primary key.
    pub first_faults: Vec<(String, CellFault)>,
}

impl Proof {
    /// Envelopes.
    pub fn envelopes(&self) -> u64 {
        self.by_kid.values().sum()
    }

    pub(super) fn new(column: ColumnRef, epoch: u64, tally: &Tally) -> Self {
        let kind = match (tally.plaintexts, tally.envelopes()) {
            (0, _) => ProofKind::Sealed,
            (_, 0) => ProofKind::Plain,
            (_, _) => ProofKind::Count,
        };
        Self {
            column,
            id: None,
            kind,
            epoch,
            rows: tally.rows,
            nulls: tally.nulls,
            plaintexts: tally.plaintexts,
            by_kid: tally.by_kid.clone(),
            by_index_version: tally.by_index_version.clone(),
            digest: tally.digest(),
            faults: tally.faults,
            first_faults: tally.first_faults.clone(),
        }
    }
}

impl Jobs {
    /// Says that a scan begins; its time is the server's, and that of the oldest open transaction if there is one: the
    /// scan does not see what was written in it.
    pub(super) async fn begin_proof(&self, context: &str, epoch: u64) -> Result<u64, ControlError> {
        let oldest_seconds = drain::oldest(&self.store.pool).await?;
        let sql = format!(
            "INSERT INTO {}.proof (context, kind, epoch, started_at) \
             VALUES (?, 'count', ?, UTC_TIMESTAMP(6) - INTERVAL ? SECOND)",
            self.schema()
        );
        let id = self.session().await?.change(&sql, (context.as_bytes(), epoch, oldest_seconds)).await?.id;
        id.ok_or(ControlError::Malformed { what: "a proof's number" })
    }

    /// Writes down what it found. A scan that found unsound cells stays unfinished.
    pub(super) async fn finish_proof(
        &self,
        id: u64,
        context: &str,
        proof: &mut Proof,
        acts: &Acts,
    ) -> Result<(), ControlError> {
        if proof.faults > 0 {
            return Ok(());
        }
        let sql = format!(
            "UPDATE {}.proof SET kind = ?, finished_at = UTC_TIMESTAMP(6), rows_scanned = ?, nulls = ?, plaintexts = ?, \
             by_kid = ?, by_index_version = ?, digest = ? WHERE proof_id = ?",
            self.schema()
        );
        let counts = (json(&proof.by_kid), json(&proof.by_index_version));
        let params = (
            proof.kind.name(),
            proof.rows,
            proof.nulls,
            proof.plaintexts,
            counts.0,
            counts.1,
            proof.digest.to_vec(),
            id,
        );
        let mut session = self.session().await?;
        session.control("START TRANSACTION").await?;
        session.change(&sql, params).await?;
        let after = serde_json::json!({
            "proof": id, "kind": proof.kind.name(), "epoch": proof.epoch, "rows": proof.rows, "nulls": proof.nulls,
            "plaintexts": proof.plaintexts, "by_kid": &proof.by_kid, "by_index_version": &proof.by_index_version,
            "digest": data_encoding::HEXLOWER.encode(&proof.digest),
        });
        acts.record(&mut session, "column.proof", format!("column {context}"), after).await?;
        session.control("COMMIT").await?;
        proof.id = Some(id);
        Ok(())
    }
}

fn json<K: serde::Serialize + Ord>(counts: &BTreeMap<K, u64>) -> String {
    serde_json::to_string(counts).unwrap_or_default()
}
