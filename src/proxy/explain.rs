//! `EXPLAIN CANDADO <statement>`: what would become of the statement, as a result set of the proxy's own.
//!
//! The server hears nothing of it. The planner decides under the session's own account, database and SQL mode, so that a
//! client learns no more than the statement itself would have told it.

use super::acquaintance::Acquaintance;
use super::decision::{Attempt, Decision, Desk};
use super::snapshot::Snapshot;
use super::statement::{Judged, Reading};
use crate::events::Outcome;
use crate::explain::{Audience, Explained};
use crate::plan::{self, Admitted, Inspection, Lookup, Refusal};
use crate::rewrite;
use crate::wire::ok::Status;
use crate::wire::result_set::{self, Frame};

/// The result set's columns.
const COLUMNS: [&str; 2] = ["part", "text"];

impl Desk {
    /// Decides about the statement that is asked about, and does nothing with it.
    pub(super) fn explain(
        &mut self,
        asked: &[u8],
        reading: &Reading,
        snapshot: &Snapshot,
        attempt: Attempt,
    ) -> Decision {
        if self.state.results_collation.is_none() {
            return Decision::WithFreshState;
        }
        // Whoever tries out what the firewall lets through is seen doing it.
        let decision = self.look(asked, reading, snapshot, Outcome::Explained);
        if let (Err(Refusal::UnknownName { .. }), Attempt::First) = (&decision, attempt) {
            return Decision::WithFreshCatalog;
        }
        Decision::Explain(Box::new(Explained::of(&decision, &snapshot.policy, Audience::Client)))
    }

    /// Decides about a statement whose plan is not carried out. The firewall's verdict is told with that outcome.
    pub(super) fn look<'a>(
        &'a mut self,
        sql: &'a [u8],
        reading: &'a Reading,
        snapshot: &'a Snapshot,
        outcome: Outcome,
    ) -> Result<Admitted<'a>, Refusal> {
        let rights = self.rights(snapshot);
        self.profile(rights.firewall, snapshot, reading.database.as_ref());
        let Self { state, scratch, plans, connection, acquaintance, shared, .. } = self;
        let known = acquaintance.as_ref().filter(|_| rights.firewall.refuses());
        let decision = plan::inspect(
            sql,
            Inspection {
                lookup: Lookup::Again,
                dialect: reading.dialect,
                default_database: reading.database.as_deref(),
                catalog: &snapshot.catalog,
                policy: &snapshot.policy,
                role: rights.role,
                account: &state.account,
                firewall: rights.firewall,
                profile: known.map(Acquaintance::found),
                cache: plans,
                scratch,
            },
        );
        if let Err(Refusal::Firewall { rule }) = &decision {
            let (mode, account) = (rights.firewall, &state.account);
            shared.events.take(&Judged { sql, reading, mode, account, connection, snapshot }.hit(rule, outcome));
        }
        decision
    }

    /// The packets of the answer.
    pub(super) fn explained(&self, explained: &Explained, sequence: u8) -> Vec<u8> {
        let charset = self.state.results.charset();
        let cell = |text: &str| rewrite::result_text(charset, text);
        let rows: Vec<_> = explained.parts().iter().map(|(part, text)| vec![cell(part), cell(text)]).collect();
        let frame = Frame {
            collation_id: self.state.results_collation.unwrap_or_default(),
            end: self.end,
            status: self
                .state
                .status
                .difference(Status::SESSION_STATE_CHANGED | Status::MORE_RESULTS | Status::CURSOR_EXISTS),
        };
        let mut bytes = Vec::new();
        result_set::put(&COLUMNS, &rows, &frame, sequence, &mut bytes);
        bytes
    }
}
