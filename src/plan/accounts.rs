//! Accounts, rights and what lends them, for roles that do not see all values: whoever may make an account, or change the
//! password of one, can log in as somebody who sees them.

use super::Refusal;
use super::protected_names::fold;
use super::statistics::sees_all;
use super::text::Text;
use crate::policy::{Policy, RoleId};
use crate::sql::{self, DdlObject, DdlVerb, StatementClass, TokenKind};

/// The database in which the server keeps accounts and rights.
const SYSTEM: &str = "mysql";

/// Variables of the server that give roles to everybody, run statements as somebody else, load plugins, or say who vouches
/// for passwords.
const VARIABLES: [&str; 7] =
    ["mandatory_roles", "init_connect", "init_replica", "init_slave", "init_file", "plugin_load", "plugin_load_add"];
const VOUCHERS: &str = "authentication_";

/// Engines whose tables are those of another server, or of this one under another account.
const REMOTE: [&str; 4] = ["federated", "federatedx", "connect", "spider"];

/// What a decision about accounts needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accounts<'a> {
    pub(super) text: Text<'a>,
    pub(super) policy: &'a Policy,
    pub(super) role: RoleId,
    pub(super) default_database: Option<&'a str>,
}

impl Accounts<'_> {
    /// Refuses what could make, change or become another account. One's own password is one's own.
    pub(super) fn refusal(&self, class: StatementClass) -> Option<Refusal> {
        (!sees_all(self.policy, self.role) && self.administers(class)).then_some(Refusal::Administration)
    }

    fn administers(&self, class: StatementClass) -> bool {
        use StatementClass as Class;
        let text = &self.text;
        match class {
            Class::Grant => true,
            Class::Ddl { verb, object: DdlObject::Account } => verb != DdlVerb::Alter || !self.is_own(),
            Class::Ddl { object: DdlObject::Routine | DdlObject::Trigger | DdlObject::Event, .. } => {
                self.is_within() || self.concerns_system(|_| true)
            }
            Class::Ddl { verb, object } => {
                let defines = matches!(verb, DdlVerb::Create | DdlVerb::Alter);
                defines && object == DdlObject::Table && self.is_remote()
                    || object == DdlObject::Other && (1..4).any(|at| text.is(at, "SERVER"))
                    || self.concerns_system(|_| true)
            }
            Class::Set => self.is_within(),
            Class::SetStatement | Class::Compound | Class::Other => {
                self.is_within() || self.may_write() && self.concerns_system(|behind| self.is_qualifier(behind))
            }
            Class::Dml | Class::Explain => self.may_write() && self.concerns_system(|behind| self.is_qualifier(behind)),
            Class::LoadData => self.concerns_system(|behind| self.is_qualifier(behind)),
            Class::Administration => {
                text.is_any(0, &["INSTALL", "UNINSTALL", "CHANGE", "CLONE"]) || text.is(1, "GROUP_REPLICATION")
            }
            Class::Empty
            | Class::Use
            | Class::Show
            | Class::Transaction
            | Class::Lock
            | Class::Call
            | Class::Do
            | Class::Prepare
            | Class::Execute
            | Class::ExecuteImmediate
            | Class::Deallocate
            | Class::Import
            | Class::Handler
            | Class::Maintenance
            | Class::Kill
            | Class::Diagnostics => false,
        }
    }

    /// Whether an ALTER USER is about the account that sends it, and no other.
    fn is_own(&self) -> bool {
        let text = &self.text;
        let at = if text.is(2, "IF") && text.is(3, "EXISTS") { 4 } else { 2 };
        let calls = text.is_kind(at + 1, TokenKind::LeftParen) && text.is_kind(at + 2, TokenKind::RightParen);
        let names = text.is(at, "CURRENT_USER") || text.is(at, "USER") && calls;
        text.is(1, "USER") && names && !self.has_comma(at)
    }

    /// Whether such a statement stands anywhere inside of another one, or is a SET that concerns more than its session.
    fn is_within(&self) -> bool {
        (0..self.text.tokens.len()).any(|at| self.begins(at))
    }

    fn begins(&self, at: usize) -> bool {
        let text = &self.text;
        let is_behind = |words: &[&str]| at > 0 && text.is_any(at - 1, words);
        let own = |at: usize| text.is(at, "CURRENT_USER") && !self.has_comma(at);
        // Both products reserve the first two, so they name nothing.
        text.is_any(at, &["GRANT", "REVOKE", "SONAME"])
            || text.is_any(at, &["USER", "ROLE", "SERVER"])
                && is_behind(&["CREATE", "ALTER", "DROP", "RENAME", "REPLACE"])
            || text.is(at, "FOR") && is_behind(&["PASSWORD"]) && !own(at + 1)
            || text.is(at, "ROLE") && is_behind(&["DEFAULT"]) && self.gives_role(at)
            || text.is_any(at, &["PLUGIN", "COMPONENT"]) && is_behind(&["INSTALL", "UNINSTALL"])
            || text.is_any(at, &["MASTER", "REPLICATION"]) && is_behind(&["CHANGE"])
            || self.variable(at).is_some_and(|name| VARIABLES.contains(&&*name) || name.starts_with(VOUCHERS))
    }

    /// Whether a `DEFAULT ROLE` is that of somebody else.
    fn gives_role(&self, role: usize) -> bool {
        let whose = (role..self.text.tokens.len()).find(|at| self.text.is_any(*at, &["TO", "FOR"]));
        whose.is_some_and(|at| !self.text.is(at + 1, "CURRENT_USER") || self.has_comma(at))
    }

    fn has_comma(&self, from: usize) -> bool {
        (from..self.text.tokens.len()).any(|at| self.text.is_kind(at, TokenKind::Comma))
    }

    /// A name at a position, also behind `@@`.
    fn variable(&self, at: usize) -> Option<Box<str>> {
        let token = self.text.tokens.get(at)?;
        let is_variable = token.kind == TokenKind::SystemVariable;
        let name = if is_variable { Some(sql::name(self.text.sql, *token)) } else { self.text.name_at(at) };
        name.map(|name| fold(&name))
    }

    /// Whether rows may be written, or tables made or changed, somewhere in the statement.
    fn may_write(&self) -> bool {
        const WORDS: &[&str] = &["INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "CREATE", "ALTER", "DROP", "RENAME"];
        let is_query =
            self.text.is_kind(0, TokenKind::LeftParen) || self.text.is_any(0, &["SELECT", "TABLE", "VALUES"]);
        let writes = |at: usize| self.text.is_any(at, WORDS) || self.text.is(at, "TRUNCATE");
        !is_query && (0..self.text.tokens.len()).any(writes)
    }

    /// Whether tables without a database are those of the system database, or that is named where it counts.
    fn concerns_system(&self, counts: impl Fn(usize) -> bool) -> bool {
        self.default_database.is_some_and(|name| *fold(name) == *SYSTEM)
            || self.text.names().any(|(at, name)| *fold(&name) == *SYSTEM && counts(at + 1))
    }

    fn is_qualifier(&self, behind: usize) -> bool {
        self.text.is_kind(behind, TokenKind::Dot)
    }

    /// Whether a table is defined whose rows come over a connection of its own.
    fn is_remote(&self) -> bool {
        let value = |at: usize| if self.text.is_kind(at, TokenKind::Equal) { at + 1 } else { at };
        (1..self.text.tokens.len()).any(|at| {
            let next = value(at + 1);
            let engine = self.text.name_at(next).map(|name| fold(&name));
            let is_text = self.text.is_kind(next, TokenKind::String);
            self.text.is(at, "CONNECTION") && is_text
                || self.text.is(at, "ENGINE") && (is_text || engine.is_some_and(|name| REMOTE.contains(&&*name)))
        })
    }
}
