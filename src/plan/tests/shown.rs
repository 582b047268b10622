//! Roles that see a mask or an envelope: a protected column may be a column of the result, and nothing else.

use super::*;

/// What a role without the values may do: `phone` stands for the column in each.
const SHOWN: &[&str] = &[
    "SELECT phone FROM customers",
    "SELECT c.phone AS p, id FROM customers c WHERE id > 1 ORDER BY id LIMIT 3",
    "SELECT (phone) FROM customers",
    "SELECT id, phone FROM customers UNION ALL SELECT id, phone FROM customers",
    "SELECT d.p FROM (SELECT phone AS p FROM customers) d",
    "WITH d AS (SELECT phone FROM customers) SELECT phone FROM d",
    "SELECT id FROM customers WHERE EXISTS (SELECT phone FROM customers)",
    "SELECT phone FROM customers FOR UPDATE",
    "SELECT phone FROM customers GROUP BY id",
];

/// What it may do, and no cell of the column is shown.
const UNCONCERNED: &[&str] = &[
    "SELECT COUNT(*), MAX(id) FROM customers",
    "UPDATE customers SET name = 'x' WHERE id = 1",
    "DELETE FROM customers WHERE id = 1",
    "INSERT INTO customers (id, name) VALUES (1, 'x')",
    "INSERT INTO orders (id) SELECT id FROM customers",
    "EXPLAIN SELECT id, name FROM customers WHERE id = 1",
    "CREATE UNIQUE INDEX u ON customers (name)",
    "ALTER TABLE customers ADD UNIQUE KEY u (id, name)",
];

/// What it may not.
const USED: &[&str] = &[
    "SELECT id FROM customers WHERE phone = 'x'",
    "SELECT id FROM customers WHERE phone IS NULL",
    "SELECT id FROM customers WHERE phone <=> NULL",
    "SELECT COUNT(phone) FROM customers",
    "SELECT COUNT(DISTINCT phone) AS n FROM customers",
    "SELECT ANY_VALUE(phone) AS p FROM customers",
    "SELECT COALESCE(phone, 'x') AS p FROM customers",
    "SELECT IF(id = 1, phone, NULL) AS p FROM customers",
    "SELECT (SELECT phone FROM customers LIMIT 1) AS p",
    "SELECT phone FROM customers GROUP BY phone",
    "SELECT phone AS p FROM customers GROUP BY p",
    "SELECT phone FROM customers GROUP BY 1",
    "SELECT DISTINCT phone FROM customers",
    "SELECT DISTINCT d.p FROM (SELECT phone AS p FROM customers) d",
    "SELECT phone FROM customers ORDER BY phone",
    "SELECT phone AS p FROM customers ORDER BY p",
    "SELECT phone FROM customers ORDER BY 1",
    "SELECT phone, id FROM customers ORDER BY {x 1}",
    // By which the proxy sorts for others.
    "SELECT id, email FROM customers ORDER BY 2",
    "SELECT id FROM customers ORDER BY email LIMIT 1",
    "SELECT email AS e FROM customers ORDER BY e, id",
    "SELECT phone AS p FROM customers HAVING p = 'x'",
    "SELECT d.p FROM (SELECT phone AS p FROM customers) d WHERE d.p = 'x'",
    "SELECT phone FROM customers UNION SELECT phone FROM customers",
    "SELECT phone FROM customers INTERSECT SELECT phone FROM customers",
    "SELECT phone INTO @p FROM customers",
    "SELECT @p := phone FROM customers",
    "SELECT id FROM orders WHERE id IN (SELECT phone FROM customers)",
    "SELECT id FROM customers WHERE phone IN (SELECT phone FROM customers)",
    "SELECT a.id FROM customers a JOIN customers b ON a.phone = b.phone",
    "SELECT a.id FROM customers a JOIN customers b USING (phone)",
    "SELECT LAG(phone) OVER (ORDER BY id) AS p FROM customers",
    "SELECT COUNT(*) OVER (PARTITION BY phone) AS n FROM customers",
    "INSERT INTO orders (id) SELECT phone FROM customers",
    "INSERT INTO customers (id, phone) VALUES (1, 'x')",
    "INSERT INTO customers (id) VALUES (1) ON DUPLICATE KEY UPDATE phone = 'x'",
    "UPDATE customers SET phone = 'x' WHERE id = 1",
    "UPDATE customers SET phone = phone",
    "UPDATE customers SET phone = NULL",
    "UPDATE customers SET name = phone",
    "UPDATE customers SET name = 'x' WHERE phone = 'x'",
    "UPDATE customers SET name = 'x' ORDER BY phone LIMIT 1",
    "DELETE FROM customers WHERE phone = 'x'",
    "REPLACE INTO customers SET id = 1, phone = 'x'",
    "EXPLAIN SELECT id FROM customers WHERE phone = 'x'",
    // The server describes a row that it finds by a key with the row's own values.
    "EXPLAIN SELECT phone FROM customers",
    "EXPLAIN FORMAT=JSON SELECT * FROM customers WHERE id = 1",
    "EXPLAIN SELECT d.id FROM (SELECT id, phone FROM customers WHERE id = 1) d",
    "CREATE UNIQUE INDEX u ON customers (phone(23))",
    "CREATE INDEX u ON customers ((CAST(HEX(phone) AS SIGNED)))",
    "ALTER TABLE customers ADD UNIQUE KEY u (id, phone(23))",
];

fn with_role(role: RoleId) -> Shop {
    Shop { role, ..Shop::open() }
}

#[test]
fn a_column_of_the_result_is_shown_as_the_role_sees_it() {
    for (role, shown) in [(MASKED, "mask phone by null"), (CIPHERTEXT, "envelopes of phone")] {
        let shop = with_role(role);
        for sql in SHOWN {
            let dump = shop.dump(sql);
            let is_shown = dump.lines().any(|line| line.starts_with("result: ") && line.contains(shown));
            assert!(
                is_shown != sql.contains("EXISTS") && !dump.contains("refused") && !dump.contains("open "),
                "{sql}: {dump}"
            );
        }
        for sql in UNCONCERNED {
            let dump = shop.dump(sql);
            assert!(["relay\n", "catalog changes\n"].contains(&&*dump), "{sql}: {dump}");
        }
    }
}

#[test]
fn every_other_use_is_denied_in_the_words_of_the_server() {
    for role in [MASKED, CIPHERTEXT, ENGINEER] {
        let shop = with_role(role);
        for sql in USED {
            let refusal = shop.refusal(sql);
            assert!(matches!(refusal, Some(Refusal::Denied { .. })), "{sql}: {refusal:?}");
        }
    }
    // The statements are well formed: the role with the values is refused for other reasons, or not at all.
    let plain = with_role(PLAIN);
    for sql in SHOWN.iter().chain(UNCONCERNED).chain(USED) {
        let refusal = plain.refusal(sql);
        assert!(!matches!(refusal, Some(Refusal::Denied { .. } | Refusal::UnknownName { .. })), "{sql}: {refusal:?}");
    }
}

#[test]
fn a_view_may_show_the_column_and_not_use_it() {
    let shop = with_role(MASKED);
    let views: Vec<_> = shop.catalog.tables().filter(|table| table.kind == TableKind::View).collect();
    assert!(!views.is_empty());
    for view in views {
        let dump = shop.dump(&format!("SELECT * FROM {}", view.name.table));
        let uses = view
            .definition
            .as_deref()
            .is_some_and(|text| text.split(" from ").nth(1).is_some_and(|rest| rest.contains("`phone`")));
        assert!(!uses || dump.contains("refused"), "{}: {dump}", view.name.table);
    }
}

#[test]
fn a_name_that_the_server_changes_hides_no_column() {
    for role in [PLAIN, MASKED, CIPHERTEXT] {
        let shop = with_role(role);
        for sql in [
            "SELECT phone AS ' name' FROM customers ORDER BY name",
            "SELECT id, phone AS ` name` FROM customers HAVING HEX(name) LIKE 'C%'",
            "SELECT phone AS 'na\\me' FROM customers ORDER BY name",
            "SELECT (SELECT HEX(name) FROM (SELECT phone AS '\tname' FROM customers) d) AS x FROM customers c LIMIT 1",
            "SELECT (SELECT HEX(name) FROM (SELECT phone FROM customers) d (` name`)) AS x FROM customers c LIMIT 1",
            "WITH d (` name`) AS (SELECT phone FROM customers) SELECT (SELECT HEX(name) FROM d) FROM customers c LIMIT 1",
        ] {
            let refusal = shop.refusal(sql);
            assert!(matches!(refusal, Some(Refusal::Unsupported { .. })), "{role:?} {sql}: {refusal:?}");
        }
    }
    assert_eq!(with_role(MASKED).refusal("SELECT phone AS 'Télé phone' FROM customers"), None);
}

/// A temporary table may have the name of any table that is not protected, and other columns. Statements whose names mean
/// nothing farther out, and their twins, which the server would take to the column of the query around them then.
const OUTWARD: &[(&str, &str)] = &[
    (
        "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM other.customers o WHERE o.phone = 1)",
        "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM other.customers o WHERE phone = 1)",
    ),
    (
        "SELECT id, (SELECT HEX(o.phone) FROM other.customers o LIMIT 1) AS h FROM customers c",
        "SELECT id, (SELECT HEX(o.phone) FROM other.customers o LIMIT 1) AS h FROM customers o",
    ),
    (
        "SELECT id, phone AS total FROM customers HAVING (SELECT MAX(p.total) FROM plain p) > 1",
        "SELECT id, phone AS total FROM customers HAVING (SELECT MAX(total) FROM plain p) > 1",
    ),
    (
        "UPDATE customers SET name = (SELECT MAX(o.phone) FROM other.customers o)",
        "UPDATE customers SET name = (SELECT MAX(phone) FROM other.customers o)",
    ),
    (
        "DELETE FROM customers WHERE EXISTS (SELECT 1 FROM other.customers o WHERE o.phone = 1)",
        "DELETE FROM customers WHERE EXISTS (SELECT 1 FROM other.customers o WHERE phone = 1)",
    ),
];

#[test]
fn a_name_is_not_taken_that_could_mean_a_hidden_column_farther_out() {
    for role in [MASKED, CIPHERTEXT, DESK] {
        let shop = with_role(role);
        for (clear, outward) in OUTWARD {
            let refusal = shop.refusal(clear);
            assert!(role == DESK || refusal.is_none(), "{role:?} {clear}: {refusal:?}");
            let refusal = shop.refusal(outward);
            assert!(matches!(refusal, Some(Refusal::Denied { .. })), "{role:?} {outward}: {refusal:?}");
        }
    }
    for (clear, outward) in OUTWARD {
        assert_eq!(with_role(PLAIN).refusal(clear), None, "{clear}");
        assert_eq!(with_role(PLAIN).refusal(outward), None, "{outward}");
    }
}

#[test]
fn an_insertion_from_a_query_is_updated_by_what_it_inserts_alone() {
    let insert =
        "INSERT INTO plain (id) SELECT d.id FROM (SELECT id, phone AS total FROM customers) d ON DUPLICATE KEY UPDATE";
    for role in [MASKED, CIPHERTEXT] {
        let shop = with_role(role);
        for value in ["VALUES(id)", "'x'", "(?)"] {
            assert_eq!(shop.refusal(&format!("{insert} name = {value}")), None, "{role:?} {value}");
        }
        for value in ["HEX(total)", "total", "plain.total", "(SELECT MAX(total) FROM orders)"] {
            let refusal = shop.refusal(&format!("{insert} name = {value}"));
            assert!(matches!(refusal, Some(Refusal::Unsupported { .. })), "{role:?} {value}: {refusal:?}");
        }
    }
    assert_eq!(with_role(PLAIN).refusal(&format!("{insert} name = total")), None);
}

#[test]
fn a_star_over_another_table_stands_in_the_outermost_query_alone() {
    for role in [MASKED, CIPHERTEXT] {
        let shop = with_role(role);
        for sql in [
            "SELECT * FROM plain p, customers c",
            "SELECT p.*, c.id, c.phone FROM plain p JOIN customers c ON c.id = p.id",
            "(SELECT p.*, c.phone FROM plain p, customers c)",
            "SELECT d.* FROM (SELECT id, phone FROM customers) d",
            "SELECT * FROM (SELECT c.*, p.total FROM plain p, customers c) d",
            "SELECT id FROM plain p WHERE EXISTS (SELECT * FROM plain q, customers c)",
            "SELECT d.*, q.phone FROM (SELECT * FROM plain) d, customers q",
        ] {
            assert_eq!(shop.refusal(sql), None, "{role:?} {sql}");
        }
        for sql in [
            "SELECT HEX(d.x3) FROM (SELECT p.*, c.id, c.phone FROM plain p, customers c) d (x0, x1, x2, x3, x4)",
            "SELECT * FROM (SELECT p.*, c.phone FROM plain p, customers c LIMIT 3) d",
            "WITH d AS (SELECT p.*, c.phone FROM plain p, customers c) SELECT total FROM d",
            "SELECT * FROM plain, (SELECT id AS number, phone FROM customers LIMIT 3) d",
            "SELECT p.*, c.phone FROM plain p, customers c UNION ALL SELECT p.*, c.phone FROM plain p, customers c",
            "SELECT d.*, c.phone FROM (SELECT * FROM plain) d, (SELECT phone FROM customers) c",
        ] {
            let refusal = shop.refusal(sql);
            assert!(matches!(refusal, Some(Refusal::Unsupported { .. })), "{role:?} {sql}: {refusal:?}");
            assert_eq!(with_role(PLAIN).refusal(sql), None, "{sql}");
        }
    }
}
