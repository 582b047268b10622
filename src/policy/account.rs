//! Who has which role, as written, and how statements are judged.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::written::{Text, suggestion};
use super::{AccountPattern, Binding, FirewallMode, MysqlRole, Role, RoleId};

/// `[[account]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAccount {
    user: Option<Spanned<String>>,
    host: Option<String>,
    mysql_role: Option<Spanned<String>>,
    role: Spanned<String>,
    #[serde(default)]
    firewall: WrittenFirewall,
}

/// `[unlisted]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unlisted {
    #[serde(default)]
    firewall: WrittenFirewall,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenFirewall {
    #[default]
    Block,
    Learn,
    Observe,
    Off,
    Protect,
}

impl From<WrittenFirewall> for FirewallMode {
    fn from(written: WrittenFirewall) -> Self {
        match written {
            WrittenFirewall::Block => Self::Block,
            WrittenFirewall::Learn => Self::Learn,
            WrittenFirewall::Observe => Self::Observe,
            WrittenFirewall::Off => Self::Off,
            WrittenFirewall::Protect => Self::Protect,
        }
    }
}

impl Unlisted {
    /// How accounts without an entry are judged.
    pub(super) fn firewall(&self) -> FirewallMode {
        self.firewall.into()
    }
}

/// What entries bind, in their order.
pub(super) fn bindings(text: &mut Text<'_>, written: &[WrittenAccount], roles: &[Role]) -> Vec<Binding> {
    let mut bindings: Vec<Binding> = Vec::with_capacity(written.len());
    for account in written {
        let role = account.role.get_ref();
        let Some((id, _)) = (0_u16..).zip(roles).find(|(_, known)| *known.name == **role) else {
            let hint = suggestion(role, roles.iter().map(|role| &*role.name));
            text.wrong(&account.role.span(), format!("role `{role}` is not declared{hint}"));
            continue;
        };
        let binding = account.binding(text, RoleId(id));
        // The first match wins, so an entry behind one that takes all its accounts is never used.
        if bindings.iter().any(|earlier| earlier.covers(&binding)) {
            let user = account.user.as_ref().map(Spanned::get_ref);
            let of = user.map_or_else(|| binding.to_string(), |user| format!("user `{user}`"));
            text.wrong(&account.place(), format!("an earlier entry takes all accounts of this one ({of})"));
        }
        bindings.push(binding);
    }
    bindings
}

impl WrittenAccount {
    /// Where it stands in the file.
    fn place(&self) -> Range<usize> {
        let name = self.user.as_ref().or(self.mysql_role.as_ref());
        name.map_or_else(|| self.role.span(), Spanned::span)
    }

    fn binding(&self, text: &mut Text<'_>, role: RoleId) -> Binding {
        let mysql_role = self.mysql_role.as_ref().and_then(|written| {
            let role = MysqlRole::from_policy(written.get_ref());
            if role.is_none() {
                text.wrong(&written.span(), "mysql_role is `name` or `name@host`");
            }
            role
        });
        let host = self.host.as_deref().map(Arc::from);
        let pattern = match (&self.user, &self.mysql_role) {
            (Some(user), _) => Some(AccountPattern { user: user.get_ref().as_str().into(), host }),
            (None, Some(_)) if host.is_none() => None,
            (None, Some(written)) => {
                text.wrong(&written.span(), "host belongs to a `user`");
                None
            }
            (None, None) => {
                text.wrong(&self.role.span(), "an account has a `user`, a `mysql_role`, or both");
                None
            }
        };
        Binding { pattern, mysql_role, role, firewall: self.firewall.into() }
    }
}
