//! Any statement of any role before a small shop: deciding ends without a panic, a role is shown no more than its access,
//! and what is to be replaced lies inside the statement.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use candado::plan::{CellAction, Inspection, Lookup, PlanCache, Scratch, inspect};
use candado::policy::{Access, Account, FirewallMode, Policy, RoleId, file};
use candado::schema::{Catalog, Charset, Column, ServerKind, ServerVersion, Table, TableKind, TableRef};
use candado::sql::{Dialect, SqlMode};
use libfuzzer_sys::fuzz_target;

const POLICY: &str = r#"
keysets = ["contact"]

[[column]]
name = "shop.customers.phone"
keyset = "contact"
type = "varchar(20)"
mask = "phone"
index = { normaliser = "text" }

[[column]]
name = "shop.customers.email"
keyset = "contact"
type = "varchar(190)"
mask = "email"
collation = "utf8mb4_bin"
sort = "proxy"
index = { normaliser = "text", domain = "shop.customers.phone" }

[[column]]
name = "shop.people.note"
keyset = "contact"
type = "text"
mask = "null"
subject = "id"

[role.a]
access = "plain"
[role.b]
access = "masked"
[role.c]
access = "ciphertext"
[role.d]
access = "deny"
"#;

struct Shop {
    policy: Policy,
    mysql: Catalog,
    mariadb: Catalog,
    account: Account,
}

static SHOP: LazyLock<Shop> = LazyLock::new(|| Shop {
    policy: file::parse("policy.toml", POLICY, 1).expect("a valid policy"),
    mysql: catalog(ServerVersion { kind: ServerKind::MySql, number: 90_704 }),
    mariadb: catalog(ServerVersion { kind: ServerKind::MariaDb, number: 101_118 }),
    account: Account { user: "app".into(), host: "%".into() },
});

fuzz_target!(|data: &[u8]| {
    let [settings, who, sql @ ..] = data else { return };
    let shop = &*SHOP;
    let catalog = if settings & 128 == 0 { &shop.mysql } else { &shop.mariadb };
    let role = RoleId(u16::from(who & 7) % 5);
    let cache = PlanCache::new(1, 1024);
    let mut scratch = Scratch::default();
    let decided = inspect(
        sql,
        Inspection {
            dialect: Dialect {
                mode: SqlMode::from_bits_truncate(*settings),
                charset: Charset::Utf8mb4,
                server: catalog.server,
            },
            default_database: if who & 8 == 0 { Some("shop") } else { None },
            catalog,
            policy: &shop.policy,
            role,
            account: &shop.account,
            lookup: if who & 16 == 0 { Lookup::Again } else { Lookup::First },
            firewall: if who & 32 == 0 { FirewallMode::Observe } else { FirewallMode::Block },
            profile: None,
            cache: &cache,
            scratch: &mut scratch,
        },
    );
    let Ok(admitted) = decided else { return };
    for cell in admitted.plan().outputs.cells() {
        let shown = match cell {
            CellAction::Relay => continue,
            CellAction::Open(grant) => (Access::Plain, grant.column()),
            CellAction::Mask(grant, _) => (Access::Masked, grant.column()),
            CellAction::Ciphertext(column) => (Access::Ciphertext, *column),
        };
        assert_eq!(shop.policy.access(role, shown.1).0, shown.0);
    }
    for splice in &admitted.plan().splices {
        let tokens = splice.tokens;
        assert!(tokens.first <= tokens.last && (tokens.last as usize) < admitted.tokens().len());
    }
});

fn catalog(server: ServerVersion) -> Catalog {
    let view = "select `shop`.`customers`.`id` AS `id`,`shop`.`customers`.`phone` AS `tel` from `shop`.`customers`";
    let tables = vec![
        table("customers", &["id", "name", "phone", "email"], None),
        table("people", &["id", "note"], None),
        table("orders", &["id", "customer", "remark"], None),
        table("contact", &["id", "tel"], Some(view)),
    ];
    Catalog::new(1, server, 0, HashSet::new(), tables, Vec::new())
}

fn table(name: &str, columns: &[&str], view: Option<&str>) -> Table {
    let column = |name: &&str| {
        let (data_type, column_type, octets_max, nullable) = match *name {
            "id" => ("int", "int", None, false),
            _ => ("varbinary", "varbinary(255)", Some(255), true),
        };
        Column {
            name: (*name).into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            octets_max,
            charset: None,
            collation: None,
            nullable,
            extra: "".into(),
        }
    };
    Table {
        name: TableRef::new("shop", name),
        kind: if view.is_some() { TableKind::View } else { TableKind::Base },
        columns: columns.iter().map(column).collect(),
        definition: view.map(Into::into),
    }
}
