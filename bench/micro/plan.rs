//! Deciding about a statement: with the digest in the cache, and without.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;

use candado::plan::{Inspection, Lookup, PlanCache, Scratch, inspect};
use candado::policy::{
    Access, Account, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn, Role, RoleId,
};
use candado::schema::{Catalog, Charset, Column, ColumnRef, ServerKind, ServerVersion, Table, TableKind, TableRef};
use candado::sql::{Dialect, SqlMode};
use criterion::Criterion;

const STATEMENTS: [(&str, &str); 3] = [
    ("point select", "SELECT total FROM orders WHERE id = 4711"),
    (
        "orm select",
        "SELECT customers.id AS customers_id, customers.name AS customers_name, customers.phone AS customers_phone, \
         customers.email AS customers_email FROM customers WHERE customers.phone = '+44 20 7946 0000' AND \
         customers.id > 17 ORDER BY customers.id LIMIT 10",
    ),
    (
        "insert",
        "INSERT INTO customers (id, name, phone, email) VALUES (1, 'Ann', '+44 20 7946 0000', 'ann@example.org')",
    ),
];

/// Measures [`inspect`] on a hit and on a miss.
pub(crate) fn bench(c: &mut Criterion) {
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let catalog = catalog(server);
    let policy = policy();
    let account = Account { user: "app".into(), host: "%".into() };
    let dialect = Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server };
    let mut scratch = Scratch::default();
    let mut run = |cache: &PlanCache, sql: &str| {
        let cx = Inspection {
            lookup: Lookup::Again,
            dialect,
            default_database: Some("shop"),
            catalog: &catalog,
            policy: &policy,
            role: RoleId(0),
            account: &account,
            firewall: FirewallMode::Block,
            profile: None,
            cache,
            scratch: &mut scratch,
        };
        black_box(inspect(black_box(sql.as_bytes()), cx)).is_ok()
    };
    let roomy = PlanCache::new(10_000, 16 << 20);
    // No entry fits into it, so each statement is a miss.
    let full = PlanCache::new(1, 0);
    let mut group = c.benchmark_group("plan");
    for (name, sql) in STATEMENTS {
        assert!(run(&roomy, sql), "{name} is refused");
        group.bench_function(format!("hit/{name}"), |bencher| bencher.iter(|| run(&roomy, sql)));
        group.bench_function(format!("miss/{name}"), |bencher| bencher.iter(|| run(&full, sql)));
    }
    assert!(full.is_empty());
    group.finish();
}

fn catalog(server: ServerVersion) -> Catalog {
    let table = |name: &str, columns: &[&str]| Table {
        name: TableRef::new("shop", name),
        kind: TableKind::Base,
        columns: columns
            .iter()
            .map(|name| Column {
                name: (*name).into(),
                data_type: "varbinary".into(),
                column_type: "varbinary(512)".into(),
                octets_max: Some(512),
                charset: None,
                collation: None,
                nullable: true,
                extra: "".into(),
            })
            .collect(),
        definition: Some("".into()),
    };
    let tables = vec![
        table("customers", &["id", "name", "phone", "email", "city"]),
        table("orders", &["id", "customer_id", "total"]),
    ];
    Catalog::new(1, server, 0, HashSet::new(), tables, Vec::new())
}

fn policy() -> Policy {
    let protected = |name: &str| ProtectedColumn {
        column: ColumnRef::new("shop", "customers", name),
        keyset: "main".into(),
        context: format!("shop.customers.{name}").into(),
        logical: LogicalType::Varchar { chars_max: 50 },
        collation: None,
        index: Some(IndexSpec { domain: name.into(), length: 16, normaliser: Normaliser::Raw }),
        padding: Padding::None,
        subject: None,
        bind: None,
    };
    let role = Role { name: "plain".into(), default_access: Access::Plain, columns: HashMap::new() };
    let columns = vec![protected("phone"), protected("email")];
    Policy::new(1, columns, vec![role], Vec::new(), RoleId(0), FirewallMode::Block)
}
