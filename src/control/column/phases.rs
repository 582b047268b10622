//! What is done before, between and after the walk. Each phase finds done what an earlier attempt has done.

use std::sync::Arc;

use tokio::time::Instant;

use super::ColumnError;
use super::engine::{Engine, Loaded, Statements};
use super::job::{Job, Phase, Verb};
use super::monitor::Event;
use super::proof::Proof;
use super::{ddl, drain, verify};
use crate::control::ControlError;
use crate::control::key_store::{Acknowledged, Behind, Fence, StageChange, wait_for_fence};
use crate::crypto::Stage;
use crate::policy::{ColumnId, ProtectedColumn};

/// Walks over the table after which something else must be wrong.
const PASSES_MAX: u32 = 5;
/// A CHECK constraint that a row breaks: MySQL's code and MariaDB's.
const CHECK_BROKEN: [u16; 2] = [3819, 4025];

impl Engine {
    /// Puts the columns at their first stage, waits for policy to be everywhere, and makes the table fit.
    pub(super) async fn prepare(&self, job: &Job, ids: &[ColumnId]) -> Result<(), ColumnError> {
        self.step(format!("preparing {}", job.table));
        let loaded = self.load(ids).await?;
        let columns = self.protected(ids);
        match job.verb {
            Verb::Encrypt => {
                self.register(&loaded, &columns).await?;
                self.policy_everywhere().await?;
                self.statements(ddl::prepare(&self.pool, &columns).await?).await?;
            }
            Verb::Decrypt => {}
            Verb::Reencrypt | Verb::Reindex => {}
        }
        Ok(self.jobs.advance(job, Phase::Fence, &self.acts).await?)
    }

    /// Columns that the key store does not know yet begin at `plain`.
    async fn register(&self, loaded: &Loaded, columns: &[&ProtectedColumn]) -> Result<(), ColumnError> {
        let mut changes = Vec::new();
        for column in columns {
            let refused = |stage: Stage, advice| ColumnError::Stage {
                column: column.column.clone(),
                stage: stage.name(),
                advice,
            };
            match loaded.stored.stages.get(&column.context) {
                None => changes.push(StageChange { context: column.context.clone(), from: None, to: Stage::Plain }),
                Some(Stage::Plain | Stage::Encrypting) => {}
                Some(Stage::Sealed) => return Err(refused(Stage::Sealed, "it is encrypted already; leave it out")),
                Some(Stage::Decrypting) => return Err(refused(Stage::Decrypting, "finish `column decrypt` first")),
            }
        }
        if !changes.is_empty() {
            self.jobs.store.set_stages(&changes, &self.acts.actor, &self.acts.recorder).await?;
        }
        Ok(())
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
            Verb::Encrypt => self.move_all(ids, &[Stage::Plain], Stage::Encrypting).await?,
            Verb::Decrypt => self.move_all(ids, &[Stage::Sealed], Stage::Decrypting).await?,
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

    /// Examines every cell and writes down what was found. What is not as it should be yet is walked again.
    pub(super) async fn prove(&self, job: &Job, ids: &[ColumnId]) -> Result<Vec<Proof>, ColumnError> {
        self.step(format!("verifying every row of {}", job.table));
        let (proofs, left) = self.scan(job.verb, ids).await?;
        if left == 0 {
            self.jobs.advance(job, Phase::Finish, &self.acts).await?;
        } else if job.pass < PASSES_MAX {
            self.step(format!("{left} cells are not yet what they should be"));
            self.jobs.advance(job, Phase::Walk, &self.acts).await?;
        } else {
            return Err(ColumnError::NotFinished { passes: job.pass, left });
        }
        Ok(proofs)
    }

    /// Scans and records; returns how many cells are not what the verb wants them to be.
    async fn scan(&self, verb: Verb, ids: &[ColumnId]) -> Result<(Vec<Proof>, u64), ColumnError> {
        let loaded = self.load(ids).await?;
        let cells = self.cells(&loaded);
        let mut begun = Vec::new();
        for column in &cells {
            begun.push(self.jobs.begin_proof(&column.column.context, loaded.stored.epoch).await?);
        }
        let tallies = verify::scan(&self.pool, &loaded.table, &cells, self.observer.as_ref()).await?;
        let (mut proofs, mut left) = (Vec::new(), 0_u64);
        for ((column, tally), id) in cells.iter().zip(&tallies).zip(begun) {
            let name = &column.column.column;
            if let Some((position, fault)) = tally.first_faults.first() {
                return Err(ColumnError::Cell { column: name.clone(), position: position.clone(), fault: *fault });
            }
            left = left.saturating_add(match verb {
                Verb::Encrypt | Verb::Reencrypt | Verb::Reindex => {
                    tally.plaintexts.saturating_add(tally.stale(column.keys))
                }
                Verb::Decrypt => tally.envelopes(),
            });
            let mut proof = Proof::new(name.clone(), loaded.stored.epoch, tally);
            self.jobs.finish_proof(id, &column.column.context, &mut proof, &self.acts).await?;
            proofs.push(proof);
        }
        Ok((proofs, left))
    }

    /// The table's last statements, the last stage, and the proxies' acknowledgement of it.
    pub(super) async fn finish(&self, job: &Job, ids: &[ColumnId]) -> Result<(), ColumnError> {
        let columns = self.protected(ids);
        match job.verb {
            Verb::Encrypt => {
                let statements = ddl::finish(&self.pool, &columns).await?;
                match self.statements(statements).await {
                    Err(ColumnError::Control(ControlError::Refused { code, .. }))
                        if CHECK_BROKEN.contains(&code) && job.pass < PASSES_MAX =>
                    {
                        self.step("the server still finds plaintext".to_owned());
                        return Ok(self.jobs.advance(job, Phase::Walk, &self.acts).await?);
                    }
                    outcome => outcome?,
                }
                self.move_all(ids, &[Stage::Encrypting], Stage::Sealed).await?;
            }
            Verb::Decrypt => self.move_all(ids, &[Stage::Decrypting], Stage::Plain).await?,
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
                Statements::Run => ddl::run(&self.pool, statement).await?,
            }
        }
        match self.options.statements {
            Statements::Print if !statements.is_empty() => Err(ColumnError::StatementsNeeded),
            Statements::Print | Statements::Run => Ok(()),
        }
    }

    fn step(&self, text: String) {
        self.observer.hear(Event::Step(text));
    }
}
