//! Roles and the MySQL accounts bound to them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Access, ColumnId, Right};

/// Position of a role in the policy; valid for that policy snapshot only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoleId(pub u16);

/// A named set of rights on protected columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name in policy.
    pub name: Arc<str>,
    /// What it gets where `columns` says nothing.
    pub default_access: Access,
    /// Where the role's lines say something of a column or of its keyset.
    pub columns: HashMap<ColumnId, Right>,
}

impl Role {
    /// What it may do with a column.
    pub fn access(&self, column: ColumnId) -> Access {
        self.columns.get(&column).map_or(self.default_access, |right| right.access)
    }
}

/// How the statement firewall treats an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FirewallMode {
    /// Statements are not judged.
    Off,
    /// Hits are logged, statements pass.
    Observe,
    /// Statements with a hard hit are refused, all others are learned until somebody freezes the profile.
    Learn,
    /// Statements with a hit are refused. The default.
    Block,
    /// The same, and statements that are too far from the account's profile.
    Protect,
}

impl FirewallMode {
    /// Whether anything is refused.
    pub fn refuses(self) -> bool {
        match self {
            Self::Off | Self::Observe => false,
            Self::Learn | Self::Block | Self::Protect => true,
        }
    }

    /// Whether statements are compared with a profile.
    pub fn has_profile(self) -> bool {
        match self {
            Self::Off | Self::Observe | Self::Block => false,
            Self::Learn | Self::Protect => true,
        }
    }

    /// As it stands in policy, events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Learn => "learn",
            Self::Block => "block",
            Self::Protect => "protect",
        }
    }
}

/// The account that the server authenticated: the two halves of `CURRENT_USER()`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// User name.
    pub user: Arc<str>,
    /// Host part as the server's grant table spells it, e.g. `%` or `10.0.0.%`.
    pub host: Arc<str>,
}

/// Accounts that policy binds: an exact user name and an exact host part, or any host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountPattern {
    /// User name, compared byte for byte as MySQL does.
    pub user: Arc<str>,
    /// Host part to match, or `None` for every host part.
    pub host: Option<Arc<str>>,
}

impl std::fmt::Display for AccountPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{}@{host}", self.user),
            None => write!(f, "{} from any host", self.user),
        }
    }
}

impl AccountPattern {
    /// Whether the account falls under the pattern. Host parts compare without case.
    pub fn matches(&self, account: &Account) -> bool {
        self.user == account.user && self.host.as_ref().is_none_or(|host| host.eq_ignore_ascii_case(&account.host))
    }
}
