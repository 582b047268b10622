//! Statements and what becomes of them, one file below `plans` for each subject: a statement stands at the beginning of
//! a line, its plan is indented below. `UPDATE_EXPECT=1` writes the plans; read them before committing.

use std::collections::HashSet;
use std::path::Path;

use expect_test::expect_file;

use super::{ENGINEER, PLAIN, Shop, catalog, policy_where};
use crate::plan::Refusal;
use crate::plan::UnknownName;
use crate::policy::{Account, Bind, FirewallMode, Policy, Unbound};
use crate::schema::{Catalog, Column, ServerKind, ServerVersion};

fn check(shop: &Shop, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/tests/plans").join(name).with_extension("txt");
    let mut out = String::new();
    for sql in std::fs::read_to_string(&path).unwrap().lines().filter(|line| !line.starts_with(' ')) {
        out.push_str(sql);
        out.push('\n');
        for line in shop.dump(sql).lines() {
            out.push_str("    ");
            out.push_str(line);
            out.push('\n');
        }
    }
    expect_file![path].assert_eq(&out);
}

/// Tests whose statements run in an ordinary shop.
macro_rules! plans {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(&Shop::open(), stringify!($name));
            }
        )*
    };
}

plans! {
    outputs joins searches refused_comparisons null_tests refused_expressions grouping_and_ordering nested_queries lineage
    common_tables set_operations conditions orms views explain inserts refused_inserts duplicates updates deletes unknown_names outward_names opaque_carriers definitions
    alter_table harmless character_sets unreadable value_expressions case_operands several_tables
    equal_values rows unnamed sorts calls
}

#[test]
fn denied_role() {
    let account = Account { user: "eva".into(), host: "10.0.0.%".into() };
    check(&Shop { role: ENGINEER, account, ..Shop::open() }, "denied_role");
}

/// Notes are bound to the numbers of their rows.
#[test]
fn bound() {
    let mut shop = Shop::open();
    shop.policy = policy_where(1, |columns| {
        columns[2].bind = Some(Bind { to: "ID".into(), unbound: Unbound::Refused });
    });
    let mut tables = shop.catalog.tables().cloned().collect::<Vec<_>>();
    for id in tables.iter_mut().flat_map(|table| &mut table.columns).filter(|column| &*column.name == "id") {
        *id = Column { data_type: "int".into(), column_type: "int".into(), nullable: false, ..id.clone() };
    }
    shop.catalog = Catalog::new(7, shop.dialect.server, 0, HashSet::new(), tables, Vec::new());
    check(&shop, "bound");
}

#[test]
fn mariadb() {
    let mut shop = Shop::open();
    shop.dialect.server = ServerVersion { kind: ServerKind::MariaDb, number: 101_118 };
    shop.catalog = catalog(shop.dialect.server, 0);
    check(&shop, "mariadb");
}

#[test]
fn the_default_database_decides_about_bare_names() {
    check(&Shop { database: Some("other"), ..Shop::open() }, "other_database");
    check(&Shop { database: None, ..Shop::open() }, "no_database");
}

#[test]
fn table_names_fold_as_the_server_is_set_up() {
    let mut shop = Shop::open();
    check(&shop, "exact_table_names");
    shop.catalog = catalog(shop.dialect.server, 1);
    shop.cache = crate::plan::PlanCache::new(10, 1 << 20);
    check(&shop, "folded_table_names");
    check(&shop, "folded_letters");
}

#[test]
fn a_guard_is_up_if_anything_is_protected_or_the_firewall_blocks() {
    let policy = Policy::new(2, Vec::new(), Vec::new(), Vec::new(), PLAIN, FirewallMode::Off);
    let mut shop = Shop { policy, firewall: FirewallMode::Off, ..Shop::open() };
    check(&shop, "nothing_protected");
    shop.firewall = FirewallMode::Block;
    check(&shop, "nothing_protected_but_guarded");
}

#[test]
fn an_observing_firewall_reports_what_it_lets_pass() {
    let policy = Policy::new(2, Vec::new(), Vec::new(), Vec::new(), PLAIN, FirewallMode::Off);
    let mut shop = Shop { policy, firewall: FirewallMode::Observe, ..Shop::open() };
    for (sql, rule) in [
        ("SELECT id FROM orders WHERE id = 1 OR SLEEP(5)", Some("delay")),
        ("SELECT 1; SELECT 2", Some("stacked")),
        ("SELECT 'unclosed", Some("parse")),
        ("SELECT id FROM orders", None),
    ] {
        let observed = shop.inspect(sql.as_bytes(), |admitted| admitted.unwrap().observed());
        assert_eq!(observed, rule, "{sql}");
    }
    shop.firewall = FirewallMode::Block;
    let refusal = shop.refusal("SELECT id FROM orders WHERE id = 1 OR SLEEP(5)");
    assert_eq!(refusal, Some(Refusal::Firewall { rule: "delay" }));
}

#[test]
fn unknown_names_ask_for_a_fresh_catalog_and_are_not_remembered() {
    let shop = Shop::open();
    let refusal = shop.refusal("SELECT fax FROM customers");
    assert_eq!(refusal, Some(Refusal::UnknownName { name: UnknownName::Column("fax".to_owned()) }));
    assert!(shop.cache.is_empty());
}
