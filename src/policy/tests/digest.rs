//! By what proxies agree that they work with the same policy.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use super::*;

fn column() -> ProtectedColumn {
    ProtectedColumn {
        column: ColumnRef::new("shop", "customers", "phone"),
        keyset: "contact".into(),
        context: "shop.customers.phone".into(),
        logical: LogicalType::Varchar { chars_max: 20 },
        collation: Some("utf8mb4_bin".into()),
        index: Some(IndexSpec {
            domain: "phone".into(),
            length: 16,
            normaliser: Normaliser::E164 { region: "JP".into() },
        }),
        padding: Padding::Block(16),
        subject: None,
        bind: Some(Bind { to: "login".into(), unbound: Unbound::Refused }),
    }
}

fn digest(columns: Vec<ProtectedColumn>) -> String {
    HEXLOWER.encode(&Policy::new(1, columns, vec![], vec![], RoleId(0), FirewallMode::Block).digest())
}

/// Another answer would keep whoever waits for all proxies from going on while two versions of the program run.
#[test]
fn it_is_the_one_that_other_versions_make() {
    assert_eq!(digest(vec![column()]), "e32d69062e24f00abf0a0703fd1ca38401a46f18cfb41daeb08f503f783350aa");
}

#[test]
fn whatever_is_said_of_a_column_changes_it() {
    let index = |column: &mut ProtectedColumn| column.index.take().unwrap();
    let changes: [&dyn Fn(&mut ProtectedColumn); 15] = [
        &|_| {},
        &|column| column.column.database = "shops".into(),
        &|column| column.column.table = "customer".into(),
        &|column| column.column.column = "fax".into(),
        &|column| column.keyset = "credentials".into(),
        &|column| column.context = "shop.customers.fax".into(),
        &|column| column.logical = LogicalType::Text(TextSize::Text),
        &|column| column.collation = None,
        &|column| drop(index(column)),
        &|column| column.index = Some(IndexSpec { domain: "fax".into(), ..index(column) }),
        &|column| column.index = Some(IndexSpec { length: 8, ..index(column) }),
        &|column| column.index = Some(IndexSpec { normaliser: Normaliser::Raw, ..index(column) }),
        &|column| column.padding = Padding::None,
        &|column| column.subject = column.bind.take().map(|bind| bind.to),
        &|column| column.bind = Some(Bind { to: "login".into(), unbound: Unbound::Accepted }),
    ];
    let changed = |change: &dyn Fn(&mut ProtectedColumn)| {
        let mut column = column();
        change(&mut column);
        digest(vec![column])
    };
    let digests: BTreeSet<String> = changes.into_iter().map(changed).collect();
    assert_eq!(digests.len(), changes.len());
    let other = ProtectedColumn { context: "other".into(), ..column() };
    assert_eq!(digest(vec![column(), other.clone()]), digest(vec![other, column()]), "in whatever order");
}
