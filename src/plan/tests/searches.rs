//! Searches that policy grants to roles that do not see the values.

use super::*;
use crate::policy::SearchGrant;

const PHONE: ColumnId = ColumnId(0);

/// Searches that a grant allows, and with how many values.
const GRANTED: &[(&str, u32)] = &[
    ("SELECT id FROM customers WHERE phone = 'x'", 1),
    ("SELECT id FROM customers WHERE 'x' = phone", 1),
    ("SELECT id, name FROM customers c WHERE (c.phone) <=> ? AND id > 3 ORDER BY id LIMIT 5", 1),
    ("SELECT id FROM customers WHERE phone IN ('x', ?, NULL)", 3),
    ("SELECT COUNT(*) FROM customers WHERE name = 'y' OR (phone = 'x' AND id = 1) OR phone = ?", 2),
    ("SELECT id FROM customers WHERE phone = x'41' FOR UPDATE", 1),
    ("SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM customers WHERE phone = 'x')", 1),
    ("SELECT d.id FROM (SELECT id FROM customers WHERE phone = 'x') d", 1),
    ("SELECT id FROM customers WHERE phone = 'x' UNION ALL SELECT id FROM customers WHERE phone = 'y'", 2),
];

/// What a grant does not allow.
const DENIED: &[&str] = &[
    "SELECT id FROM customers WHERE email = 'x'",
    "SELECT id FROM customers WHERE phone = 'x' AND email = 'x'",
    "SELECT id FROM customers WHERE phone <> 'x'",
    "SELECT id FROM customers WHERE NOT phone = 'x'",
    "SELECT id FROM customers WHERE phone = 'x' XOR id = 1",
    "SELECT id FROM customers WHERE phone NOT IN ('x')",
    "SELECT id FROM customers WHERE phone LIKE 'x'",
    "SELECT id FROM customers WHERE phone > 'x'",
    "SELECT id FROM customers WHERE phone BETWEEN 'x' AND 'y'",
    "SELECT id FROM customers WHERE phone IS NULL",
    "SELECT id FROM customers WHERE phone <=> NULL",
    "SELECT id FROM customers WHERE phone IN (NULL)",
    "SELECT id FROM customers WHERE (phone, id) = ('x', 1)",
    "SELECT id FROM customers WHERE IF(phone = 'x', 1, 0) = 1",
    "SELECT id FROM customers WHERE (phone = 'x') = 1",
    "SELECT id FROM customers WHERE (phone = 'x') IS TRUE",
    "SELECT id FROM customers WHERE phone = @p",
    "SELECT id FROM customers WHERE phone = CONCAT('x', ?)",
    "SELECT id FROM customers WHERE phone = name",
    "SELECT id FROM customers WHERE phone = phone",
    "SELECT id FROM customers WHERE phone IN (SELECT phone FROM customers)",
    "SELECT id FROM customers WHERE phone IN (id, 'x')",
    "SELECT phone = 'x' AS hit FROM customers",
    "SELECT a.id FROM customers a JOIN customers b ON a.phone = b.phone",
    "SELECT a.id FROM customers a JOIN customers b ON a.phone = 'x'",
    "SELECT id FROM customers GROUP BY id HAVING MAX(phone) = 'x'",
    "SELECT name AS phone FROM customers HAVING phone = 'x'",
    "SELECT id FROM customers WHERE phone = 'x' GROUP BY phone",
    "SELECT id FROM customers WHERE phone = 'x' ORDER BY phone",
    "SELECT DISTINCT phone FROM customers WHERE phone = 'x'",
    "SELECT UPPER(phone) FROM customers WHERE phone = 'x'",
    "SELECT id INTO @p FROM customers WHERE phone = 'x'",
    "SELECT id FROM customers WHERE phone = 'x' INTO @p",
    "INSERT INTO orders (id) SELECT id FROM customers WHERE phone = 'x'",
    "UPDATE customers SET name = 'y' WHERE phone = 'x'",
    "DELETE FROM customers WHERE phone = 'x'",
    "EXPLAIN SELECT id FROM customers WHERE phone = 'x'",
];

fn granting(role: RoleId) -> Shop {
    let mut shop = Shop::open();
    shop.role = role;
    shop.policy = shop.policy.with_searches(HashMap::from([(role, SearchGrant::of([PHONE], 30))]));
    shop
}

fn searches(shop: &Shop, sql: &str) -> Vec<GrantedSearch> {
    shop.inspect(sql.as_bytes(), |result| match result {
        Ok(admitted) => admitted.plan().searches.clone(),
        Err(refusal) => panic!("{sql}: {refusal}"),
    })
}

#[test]
fn a_grant_allows_searches_in_the_conditions_of_queries() {
    for role in [MASKED, CIPHERTEXT, ENGINEER] {
        let (shop, without) = (granting(role), Shop { role, ..Shop::open() });
        for (sql, values) in GRANTED {
            let found = searches(&shop, sql);
            assert!(found.iter().all(|search| search.column == PHONE), "{sql}");
            assert_eq!(found.iter().map(|search| search.values).sum::<u32>(), *values, "{sql}");
            // The rows are counted even if nothing of them is opened.
            shop.inspect(sql.as_bytes(), |result| assert!(result.unwrap().plan().outputs != Outputs::Relay, "{sql}"));
            assert!(matches!(without.refusal(sql), Some(Refusal::Denied { .. })), "{sql}");
            assert!(searches(&Shop::open(), sql).is_empty(), "who sees the values needs no grant: {sql}");
        }
        let shown = "SELECT phone FROM customers WHERE phone = 'x'";
        assert_eq!(
            shop.refusal(shown).is_some(),
            role == ENGINEER,
            "who may not see the column may search by it alone"
        );
    }
}

#[test]
fn a_search_outside_of_rows_that_are_compared_is_seen() {
    let shop = granting(DESK);
    let sql = |searched: &str| {
        format!(
            "SELECT c.id FROM customers c WHERE EXISTS (SELECT email FROM customers UNION SELECT d.email FROM customers d \
             WHERE {searched}.phone = 'x')"
        )
    };
    assert_eq!(searches(&shop, &sql("d")).len(), 1);
    let refusal = shop.refusal(&sql("c")).map(|refusal| refusal.to_string()).unwrap_or_default();
    assert!(refusal.contains("names columns of the query around it"), "{refusal}");
    assert_eq!(searches(&shop, &sql("c").replace("UNION", "UNION ALL")).len(), 1);
}

#[test]
fn a_grant_allows_nothing_else() {
    for role in [MASKED, CIPHERTEXT, ENGINEER] {
        let shop = granting(role);
        for sql in DENIED {
            assert!(matches!(shop.refusal(sql), Some(Refusal::Denied { .. })), "{sql}: {:?}", shop.refusal(sql));
        }
    }
}
