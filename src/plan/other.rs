//! Statements other than DML, decided by their words alone.
//!
//! Away from protected names they pass. Near them only kinds pass that are known to move no value: the rest is refused,
//! so a kind that nobody thought of is refused too.

use std::borrow::Cow;

use super::inspect::Remember;
use super::protected_names::{ProtectedNames, may_define};
use super::refusal::{Subject, UnknownName};
use super::text::Text;
use super::{Effect, Refusal, alter};
use crate::schema::{Catalog, Charset, TableKind};
use crate::sql::{self, DdlObject, DdlVerb, StatementClass, TokenKind};

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
    /// Decides a statement of a class that is neither DML nor text to be prepared.
    pub(super) fn decide(&self, class: StatementClass) -> (Result<Effect, Refusal>, Remember) {
        use StatementClass as Class;
        let unknown = || self.near("a statement of this kind", DIRECTLY);
        let moves_nothing = || self.without_query();
        let decided = match class {
            Class::SetStatement | Class::Compound | Class::Other if self.hides() => {
                Err(opaque("a statement inside of another that prepares or shows messages", "send it by itself"))
            }
            Class::Show | Class::SetStatement | Class::Compound if !self.names.is_empty() && self.shows_plan() => {
                Err(opaque("SHOW EXPLAIN or SHOW ANALYZE of another connection", "explain the statement itself"))
            }
            Class::SetStatement | Class::Compound if self.makes_event() && self.runs_text() => Err(event()),
            Class::Set if self.looks_back() => Err(opaque("SET of system_versioning_asof", "leave it out")),
            Class::Set | Class::SetStatement => {
                let (charset, remember) = self.charset();
                let decided = charset.and_then(|()| self.near("SET", "leave the table out"));
                return (decided.map(|()| Effect::None), remember);
            }
            Class::Explain if !self.names.is_empty() && self.is_of_connection() => {
                Err(opaque("EXPLAIN FOR CONNECTION", "explain the statement itself"))
            }
            // What a variable holds is seen by nobody but the server.
            Class::Diagnostics if !self.names.is_empty() && self.takes_message() => {
                Err(opaque("GET DIAGNOSTICS of MESSAGE_TEXT", "use SHOW WARNINGS"))
            }
            // The server would keep the least, the greatest and some other values where others read them.
            Class::Maintenance if self.keeps_values() => self.near("ANALYZE TABLE with statistics of values", DIRECTLY),
            Class::Administration if !self.names.is_empty() && self.text.is(0, "BINLOG") => {
                Err(opaque("BINLOG", DIRECTLY))
            }
            Class::Ddl { verb, object } => self.ddl(verb, object),
            Class::Call => return (self.call(), Remember::Yes),
            Class::Grant | Class::Empty => Ok(()),
            Class::Explain
            | Class::Use
            | Class::Show
            | Class::Transaction
            | Class::Lock
            | Class::Maintenance
            | Class::Kill
            | Class::Execute
            | Class::Deallocate => moves_nothing(),
            Class::LoadData => self.near("LOAD DATA", "insert the rows by INSERT"),
            Class::Handler => self.near("HANDLER", "use SELECT"),
            Class::Do => self.near("DO", "use SELECT"),
            Class::Dml
            | Class::Prepare
            | Class::ExecuteImmediate
            | Class::Import
            | Class::Administration
            | Class::Diagnostics
            | Class::Compound
            | Class::Other => unknown(),
        };
        (decided.map(|()| effect(class)), Remember::Yes)
    }

    /// Refuses a statement that mentions a name which can lead to protected data.
    fn near(&self, construct: &'static str, remedy: &'static str) -> Result<(), Refusal> {
        match self.text.names().find(|(_, name)| self.names.has_carrier(name)) {
            Some((_, name)) => Err(unsupported(&name, construct, remedy)),
            None => Ok(()),
        }
    }

    /// Some statements that move no value take conditions, and conditions take subqueries.
    fn without_query(&self) -> Result<(), Refusal> {
        if self.text.has_query() {
            self.near("a subquery in a statement of this kind", "run the SELECT by itself")
        } else {
            Ok(())
        }
    }

    /// Whether texts of the server are shown in which envelopes may stand: SHOW WARNINGS or SHOW ERRORS.
    pub(super) fn shows_messages(&self) -> bool {
        !self.names.is_empty() && self.text.is(0, "SHOW") && self.text.is_any(1, &["WARNINGS", "ERRORS"])
    }

    /// Whether words stand anywhere behind which are statements that are looked at by themselves alone.
    fn hides(&self) -> bool {
        const WORDS: &[&str] = &["PREPARE", "EXECUTE", "WARNINGS", "ERRORS", "DIAGNOSTICS", "RESIGNAL"];
        !self.names.is_empty() && (0..self.text.tokens.len()).any(|at| self.text.is_any(at, WORDS))
    }

    /// Whether the plan of another connection's statement is shown (MariaDB).
    fn shows_plan(&self) -> bool {
        (0..self.text.tokens.len())
            .any(|at| self.text.is(at, "SHOW") && self.text.is_any(at + 1, &["EXPLAIN", "ANALYZE"]))
    }

    /// Whether an event may be made somewhere in the statement.
    fn makes_event(&self) -> bool {
        (1..self.text.tokens.len()).any(|at| self.text.is(at, "EVENT"))
    }

    /// Whether words stand anywhere that run what is not written here: text of the time, or a routine of the time. Nobody
    /// sees what an event sends to the server.
    fn runs_text(&self) -> bool {
        const WORDS: &[&str] = &["PREPARE", "EXECUTE", "CALL"];
        !self.names.is_empty() && (0..self.text.tokens.len()).any(|at| self.text.is_any(at, WORDS))
    }

    /// Whether tables are to be read as they were (MariaDB).
    fn looks_back(&self) -> bool {
        !self.names.is_empty() && (1..self.text.tokens.len()).any(|at| self.text.is(at, "SYSTEM_VERSIONING_ASOF"))
    }

    /// Whether statistics of single values are made: MySQL's histograms, MariaDB's tables of statistics.
    fn keeps_values(&self) -> bool {
        (1..self.text.tokens.len()).any(|at| self.text.is_any(at, &["HISTOGRAM", "PERSISTENT"]))
    }

    /// Whether such a text is put into a variable. SIGNAL has a text of the client's own.
    fn takes_message(&self) -> bool {
        self.text.is(0, "GET") && (1..self.text.tokens.len()).any(|at| self.text.is(at, "MESSAGE_TEXT"))
    }

    /// Whether the plan of another connection's statement is asked for, whatever that statement is.
    pub(super) fn is_of_connection(&self) -> bool {
        (1..self.text.tokens.len()).any(|at| self.text.is(at, "FOR") && self.text.is(at + 1, "CONNECTION"))
    }

    /// Whether `EXPLAIN`, `DESCRIBE` or `DESC` is followed by a table's name, not by a statement.
    pub(super) fn is_description(&self) -> bool {
        const STATEMENTS: &[&str] = &[
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "REPLACE",
            "WITH",
            "TABLE",
            "VALUES",
            "FORMAT",
            "ANALYZE",
            "EXTENDED",
            "PARTITIONS",
            "FOR",
            "INTO",
        ];
        !self.text.is(0, "ANALYZE") && self.text.name_at(1).is_some() && !self.text.is_any(1, STATEMENTS)
    }

    fn call(&self) -> Result<Effect, Refusal> {
        self.near(
            "CALL of a routine that can reach protected data",
            "run its statements one by one, or allow it by [[routine]] in the policy",
        )?;
        self.effect_of_call()
    }

    /// Database and name of the routine that is called.
    pub(super) fn called(&self) -> (Option<Cow<'_, str>>, Cow<'_, str>) {
        let first = self.text.name_at(1).unwrap_or_default();
        if self.text.is_kind(2, TokenKind::Dot) {
            (Some(first), self.text.name_at(3).unwrap_or_default())
        } else {
            (self.default_database.map(Into::into), first)
        }
    }

    /// What the routine that is called may change.
    pub(super) fn effect_of_call(&self) -> Result<Effect, Refusal> {
        let (database, name) = self.called();
        let routines = database.map_or(&[][..], |database| self.catalog.routines_named(&database, &name));
        if routines.is_empty() && !self.names.is_empty() {
            return Err(Refusal::UnknownName { name: UnknownName::Routine(name.into_owned()) });
        }
        let defines = routines.is_empty() || routines.iter().any(|routine| may_define(routine.definition.as_deref()));
        Ok(if defines { Effect::Catalog } else { Effect::None })
    }

    fn ddl(&self, verb: DdlVerb, object: DdlObject) -> Result<(), Refusal> {
        use DdlObject as Object;
        let program = || self.near("CREATE or ALTER of a view, trigger, routine or event", DIRECTLY);
        let unknown = || self.near("a statement of this kind", DIRECTLY);
        match (verb, object) {
            (DdlVerb::Create | DdlVerb::Alter, Object::Event) if self.runs_text() => Err(event()),
            (DdlVerb::Drop | DdlVerb::Truncate, _) => Ok(()),
            (DdlVerb::Rename, Object::Account) => Ok(()),
            (DdlVerb::Rename, _) => self.near("RENAME", DIRECTLY),
            (DdlVerb::Create, Object::Table) => match self.carrier() {
                Some((at, _)) if self.creates_nothing(at) => Ok(()),
                Some((_, name)) => Err(unsupported(&name, "CREATE TABLE", DIRECTLY)),
                None => Ok(()),
            },
            (DdlVerb::Alter, Object::Table) => alter::table(self),
            (DdlVerb::Create | DdlVerb::Alter, Object::Index | Object::Account | Object::Database) => {
                self.without_query()
            }
            (DdlVerb::Create | DdlVerb::Alter, Object::View | Object::Trigger | Object::Routine | Object::Event) => {
                program()
            }
            (DdlVerb::Create | DdlVerb::Alter, Object::Other) => unknown(),
        }
    }

    /// Whether the statement is a CREATE TABLE IF NOT EXISTS of a table that is there, whose name stands at `last`: the
    /// server does nothing then. Should the table have gone meanwhile, another one is made, of what the statement says and
    /// no row: so no query and no other table of ours may be named.
    fn creates_nothing(&self, last: usize) -> bool {
        const START: [&str; 5] = ["CREATE", "TABLE", "IF", "NOT", "EXISTS"];
        const QUERIES: &[&str] = &["SELECT", "TABLE", "VALUES", "WITH", "LIKE"];
        let text = &self.text;
        let first = START.len();
        let starts = START.iter().enumerate().all(|(at, word)| text.is(at, word));
        let database = match last.checked_sub(first) {
            Some(0) => self.default_database.map(Cow::Borrowed),
            Some(2) if text.is_kind(first + 1, TokenKind::Dot) => text.name_at(first),
            Some(_) | None => None,
        };
        let name = text.name_at(last).unwrap_or_default();
        let table = database.and_then(|database| self.catalog.table(&database, &name));
        let is_there = table.is_some_and(|table| table.kind == TableKind::Base);
        let others = text.names().any(|(at, name)| at > last && self.is_carrier(at, &name));
        let query = (last..text.tokens.len()).any(|at| text.is_any(at, QUERIES));
        starts && is_there && !others && !query && text.is_kind(last + 1, TokenKind::LeftParen)
    }

    /// The first name that leads to protected data other than as the target of a foreign key.
    fn carrier(&self) -> Option<(usize, Cow<'_, str>)> {
        self.text.names().find(|(at, name)| self.is_carrier(*at, name))
    }

    /// Whether a name leads to protected data other than as the target of a foreign key.
    pub(super) fn is_carrier(&self, at: usize, name: &str) -> bool {
        let references = |at: Option<usize>| at.is_some_and(|at| self.text.is(at, "REFERENCES"));
        let qualified = at.checked_sub(1).is_some_and(|dot| self.text.is_kind(dot, TokenKind::Dot));
        let target = references(at.checked_sub(1)) || (qualified && references(at.checked_sub(3)));
        self.names.has_carrier(name) && !target
    }

    /// Refuses a switch of the client's character set to one whose bytes can hide quotes. The name is a
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
            if !ends || (self.charset_at(value).is_none() && !self.is_known_to_server(value)) {
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

    /// DEFAULT or a variable: the server alone knows the set. Its tracker reports it with the OK, and a session whose set
    /// cannot be read is refused from then on. Dumps restore the set that they found in this way.
    fn is_known_to_server(&self, at: usize) -> bool {
        self.text.is(at, "DEFAULT")
            || self.text.is_kind(at, TokenKind::UserVariable)
            || self.text.is_kind(at, TokenKind::SystemVariable)
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

/// Whether later statements may meet other tables, views or routines. What EXECUTE runs was seen at its PREPARE, where
/// DDL is refused; CALL is decided by the routine.
fn effect(class: StatementClass) -> Effect {
    use StatementClass as Class;
    match class {
        Class::Ddl { verb: DdlVerb::Truncate, .. }
        | Class::Ddl { object: DdlObject::Index | DdlObject::Account | DdlObject::Other, .. } => Effect::None,
        Class::Ddl { .. } | Class::Call | Class::ExecuteImmediate | Class::Import | Class::Compound | Class::Other => {
            Effect::Catalog
        }
        Class::Empty
        | Class::Dml
        | Class::Explain
        | Class::Set
        | Class::SetStatement
        | Class::Use
        | Class::Show
        | Class::Transaction
        | Class::Lock
        | Class::Grant
        | Class::Do
        | Class::Prepare
        | Class::Execute
        | Class::Deallocate
        | Class::LoadData
        | Class::Handler
        | Class::Maintenance
        | Class::Kill
        | Class::Administration
        | Class::Diagnostics => Effect::None,
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

/// Refusal of an event that runs what is not written in it.
fn event() -> Refusal {
    opaque("an event that runs prepared statements or routines", DIRECTLY)
}

/// Refusal of text that the server would prepare by itself.
pub(super) fn prepared() -> Refusal {
    opaque("PREPARE or EXECUTE IMMEDIATE", LITERALLY)
}

/// Refusal of a name under which nothing is kept.
pub(super) fn prepared_name() -> Refusal {
    opaque("PREPARE under a name beyond ASCII, or that ends with a blank", "give the statement a plain name")
}

/// Refusal of text that could be prepared if its parameters were not user variables.
pub(super) fn by_variable(refusal: Refusal) -> Refusal {
    const REMEDY: &str =
        "write the value into the text, or prepare it over the binary protocol: the server reads user variables";
    match refusal {
        Refusal::Unsupported { subject, construct, remedy: _ } => {
            Refusal::Unsupported { subject, construct, remedy: REMEDY }
        }
        Refusal::Denied { .. } | Refusal::Firewall { .. } | Refusal::UnknownName { .. } | Refusal::NotReady => refusal,
    }
}

/// Refusal of `EXPLAIN CANDADO` where no answer can be made of it.
pub(super) fn explain_candado() -> Refusal {
    opaque("EXPLAIN CANDADO in a prepared statement", "send it as text, by itself")
}
