//! The one door to the server: a statement is sent only as [`Admitted`], and only [`inspect`] makes one.

use std::sync::Arc;

use super::{PlanCache, QueryPlan, Refusal};
use crate::policy::{Account, FirewallMode, Policy, RoleId};
use crate::schema::Catalog;
use crate::sql::{Dialect, Token};

/// Everything beside the statement that a decision depends on.
#[derive(Debug)]
pub struct Inspection<'a> {
    /// How the server reads the statement's bytes.
    pub dialect: Dialect,
    /// The session's default database.
    pub default_database: Option<&'a str>,
    /// What the server holds.
    pub catalog: &'a Catalog,
    /// What is protected.
    pub policy: &'a Policy,
    /// The role of the account.
    pub role: RoleId,
    /// The account that the server authenticated.
    pub account: &'a Account,
    /// How the firewall treats the account.
    pub firewall: FirewallMode,
    /// Decisions made before, shared by all connections.
    pub cache: &'a PlanCache,
    /// The connection's buffers.
    pub scratch: &'a mut Scratch,
}

/// Buffers that a connection keeps from statement to statement.
#[derive(Debug, Default)]
pub struct Scratch {
    tokens: Vec<Token>,
    key: Vec<u8>,
}

/// A statement that may be sent, with its plan.
#[derive(Clone, Debug)]
pub struct Admitted<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
    plan: Arc<QueryPlan>,
    observed: Option<&'static str>,
}

impl<'a> Admitted<'a> {
    /// The statement as the client wrote it.
    pub fn sql(&self) -> &'a [u8] {
        self.sql
    }

    /// Its executed tokens.
    pub fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    /// What happens to it and to its result.
    pub fn plan(&self) -> &Arc<QueryPlan> {
        &self.plan
    }

    /// The firewall rule that matched, for an account whose firewall mode only observes.
    pub fn observed(&self) -> Option<&'static str> {
        self.observed
    }
}

