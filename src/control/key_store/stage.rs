//! Changes of a column's stage: compare-and-set, under a new epoch, so that every proxy learns of it.
//!
//! Which change may follow which, and what must be waited for afterwards, is the engine's knowledge (`control::column`).

use std::sync::Arc;

use serde_json::json;

use super::{ControlError, KeyStore};
use crate::control::record::{Actor, Entry, Recorder};
use crate::crypto::Stage;

/// One column's step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct StageChange {
    /// The column's context in policy.
    pub(in crate::control) context: Arc<str>,
    /// Where it must be now. `None`: the key store says nothing of the column.
    pub(in crate::control) from: Option<Stage>,
    /// Where it goes.
    pub(in crate::control) to: Stage,
}

impl KeyStore {
    /// Moves columns from stage to stage, all or none, and returns the new epoch. A column that is not where it should
    /// be fails with [`ControlError::StageMoved`], and nothing has changed then. Every step is recorded.
    pub(in crate::control) async fn set_stages(
        &self,
        changes: &[StageChange],
        actor: &Actor,
        recorder: &Recorder,
    ) -> Result<u64, ControlError> {
        let mut session = self.session("change the stage of a column").await?;
        session.control("START TRANSACTION").await?;
        // The epoch's row is locked first, as every other change of the key store does.
        let raise = format!("UPDATE {}.epoch SET epoch = epoch + 1 WHERE id = 1", self.schema);
        session.execute(&raise).await?;
        for StageChange { context, from, to } in changes {
            let changed = match from {
                None => {
                    let sql = format!(
                        "INSERT IGNORE INTO {}.column_stage (context, stage, changed_at) \
                         VALUES (?, ?, UTC_TIMESTAMP(6))",
                        self.schema
                    );
                    session.change(&sql, (context.as_bytes(), to.name())).await?
                }
                Some(from) => {
                    let sql = format!(
                        "UPDATE {}.column_stage SET stage = ?, changed_at = UTC_TIMESTAMP(6), \
                         row_version = row_version + 1 WHERE context = ? AND stage = ?",
                        self.schema
                    );
                    session.change(&sql, (to.name(), context.as_bytes(), from.name())).await?
                }
            };
            if changed.rows != 1 {
                session.abandon().await;
                return Err(ControlError::StageMoved { context: context.to_string() });
            }
            let stage = |stage: &Stage| json!({ "stage": stage.name() });
            let entry = Entry {
                actor: actor.clone(),
                act: "column.stage",
                subject: format!("column {context}"),
                before: from.as_ref().map_or(serde_json::Value::Null, stage),
                after: stage(to),
            };
            recorder.append(&mut session, &entry).await?;
        }
        let (_, epoch) = self.header(&mut session).await.map_err(ControlError::or_not_initialised)?;
        session.control("COMMIT").await?;
        Ok(epoch)
    }
}
