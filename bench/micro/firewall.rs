//! The firewall alone: a digest that was not met before, lexed, parsed and judged by every rule. What it costs for a known
//! one is in `plan`: nothing, the verdict is kept with the plan.

use std::hint::black_box;

use candado::firewall::{Reading, judge};
use candado::schema::{Charset, ServerKind, ServerVersion};
use candado::sql::{self, Dialect, ReservedWords, SqlMode};
use criterion::Criterion;

const STATEMENTS: [(&str, &str); 4] = [
    ("point select", "SELECT total FROM orders WHERE id = 4711"),
    (
        "orm select",
        "SELECT customers.id AS customers_id, customers.name AS customers_name, customers.phone AS customers_phone, \
         customers.email AS customers_email FROM customers LEFT OUTER JOIN orders ON orders.customer_id = customers.id \
         WHERE customers.phone = '+44 20 7946 0000' AND customers.id > 17 AND (orders.total IS NULL OR orders.total < 9) \
         GROUP BY customers.id HAVING COUNT(orders.id) > 2 ORDER BY customers.id LIMIT 10",
    ),
    (
        "attack",
        "SELECT name, price FROM products WHERE id = 1 AND ORD(MID((SELECT IFNULL(CAST(token AS CHAR), 0x20) FROM secrets \
         ORDER BY id LIMIT 0, 1), 1, 1)) > 64 -- x",
    ),
    (
        "insert",
        "INSERT INTO customers (id, name, phone, email) VALUES (1, 'Ann', '+44 20 7946 0000', 'ann@example.org')",
    ),
];

/// Measures the rules on a statement that is lexed and parsed, and all three steps together.
pub(crate) fn bench(c: &mut Criterion) {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let dialect = Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server };
    let reserved = ReservedWords::Default(ServerKind::MySql);
    let mut group = c.benchmark_group("firewall");
    for (name, text) in STATEMENTS {
        let sql = text.as_bytes();
        let mut tokens = Vec::new();
        sql::lex(sql, &dialect, &mut tokens).expect("it can be lexed");
        let statement = sql::parse(sql, &tokens, &dialect, &reserved).expect("it can be parsed");
        let class = sql::statement_class(sql, &tokens);
        group.bench_function(format!("rules/{name}"), |bencher| {
            bencher.iter(|| judge(&Reading::new(black_box(sql), &tokens, class, Some(&statement))));
        });
        group.bench_function(format!("new digest/{name}"), |bencher| {
            let mut tokens = Vec::new();
            bencher.iter(|| {
                tokens.clear();
                sql::lex(black_box(sql), &dialect, &mut tokens).expect("it can be lexed");
                let statement = sql::parse(sql, &tokens, &dialect, &reserved).ok();
                judge(&Reading::new(sql, &tokens, sql::statement_class(sql, &tokens), statement.as_ref()))
            });
        });
    }
    group.finish();
}
