//! `candado roles`: who sees what of the protected columns, and which line of policy says so.
//!
//! Reads configuration and policy alone. Which accounts there are, and which roles of the server's own they have, is the
//! server's to know: the command line says it.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::account::client;
use super::output::Output;
use super::{Facts, Failure, InEnvironment};
use crate::app::load_policy;
use crate::config;
use crate::policy::{Access, Account, ColumnId, FirewallMode, MysqlRole, Policy, RoleId};

/// What is asked.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell what an account sees of each protected column.
    #[command(after_help = "Examples:
  candado roles who engineer@%
  candado roles who ana@10.0.0.% --mysql-role reporting --json")]
    Who(WhoArguments),
    /// Tell what each role sees of each protected column, and who has it.
    #[command(after_help = "Examples:
  candado roles list --config /etc/candado/candado.toml
  candado roles list --json")]
    List(ListArguments),
}

/// What is listed.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    place: InEnvironment,
}

/// Whose view is told.
#[derive(Debug, Args)]
pub(super) struct WhoArguments {
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    place: InEnvironment,
    /// The account as the server's CURRENT_USER() has it, USER@HOST; without a host, the host is %.
    #[arg(value_name = "USER@HOST", value_parser = client)]
    account: Account,
    /// A role of the server's own that the account has active when it logs in; repeat it for more.
    #[arg(long, value_name = "NAME", value_parser = mysql_role)]
    mysql_role: Vec<MysqlRole>,
}

fn mysql_role(written: &str) -> Result<MysqlRole, String> {
    MysqlRole::from_policy(written).ok_or_else(|| "a role is written name or name@host".to_owned())
}

/// What an account sees.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct View {
    account: String,
    /// The policy's environment, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    role: String,
    /// The position of the `[[account]]` that binds the account, from 1; none for an account that policy does not list.
    entry: Option<usize>,
    /// Whom that entry names.
    binding: Option<String>,
    firewall: &'static str,
    columns: Vec<Seen>,
}

/// A role.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ListedRole {
    role: String,
    /// Whom it is given to.
    accounts: Vec<String>,
    columns: Vec<Seen>,
}

/// What is seen of a column.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Seen {
    column: String,
    access: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<&'static str>,
    /// Values that may be searched for in a minute, if rows may be searched by the column all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    searches_per_minute: Option<u32>,
    /// The key of the role that decides: `columns`, `keysets` or `access`.
    by: &'static str,
}

/// Tells and prints.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let output = Output::new();
    match command {
        Command::Who(arguments) => {
            let policy = policy(&arguments.facts, &arguments.place)?;
            let view = View::of(&policy, &arguments.account, &arguments.mysql_role);
            Ok(output.answer(arguments.facts.json, &view, || view.text())?)
        }
        Command::List(ListArguments { facts, place }) => {
            let roles = listed(&policy(facts, place)?);
            Ok(output
                .answer(facts.json, &roles, || roles.iter().map(ListedRole::text).collect::<Vec<_>>().join("\n"))?)
        }
    }
}

fn policy(facts: &Facts, place: &InEnvironment) -> Result<Policy, Failure> {
    let settings = place.of(config::load(&facts.configured.config)?);
    load_policy(&settings, 1).map_err(|error| Failure::Usage(error.into()))
}

impl View {
    fn of(policy: &Policy, account: &Account, mysql_roles: &[MysqlRole]) -> Self {
        let binding = policy.binding_of(account, mysql_roles);
        let (role, firewall): (RoleId, FirewallMode) = policy.resolve_with(account, mysql_roles);
        Self {
            account: format!("{}@{}", account.user, account.host),
            environment: policy.environment().map(str::to_owned),
            role: policy.role(role).map(|role| role.name.to_string()).unwrap_or_default(),
            entry: binding.map(|(entry, _)| entry),
            binding: binding.map(|(_, binding)| binding.to_string()),
            firewall: firewall.name(),
            columns: seen(policy, role),
        }
    }

    fn text(&self) -> String {
        let by = match (&self.entry, &self.binding) {
            (Some(entry), Some(binding)) => format!(" by [[account]] {entry} ({binding})"),
            (Some(_), None) | (None, _) => ", for no [[account]] names it".to_owned(),
        };
        let place = self.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
        let head = format!("{}{place}: role {}{by}; firewall {}", self.account, self.role, self.firewall);
        with_columns(head, &self.columns)
    }
}

impl ListedRole {
    fn text(&self) -> String {
        let accounts = if self.accounts.is_empty() { "nobody".to_owned() } else { self.accounts.join(", ") };
        with_columns(format!("role {}: {accounts}", self.role), &self.columns)
    }
}

fn with_columns(head: String, columns: &[Seen]) -> String {
    let width = columns.iter().map(|seen| seen.column.chars().count()).max().unwrap_or_default();
    let lines = columns.iter().map(|Seen { column, access, mask, searches_per_minute, by }| {
        let mask = mask.map(|mask| format!(" by {mask}")).unwrap_or_default();
        let search = searches_per_minute.map(|most| format!("; search, {most} a minute  (the role's `search`)"));
        format!("  {column:width$}  {access}{mask}  (the role's `{by}`){}", search.unwrap_or_default())
    });
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

fn seen(policy: &Policy, role: RoleId) -> Vec<Seen> {
    let columns = (0_u32..).map(ColumnId).zip(policy.columns());
    columns
        .map(|(id, column)| Seen {
            column: column.column.to_string(),
            access: match policy.access(role, id).0 {
                Access::Plain => "plain",
                Access::Masked => "masked",
                Access::Ciphertext => "ciphertext",
                Access::Deny => "deny",
            },
            mask: policy.masked(role, id).map(|(_, mask)| mask.name()),
            searches_per_minute: policy.search(role).filter(|grant| grant.covers(id)).map(|grant| grant.per_minute),
            by: policy.basis(role, id).name(),
        })
        .collect()
}

fn listed(policy: &Policy) -> Vec<ListedRole> {
    policy
        .roles()
        .map(|(id, role)| ListedRole {
            role: role.name.to_string(),
            accounts: policy.bindings().iter().filter(|binding| binding.role == id).map(ToString::to_string).collect(),
            columns: seen(policy, id),
        })
        .collect()
}

/// What is written and of no use: roles that nobody has, and columns whose values nobody sees.
pub(super) fn holes(policy: &Policy) -> Vec<String> {
    let bound = |id| policy.bindings().iter().any(|binding| binding.role == id);
    // The last role is that of accounts that policy does not name, and is written nowhere.
    let written = policy.roles().count().saturating_sub(1);
    let idle = policy.roles().take(written).filter(|(id, _)| !bound(*id));
    let idle = idle.map(|(_, role)| format!("role {}: no [[account]] has it", role.name));
    let unseen = (0_u32..).map(ColumnId).zip(policy.columns()).filter(|(column, _)| {
        !policy.roles().any(|(id, _)| bound(id) && policy.access(id, *column).0 == Access::Plain)
    });
    let unseen = unseen.map(|(_, column)| format!("{}: no account sees its values", column.column));
    idle.chain(unseen).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const POLICY: &str = r#"
keysets = ["contact"]
[[column]]
name = "shop.customers.phone"
keyset = "contact"
type = "varchar(20)"
mask = { kind = "last", shown = 2 }
index = { normaliser = "raw" }
[[column]]
name = "shop.customers.address"
keyset = "contact"
type = "text"
[role.support]
access = "plain"
columns = { "shop.customers.address" = "deny" }
[role.reporting]
access = "deny"
keysets = { contact = "ciphertext" }
columns = { "shop.customers.phone" = "masked" }
search = { columns = ["shop.customers.phone"], per_minute = 5 }
[[account]]
mysql_role = "reporting"
role = "reporting"
[[account]]
user = "support"
role = "support"
firewall = "protect"
"#;

    fn who(written: &str, roles: &[&str]) -> String {
        let policy = crate::policy::file::parse("policy.toml", POLICY, 1).unwrap();
        let roles: Vec<MysqlRole> = roles.iter().map(|role| mysql_role(role).unwrap()).collect();
        View::of(&policy, &client(written).unwrap(), &roles).text()
    }

    #[test]
    fn an_account_is_told_with_the_lines_that_decide() {
        expect![[r"
            support@%: role support by [[account]] 2 (support from any host); firewall protect
              shop.customers.phone    plain  (the role's `access`)
              shop.customers.address  deny  (the role's `columns`)
            support@%: role reporting by [[account]] 1 (every account with MySQL role reporting@%); firewall block
              shop.customers.phone    masked by last  (the role's `columns`); search, 5 a minute  (the role's `search`)
              shop.customers.address  ciphertext  (the role's `keysets`)
            someone@10.0.0.%: role unlisted, for no [[account]] names it; firewall block
              shop.customers.phone    deny  (the role's `access`)
              shop.customers.address  deny  (the role's `access`)"]]
        .assert_eq(
            &[who("support", &[]), who("support@%", &["reporting"]), who("someone@10.0.0.%", &["other"])].join("\n"),
        );
    }

    #[test]
    fn what_is_of_no_use_is_found() {
        let found = |text: &str| holes(&crate::policy::file::parse("policy.toml", text, 1).unwrap());
        assert_eq!(found(POLICY), ["shop.customers.address: no account sees its values"]);
        let text = POLICY.replace("user = \"support\"\nrole = \"support\"", "user = \"support\"\nrole = \"reporting\"");
        assert_eq!(
            found(&text),
            [
                "role support: no [[account]] has it",
                "shop.customers.phone: no account sees its values",
                "shop.customers.address: no account sees its values",
            ]
        );
    }

    #[test]
    fn roles_are_listed_with_those_who_have_them() {
        let policy = crate::policy::file::parse("policy.toml", POLICY, 1).unwrap();
        let heads: Vec<String> =
            listed(&policy).iter().map(|role| role.text().lines().next().unwrap_or_default().to_owned()).collect();
        let expected = [
            "role reporting: every account with MySQL role reporting@%",
            "role support: support from any host",
            "role unlisted: nobody",
        ];
        assert_eq!(heads, expected);
    }
}
