//! Statements that SQL-level PREPARE gave a name. Of those that read or write protected columns the server has a
//! placeholder under the name, which fails if it is executed, and the proxy has the text. All others the server has
//! itself, and runs at EXECUTE whatever policy says by then: their text is remembered, and looked at again when anything
//! that decided about it has changed.

use std::collections::HashMap;

use super::decision::{Attempt, Decision, Desk, Send};
use super::prepared::Versions;
use super::snapshot::Snapshot;
use super::statement::Reading;
use crate::client_error::{ClientError, Complaint};
use crate::plan::{self, ByName, Effect, Inspection, KeptText, Lookup, Naming, Outputs, QueryPlan, SpliceKind};
use crate::schema::Charset;
use crate::sql::Dialect;
use crate::wire::command::Command;

/// The named statements of a connection.
#[derive(Debug, Default)]
pub(super) struct NamedStatements {
    /// Those whose text the proxy has.
    kept: HashMap<Box<str>, Kept>,
    /// Those that the server has.
    relayed: HashMap<Box<str>, Relayed>,
    /// What the server may have under other names.
    others: Others,
    /// What becomes of them if the answer that is under way is no error.
    change: Option<Change>,
}

#[derive(Debug)]
struct Kept {
    text: KeptText,
    /// What it was prepared under.
    reading: Reading,
}

#[derive(Debug)]
struct Relayed {
    /// `None`: not known, or too long to be remembered.
    text: Option<Box<[u8]>>,
    /// What it was prepared under.
    reading: Reading,
    /// What was in force when it was last decided about.
    made_under: Versions,
}

/// What the server may have under names that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Others {
    /// No statement.
    #[default]
    Nothing,
    /// Statements that a procedure or the like prepared unseen.
    Anything,
}

#[derive(Debug)]
enum Change {
    Keep(Box<str>, Kept),
    Relay(Box<str>, Relayed),
    Forget(Box<str>),
}

/// The text that PREPARE gives to the proxy.
pub(super) fn kept(plan: &QueryPlan) -> Option<&KeptText> {
    plan.splices.iter().find_map(|splice| if let SpliceKind::Kept(text) = &splice.kind { Some(text) } else { None })
}

impl NamedStatements {
    /// Another command was sent or refused; nothing is under way.
    pub(super) fn nothing_under_way(&mut self) {
        self.change = None;
    }

    /// The answer that was under way is no error.
    pub(super) fn succeeded(&mut self) {
        match self.change.take() {
            Some(Change::Keep(name, kept)) => drop(self.kept.insert(name, kept)),
            Some(Change::Relay(name, relayed)) => drop(self.relayed.insert(name, relayed)),
            Some(Change::Forget(name)) => self.remove(&name),
            None => {}
        }
    }

    /// The session was reset, and the server's statements are gone.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Statements may have been prepared or deallocated unseen. What the server has under the names that were kept fails.
    fn unseen(&mut self) {
        *self = Self { others: Others::Anything, ..Self::default() };
    }

    fn remove(&mut self, name: &str) {
        self.kept.remove(name);
        self.relayed.remove(name);
    }

    /// How many statements are known beside that one, and the bytes of their texts.
    fn beside(&self, name: &str) -> (usize, usize) {
        let kept = self.kept.iter().map(|(known, kept)| (known, kept.text.sql.len()));
        let relayed = self.relayed.iter().map(|(known, it)| (known, it.text.as_ref().map_or(0, |text| text.len())));
        let others = kept.chain(relayed).filter(|(known, _)| ***known != *name);
        others.fold((0, 0), |(count, octets), (_, length)| (count + 1, octets.saturating_add(length)))
    }
}

impl Desk {
    /// EXECUTE of a statement that the proxy keeps; `None` for anything else.
    pub(super) fn execute_by_name(&mut self, sql: &[u8], attempt: Attempt) -> Option<Decision> {
        if self.named.kept.is_empty() {
            return None;
        }
        let reading = self.reading().ok()?;
        let ByName::Execute { name, variables } = ByName::of(sql, &reading.dialect) else { return None };
        let kept = self.named.kept.get(&name)?;
        if kept.reading != reading {
            return Some(Decision::Refuse(Complaint::NeedsReprepare.into()));
        }
        // With another number of variables the placeholder is an error of the server's.
        let text = kept.text.with_variables(&variables?, &reading.dialect)?;
        Some(self.run_kept(&text, attempt))
    }

    /// EXECUTE IMMEDIATE of a text that is not for the server as it is; `None` for anything else. With another number of
    /// variables the placeholder is an error of the server's.
    pub(super) fn execute_at_once(
        &mut self,
        sql: &[u8],
        reading: &Reading,
        plan: &QueryPlan,
        attempt: Attempt,
    ) -> Option<Decision> {
        let kept = kept(plan)?;
        let ByName::AtOnce { variables } = ByName::of(sql, &reading.dialect) else { return None };
        let text = kept.with_variables(&variables?, &reading.dialect)?;
        Some(self.run_kept(&text, attempt))
    }

    /// Decides about a kept text as a statement of its own.
    fn run_kept(&mut self, text: &[u8], attempt: Attempt) -> Decision {
        let mut decision = self.query(text, attempt);
        if let Decision::Forward { send, .. } = &mut decision
            && *send == Send::AsItCame
        {
            self.out.clear();
            self.out.push(Command::QUERY);
            self.out.extend_from_slice(text);
            *send = Send::Rewritten;
        }
        decision
    }

    /// A statement is about to be sent: keeps what PREPARE gives, knows what becomes of names, and refuses an EXECUTE of
    /// what would not be prepared today.
    pub(super) fn note_names(
        &mut self,
        sql: &[u8],
        reading: &Reading,
        plan: &QueryPlan,
        snapshot: &Snapshot,
    ) -> Result<(), ClientError> {
        if plan.named == Naming::No {
            return Ok(());
        }
        match (ByName::of(sql, &reading.dialect), kept(plan)) {
            (ByName::Prepare { name, text }, kept) => self.note_prepare(name, text, kept, reading, snapshot)?,
            // Another name may be gone with it.
            (ByName::Deallocate { name }, None) if !plan::is_one_of_its_own(&name) => self.named.unseen(),
            (ByName::Deallocate { name }, None) => self.named.change = Some(Change::Forget(name)),
            (ByName::Execute { name, .. }, None) => self.check_relayed(&name, reading, snapshot)?,
            (ByName::Unseen | ByName::AtOnce { .. }, None) => self.named.unseen(),
            // It is a placeholder that fails.
            (ByName::AtOnce { .. }, Some(_)) | (ByName::Other, None) => {}
            (ByName::Deallocate { .. } | ByName::Execute { .. } | ByName::Unseen | ByName::Other, Some(_)) => {
                return Err(Complaint::Malformed.into());
            }
        }
        Ok(())
    }

    fn note_prepare(
        &mut self,
        name: Box<str>,
        text: Option<Box<[u8]>>,
        kept: Option<&KeptText>,
        reading: &Reading,
        snapshot: &Snapshot,
    ) -> Result<(), ClientError> {
        let limits = &self.shared.settings.limits;
        let (count, octets) = self.named.beside(&name);
        let fits = |length: usize| octets.saturating_add(length) <= limits.long_data_bytes_max;
        if count >= limits.prepared_max || !kept.is_none_or(|kept| fits(kept.sql.len())) {
            return Err(Complaint::TooManyPrepared.into());
        }
        // The server may take another name for the same one. Nothing is kept under such a name.
        if !plan::is_one_of_its_own(&name) {
            self.named.unseen();
            return Ok(());
        }
        let change = match kept {
            Some(kept) => Change::Keep(name.clone(), Kept { text: kept.clone(), reading: reading.clone() }),
            None => {
                let text = text.filter(|text| fits(text.len()));
                let reading = Reading { dialect: of_text(reading.dialect), ..reading.clone() };
                Change::Relay(name.clone(), Relayed { text, reading, made_under: Versions::of(snapshot) })
            }
        };
        // The server forgets what it had under the name, whatever comes of the new one.
        self.named.remove(&name);
        self.named.change = Some(change);
        Ok(())
    }

    /// EXECUTE of what the server holds: it was decided about at its PREPARE, which holds while nothing has changed.
    fn check_relayed(&mut self, name: &str, reading: &Reading, snapshot: &Snapshot) -> Result<(), ClientError> {
        let now = Versions::of(snapshot);
        let nothing_protected = snapshot.policy.columns().is_empty();
        let Some(relayed) = self.named.relayed.remove(name) else {
            let holds_some = !self.named.kept.is_empty() || !self.named.relayed.is_empty();
            let may_be_another = !plan::is_one_of_its_own(name) && holds_some;
            let may_be_there = self.named.others == Others::Anything || may_be_another;
            let unknown = !self.named.kept.contains_key(name) && may_be_there;
            return if unknown && !nothing_protected { Err(Complaint::NeedsReprepare.into()) } else { Ok(()) };
        };
        // The server reads the text again, in the mode of now, when a table has changed.
        let then = Reading { dialect: of_text(reading.dialect), database: relayed.reading.database.clone() };
        let unchanged = relayed.made_under == now && relayed.reading == then;
        let allowed = unchanged
            || match &relayed.text {
                Some(text) => [&relayed.reading, &then].into_iter().all(|as_of| self.is_relayed(text, as_of, snapshot)),
                None => nothing_protected,
            };
        let kept = if allowed { Relayed { made_under: now, ..relayed } } else { relayed };
        self.named.relayed.insert(name.into(), kept);
        if allowed { Ok(()) } else { Err(Complaint::NeedsReprepare.into()) }
    }

    /// Whether a text would go to the server as it is.
    fn is_relayed(&mut self, sql: &[u8], reading: &Reading, snapshot: &Snapshot) -> bool {
        let rights = self.rights(snapshot);
        let profile = self.profile(rights.firewall, snapshot, reading.database.as_ref());
        let inspection = Inspection {
            dialect: reading.dialect,
            default_database: reading.database.as_deref(),
            catalog: &snapshot.catalog,
            policy: &snapshot.policy,
            role: rights.role,
            account: &self.state.account,
            firewall: rights.firewall,
            profile: profile.as_deref(),
            lookup: Lookup::First,
            cache: &self.plans,
            scratch: &mut self.scratch,
        };
        plan::inspect(sql, inspection).is_ok_and(|admitted| {
            let plan = admitted.plan();
            plan.is_as_written() && plan.outputs == Outputs::Relay && plan.effect == Effect::None
        })
    }
}

/// How a text in the proxy's own character set is read.
fn of_text(dialect: Dialect) -> Dialect {
    Dialect { charset: Charset::Utf8mb4, ..dialect }
}
