//! Which names lead to protected data.

use super::{Shop, routine, table, view};
use crate::plan::protected_names::{ProtectedNames, fold};
use crate::policy::{FirewallMode, Policy};
use crate::schema::{Catalog, Routine, Table};

fn names(tables: Vec<Table>, routines: Vec<Routine>) -> ProtectedNames {
    let shop = Shop::open();
    ProtectedNames::collect(
        &shop.policy,
        &Catalog::new(1, shop.dialect.server, 0, Default::default(), tables, routines),
    )
}

#[test]
fn views_and_routines_are_followed_through_any_number_of_steps() {
    let found = names(
        vec![
            view("c", &[], Some("select 1 from `shop`.`b`")),
            view("b", &[], Some("select f() from `shop`.`orders`")),
            view("far", &[], Some("select 1 from `shop`.`orders`")),
        ],
        vec![
            routine("f", Some("RETURN (SELECT COUNT(*) FROM `Customers`)")),
            routine("g", Some("BEGIN CALL f2(); END")),
            routine("h", Some("BEGIN SET @t = 'x'; EXECUTE IMMEDIATE @t; END")),
            // The plan of another connection's statement shows what that one looks for.
            routine("i", Some("EXPLAIN FORMAT=JSON FOR CONNECTION 5")),
            routine("j", Some("SHOW /* it */ ANALYZE FOR 5")),
            routine("k", Some("ANALYZE TABLE orders")),
        ],
    );
    for name in ["customers", "CUSTOMERS", "c", "b", "f", "h", "i", "j"] {
        assert!(found.has_carrier(name), "{name}");
    }
    for name in ["far", "g", "k", "orders", "shop", "phone", "customer", "customers2"] {
        assert!(!found.has_carrier(name), "{name}");
    }
    assert!(found.has_view("B") && !found.has_view("f") && found.has_routine("F"));
    assert!(found.has_column("Phone") && !found.has_column("id"));
}

#[test]
fn a_definition_that_cannot_be_read_reaches() {
    let found = names(vec![view("v", &[], None)], vec![routine("r", None)]);
    assert!(found.has_view("v") && found.has_routine("r"));
}

#[test]
fn names_with_unusual_characters_are_found_inside_definitions() {
    let shop = Shop::open();
    let mut columns = shop.policy.columns().to_vec();
    for column in &mut columns {
        column.column.table = "cust omers`x".into();
    }
    let policy = Policy::new(1, columns, Vec::new(), Vec::new(), super::PLAIN, FirewallMode::Block);
    let tables = vec![
        view("v", &[], Some("select 1 from `shop`.`Cust Omers``x`")),
        view("w", &[], Some("select 1 from `shop`.`cust` `omers`")),
    ];
    let found = ProtectedNames::collect(
        &policy,
        &Catalog::new(1, shop.dialect.server, 0, Default::default(), tables, Vec::new()),
    );
    assert!(found.has_carrier("CUST OMERS`X") && found.has_view("v") && !found.has_view("w"));
}

#[test]
fn nothing_is_dangerous_where_nothing_is_protected() {
    let shop = Shop::open();
    let policy = Policy::new(1, Vec::new(), Vec::new(), Vec::new(), super::PLAIN, FirewallMode::Block);
    let tables = vec![table("shop", "customers", &["id"]), view("v", &[], None)];
    let catalog = Catalog::new(1, shop.dialect.server, 0, Default::default(), tables, vec![routine("r", None)]);
    let found = ProtectedNames::collect(&policy, &catalog);
    assert!(found.is_empty() && !found.has_carrier("v") && !found.has_carrier("r"));
}

#[test]
fn names_fold_as_the_server_folds_them() {
    assert_eq!(fold("K\u{130}d"), fold("kid"));
    assert_eq!(fold("\u{212A}id"), fold("kid"));
    assert_eq!(fold("ÄÖ"), fold("äö"));
    assert_ne!(fold("phone"), fold("phoné"));
}
