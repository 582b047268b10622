//! The page `keys-policy/what-works.md`, made from the planner's own answers. `UPDATE_EXPECT=1` writes it; read it before
//! committing.

use std::collections::HashSet;
use std::path::Path;

use expect_test::expect_file;

use super::super::*;
use super::dialect;
use crate::plan::{self, Inspection, Lookup, PlanCache, Scratch};
use crate::policy::{Account, FirewallMode, RoleId};
use crate::schema::{Catalog, Column, Routine, Table, TableKind, TableRef};

/// The rows, in a text of their own: headings, paragraphs, and `construct | statement`.
const ROWS: &str = include_str!("works.txt");

/// What the page's examples are about.
const POLICY: &str = r#"
keysets = ["main"]
[[column]]
name = "shop.customers.phone"
keyset = "main"
type = "varchar(40)"
index = { normaliser = "e164", region = "JP", domain = "phone" }
[[column]]
name = "shop.customers.email"
keyset = "main"
type = "varchar(190)"
index = { normaliser = "email" }
[[column]]
name = "shop.customers.note"
keyset = "main"
type = "text"
[[column]]
name = "shop.labels.label"
keyset = "main"
type = "varchar(40)"
collation = "utf8mb4_0900_ai_ci"
sort = "proxy"
[[column]]
name = "shop.orders.phone"
keyset = "main"
type = "varchar(40)"
index = { normaliser = "e164", region = "JP", domain = "phone" }
[[routine]]
name = "shop.add_customer"
arguments = ["-", "shop.customers.phone"]
results = [["shop.customers.phone"]]
[role.application]
access = "plain"
"#;

fn table(name: &str, columns: &[&str]) -> Table {
    let column = |name: &&str| Column {
        name: (*name).into(),
        data_type: "varbinary".into(),
        column_type: "varbinary(256)".into(),
        octets_max: None,
        charset: None,
        collation: None,
        nullable: true,
        extra: "".into(),
    };
    let columns = columns.iter().map(column).collect();
    Table { name: TableRef::new("shop", name), kind: TableKind::Base, columns, definition: Some("".into()) }
}

pub(super) fn catalog() -> Catalog {
    let contact = "select `shop`.`customers`.`id` AS `id`,`shop`.`customers`.`phone` AS `tel` from `shop`.`customers`";
    let view = Table { kind: TableKind::View, definition: Some(contact.into()), ..table("contact", &["id", "tel"]) };
    let routine = |name: &str| Routine {
        database: "shop".into(),
        name: name.into(),
        definition: Some("BEGIN DELETE FROM customers WHERE phone IS NULL; END".into()),
    };
    let tables = vec![
        table("customers", &["id", "name", "phone", "email", "note"]),
        table("orders", &["id", "customer_id", "phone", "total"]),
        table("labels", &["id", "name", "label"]),
        table("plain", &["id", "name", "total"]),
        view,
    ];
    Catalog::new(7, dialect().server, 0, HashSet::new(), tables, vec![routine("clean_up"), routine("add_customer")])
}

pub(super) fn policy() -> Policy {
    crate::policy::file::parse("policy", POLICY, 1).unwrap()
}

pub(super) fn decided<T>(
    sql: &str,
    catalog: &Catalog,
    policy: &Policy,
    then: impl FnOnce(&Result<Admitted<'_>, Refusal>) -> T,
) -> T {
    let cache = PlanCache::new(1, 1 << 20);
    let mut scratch = Scratch::default();
    let account = Account { user: "app".into(), host: "%".into() };
    let decision = plan::inspect(
        sql.as_bytes(),
        Inspection {
            lookup: Lookup::Again,
            dialect: dialect(),
            default_database: Some("shop"),
            catalog,
            policy,
            role: RoleId(0),
            account: &account,
            firewall: FirewallMode::Block,
            profile: None,
            cache: &cache,
            scratch: &mut scratch,
        },
    );
    then(&decision)
}

fn explained(sql: &str, catalog: &Catalog, policy: &Policy) -> Explained {
    decided(sql, catalog, policy, |decision| Explained::of(decision, policy, Audience::Operator))
}

/// Names of columns without database and table, in code spans.
fn short(columns: &[String]) -> String {
    let name = |column: &String| format!("`{}`", column.rsplit('.').next().unwrap());
    columns.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// One line of the page's tables.
fn row(construct: &str, sql: &str, explained: &Explained) -> String {
    let mut outcome = match explained.verdict {
        Verdict::Refused => format!("**refused**, {}", explained.error.as_ref().unwrap().code),
        Verdict::Relayed | Verdict::Rewritten => explained.verdict.name().to_owned(),
    };
    for (what, columns) in [("sealed", &explained.seals), ("opened", &explained.opens)] {
        if !columns.is_empty() {
            outcome.push_str(&format!("; {} {what}", short(columns)));
        }
    }
    let remedy = explained.error.as_ref().and_then(|error| error.remedy.as_deref()).unwrap_or_default();
    // A code span with backticks in it needs two around it.
    let example = if sql.contains('`') { format!("`` {sql} ``") } else { format!("`{sql}`") };
    let cells = [construct, &example, &outcome, &short(&explained.index), remedy];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

#[test]
fn the_page_says_what_the_planner_does() {
    let (policy, catalog) = (policy(), catalog());
    let mut page = String::new();
    let mut before = "";
    for line in ROWS.lines() {
        match line.split_once(" | ") {
            Some((construct, sql)) => {
                if !before.contains(" | ") {
                    page.push_str(
                        "| construct | for example | outcome | index used | instead |\n|---|---|---|---|---|\n",
                    );
                }
                page.push_str(&row(construct, sql, &explained(sql, &catalog, &policy)));
            }
            None => {
                page.push_str(line);
                page.push('\n');
            }
        }
        before = line;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-policy/what-works.md");
    expect_file![path].assert_eq(&page);
}
