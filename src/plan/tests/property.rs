//! Generated statements: no position that is not on the allow-list takes a protected column, and plans hold what they
//! promise.

use proptest::prelude::*;
use proptest::sample::select;

use super::Shop;
use crate::plan::Refusal;
use crate::policy::FirewallMode;

/// Expressions around a column that need its value. Each is valid for an unprotected column.
const NEEDS_VALUE: &[&str] = &[
    "UPPER({})",
    "CONCAT('a', {})",
    "COALESCE({}, 'x') = 'x'",
    "({} + 1)",
    "-{}",
    "{} LIKE 'a%'",
    "{} NOT REGEXP 'a'",
    "{} < 'x'",
    "{} BETWEEN 'a' AND 'b'",
    "'b' BETWEEN {} AND 'c'",
    "CASE {} WHEN name THEN 1 END",
    "CASE WHEN id = 1 THEN {} ELSE name END",
    "LAG({}, 1, 0) OVER (ORDER BY id)",
    "NULLIF({}, name)",
    "NULLIF(name, {})",
    "GREATEST({}, 'a')",
    "CAST({} AS CHAR)",
    "{} COLLATE utf8mb4_bin = 'x'",
    "BINARY {} = 'x'",
    "({}, id) = (1, 1)",
    "(UPPER({}), id) = ('a', 1)",
    "({}, id) < ('a', 1)",
    "{} = name",
    "{} = @v",
    "{} = 1",
    "{} = LOWER('x')",
    "{} IS TRUE",
    "{} IN ('a', name)",
    "'a' IN (name, {})",
    "{} IN (SELECT total FROM orders)",
    "{} = (SELECT MAX(total) FROM orders)",
    "{} = ANY (SELECT total FROM orders)",
    "EXISTS (SELECT 1 FROM vehicles w WHERE w.plate = {})",
    "SUBSTRING({} FROM 1 FOR 2)",
    "{} & 1",
    "DATE_ADD({}, INTERVAL 1 DAY) = 'x'",
    "INTERVAL({}, 1, 2)",
    "EXTRACT(YEAR FROM {})",
    "{} XOR 1 + {}",
];

/// Expressions that need something else of it, which an index or the server can tell.
const ANSWERED: &[&str] = &[
    "{} = 'x'",
    "'x' <> {}",
    "{} <=> 'x'",
    "{} IN ('x', 'y')",
    "{} LIKE 'x'",
    "{} IS NULL",
    "{} <=> NULL",
    "({}, id) = ('x', 1)",
    "{} IN (SELECT phone FROM customers d)",
    "COUNT({}) = 1",
    "COUNT(DISTINCT {}) = 1",
    "CASE {} WHEN 'x' THEN 1 END",
];

/// Expressions that an expression may stand in without becoming harmless.
const AROUND: &[&str] =
    &["({})", "NOT ({})", "id = 1 AND ({})", "({}) OR name = 'a'", "({}) XOR id = 2", "ABS({})", "(({}), 1) = (2, 3)"];

/// Places for an expression.
const PLACES: &[&str] = &[
    "SELECT c.id FROM customers c WHERE {}",
    "SELECT c.id, {} FROM customers c",
    "SELECT c.id FROM customers c LEFT JOIN vehicles v ON {}",
    "SELECT c.id FROM customers c GROUP BY {}",
    "SELECT c.id FROM customers c HAVING {}",
    "SELECT c.id FROM customers c ORDER BY id, {}",
    "SELECT c.id FROM customers c WINDOW w AS (PARTITION BY {})",
    "SELECT SUM(id) OVER (ORDER BY {}) FROM customers c",
    "SELECT 1 FROM dual WHERE EXISTS (SELECT 1 FROM customers c WHERE {})",
    "SELECT d.x FROM (SELECT {} AS x FROM customers c) d",
    "WITH d AS (SELECT id FROM customers c WHERE {}) SELECT id FROM d",
    "SELECT id FROM orders UNION SELECT {} FROM customers c",
    "UPDATE customers c SET name = {}",
    "UPDATE customers c SET email = {}",
    "UPDATE customers c SET name = 'x' WHERE {}",
    "UPDATE customers c SET name = 'x' ORDER BY {}",
    "DELETE FROM customers AS c WHERE {}",
    "INSERT INTO plain (id) SELECT {} FROM customers c",
    "INSERT INTO customers (id, name) VALUES (1, 'a') ON DUPLICATE KEY UPDATE name = {}",
];

fn shop() -> Shop {
    let mut shop = Shop::open();
    let mut tables: Vec<_> = shop.catalog.tables().cloned().collect();
    tables.push(super::table("shop", "vehicles", &["plate"]));
    shop.catalog = crate::schema::Catalog::new(8, shop.dialect.server, 0, Default::default(), tables, Vec::new());
    shop
}

fn expression() -> impl Strategy<Value = String> {
    (select(NEEDS_VALUE), proptest::collection::vec(select(AROUND), 0..4))
        .prop_map(|(inner, around)| around.iter().fold(inner.to_owned(), |inner, outer| outer.replace("{}", &inner)))
}

proptest! {
    #[test]
    fn a_protected_column_is_refused_wherever_its_value_is_needed(
        expression in expression(),
        place in select(PLACES),
        column in select(&["phone", "c.phone", "customers.phone", "`Phone`"][..]),
    ) {
        let on_duplicate = place.starts_with("INSERT INTO customers");
        let column = match column {
            "c.phone" if on_duplicate => "customers.phone",
            "customers.phone" if !on_duplicate => "c.phone",
            other => other,
        };
        let shop = Shop { firewall: FirewallMode::Off, ..shop() };
        let sql = place.replace("{}", &expression);
        let refused = sql.replace("{}", column);
        prop_assert!(
            matches!(shop.refusal(&refused), Some(Refusal::Unsupported { .. })),
            "{refused}: {:?}", shop.refusal(&refused)
        );
        // The same with an unprotected column is read and planned, so the refusal is about the column.
        if !place.contains("email") {
            let allowed = sql.replace("{}", &column.replace("phone", "name").replace("Phone", "Name"));
            prop_assert_eq!(shop.refusal(&allowed), None, "{}", allowed);
        }
    }

    #[test]
    fn a_role_without_the_values_is_denied_in_every_place(
        expression in expression(),
        answered in select(ANSWERED),
        place in select(PLACES),
        role in select(&[super::ENGINEER, super::MASKED, super::CIPHERTEXT][..]),
    ) {
        let shop = Shop { role, firewall: FirewallMode::Off, ..shop() };
        let sql = place.replace("{}", &format!("({answered}) AND {expression}")).replace("{}", "phone");
        let refusal = shop.refusal(&sql);
        prop_assert!(matches!(refusal, Some(Refusal::Denied { .. })), "{}: {:?}", sql, refusal);
        // Alone, too, where it can be answered for those who see the values.
        let sql = place.replace("{}", answered).replace("{}", "phone");
        let refusal = shop.refusal(&sql);
        prop_assert!(matches!(refusal, Some(Refusal::Denied { .. })), "{}: {:?}", sql, refusal);
    }

    #[test]
    fn conditions_of_allowed_comparisons_are_planned(
        conditions in proptest::collection::vec(select(&[
            "phone = 'a'", "'b' = c.phone", "email <> ?", "phone IN ('a', ?, NULL)", "email NOT IN (x'61')",
            "phone <=> ?", "phone IS NULL", "note IS NOT NULL", "id = ?", "name LIKE 'x'", "(`c`.`PHONE`) = ('a' 'b')",
        ][..]), 1..6),
        connectives in proptest::collection::vec(select(&[" AND ", " OR ", " XOR ", " AND NOT "][..]), 6),
        nested in proptest::bool::ANY,
    ) {
        let mut condition = String::new();
        for (at, one) in conditions.iter().enumerate() {
            if at > 0 {
                condition.push_str(connectives[at]);
            }
            condition.push_str(one);
            if nested {
                condition = format!("({condition})");
            }
        }
        for sql in [
            format!("SELECT c.id FROM customers c WHERE {condition}"),
            format!("SELECT v.plate FROM customers c JOIN vehicles v ON {condition}"),
            format!("DELETE FROM customers AS c WHERE {condition}"),
            format!("UPDATE customers c SET phone = ?, name = 'x' WHERE {condition}"),
        ] {
            let dump = shop().dump(&sql);
            prop_assert!(!dump.starts_with("refused"), "{}: {}", sql, dump);
            let searches = conditions.iter().filter(|one| {
                !one.contains(" IS ") && !one.starts_with("id") && !one.starts_with("name")
            }).count();
            prop_assert_eq!(dump.matches("search ").count(), searches, "{}", sql);
        }
    }

    #[test]
    fn rows_seal_each_protected_value(rows in proptest::collection::vec(select(&[
        "(1, 'a', 'b')", "(?, NULL, ?)", "(3, ('x'), x'61')", "(DEFAULT, _utf8mb4'a' 'b', N'c')",
    ][..]), 1..8)) {
        let sql = format!("INSERT INTO customers (id, phone, email) VALUES {}", rows.join(", "));
        let expected: usize = rows.iter().map(|row| if row.contains("NULL") { 1 } else { 2 }).sum();
        let dump = shop().dump(&sql);
        prop_assert_eq!(dump.matches("seal ").count(), expected, "{}\n{}", sql, dump);
    }
}
