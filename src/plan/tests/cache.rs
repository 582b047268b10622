//! What is remembered, and for whom.

use std::sync::Arc;

use super::{ENGINEER, PLAIN, Shop, policy};
use crate::plan::{PlanCache, QueryPlan, Refusal};
use crate::policy::Account;
use crate::sql::SqlMode;

fn engineer() -> Shop {
    Shop { role: ENGINEER, account: Account { user: "eva".into(), host: "10.0.0.%".into() }, ..Shop::open() }
}

fn plan(shop: &Shop, sql: &str) -> Arc<QueryPlan> {
    shop.inspect(sql.as_bytes(), |admitted| admitted.unwrap().plan().clone())
}

#[test]
fn statements_of_one_digest_share_a_plan() {
    let shop = Shop::open();
    let first = plan(&shop, "SELECT id FROM customers WHERE phone = 'a'");
    let second = plan(&shop, "SELECT id FROM customers WHERE phone = 'bcd'");
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(shop.cache.len(), 1);
}

#[test]
fn whatever_changes_a_decision_is_part_of_the_key() {
    let mut shop = Shop::open();
    let sql = "SELECT id FROM customers WHERE id = 1";
    let first = plan(&shop, sql);
    let mut others = Vec::new();
    shop.database = None;
    assert!(shop.refusal(sql).is_some());
    shop.database = Some("other");
    others.push(plan(&shop, sql));
    shop.database = Some("shop");
    shop.role = ENGINEER;
    others.push(plan(&shop, sql));
    shop.role = PLAIN;
    shop.dialect.mode |= SqlMode::ANSI_QUOTES;
    others.push(plan(&shop, sql));
    shop.dialect.mode -= SqlMode::ANSI_QUOTES;
    shop.catalog.version += 1;
    others.push(plan(&shop, sql));
    shop.catalog.version -= 1;
    shop.policy = policy(2);
    others.push(plan(&shop, sql));
    shop.policy = policy(1);
    assert!(others.iter().all(|other| !Arc::ptr_eq(&first, other)));
    assert!(Arc::ptr_eq(&first, &plan(&shop, sql)));
}

#[test]
fn kinds_of_literals_do_not_share_a_plan() {
    let shop = Shop::open();
    assert!(shop.refusal("SELECT id FROM customers WHERE phone = '1'").is_none());
    assert!(shop.refusal("SELECT id FROM customers WHERE phone = 1").is_some());
    assert!(shop.refusal("SELECT id FROM customers WHERE phone = '1'").is_none());
}

#[test]
fn decisions_that_depend_on_a_literal_are_not_remembered() {
    let shop = Shop::open();
    assert!(shop.refusal("SET NAMES 'utf8mb4'").is_none());
    assert!(shop.refusal("SET NAMES 'gbk'").is_some());
    assert!(shop.refusal("PREPARE s FROM 'SELECT 1'").is_none());
    assert!(shop.refusal("PREPARE s FROM 'SELECT MAX(phone) FROM customers'").is_some());
    assert!(shop.refusal("SELECT id, phone FROM customers ORDER BY (+1)").is_none());
    assert!(shop.refusal("SELECT id, phone FROM customers ORDER BY (+2)").is_some());
    assert!(shop.cache.is_empty());
}

#[test]
fn literals_that_name_or_number_something_are_part_of_the_digest() {
    let shop = Shop::open();
    assert!(shop.refusal("SELECT phone AS 'p', id AS 'q' FROM customers ORDER BY q").is_none());
    assert!(shop.refusal("SELECT phone AS 'q', id AS 'p' FROM customers ORDER BY q").is_some());
    assert!(shop.refusal("SELECT id, phone FROM customers ORDER BY 1").is_none());
    assert!(shop.refusal("SELECT id, phone FROM customers ORDER BY 2").is_some());
    assert!(shop.refusal("SELECT id, phone FROM customers ORDER BY 1").is_none());
}

#[test]
fn a_remembered_denial_names_the_account_that_asks() {
    let mut shop = engineer();
    let sql = "SELECT phone FROM customers";
    assert!(shop.refusal(sql).unwrap().to_string().contains("'eva'@'10.0.0.%'"));
    assert_eq!(shop.cache.len(), 1);
    shop.account = Account { user: "tom".into(), host: "%".into() };
    let refusal = shop.refusal(sql).unwrap();
    assert_eq!(refusal.to_string(), "SELECT command denied to user 'tom'@'%' for column 'phone' in table 'customers'");
    assert!(matches!(refusal, Refusal::Denied { .. }));
}

#[test]
fn the_cache_is_bounded() {
    let shop = Shop { cache: PlanCache::new(50, 1 << 20), ..Shop::open() };
    for table in 0..500 {
        plan(&shop, &format!("SELECT id FROM t{table}"));
    }
    assert!(shop.cache.len() <= 50, "{}", shop.cache.len());
    assert!(!shop.cache.is_empty());
}

#[test]
fn a_pattern_s_wildcard_is_seen_in_each_statement() {
    let shop = Shop::open();
    for _ in 0..2 {
        assert!(shop.refusal("SELECT id FROM customers WHERE phone LIKE 'a%'").is_some());
        assert!(shop.refusal("SELECT id FROM customers WHERE phone LIKE 'ab'").is_none());
    }
    assert!(shop.cache.is_empty());
}
