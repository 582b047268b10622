//! What becomes of a statement, in words and without a value: for `candado explain`, for `EXPLAIN CANDADO` over a
//! connection, and for the report of shadow mode.
//!
//! Says what [`crate::plan`] has decided and decides nothing. Who may hear it is the caller's to know; what is said to a
//! client is never more than what the statement itself would tell it.

mod shadow;
mod sketch;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::client_error::ClientError;
use crate::firewall::{UNKNOWN, Vocabulary};
use crate::plan::{Admitted, CellAction, Refusal, Splice, SpliceKind};
use crate::policy::{ColumnId, Policy};
use crate::sql::{self, Dialect};

pub use shadow::{Occasion, Sent, ShadowHead, ShadowLine, ShadowTable, ShadowTotals};
use sketch::text;
pub use sketch::{Names, of_text};

/// What becomes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes out as it came.
    Relayed,
    /// Values or comparisons in it are replaced.
    Rewritten,
    /// It is not sent.
    Refused,
}

impl Verdict {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::Rewritten => "rewritten",
            Self::Refused => "refused",
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Whoever has the statements and the configuration: hears of the firewall's rule, too.
    Operator,
    /// Whoever may connect: hears what the refusal would tell him.
    Client,
    /// Whoever reads a report of other people's statements: hears of the rule, and no name that the schema does not know.
    Reader(Vocabulary<'a>),
}

impl<'a> Audience<'a> {
    fn names(self) -> Names<'a> {
        match self {
            Self::Operator | Self::Client => Names::AsWritten,
            Self::Reader(vocabulary) => Names::Known(vocabulary),
        }
    }
}

/// What is said about one statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Its text with placeholders, unless it is refused: a text that cannot be read cannot be stripped of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Columns whose values are sealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<String>,
    /// Columns whose blind index answers a comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index: Vec<String>,
    /// Columns whose values are opened in the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opens: Vec<String>,
    /// Columns of which masks are shown in the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<String>,
    /// Columns that are shown in the result as envelopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub envelopes: Vec<String>,
    /// The error that the client gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorShown>,
}

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorShown {
    /// MySQL's error code.
    pub code: u16,
    /// Its SQLSTATE.
    pub sqlstate: String,
    /// The whole text.
    pub text: String,
    /// The end of the text that says what to do instead, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Explained {
    /// What a decision means.
    pub fn of(decision: &Result<Admitted<'_>, Refusal>, policy: &Policy, audience: Audience<'_>) -> Self {
        match decision {
            Ok(admitted) => Self::admitted(admitted, policy, audience),
            Err(refusal) => Self::refused(refusal, audience),
        }
    }

    fn admitted(admitted: &Admitted<'_>, policy: &Policy, audience: Audience<'_>) -> Self {
        let plan = admitted.plan();
        let (mut seals, mut index) = (Vec::new(), Vec::new());
        let (mut opens, mut masks, mut envelopes) = (Vec::new(), Vec::new(), Vec::new());
        for splice in plan.splices.iter().flat_map(Splice::parts) {
            match &splice.kind {
                SpliceKind::Seal(_) => note(policy, splice.column, &mut seals),
                SpliceKind::Search { .. } => note(policy, splice.column, &mut index),
                SpliceKind::Constant(_) | SpliceKind::Operand | SpliceKind::NullIf { .. } => {}
                // Prefixes of both are compared, by no index of the server's.
                SpliceKind::Match { .. }
                | SpliceKind::Tag { .. }
                | SpliceKind::AnyOf { .. }
                | SpliceKind::Sorted(_)
                | SpliceKind::Joined(_)
                | SpliceKind::Set(_)
                | SpliceKind::Kept(_) => {}
                SpliceKind::Rows { .. } => {}
            }
        }
        for cell in plan.outputs.cells() {
            match cell {
                CellAction::Relay => {}
                CellAction::Open(grant) => note(policy, grant.column(), &mut opens),
                CellAction::Mask(grant, _) => note(policy, grant.column(), &mut masks),
                CellAction::Ciphertext(column) => note(policy, *column, &mut envelopes),
            }
        }
        let is_sent_as_written = plan.splices.is_empty() && plan.bound.is_none();
        let verdict = if is_sent_as_written { Verdict::Relayed } else { Verdict::Rewritten };
        let text = Some(text(admitted, audience.names()));
        Self { verdict, text, seals, index, opens, masks, envelopes, error: None }
    }

    fn refused(refusal: &Refusal, audience: Audience<'_>) -> Self {
        let error = ClientError::from(refusal);
        let text = match (refusal, audience) {
            (Refusal::Firewall { rule }, Audience::Operator | Audience::Reader(_)) => {
                format!("{} (firewall rule {rule})", error.text)
            }
            (Refusal::UnknownName { name }, Audience::Reader(_)) => {
                ClientError::from(&Refusal::UnknownName { name: name.called(UNKNOWN) }).text
            }
            (
                Refusal::Firewall { .. }
                | Refusal::Denied { .. }
                | Refusal::Administration
                | Refusal::Unsupported { .. }
                | Refusal::UnknownName { .. }
                | Refusal::NotReady,
                Audience::Operator | Audience::Client | Audience::Reader(_),
            ) => error.text,
        };
        let sqlstate = error.sqlstate.iter().copied().map(char::from).collect();
        let remedy = refusal.remedy().map(str::to_owned);
        Self {
            verdict: Verdict::Refused,
            text: None,
            seals: Vec::new(),
            index: Vec::new(),
            opens: Vec::new(),
            masks: Vec::new(),
            envelopes: Vec::new(),
            error: Some(ErrorShown { code: error.code, sqlstate, text, remedy }),
        }
    }

    /// Everything that is said, part by part: its name, and the text.
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = vec![("outcome", self.verdict.name().to_owned())];
        parts.extend(self.text.iter().map(|text| ("sent", text.clone())));
        for (part, columns) in [
            ("seals", &self.seals),
            ("index", &self.index),
            ("opens", &self.opens),
            ("masks", &self.masks),
            ("envelopes", &self.envelopes),
        ] {
            if !columns.is_empty() {
                parts.push((part, columns.join(", ")));
            }
        }
        if let Some(error) = &self.error {
            parts.push(("error", format!("{} ({})", error.code, error.sqlstate)));
            parts.push(("reason", error.reason().to_owned()));
            parts.extend(error.remedy.iter().map(|remedy| ("remedy", remedy.clone())));
        }
        parts
    }
}

impl ErrorShown {
    /// The text without the remedy.
    pub fn reason(&self) -> &str {
        let before = |remedy: &String| self.text.strip_suffix(remedy.as_str())?.strip_suffix("; ");
        self.remedy.as_ref().and_then(before).unwrap_or(&self.text)
    }
}

fn note(policy: &Policy, column: ColumnId, names: &mut Vec<String>) {
    let name = policy.column(column).map(|found| found.column.to_string()).unwrap_or_default();
    if !names.contains(&name) {
        names.push(name);
    }
}

/// The statement that a statement asks about with `EXPLAIN CANDADO` before it. `None` for every other one: `EXPLAIN
/// candado` alone describes a table of that name, and so does a name in backquotes.
///
/// What it does not find is refused by the planner, so that the text never goes to the server.
pub fn asked<'a>(sql: &'a [u8], dialect: &Dialect) -> Option<&'a [u8]> {
    // Nearly every statement ends here.
    let first = sql.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if first.is_ascii_alphabetic() && !first.eq_ignore_ascii_case(&b'E') || !names_candado(sql) {
        return None;
    }
    let mut tokens = Vec::new();
    if sql::lex(sql, dialect, &mut tokens).is_err() {
        // It cannot be read, and the answer will say so.
        return asked_unread(sql);
    }
    match tokens.as_slice() {
        [explain, candado, first, ..]
            if explain.is_word(sql, "EXPLAIN")
                && candado.is_word(sql, "CANDADO")
                && first.kind != sql::TokenKind::Semicolon =>
        {
            sql.get(usize::try_from(first.start).ok()?..)
        }
        _ => None,
    }
}

fn names_candado(sql: &[u8]) -> bool {
    const REST: &[u8] = b"andado";
    memchr::memchr2_iter(b'c', b'C', sql).any(|at| {
        let start = at.saturating_add(1);
        sql.get(start..start.saturating_add(REST.len())).is_some_and(|rest| rest.eq_ignore_ascii_case(REST))
    })
}

fn asked_unread(sql: &[u8]) -> Option<&[u8]> {
    let (explain, rest) = word(sql)?;
    let (candado, rest) = word(rest)?;
    (explain.eq_ignore_ascii_case(b"EXPLAIN") && candado.eq_ignore_ascii_case(b"CANDADO")).then_some(rest)
}

/// The first word between blanks, and what follows it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace)?;
    text.split_at_checked(end)
}
