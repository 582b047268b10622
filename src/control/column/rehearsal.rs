//! What can be done with a job besides running it: telling beforehand what it would do, letting it rest, giving it up.

use super::ColumnError;
use super::ddl;
use super::engine::Engine;
use super::job::{Job, Pause, Phase, Verb};
use super::preflight::Remark;
use crate::crypto::Stage;
use crate::schema::{ColumnRef, TableRef};

/// What a job would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The table.
    pub table: TableRef,
    /// Its columns, with the stage that each is at; `None`: the key store does not know it, so proxies take it for sealed.
    pub columns: Vec<(ColumnRef, Option<Stage>)>,
    /// What preflight finds.
    pub remarks: Vec<Remark>,
    /// Statements before rows are converted.
    pub before: Vec<String>,
    /// Statements after.
    pub after: Vec<String>,
}

/// What to do after a job was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The job's number.
    pub job: u64,
    /// In sentences.
    pub text: String,
}

impl Engine {
    /// Tells what [`Engine::run`] would find and do. Changes nothing.
    pub async fn rehearse(&self, verb: Verb, columns: &[ColumnRef]) -> Result<Rehearsal, ColumnError> {
        let (table, ids) = self.resolve(columns)?;
        let loaded = self.load(&ids).await?;
        let protected = self.protected(&ids);
        self.first_stages(verb, &loaded, &protected)?;
        let (remarks, shape) = self.preflight(verb, &loaded, &protected).await?;
        let facts = self.facts(&table).await?;
        let (before, after) = match verb {
            Verb::Encrypt => {
                let prepared = ddl::prepared(&facts, &protected, shape);
                (ddl::prepare(&facts, &protected, shape), ddl::seal(&prepared, &protected))
            }
            Verb::Decrypt => (ddl::unseal(&facts, &protected), ddl::restore(&facts, &protected)),
            Verb::Reencrypt | Verb::Reindex => (Vec::new(), Vec::new()),
        };
        let stage = |context| loaded.stored.stages.get(context).copied();
        let columns = protected.iter().map(|column| (column.column.clone(), stage(&column.context))).collect();
        Ok(Rehearsal { table, columns, remarks, before, after })
    }

    /// Lets the unfinished job of a table rest, in all processes, or go on.
    pub async fn pause(&self, table: &TableRef, pause: Pause) -> Result<u64, ColumnError> {
        let job = self.unfinished(table).await?;
        self.jobs.set_paused(&job, pause, &self.acts).await?;
        Ok(job.id)
    }

    /// Gives the unfinished job of a table up. Its columns stay at their stage, at which every row can be read and
    /// written; nothing that was converted is lost.
    pub async fn abort(&self, table: &TableRef) -> Result<Advice, ColumnError> {
        let job = self.unfinished(table).await?;
        self.jobs.advance(&job, Phase::Aborted, &self.acts).await?;
        Ok(Advice { job: job.id, text: advice(&job) })
    }

    async fn unfinished(&self, table: &TableRef) -> Result<Job, ColumnError> {
        let job = self.jobs.unfinished(table).await?;
        job.ok_or_else(|| ColumnError::NoJob { table: table.to_string() })
    }
}

fn advice(job: &Job) -> String {
    let columns: Vec<String> = job.columns.iter().map(|name| format!("{}.{name}", job.table)).collect();
    let columns = columns.join(" ");
    match (job.verb, job.phase) {
        (Verb::Encrypt, Phase::Prepare) => format!(
            "nothing is encrypted, and nothing will be written encrypted. The table may have columns of bytes already: \
             they hold the same text. Go on with `candado column encrypt {columns}`, or give the columns their type back"
        ),
        (Verb::Encrypt, _) => format!(
            "the columns stay at stage `encrypting`: what is written is sealed, older rows may be plaintext, and both are \
             read and searched. Go on with `candado column encrypt {columns}`, or back with `candado column decrypt \
             {columns}`"
        ),
        (Verb::Decrypt, Phase::Prepare) => format!(
            "the columns are sealed as before. The constraint that keeps plaintext out may be gone: `candado check` prints \
             it. Go on with `candado column decrypt {columns}`"
        ),
        (Verb::Decrypt, _) => format!(
            "the columns stay at stage `decrypting`: what is written is plaintext, older rows may be sealed, and both are \
             read and searched. Go on with `candado column decrypt {columns}`, or back with `candado column encrypt \
             {columns}`"
        ),
        (Verb::Reencrypt | Verb::Reindex, _) => {
            "the columns are sealed as before, some rows under newer keys. Older keys stay needed".to_owned()
        }
    }
}
