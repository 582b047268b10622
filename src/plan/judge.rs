//! Deciding about a digest that was not met before.

use std::sync::Arc;

use super::analyze::{self, Context};
use super::cache::Decision;
use super::index_definition::IndexDefinition;
use super::inspect::Remember;
use super::mode::Passed;
use super::other::{self, Words};
use super::protected_names::ProtectedNames;
use super::statistics::{Statistics, sees_all};
use super::text::Text;
use super::unread::unknown_table;
use super::{
    CellAction, Effect, KeptText, Lookup, Outputs, PlanCache, QueryPlan, Refusal, Splice, SpliceKind, UnknownName, kept,
};
use crate::firewall::profile::AccountProfile;
use crate::firewall::rules::{PARSE, STACKED};
use crate::policy::{Account, ColumnId, FirewallMode, Policy, RoleId};
use crate::schema::{Catalog, Charset, ServerKind};
use crate::sql::tree::{Statement, TokenRange};
use crate::sql::{self, Dialect, ReservedWords, StatementClass, TokenKind};

/// Everything that a decision depends on beside the statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) dialect: Dialect,
    pub(super) default_database: Option<&'a str>,
    pub(super) catalog: &'a Catalog,
    pub(super) policy: &'a Policy,
    pub(super) names: &'a ProtectedNames,
    pub(super) role: RoleId,
    pub(super) account: &'a Account,
    pub(super) lookup: Lookup,
    pub(super) firewall: FirewallMode,
    pub(super) profile: Option<&'a AccountProfile>,
    pub(super) cache: &'a PlanCache,
}

impl Judge<'_> {
    /// Decides, and tells whether the decision holds for the whole digest.
    pub(super) fn decide(&self, text: Text<'_>) -> (Decision, Remember) {
        let (plan, remember) = self.plan(text);
        match plan {
            Ok((plan, Passed { observed, sighting })) => {
                (Decision::Admit { plan: Arc::new(plan), observed, sighting }, remember)
            }
            // The catalog may be loaded again before the next attempt.
            Err(refusal @ Refusal::UnknownName { .. }) => (Decision::Refuse(Arc::new(refusal)), Remember::No),
            Err(refusal) => (Decision::Refuse(Arc::new(refusal)), remember),
        }
    }

    fn plan(&self, text: Text<'_>) -> (Result<Planned, Refusal>, Remember) {
        let params = text.tokens.iter().filter(|token| token.kind == TokenKind::Param).count();
        let params = u16::try_from(params).unwrap_or(u16::MAX);
        let text = text.without_terminator();
        let class = sql::statement_class(text.sql, text.tokens);
        // As a statement of its own it is answered before it comes here; its text is not for the server.
        if text.is(0, "EXPLAIN") && text.is(1, "CANDADO") && text.tokens.len() > 2 {
            return (Err(other::explain_candado()), Remember::Yes);
        }
        let stacked = is_stacked(&text);
        if stacked && self.is_guarded() {
            return (Err(Refusal::Firewall { rule: STACKED.0 }), Remember::Yes);
        }
        let Self { policy, catalog, role, account, default_database, .. } = *self;
        let statistics = Statistics { text, policy, role, default_database }.refusal(class);
        let index = IndexDefinition { text, policy, catalog, role, account };
        if let Some(refusal) = statistics.or_else(|| index.refusal(class)) {
            return (Err(refusal), Remember::Yes);
        }
        let words = self.words(text);
        let read = class == StatementClass::Dml
            || (class == StatementClass::Explain && !words.is_of_connection() && !words.is_description());
        let reserved = ReservedWords::of_catalog(self.catalog);
        let statement = read.then(|| sql::parse(text.sql, text.tokens, &self.dialect, &reserved));
        let (verdict, judged) = self.firewall(&text, class, statement.as_ref().and_then(|parsed| parsed.as_ref().ok()));
        let passed = match verdict {
            Ok(Passed { observed: None, sighting }) if stacked && self.firewall == FirewallMode::Observe => {
                Passed { observed: Some(STACKED.0), sighting }
            }
            Ok(passed) => passed,
            Err(refusal) => return (Err(refusal), judged),
        };
        let (plan, remember) = match (statement, class) {
            (Some(Ok(statement)), _) => self.parsed(&text, &statement, params),
            (Some(Err(_)), _) => self.unparsed(&text, params),
            (None, StatementClass::Prepare | StatementClass::ExecuteImmediate) if !self.names.is_empty() => {
                (self.prepared(&text, params), Remember::No)
            }
            (None, class) => {
                let allowed =
                    (class == StatementClass::Call).then(|| self.allowed_call(&text, &words, params)).flatten();
                if let Some((plan, remember)) = allowed {
                    return (plan.map(|plan| (plan.naming(class), passed)), remember.and(judged));
                }
                let (effect, remember) = self.read_first(&text, words.decide(class));
                let effect = effect.map(|effect| if stacked { Effect::Catalog } else { effect });
                let outputs = if words.shows_messages() { Outputs::Messages } else { Outputs::Relay };
                (effect.map(|effect| QueryPlan { outputs, ..QueryPlan::relay(effect, params) }), remember)
            }
        };
        (plan.map(|plan| (plan.naming(class), passed)), remember.and(judged))
    }

    fn parsed(&self, text: &Text<'_>, statement: &Statement, params: u16) -> (Result<QueryPlan, Refusal>, Remember) {
        if !text.names().any(|(_, name)| self.names.has_carrier(&name)) {
            let unknown = if self.sees_all() {
                None
            } else {
                unknown_table(text, statement, self.catalog, self.default_database)
            };
            let relayed = Ok(QueryPlan::relay(Effect::None, params));
            return match (unknown, self.lookup) {
                (None, _) => (relayed, Remember::Yes),
                (Some(name), Lookup::First) => (Err(unread(name)), Remember::No),
                // It may be there at the next time.
                (Some(_), Lookup::Again) => (relayed, Remember::No),
            };
        }
        let cx = Context {
            text: *text,
            dialect: self.dialect,
            catalog: self.catalog,
            policy: self.policy,
            names: self.names,
            default_database: self.default_database,
            role: self.role,
            account: self.account,
        };
        analyze::analyze(cx, statement, params)
    }

    /// A statement that the parser cannot read passes only if it names nothing that could be protected.
    fn unparsed(&self, text: &Text<'_>, params: u16) -> (Result<QueryPlan, Refusal>, Remember) {
        let dangerous = |name: &str| self.names.has_carrier(name) || self.names.has_column(name);
        if let Some((_, name)) = text.names().find(|(_, name)| dangerous(name)) {
            let refusal = other::unsupported(
                &name,
                "SQL that Candado cannot read",
                "check its spelling, or write it in simpler terms",
            );
            return (Err(refusal), Remember::Yes);
        }
        // It may be several statements, if policy protects nothing.
        let effect = if is_stacked(text) { Effect::Catalog } else { Effect::None };
        let relayed = Ok(QueryPlan::relay(effect, params));
        match (self.sees_all(), self.lookup) {
            (true, _) => (relayed, Remember::Yes),
            // Which of its names are tables is not known.
            (false, Lookup::First) => (Err(unread("in this statement".to_owned())), Remember::No),
            (false, Lookup::Again) => (relayed, Remember::No),
        }
    }

    /// A query in a statement of another kind: which of its names are tables is not known.
    fn read_first(
        &self,
        text: &Text<'_>,
        (decided, remember): (Result<Effect, Refusal>, Remember),
    ) -> (Result<Effect, Refusal>, Remember) {
        let has_query = text.has_query();
        match (decided, self.lookup) {
            (Ok(_), Lookup::First) if has_query && !self.sees_all() => {
                (Err(unread("in this statement".to_owned())), Remember::No)
            }
            (Ok(effect), Lookup::Again) if has_query && !self.sees_all() => (Ok(effect), Remember::No),
            (decided, Lookup::First | Lookup::Again) => (decided, remember),
        }
    }

    /// Whether nothing is hidden from the role.
    fn sees_all(&self) -> bool {
        sees_all(self.policy, self.role)
    }

    /// PREPARE and EXECUTE IMMEDIATE pass if their text is a literal whose statement would pass as it is. Its splices
    /// would have to be made inside the literal, and its result belongs to a later EXECUTE, so one with any is kept in the
    /// proxy.
    fn prepared(&self, text: &Text<'_>, params: u16) -> Result<QueryPlan, Refusal> {
        let is_prepare = text.is(0, "PREPARE");
        let start = if is_prepare { 3 } else { 2 };
        let end = kept::behind_literal(text, start);
        let literal = text.tokens.get(start..end).unwrap_or_default();
        if !literal.first().is_some_and(|token| token.kind == TokenKind::String) {
            return Err(other::prepared());
        }
        let inner = sql::literal_text(text.sql, literal, &self.dialect).map_err(|_| other::prepared())?;
        let dialect = Dialect { charset: Charset::Utf8mb4, ..self.dialect };
        let mut tokens = Vec::new();
        sql::lex(&inner, &dialect, &mut tokens).map_err(|_| Refusal::Firewall { rule: PARSE.0 })?;
        let inner = Text { sql: &inner, tokens: &tokens };
        if inner.is_any(0, &["PREPARE", "EXECUTE"]) {
            return Err(other::prepared());
        }
        let (planned, _) = Self { dialect, ..*self }.plan(inner);
        let (plan, passed) = planned?;
        if let Some(sighting) = passed.sighting {
            sighting.count();
        }
        // A variable in the place of a declared argument would arrive as it is.
        if inner.is(0, "CALL") && !plan.splices.is_empty() {
            return Err(other::prepared());
        }
        match plan.outputs {
            // DDL would take effect at an EXECUTE, which does not show what it runs.
            Outputs::Relay if is_prepare && plan.effect != Effect::None => Err(other::prepared()),
            Outputs::Relay if plan.is_as_written() => Ok(QueryPlan::relay(plan.effect, params)),
            // A CALL announces nothing of its results, and messages are looked for in those of the statement itself.
            Outputs::Results(_) | Outputs::Messages => Err(other::prepared()),
            Outputs::Relay | Outputs::Columns(_) if !is_prepare && !self.runs_at_once(text, end) => {
                Err(other::prepared())
            }
            Outputs::Relay | Outputs::Columns(_) => {
                if is_prepare && !text.name_at(1).is_some_and(|name| kept::is_one_of_its_own(&name)) {
                    return Err(other::prepared_name());
                }
                let kept = self.kept(&inner, &plan, dialect)?;
                let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                let tokens = TokenRange { first: position(start), last: position(end.saturating_sub(1)) };
                let splice = Splice { tokens, column: kept.1, kind: SpliceKind::Kept(kept.0), subject: None };
                Ok(QueryPlan { splices: vec![splice], ..QueryPlan::relay(Effect::None, params) })
            }
        }
    }

    /// Whether an EXECUTE IMMEDIATE can be carried out by the proxy: the server has it, and its parameters are user
    /// variables.
    fn runs_at_once(&self, text: &Text<'_>, end: usize) -> bool {
        self.dialect.server.kind == ServerKind::MariaDb && kept::variables(text, end).is_some()
    }

    /// The text of a PREPARE that the proxy keeps, and a protected column in it: EXECUTE runs it as a statement of its
    /// own, so it is planned as such a one, and refused now if it would be then.
    fn kept(&self, inner: &Text<'_>, plan: &QueryPlan, dialect: Dialect) -> Result<(KeptText, ColumnId), Refusal> {
        let opened = plan.outputs.cells().find_map(|action| match action {
            CellAction::Relay => None,
            CellAction::Open(grant) | CellAction::Mask(grant, _) => Some(grant.column()),
            CellAction::Ciphertext(column) => Some(*column),
        });
        let named = plan.splices.first().map(|splice| splice.column).or(plan.copies.first().copied());
        let column = named.or(opened).ok_or_else(other::prepared)?;
        let readable = self.dialect.charset == Charset::Utf8mb4 || inner.sql.is_ascii();
        if !readable || kept::shows_parameters(inner) {
            return Err(other::prepared());
        }
        let executed = kept::with_variables(inner.sql, &dialect, || kept::ANY_VARIABLE);
        let executed = executed.map_err(|_| other::prepared())?;
        let mut tokens = Vec::new();
        sql::lex(&executed, &dialect, &mut tokens).map_err(|_| other::prepared())?;
        let (planned, _) = Self { dialect, ..*self }.plan(Text { sql: &executed, tokens: &tokens });
        let (executed, _) = planned.map_err(other::by_variable)?;
        // What a `?` is sealed for, a variable is not.
        if executed.splices.len() != plan.splices.len() {
            return Err(other::prepared());
        }
        Ok((KeptText { sql: inner.sql.into(), params: plan.params }, column))
    }

    fn words<'t>(&'t self, text: Text<'t>) -> Words<'t> {
        Words { text, names: self.names, catalog: self.catalog, default_database: self.default_database }
    }

    fn is_guarded(&self) -> bool {
        !self.names.is_empty() || self.firewall.refuses()
    }
}

/// A table that the catalog does not know, and that may be a view over protected data.
fn unread(name: String) -> Refusal {
    Refusal::UnknownName { name: UnknownName::Table(name) }
}

type Planned = (QueryPlan, Passed);

/// Whether a second statement follows a semicolon. The body of a stored program holds semicolons of its own, but only
/// between a word that opens a block and END.
fn is_stacked(text: &Text<'_>) -> bool {
    let tokens = text.tokens.len();
    let Some(semicolon) = (0..tokens).find(|at| text.is_kind(*at, TokenKind::Semicolon)) else { return false };
    let ends = (tokens.saturating_sub(3)..tokens).any(|at| text.is(at, "END"));
    let begins = (0..semicolon).any(|at| text.is_any(at, &["BEGIN", "CASE", "LOOP", "REPEAT", "WHILE"]));
    sql::statements(text.sql, text.tokens).len() > 1 || !ends || !begins
}
