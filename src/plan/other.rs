//! Statements other than DML, decided by their words alone (sql.md section 5).
//!
//! Away from protected names they pass. Near them only kinds pass that are known to move no value: the rest is refused,
//! so a kind that nobody thought of is refused too.

use super::inspect::Remember;
use super::protected_names::ProtectedNames;
use super::refusal::{Subject, UnknownName};
use super::text::Text;
use super::{Effect, Refusal, alter};
use crate::schema::{Catalog, Charset};
use crate::sql::{self, TokenKind};

/// Near a protected table these move no value, whatever else they do.
const HARMLESS: &[&str] = &[
    "SHOW",
    "DESCRIBE",
    "DESC",
    "EXPLAIN",
    "USE",
    "BEGIN",
    "START",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "LOCK",
    "UNLOCK",
    "KILL",
    "FLUSH",
    "CHECK",
    "OPTIMIZE",
    "REPAIR",
    "CHECKSUM",
    "CACHE",
    "XA",
    "TRUNCATE",
    "DROP",
    "DEALLOCATE",
    "HELP",
    "EXECUTE",
    "GRANT",
    "REVOKE",
];

const DIRECTLY: &str = "have an administrator run it on the server itself";
const LITERALLY: &str = "send the statement itself instead of preparing it from text";

/// What a decision by words needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) text: Text<'a>,
    pub(super) names: &'a ProtectedNames,
    pub(super) catalog: &'a Catalog,
    pub(super) default_database: Option<&'a str>,
}

impl Words<'_> {
    /// Decides a statement that is neither DML nor text to be prepared.
    pub(super) fn decide(&self) -> (Result<Effect, Refusal>, Remember) {
        let text = &self.text;
        if text.is(0, "SET") {
            let (charset, remember) = self.charset();
            return (charset.and_then(|()| self.near("SET", "leave the table out").map(|()| Effect::None)), remember);
        }
        let decided = match () {
            () if self.names.is_empty() => Ok(self.effect()),
            () if self.is_of_connection() => Err(opaque("EXPLAIN FOR CONNECTION", "explain the statement itself")),
            () if text.is(0, "BINLOG") => Err(opaque("BINLOG", DIRECTLY)),
            () if text.is(0, "CALL") => self.call(),
            () if text.is(0, "CREATE") => self.create(),
            () if text.is(0, "ALTER") => self.alter(),
            () if text.is(0, "ANALYZE") => {
                let maintenance = text.is_any(1, &["TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"]);
                if maintenance {
                    self.harmless()
                } else {
                    self.near("ANALYZE of a statement", "use EXPLAIN").map(|()| Effect::None)
                }
            }
            () if text.is(0, "LOAD") => self.near("LOAD DATA", "insert the rows").map(|()| Effect::None),
            () if text.is(0, "HANDLER") => self.near("HANDLER", "use SELECT").map(|()| Effect::None),
            () if text.is(0, "RENAME") && text.is(1, "USER") => Ok(Effect::None),
            () if text.is(0, "RENAME") => self.near("RENAME", DIRECTLY).map(|()| Effect::Catalog),
            () if text.is_any(0, HARMLESS) => self.harmless(),
            () => self.near("a statement of this kind", DIRECTLY).map(|()| self.effect()),
        };
        (decided, Remember::Yes)
    }

    /// Refuses a statement that mentions a name which can lead to protected data.
    fn near(&self, construct: &'static str, remedy: &'static str) -> Result<(), Refusal> {
        match self.text.names().find(|(_, name)| self.names.has_carrier(name)) {
            Some((_, name)) => Err(unsupported(&name, construct, remedy)),
            None => Ok(()),
        }
    }

    fn harmless(&self) -> Result<Effect, Refusal> {
        let words = 0..self.text.tokens.len();
        // Some of these take conditions with subqueries. GRANT and REVOKE only name the privilege.
        if !self.text.is_any(0, &["GRANT", "REVOKE"]) && words.into_iter().any(|at| self.text.is(at, "SELECT")) {
            self.near("a subquery in a statement of this kind", "run the SELECT by itself")?;
        }
        Ok(self.effect())
    }

    /// Whether later statements may meet other tables, views or routines.
    fn effect(&self) -> Effect {
        let text = &self.text;
        let changes = match () {
            () if text.is_any(0, &["CREATE", "ALTER", "DROP"]) => {
                !text.is_any(1, &["INDEX", "USER", "ROLE", "PREPARE", "SERVER", "RESOURCE"])
            }
            () if text.is(0, "RENAME") => !text.is(1, "USER"),
            // A procedure or a prepared text may hold any of them.
            () => text.is_any(0, &["CALL", "IMPORT", "EXECUTE"]),
        };
        if changes { Effect::Catalog } else { Effect::None }
    }

    pub(super) fn is_of_connection(&self) -> bool {
        self.text.is_any(0, &["EXPLAIN", "DESCRIBE", "DESC", "ANALYZE"])
            && (1..self.text.tokens.len()).any(|at| self.text.is(at, "FOR") && self.text.is(at + 1, "CONNECTION"))
    }

    fn call(&self) -> Result<Effect, Refusal> {
        let first = self.text.name_at(1).unwrap_or_default();
        let (database, name) = if self.text.is_kind(2, TokenKind::Dot) {
            (Some(first), self.text.name_at(3).unwrap_or_default())
        } else {
            (self.default_database.map(Into::into), first)
        };
        self.near("CALL of a routine that can reach protected data", "run its statements one by one")?;
        let known = database.is_some_and(|database| !self.catalog.routines_named(&database, &name).is_empty());
        if known {
            Ok(self.effect())
        } else {
            Err(Refusal::UnknownName { name: UnknownName::Routine(name.into_owned()) })
        }
    }

    fn create(&self) -> Result<Effect, Refusal> {
        match self.created() {
            Some("TABLE") => match self.text.names().find(|(at, name)| self.is_carrier(*at, name)) {
                Some((_, name)) => Err(unsupported(&name, "CREATE TABLE", DIRECTLY)),
                None => Ok(Effect::Catalog),
            },
            Some("INDEX" | "USER" | "ROLE" | "SERVER" | "DATABASE" | "SCHEMA" | "TABLESPACE") => self.harmless(),
            Some(_) | None => {
                self.near("CREATE VIEW, TRIGGER, PROCEDURE, FUNCTION or EVENT", DIRECTLY).map(|()| Effect::Catalog)
            }
        }
    }

    /// What a CREATE or ALTER is about. The account behind DEFINER could be named like any of the words.
    fn created(&self) -> Option<&'static str> {
        const KINDS: &[&str] = &[
            "TABLE",
            "VIEW",
            "PROCEDURE",
            "FUNCTION",
            "TRIGGER",
            "EVENT",
            "INDEX",
            "USER",
            "ROLE",
            "SERVER",
            "DATABASE",
            "SCHEMA",
            "TABLESPACE",
            "SEQUENCE",
            "PACKAGE",
        ];
        if (0..self.text.tokens.len()).any(|at| self.text.is(at, "DEFINER")) {
            return None;
        }
        (1..self.text.tokens.len()).find_map(|at| KINDS.iter().copied().find(|kind| self.text.is(at, kind)))
    }

    fn alter(&self) -> Result<Effect, Refusal> {
        match self.created() {
            Some("TABLE") => alter::table(self).map(|()| Effect::Catalog),
            Some("USER" | "ROLE" | "SERVER" | "DATABASE" | "SCHEMA" | "TABLESPACE") => self.harmless(),
            Some(_) | None => self.near("ALTER VIEW or EVENT", DIRECTLY).map(|()| Effect::Catalog),
        }
    }

    /// Whether a name leads to protected data other than as the target of a foreign key.
    pub(super) fn is_carrier(&self, at: usize, name: &str) -> bool {
        let references = |at: Option<usize>| at.is_some_and(|at| self.text.is(at, "REFERENCES"));
        let qualified = at.checked_sub(1).is_some_and(|dot| self.text.is_kind(dot, TokenKind::Dot));
        let target = references(at.checked_sub(1)) || (qualified && references(at.checked_sub(3)));
        self.names.has_carrier(name) && !target
    }

    /// Refuses a switch of the client's character set to one whose bytes can hide quotes (sql.md P2). The name is a
    /// literal as often as a word, so such a decision is never remembered.
    fn charset(&self) -> (Result<(), Refusal>, Remember) {
        let mut remember = Remember::Yes;
        for at in 1..self.text.tokens.len() {
            let begins = at == 1 || self.text.is_kind(at - 1, TokenKind::Comma);
            let value = match () {
                () if begins && self.text.is_any(at, &["NAMES", "CHARSET"]) => at + 1,
                () if begins && self.text.is(at, "CHARACTER") && self.text.is(at + 1, "SET") => at + 2,
                () if self.is_client_charset(at) && self.is_assignment(at + 1) => at + 2,
                () => continue,
            };
            remember = Remember::No;
            let ends = value + 1 == self.text.tokens.len()
                || self.text.is_kind(value + 1, TokenKind::Comma)
                || self.text.is(value + 1, "COLLATE");
            if !ends || self.charset_at(value).is_none() {
                return (Err(Refusal::Firewall { rule: "charset" }), remember);
            }
        }
        (Ok(()), remember)
    }

    /// Whether a variable's name stands there, alone or behind `@@`, `@@session.` and the like.
    fn is_client_charset(&self, at: usize) -> bool {
        let token = self.text.tokens.get(at).filter(|token| token.kind != TokenKind::UserVariable);
        token.is_some_and(|token| sql::name(self.text.sql, *token).eq_ignore_ascii_case("character_set_client"))
    }

    fn is_assignment(&self, at: usize) -> bool {
        self.text.is_kind(at, TokenKind::Equal) || self.text.is_kind(at, TokenKind::Assign)
    }

    fn charset_at(&self, at: usize) -> Option<Charset> {
        let bytes = self.text.bytes(*self.text.tokens.get(at)?);
        let bytes = match bytes {
            [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] | [b'`', inner @ .., b'`'] => inner,
            _ => bytes,
        };
        Charset::from_name(&std::str::from_utf8(bytes).ok()?.to_ascii_lowercase())
    }
}

/// Refusal of something done to a table, view or routine known by its bare name.
pub(super) fn unsupported(name: &str, construct: &'static str, remedy: &'static str) -> Refusal {
    Refusal::Unsupported { subject: Subject::Named(name.into()), construct, remedy }
}

/// Refusal of a statement whose text is somewhere else.
pub(super) fn opaque(construct: &'static str, remedy: &'static str) -> Refusal {
    Refusal::Unsupported { subject: Subject::Data, construct, remedy }
}

/// Refusal of text that the server would prepare by itself.
pub(super) fn prepared() -> Refusal {
    opaque("PREPARE or EXECUTE IMMEDIATE", LITERALLY)
}
