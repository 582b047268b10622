//! What is done before, between and after the walk. Each phase finds done what an earlier attempt has done.

use std::sync::Arc;

use tokio::time::Instant;

use super::ColumnError;
use super::ddl::Shape;
use super::engine::{Engine, Loaded, Statements};
use super::facts::Facts;
use super::job::{Job, Phase, Verb};
use super::monitor::Event;
use super::preflight::{self, Remark, Weight};
use super::proof::Proof;
use super::{ddl, drain, survey, verify};
use crate::control::ControlError;
use crate::control::key_store::{Acknowledged, Behind, Fence, StageChange, wait_for_fence};
use crate::crypto::Stage;
use crate::policy::{ColumnId, ProtectedColumn};
use crate::schema::{ColumnRef, TableRef};

/// Walks over the table, of one run, after which something else must be wrong.
const WALKS_MAX: u32 = 5;
/// A CHECK constraint that a row breaks: MySQL's code and MariaDB's.
const CHECK_BROKEN: [u16; 2] = [3819, 4025];

impl Engine {
    /// Preflight, the columns' first stage, policy everywhere, and a table that fits.
    pub(super) async fn prepare(&self, job: &Job, ids: &[ColumnId]) -> Result<(), ColumnError> {
        self.step(format!("preparing {}", job.table));
        let loaded = self.load(ids).await?;
        let columns = self.protected(ids);
        let stages = self.first_stages(job.verb, &loaded, &columns)?;
        let (remarks, shape) = self.preflight(job.verb, &loaded, &columns).await?;
        let is_blocked = remarks.iter().any(|remark| remark.weight == Weight::Blocks);
        for remark in remarks {
            self.observer.hear(Event::Remark(remark));
        }
        if is_blocked {
            return Err(ColumnError::Blocked);
        }
        if !stages.is_empty() {
            self.jobs.store.set_stages(&stages, &self.acts.actor, &self.acts.recorder).await?;
        }
        let facts = self.facts(&job.table).await?;
        match job.verb {
            Verb::Encrypt => {
                // Only a proxy that knows the column passes its values through unchanged in a column of bytes.
                self.policy_everywhere().await?;
                self.statements(ddl::prepare(&facts, &columns, shape)).await?;
                // Every proxy knows the columns' new type before any of them seals: one that does not compares values
                // as they are written, and would miss envelopes. A new epoch makes proxies load the catalog.
                let epoch = self.jobs.store.set_stages(&[], &self.acts.actor, &self.acts.recorder).await?;
                self.everywhere(epoch).await?;
            }
            Verb::Decrypt => self.statements(ddl::unseal(&facts, &columns)).await?,
            Verb::Reencrypt | Verb::Reindex => {}
        }
        Ok(self.jobs.advance(job, Phase::Fence, &self.acts).await?)
    }

    /// Columns that the key store does not know yet begin at `plain`. Refuses those whose stage is none that the verb
    /// starts from.
    pub(super) fn first_stages(
        &self,
        verb: Verb,
        loaded: &Loaded,
        columns: &[&ProtectedColumn],
    ) -> Result<Vec<StageChange>, ColumnError> {
        let mut changes = Vec::new();
        for column in columns {
            let found = loaded.stored.stages.get(&column.context).copied();
            let advice = match (verb, found) {
                (Verb::Encrypt, None) => {
                    changes.push(StageChange { context: column.context.clone(), from: None, to: Stage::Plain });
                    continue;
                }
                (Verb::Encrypt, Some(Stage::Sealed)) => "it is encrypted already: leave it out",
                (Verb::Decrypt, Some(Stage::Plain)) => "it is not encrypted: leave it out",
                (Verb::Reencrypt | Verb::Reindex, Some(Stage::Plain | Stage::Decrypting)) => "it is not encrypted",
                (Verb::Reencrypt | Verb::Reindex, Some(Stage::Encrypting)) => "finish `candado column encrypt` first",
                (Verb::Encrypt, Some(Stage::Plain | Stage::Encrypting | Stage::Decrypting))
                | (Verb::Decrypt, None | Some(Stage::Sealed | Stage::Encrypting | Stage::Decrypting))
                | (Verb::Reencrypt | Verb::Reindex, None | Some(Stage::Sealed)) => continue,
            };
            let stage = found.unwrap_or_default().name();
            return Err(ColumnError::Stage { column: column.column.clone(), stage, advice });
        }
        Ok(changes)
    }

    /// What the schema says of a job's table.
    pub(super) async fn facts(&self, table: &TableRef) -> Result<Facts, ColumnError> {
        let mut session = self.pool.session("look at the table", self.pool.catalog_timeout).await?;
        Ok(Facts::load(&mut session, table).await?)
    }

    /// Everything that preflight finds, and what UNIQUE indexes must cover. Before an encryption every value is looked at.
    pub(super) async fn preflight(
        &self,
        verb: Verb,
        loaded: &Loaded,
        columns: &[&ProtectedColumn],
    ) -> Result<(Vec<Remark>, Shape), ColumnError> {
        let facts = self.facts(&loaded.table.name).await?;
        let mut remarks = preflight::schema(&facts, columns, self.options.allowed);
        match verb {
            Verb::Encrypt | Verb::Reencrypt => remarks.extend(preflight::owner(&loaded.table)),
            Verb::Decrypt | Verb::Reindex => {}
        }
        match verb {
            Verb::Encrypt => {}
            // The columns were judged when they were encrypted.
            Verb::Decrypt | Verb::Reencrypt | Verb::Reindex => {
                remarks.retain(|remark| remark.column.is_none());
                return Ok((remarks, Shape::Whole));
            }
        }
        let is_fresh =
            |column: &&ProtectedColumn| matches!(loaded.stored.stages.get(&column.context), None | Some(Stage::Plain));
        if remarks.iter().any(|remark| remark.weight == Weight::Blocks) || !columns.iter().all(is_fresh) {
            return Ok((remarks, Shape::Whole));
        }
        self.step(format!("looking at every value of {}", loaded.table.name));
        let unique = preflight::unique(&facts, columns);
        let surveys =
            survey::survey(&self.pool, &loaded.table, &self.cells(loaded), &unique, self.observer.as_ref()).await?;
        remarks.extend(preflight::rows(&facts, columns, &surveys));
        let has_twins = surveys.iter().any(|survey| survey.twins.count > 0);
        Ok((remarks, if has_twins { Shape::Whole } else { Shape::Prefix }))
    }

    async fn policy_everywhere(&self) -> Result<(), ColumnError> {
        let epoch = self.jobs.store.epoch().await?;
        self.everywhere(epoch).await
    }

    /// Waits until every living proxy works with this epoch and this policy.
    async fn everywhere(&self, epoch: u64) -> Result<(), ColumnError> {
        let fence = Fence { epoch, policy_digest: Some(self.policy.digest()) };
        let waiting = |behind: &[Behind]| {
            for proxy in behind {
                self.observer.hear(Event::Waiting(proxy.to_string()));
            }
        };
        let deadline = Instant::now() + self.options.patience;
        match wait_for_fence(&self.jobs.store, &fence, waiting, deadline).await? {
            Acknowledged::All { replicas } => {
                self.step(format!("proxies that have acknowledged epoch {epoch}: {replicas}"));
                Ok(())
            }
            Acknowledged::Waiting { behind } => {
                let behind: Vec<String> = behind.iter().map(Behind::to_string).collect();
                Err(ColumnError::ProxiesBehind { behind: behind.join("; ") })
            }
        }
    }

    /// Publishes the stage in which every write is as it will be, and waits until nobody writes otherwise any more.
    pub(super) async fn fence(&self, job: &Job, ids: &[ColumnId]) -> Result<(), ColumnError> {
        match job.verb {
            Verb::Encrypt => self.move_all(ids, &[Stage::Plain, Stage::Decrypting], Stage::Encrypting).await?,
            Verb::Decrypt => self.move_all(ids, &[Stage::Sealed, Stage::Encrypting], Stage::Decrypting).await?,
            Verb::Reencrypt | Verb::Reindex => {}
        }
        let epoch = self.jobs.store.epoch().await?;
        self.everywhere(epoch).await?;
        drain::leases(&self.jobs.store, epoch, self.observer.as_ref()).await?;
        self.step("waiting for transactions from before".to_owned());
        drain::wait(&self.pool, self.observer.as_ref(), self.options.patience).await?;
        Ok(self.jobs.advance(job, Phase::Walk, &self.acts).await?)
    }

    /// Moves the columns that are at one of `from` to `to`; those that are there already stay.
    async fn move_all(&self, ids: &[ColumnId], from: &[Stage], to: Stage) -> Result<(), ColumnError> {
        let stages = self.jobs.store.load().await?.stages;
        let mut changes = Vec::new();
        for column in self.protected(ids) {
            let found = stages.get(&column.context).copied();
            let now = found.unwrap_or_default();
            if now == to {
                continue;
            }
            if !from.contains(&now) {
                return Err(ControlError::StageMoved { context: column.context.to_string() }.into());
            }
            changes.push(StageChange { context: Arc::clone(&column.context), from: found, to });
        }
        if !changes.is_empty() {
            let epoch = self.jobs.store.set_stages(&changes, &self.acts.actor, &self.acts.recorder).await?;
            self.step(format!("stage {to} is published with epoch {epoch}"));
        }
        Ok(())
    }

    /// Examines every cell and writes down what was found. `walks` is the number of walks of this run. What is not as it should be yet is walked again.
    pub(super) async fn prove(&self, job: &Job, ids: &[ColumnId], walks: u32) -> Result<Vec<Proof>, ColumnError> {
        self.step(format!("verifying every row of {}", job.table));
        let (proofs, left) = self.scan(job.verb, ids).await?;
        if left == 0 {
            self.jobs.advance(job, Phase::Finish, &self.acts).await?;
        } else if walks < WALKS_MAX {
            self.step(format!("{left} cells are not yet what they should be"));
            self.jobs.advance(job, Phase::Walk, &self.acts).await?;
        } else {
            return Err(ColumnError::NotFinished { passes: walks, left });
        }
        Ok(proofs)
    }

    /// Examines every cell of columns, changes none, and writes down what was found. Columns of several tables are taken
    /// one table after the other.
    pub async fn verify(&self, columns: &[ColumnRef]) -> Result<Vec<Proof>, ColumnError> {
        let mut tables: Vec<(TableRef, Vec<ColumnRef>)> = Vec::new();
        for column in columns {
            let table = column.table_ref();
            match tables.iter_mut().find(|(name, _)| *name == table) {
                Some((_, list)) => list.push(column.clone()),
                None => tables.push((table, vec![column.clone()])),
            }
        }
        let mut proofs = Vec::new();
        for (table, columns) in tables {
            let (_, ids) = self.resolve(&columns)?;
            self.step(format!("verifying every row of {table}"));
            proofs.extend(self.scanned(&ids).await?.into_iter().map(|(proof, _)| proof));
        }
        Ok(proofs)
    }

    /// Scans and records; returns how many cells are not what the verb wants them to be.
    async fn scan(&self, verb: Verb, ids: &[ColumnId]) -> Result<(Vec<Proof>, u64), ColumnError> {
        let (mut proofs, mut left) = (Vec::new(), 0_u64);
        for (proof, stale) in self.scanned(ids).await? {
            if let Some((position, fault)) = proof.first_faults.first() {
                let (column, position) = (proof.column.clone(), position.clone());
                return Err(ColumnError::Cell { column, position, fault: *fault });
            }
            left = left.saturating_add(match verb {
                Verb::Encrypt | Verb::Reencrypt | Verb::Reindex => proof.plaintexts.saturating_add(stale),
                Verb::Decrypt => proof.envelopes(),
            });
            proofs.push(proof);
        }
        Ok((proofs, left))
    }

    /// One proof for each column, with the number of its envelopes that are not under the active keys.
    async fn scanned(&self, ids: &[ColumnId]) -> Result<Vec<(Proof, u64)>, ColumnError> {
        let loaded = self.load(ids).await?;
        let cells = self.cells(&loaded);
        let mut begun = Vec::new();
        for column in &cells {
            begun.push(self.jobs.begin_proof(&column.column.context, loaded.stored.epoch).await?);
        }
        let tallies = verify::scan(&self.pool, &loaded.table, &self.jobs.store, &cells, self.observer.as_ref()).await?;
        let mut proofs = Vec::new();
        for ((column, tally), id) in cells.iter().zip(&tallies).zip(begun) {
            let mut proof = Proof::new(column.column.column.clone(), loaded.stored.epoch, tally);
            self.jobs.finish_proof(id, &column.column.context, &mut proof, &self.acts).await?;
            proofs.push((proof, tally.stale(column.keys)));
        }
        Ok(proofs)
    }

    /// The table's last statements, the last stage, and the proxies' acknowledgement of it.
    pub(super) async fn finish(&self, job: &Job, ids: &[ColumnId], walks: u32) -> Result<(), ColumnError> {
        let columns = self.protected(ids);
        match job.verb {
            Verb::Encrypt => {
                let facts = self.facts(&job.table).await?;
                match self.statements(ddl::seal(&facts, &columns)).await {
                    Err(ColumnError::Control(ControlError::Refused { code, .. }))
                        if CHECK_BROKEN.contains(&code) && walks < WALKS_MAX =>
                    {
                        self.step("the server still finds plaintext".to_owned());
                        return Ok(self.jobs.advance(job, Phase::Walk, &self.acts).await?);
                    }
                    outcome => outcome?,
                }
                self.move_all(ids, &[Stage::Encrypting], Stage::Sealed).await?;
            }
            Verb::Decrypt => {
                // First the stage: look-ups at `decrypting` ask a column of text for ranges of bytes, which it refuses.
                self.move_all(ids, &[Stage::Decrypting], Stage::Plain).await?;
                self.policy_everywhere().await?;
                let facts = self.facts(&job.table).await?;
                self.statements(ddl::restore(&facts, &columns)).await?;
                // A new epoch makes proxies load the catalog, and with it the columns' own type.
                self.jobs.store.set_stages(&[], &self.acts.actor, &self.acts.recorder).await?;
            }
            Verb::Reencrypt | Verb::Reindex => {}
        }
        let epoch = self.jobs.store.epoch().await?;
        self.everywhere(epoch).await?;
        Ok(self.jobs.advance(job, Phase::Done, &self.acts).await?)
    }

    /// Runs statements or tells them.
    async fn statements(&self, statements: Vec<String>) -> Result<(), ColumnError> {
        for statement in &statements {
            self.observer.hear(Event::Statement(statement.clone()));
            match self.options.statements {
                Statements::Print => {}
                Statements::Run => {
                    let way = ddl::run(&self.pool, statement).await?;
                    self.step(format!("ran with {way}"));
                }
            }
        }
        match self.options.statements {
            Statements::Print if !statements.is_empty() => Err(ColumnError::StatementsNeeded),
            Statements::Print | Statements::Run => Ok(()),
        }
    }

    pub(super) fn step(&self, text: String) {
        self.observer.hear(Event::Step(text));
    }
}
