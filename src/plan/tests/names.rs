//! Names that could mean one thing to us and another to the server (sql.md P5, P6, P10).

use expect_test::expect;

use super::{Shop, catalog, check, check_in};
use crate::plan::{Refusal, UnknownName};

#[test]
fn unknown_and_ambiguous_names_near_protected_data_are_refused() {
    check(
        &[
            "SELECT fax FROM customers",
            "SELECT x.phone FROM customers c",
            "SELECT customers.phone FROM customers c",
            "SELECT x.* FROM customers c",
            "SELECT id FROM customers, orders",
            "SELECT phone FROM customers, orders",
            "SELECT c.phone FROM customers c JOIN fax ON fax.id = c.id",
            "SELECT phone FROM nowhere.customers",
            "SELECT phone FROM customers ORDER BY fax",
            "SELECT a.id FROM customers a JOIN plain b ON zip = 1",
            "SELECT a.id FROM customers a JOIN (plain b JOIN orders o ON a.id = b.id) ON a.id = o.id",
            "UPDATE customers SET fax = 'x'",
            "SELECT fax FROM plain",
        ],
        expect![[""]],
    );
}

#[test]
fn unknown_names_ask_for_a_fresh_catalog_and_are_not_remembered() {
    let shop = Shop::open();
    let refusal = shop.refusal("SELECT fax FROM customers");
    assert_eq!(refusal, Some(Refusal::UnknownName { name: UnknownName::Column("fax".to_owned()) }));
    assert!(shop.cache.is_empty());
}

#[test]
fn names_resolve_outward_and_aliases_only_where_the_server_looks_at_them() {
    check(
        &[
            "SELECT id AS phone FROM customers WHERE phone = 'x'",
            "SELECT id AS phone FROM customers ORDER BY phone",
            "SELECT id AS phone FROM plain ORDER BY phone",
            "SELECT name AS n FROM customers ORDER BY n",
            "SELECT name AS n FROM customers WHERE n = 'x'",
            "SELECT id FROM plain WHERE EXISTS (SELECT 1 FROM customers WHERE customers.name = total)",
            "SELECT (SELECT MAX(total) FROM orders WHERE phone = 'x') FROM customers",
            "SELECT (SELECT MAX(total) FROM plain WHERE name = phone) FROM customers",
            "SELECT phone AS p, (SELECT p) FROM customers",
            "SELECT phone 1.e FROM customers",
        ],
        expect![[""]],
    );
}

#[test]
fn the_default_database_decides_about_bare_names() {
    let mut shop = Shop::open();
    shop.database = Some("other");
    check_in(
        &shop,
        &["SELECT phone FROM customers WHERE phone = 'x'", "SELECT phone FROM shop.customers"],
        expect![[""]],
    );
    shop.database = None;
    check_in(&shop, &["SELECT phone FROM customers", "SELECT phone FROM shop.customers"], expect![[""]]);
}

#[test]
fn table_names_fold_as_the_server_is_set_up() {
    let mut shop = Shop::open();
    let sql = [
        "SELECT PHONE FROM CUSTOMERS",
        "SELECT C.phone FROM customers c",
        "WITH Customers AS (SELECT 1 AS phone) SELECT phone FROM customers",
    ];
    check_in(&shop, &sql, expect![[""]]);
    shop.catalog = catalog(shop.dialect.server, 1);
    shop.catalog.version += 1;
    check_in(&shop, &sql, expect![[""]]);
}

#[test]
fn letters_that_the_server_folds_do_not_hide_a_name() {
    let mut shop = Shop::open();
    shop.catalog = catalog(shop.dialect.server, 1);
    check_in(&shop, &["SELECT 1 FROM `v\u{130}p`", "SELECT 1 FROM `\u{212a}lein`"], expect![[""]]);
}
