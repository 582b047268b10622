//! Drives jobs from phase to phase. Several processes may drive the same job: all convert rows, one leads the rest.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::ColumnError;
use super::job::{Acts, Job, JobSummary, Jobs, Lead, Phase, Verb};
use super::monitor::{self, Event, Observer};
use super::preflight::Allowed;
use super::presence::Presence;
use super::proof::Proof;
use super::table::Table;
use super::throttle::{Hold, Limits, Throttle};
use super::transform::{Cells, Goal};
use super::walk::Walk;
use crate::control::key_task::opening;
use crate::control::{ControlError, KeyStore, Pool, Request, StoredKeys, StoredRequest};
use crate::keys::{KeyRing, Unwrapper};
use crate::policy::{ColumnId, DecryptGrant, Policy, ProtectedColumn};
use crate::schema::{ColumnRef, TableRef};

/// How often a phase that another process leads is looked at.
const POLL: Duration = Duration::from_millis(300);
/// How often a lead is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// What is done with statements that change the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statements {
    /// They are told, and the job waits until somebody has run them.
    Print,
    /// They are run.
    Run,
}

/// How a job is run by this process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Workers of this process.
    pub workers: usize,
    /// When to go slower.
    pub limits: Limits,
    /// Statements that change the table.
    pub statements: Statements,
    /// How long proxies and transactions are waited for.
    pub patience: Duration,
    /// What preflight lets pass.
    pub allowed: Allowed,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The job's number.
    pub job: u64,
    /// What the last scan proved, if this process made it.
    pub proofs: Vec<Proof>,
}

/// The engine of one process.
pub struct Engine {
    pub(super) pool: Pool,
    pub(super) jobs: Jobs,
    pub(super) unwrapper: Arc<dyn Unwrapper>,
    pub(super) policy: Arc<Policy>,
    pub(super) acts: Acts,
    pub(super) options: Options,
    pub(super) observer: Arc<dyn Observer>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The columns of a job with all that is known of them, as of one moment.
pub(super) struct Loaded {
    pub(super) stored: StoredKeys,
    pub(super) ring: KeyRing,
    pub(super) table: Table,
    pub(super) ids: Vec<ColumnId>,
    pub(super) grants: Vec<DecryptGrant>,
}

impl Engine {
    /// Makes one. Nothing is connected to yet.
    pub fn new(
        store: KeyStore,
        unwrapper: Arc<dyn Unwrapper>,
        policy: Arc<Policy>,
        acts: Acts,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let owner = uuid::Uuid::new_v4().into_bytes();
        Self { pool: store.pool.clone(), jobs: Jobs { store, owner }, unwrapper, policy, acts, options, observer }
    }

    /// Runs a job to its end, beginning it or going on with it.
    pub async fn run(&self, verb: Verb, columns: &[ColumnRef]) -> Result<Outcome, ColumnError> {
        let (table, ids) = self.resolve(columns)?;
        let names: Vec<String> =
            self.protected(&ids).into_iter().map(|column| column.column.column.to_string()).collect();
        // Refused before a job is made that could not go on.
        let rows_estimate = self.startable(verb, &table, &ids).await?;
        let job = self.jobs.open(&table, verb, &names, rows_estimate, &self.acts).await?;
        let presence = Presence::take(&self.jobs).await?;
        tokio::select! {
            outcome = self.drive(job.id, &ids) => outcome,
            () = presence.keep() => Err(ColumnError::Aborted),
        }
    }

    /// Files the request for an approval that [`Engine::run`] found missing.
    pub async fn ask_for_approval(&self, wanted: &Request) -> Result<StoredRequest, ControlError> {
        let Acts { actor, recorder, signers } = &self.acts;
        self.jobs.store.ask_for_approval(wanted, signers, actor, recorder).await
    }

    async fn drive(&self, id: u64, ids: &[ColumnId]) -> Result<Outcome, ColumnError> {
        let mut proofs = Vec::new();
        let mut first_pass = None;
        loop {
            let job = self.jobs.load(id).await?;
            let walks = job.pass.saturating_sub(*first_pass.get_or_insert(job.pass));
            match job.phase {
                Phase::Done => return Ok(Outcome { job: id, proofs }),
                Phase::Aborted => return Err(ColumnError::Aborted),
                Phase::Walk => self.walk(&job, ids).await?,
                Phase::Prepare => drop(self.leading(&job, self.prepare(&job, ids)).await?),
                Phase::Fence => drop(self.leading(&job, self.fence(&job, ids)).await?),
                Phase::Verify => {
                    if let Some(found) = self.leading(&job, self.prove(&job, ids, walks)).await? {
                        proofs = found;
                    }
                }
                Phase::Finish => drop(self.leading(&job, self.finish(&job, ids, walks)).await?),
            }
        }
    }

    /// Does what one process alone may do, if this one may. `None`: another one does, and it was waited a moment.
    async fn leading<T>(
        &self,
        job: &Job,
        work: impl Future<Output = Result<T, ColumnError>>,
    ) -> Result<Option<T>, ColumnError> {
        if self.jobs.lead(job).await? == Lead::Others {
            self.observer.hear(Event::Waiting(format!("another process leads phase {}", job.phase.name())));
            sleep(POLL).await;
            return Ok(None);
        }
        tokio::select! {
            outcome = work => outcome.map(Some),
            error = self.renewed(job) => Err(error),
        }
    }

    /// Renews the lead for as long as it is ours.
    async fn renewed(&self, job: &Job) -> ColumnError {
        loop {
            sleep(RENEWAL).await;
            match self.jobs.lead(job).await {
                Ok(Lead::Ours) => {}
                // The phase may just have been moved on, by this very process.
                Ok(Lead::Others) => std::future::pending::<()>().await,
                Err(error) => tracing::warn!(cause = %error.chain(), "the lead was not renewed"),
            }
        }
    }

    async fn walk(&self, job: &Job, ids: &[ColumnId]) -> Result<(), ColumnError> {
        let loaded = self.load(ids).await?;
        // Nothing is converted before the brakes have been asked.
        let (sender, hold) = watch::channel(Hold::Because("the brakes have not been asked yet".to_owned()));
        let throttle = Throttle::new(&self.options.limits, hold);
        let goal = match job.verb {
            Verb::Encrypt => Goal::Sealed,
            Verb::Decrypt => Goal::Plain,
            Verb::Reencrypt | Verb::Reindex => Goal::Renewed,
        };
        let walk =
            Walk { jobs: &self.jobs, job, table: &loaded.table, cells: self.cells(&loaded), goal, throttle: &throttle };
        self.observer.hear(Event::Step(format!("converting the rows of {} (walk {})", job.table, job.pass)));
        let workers = (0..self.options.workers.max(1)).map(|_| walk.work());
        let limits = &self.options.limits;
        tokio::select! {
            done = all(workers) => done?,
            error = monitor::watch(&self.jobs, job, limits, self.observer.as_ref(), &sender) => return Err(error),
        }
        self.jobs.advance(job, Phase::Verify, &self.acts).await?;
        Ok(())
    }

    /// The columns by policy: all of one table, in policy's order, without repetition.
    pub(super) fn resolve(&self, columns: &[ColumnRef]) -> Result<(TableRef, Vec<ColumnId>), ColumnError> {
        let first = columns.first().ok_or(ColumnError::NoColumn)?.table_ref();
        let mut ids = Vec::new();
        for column in columns {
            let table = column.table_ref();
            if table != first {
                return Err(ColumnError::TwoTables { first, second: table });
            }
            let id = self.policy.column_named(&table, &column.column);
            ids.push(id.ok_or_else(|| ColumnError::NotProtected { column: column.clone() })?);
        }
        ids.sort_unstable();
        ids.dedup();
        let spelled = self.protected(&ids).first().map_or(first, |column| column.column.table_ref());
        Ok((spelled, ids))
    }

    /// Whether a job can begin, or go on: keys open, those that it seals with are there, and the columns are at a stage to
    /// begin from. Returns the estimate of its rows.
    async fn startable(&self, verb: Verb, table: &TableRef, ids: &[ColumnId]) -> Result<u64, ColumnError> {
        let loaded = self.load(ids).await?;
        if self.jobs.unfinished(table).await?.is_none() {
            self.first_stages(verb, &loaded, &self.protected(ids))?;
        }
        match verb {
            Verb::Encrypt | Verb::Reencrypt | Verb::Reindex => self.may_seal(&loaded)?,
            Verb::Decrypt => {}
        }
        Ok(loaded.table.rows_estimate)
    }

    /// Whether every column's keyset has the active keys that it takes.
    fn may_seal(&self, loaded: &Loaded) -> Result<(), ColumnError> {
        let barred = self.cells(loaded).into_iter().find(|cells| !cells.keys.may_seal());
        match barred {
            Some(cells) => Err(ColumnError::NoActiveKey { column: cells.column.column.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn protected(&self, ids: &[ColumnId]) -> Vec<&ProtectedColumn> {
        ids.iter().filter_map(|id| self.policy.column(*id)).collect()
    }

    /// Opens the keys and reads the table.
    pub(super) async fn load(&self, ids: &[ColumnId]) -> Result<Loaded, ColumnError> {
        let stored = self.jobs.store.load().await?;
        let ring = opening::ring(&self.jobs.store, &self.unwrapper, &self.policy, &stored)
            .await
            .map_err(|error| ColumnError::Keys(Box::new(error)))?;
        let mut session = self.pool.session("look at the table", self.pool.catalog_timeout).await?;
        let table = Table::load(&mut session, &self.protected(ids)).await?;
        let grants = ids.iter().filter_map(|id| self.policy.backfill_grant(*id)).collect();
        Ok(Loaded { stored, ring, table, ids: ids.to_vec(), grants })
    }

    pub(super) fn cells<'a>(&'a self, loaded: &'a Loaded) -> Vec<Cells<'a>> {
        let parts = loaded.ids.iter().zip(&loaded.grants);
        parts
            .filter_map(|(id, grant)| {
                Some(Cells { column: self.policy.column(*id)?, keys: loaded.ring.column(*id)?, grant })
            })
            .collect()
    }

    /// All jobs of the key store, newest first.
    pub async fn status(store: &KeyStore) -> Result<Vec<JobSummary>, ControlError> {
        let jobs = Jobs { store: store.clone(), owner: [0; 16] };
        let mut session = jobs.session().await?;
        jobs.summaries(&mut session, "TRUE").await
    }
}

/// Runs all at once until each has ended or one has failed.
async fn all<F: Future<Output = Result<(), ColumnError>>>(work: impl Iterator<Item = F>) -> Result<(), ColumnError> {
    let mut running: Vec<_> = work.map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for slot in &mut running {
            let Some(future) = slot else { continue };
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(Ok(())) => *slot = None,
                std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(Err(error)),
                std::task::Poll::Pending => pending = true,
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
    })
    .await
}
