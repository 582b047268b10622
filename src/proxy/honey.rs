//! The alarm that a result raises which shows bait, or would if policy did not refuse it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::decision::Desk;
use super::snapshot::Snapshot;
use super::statement::Opening;
use crate::audit::{Asked, Tally};
use crate::events::{Events, Outcome, Sighting};
use crate::policy::{Account, FirewallMode};
use crate::schema::ColumnRef;

/// Watches the rows of one answer. There is none if policy has no honey.
pub(super) struct Sentinel {
    events: Arc<Events>,
    snapshot: Arc<Snapshot>,
    account: Account,
    mode: FirewallMode,
    role: Arc<str>,
    client: SocketAddr,
    asked: Option<Arc<Asked>>,
    database: Option<Arc<str>>,
    connection: u64,
    statement: u64,
    raised: Raised,
}

/// Whether this answer has raised its alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    No,
    Yes,
}

impl Sentinel {
    /// For the answer to the statement at hand.
    pub(super) fn of(opening: &Opening, desk: &mut Desk) -> Option<Self> {
        if !opening.snapshot.policy.has_honey() {
            return None;
        }
        let rights = desk.rights(&opening.snapshot);
        let (role, mode) = (rights.role, rights.firewall);
        let role = opening.snapshot.policy.role(role).map_or_else(|| "".into(), |role| role.name.clone());
        Some(Self {
            events: desk.shared.events.clone(),
            snapshot: opening.snapshot.clone(),
            account: desk.state.account.clone(),
            mode,
            role,
            client: desk.connection.client,
            asked: opening.asked.clone(),
            database: desk.state.database.clone(),
            connection: desk.connection.id,
            statement: desk.connection.statement(),
            raised: Raised::No,
        })
    }

    /// Looks at what the rows have shown so far, and raises the alarm at the first bait.
    #[inline]
    pub(super) fn look(&mut self, tally: &Tally) {
        if self.raised == Raised::No && tally.baited().next().is_some() {
            let policy = &self.snapshot.policy;
            let column = |(id, _)| policy.column(id).map(|protected| protected.column.to_string());
            let columns = tally.baited().filter_map(column).collect();
            self.raise(columns, Outcome::Shown);
        }
    }

    /// A row is refused for bait of that column. An alarm that bait of another column has raised does not tell of it.
    #[cold]
    pub(super) fn refused(&mut self, column: &ColumnRef) {
        self.raise(vec![column.to_string()], Outcome::Refused);
    }

    #[cold]
    fn raise(&mut self, columns: Vec<String>, outcome: Outcome) {
        self.raised = Raised::Yes;
        self.events.sighted(&Sighting {
            columns,
            outcome,
            mode: self.mode,
            role: &self.role,
            account: &self.account,
            client: self.client,
            database: self.database.as_deref(),
            digest: self.asked.as_ref().map(|asked| asked.digest),
            connection: self.connection,
            statement: self.statement,
        });
    }
}
