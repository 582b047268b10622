//! The checked policy that statements are judged by.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    Account, AccountPattern, AllowedRoutine, Basis, Budget, ColumnId, ColumnRules, FirewallMode, HashCosts, Honey,
    Mask, MysqlRole, ProtectedColumn, Rates, Right, Role, RoleId, SearchGrant, SortRule,
};
use crate::schema::TableRef;

/// What a role may do with a protected column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads and writes the value.
    Plain,
    /// Sees a mask in place of the value, in a column of a result that is the column itself. Every other use is refused
    /// with error 1143.
    Masked,
    /// The same, and sees the envelope with random bytes in place of its blind index.
    Ciphertext,
    /// Every statement that names the column is refused with error 1143.
    Deny,
}

/// Proof that a column may be opened. Only [`Policy::access`] and [`Policy::masked`], for a role, and
/// [`Policy::backfill_grant`] make one, so no cell is opened unasked.
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

/// An `[[account]]` of policy: accounts with what they are bound to. The first match in file order wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The accounts; `None`: all of them.
    pub pattern: Option<AccountPattern>,
    /// The role of the server's own that they must have active when they log in.
    pub mysql_role: Option<MysqlRole>,
    /// Their role.
    pub role: RoleId,
    /// How their statements are judged.
    pub firewall: FirewallMode,
}

impl Binding {
    fn matches(&self, account: &Account, mysql_roles: &[MysqlRole]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(account))
            && self.mysql_role.as_ref().is_none_or(|role| mysql_roles.contains(role))
    }

    /// Whether it takes all accounts that another one would.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let users = match (&self.pattern, &other.pattern) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => {
                own.user == other.user
                    && (own.host.is_none()
                        || matches!((&own.host, &other.host), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b)))
            }
        };
        users && (self.mysql_role.is_none() || self.mysql_role == other.mysql_role)
    }
}

impl std::fmt::Display for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.pattern, &self.mysql_role) {
            (Some(pattern), Some(role)) => write!(f, "{pattern} with MySQL role {role}"),
            (Some(pattern), None) => write!(f, "{pattern}"),
            (None, Some(role)) => write!(f, "every account with MySQL role {role}"),
            (None, None) => f.write_str("every account"),
        }
    }
}

/// An immutable snapshot of `policy.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    version: u64,
    environment: Option<Arc<str>>,
    columns: Vec<ProtectedColumn>,
    /// At the same positions as `columns`.
    rules: Vec<ColumnRules>,
    roles: Vec<Role>,
    bindings: Vec<Binding>,
    default_role: RoleId,
    default_firewall: FirewallMode,
    rates: Rates,
    searches: HashMap<RoleId, SearchGrant>,
    routines: Vec<AllowedRoutine>,
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
        let bound = |(pattern, role, firewall)| Binding { pattern: Some(pattern), mysql_role: None, role, firewall };
        let bindings = bindings.into_iter().map(bound).collect();
        Self {
            version,
            environment: None,
            rules: vec![ColumnRules::default(); columns.len()],
            columns,
            roles,
            bindings,
            default_role,
            default_firewall,
            rates: Rates::default(),
            searches: HashMap::new(),
            routines: Vec::new(),
            budgets: HashMap::new(),
            by_table,
        }
    }

    /// The same with other bindings, which may be by roles of the server's own.
    #[must_use]
    pub fn with_bindings(self, bindings: Vec<Binding>) -> Self {
        Self { bindings, ..self }
    }

    /// The same for the environment of that name.
    #[must_use]
    pub(super) fn with_environment(self, name: Option<&str>) -> Self {
        Self { environment: name.map(Arc::from), ..self }
    }

    /// The environment that it is for, if the file has any.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// The same with what is said of columns, at their positions.
    #[must_use]
    pub(crate) fn with_rules(mut self, rules: Vec<ColumnRules>) -> Self {
        self.rules = rules;
        self
    }

    /// What is said of a column. `None` if the id belongs to another snapshot.
    fn rules(&self, column: ColumnId) -> Option<&ColumnRules> {
        self.rules.get(usize::try_from(column.0).ok()?)
    }

    /// The same with other thresholds than the defaults.
    #[must_use]
    pub(super) fn with_rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// How the proxy sorts by a column, if it does.
    pub fn sort(&self, column: ColumnId) -> Option<SortRule> {
        self.rules(column)?.sort
    }

    /// What a hash must cost to be stored in the column, if it takes nothing but hashes of passwords.
    pub fn password_hash(&self, column: ColumnId) -> Option<&HashCosts> {
        self.rules(column)?.password_hash.as_ref()
    }

    /// The same with procedures that may be called.
    #[must_use]
    pub fn with_routines(mut self, routines: Vec<AllowedRoutine>) -> Self {
        self.routines = routines;
        self
    }

    /// What policy says of a procedure that may be called although it reaches protected tables.
    pub fn routine(&self, database: &str, name: &str) -> Option<&AllowedRoutine> {
        self.routines.iter().find(|routine| routine.is_named(database, name))
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

    /// What of a column is bait, if anything is.
    pub fn honey(&self, column: ColumnId) -> Option<&Arc<Honey>> {
        self.rules(column)?.honey.as_ref()
    }

    /// Whether anything is bait.
    pub fn has_honey(&self) -> bool {
        self.rules.iter().any(|rules| rules.honey.is_some())
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
        let mut columns: Vec<Vec<u8>> = self.columns.iter().map(ProtectedColumn::canonical).collect();
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
        let access = self.role(role).map_or(Access::Deny, |role| role.access(column));
        match access {
            Access::Plain => (Access::Plain, Some(DecryptGrant { column })),
            Access::Masked | Access::Ciphertext | Access::Deny => (access, None),
        }
    }

    /// What a role sees of a column that is masked for it, and the grant that the mask is computed with. `None` for every
    /// other access.
    pub fn masked(&self, role: RoleId, column: ColumnId) -> Option<(DecryptGrant, Arc<Mask>)> {
        match self.access(role, column).0 {
            Access::Masked => {
                let own = self.right(role, column).and_then(|right| right.mask.as_ref());
                let mask = own.or_else(|| self.rules(column)?.mask.as_ref()).cloned();
                // The one that shows least, should none be named.
                Some((DecryptGrant { column }, mask.unwrap_or_else(|| Arc::new(Mask::Null))))
            }
            Access::Plain | Access::Ciphertext | Access::Deny => None,
        }
    }

    /// What the lines of a role say of a column or of its keyset, if they do.
    fn right(&self, role: RoleId, column: ColumnId) -> Option<&Right> {
        self.role(role)?.columns.get(&column)
    }

    /// Which line of a role decides about a column.
    pub fn basis(&self, role: RoleId, column: ColumnId) -> Basis {
        self.right(role, column).map_or(Basis::Role, |right| right.basis)
    }

    /// The same with searches that are granted to roles which do not see the values.
    #[must_use]
    pub(crate) fn with_searches(self, searches: HashMap<RoleId, SearchGrant>) -> Self {
        Self { searches, ..self }
    }

    /// By which columns a role may search although it does not see their values, and how often. `None`: by none.
    pub fn search(&self, role: RoleId) -> Option<&SearchGrant> {
        self.searches.get(&role)
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

    /// All roles with their ids; the last one is that of accounts that no binding names.
    pub fn roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        (0_u16..).map(RoleId).zip(&self.roles)
    }

    /// All bindings, in order.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// All account patterns with their firewall modes, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountPattern, FirewallMode)> {
        self.bindings.iter().filter_map(|binding| Some((binding.pattern.as_ref()?, binding.firewall)))
    }

    /// The role and firewall mode of an account: the first binding that matches, else the safe default.
    pub fn resolve(&self, account: &Account) -> (RoleId, FirewallMode) {
        self.resolve_with(account, &[])
    }

    /// The same for an account with roles of the server's own.
    pub fn resolve_with(&self, account: &Account, mysql_roles: &[MysqlRole]) -> (RoleId, FirewallMode) {
        self.binding_of(account, mysql_roles)
            .map_or((self.default_role, self.default_firewall), |(_, binding)| (binding.role, binding.firewall))
    }

    /// The binding that an account falls under, with its position in the file, from 1. `None`: no binding names it.
    pub fn binding_of(&self, account: &Account, mysql_roles: &[MysqlRole]) -> Option<(usize, &Binding)> {
        (1..).zip(&self.bindings).find(|(_, binding)| binding.matches(account, mysql_roles))
    }
}

fn table_key(table: &TableRef) -> (Box<str>, Box<str>) {
    (table.database.to_lowercase().into(), table.table.to_lowercase().into())
}
