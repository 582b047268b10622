//! Statements that SQL-level PREPARE gave a name, as far as they read or write protected columns: the server has a
//! placeholder under the name, which fails if it is executed, and the proxy has the text.

use std::collections::HashMap;

use super::decision::{Attempt, Decision, Desk, Send};
use super::statement::Reading;
use crate::client_error::{ClientError, Complaint};
use crate::plan::{ByName, KeptText, QueryPlan, SpliceKind};
use crate::wire::command::Command;

/// The named statements of a connection.
#[derive(Debug, Default)]
pub(super) struct NamedStatements {
    by_name: HashMap<Box<str>, Kept>,
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
enum Change {
    Keep(Box<str>, Kept),
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
            Some(Change::Keep(name, kept)) => drop(self.by_name.insert(name, kept)),
            Some(Change::Forget(name)) => drop(self.by_name.remove(&name)),
            None => {}
        }
    }

    /// Statements may have been prepared or deallocated unseen. What the server has under the names that were kept fails.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Desk {
    /// EXECUTE of a statement that the proxy keeps; `None` for anything else.
    pub(super) fn execute_by_name(&mut self, sql: &[u8], attempt: Attempt) -> Option<Decision> {
        if self.named.by_name.is_empty() {
            return None;
        }
        let reading = self.reading().ok()?;
        let ByName::Execute { name, variables } = ByName::of(sql, &reading.dialect) else { return None };
        let kept = self.named.by_name.get(&name)?;
        if kept.reading != reading {
            return Some(Decision::Refuse(Complaint::NeedsReprepare.into()));
        }
        // With another number of variables the placeholder is an error of the server's.
        let text = kept.text.with_variables(&variables, &reading.dialect)?;
        let mut decision = self.query(&text, attempt);
        if let Decision::Forward { send, .. } = &mut decision
            && *send == Send::AsItCame
        {
            self.out.clear();
            self.out.push(Command::QUERY);
            self.out.extend_from_slice(&text);
            *send = Send::Rewritten;
        }
        Some(decision)
    }

    /// A statement by text is about to be sent: keeps what PREPARE gives, and knows what becomes of names.
    pub(super) fn note_names(&mut self, sql: &[u8], reading: &Reading, plan: &QueryPlan) -> Result<(), ClientError> {
        let text = kept(plan);
        if text.is_none() && self.named.by_name.is_empty() {
            return Ok(());
        }
        match (ByName::of(sql, &reading.dialect), text) {
            (ByName::Prepare { name }, text) => {
                // The server forgets what it had under the name, whatever comes of the new one.
                self.named.by_name.remove(&name);
                let limits = &self.shared.settings.limits;
                let kept: usize = self.named.by_name.values().map(|kept| kept.text.sql.len()).sum();
                let octets = kept.saturating_add(text.map_or(0, |text| text.sql.len()));
                if self.named.by_name.len() >= limits.prepared_max || octets > limits.long_data_bytes_max {
                    return Err(Complaint::TooManyPrepared.into());
                }
                let keep = |text: &KeptText| Kept { text: text.clone(), reading: reading.clone() };
                self.named.change = text.map(|text| Change::Keep(name, keep(text)));
            }
            (ByName::Deallocate { name }, None) => self.named.change = Some(Change::Forget(name)),
            (ByName::Unseen, None) => self.named.forget(),
            (ByName::Execute { .. } | ByName::Other, None) => {}
            (ByName::Deallocate { .. } | ByName::Execute { .. } | ByName::Unseen | ByName::Other, Some(_)) => {
                return Err(Complaint::Malformed.into());
            }
        }
        Ok(())
    }
}
