//! The checked policy that statements are judged by.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{Account, AccountPattern, Budget, ColumnId, FirewallMode, ProtectedColumn, Rates, Role, RoleId};
use crate::schema::TableRef;

/// What a role may do with a protected column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads and writes the value.
    Plain,
    /// Every statement that names the column is refused with error 1143.
    Deny,
}

/// Proof that a column may be opened. Only [`Policy::access`], for a role, and [`Policy::backfill_grant`] make one, so no
/// cell is opened unasked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DecryptGrant {
    column: ColumnId,
}

impl DecryptGrant {
    /// The column that was granted.
    pub fn column(&self) -> ColumnId {
        self.column
    }
}

/// An account pattern with what it is bound to. The first match in file order wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) pattern: AccountPattern,
    pub(super) role: RoleId,
    pub(super) firewall: FirewallMode,
}

/// An immutable snapshot of `policy.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    version: u64,
    columns: Vec<ProtectedColumn>,
    roles: Vec<Role>,
    bindings: Vec<Binding>,
    default_role: RoleId,
    default_firewall: FirewallMode,
    rates: Rates,
    budgets: HashMap<RoleId, Budget>,
    by_table: HashMap<(Box<str>, Box<str>), Vec<ColumnId>>,
}

impl Policy {
    /// Builds a snapshot from checked parts; `file` is the only caller outside tests. Bindings are tried in order.
    pub fn new(
        version: u64,
        columns: Vec<ProtectedColumn>,
        roles: Vec<Role>,
        bindings: Vec<(AccountPattern, RoleId, FirewallMode)>,
        default_role: RoleId,
        default_firewall: FirewallMode,
    ) -> Self {
        let mut by_table: HashMap<_, Vec<ColumnId>> = HashMap::new();
        for (id, protected) in (0_u32..).zip(&columns) {
            by_table.entry(table_key(&protected.column.table_ref())).or_default().push(ColumnId(id));
        }
        let bindings =
            bindings.into_iter().map(|(pattern, role, firewall)| Binding { pattern, role, firewall }).collect();
        let (rates, budgets) = (Rates::default(), HashMap::new());
        Self { version, columns, roles, bindings, default_role, default_firewall, rates, budgets, by_table }
    }

    /// The same with other thresholds than the defaults.
    #[must_use]
    pub(super) fn with_rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// The same with budgets.
    #[must_use]
    pub(super) fn with_budgets(mut self, budgets: HashMap<RoleId, Budget>) -> Self {
        self.budgets = budgets;
        self
    }

    /// How much accounts of a role may be shown; `None` for no limit.
    pub fn budget(&self, role: RoleId) -> Option<&Budget> {
        self.budgets.get(&role)
    }

    /// From when on errors and unknown statements are too many.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Grows by one with every reload; part of the plan cache's key.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A digest of what policy says of each protected column, in whatever order: two proxies with equal digests seal,
    /// index and restore alike. Roles and accounts are not in it.
    pub fn digest(&self) -> [u8; 32] {
        let mut columns: Vec<String> = self.columns.iter().map(|column| format!("{column:?}")).collect();
        columns.sort_unstable();
        let mut hash = Sha256::new_with_prefix(b"candado/v1/policy");
        for column in columns {
            hash.update((column.len() as u64).to_be_bytes());
            hash.update(column);
        }
        hash.finalize().into()
    }

    /// All protected columns; a [`ColumnId`] is a position in it.
    pub fn columns(&self) -> &[ProtectedColumn] {
        &self.columns
    }

    /// One protected column. `None` if the id belongs to another snapshot.
    pub fn column(&self, id: ColumnId) -> Option<&ProtectedColumn> {
        self.columns.get(usize::try_from(id.0).ok()?)
    }

    /// The protected columns of a table; empty for an unprotected one. Names fold case whatever the server does: a table
    /// whose name differs from a protected one in case alone counts as protected, never the reverse.
    pub fn columns_of(&self, table: &TableRef) -> &[ColumnId] {
        self.by_table.get(&table_key(table)).map_or(&[], Vec::as_slice)
    }

    /// The protected column of that name in a table.
    pub fn column_named(&self, table: &TableRef, column: &str) -> Option<ColumnId> {
        let folded = column.to_lowercase();
        self.columns_of(table)
            .iter()
            .copied()
            .find(|id| self.column(*id).is_some_and(|found| found.column.column.to_lowercase() == folded))
    }

    /// What a role may do with a column. A pair that policy does not list is denied.
    pub fn access(&self, role: RoleId, column: ColumnId) -> (Access, Option<DecryptGrant>) {
        let access = self
            .role(role)
            .map_or(Access::Deny, |role| role.columns.get(&column).copied().unwrap_or(role.default_access));
        match access {
            Access::Plain => (Access::Plain, Some(DecryptGrant { column })),
            Access::Deny => (Access::Deny, None),
        }
    }

    /// The grant of the engine that converts whole columns. It shows no value to anybody and has no role: who may run it
    /// is decided by the key provider and by the database account that it runs under.
    pub fn backfill_grant(&self, column: ColumnId) -> Option<DecryptGrant> {
        self.column(column).map(|_| DecryptGrant { column })
    }

    /// A role by id.
    pub fn role(&self, id: RoleId) -> Option<&Role> {
        self.roles.get(usize::from(id.0))
    }

    /// All account patterns with their firewall modes, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountPattern, FirewallMode)> {
        self.bindings.iter().map(|binding| (&binding.pattern, binding.firewall))
    }

    /// The role and firewall mode of an account: the first binding that matches, else the safe default.
    pub fn resolve(&self, account: &Account) -> (RoleId, FirewallMode) {
        self.bindings
            .iter()
            .find(|binding| binding.pattern.matches(account))
            .map_or((self.default_role, self.default_firewall), |binding| (binding.role, binding.firewall))
    }
}

fn table_key(table: &TableRef) -> (Box<str>, Box<str>) {
    (table.database.to_lowercase().into(), table.table.to_lowercase().into())
}
