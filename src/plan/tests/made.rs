//! Generated columns that the server makes from protected ones.

use super::*;
use crate::schema::GeneratedColumn;
use expect_test::expect;

/// `secret` holds the first bytes of `phone`'s envelopes, and `total` of orders is made of it.
fn shop(role: RoleId) -> Shop {
    let column = |column: &str, expression: Option<&str>| GeneratedColumn {
        table: TableRef::new("shop", "customers"),
        column: column.into(),
        expression: expression.map(Arc::from),
    };
    let mut shop = Shop { role, ..Shop::open() };
    shop.catalog = shop.catalog.with_generated_columns([
        column("name", Some("concat('x',`secret`)")),
        column("secret", Some("substr(`phone`,1,23)")),
        column("id", None),
    ]);
    shop
}

/// What tells of values that are equal.
const TELLING: &[&str] = &[
    "SELECT secret FROM customers",
    "SELECT c.secret AS s FROM customers c",
    "SELECT name FROM customers",
    "SELECT id FROM customers",
    "SELECT * FROM customers",
    "TABLE customers",
    "SELECT c.* FROM customers c",
    "SELECT total FROM orders WHERE id IN (SELECT secret FROM customers)",
    "SELECT COUNT(*) FROM customers GROUP BY secret",
    "SELECT COUNT(*) FROM customers WHERE secret IS NULL",
    "SELECT COUNT(*) FROM customers ORDER BY secret",
    "SELECT COUNT(DISTINCT shop.customers.secret) FROM customers",
    "SELECT o.total FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.secret = o.total)",
    "SELECT a.total FROM customers c JOIN orders a USING (id)",
    "SELECT COUNT(*) FROM customers c NATURAL JOIN plain p",
    "SELECT d.s FROM (SELECT secret AS s FROM customers) d",
    "WITH w AS (SELECT secret FROM customers) SELECT COUNT(*) FROM w",
    "SELECT HEX(secret) FROM customers",
    "SELECT COUNT(*) FROM customers WHERE CASE WHEN secret > 'x' THEN 1 END",
    "UPDATE customers SET note = NULL WHERE secret = 'x'",
    "UPDATE orders o JOIN customers c ON c.id = o.id SET o.total = c.secret",
    "DELETE FROM customers WHERE secret = 'x'",
    "INSERT INTO orders (total) SELECT secret FROM customers",
    "SELECT id FROM vip",
];

#[test]
fn what_is_made_from_envelopes_is_for_whom_the_values_are() {
    for role in [MASKED, CIPHERTEXT, ENGINEER] {
        for sql in TELLING {
            let refusal = shop(role).refusal(sql);
            assert!(matches!(refusal, Some(Refusal::Denied { .. })), "{sql}: {refusal:?}");
        }
        assert_eq!(shop(role).dump("SELECT COUNT(*) FROM customers"), "relay\n");
    }
    for sql in TELLING {
        let refusal = shop(PLAIN).refusal(sql);
        assert!(!matches!(refusal, Some(Refusal::Denied { .. })), "{sql}: {refusal:?}");
    }
}

#[test]
fn a_statement_that_is_not_understood_does_not_name_it() {
    let refused = shop(MASKED).refusal("SELECT secret FROM somewhere WHERE (");
    assert!(refused.is_some());
    assert!(Shop { role: MASKED, ..Shop::open() }.refusal("SELECT secret FROM somewhere WHERE (").is_none());
}

#[test]
fn a_name_is_replaced_by_the_column_that_holds_what_is_equal() {
    let shop = shop(PLAIN);
    for (sql, expected) in [
        (
            "SELECT DISTINCT c.phone FROM customers c",
            expect![[r#"
            any phone of Query: c.phone in «c.phone» phone by c.secret
            result: open phone
        "#]],
        ),
        (
            "SELECT phone, COUNT(*) AS n FROM customers GROUP BY phone WITH ROLLUP",
            expect![[r#"
            any phone of Rollup: phone in «phone» phone by customers.secret
            tag phone like phone: phone in «phone» by customers.secret
            result: open phone, -
        "#]],
        ),
        (
            "SELECT d.id FROM customers c JOIN customers d USING (phone)",
            expect![[r#"
            on tags of c.phone = d.phone by c.secret and d.secret instead of «USING (phone)»
        "#]],
        ),
        (
            "SELECT d.id FROM (SELECT phone FROM customers) c JOIN customers d ON c.phone = d.phone",
            expect![[r#"
            match phone and phone: c.phone Equal d.phone in «c.phone = d.phone» by d.secret
        "#]],
        ),
    ] {
        expected.assert_eq(&shop.dump(sql));
    }
}

#[test]
fn values_are_compared_by_the_column_that_holds_what_is_equal() {
    let shop = shop(PLAIN);
    for (sql, is_used) in [
        ("SELECT phone, COUNT(*) AS n FROM customers GROUP BY phone", true),
        ("SELECT c.phone AS p FROM customers c GROUP BY p", true),
        ("SELECT COUNT(DISTINCT phone) AS n FROM customers", true),
        (
            "SELECT o.total FROM orders o WHERE EXISTS (SELECT 1 FROM customers c JOIN customers d ON c.phone = d.phone)",
            true,
        ),
        ("SELECT id FROM customers WHERE phone IN (SELECT c.phone FROM customers c)", true),
        ("SELECT DISTINCT phone FROM customers", true),
        ("SELECT DISTINCT c.phone AS p, c.id FROM customers c", true),
        ("SELECT COUNT(*) OVER (PARTITION BY phone) AS n FROM customers", true),
        ("SELECT phone FROM customers c JOIN customers d USING (phone)", true),
        (
            "SELECT c.total FROM orders c WHERE EXISTS (SELECT 1 FROM customers a NATURAL JOIN (SELECT phone FROM customers) d)",
            true,
        ),
        // From outside, by another name, and of a column that has none.
        (
            "SELECT c.total FROM orders c WHERE EXISTS (SELECT COUNT(DISTINCT d.p) AS n FROM (SELECT phone AS p FROM customers) d)",
            false,
        ),
        ("SELECT COUNT(DISTINCT email) AS n FROM customers", false),
        ("SELECT DISTINCT email FROM customers", false),
        ("SELECT DISTINCT d.p FROM (SELECT phone AS p FROM customers) d", false),
        ("SELECT id FROM customers JOIN (SELECT email FROM customers) d USING (email)", false),
        ("SELECT phone FROM customers UNION SELECT phone FROM customers", false),
    ] {
        assert_eq!(shop.dump(sql).contains(" by "), is_used, "{sql}: {}", shop.dump(sql));
    }
}
