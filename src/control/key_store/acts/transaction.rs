//! The frame of an act: one transaction under the lock of the epoch row, so that acts happen one after the other.

use std::time::Duration;

use uuid::Uuid;

use super::{ActError, ControlError, KeyStore, Run, Session};
use crate::control::key_store::parse_deployment;

/// Limit for one act, a call to the key provider included.
const ACT_LIMIT: Duration = Duration::from_secs(60);

/// What the epoch row says while it is locked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) deployment: Uuid,
    pub(super) epoch: u64,
}

impl KeyStore {
    /// Runs `work` under the lock and commits, or takes everything back if it fails or is a rehearsal.
    pub(super) async fn transaction<T>(
        &self,
        doing: &'static str,
        run: Run,
        work: impl AsyncFnOnce(&mut Session, Header) -> Result<T, ActError>,
    ) -> Result<T, ActError> {
        let end = match run {
            Run::Real => "COMMIT",
            Run::Rehearsal => "ROLLBACK",
        };
        let session = self.pool.session(doing, ACT_LIMIT).await?;
        let locked = async |session: &mut Session| {
            let header = self.lock(session).await?;
            work(session, header).await
        };
        session.transaction_until(end, locked).await
    }

    async fn lock(&self, session: &mut Session) -> Result<Header, ActError> {
        let sql = format!("SELECT deployment, epoch FROM {}.epoch WHERE id = 1 FOR UPDATE", self.schema);
        let rows: Vec<(String, u64)> = session.rows(&sql).await.map_err(ControlError::or_not_initialised)?;
        let (deployment, epoch) = rows.into_iter().next().ok_or(ControlError::NotInitialised)?;
        Ok(Header { deployment: parse_deployment(&deployment)?, epoch })
    }
}
