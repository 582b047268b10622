//! Shadow mode: every statement goes out as it came and every answer passes, as if there were no proxy; what would become
//! of the statements is counted.
//!
//! Nothing is sealed here and nothing opened, so it is for columns alone in which no envelope stands. That is asked before
//! every statement, of the snapshot that it begins with; and near protected columns nothing passes while the write lease is
//! over, because a proxy that is not heard of is not waited for when a conversion begins.

use std::sync::Arc;

use super::decision::{After, Attempt, Cells, Decision, Desk, Guard, Pending, Send, Then, refuse_or_retry};
use super::prepared::{PiecesSent, Prepared, Text, Versions};
use super::snapshot::{ShadowBar, Snapshot};
use super::state::may_stop_tracking;
use super::statement::{NotSent, Reading, is_protected};
use crate::client_error::{ClientError, Complaint};
use crate::events::Outcome;
use crate::explain::{Occasion, Sent, ShadowTable};
use crate::plan::{Effect, QueryPlan, Refusal};
use crate::rewrite::{LongData, ParamTypes};
use crate::sql::{self, StatementClass};
use crate::wire::response::{Response, RowFormat};

impl Desk {
    /// Whether statements may be relayed as they are.
    pub(super) fn check_shadow(&self, snapshot: &Snapshot) -> Result<(), ClientError> {
        match snapshot.check_shadow() {
            Ok(()) => Ok(()),
            Err(ShadowBar::Unknown) => Err(Complaint::KeysNotLoaded.into()),
            Err(bar @ (ShadowBar::Stage { .. } | ShadowBar::Bytes { .. })) => {
                // The alarm was given when it came to be so.
                tracing::info!(connection = self.connection.id, %bar, "shadow mode is over");
                Err(Complaint::ShadowOver.into())
            }
        }
    }

    /// COM_QUERY.
    pub(super) fn query_in_shadow(
        &mut self,
        shadow: &ShadowTable,
        sql: &[u8],
        reading: &Reading,
        snapshot: &Arc<Snapshot>,
    ) -> Decision {
        match self.observe_in_shadow(shadow, sql, reading, snapshot, Occasion::Executed) {
            Ok(then) => {
                let pending = pending(Response::Header(RowFormat::Text), then, snapshot);
                Decision::Forward { send: Send::AsItCame, pending }
            }
            Err(not_sent) => refuse_or_retry(not_sent, self.attempt),
        }
    }

    /// COM_STMT_PREPARE.
    pub(super) fn prepare_in_shadow(
        &mut self,
        shadow: &ShadowTable,
        sql: &[u8],
        reading: Reading,
        snapshot: &Arc<Snapshot>,
    ) -> Decision {
        if let Err(not_sent) = self.observe_in_shadow(shadow, sql, &reading, snapshot, Occasion::Prepared) {
            return refuse_or_retry(not_sent, self.attempt);
        }
        let prepared = Prepared {
            sql: sql.into(),
            reading,
            plan: Arc::new(QueryPlan::relay(Effect::None, 0)),
            map: None,
            names: Arc::default(),
            asked: None,
            types: ParamTypes::default(),
            long_data: LongData::default(),
            failed: None,
            made_under: Versions::of(snapshot),
            text: Text::AsWritten,
            // Both come with the answer.
            server_id: 0,
            columns: 0,
            copies: None,
            pieces_sent: PiecesSent::No,
            cursor: None,
        };
        let pending = pending(Response::Prepared, Then::default(), snapshot);
        let pending = Pending { prepared: Some(Box::new(prepared)), ..pending };
        Decision::Forward { send: Send::AsItCame, pending }
    }

    /// COM_STMT_EXECUTE.
    pub(super) fn execute_in_shadow(
        &mut self,
        shadow: &ShadowTable,
        payload: &[u8],
        prepared: &Prepared,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Decision, NotSent> {
        let (sql, reading) = (&prepared.sql, &prepared.reading);
        let then = self.observe_in_shadow(shadow, sql, reading, snapshot, Occasion::Executed)?;
        let send = self.redirect(payload, prepared.server_id);
        Ok(Decision::Forward { send, pending: pending(Response::Header(RowFormat::Binary), then, snapshot) })
    }

    /// Decides, counts the decision, and does nothing of it. Gives what the statement changes for later ones.
    fn observe_in_shadow(
        &mut self,
        shadow: &ShadowTable,
        sql: &[u8],
        reading: &Reading,
        snapshot: &Snapshot,
        occasion: Occasion,
    ) -> Result<Then, NotSent> {
        let (attempt, shared) = (self.attempt, self.shared.clone());
        let role = self.rights(snapshot).role;
        let decision = self.look(sql, reading, snapshot, Outcome::Shadow);
        if let (Err(Refusal::UnknownName { .. }), Attempt::First) = (&decision, attempt) {
            return Err(NotSent::UnknownName(Complaint::CatalogNotLoaded.into()));
        }
        let is_near = decision.as_ref().map_or(true, |admitted| is_protected(admitted.plan()));
        if is_near && !shared.lease.holds() {
            return Err(NotSent::WithoutLease);
        }
        // What will be protected can be learned before it is.
        if let Ok(admitted) = &decision {
            admitted.note_sent();
        }
        let database = reading.database.as_deref();
        let catalog = &snapshot.catalog;
        let sent = Sent { sql, dialect: reading.dialect, database, role, catalog };
        shadow.note(sent, &decision, &snapshot.policy, occasion);
        let effect = match &decision {
            Ok(admitted) => admitted.plan().effect,
            Err(_) if is_dml(sql, reading) => Effect::None,
            Err(_) => Effect::Catalog,
        };
        let mut after = After::empty();
        after.set(After::CATALOG, effect == Effect::Catalog);
        after.set(After::PROBE, may_stop_tracking(sql));
        Ok(Then { database: None, after })
    }
}

/// An answer that passes, unless it brings bytes of a protected column.
fn pending(response: Response, then: Then, snapshot: &Arc<Snapshot>) -> Pending {
    let guard = (!snapshot.policy.columns().is_empty()).then(|| Guard::ProtectedBytes(snapshot.clone()));
    Pending { response, cells: Cells::Relay(guard), then, prepared: None }
}

fn is_dml(sql: &[u8], reading: &Reading) -> bool {
    let mut tokens = Vec::new();
    let read = sql::lex(sql, &reading.dialect, &mut tokens).is_ok();
    read && sql::statement_class(sql, &tokens) == StatementClass::Dml
}
