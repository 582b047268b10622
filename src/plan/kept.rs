//! SQL-level PREPARE of a statement that reads or writes protected columns: the proxy keeps its text, and EXECUTE sends it as
//! a statement of its own, with the user variables in the places of the parameters.

use super::text::Text;
use crate::sql::{self, Dialect, LexError, StatementClass, TokenKind};

/// What stands in the place of parameters while the statement is planned for its PREPARE.
pub(super) const ANY_VARIABLE: &[u8] = b"@p";

/// A statement that the proxy keeps under the name that PREPARE gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptText {
    /// The statement.
    pub sql: Box<[u8]>,
    /// How many `?` it has.
    pub params: u16,
}

impl KeptText {
    /// The statement with user variables in the places of its parameters, as EXECUTE runs it. `None` if there are not as
    /// many as parameters.
    pub fn with_variables(&self, variables: &[Box<[u8]>], dialect: &Dialect) -> Option<Vec<u8>> {
        if variables.len() != usize::from(self.params) {
            return None;
        }
        let mut variables = variables.iter();
        with_variables(&self.sql, dialect, || variables.next().map_or(ANY_VARIABLE, |variable| variable)).ok()
    }

    /// What the server is given to prepare instead: it takes as many parameters, and fails if it is ever executed.
    pub fn placeholder(&self) -> String {
        let params = ", ?".repeat(usize::from(self.params));
        format!("'SELECT (SELECT 1 UNION ALL SELECT 2){params}'")
    }
}

/// A statement with other words in the places of its parameters.
pub(super) fn with_variables<'v>(
    statement: &[u8],
    dialect: &Dialect,
    mut next: impl FnMut() -> &'v [u8],
) -> Result<Vec<u8>, LexError> {
    let mut tokens = Vec::new();
    sql::lex(statement, dialect, &mut tokens)?;
    let mut text = Vec::with_capacity(statement.len());
    let mut copied = 0_usize;
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Param) {
        let position = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        text.extend_from_slice(statement.get(copied..position(token.start)).unwrap_or_default());
        text.push(b' ');
        text.extend_from_slice(next());
        text.push(b' ');
        copied = position(token.end);
    }
    text.extend_from_slice(statement.get(copied..).unwrap_or_default());
    Ok(text)
}

/// Whether the server takes no other name than this one, letters' case aside, for the same: it goes by a collation that
/// knows no accents and takes `ß` for `s`, and by no blanks at the end.
pub fn is_one_of_its_own(name: &str) -> bool {
    name.is_ascii() && !name.ends_with(' ')
}

/// Whether a parameter stands in the select list, whose columns have their names from the text.
pub(super) fn shows_parameters(text: &Text<'_>) -> bool {
    let end = (0..text.tokens.len()).find(|at| text.is(*at, "FROM")).unwrap_or(text.tokens.len());
    text.is_any(0, &["SELECT", "WITH", "TABLE"]) && (0..end).any(|at| text.is_kind(at, TokenKind::Param))
}

/// A statement about prepared statements by name, as far as its words tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByName {
    /// PREPARE.
    Prepare {
        /// The statement's name, folded.
        name: Box<str>,
        /// What it prepares, if that is a literal.
        text: Option<Box<[u8]>>,
    },
    /// EXECUTE.
    Execute {
        /// The statement's name, folded.
        name: Box<str>,
        /// The user variables of USING; `None` if anything else stands there.
        variables: Option<Vec<Box<[u8]>>>,
    },
    /// MariaDB's EXECUTE IMMEDIATE.
    AtOnce {
        /// The user variables of USING; `None` if anything else stands there.
        variables: Option<Vec<Box<[u8]>>>,
    },
    /// DEALLOCATE PREPARE.
    Deallocate {
        /// The statement's name, folded.
        name: Box<str>,
    },
    /// One that may run any of these unseen, such as CALL, and one whose words cannot be told apart.
    Unseen,
    /// Anything else.
    Other,
}

impl ByName {
    /// Reads a statement.
    pub fn of(statement: &[u8], dialect: &Dialect) -> Self {
        let mut tokens = Vec::new();
        if sql::lex(statement, dialect, &mut tokens).is_err() {
            return Self::Unseen;
        }
        let text = Text { sql: statement, tokens: &tokens }.without_terminator();
        let name = |at: usize| text.name_at(at).map(|name| super::protected_names::fold(&name));
        if text.is(0, "PREPARE") {
            name(1).map_or(Self::Other, |name| Self::Prepare { name, text: prepared_text(&text, dialect) })
        } else if text.is_any(0, &["DEALLOCATE", "DROP"]) && text.is(1, "PREPARE") {
            name(2).map_or(Self::Other, |name| Self::Deallocate { name })
        } else if text.is(0, "EXECUTE") && text.is(1, "IMMEDIATE") {
            Self::AtOnce { variables: variables(&text, behind_literal(&text, 2)) }
        } else if text.is(0, "EXECUTE") {
            name(1).map_or(Self::Other, |name| Self::Execute { name, variables: variables(&text, 2) })
        } else if is_unseen(sql::statement_class(statement, text.tokens)) {
            Self::Unseen
        } else {
            Self::Other
        }
    }
}

/// Whether a statement may run others that are not seen here.
fn is_unseen(class: StatementClass) -> bool {
    use StatementClass as Class;
    match class {
        Class::Call | Class::Compound | Class::SetStatement | Class::ExecuteImmediate | Class::Other => true,
        Class::Dml
        | Class::Explain
        | Class::Use
        | Class::Show
        | Class::Set
        | Class::Transaction
        | Class::Lock
        | Class::Grant
        | Class::Empty
        | Class::Do
        | Class::Prepare
        | Class::Execute
        | Class::Deallocate
        | Class::LoadData
        | Class::Handler
        | Class::Maintenance
        | Class::Kill
        | Class::Import
        | Class::Administration
        | Class::Diagnostics
        | Class::Ddl { .. } => false,
    }
}

/// The text of a literal behind `PREPARE name FROM`.
fn prepared_text(text: &Text<'_>, dialect: &Dialect) -> Option<Box<[u8]>> {
    let literal =
        text.tokens.get(3..).filter(|rest| rest.first().is_some_and(|first| first.kind == TokenKind::String))?;
    sql::literal_text(text.sql, literal, dialect).ok().map(Into::into)
}

/// The position behind the text that is prepared and begins at `start`.
pub(super) fn behind_literal(text: &Text<'_>, start: usize) -> usize {
    (start..text.tokens.len()).find(|at| text.is(*at, "USING")).unwrap_or(text.tokens.len())
}

/// The user variables of a USING that stands there, or nothing; `None` if anything else stands there.
pub(super) fn variables(text: &Text<'_>, start: usize) -> Option<Vec<Box<[u8]>>> {
    let rest = text.tokens.get(start..)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let list = rest.split_first().filter(|_| text.is(start, "USING"))?.1;
    let mut variables = Vec::new();
    for (at, token) in list.iter().enumerate() {
        match (at % 2, token.kind) {
            (0, TokenKind::UserVariable) => variables.push(text.bytes(*token).into()),
            (1, TokenKind::Comma) => {}
            _ => return None,
        }
    }
    (list.len() % 2 == 1).then_some(variables)
}

#[cfg(test)]
mod tests;
