//! What differs between environments that share a policy file: who has which role, how accounts without an entry are
//! judged, and budgets. What is protected, how, and what roles may do is the same in all of them.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use toml::Spanned;

use super::account::{Unlisted, WrittenAccount, bindings};
use super::budget::WrittenBudget;
use super::file::budgets;
use super::written::{Text, suggestion};
use super::{Binding, Budget, FirewallMode, Role, RoleId};

/// `[environment.NAME]` as written. What is not written is as the file has it for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEnvironment {
    /// In place of all entries of the file.
    account: Option<Vec<WrittenAccount>>,
    unlisted: Option<Unlisted>,
    /// In place of the file's for the same role.
    #[serde(default)]
    budget: BTreeMap<String, Spanned<WrittenBudget>>,
}

/// What an environment decides.
pub(super) struct Differing {
    pub(super) bindings: Vec<Binding>,
    pub(super) firewall: FirewallMode,
    pub(super) budgets: HashMap<RoleId, Budget>,
}

impl Differing {
    /// The environment of that name, of those that are written. All are checked, whichever is wanted.
    pub(super) fn chosen(
        self,
        text: &mut Text<'_>,
        written: &BTreeMap<String, Spanned<WrittenEnvironment>>,
        wanted: Option<&str>,
        roles: &[Role],
    ) -> Self {
        let mut chosen = None;
        for (name, environment) in written {
            let own = self.in_environment(text, environment.get_ref(), roles);
            if wanted == Some(name.as_str()) {
                chosen = Some(own);
            }
        }
        let names = || written.keys().map(String::as_str);
        match (wanted, chosen) {
            (None, _) if written.is_empty() => self,
            (None, _) => {
                let names: Vec<&str> = names().collect();
                let first = written.values().next().map(Spanned::span).unwrap_or_default();
                let told = format!(
                    "there are environments, and none is chosen: write `environment` in [policy] of candado.toml, one of {}",
                    names.join(", ")
                );
                text.wrong(&first, told);
                self
            }
            (Some(_), Some(chosen)) => chosen,
            (Some(wanted), None) => {
                let at = written.values().next().map(Spanned::span).unwrap_or_default();
                text.wrong(&at, format!("there is no [environment.{wanted}]{}", suggestion(wanted, names())));
                self
            }
        }
    }

    fn in_environment(&self, text: &mut Text<'_>, written: &WrittenEnvironment, roles: &[Role]) -> Self {
        let WrittenEnvironment { account, unlisted, budget } = written;
        let mut own = self.budgets.clone();
        own.extend(budgets(text, budget, roles));
        Self {
            bindings: account.as_ref().map_or_else(|| self.bindings.clone(), |account| bindings(text, account, roles)),
            firewall: unlisted.as_ref().map_or(self.firewall, |unlisted| unlisted.firewall()),
            budgets: own,
        }
    }
}

#[cfg(test)]
mod tests;
