//! CALL of a procedure that policy allows: arguments that policy calls values of a column are sealed, and of results those
//! columns are opened that policy says show one. What the procedure does meanwhile is not seen.

use super::analyze::EMPTY_IS_NULL;
use super::inspect::Remember;
use super::judge::Judge;
use super::other::{Words, unsupported};
use super::refusal::{Subject, Verb};
use super::text::Text;
use super::{CellAction, Outputs, QueryPlan, Refusal, Splice, SpliceKind, Value};
use crate::policy::{Access, AllowedRoutine, ColumnId, DecryptGrant};
use crate::sql::tree::TokenRange;
use crate::sql::{SqlMode, TokenKind};

impl Judge<'_> {
    /// Decides a CALL that policy allows; `None` for any other one.
    pub(super) fn allowed_call(
        &self,
        text: &Text<'_>,
        words: &Words<'_>,
        params: u16,
    ) -> Option<(Result<QueryPlan, Refusal>, Remember)> {
        let (database, name) = words.called();
        let routine = self.policy.routine(&database?, &name)?;
        Some((self.call(text, words, routine, params), Remember::Yes))
    }

    fn call(
        &self,
        text: &Text<'_>,
        words: &Words<'_>,
        routine: &AllowedRoutine,
        params: u16,
    ) -> Result<QueryPlan, Refusal> {
        let behind = if text.is_kind(2, TokenKind::Dot) { 4 } else { 2 };
        // A query among the arguments would bring what no declaration speaks of.
        if let Some((_, name)) = text.names().find(|(at, name)| *at >= behind && self.names.has_carrier(name)) {
            return Err(unsupported(&name, "a query in an argument of CALL", "run it by itself, and pass its result"));
        }
        // Who declares nothing leaves open what the procedure reaches.
        match routine.columns().next() {
            Some(_) => routine.columns().try_for_each(|column| self.grant(column).map(drop))?,
            None => {
                let all = (0_u32..).zip(self.policy.columns()).map(|(id, _)| ColumnId(id));
                all.into_iter().try_for_each(|column| self.grant(column).map(drop))?;
            }
        }
        let effect = words.effect_of_call()?;
        let mut splices = Vec::new();
        for (argument, column) in arguments(text, behind).zip(&routine.arguments) {
            if let Some(column) = column {
                splices.extend(self.sealed(text, argument, *column)?);
            }
        }
        let mut shown = routine.results.iter().flatten().flatten();
        if let Some(bound) = shown.find_map(|column| self.policy.column(*column).filter(|found| found.bind.is_some())) {
            return Err(Refusal::Unsupported {
                subject: Subject::Column(bound.column.clone()),
                construct: "a result of CALL with values that are bound to their rows",
                remedy: "select them from the table",
            });
        }
        let cell = |column: &Option<ColumnId>| match column {
            Some(column) => self.grant(*column).map(CellAction::Open),
            None => Ok(CellAction::Relay),
        };
        let results = routine.results.iter().map(|result| result.iter().map(cell).collect::<Result<Vec<_>, _>>());
        let results = results.collect::<Result<Vec<_>, _>>()?;
        let outputs = if results.is_empty() { Outputs::Relay } else { Outputs::Results(results) };
        Ok(QueryPlan { splices, outputs, ..QueryPlan::relay(effect, params) })
    }

    fn grant(&self, column: ColumnId) -> Result<DecryptGrant, Refusal> {
        if let (Access::Plain, Some(grant)) = self.policy.access(self.role, column) {
            return Ok(grant);
        }
        let column = self.policy.column(column).map(|found| found.column.clone());
        Err(match column {
            Some(column) => Refusal::Denied { verb: Verb::Select, column, account: self.account.clone() },
            None => unsupported("", "CALL", "load the policy again"),
        })
    }

    /// An argument that is stored in a column, or compared with it as it is stored. A user variable holds what the
    /// server put there, or takes what the procedure gives out.
    fn sealed(&self, text: &Text<'_>, argument: TokenRange, column: ColumnId) -> Result<Option<Splice>, Refusal> {
        let found = self.policy.column(column);
        let refused = |construct, remedy| Refusal::Unsupported {
            subject: found.map_or(Subject::Data, |found| Subject::Column(found.column.clone())),
            construct,
            remedy,
        };
        if found.is_some_and(|found| found.stated().is_some()) {
            return Err(refused(
                "CALL with a value that has a key for each person or is bound to its row",
                "run the statements one by one",
            ));
        }
        let Ok((first, last)) =
            usize::try_from(argument.first).and_then(|first| Ok((first, usize::try_from(argument.last)?)))
        else {
            return Ok(None);
        };
        let all = |kinds: &[TokenKind]| {
            (first..=last).all(|at| text.tokens.get(at).is_some_and(|token| kinds.contains(&token.kind)))
        };
        let value = if all(&[TokenKind::String, TokenKind::NationalString, TokenKind::Introducer])
            || first == last && all(&[TokenKind::Hex])
        {
            Value::Literal(argument)
        } else if first == last && all(&[TokenKind::Param]) {
            let before = text.tokens.iter().take(first).filter(|token| token.kind == TokenKind::Param).count();
            Value::Param(u16::try_from(before).unwrap_or(u16::MAX))
        } else if first == last
            && (text.is(first, "NULL") || all(&[TokenKind::Null]) || all(&[TokenKind::UserVariable]))
        {
            return Ok(None);
        } else {
            return Err(refused(
                "CALL with anything but a string literal, a parameter, NULL or a user variable for it",
                "pass the value itself",
            ));
        };
        if self.dialect.mode.contains(SqlMode::EMPTY_STRING_IS_NULL) {
            return Err(refused(EMPTY_IS_NULL.name, EMPTY_IS_NULL.remedy));
        }
        Ok(Some(Splice { tokens: argument, column, kind: SpliceKind::Seal(value), subject: None }))
    }
}

/// The arguments between the parentheses.
fn arguments(text: &Text<'_>, open: usize) -> impl Iterator<Item = TokenRange> {
    let (mut depth, mut start) = (0_usize, open.saturating_add(1));
    let mut found = Vec::new();
    for (at, token) in text.tokens.iter().enumerate().skip(open) {
        if token.kind == TokenKind::LeftParen {
            depth = depth.saturating_add(1);
        } else if token.kind == TokenKind::RightParen {
            depth = depth.saturating_sub(1);
        }
        let ends = token.kind == TokenKind::Comma && depth == 1 || token.kind == TokenKind::RightParen && depth == 0;
        if ends {
            if let (true, Ok(first), Ok(last)) = (start < at, u32::try_from(start), u32::try_from(at.saturating_sub(1)))
            {
                found.push(TokenRange { first, last });
            }
            start = at.saturating_add(1);
        }
    }
    found.into_iter()
}
