//! Deciding about a digest that was not met before.

use std::sync::Arc;

use super::analyze::{self, Context};
use super::cache::Decision;
use super::inspect::Remember;
use super::other::{self, Words};
use super::protected_names::ProtectedNames;
use super::text::Text;
use super::{Effect, Outputs, QueryPlan, Refusal};
use crate::policy::{Account, FirewallMode, Policy, RoleId};
use crate::schema::{Catalog, Charset};
use crate::sql::{self, Dialect, ReservedWords, StatementClass, TokenKind};

/// The firewall's rule for a statement that cannot be split into tokens.
pub(super) const PARSE: &str = "parse";
/// The firewall's rule for a second statement behind a semicolon.
const STACKED: &str = "stacked";

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
    pub(super) firewall: FirewallMode,
}

impl Judge<'_> {
    /// Decides, and tells whether the decision holds for the whole digest.
    pub(super) fn decide(&self, text: Text<'_>) -> (Decision, Remember) {
        let (plan, remember) = self.plan(text);
        match plan {
            Ok((plan, observed)) => (Decision::Admit { plan: Arc::new(plan), observed }, remember),
            // The catalog may be loaded again before the next attempt.
            Err(refusal @ Refusal::UnknownName { .. }) => (Decision::Refuse(Arc::new(refusal)), Remember::No),
            Err(refusal) => (Decision::Refuse(Arc::new(refusal)), remember),
        }
    }

    fn plan(&self, text: Text<'_>) -> (Result<Planned, Refusal>, Remember) {
        let params = text.tokens.iter().filter(|token| token.kind == TokenKind::Param).count();
        let params = u16::try_from(params).unwrap_or(u16::MAX);
        let text = text.without_terminator();
        if is_stacked(&text) && self.is_guarded() {
            return (Err(Refusal::Firewall { rule: STACKED }), Remember::Yes);
        }
        let class = sql::statement_class(text.sql, text.tokens);
        let words = self.words(text);
        match class {
            StatementClass::Prepare | StatementClass::ExecuteImmediate if !self.names.is_empty() => {
                (self.prepared(&text, params), Remember::No)
            }
            StatementClass::Dml => self.dml(text, params),
            StatementClass::Explain if !words.is_of_connection() && !words.is_description() => self.dml(text, params),
            class => {
                let (effect, remember) = words.decide(class);
                (effect.map(|effect| (QueryPlan::relay(effect, params), None)), remember)
            }
        }
    }

    fn dml(&self, text: Text<'_>, params: u16) -> (Result<Planned, Refusal>, Remember) {
        let statement = sql::parse(text.sql, text.tokens, &self.dialect, &ReservedWords::of_catalog(self.catalog));
        let carrier = text.names().map(|(_, name)| name).find(|name| self.names.has_carrier(name));
        match (statement, carrier) {
            (Ok(_), None) => (Ok((QueryPlan::relay(Effect::None, params), None)), Remember::Yes),
            (Ok(statement), Some(_)) => {
                let cx = Context {
                    text,
                    catalog: self.catalog,
                    policy: self.policy,
                    names: self.names,
                    default_database: self.default_database,
                    role: self.role,
                    account: self.account,
                };
                let (plan, remember) = analyze::analyze(cx, &statement, params);
                (plan.map(|plan| (plan, None)), remember)
            }
            (Err(_), carrier) => (self.unparsed(&text, carrier.as_deref(), params), Remember::Yes),
        }
    }

    /// A statement that the parser cannot read passes only if it names nothing that could be protected (sql.md P13).
    fn unparsed(&self, text: &Text<'_>, carrier: Option<&str>, params: u16) -> Result<Planned, Refusal> {
        let column = || text.names().map(|(_, name)| name).find(|name| self.names.has_column(name));
        let name = carrier.map(Into::into).or_else(column);
        match name {
            Some(name) => {
                Err(other::unsupported(&name, "syntax that Candado cannot read", "write it in simpler terms"))
            }
            None => Ok((QueryPlan::relay(Effect::None, params), None)),
        }
    }

    /// PREPARE and EXECUTE IMMEDIATE pass if their text is a literal whose statement would pass as it is. Its splices
    /// would have to be made inside the literal, and its result belongs to a later EXECUTE, so there must be none.
    fn prepared(&self, text: &Text<'_>, params: u16) -> Result<Planned, Refusal> {
        let start = if text.is(0, "EXECUTE") { 2 } else { 3 };
        let end = (start..text.tokens.len()).find(|at| text.is(*at, "USING")).unwrap_or(text.tokens.len());
        let literal = text.tokens.get(start..end).unwrap_or_default();
        if !literal.first().is_some_and(|token| token.kind == TokenKind::String) {
            return Err(other::prepared());
        }
        let inner = sql::literal_text(text.sql, literal, &self.dialect).map_err(|_| other::prepared())?;
        let dialect = Dialect { charset: Charset::Utf8mb4, ..self.dialect };
        let mut tokens = Vec::new();
        sql::lex(&inner, &dialect, &mut tokens).map_err(|_| Refusal::Firewall { rule: PARSE })?;
        let inner = Text { sql: &inner, tokens: &tokens };
        if inner.is_any(0, &["PREPARE", "EXECUTE"]) {
            return Err(other::prepared());
        }
        let (planned, _) = Self { dialect, ..*self }.plan(inner);
        let (plan, observed) = planned?;
        match plan.outputs {
            Outputs::Relay if plan.splices.is_empty() => Ok((QueryPlan::relay(plan.effect, params), observed)),
            Outputs::Relay | Outputs::Columns(_) => Err(other::prepared()),
        }
    }

    fn words<'t>(&'t self, text: Text<'t>) -> Words<'t> {
        Words { text, names: self.names, catalog: self.catalog, default_database: self.default_database }
    }

    fn is_guarded(&self) -> bool {
        !self.names.is_empty() || self.firewall == FirewallMode::Block
    }
}

/// A plan with the firewall rule that matched under a mode that only observes.
type Planned = (QueryPlan, Option<&'static str>);

/// Whether a second statement follows a semicolon. The body of a stored program holds semicolons of its own, but only
/// between a word that opens a block and END.
fn is_stacked(text: &Text<'_>) -> bool {
    let tokens = text.tokens.len();
    let Some(semicolon) = (0..tokens).find(|at| text.is_kind(*at, TokenKind::Semicolon)) else { return false };
    let ends = (tokens.saturating_sub(3)..tokens).any(|at| text.is(at, "END"));
    let begins = (0..semicolon).any(|at| text.is_any(at, &["BEGIN", "CASE", "LOOP", "REPEAT", "WHILE"]));
    sql::statements(text.sql, text.tokens).len() > 1 || !ends || !begins
}
